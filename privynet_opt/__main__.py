"""Start the command line: ``privynet-opt``, or ``python -m privynet_opt``.

Loading it takes half a second, in which a person may press Ctrl-C already: nothing is loaded before
that is caught. SIGTERM, by which schedulers end a job, is taken as a Ctrl-C.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

INTERRUPTED = 130
"""As in `commands.options`, which may not be loaded yet."""


def main() -> int:
    """Run the command line on the arguments of the process.

    Returns:
        The exit code, as of `cli.main`.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        from privynet_opt import cli

        return cli.main()
    except KeyboardInterrupt:
        if "--debug" in sys.argv:
            raise
        print("privynet-opt: interrupted.", file=sys.stderr)
        return INTERRUPTED


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Do what a Ctrl-C would do now; also where it is ignored, as in a script's background."""
    on_control_c = signal.getsignal(signal.SIGINT)
    if not callable(on_control_c):
        raise KeyboardInterrupt
    on_control_c(signal.SIGINT, frame)


if __name__ == "__main__":
    sys.exit(main())
