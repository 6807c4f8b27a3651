"""What a reconciliation does, step by step: read the records, observe what exists, plan, apply, verify, record."""
