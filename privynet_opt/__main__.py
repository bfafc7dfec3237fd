"""Start the command line: ``privynet-opt``, or ``python -m privynet_opt``.

Loading it takes half a second, in which a person may press Ctrl-C already: nothing is loaded before
that is caught.
"""

from __future__ import annotations

import sys

INTERRUPTED = 130
"""As in `commands.options`, which may not be loaded yet."""


def main() -> int:
    """Run the command line on the arguments of the process.

    Returns:
        The exit code, as of `cli.main`.
    """
    try:
        from privynet_opt import cli

        return cli.main()
    except KeyboardInterrupt:
        if "--debug" in sys.argv:
            raise
        print("privynet-opt: interrupted.", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
