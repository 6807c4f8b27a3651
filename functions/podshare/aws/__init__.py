"""Plumbing: sessions per account, the two tables, leases, Kubernetes access and the classes of errors."""
