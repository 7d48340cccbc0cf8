"""One page of all that was measured, from the records in build/reports: `python -m flows.report`.

`report.html` holds its figures, data and scripts: it needs no network and no other file. The figures are also
written one by one, as SVG, PNG and CSV. A record that is absent is shown as not run, with its command.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import altair as alt
import jinja2
import vl_convert
from tqdm import tqdm

from common.console import signed
from common.errors import run_cli
from common.files import write_bytes, write_text
from common.logs import log_of_test
from common.provenance import git_commit
from flows.report.charts import Figure, figures
from flows.report.facts import Facts, gather
from flows.report.records import KINDS, Records, load_records
from flows.verdict import COLUMNS as VERDICT_COLUMNS
from tools.options import parse

PAGE = Path(__file__).parent / "page"
VEGA_LITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
PNG_SCALE = 2


def as_csv(figure: Figure) -> str:
    """The rows of a figure."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(figure.rows[0]), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(figure.rows)
    return text.getvalue()


def shown(value: object, form: str) -> str:
    """A cell of a table: a format of Python, perhaps with a unit after a space, or `hash`."""
    if value is None or value == "":
        return "-" if form else ""
    if form == "hash":
        return str(value)[:10]
    number, _, unit = form.partition(" ")
    if number.startswith("+."):
        return f"{signed(value, int(number[2]))} {unit}".strip()
    return f"{format(value, number)} {unit}".strip() if form else str(value)


def embedded(spec: dict) -> str:
    """JSON that may stand in a script element."""
    return json.dumps(spec, separators=(",", ":")).replace("</", "<\\/")


def render(records: Records, facts: Facts, drawn: list[Figure]) -> str:
    """The page."""
    loader = jinja2.FileSystemLoader(PAGE)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["embedded"] = lambda spec: jinja2.utils.markupsafe.Markup(embedded(spec))
    environment.globals |= {"csv": as_csv, "shown": shown}
    with records.reading(*records.found):
        tests = [
            test | {"where": f"{test['simulator']} {test['design']}", "text": log_text(test)}
            for test in sorted(records["sim"].get("tests", []), key=lambda test: test["status"] == "passed")
        ]
        template = environment.get_template("page.html.jinja")
        fields = dict(
            facts=facts,
            figures=drawn,
            tests=tests,
            sim=records["sim"],
            coverage=records["coverage"],
            code=records["code_coverage"],
            mutants=records["mutants"],
            replay=records["replay"],
            kinds=KINDS,
            verdict_head=[(title, key, "") for key, title in VERDICT_COLUMNS.items()],
            found=records.found,
            commit=git_commit() or "unknown",
            made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            vega_version=VEGA_LITE,
            css=(PAGE / "page.css").read_text(),
            js=(PAGE / "page.js").read_text(),
            bundle=vega(),
        )
        try:
            return template.render(fields)
        except jinja2.UndefinedError as error:
            raise ValueError(error) from error


@cache
def vega() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script."""
    return vl_convert.javascript_bundle(vl_version=VEGA_LITE).replace("</script", "<\\/script")


def log_text(test: dict) -> str:
    """The part of a log that belongs to a test; empty if the log is gone."""
    return log_of_test(Path(test["log"]), test["name"]) if test["log"] else ""


def write_figures(drawn: Iterable[Figure], folder: Path) -> None:
    """<name>.svg, .png and .csv of each figure."""
    for figure in drawn:
        spec = figure.static_spec
        write_text(folder / f"{figure.name}.svg", vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE))
        write_bytes(folder / f"{figure.name}.png", vl_convert.vegalite_to_png(spec, VEGA_LITE, scale=PNG_SCALE))
        write_text(folder / f"{figure.name}.csv", as_csv(figure))


def main() -> None:
    """Command line of the report."""
    args = parse("flows.report")
    out = args.out or args.reports
    records = load_records(args.reports)
    facts = gather(records, args.headline)
    drawn = figures(facts)
    page = render(records, facts, drawn)
    silent = args.quiet or not sys.stderr.isatty()
    write_figures(tqdm(drawn, desc="figures", leave=False, disable=silent), out / "figures")
    write_text(out / "report.html", page)
    if args.json:
        print(json.dumps(facts.json() | {"page": str(out / "report.html")}, indent=1))
    elif not args.quiet:
        for card in facts.cards:
            print(f"{card.title:9}  {card.value:16}  {card.detail}")
        print(f"written to {out / 'report.html'}")


if __name__ == "__main__":
    run_cli(main)
