"""Verilator -Wall over every array kind and every encoding of the library: `python -m tb.lint`."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from models.encoding import library_names, load_encoding
from models.errors import UserError, run_cli
from tb.runner import CONTROL, ROOT, Config, defines, prepare_environment, sources


def configurations() -> list[Config]:
    """Small arrays that reach every generate branch."""
    small = {"rows": 4, "columns": 4, "rows_per_group": 2}
    configs = [Config("verilator", "conv", form=form, **small) for form in range(3)]
    configs += [Config("verilator", "conv", rows=rows, columns=rows, depth=2 * rows - 1) for rows in (4, 1)]
    for name in library_names():
        configs += [Config("verilator", "enc", name, merged=False, **small)]
        if load_encoding(name).is_power_of_two:
            configs += [Config("verilator", "enc", name, merged=True, **small)]
    return configs


def main() -> int:
    """Lint everything; exit code 1 if there is a single warning."""
    prepare_environment()
    faults = 0
    with tempfile.TemporaryDirectory() as scratch:
        for config in configurations():
            command = ["verilator", "--lint-only", "-Wall", "--assert", "--top-module", config.top, f"-I{ROOT / 'rtl'}"]
            command += [f"-D{key}={value}" for key, value in defines(config).items()]
            command += [f"-G{key}={value}" for key, value in config.parameters.items()]
            command += map(str, [CONTROL, *sources(config, Path(scratch), ROOT / "rtl")])
            try:
                done = subprocess.run(command, capture_output=True, text=True)
            except FileNotFoundError as error:
                raise UserError("verilator is not installed; run: make setup") from error
            complaints = [line for line in done.stderr.splitlines() if line.startswith("%")]
            if done.returncode or complaints:
                faults += 1
                print(f"{config.design}:\n{done.stderr}")
    print(f"rtl: {len(configurations())} configurations, {faults} with warnings")
    return 1 if faults else 0


if __name__ == "__main__":
    run_cli(main)
