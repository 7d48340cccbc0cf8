"""One way to download a file: checked, whole or not at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from common.errors import UserError


def file_digest(path: Path, algorithm: str) -> str:
    """Checksum of a file in hexadecimal; `algorithm` as hashlib names it."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def check_digest(path: Path, algorithm: str, expected: str) -> None:
    """Raise UserError if a file's checksum is not the expected one."""
    if (found := file_digest(path, algorithm)) != expected:
        raise UserError(f"{path} has {_title(algorithm)} {found}, expected {expected}; delete it and fetch it again")


def download(
    url: str,
    target: Path,
    algorithm: str,
    expected: str,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> Path:
    """Download `url` to `target`, checked; a file that is there already is checked and kept.

    `progress(bytes so far, bytes in all or None)` is called as blocks arrive. No file is left behind
    when the download breaks or the checksum differs.
    """
    if target.exists():
        check_digest(target, algorithm, expected)
        return target
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with urllib.request.urlopen(url, timeout=60) as response, part.open("wb") as sink:
                total, done = response.headers.get("Content-Length"), 0
                while block := response.read(1 << 20):
                    sink.write(block)
                    done += len(block)
                    progress(done, int(total) if total else None)
            if (found := file_digest(part, algorithm)) != expected:
                raise UserError(
                    f"{url} came with {_title(algorithm)} {found}, expected {expected}; try again or elsewhere"
                )
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        raise UserError(
            f"download of {url} to {target.parent} failed ({error}); get it by hand into {target.parent}"
        ) from error
    return target


def _title(algorithm: str) -> str:
    return {"md5": "MD5", "sha256": "SHA-256"}.get(algorithm, algorithm)
