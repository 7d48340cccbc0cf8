"""Options are declared once: make's variables, flags, checks with one-line errors, help and docs/commands.md."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from common import command
from common.errors import UserError, run_cli, unknown
from common.processes import run
from common.provenance import ROOT
from models.emulate.modules import GRADIENTS
from models.encoding import TABLE_SUFFIXES, library_names
from models.networks import NETWORKS
from models.quant.arith import ROUNDINGS
from models.quant.convert import RULES
from models.quant.correct import SCOPES
from models.rivals import ACTIVATION_BITS, WEIGHT_BITS
from models.search.presets import PRESETS
from tools import commands, options
from tools.commands import COMMANDS, TARGETS

MAKEFILE = (ROOT / "Makefile").read_text()


def make(*words: str, **variables: str) -> subprocess.CompletedProcess:
    """Run make as a user would."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")} | variables
    return subprocess.run(["make", *words], cwd=ROOT, env=environment, capture_output=True, text=True)


def refused(done: subprocess.CompletedProcess, fault: str) -> None:
    """The command ended with one line that begins so, and make's own."""
    assert (done.returncode, done.stdout) == (2, "")
    first, second = done.stderr.splitlines()
    assert first.startswith(f"encmac: error: {fault}") and second.startswith("make: ***")


def test_help_is_short_and_whole():
    done = make()
    assert done.returncode == 0 and done.stdout == make("help").stdout
    lines = done.stdout.splitlines()
    assert len(lines) <= 46 and max(map(len, lines)) <= 100
    assert [line.split()[0] for line in lines if line.startswith("  ")] == list(TARGETS)


def test_the_makefile_is_thin_and_has_every_target():
    lines = MAKEFILE.splitlines()
    assert len(lines) < 80
    listed = re.search(r"^COMMANDS := ((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE).group(1).replace("\\\n", " ").split()
    assert listed == [c.name for c in COMMANDS if c.group and c.module], "those that run one module"
    others = re.search(r"^\.PHONY: (.*) \$\(COMMANDS\)$", MAKEFILE, re.MULTILINE).group(1).split()
    assert sorted(listed + others) == sorted(TARGETS)


def test_help_of_a_target():
    done = make("help", "FOR=sim")
    assert "\n  DUT=rtl|gate  " in done.stdout and "-m tb.runner --help" in done.stdout
    assert "(default: build)" in done.stdout
    refused(make("help", "FOR=smi"), "no target 'smi'; did you mean sim?")
    refused(make("smi"), "no target 'smi'; did you mean sim?")


def test_docs_page_is_current():
    assert (ROOT / "docs/commands.md").read_text() == options.page(), "write it with: python -m tools.options page"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.name or c.module)
def test_declarations(command):
    names = [o.spelled for o in command.options]
    assert len(set(names)) == len(names) and len({o.flag for o in command.options}) == len(names)
    assert all(re.fullmatch(r"[A-Z][A-Z_0-9]*", name) for name in names)
    for option in command.options:
        assert option.help and option.kind.usage
        if isinstance(option.default, str | int | float) and option.default != "":
            assert option.kind.read(str(option.default)) == option.default
    if command.module:
        stem = command.module.replace(".", "/")
        files = [ROOT / f"{stem}{end}" for end in (".py", "/__main__.py", "/__init__.py")]
        assert any(f'parse("{command.module}"' in file.read_text() for file in files if file.is_file())
    if command.example:
        texts = dict(word.partition("=")[::2] for word in command.example.split())
        assert set(texts) <= set(names)


def test_words_are_those_of_the_code():
    """What the declaration lists without importing it."""
    assert options.TABLES == TABLE_SUFFIXES and set(library_names()) <= set(commands.encodings())
    assert options.keys_of("models/networks/__init__.py", "NETWORKS") == list(NETWORKS)
    assert sorted(commands.RIVALS) == sorted(f"w{w}a{a}" for w in WEIGHT_BITS for a in ACTIVATION_BITS)
    lists = {"correction": SCOPES, "rule": RULES, "gradient": GRADIENTS, "rounding": ROUNDINGS, "preset": PRESETS}
    for name, words in lists.items():
        kinds = [o.kind for c in COMMANDS for o in c.options if o.name == name]
        assert kinds and all(sorted(k.usage.split("|")) == sorted(words) for k in kinds)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.module], ids=lambda c: c.module)
