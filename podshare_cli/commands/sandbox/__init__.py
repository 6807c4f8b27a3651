"""``podshare sandbox``: its commands, and how they reach the sandbox that runs."""
