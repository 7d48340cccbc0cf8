"""Records of the right form with made-up figures, for tests of what reads them; nothing in them was measured."""

from __future__ import annotations

import json
from pathlib import Path

from models.encoding import load_encoding
from models.search.islands import Archive

COMMIT = "0" * 40
ENCODINGS = {"exact36": (36, 0.0), "m28p": (28, 0.03), "m20p": (20, -0.11), "m16p": (16, -0.79), "m12p": (12, -1.6)}
PARTS = ("activation", "weight", "products", "count", "decoder", "clock", "weight clock")


def sim() -> dict:
    """Two tests that passed, one that failed."""
    tests = []
    for number in range(12):
        status = "failed" if number == 7 else "passed"
        tests.append(
            {
                "name": f"array_made_up_{number}",
                "suite": "smoke",
                "array": "enc",
                "design": "enc m32p merged 16x16 g16" if number % 2 else "conv written 16x16",
                "simulator": "verilator",
                "seed": 1,
                "status": status,
                "matches": 1000 * (status == "passed"),
                "mismatches": 3 * (status == "failed"),
                "duration_s": 0.5 + number,
                "replay": f"make sim SEED=1 TEST=array_made_up_{number} WAVES=1",
                "message": "" if status == "passed" else "expected <3>, got 4",
                "log": "/nowhere/sim.log",
                "waves": "",
                "netlist_sha256": "",
            }
        )
    totals = {"tests": 12, "passed": 11, "failed": 1, "matches": 11000, "mismatches": 3}
    plan = {"stage": "smoke", "testpoints": {"array.corners": []}, "descriptions": {"array.corners": "Corners."}}
    totals |= {"testpoints": 1, "testpoints_failed": 0}
    return {"format": "encmac-sim/1", "totals": totals, "tests": tests, "testplan": plan, "tools": {"cocotb": "2.1.0"}}


def coverage() -> dict:
    """One cover point with a hole."""
    hit, hole = {"tests": 2, "first": "verilator conv array_made_up_0"}, {"tests": 0, "first": None}
    point = {"bins": {"a = 0": hit, "a = 1": hole}, "excluded": {}, "missing": ["a = 1"], "closure": 50.0}
    totals = {"points": 1, "bins": 2, "hit": 1, "excluded": 0}
    return {"format": "encmac-coverage/1", "totals": totals, "closure": 50.0, "points": {"enc.a": point}}


def code_coverage() -> dict:
    """Lines and toggles."""
    line = {"percent": 99.0, "hit": 99, "points": 100, "excluded": 1, "target": 98.0}
    reasons = [{"kind": "line", "points": 1, "reason": "never reached on purpose"}]
    totals = {"line": line, "toggle": line | {"target": 95.0}}
    return {"format": "encmac-code-coverage/1", "totals": totals, "missing": [], "excluded": reasons}


def mutants() -> dict:
    """One killed, one equivalent."""
    killed = {"file": "array/enc_column.sv", "line": 7, "kind": "operator", "before": "a + b", "after": "a - b"}
    killed |= {"status": "killed", "design": "enc 4x4", "test": "array_made_up", "message": "", "seconds": 1.0}
    other = killed | {"status": "equivalent", "before": "a < 4", "after": "a <= 4", "message": "a is never 4"}
    totals = {"mutants": 2, "percent": 100.0, "target": 95.0, "killed": 1, "survived": 0, "equivalent": 1, "refused": 0}
    return {"format": "encmac-mutants/1", "seed": 1, "totals": totals, "mutants": [killed, other], "tools": {}}


def formal() -> dict:
    """A proof and a timeout."""
    proof = {"name": "full_adder/1", "module": "full_adder", "parameters": {}, "claim": "x + y + z = sum + 2 carry"}
    proof |= {"method": "exhaustive", "result": "proven", "detail": "8 cases", "seconds": 0.1}
    late = proof | {"name": "full_adder/2", "result": "timeout", "detail": "120 s"}
    return {"format": "encmac-formal/1", "proofs": [proof, late], "proven": 1, "total": 2, "tools": {"pyosys": "0.70"}}


