"""Quality-of-result rules: bounds that a platform's small columns must keep, `python -m flows.rules`.

`flows/rules/<platform>.toml` has a table for each design: most area (um2) in all and by what cells are for,
least slack (ns), most power (mW) on tiles of ResNet-20. What is worse than a bound is named with its module.
`--update` writes the bounds anew from what is measured, with the tolerances of the file.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from common.errors import UserError
from common.files import write_text
from flows.platform import load_platform
from flows.power.measure import Conditions, measure
from flows.ppa import fill
from flows.synth.measure import best_variant, forms, record
from models.replay import load_capture
from tools.options import parse

RULES = Path(__file__).parent
VECTORS = 32  # of each tile, for power
PARTS = ("flip-flops", "adders", "buffers", "logic")


def load_rules(platform: str) -> dict:
    """The rules of a platform; raises UserError if there are none or they are malformed."""
    path = RULES / f"{platform}.toml"
    try:
        rules = tomllib.loads(path.read_text())
        for key in ("rows", "area_tolerance_percent", "power_tolerance_percent", "slack_tolerance_ns", "designs"):
            rules[key]
    except FileNotFoundError as error:
        known = ", ".join(sorted(p.stem for p in RULES.glob("*.toml")))
        raise UserError(f"no rules for platform '{platform}': {path} does not exist; known: {known}") from error
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise UserError(f"{path}: {error}; see flows/rules/osu018.toml for the fields") from error
    return rules


def figures(entry: dict) -> dict[str, float]:
    """What of an entry of ppa.json the rules bound."""
    area = entry["area_um2"]
    found = {"area": area["total"]} | {part: area["by_purpose"][part] for part in PARTS}
    found["slack"] = entry["wns_ns"]
    if entry.get("power_mw"):
        found["power"] = entry["power_mw"]["total"]
    return found


def violations(entries: list[dict], rules: dict) -> list[str]:
    """One line for each bound that is not kept, and for each design of the rules that was not measured."""
    lines = []
    by_name = {entry["design"]: entry for entry in entries}
    for design, bounds in rules["designs"].items():
        if design not in by_name:
            lines.append(f"{design}: not measured")
            continue
        entry = by_name[design]
        if entry["gate_sim"] != "passed":
            lines.append(f"{design}: its gate-level simulation is '{entry['gate_sim']}'")
        found = figures(entry)
        for key, bound in bounds.items():
            if key not in found:
                lines.append(f"{design}: no {key} was measured")
                continue
            unit = {"slack": "ns", "power": "mW"}.get(key, "um2")
            if key == "slack":
                if found[key] < bound - rules["slack_tolerance_ns"]:
                    lines.append(f"{design}: slack {found[key]:g} ns, the rule is {bound:g}")
            else:
                limit = bound * (1 + rules[f"{'power' if key == 'power' else 'area'}_tolerance_percent"] / 100)
                if found[key] > limit:
                    more = 100 * (found[key] / bound - 1) if bound else float("inf")
                    lines.append(f"{design}: {key} {found[key]:g} {unit}, {more:+.1f} % of the rule's {bound:g}")
    return lines


def measured(platform_name: str, rules: dict, out: Path) -> list[dict]:
    """The small columns of the rules, measured now."""
    platform = load_platform(platform_name)
    clock_ns, rows = platform.clock_ns, rules["rows"]
    names = [design.split()[1] for design in rules["designs"] if design.startswith("enc ")]
    table = forms(rows, names, gated=bool(platform.clock_gate), exact=True)
    folder = out / f"{platform.name}-{clock_ns:g}ns-{rows}"
    chosen = {name: table[name] for name in rules["designs"] if name in table}
    results = [best_variant(variants, rows, platform, clock_ns, folder) for variants in chosen.values()]
    entries = [record(result, platform, clock_ns) for result in results]
    given = Conditions(platform, load_capture(), VECTORS)
    for entry in entries:
        if entry["gate_sim"] == "passed":
            fill(entry, measure(entry, given))
    return entries


def rules_text(rules: dict, entries: list[dict]) -> str:
    """The rules as TOML with what was measured as bounds."""
    lines = [f"# Written by: python -m flows.rules --platform {entries[0]['platform']} --update"]
    lines += [f"{key} = {value}" for key, value in rules.items() if key != "designs"]
    for entry in entries:
        lines += ["", f'[designs."{entry["design"]}"]']
        lines += [f"{key} = {value:g}" for key, value in figures(entry).items()]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Command line; exit code 1 if a rule is not kept."""
    args = parse("flows.rules")
    rules = load_rules(args.platform)
    try:
        entries = json.loads(args.ppa.read_text())["designs"] if args.ppa else None
    except (OSError, KeyError, json.JSONDecodeError) as error:
        raise UserError(f"{args.ppa}: no ppa.json ({error}); run make synth") from error
    entries = entries if entries is not None else measured(args.platform, rules, args.out.resolve())
    if args.update:
        write_text(RULES / f"{args.platform}.toml", rules_text(rules, entries))
        return 0
    broken = violations(entries, rules)
    for line in broken:
        print(f"{args.platform}: {line}")
    print(f"{len(rules['designs'])} designs, {len(broken)} rules not kept")
    return 1 if broken else 0
