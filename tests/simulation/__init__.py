"""The fault simulator: breaks every AWS call of a reconciliation on purpose, and holds what comes of it against the rules.

``make simulate SEED=7 RUNS=20`` runs it; see docs/sandbox.md, "The simulator".
"""
