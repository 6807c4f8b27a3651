"""Who can reach what now: access reports, the roles to assume, and probes by pods."""
