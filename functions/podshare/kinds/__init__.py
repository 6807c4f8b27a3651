"""One folder per kind of resource that podshare owns; beside them what all kinds share."""