def replay() -> dict:
    """Twenty layers."""
    layers = []
    for number in range(20):
        layers.append(
            {
                "name": f"layer{number // 6}.{number % 6}.conv",
                "shape": "16>16 3x3, 32x32",
                "mapping": "1 x 4x1",
                "macs": 2_000_000,
                "tiles": 30,
                "tiles_run": 30,
                "macs_run": 2_000_000,
                "cycles": 700 + 40 * number,
                "naive_cycles": 2000,
                "utilisation": 0.9 - 0.02 * number,
                "naive_utilisation": 0.3,
                "compared": 40_000,
                "mismatches": 0,
                "tiles_resumed": 0,
                "zero_activations": 0.5,
                "seconds": 0.4,
                "macs_per_second": 5_000_000,
                "equals_emulator": True,
                "errors": [],
            }
        )
    totals = {key: sum(layer[key] for layer in layers) for key in ("tiles", "tiles_run", "cycles", "compared")}
    totals |= {"macs_run": 40_000_000, "mismatches": 0, "wall_s": 8.5}
    record = {"format": "encmac-replay/1", "design": "conv written 64x64", "network": "made_up", "layers": layers}
    return record | {"totals": totals, "scores": {"equal_emulator": True}, "sampling": None, "git_commit": COMMIT}


def gates() -> dict:
    """A netlist that is right and one that is not."""
    row = {"design": "enc m20p merged", "network": "made_up", "rows": 64, "netlist_sha256": "ab" * 32}
    row |= {"images": 10_000, "matches": 7_000_000, "wrong": 0, "same_scores": 10_000, "right": 9_100, "macs": 10**9}
    row |= {"top1": 0.91, "gmac_per_s_a_core": 3.5, "passed": True, "platform": "osu018"}
    row |= {"platform_sha256": "cd" * 32, "clock_ns": 10.0, "gated": 1, "images_sha256": "ef" * 32}
    bad = row | {"design": "conv tree", "matches": 6_999_993, "wrong": 7, "same_scores": 9_998, "passed": False}
    return {"format": "encmac-gates/1", "designs": [row, bad], "stale": []}


def accuracy() -> dict:
    """Two networks."""
    rows = []
    for network, int8, harm in (("resnet_made_up", 0.9145, 1.0), ("mobilenet_made_up", 0.93, 2.5)):
        for encoding, (bits, change) in ENCODINGS.items():
            top1 = {"fp32": 0.9144, "int8": int8, "encoded": int8 + harm * change / 100, "encoded_finetuned": None}
            if harm > 1:
                top1["encoded_finetuned"] = int8 + 0.4 * change / 100
            row = {"network": network, "dataset": "cifar10", "encoding": encoding, "product_bits": bits}
            rows.append(row | {"images": 10_000, "top1": top1, "seed": 1, "git_commit": COMMIT, "tools": {}})
    return {"format": "encmac-accuracy/1", "rows": rows}


def ppa(power: bool = True) -> dict:
    """Columns on two platforms."""
    designs = []
    for platform, scale in (("osu018", 1.0), ("made_up_7nm", 0.002)):
        plain = {"conv tree": 950_000, "conv booth": 1_060_000}
        sizes = plain | {f"enc {name} merged": 20_000 * bits for name, (bits, _) in ENCODINGS.items()}
        for name, size in sizes.items():
            area = round(scale * size, 1)
            encoding = name.split()[1] if name.startswith("enc") else None
            designs.append(
                {
                    "design": name,
                    "platform": platform,
                    "parameters": {"Rows": 64, "adders": "ripple", "booth": False},
                    "encoding": encoding,
                    "encoding_source": encoding,
                    "clock_ns": 10.0,
                    "wns_ns": 1.5,
                    "fmax_mhz": 117.6,
                    "cells": size // 70,
                    "area_um2": {
                        "total": area,
                        "sequential": area / 5,
                        "combinational": 4 * area / 5,
                        "per_mac": area / 64,
                    },
                    "power_mw": None,
                    "activity": None,
                    "netlist_sha256": "ab" * 32,
                    "gate_sim": "passed",
                    "gate_sim_matches": 640,
                }
            )
            if power:
                total = area / 9000
                shares = {part: total / len(PARTS) for part in PARTS}
                designs[-1]["area_um2"]["by_part"] = {part: area / len(PARTS) for part in PARTS}
                designs[-1]["power_mw"] = {"total": total, "zero_delay_total": total, "by_part": shares}
                designs[-1]["energy_per_mac_pj"] = total / 5
                activity = {"source": "workload", "annotated_percent": 100.0, "glitch_percent": 12.0}
                activity["workload"] = {"network": "made_up"}
                designs[-1]["activity"] = activity
                glitches = {"ratio": 1.15, "interval": [1.14, 1.16], "tiles": 40}
                test = {"network": "made_up", "images": 512, "column": 0.9 * total, "zero_delay_column": 0.8 * total}
                test |= {"total": 0.9 * total, "column_interval": [0.88 * total, 0.92 * total], "glitches": glitches}
                designs[-1]["test_set"] = test
    extra = {"design": "f(a) of m20p", "encoding": "m20p", "shared": True}  # its share is in the columns
    designs.append(designs[0] | extra)
    return {"format": "encmac-ppa/1", "designs": designs, "tools": {"pyosys": "0.70", "opensta": "2.0.17"}}


