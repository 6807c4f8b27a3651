"""``python -m podshare_cli`` is ``podshare``."""

import sys

from podshare_cli.application import main


def run() -> None:
    """Run the command, and exit with its code."""
    sys.exit(main())


if __name__ == "__main__":
    run()
