"""Executions of the state machines: started, found, and followed live."""