def bench() -> dict:
    """Two comparisons."""
    row = {"benchmark": "search", "case": "objective", "peer_name": "reference", "ours": 2800.0, "peer": 13.9}
    row |= {"unit": "1/s", "agrees": True, "note": "", "ratio": 201.4, "machine": "made up, 1 thread used"}
    slow = row | {"benchmark": "emulate", "case": "convolution", "ratio": 0.6, "ours": 6.0, "peer": 10.0}
    return {"format": "encmac-bench/1", "benchmarks": [row, slow], "rounds": 7, "tools": {}, "git_commit": COMMIT}


ALL = (sim, coverage, code_coverage, mutants, formal, replay, gates, accuracy, ppa, bench)


def verdict(build_it: bool = True) -> dict:
    """A verdict of make explore."""
    row = {"roles": ["best encoding"], "design": "enc m16p merged", "points": -0.2, "interval": [-0.4, 0.0]}
    row |= {"way": "chosen", "array_mm2": 0.01, "array_mw": 2.5, "array_uj_per_image": 1.5}
    row |= {"tops_per_w": 4.5, "tops_per_mm2": 1.2}
    rival = row | {"roles": ["smallest exact"], "design": "enc w4a8 merged", "points": -0.1, "array_mm2": 0.02}
    bases = ("rival", "multipliers", "8_bits")
    saved = {f"{cost}_against_{base}_percent": 25.0 for cost in ("area", "power") for base in bases}
    load = {"cycles": 1000, "macs": 40_000, "bits": 2_000_000, "sram_uj": 0.625, "sram_pj_per_bit": 0.3125}
    return {
        "format": "encmac-verdict/3",
        "network": "resnet20_cifar10",
        "where": "osu018, 16 rows, 10 ns",
        "array": [16, 64],
        "loss": 0.5,
        "images": 1000,
        "build_it": build_it,
        "encoding": row["design"],
        "rivals": {"area": rival["design"], "power": rival["design"]},
        "worth_percent": 10.0,
        "saved": saved,
        "choices": [row, rival],
        "per_image": load,
        "energy_saved_percent": 20.0,
        "parts": {"area": {"adder tree": 60.0, "product bits": 40.0}},
    }


def archive() -> Archive:
    """A search of three rounds."""
    front = [
        {"cost": 20_000.0 * m, "error": 1 / m**2, "max_error": 0.1, "encoding": load_encoding(f"m{m}p").to_json()}
        for m in (16, 20, 24)
    ]
    rounds = [{"round": n, "error": 4.0 / n, "front": n} for n in (1, 2, 3)]
    return Archive({}, "", 3, [], front, rounds)


def write_records(folder: Path, makers=ALL) -> Path:
    """Write records to `folder`, an archive of a search to the folder beside it; returns `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    archive().save(folder.parent / "search" / "made_up.json")
    for maker in makers:
        (folder / f"{maker.__name__}.json").write_text(json.dumps(maker()))
    if makers is ALL:
        (folder / "verdict_resnet20_cifar10.json").write_text(json.dumps(verdict()))
    return folder
