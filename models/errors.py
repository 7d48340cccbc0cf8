"""One way to tell a user what went wrong: a single line that says what, where and how to mend it."""

from __future__ import annotations

import sys
from collections.abc import Callable


class UserError(Exception):
    """A mistake the user can mend. `str(error)` is one line: what is wrong, where, and the remedy."""


def run_cli(main: Callable[[], int | None]) -> None:
    """Run a command's `main`, turn a `UserError` into one line on stderr and exit code 2."""
    try:
        code = main()
    except UserError as error:
        print(f"encmac: error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("encmac: interrupted; finished steps are kept, run the same command to go on", file=sys.stderr)
        sys.exit(130)
    sys.exit(code or 0)
