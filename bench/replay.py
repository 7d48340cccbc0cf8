"""Clock cycles a second of a Verilated array: tiles sent by pyuvm through the tile port, every result compared,
beside a C++ loop that drives the array's ports and compares nothing. And multiplications a second of a replay of the
shipped layers, beside that loop in as many cycles.

Both are built from the same RTL with the same flags; in each round one runs after the other. Seconds are
those of the processor, so that what else a machine does counts little.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

from bench.timing import Effort, Row
from common.errors import UserError
from tb.control.build import (
    CONTROL,
    FAST_FLAGS,
    LIMIT_S,
    ROOT,
    LeanVerilator,
    build,
    defines,
    prepare_environment,
    sources,
)
from tb.control.suites import Config
from tb.replay.design import ARRAYS, replay_config

MAIN = Path(__file__).parent / "array_main.cpp"
VECTORS = 1024  # of a tile
LEAST_SECONDS = 1.5  # of one run
TILES_OF_LAYERS = 8  # as many long tiles take about as long as the shipped layers


def build_plain(config: Config, folder: Path, rtl: Path = ROOT / "rtl") -> Path:
    """Executable of the array with a C++ main, built unless it exists."""
    config = dataclasses.replace(config, port=False)
    files = sources(config, folder, rtl)
    digest = hashlib.sha256(json.dumps([config.parameters, FAST_FLAGS]).encode())
    for path in [*files, CONTROL, *sorted(rtl.glob("*.svh"))]:
        digest.update(path.name.encode() + path.read_bytes())
    target = folder / f"plain-{config.array}-{digest.hexdigest()[:10]}"
    if not (target / "built").exists():
        command = ["verilator", "--cc", "--exe", "--prefix", "Vtop", "--top-module", config.top]
        command += ["-Mdir", str(target), *FAST_FLAGS, "-o", "array", f"-I{rtl}", "--timescale", "1ns/1ps"]
        command += [f"-D{key}={value}" for key, value in defines(config).items()]
        command += [f"-G{key}={value}" for key, value in config.parameters.items()]
        run_tool([*command, *map(str, [MAIN, CONTROL, *files])], config)
        (target / "built").touch()
    run_tool(["make", "-C", str(target), "-f", "Vtop.mk"], config)  # what changed since, if anything
    return target / "array"


def run_tool(command: list[str], config: Config) -> None:
    """Run a step of a build."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if "rror" in line] or ["no message"]
        raise UserError(f"build of the C++ loop around {config.design} failed: {lines[0]}")


def plain_speed(executable: Path, tiles: int) -> tuple[int, float]:
    """(cycles, seconds) of the C++ loop."""
    command = [str(executable), str(VECTORS), str(tiles)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT_S)
    cycles, seconds, _ = done.stdout.split()
    return int(cycles), float(seconds)


def port_speed(config: Config, directory: Path, test: str, work: str) -> dict:
    """What a test of bench.replay_speed leaves in its record, told by `work` how much to do."""
    with tempfile.TemporaryDirectory(prefix="encmac-bench-") as scratch:
        folder = Path(scratch)
        tool = LeanVerilator()
        environment = {
            "ENCMAC_CONFIG": json.dumps(config.array_fields),
            "ENCMAC_RECORDS": str(folder / "records.jsonl"),
            "ENCMAC_SPEED": work,
            "COCOTB_ANSI_OUTPUT": "0",
            "OPENBLAS_NUM_THREADS": "1",
        }
        try:
            tool.test(
                test_module="bench.replay_speed",
                test_filter=f"{test}$",
                hdl_toplevel=config.top,
                build_dir=directory,
                test_dir=folder,
                hdl_toplevel_lang="verilog",
                results_xml=str(folder / "results.xml"),
                log_file=folder / "sim.log",
                extra_env=environment,
            )
            return json.loads((folder / "records.jsonl").read_text())
        except (OSError, RuntimeError, ValueError, SystemExit) as error:
            raise UserError(f"{config.design}: the run through the port failed ({error})") from error


def right(record: dict) -> bool:
    """Something was compared, and nothing was wrong."""
    return record["matches"] > 0 and not record["mismatches"] and not record["errors"]


def measure(kind: str, effort: Effort, size: int) -> list[Row]:
    """One array: cycles of long tiles, products of layers."""
    config, builds = replay_config(kind, None, size, size), ROOT / "build" / "sim"
    directory, plain = build(config, ROOT / "rtl", builds), build_plain(config, builds)
    cycles, seconds = plain_speed(plain, 2)
    tiles = max(1, round(max(effort.seconds, LEAST_SECONDS) * cycles / seconds / VECTORS))
    rates: dict[str, list[float]] = {"ours": [], "peer": [], "layers": []}
    good = True
    for _ in range(effort.rounds):
        found = port_speed(config, directory, "port_speed", f"{VECTORS} {tiles}")
        rates["ours"].append(found["speed_cycles"] / found["speed_seconds"] / 1e3)
        layers = port_speed(config, directory, "layers_speed", str(max(1, tiles // TILES_OF_LAYERS)))
        rates["layers"].append(layers["speed_macs"] / layers["speed_seconds"] / 1e6)
        good = good and right(found) and right(layers)
        cycles, seconds = plain_speed(plain, tiles)
        rates["peer"].append(cycles / seconds / 1e3)
    ours, peer, replayed = (statistics.median(rates[side]) for side in ("ours", "peer", "layers"))
    most = peer * layers["speed_macs"] / layers["speed_cycles"] / 1e3
    note = f"{VECTORS} vectors a tile, random operands; ours compares every result, the peer none"
    whole = "the shipped layers of ResNet-20, cut, run, compared, put together; the peer: its cycles alone"
    return [
        Row("replay", config.design, "C++ loop", ours, peer, "kcycle/s", good, note),
        Row("replay", f"{config.design}, layers", "C++ loop in as many cycles", replayed, most, "MMAC/s", good, whole),
    ]


def run(effort: Effort, size: int) -> list[Row]:
    """All kinds of arrays, `size` x `size`."""
    prepare_environment()
    return [row for kind in ARRAYS for row in measure(kind, effort, size)]
