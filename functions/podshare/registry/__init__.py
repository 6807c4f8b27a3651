"""What should be true, and what it takes to make it so: pure functions of records and observations.

Nothing here calls AWS, reads a clock or an environment.
"""
