"""Run the command line as ``python -m privynet_opt``."""

from __future__ import annotations

import sys

from privynet_opt.cli import main

if __name__ == "__main__":
    sys.exit(main())