def test_what_make_hands_over_is_what_the_module_reads(command):
    """Every option through make's variables and back through the parser."""
    typed = {}
    for option in command.options:
        words = {
            "<n>": "3",
            "<n>,...": "4,8",
            "<x>": "0.5",
            "1": "1",
            "<encoding>": "m12p",
            "<encoding>,...": "m12p,exact64",
        }
        words |= {
            "<address>": "tls://host:1",
            "<network>": "resnet20_cifar10",
            "<network>,...": "resnet20_cifar10,resnet20_cifar100",
            "<platform>": "osu018",
            "<path>": "README.md",
            "<file>": "README.md",
            "<folder>": "docs",
            "<suite>": "tiny",
        }
        typed[option.spelled] = words.get(option.kind.usage, option.kind.usage.split("|")[0])
        if option.kind.usage == "<text>":
            typed[option.spelled] = "it's; $HOME"
    texts = options.values_of(command, typed)
    words = options.command_line(command, texts)
    assert words[:3] == [".venv/bin/python", "-m", command.module]
    args = options.parse(command.module, words[3:])
    for option in command.options:
        value = getattr(args, option.dest)
        wanted = option.kind.read(typed[option.spelled]) if not (option.several or option.place == "*") else None
        if wanted is None:
            assert value == [option.kind.read(word) for word in typed[option.spelled].split()]
        else:
            assert value == wanted


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("sim ARAY=enc", "make sim: unknown variable ARAY; did you mean ARRAY?"),
        ("sim array=enc", "make sim: unknown variable array; did you mean ARRAY?"),
        ("accuracy NET=ab COLOUR=1", "make accuracy: unknown variable COLOUR; it knows "),
        ("lint X=1", "make lint: unknown variable X; it has no variables"),
        ("help TARGET=sim", "make help: unknown variable TARGET; it knows FOR"),
        (
            "sim SIM=iverilog",
            "make sim: unknown simulator 'iverilog'; did you mean verilator? known: ",
        ),
        ("sim ENCODING=m21p", "make sim: unknown encoding 'm21p'; did you mean "),
        ("sim ENCODING=none.json", "make sim: ENCODING=none.json: no such encoding: none.json does not exist"),
        ("sim SEED=-1", "make sim: SEED=-1: must be 0 to 2147483548"),
        ("sim SEED=99999999999999999999", "make sim: SEED=99999999999999999999: must be 0 to 2147483548"),
        ("sim WAVES=maybe", "make sim: WAVES=maybe: 1 switches it on, nothing or 0 leaves it off"),
        (
            "replay NET=resnet20cifar10",
            "make replay: unknown network 'resnet20cifar10'; did you mean resnet",
        ),
        ("replay ARRAY=encoded", "make replay: unknown array 'encoded'; did you mean enc? known: conv, enc, merged"),
        ("replay SAMPLE=2", "make replay: SAMPLE=2: must be above 0 and at most 1"),
        ("synth ROWS=abc", "make synth: ROWS=abc is not a whole number"),
        ("layout UTILIZATION=200", "make layout: UTILIZATION=200: must be above 0 and at most 100"),
        ("synth ROWS=0", "make synth: ROWS=0: must be at least 1"),
        ("synth CLOCK_NS=nan", "make synth: CLOCK_NS=nan is not a finite number"),
        ("synth DESIGNS=m12p,m21p", "make synth: unknown encoding 'm21p'"),
        ("synth PLATFORM=osu180", "make synth: unknown platform 'osu180'; did you mean osu018? known: "),
        ("power TILES=none.npz", "make power: TILES=none.npz: there is no such file or folder"),
        ("search M=8 PRESET=anealing", "make search: unknown preset 'anealing'; did you mean anneal? known: "),
        ("search", "make search needs M=; for example: make search NET="),
        ("accuracy", "make accuracy needs NET= and ENCODING=; for example: make accuracy NET="),
        ("finetune NET=resnet20_cifar10", "make finetune needs ENCODING="),
        ("train", "make train needs NET=; for example: make train NET=resnet20_cifar10"),
        ("ppa", "make ppa needs SWEEP=; for example: make ppa SWEEP=clock"),
        ("pdk", "make pdk needs PDK="),
        ("import", "make import needs MODEL="),
        ("layout NETLIST=none.v", "make layout: NETLIST=none.v: there is no such file or folder"),
        ("search M=8 OUT=README.md", "make search: OUT=README.md is a file; give a folder"),
        ("finetune NET=resnet20_cifar10 ENCODING=m12p OUT=docs", "make finetune: OUT=docs is a folder; give a file"),
        ("train NET=resnet20_cifar10 OUT=README.md/x", "make train: OUT=README.md/x cannot be made: "),
        ("train NET=resnet20_cifar10 OUT=/proc/x", "make train: OUT=/proc/x cannot be written ("),
        ("train NET=resnet20_cifar10 AVERAGE=1", "make train: AVERAGE=1: must be 0 to 0.999999"),
    ],
)
def test_a_wrong_word_is_one_line(words, fault):
    refused(make(*words.split()), fault)


