"""The command ``podshare``: what admins and data scientists do with the registry, the machine and the sandbox."""
