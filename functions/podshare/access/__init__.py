"""Who gets in: effective access, and whether it is as records say. Pure functions."""
