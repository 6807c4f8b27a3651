"""podshare's account and others: credentials, Region, and the two tables."""
