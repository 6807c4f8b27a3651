"""What the API server refuses of an object, kind by kind; sources are its validation and the API reference.

Fields that the sandbox gives no meaning to are held against their types only (:mod:`schemas`).
"""
