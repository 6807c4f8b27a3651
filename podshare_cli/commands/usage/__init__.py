"""``podshare usage``: what was guaranteed in a month, and what was used of it."""
