"""Where a figure comes from: what every report says of the checkout that made it."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@functools.cache
def git_commit() -> str | None:
    """Commit of the sources when this process first asked, "-dirty" if tracked files differ; None outside a git
    checkout.
    """
    command = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
