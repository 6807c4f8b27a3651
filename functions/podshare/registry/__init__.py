"""What people write: records, what they refer to, and whether they are acceptable. Pure functions."""
