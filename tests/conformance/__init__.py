"""Requests that are generated from botocore's models, and what the sandbox answers to them."""
