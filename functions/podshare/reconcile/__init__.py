"""What a reconciliation does, step by step: read the records, survey what is there, plan, apply, verify, record."""
