"""All commands of the project and their options, each declared once; tools/options.py says what comes from this.

A command with a group is a target of make. Standard library only and plain Python >= 3.7.
"""

from __future__ import annotations

import os
from pathlib import Path

from tools.options import (
    ADDRESS,
    EXISTING,
    FILE,
    FOLDER,
    PATH,
    ROOT,
    SWITCH,
    TABLES,
    TEXT,
    Command,
    Kind,
    Option,
    choice,
    keys_of,
    named,
    number,
    stems,
    whole,
    wholes,
    with_suffix,
)

OF_MAKE = {"SHELL", "MAKE"}  # may be given to any target
CPUS = os.cpu_count() or 1

ENCODING_FILE = "a JSON file: mine.json"
RIVALS = [f"w{w}a{a}" for w in range(4, 9) for a in range(6, 9)]  # exact products of fewer bits (models/rivals.py)


def networks() -> list:
    """Names of networks: the zoo and what was quantised here."""
    return [*stems("models/zoo", "*.npz")(), *stems("build/networks", "*.npz")()]


def encodings() -> list:
    """Names of encodings: the library and the rivals."""
    return [*stems("models/encodings", "*.json")(), *stems("build/encodings", "*.json")(), *RIVALS]


an_encoding = named("encoding", encodings, with_suffix(".json"), ENCODING_FILE)
some_encodings = named("encoding", encodings, with_suffix(".json"), ENCODING_FILE, many=True)
TABLE_FILE = "a file: mine.json, mine.npy, mine.npz:name, mine.bin, mine.c:function"
a_multiplier = named("encoding", encodings, with_suffix(".json", *TABLES), TABLE_FILE)
some_multipliers = named("encoding", encodings, with_suffix(".json", *TABLES), TABLE_FILE, many=True)
a_network = named("network", networks, with_suffix(".npz"), "a checkpoint: mine.npz")
some_networks = named("network", networks, with_suffix(".npz"), "a checkpoint: mine.npz", many=True)
a_definition = named(
    "network",
    lambda: keys_of("models/networks/__init__.py", "NETWORKS"),
    with_suffix(".py"),
    "a function of yours, which is run: mine.py:function",
)
a_platform = named(
    "platform",
    lambda: sorted(p.parent.name for p in (ROOT / "flows/platforms").glob("*/config.toml")),
    lambda word: Path(word) / "config.toml" if "/" in word else None,
    "a folder with a config.toml: mine/",
)

NET = Option("net", "network of the zoo, or a checkpoint file", a_network)
ENCODING = Option("encoding", "encoding of the library, or a JSON file", an_encoding)
DATA = Option("data", "folder with the data set, or npz file of one (default: see models/datasets)", EXISTING)
SEED = Option("seed", "of everything that is drawn at random", whole(0, 2**31 - 100), 1)  # simulators take 31 bits
JOBS = Option("jobs", "processes or threads at a time", whole(), CPUS)
OUT = Option("out", "folder of what is written", FOLDER, ROOT / "build")
RTL = Option("rtl", "folder of the RTL", EXISTING, ROOT / "rtl")
SCHEDULER = Option("scheduler", "Dask cluster: tls://host:port", ADDRESS, os.environ.get("SCHEDULER"))
PLATFORM = Option("platform", "cell library: a name, or a folder with a config.toml", a_platform, "osu018")
DESIGNS = Option("designs", "encodings, names or JSON files, with commas", some_encodings)
ROWS = Option("rows", "rows of a column", whole(), 64)
COLS = Option("columns", "columns that share the activation registers", whole(), 1, "COLS")
GROUP = Option("group", "rows of an encoded column between registers (default: all)", whole())
COUNTED = Option("counted", "encoded columns count positions, in place of one tree", SWITCH)
UNGATED = Option("ungated", "weight registers with enables, not gated clocks", SWITCH)
EXACT = Option("exact", "with OPT1-WS, recoded and fast-inner-product columns", SWITCH)
SOME_RIVALS = Option(
    "rivals", "every form of fewer bits as well: 1 (w4a8,w4a7,w5a8), all, or names", Kind("<rivals>", str)
)
ZEROS = Option("zeros", "every design also with activation registers that stand still at 0", SWITCH)
CLOCK_NS = Option("clock-ns", "clock period (default: the platform's)", number(above=True))
IMAGES = Option("images", "test images", whole(), 1)
TRAINING_IMAGES = IMAGES.but(help="training images", default=1000)
LAYERS = Option("layers", "names, with commas (default: all)", TEXT)
THREADS = Option("threads", "of torch", whole(), CPUS)
SAMPLES = Option("samples", "training images for correction and choice, and as many to decide", whole(), 500)
CHOOSE = Option("choose", "weight codes chosen for the products; 0: correction alone", choice("choice", "1", "0"), "1")
QUIET = Option("quiet", "print errors only; the exit code tells", SWITCH)
JSON = Option("json", "print the record as JSON; text for people goes to stderr", SWITCH)
VERBOSE = Option("verbose", "print every command that is started, on stderr", SWITCH)
OUTPUT = (JSON, QUIET, VERBOSE)
VECTORS = Option("vectors", "activation vectors of each tile that count", whole(), 128)
TILES = Option("tiles", "archive of tiles (default: ResNet-20 of the zoo)", EXISTING)
PPA = (PLATFORM, ROWS, COLS, GROUP, COUNTED, UNGATED, EXACT, SOME_RIVALS, ZEROS, CLOCK_NS, JOBS, OUT, *OUTPUT)

