"""One way to tell a user what went wrong: a single line that says what, where and how to mend it."""

from __future__ import annotations

import difflib
import errno
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from common import command

# of files that cannot be written: a full disk, a quota, a limit, a folder that may only be read
UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}
# of names that no file can have
UNNAMEABLE = {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR}


LONGEST = 4000  # characters of a message; a damaged file may put thousands into that of its reader


class UserError(Exception):
    """A mistake the user can mend. `str(error)` is one line: what is wrong, where, and the remedy."""

    def __init__(self, message: str) -> None:
        half = LONGEST // 2
        super().__init__(message if len(message) <= LONGEST else f"{message[:half]} ... {message[-half:]}")


def unknown(what: str, name: str, known: Iterable[str], more: str = "") -> UserError:
    """The error of a name that is none of `known`: the nearest, then all; `more` says what else may stand here."""
    names = sorted(set(known))
    folded = {n.lower(): n for n in names}
    close = [folded[n] for n in difflib.get_close_matches(name.lower(), folded, 3, 0.6)]
    guess = f"did you mean {' or '.join(close)}? " if close else ""
    return UserError(f"unknown {what} '{name}'; {guess}known: {', '.join(names) or 'none'}{more}")


def _interrupt(*_: object) -> None:
    """An end that was asked for (SIGTERM) leaves as little behind as Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise KeyboardInterrupt


def file_fault(error: OSError) -> str:
    """One line for a file that cannot be written or a name that no file can have; "" for what is no user's mistake."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in UNNAMEABLE:
        return f"{error.strerror}{where}; give the name of a file that there is"
    if error.errno in UNWRITABLE:
        return f"{error.strerror}{where}; what was finished is kept, mend it and run the same command again"
    return ""


def run_cli(main: Callable[[], int | None]) -> None:
    """Run a command's `main`; a `UserError` or a file that cannot be written is one line on stderr and exit code 2."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = main()
    except UserError as error:
        print(f"encmac: error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if not (text := file_fault(error)):
            raise
        print(f"encmac: error: {text}", file=sys.stderr)
        sys.exit(2)
    except subprocess.TimeoutExpired as error:
        program = Path(error.cmd if isinstance(error.cmd, str) else str(error.cmd[0])).name
        why = "the machine is too busy, or it hangs"
        print(
            f"encmac: error: {program} did not end in {round(error.timeout, 1):g} s: {why}; {command.kept()}",
            file=sys.stderr,
        )
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"encmac: interrupted; {command.kept()}", file=sys.stderr)
        sys.exit(130)
    sys.exit(code or 0)
