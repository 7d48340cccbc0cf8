"""The C++ parts under AddressSanitizer and UndefinedBehaviorSanitizer: their own tests, and files that are damaged.

The libraries are compiled anew with the sanitizers, and Python is started with the sanitizer's runtime loaded first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from models.provenance import ROOT

FLAGS = "-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all"
# source -> tests that call all of its functions
SUITES = {
    "models/emulate/table_conv.cpp": ["tests/test_emulate.py"],
    "models/quant/exchange.cpp": ["tests/test_choose.py", "-k", "lowers_the_error or threads"],
    "models/search/kernel.cpp": ["tests/test_search.py", "-k", "native or same_seed or paper or csd or wide"],
    "flows/power/simulate.cpp": [
        "tests/test_power.py",
        "-k",
        "stored_values or cannot_be_simulated or delays_are_read",
    ],
    "flows/power/vcd_count.cpp": [
        "tests/test_fuzz.py",
        "tests/test_power.py",
        "-k",
        "vcd or dump or transitions_are_counted",
    ],
}
WRONG = {
    "AddressSanitizer: heap-use-after-free": "volatile int* p = new int[4]; delete[] p; return p[n - 4];",
    "signed integer overflow": "return 2147483644 + n;",
    "shift exponent": "return 1 << (n * 10);",
}


def sanitized(*command: str | Path, **more: str) -> subprocess.CompletedProcess:
    """Run Python with the sanitizers' runtime; native parts are compiled with them."""
    if not shutil.which("g++"):
        pytest.skip("needs g++ (make setup)")
    found = [
        subprocess.check_output(["g++", f"-print-file-name=lib{n}.so"], text=True).strip() for n in ("asan", "ubsan")
    ]
    if not all(Path(path).is_file() for path in found):
        pytest.skip("this g++ has no sanitizers")
    environment = os.environ | {
        "ENCMAC_CXXFLAGS": FLAGS,
        "CXX": "g++",
        "LD_PRELOAD": " ".join(found),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python's own
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    environment.pop("PYTEST_ADDOPTS", None)
    command = [sys.executable, *map(str, command)]
    return subprocess.run(command, cwd=ROOT, env=environment | more, capture_output=True, text=True)


def test_every_source_is_here():
    sources = subprocess.check_output(["git", "ls-files", "*.cpp"], cwd=ROOT, text=True).split()
    assert sorted(SUITES) == [s for s in sources if not s.startswith(("bench/", "tb/"))]  # those are of simulators


@pytest.mark.parametrize("source", SUITES, ids=lambda source: Path(source).stem)
def test_clean(source):
    done = sanitized("-m", "pytest", "-q", *SUITES[source])
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr
    assert list((ROOT / "build/native").glob(f"{Path(source).stem}_*.so"))


@pytest.mark.parametrize("fault", WRONG)
def test_faults_are_seen(fault, tmp_path):
    source = tmp_path / "wrong.cpp"
    source.write_text(f'extern "C" int wrong(int n) {{ {WRONG[fault]} }}\n')
    program = (
        "import sys; from pathlib import Path; from models.emulate import native\n"
        "native.BUILD = Path(sys.argv[1]).parent\n"
        "library = native.load_library(Path(sys.argv[1])); library.wrong(int(sys.argv[2]))\nprint('survived')\n"
    )
    done = sanitized("-c", program, source, "4")
    assert done.returncode != 0 and "survived" not in done.stdout and fault in done.stderr