START, VERIFY, MEASURE = "Start", "Verify", "Measure"
ENCODE, DEVELOP = "Encodings and networks", "Develop"

COMMANDS = (
    Command(START, "help", "this list", options=(Option("for", "a target: its variables", Kind("<target>", str)),)),
    Command(
        START,
        "setup",
        "Debian packages, .venv and pinned wheels",
        options=(Option("python", "interpreter of .venv (default: the first fit one)", Kind("<interpreter>", str)),),
    ),
    Command(START, "doctor", "what is installed, what is missing, how to mend it"),
    Command(
        VERIFY,
        "sim",
        "simulate an array against its model",
        "tb.runner",
        (
            Option(
                "suite", "what is simulated: smoke, full, nightly, or a part of them", Kind("<suite>", str), "smoke"
            ),
            Option("sim", "simulator (default: what the suite says)", choice("simulator", "verilator", "icarus")),
            Option("array", "kind of array (default: both)", choice("array", "enc", "conv")),
            ENCODING.but(help=f"{ENCODING.help} (default: what the suite says)"),
            Option("design", "one design of the suite, as reports call it", TEXT),
            Option("dut", "RTL or mapped netlist (default: what the suite says)", choice("dut", "rtl", "gate")),
            Option("netlist", "a netlist of cells of DESIGN=, as after layout, in place of one mapped here", EXISTING),
            PLATFORM.but(help="cell library of NETLIST= (default: osu018)", default=None),
            Option("test", "tests: a name, or a regular expression; ? lists them", TEXT),
            SEED,
            Option("waves", "write waves (FST) of every test", SWITCH),
            Option("coverage", "the suite that counts lines and toggles", SWITCH),
            JOBS,
            SCHEDULER,
            Option("no-rerun", "do not run failed tests again with waves", SWITCH),
            Option("limit", "seconds that a simulator may run", number(above=True)),
            Option("plusarg", "passed on to the simulator", TEXT, several="append"),
            Option("stage", "stage of the test plan to fulfil (default: the suite's, if all of it runs)", TEXT),
            Option("plan", "the test plan", EXISTING),
            RTL,
            OUT,
            *OUTPUT,
        ),
        "ENCODING=m12p SIM=verilator",
        kept="finished builds are kept, outcomes only when all have ended; the same command simulates all again",
    ),
    Command(
        VERIFY,
        "mutants",
        "small faults in the RTL; the suite must kill them",
        "tb.mutants",
        (
            Option("budget", "minutes (default: 30 without a number, else no end)", number(above=True)),
            Option("number", "mutants that build, or all (default: as many as the budget allows)", TEXT),
            Option("file", "only of this file within rtl/", TEXT),
            SEED,
            JOBS,
            Option("equivalent", "what is explained", EXISTING),
            RTL,
            OUT,
        ),
        kept="every mutant that was judged is kept; the same command goes on with the next",
    ),
    Command(
        VERIFY,
        "replay",
        "a whole network through the RTL",
        "tb.replay",
        (
            NET.but(help=f"{NET.help} (default: captured layers)"),
            Option("capture", "archive of captured layers, without a network", TEXT, "shipped"),
            IMAGES,
            Option("first", "the first of them", whole(0), 0),
            Option("array", "kind of array", choice("array", "conv", "enc", "merged"), "conv"),
            ENCODING.but(help=f"of the array enc: {ENCODING.help}"),
            ROWS.but(help="rows of the array"),
            Option("cols", "columns of the array", whole(), 64),
            LAYERS,
            Option("engine", "through tile engines: K sums and requantisation in RTL", SWITCH),
            Option("depth", "vectors that an engine's buffer holds", whole()),
            Option("naive", "one pixel a vector, one group a tile", SWITCH),
            Option("sample", "only some tiles: share of wrong ones that must be noticed", number(0, 1, above=True)),
            Option("confidence", "with which probability", number(0, 1, above=True), 0.95),
            SEED,
            JOBS,
            SCHEDULER,
            DATA,
            RTL,
            OUT,
            Option("fresh", "do not go on with what an earlier run finished", SWITCH),
            *OUTPUT,
        ),
        "NET=resnet20_cifar10",
        kept="parts of layers that were finished are kept; the same command goes on with the next",
    ),
    Command(
        VERIFY,
        "gates",
        "a whole test set through the netlist of a column",
        "flows.words",
        (
            NET.but(required=True),
            Option("designs", "as make synth names them, or encodings", TEXT, "m14p"),
            IMAGES.but(help="only the first test images (default: all)", default=None),
            PLATFORM,
            ROWS,
            UNGATED,
            CLOCK_NS,
            JOBS,
            DATA,
            OUT,
            *OUTPUT,
        ),
        "NET=resnet20_cifar10",
        kept="batches of 512 images that were finished are kept; the same command goes on with the next",
    ),
    Command(
        VERIFY,
        "formal",
        "prove modules, for all inputs and for ever",
        "flows.formal",
        (
            Option("proof", "names or modules, with commas (default: all)", TEXT),
            DESIGNS.but(name="encoding", help=f"{DESIGNS.help} (default: the library)"),
            PLATFORM.but(help="prove leaf modules mapped to this library's cells, in place of the RTL", default=None),
            Option("time-limit", "seconds for each proof", number(above=True), 300),
            JOBS,
            RTL,
            OUT,
            Option("list", "names of the proofs, and nothing else", SWITCH),
            *OUTPUT,
        ),
        "PROOF=enc_mult",
        kept="proofs are recorded when all have ended: nothing of this run is kept",
    ),
    Command(
        MEASURE,
        "pdk",
        "fetch a cell library from its official place",
        "flows.pdk",
        (
            Option("name", "platform, or a folder with a config.toml", a_platform, None, "PDK", True, "?"),
            OUT.but(default=Path("data/pdk")),
            QUIET,
        ),
        "PDK=nangate45",
        kept="nothing is kept: a library gets its place when it is whole",
    ),
    Command(
        MEASURE,
        "synth",
        "area and timing of columns and arrays",
        "flows.synth",
        (
            DESIGNS.but(default="exact64,exact36,m28p,m20p,m16p,m12p"),
            Option("array", "measure the array of so many columns as well", whole(), variable="SIZE"),
            *PPA,
        ),
        "DESIGNS=m20p,m12p PLATFORM=nangate45",
        kept="columns that were mapped and simulated are kept in build/synth; the same command goes on with the next",
    ),
    Command(
        MEASURE,
        "ppa",
        "sweeps of area: one table, plots",
        "flows.synth.sweep",
        (
            Option("sweep", "what varies", choice("sweep", "clock", "fmax", "rows", "array"), None, "", True, "?"),
            PLATFORM,
            DESIGNS.but(default="exact36,m20p,m16p,m12p"),
            ROWS,
            Option("group", "encoded columns also with a register after so many rows: 4,8", wholes()),
            EXACT,
            SOME_RIVALS,
            CLOCK_NS,
            JOBS,
            OUT,
        ),
        "SWEEP=clock",
        kept="columns that were mapped and simulated are kept in build/synth; the same command goes on with the next",
    ),
    Command(
        MEASURE,
        "layout",
        "place and route a netlist with OpenROAD",
        "flows.openroad",
        (
            Option("designs", "as make synth names them, or encodings", TEXT, "conv tree,m14p"),
            PLATFORM.but(default="nangate45"),
            ROWS,
            UNGATED,
            CLOCK_NS,
            Option("utilization", "percent of the core that cells take", number(above=True, most=100), 55.0),
            Option("bisect", "the highest utilization from 30 to 80 that routes; it tries up to four a design", SWITCH),
            TILES,
            VECTORS,
            Option("netlist", "lay out this file in place of designs", EXISTING),
            Option("top", "module of it", TEXT, "column_top"),
            Option("trace", "its power from waves of its ports (FST, VCD), which its outputs must follow", EXISTING),
            Option(
                "export", "write the designs for LibreLane and OpenROAD-flow-scripts into this folder, and end", PATH
            ),
            Option("columns", "whole arrays of so many columns, not columns", whole(), None, "COLS"),
            OUT,
            *OUTPUT,
        ),
        kept="designs that were routed are kept beside their netlists; the same command goes on with the next",
    ),
    Command(
        MEASURE,
        "rules",
        "area, timing and power of small columns keep their bounds",
        "flows.rules",
        (
            PLATFORM,
            Option("ppa", "check this ppa.json in place of measuring", EXISTING),
            Option("update", "write the bounds anew", SWITCH),
            OUT.but(default=ROOT / "build" / "rules"),
        ),
        kept="columns that were measured are kept in build/rules; the same command goes on with the next",
    ),
    Command(
        MEASURE,
        "power",
        "power of the same on layers of a network",
        "flows.power",
        (
            DESIGNS.but(help=f"{DESIGNS.help} (default: those of make synth)"),
            VECTORS,
            TILES.but(help="archive of tiles (default: NET='s of the zoo where it has some, else ResNet-20's)"),
            Option("check", "count the transitions with Icarus as well (long)", SWITCH),
            NET.but(help=f"run all layers on test images as well: {NET.help}", default=None),
            IMAGES.but(help="of NET=: test images", default=512),
            Option("sample", "of NET=: tiles of each layer that are simulated with delays", whole(2), 4),
            DATA,
            SEED.but(help="of NET=: of the sample"),
            *PPA,
        ),
        "DESIGNS=m20p,m12p",
        kept="columns whose power is known are kept beside their netlists; the same command goes on with the next",
    ),
    Command(
        MEASURE,
        "accuracy",
        "accuracy of a network with encoded products",
        "models.accuracy",
        (
            NET.but(required=True),
            Option(
                "encoding",
                "encodings of the library, or files (models/multiplier.py; a .c file is compiled and run), with commas",
                some_multipliers,
                required=True,
            ),
            IMAGES.but(help="only the first test images (default: all)", default=None),
            Option("correction", "what is corrected per channel", choice("correction", "gain", "bias", "none"), "gain"),
            Option("rounds", "rounds of the correction", whole(), 3),
            CHOOSE,
            SAMPLES,
            SEED,
            Option("float", "float weights to run again (default: build/train/<net>/float.pt)", EXISTING),
            Option(
                "finetuned",
                "fine-tuned network (default: one made here, else the zoo's)",
                EXISTING,
            ),
            DATA,
            OUT.but(kind=FILE, help="record to write", default=Path("build/reports/accuracy.json")),
            Option("table", "measure nothing; print the rows measured so far", SWITCH),
            Option("page", "TABLE=1: page to write it to, between <!-- begin accuracy --> and its end", EXISTING),
            *OUTPUT,
        ),
        "NET=resnet20_cifar10 ENCODING=m20p,m12p",
        ("table",),
        kept="encodings that are done are recorded, images and layers of others kept; the same command goes on",
    ),
    Command(
        MEASURE,
        "bench",
        "our tools beside a peer",
        "bench",
        (
            Option(
                "bench",
                "what is timed, with commas",
                choice("benchmark", "search", "emulate", "train", "paper", "replay", "netlist", "all", many=True),
                "all",
            ),
            Option("rounds", "interleaved repetitions; their median counts", whole(), 7),
            Option("seconds", "least time of a candidate in a round", number(), 0.05),
            Option(
                "size",
                "genomes, images, batch, evaluations, rows and columns, or rows (default: 8, 8, 128, 24000, 64, 16)",
                whole(),
            ),
            Option("ref", "search, emulate: a clone of EncodingNet, which is run as well", EXISTING),
            OUT,
            *OUTPUT,
        ),
        "BENCH=emulate",
        kept="times are recorded when all benchmarks have ended: nothing of this run is kept",
    ),
    Command(
        MEASURE,
        "pareto",
        "the cheapest design of equal accuracy, encoded and rival",
        "flows.pareto",
        (
            Option("reports", "folder of the records", PATH, ROOT / "build/reports"),
            OUT.but(help="folder of pareto.json and figures/ (default: that of the records)", default=None),
            *OUTPUT,
        ),
    ),
    Command(
        MEASURE,
        "table",
        "the paper's table: what every network keeps, and what it saves",
        "flows.table",
        (
            Option("reports", "folder of the records, and of table.json", PATH, ROOT / "build/reports"),
            PLATFORM,
            ROWS,
            CLOCK_NS,
            Option("page", "a page whose table is written anew, between <!-- begin table --> and its end", EXISTING),
            *OUTPUT,
        ),
    ),
    Command(
        MEASURE,
        "explore",
        "from a network to a verdict: worth building, and which encoding",
        "flows.explore",
        (
            Option(
                "net",
                "network of the zoo, a checkpoint, a model to import, or file.py:function, which is run and quantised",
                named(
                    "network",
                    networks,
                    with_suffix(".npz", ".onnx", ".tflite", ".py"),
                    "a file of yours: mine.npz, mine.onnx, mine.tflite, mine.py:function",
                ),
                required=True,
            ),
            PLATFORM,
            Option("loss", "points of top-1 against int8 that may be lost", number(0, 100), 0.5),
            ROWS.but(help="rows of the array (default: 64; with QUICK=1 16)", default=None),
            Option("cols", "columns of the array", whole(), 64),
            CLOCK_NS,
            Option("quick", "fewer candidates, test images and rows: minutes for a CIFAR network", SWITCH),
            IMAGES.but(help="only the first test images (default: all; with QUICK=1 1000)", default=None),
            Option(
                "float",
                "float weights of the file.py:function that is run (default: build/train/<function>/float.pt)",
                EXISTING,
            ),
            Option("dataset", "of a model to import", choice("data set", "cifar10", "cifar100", "imagenet")),
            Option("mean", "of a model to import, as in make import", TEXT),
            Option("std", "the same", TEXT),
            Option("size", "the same", TEXT),
            DATA,
            *OUTPUT,
        ),
        "NET=resnet20_cifar10 QUICK=1",
        kept="every step that ended is kept; the same command goes on from there",
    ),
    Command(
        MEASURE,
        "report",
        "one page of all that was measured",
        "flows.report",
        (
            Option("reports", "folder of the records", PATH, ROOT / "build/reports"),
            OUT.but(help="folder of report.html and figures/ (default: that of the records)", default=None),
            Option("headline", "encoding of the cards (default: by the rule that the page tells)", TEXT),
            JSON,
            QUIET,
        ),
    ),
    Command(
        MEASURE,
        "compare",
        "what differs between the records of two runs",
        "flows.report.compare",
        (
            Option("before", "folder of the records of another run", EXISTING, required=True),
            Option("reports", "folder of the records", PATH, ROOT / "build/reports"),
            Option("tolerance", "percent by which figures may differ", number(), 0.0),
            *OUTPUT,
        ),
        "BEFORE=../before/build/reports",
    ),
    Command(
        ENCODE,
        "search",
        "search an encoding",
        "models.search",
        (
            NET.but(help="network whose operands count, measured if not yet; several with commas", kind=some_networks),
            Option("hist", "in its place: joint histogram or target (.npz); without both: uniform operands", EXISTING),
            DATA,
            Option("M", "number of product bits", whole(1, 256), required=True),
            Option("weights", "position weights: pow2, general, or csd<t>: t digits", TEXT, "pow2"),
            Option(
                "preset",
                "kind of search (default: radix4; islands: anneal)",
                choice(
                    "preset", "anneal", "chosen", "greedy", "paper", "radix4", "signed", "signedf", "booth", "boothf"
                ),
            ),
            Option("name", "name of the encoding, also of its file (default: from target, M and weights)", TEXT),
            SEED,
            Option("weight-bits", "chosen: bits of a weight that product bits may read (default: 4)", whole(3, 8)),
            Option("price", "log(error) worth the gates of M product bits", number(), 0.3),
            Option("steps", "anneal: proposals of a restart", whole(), 1_000_000),
            Option("restarts", "anneal, radix-4 digits: restarts", whole(), 6),
            Option("pairs", "greedy: second-level candidates drawn at random", whole(0), 0),
            Option("kicks", "greedy, radix-4 digits: random exchanges tried", whole(0), 150),
            Option("evaluations", "paper: genomes evaluated", whole(), 20_000),
            Option("threshold", "paper: maximal relative error allowed", number(), 0.01),
            Option("islands", "anneal on this many islands; keeps build/search/<name>.json", whole()),
            Option("rounds", "islands: rounds", whole(), 8),
            Option("workers", "islands: processes", whole(), CPUS),
            SCHEDULER.but(help=f"islands: {SCHEDULER.help}"),
            Option("uniform", "share of uniform mass mixed in", number(0, 1), 1e-3),
            OUT.but(default=ROOT / "build" / "encodings"),
            QUIET,
        ),
        "NET=resnet20_cifar10 M=20 NAME=mine",
        kept="with ISLANDS= rounds that ended are kept and the same command goes on; without, nothing",
    ),
    Command(
        ENCODE,
        "train",
        "train a float network",
        "models.train",
        (
            Option("net", "network of models/networks, or mine.py:function, which is run", a_definition, required=True),
            Option("epochs", "passes over the training images", whole(), 36),
            Option("sizes", "smaller images at first: 16x10,24x8 (pixels x epochs)", TEXT, ""),
            DATA.but(help="folder with the data set (default: see models/datasets)"),
            SEED,
            Option("batch", "images of a step", whole(), 128),
            Option("lr", "highest learning rate", number(above=True), 0.2),
            Option("weight-decay", "of the optimiser", number(), 5e-4),
            Option("smoothing", "label smoothing", number(0, 1), 0.0),
            Option("average", "decay of the moving average, per step", number(0, 0.999999), 0.999),
            Option("bf16", "bfloat16 mixed precision", SWITCH),
            Option("evaluate-every", "epochs between evaluations", whole(), 5),
            THREADS,
            OUT.but(help="folder of checkpoints (default: build/train/<net>)", default=None),
            QUIET,
        ),
        "NET=resnet20_cifar10",
        kept="epochs that ended are kept; the same command goes on with the next",
    ),
    Command(
        ENCODE,
        "finetune",
        "train an int8 network with encoded products",
        "models.train.finetune",
        (
            NET.but(required=True),
            Option(
                "encoding",
                "encoding of the library, or a file (models/multiplier.py; a .c file is compiled and run)",
                a_multiplier,
                required=True,
            ),
            Option("steps", "of training", whole(0), 500),
            Option(
                "lr",
                "int8 codes that a weight moves in a step (default: 0.3, or a fiftieth of a level)",
                number(above=True),
            ),
            Option("gradient", "slope of the products", choice("gradient", "straight", "table"), "straight"),
            DATA,
            SEED,
            Option("batch", "images of a step", whole(), 64),
            Option("distil", "share of the teacher in the loss", number(0, 1), 0.7),
            CHOOSE,
            SAMPLES,
            Option("folder", "checkpoint, log and curves (default: build/finetune/<net>-<encoding>)", FOLDER),
            Option("save-every", "steps between checkpoints", whole(), 25),
            THREADS,
            OUT.but(kind=FILE, help="network to write (default: build/finetuned/<net>-<encoding>.npz)", default=None),
            QUIET,
        ),
        "NET=resnet20_cifar10 ENCODING=m12p",
        kept="all steps up to the last checkpoint are kept; the same command goes on from there",
    ),
    Command(
        ENCODE,
        "import",
        "an int8 network from TFLite or ONNX, or an encoding of EncodingNet's code",
        "models.importers",
        (
            Option(
                "model",
                "file to import: .tflite, .onnx, or a .pickle or .pt of EncodingNet's search",
                EXISTING,
                required=True,
                place="?",
            ),
            Option("name", "name of the network (default: that of the file)", TEXT),
            Option(
                "dataset",
                "what it classifies (default: what a file given as DATA= holds, any number of classes)",
                choice("data set", "cifar10", "cifar100", "imagenet"),
            ),
            Option(
                "rounding",
                "float: as the runtime's default kernels; double: as its reference kernels; single: as our tile engine",
                choice("rounding", "float", "double", "single"),
                "float",
            ),
            Option("mean", "of images scaled to 0..1, for ONNX, e.g. 0.485,0.456,0.406 (default: 0)", TEXT),
            Option("std", "the same (default: 1)", TEXT),
            Option("size", "of one image, where an ONNX model leaves it open, e.g. 3x32x32", TEXT),
            OUT.but(kind=FILE, help="checkpoint to write (default: build/imported/<name>.npz)", default=None),
        ),
        "MODEL=resnet8.tflite DATASET=cifar10",
    ),
    Command(
        ENCODE,
        "encodings",
        "check the library of encodings and write their RTL packages anew",
        "models.encodings",
        (Option("check", "write nothing; fail if a file is not current", SWITCH),),
    ),
    Command(DEVELOP, "lint", "ruff and mypy on Python, Verilator and slang on RTL"),
    Command(DEVELOP, "test", "lint, pytest, a short simulation"),
    Command(
        DEVELOP,
        "docs-test",
        "every command of the docs, in a scratch clone",
        "tools.docs",
        (Option("page", "pages (default: README.md, CONTRIBUTING.md and all of docs/)", PATH, place="*"),),
        kept="nothing is kept: the scratch clone is removed",
    ),
    Command(
        DEVELOP,
        "docs",
        "the documentation site: pages, API, the notebook run, the latest report",
        "tools.site",
        (
            OUT.but(help="folder of the site", default=ROOT / "build" / "site" / "html"),
            Option("reports", "folder with the report", PATH, ROOT / "build" / "reports"),
            Option("no-run", "show the notebook without running it", SWITCH),
            Option("serve", "then show the site on this machine", SWITCH),
        ),
        kept="the site of the last build stays; its tools are kept",
    ),
    Command(
        DEVELOP,
        "figures",
        "README and docs beside what the last runs measured",
        "tools.figures",
        (
            Option("reports", "folder of the records", PATH, ROOT / "build" / "reports"),
            Option("write", "write tables of make layout from flows/openroad/results", SWITCH),
        ),
    ),
    Command(
        DEVELOP,
        "chaos",
        "faults in the middle of commands: nothing may be lost, crossed or wrongly passed",
        "tools.chaos",
        (Option("minutes", "how long", number(above=True), 20.0), SEED, OUT.but(help="folder of the record")),
        "MINUTES=20",
    ),
    Command(
        DEVELOP,
        "clean",
        "remove what commands wrote; what you made, data and .venv stay",
        "tools.clean",
        (
            Option(
                "what",
                "all: builds and records; builds: simulators and netlists; records: build/reports",
                choice("what", "all", "builds", "records"),
                "all",
            ),
            OUT.but(help="folder to clean"),
        ),
    ),
    # modules without a target
    Command(
        "",
        "",
        "map a module to a netlist of cells, with models for simulation",
        "flows.gls",
        (
            Option("files", "SystemVerilog, packages first", EXISTING, required=True, place="*"),
            Option("top", "module to map", TEXT, required=True),
            Option("define", "macro, NAME=VALUE", TEXT, several="append"),
            Option("parameter", "of the top, NAME=VALUE", TEXT, several="append"),
            PLATFORM,
            CLOCK_NS,
            Option("adders", "how adders are mapped", choice("adder", "ripple", "lookahead"), "ripple"),
            Option("delays", "write delays.sdf; the netlist must meet the clock", SWITCH),
            OUT.but(default=None, required=True),
        ),
    ),
    Command(
        "",
        "",
        "capture layers of a whole network on images of its test set",
        "models.archive",
        (NET.but(required=True), OUT.but(default=None, required=True), IMAGES, LAYERS, DATA, QUIET),
    ),
    Command(
        "",
        "",
        "capture some layers of a network, from which tiles are cut",
        "models.replay",
        (
            NET.but(required=True),
            Option("layer", "layer to keep, and for how many images: NAME=IMAGES", TEXT, several="append"),
            DATA,
            OUT.but(kind=FILE, help="archive to write (default: build/captures/tiles_<net>.npz)", default=None),
        ),
    ),
    Command(
        "",
        "",
        "download a data set from its official place",
        "models.datasets",
        (
            Option("name", "data set", choice("data set", "cifar10", "cifar100"), required=True, place="?"),
            OUT.but(help="folder to put the archive in", default=Path("data")),
            Option("url", "base address of a mirror (default: the official one)", TEXT),
            QUIET,
        ),
    ),
    Command(
        "",
        "",
        "error of multipliers beside the accuracy they leave",
        "models.mre",
        (
            NET.but(help="network of the rows", kind=TEXT, default="resnet20_cifar10"),
            Option("report", "rows measured", PATH, Path("build/reports/accuracy.json")),
            OUT.but(default=Path("build/reports")),
        ),
    ),
    Command(
        "",
        "",
        "quantise a float network to int8",
        "models.quant",
        (
            Option("net", "network of models/networks, or mine.py:function, which is run", a_definition, required=True),
            Option("float", "float checkpoint (default: build/train/<net>/float.pt, or a package's)", EXISTING),
            OUT.but(kind=FILE, help="checkpoint to write (default: build/networks/<net>.npz)", default=None),
            DATA,
            Option("rule", "calibration of activation scales", choice("rule", "max", "percentile", "mse"), "mse"),
            Option("per-tensor", "one weight scale for each layer", SWITCH),
            TRAINING_IMAGES.but(help="training images to calibrate on"),
            Option("test-images", "only the first test images; 0 for none (default: all)", whole(0)),
            SEED,
            QUIET,
        ),
    ),
    Command(
        "",
        "",
        "count the operand pairs of a network on training images",
        "models.quant.histogram",
        (
            NET.but(required=True),
            TRAINING_IMAGES,
            SEED,
            DATA,
            OUT.but(kind=FILE, help="file to write (default: build/histograms/<net>.npz)", default=None),
            QUIET,
        ),
    ),
    Command(
        "",
        "",
        "fit the cost model to synthesised columns",
        "flows.synth.cost",
        (
            Option("fit", "records of make synth", EXISTING, required=True, several="extend"),
            PLATFORM,
            OUT.but(kind=FILE, help="file to write", default=None),
        ),
    ),
    Command(
        "",
        "",
        "error against area: the library, or the archive of a search",
        "models.search.pareto",
        (
            Option("archive", "archive of a search, build/search/<name>.json, in place of the library", EXISTING),
            OUT.but(default=ROOT / "build" / "reports"),
        ),
    ),
    Command(
        "",
        "",
        "fit the position weights of an encoding to a network",
        "models.search.refit",
        (
            ENCODING.but(required=True),
            NET.but(help="network whose operands count, measured if they are not yet"),
            Option("hist", "in its place: joint histogram or target of a network (.npz)", EXISTING),
            DATA,
            Option("name", "name of the encoding, also of its file (default: <encoding>_<target>)", TEXT),
            OUT.but(default=ROOT / "build" / "encodings"),
        ),
    ),
    Command(
        "",
        "",
        "noise to expect of encodings when weights are chosen for them",
        "models.search.chosen",
        (
            NET.but(help="network, measured if not yet; several with commas", kind=some_networks, required=True),
            Option("encodings", "names or JSON files, with commas", some_encodings, required=True),
            DATA,
        ),
    ),
    Command(
        "",
        "",
        "measure what a search takes from a network: operand pairs and sensitivities",
        "models.search.target",
        (
            NET.but(required=True),
            TRAINING_IMAGES.but(help="random training images (default: 256, or all)", default=None),
            SEED,
            DATA,
            OUT.but(kind=FILE, help="file to write (default: the one that searches take)", default=None),
        ),
    ),
    Command(
        "",
        "",
        "write docs/dependencies.md",
        "tools.dependencies",
        (OUT.but(kind=FILE, help="file to write", default=None),),
    ),
    Command(
        "",
        "",
        "write rtl/README.md and its diagrams from the RTL",
        "tools.rtl_readme",
        (Option("check", "write nothing; fail if a file is not current", SWITCH),),
    ),
)
TARGETS = {command.name: command for command in COMMANDS if command.group}
