"""What moto works out anew for each request, or for nobody: a sandbox makes thousands of requests.

Every answer stays as it is; it only comes sooner. What each buys is in docs/sandbox.md, "Speed".
"""

from podshare_sandbox.moto_shortcuts import executions, requests, tables


def install() -> None:
    """Take the shortcuts. Raises RuntimeError where a symbol of moto is gone."""
    for service in (requests, tables, executions):
        service.install()
