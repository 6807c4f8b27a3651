"""The past, from the history of who had access: who could, what changed, and quota-hours."""
