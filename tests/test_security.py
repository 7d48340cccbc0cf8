"""Who may reach what: Dask over TLS, plain TCP on this machine alone, what runs a user's code is said to."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from common.errors import UserError
from common.provenance import ROOT
from models.search.islands import Dask
from tools import doctor
from tools.commands import COMMANDS
from tools.doctor import normal
from tools.options import parse

CERTIFICATES = ROOT / "tools" / "certificates.sh"
NAMES = ["ca.pem", "cert.pem", "key.pem"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Path:
    """A folder of certificates, made as the docs say."""
    folder = tmp_path_factory.mktemp("tls")
    done = subprocess.run([CERTIFICATES, folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_certificates_are_private_and_made_once(certificates):
    assert sorted(path.name for path in certificates.iterdir()) == NAMES, "the authority's key is gone"
    assert all(path.stat().st_mode & 0o077 == 0 for path in certificates.iterdir())
    before = (certificates / "key.pem").read_bytes()
    done = subprocess.run([CERTIFICATES, certificates], capture_output=True, text=True)
    assert done.returncode == 2 and "has certificates already" in done.stderr
    assert (certificates / "key.pem").read_bytes() == before


@pytest.fixture
def cluster(certificates):
    """Address of a scheduler over TLS on loopback, with a worker, started as SECURITY.md says."""
    pytest.importorskip("distributed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    ca, cert, key = (str(certificates / name) for name in NAMES)
    tls = ["--tls-ca-file", ca, "--tls-cert", cert, "--tls-key", key]
    dask = [sys.executable, "-m", "dask"]
    quietly = {"cwd": ROOT, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    address = f"tls://127.0.0.1:{port}"
    commands = [
        [*dask, "scheduler", "--protocol", "tls", "--host", "127.0.0.1", "--port", port, "--no-dashboard", *tls],
        [*dask, "worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny", *tls],
    ]
    commands[1] += ["--local-directory", tempfile.gettempdir()]
    started = [subprocess.Popen(command, **quietly) for command in commands]
    try:
        yield address
    finally:
        for process in started:
            process.kill()
            process.wait()


def connected(address: str) -> Dask:
    """A client, once the scheduler listens."""
    for _ in range(20):
        try:
            return Dask(address)
        except UserError:
            continue
    return Dask(address)


def test_tls_on_loopback(cluster, certificates, tmp_path, monkeypatch):
    monkeypatch.setenv("ENCMAC_TLS", str(certificates))
    dask = connected(cluster)
    dask.client.wait_for_workers(1, timeout=1200)
    assert dask.map(pow, [(2, 3), (3, 2)]) == [8, 9]
    assert dask.client.security.require_encryption
    dask.client.close()
    # certificates of another authority, none at all, no encryption: no way in
    other = tmp_path / "other"
    subprocess.run([CERTIFICATES, other], check=True, capture_output=True)
    monkeypatch.setenv("ENCMAC_TLS", str(other))
    with pytest.raises(UserError, match="no Dask scheduler at tls://"):
        Dask(cluster)
    monkeypatch.setenv("ENCMAC_TLS", str(tmp_path / "none"))
    with pytest.raises(UserError, match="needs .*ca.pem; make certificates with tools/certificates.sh"):
        Dask(cluster)
    with pytest.raises(UserError, match="no Dask scheduler at tcp://"):
        Dask(cluster.replace("tls://", "tcp://"))


@pytest.mark.parametrize("module", ["tb.runner", "tb.replay", "models.search"])
def test_plain_tcp_is_for_this_machine_unless_asked_for_by_name(module):
    words = ["-M", "8", "--scheduler"] if module == "models.search" else ["--scheduler"]
    for address in ("tls://far:8786", "tcp://127.0.0.1:8786", "tcp://localhost:1", "insecure-tcp://10.0.0.7:8786"):
        assert parse(module, [*words, address]).scheduler == address
    with pytest.raises(UserError, match=r"plain TCP .* use tls:// .*: insecure-tcp://far:8786"):
        parse(module, [*words, "tcp://far:8786"])
    for address in ("far:8786", "tcp://127.0.0.1.evil.org:1", "http://x:1", "tls://x:99999", "tcp://127.0.0.1:1 "):
        with pytest.raises(UserError, match="--scheduler"):
            parse(module, [*words, address])


def test_scheduler_of_the_environment_is_checked_too():
    environment = os.environ | {"SCHEDULER": "tcp://far:8786"}
    command = [sys.executable, "-m", "tb.runner", "--suite", "tiny"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and "use tls://" in done.stderr and done.stderr.count("\n") == 1


def test_what_runs_code_says_so():
    """Options that take a C file or a Python function tell that it is run; SECURITY.md names them."""
    told = [o for c in COMMANDS for o in c.options if ".c " in o.help or ".py:" in o.help]
    assert len(told) >= 4 and all(re.search(r"\brun\b", option.help) for option in told)
    page = (ROOT / "SECURITY.md").read_text()
    assert all(word in page for word in ("mine.c", "mine.py:function", "tls://", "allow_pickle"))


def test_no_reader_unpickles():
    """numpy archives are read without pickle; torch checkpoints with weights only; other pickles with few classes."""
    sources = subprocess.check_output(["git", "ls-files", "*.py"], cwd=ROOT, text=True).split()
    for path in sources:
        text = (ROOT / path).read_text()
        if path == "tests/test_security.py":
            continue
        found = re.findall(r"allow_pickle\s*=\s*True|pickle\.loads?\(|pickle\.Unpickler|weights_only\s*=\s*False", text)
        limited = found == ["pickle.Unpickler"] and "def find_class(" in text  # classes that it names, no others
        assert not found or (path in ("models/datasets/cifar.py", "models/importers/reference.py") and limited), path
        for call in re.findall(r"torch\.load\([^\n]*", text):
            assert "weights_only=True" in call, f"{path}: {call}"


def test_lock_is_current():
    """The lock has every pin but torch, with hashes; and so has all that they need here."""
    lock = (ROOT / "requirements.lock").read_text()
    locked = dict(re.findall(r"^([\w.-]+)==([\w.+]+)[^\n]*\\\n    --hash=sha256:[0-9a-f]{64}", lock, re.MULTILINE))
    pins = {normal(pin.name): pin.version for pin in doctor.pins()}
    assert {name: locked.get(name) for name in pins if name != "torch"} == {
        name: version for name, version in pins.items() if name != "torch"
    }, "write it with tools/lock.sh"
    needed, waiting = set(), list(pins)
    while waiting:
        name = waiting.pop()
        for text in metadata.requires(name) or ():
            requirement = Requirement(text)
            other = normal(requirement.name)
            if not requirement.marker or requirement.marker.evaluate({"extra": ""}):
                waiting += [] if other in needed else [other]
                needed.add(other)
    assert needed - set(locked) - {"torch"} == set()
