"""Mutation testing of the security core: each small change of it must fail a pure test (``make mutation``)."""