@pytest.mark.parametrize(
    ("module", "words", "fault"),
    [
        ("flows.synth", "--rows abc", "flows.synth: --rows abc is not a whole number"),
        ("flows.synth", "--row 4 --colums 2", "flows.synth: unknown option --colums; did you mean --columns?"),
        ("flows.synth.sweep", "", "flows.synth.sweep needs sweep"),
        ("flows.synth.sweep", "clocks", "flows.synth.sweep: unknown sweep 'clocks'; did you mean clock? known: "),
        ("flows.gls", "a.sv", "flows.gls: a.sv: there is no such file or folder"),
        ("flows.gls", "--top x", "flows.gls needs files and --out"),
        ("models.accuracy", "", "models.accuracy needs --net and --encoding, or --table"),
        ("models.train.finetune", "--net", "models.train.finetune: expected one argument"),
    ],
)
def test_flags_are_checked_alike(module, words, fault):
    done = subprocess.run([sys.executable, "-m", module, *words.split()], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"encmac: error: {fault}")


def test_switches_and_lists():
    assert not options.parse("tb.runner", []).waves and options.parse("tb.runner", ["--waves"]).waves
    sim = TARGETS["sim"]
    for text, words in (("0", []), ("no", []), ("1", ["--waves"]), ("", [])):
        assert options.command_line(sim, options.values_of(sim, {"WAVES": text}))[3:] == words
    assert options.parse("tb.runner", ["--plusarg=+a", "--plusarg=+b"]).plusarg == ["+a", "+b"]
    assert options.parse("flows.synth.cost", ["--fit", "README.md", "Makefile"]).fit == [
        Path("README.md"),
        Path("Makefile"),
    ]
    assert options.parse("models.accuracy", ["--table"]).table


def test_values_reach_the_command_as_typed():
    """Through make, its environment and the shell, quotes and all; what is started is told first."""
    done = make("sim", 'TEST=it\'s "so" $$(x) ;', "SUITE=nosuch")
    assert done.stdout.splitlines()[0].startswith(".venv/bin/python -m tb.runner --suite nosuch --test ")
    assert "unknown suite 'nosuch'" in done.stderr and done.returncode == 2


def test_nearest_names():
    error = unknown("fruit", "aple", ["pear", "Apple", "maple"])
    assert str(error) == "unknown fruit 'aple'; did you mean maple or Apple? known: Apple, maple, pear"
    assert str(unknown("fruit", "x", [])) == "unknown fruit 'x'; known: none"
    with pytest.raises(UserError, match="needs M="):
        options.values_of(TARGETS["search"], {"M": "  "})


