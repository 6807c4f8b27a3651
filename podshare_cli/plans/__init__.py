"""What a write would do, before it is made: plans, dry runs, losses to confirm, and what is pruned."""
