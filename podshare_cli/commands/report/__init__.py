"""``podshare report``: one page that shows who can reach what, for people who would rather look than read."""
