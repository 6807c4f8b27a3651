"""``python -m podshare_cli`` is ``podshare``."""

import sys

from podshare_cli.application import main

if __name__ == "__main__":
    sys.exit(main())
