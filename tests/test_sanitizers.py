"""The C++ parts under AddressSanitizer and UndefinedBehaviorSanitizer: their own tests, and files that are damaged.

The libraries are compiled anew with the sanitizers, and Python is started with the sanitizer's runtime loaded first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from common.provenance import ROOT

FLAGS = "-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all"
# source -> tests that call all of its functions
SUITES = {
    "models/emulate/dot_conv.cpp": ["tests/test_emulate.py", "-k", "vnni"],
    "models/emulate/table_conv.cpp": ["tests/test_emulate.py", "-k", "not vnni and not aarch64"],
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
    "flows/words/words.cpp": ["tests/test_words.py", "-k", "by_hand or lanes"],
    "tb/hdl/tile_port.cpp": ["tests/test_tile_port.py"],
}
LOOP = "bench/array_main.cpp"  # a program, not a library
EMULATED = "tests/aarch64_conv.cpp"  # another, run by an emulator of its processor
# an array of 3 rows and 2 columns in place of the Verilated one: each column gives the sum of activations, late
STAND_IN = """
#include <cstdint>
#include <deque>
struct Vtop {
  uint8_t clk_i = 0, rst_ni = 0, s_axis_w_tvalid, s_axis_w_tready = 0, s_axis_w_tlast, s_axis_a_tvalid;
  uint8_t s_axis_a_tready = 0, s_axis_a_tlast, m_axis_y_tvalid = 0, m_axis_y_tready;
  int8_t s_axis_w_tdata[2], s_axis_a_tdata[3];
  int32_t m_axis_y_tdata[2];
  std::deque<int32_t> sums;
  int cycle = 0, now = 0;
  void eval() {
    const bool rise = clk_i && !now;
    now = clk_i;
    if (rise && s_axis_a_tvalid && s_axis_a_tready)
      sums.push_back(s_axis_a_tdata[0] + s_axis_a_tdata[1] + s_axis_a_tdata[2]);
    if (rise && m_axis_y_tvalid) sums.pop_front();
    if (rise) ++cycle;
    s_axis_w_tready = rst_ni;
    s_axis_a_tready = rst_ni && cycle % 3;
    m_axis_y_tvalid = !clk_i && !sums.empty() && cycle % 2;
    if (m_axis_y_tvalid) m_axis_y_tdata[0] = m_axis_y_tdata[1] = sums.front();
  }
};
"""
VERILATED = """
struct Context { void timeInc(int) {} };
struct Verilated { static Context* threadContextp() { static Context c; return &c; } };
"""
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
    assert sorted([*SUITES, LOOP, EMULATED]) == sorted(sources)


@pytest.mark.parametrize("source", SUITES, ids=lambda source: Path(source).stem)
def test_clean(source):
    done = sanitized("-m", "pytest", "-q", *SUITES[source])
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr
    assert list((ROOT / "build/native").glob(f"{Path(source).stem}_*.so"))


@pytest.mark.parametrize("vectors", [1, 7])
def test_the_loop_of_the_benchmark_is_clean(vectors, tmp_path):
    for name, text in (("Vtop.h", STAND_IN), ("verilated.h", VERILATED)):
        (tmp_path / name).write_text(text)
    program = tmp_path / "loop"
    built = subprocess.run(
        ["g++", "-std=c++17", *FLAGS.split(), f"-I{tmp_path}", str(ROOT / LOOP), "-o", str(program)],
        capture_output=True,
        text=True,
    )
    if "cannot find" in built.stderr:
        pytest.skip("this g++ has no sanitizers")
    assert built.returncode == 0, built.stderr
    done = subprocess.run([program, str(vectors), "2"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    draw = minstd_rand()
    operands = [int(np.uint8(next(draw) >> 8 & 0xFF).view(np.int8)) for _ in range(6 + 3 * vectors)][6:]
    checksum = 0
    for value in 2 * [sum(operands[3 * v : 3 * v + 3]) for v in range(vectors) for _ in range(2)]:
        checksum = (checksum * 31 + value) % 2**32
    assert done.stdout.split()[2] == str(checksum)


def minstd_rand() -> Iterator[int]:
    """C++'s generator of that name, seeded with 1."""
    state = 1
    while True:
        state = state * 48271 % (2**31 - 1)
        yield state


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