def test_what_was_typed_is_known_to_the_command(monkeypatch):
    """The target with its variables, or the command line of a module; what another command noted is not this one's."""
    noted = {}
    monkeypatch.setattr(os, "execv", lambda *_: noted.update(os.environ))
    for name in ("MAKEFLAGS", "MAKECMDGOALS"):
        monkeypatch.setenv(name, "")
    for name, value in (("TEST", "it's so"), ("SUITE", "tiny"), ("ENCMAC_COMMAND", "1 make other")):
        monkeypatch.setenv(name, value)
    options.launch("sim")
    assert noted["ENCMAC_COMMAND"] == f"{os.getpid()} make sim SUITE=tiny TEST='it'\"'\"'s so'"
    options.parse("tb.runner", [])
    assert command.typed() == "make sim SUITE=tiny TEST='it'\"'\"'s so'" and command.process() == os.getpid()
    monkeypatch.setenv("ENCMAC_COMMAND", "1 make other")  # of the command that started this one
    monkeypatch.setattr(sys, "orig_argv", [".venv/bin/python", "-m", "tb.runner", "--test", "a b"])
    options.parse("tb.runner", [])
    assert command.typed() == ".venv/bin/python -m tb.runner --test 'a b'"


def exit_code(main) -> int:
    """How a command ends; what it does with signals ends with it."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as end:
            run_cli(main)
    finally:
        signal.signal(signal.SIGTERM, before)
    return end.value.code


def test_an_interruption_says_what_is_kept(capsys):
    """Every command that starts others, or takes long, has words of its own; they stand in docs/commands.md."""
    moments = {"pareto", "table", "report", "compare", "import", "encodings", "figures", "clean"}
    assert {c.name for c in COMMANDS if c.group and c.module and not c.kept} == moments | {"chaos"}, "chaos says more"

    def main() -> None:
        options.parse("flows.synth", [])
        raise KeyboardInterrupt

    assert exit_code(main) == 130
    said = "columns that were mapped and simulated are kept in build/synth; the same command goes on with the next"
    assert capsys.readouterr().err == f"encmac: interrupted; {said}\n"
    assert f"After Ctrl-C: {said}." in (ROOT / "docs/commands.md").read_text()


def test_a_program_that_does_not_end_is_one_line(capsys):
    def main() -> None:
        options.parse("flows.synth", [])
        run(["/bin/sleep", "60"], timeout=0.2)

    assert exit_code(main) == 2
    said = capsys.readouterr().err
    assert said.startswith("encmac: error: sleep did not end in 0.2 s: ") and said.count("\n") == 1
    assert said.endswith("the same command goes on with the next\n")


def test_names_in_makeflags():
    assert options.given(r" --no-print-directory -- NET=a\ b=c TEST= ENCODING:=$$x") == ["NET", "TEST", "ENCODING"]
    assert options.given("k -j2 --jobserver-auth=3,4") == []
    # of several goals each may use a variable
    assert options.variable_fault("sim", ["sim", "replay"], ["COLS"]) == ""
    assert "COLS" in options.variable_fault("sim", ["sim"], ["COLS"])


@pytest.mark.parametrize(
    "words", ["synth PLATFORM={}/", "sim ENCODING={}.json", "import MODEL={}.onnx", "power TILES={}.npz"]
)
def test_a_name_that_no_file_can_have(words):
    refused(make(*words.format("x" * 300).split()), "File name too long")


def test_tests_are_listed():
    done = make("sim", "SUITE=tiny-tile", "TEST=?")
    assert done.returncode == 0 and not done.stderr
    lines = done.stdout.splitlines()
    assert any(line.startswith("tile_") and " x  " in line for line in lines)
    assert "designs; suites: smoke, " in lines[-1]
