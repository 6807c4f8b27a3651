"""What can go wrong with a template and with a stack."""


class TemplateError(ValueError):
    """A template or its parameters are refused before any resource is touched: AWS's ValidationError.

    Raised as well for what AWS accepts and the sandbox does not emulate; the message tells which.
    """


class StackError(RuntimeError):
    """A resource could not be created, updated or deleted; the message names it and the cause.

    Nothing is rolled back (as with ``--disable-rollback``): deploying again goes on from there.
    """
