"""What the API server refuses of an object, kind by kind, and the defaults that it sets before it looks.

Sources are its API reference and its validation; fields that the sandbox gives no meaning to are held against their
types only (:mod:`podshare_sandbox.services.kubernetes.schemas`).
"""
