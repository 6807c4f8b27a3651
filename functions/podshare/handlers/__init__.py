"""The Lambda functions: parse, one call, return."""
