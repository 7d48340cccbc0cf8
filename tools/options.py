"""How options are declared, read, checked, shown, and handed over from make; tools/commands.py declares them.

An option is declared once. From that come the flag of the Python command, the variable of make, the checks with
their one-line errors, `--help`, `make help` and docs/commands.md.

Standard library only and plain Python >= 3.7, because `make help` runs before `make setup` has run.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import math
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[0] = str(ROOT)
import common.command  # noqa: E402
from common.errors import UserError, file_fault, unknown  # noqa: E402

PYTHON = ".venv/bin/python"
SHOWN = "\0"  # in a reason: the option and its value as they were typed
TABLES = (".npy", ".npz", ".c", ".bin")  # files of bare products, where a network takes an encoding


class Kind(NamedTuple):
    """What a value may be: `read` turns its text into the value or raises ValueError with the reason."""

    usage: str
    read: Callable[[str], Any]


class Option(NamedTuple):
    """An option of a command: `--name` on its command line, `NAME=` after make."""

    name: str  # words with dashes; one letter makes a flag of one dash
    help: str
    kind: Kind
    default: Any = None
    variable: str = ""  # where make spells it differently
    required: bool = False
    place: str = ""  # no flag, a place: "?" one word, "*" any number of them
    several: str = ""  # the value is a list: "append" one word a flag, "extend" any number

    @property
    def dest(self) -> str:
        """Name in the namespace."""
        return self.name.lower().replace("-", "_")

    @property
    def flag(self) -> str:
        """As it is typed without make."""
        return self.name if self.place else f"-{self.name}" if len(self.name) == 1 else f"--{self.name}"

    @property
    def spelled(self) -> str:
        """The variable of make."""
        return self.variable or self.name.upper().replace("-", "_")

    def but(self, **changes: Any) -> Option:
        """This option with other words or another default."""
        return self._replace(**changes)


class Command(NamedTuple):
    """A target of make (`group` is its heading) or, without a group, a Python module alone."""

    group: str
    name: str
    purpose: str
    module: str = ""
    options: tuple = ()
    example: str = ""  # variables of a sensible call, told when a required one is missing
    alone: tuple = ()  # options that make the required ones needless
    kept: str = ""  # what Ctrl-C leaves: a sentence without its full stop; none for what is done in a moment

    @property
    def title(self) -> str:
        """How errors call it when make runs it."""
        return f"make {self.name}"


def _whole(text: str, least: int, most: float) -> int:
    try:
        value = int(text)
    except ValueError:
        raise ValueError(f"{SHOWN} is not a whole number") from None
    return _within(value, least, most)


def _within(value: Any, least: float, most: float) -> Any:
    if not least <= value <= most:
        bounds = f"at least {least:g}" if math.isinf(most) else f"{least:.12g} to {most:.12g}"
        raise ValueError(f"{SHOWN}: must be {bounds}")
    return value


def whole(least: int = 1, most: float = math.inf) -> Kind:
    """A whole number within bounds."""
    return Kind("<n>", lambda text: _whole(text, least, most))


def wholes(least: int = 1, most: float = math.inf) -> Kind:
    """Whole numbers within bounds, with commas."""
    return Kind("<n>,...", lambda text: [_whole(word, least, most) for word in text.split(",")])


def number(least: float = 0.0, most: float = math.inf, above: bool = False) -> Kind:
    """A finite number within bounds; `above`: the lower bound itself is none."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"{SHOWN} is not a number") from None
        if not math.isfinite(value):
            raise ValueError(f"{SHOWN} is not a finite number")
        if above and not least < value <= most:
            raise ValueError(f"{SHOWN}: must be above {least:g}" + f" and at most {most:g}" * math.isfinite(most))
        return _within(value, least, most)

    return Kind("<x>", read)


def choice(what: str, *words: str, many: bool = False) -> Kind:
    """One of `words`, or with `many` several, with commas."""

    def read(text: str) -> str:
        for word in text.split(",") if many else [text]:
            if word not in words:
                raise ValueError(str(unknown(what, word, words)))
        return text

    return Kind("|".join(words), read)


def named(what: str, listed: Callable[[], Any], is_file: Callable[[str], Path], own: str, many: bool = False) -> Kind:
    """A name among `listed()`, or what `is_file` gives the path of: a file or folder of the user that must exist.

    `own` tells how such a one is written; `many`: several, with commas.
    """

    def read(text: str) -> str:
        for word in text.split(",") if many else [text]:
            path = is_file(word)
            if path is None and word not in listed():
                raise ValueError(str(unknown(what, word, listed(), f", or {own}")))
            if path is not None and not path.exists():
                raise ValueError(f"{SHOWN}: no such {what}: {path} does not exist")
        return text

    return Kind(f"<{what}>" + (",..." if many else ""), read)


def stems(folder: str, pattern: str) -> Callable[[], Any]:
    """Names of the files of a folder of the project that fit `pattern`, without their suffix."""
    return lambda: sorted(p.stem for p in (ROOT / folder).glob(pattern) if not p.stem.startswith("tiles_"))


def with_suffix(*suffixes: str) -> Callable[[str], Any]:
    """The path that a word with one of these suffixes names, perhaps before `:part`; None for other words."""

    def path(word: str) -> Any:
        file = word.partition(":")[0]
        return Path(file) if file.endswith(suffixes) else None

    return path


def keys_of(file: str, table: str) -> list:
    """Keys of the dictionary literal `table` in a Python file of the project, which is not run."""
    for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == table:
            return [key.value for key in node.value.keys]
    raise KeyError(table)


def _switch(text: str) -> bool:
    if text.lower() in ("1", "yes", "true", "on"):
        return True
    if text.lower() in ("0", "no", "false", "off"):
        return False
    raise ValueError(f"{SHOWN}: 1 switches it on, nothing or 0 leaves it off")


def _existing(text: str) -> Path:
    if not Path(text).exists():
        raise ValueError(f"{SHOWN}: there is no such file or folder")
    return Path(text)


def _scheduler(text: str) -> str:
    match = re.fullmatch(r"(tls|tcp|insecure-tcp)://(\[[\da-fA-F:]+\]|[\w.-]+):(\d+)", text)
    if not match or not 0 < int(match[3]) < 65536:
        raise ValueError(f"{SHOWN}: an address is tls://host:port, on this machine also tcp://127.0.0.1:port")
    if match[1] == "tcp" and not re.fullmatch(r"localhost|127\.[\d.]+|\[::1\]", match[2]):
        raise ValueError(
            f"{SHOWN}: whoever reaches a plain TCP scheduler runs code on its workers; use tls:// "
            f"(SECURITY.md), or in a network that you trust: insecure-{text}"
        )
    return text


def _to_write(text: str, folder: bool) -> Path:
    """A folder to write in, or a file, that can be made: told before anything is measured."""
    path = Path(text)
    try:
        if path.exists() and path.is_dir() != folder:
            raise ValueError(
                f"{SHOWN} is a {'file' if path.is_file() else 'folder'}; give a {'folder' if folder else 'file'}"
            )
        above = next(p for p in (path, *path.absolute().parents) if p.is_dir() or (p.exists() and p != path))
        if not above.is_dir():
            raise ValueError(f"{SHOWN} cannot be made: {above} is no folder")
        tempfile.TemporaryFile(dir=above).close()
    except OSError as error:
        raise ValueError(f"{SHOWN} cannot be written ({error.strerror}); choose another place") from None
    return path


TEXT = Kind("<text>", str)
ADDRESS = Kind("<address>", _scheduler)
EXISTING = Kind("<path>", _existing)
PATH = Kind("<path>", Path)
FOLDER = Kind("<folder>", lambda text: _to_write(text, folder=True))
FILE = Kind("<file>", lambda text: _to_write(text, folder=False))
SWITCH = Kind("1", _switch)


class Parser(argparse.ArgumentParser):
    """argparse with errors of one line, raised as UserError."""

    def error(self, message: str) -> None:
        """Raise the mistake; for a flag that there is not, with the nearest one."""
        match = re.match(r"unrecognized arguments: (-\S*)", message)
        if match:
            flags = [flag for action in self._actions for flag in action.option_strings]
            close = difflib.get_close_matches(match.group(1).partition("=")[0], flags, 1, 0.6)
            message = f"unknown option {match.group(1)}; " + (f"did you mean {close[0]}?" if close else "see --help")
        raise UserError(f"{self.prog}: {re.sub(r'^argument [^:]*: ', '', message)}")


def _reader(option: Option) -> Callable[[str], Any]:
    """For argparse: the option's value, or an error that shows what was typed."""

    def read(text: str) -> Any:
        try:
            return option.kind.read(text)
        except ValueError as error:
            shown = text if option.place else f"{option.flag} {text}"
            raise argparse.ArgumentTypeError(str(error).replace(SHOWN, shown)) from None

    return read


def parser_of(command: Command, defaults: dict) -> Parser:
    """The command's parser; `defaults` are those that only its module knows."""
    parser = Parser(prog=command.module, description=command.purpose)
    for option in command.options:
        settings: dict = {"help": option.help.replace("%", "%%")}
        default = defaults.get(option.dest, option.default)
        if option.kind is SWITCH:
            parser.add_argument(option.flag, dest=option.dest, action="store_true", **settings)
            continue
        settings.update(type=_reader(option), metavar=option.kind.usage.replace("%", "%%"))
        if option.place:
            parser.add_argument(option.dest, nargs=option.place, default=default, **settings)
            continue
        if option.several:
            settings.update(action=option.several, default=[])
            settings.update({"nargs": "+"} if option.several == "extend" else {})
        else:
            settings["default"] = default
        if default not in (None, ""):
            settings["help"] += f" (default: {_plain(default)})"
        parser.add_argument(option.flag, dest=option.dest, **settings)
    return parser


def _plain(value: Any) -> str:
    """A default as people read it: paths from the root of the project."""
    text = str(value)
    return text[len(str(ROOT)) + 1 :] if text.startswith(f"{ROOT}{os.sep}") else text


def parse(module: str, words: Any = None, **defaults: Any) -> argparse.Namespace:
    """The command line of a module, as tools/commands.py declares it.

    Raises UserError, one line, for what is wrong with it.
    """
    from tools.commands import COMMANDS

    command = next(c for c in COMMANDS if c.module == module)
    common.command.note(kept=command.kept)
    args = parser_of(command, defaults).parse_args(words)
    missing = [o for o in command.options if o.required and getattr(args, o.dest) in (None, [])]
    if missing and not any(getattr(args, name) for name in command.alone):
        flags = " and ".join(o.flag for o in missing)
        raise UserError(f"{module} needs {flags}" + "".join(f", or --{name}" for name in command.alone))
    if command.name != "clean":
        from common.files import at_work

        at_work(ROOT / "build")
        if (out := getattr(args, "out", None)) and out.is_dir():
            at_work(out)
    return args


def given(makeflags: str) -> list:
    """Names of the variables on make's command line, from MAKEFLAGS."""
    _, dashes, words = f" {makeflags}".partition(" -- ")
    found = re.findall(r"(?:\\.|[^\s\\])+", words) if dashes else []  # make escapes spaces, and quotes nothing
    return [word.partition("=")[0].rstrip(":+?") for word in found if "=" in word]


def variable_fault(target: str, goals: list, names: list) -> str:
    """One line on the first variable that none of the goals knows, or an empty string."""
    from tools.commands import OF_MAKE, TARGETS

    asked = [TARGETS[goal] for goal in {target, *goals} if goal in TARGETS]
    known = sorted({option.spelled for command in asked for option in command.options})
    for name in names:
        if name in known or name in OF_MAKE or not asked:
            continue
        close = difflib.get_close_matches(name.upper(), known, 1, 0.6)
        knows = "it knows {}".format(", ".join(known)) if known else "it has no variables"
        guess = f"did you mean {close[0]}?" if close else knows
        return f"make {target}: unknown variable {name}; {guess}"
    return ""


def values_of(command: Command, environment: Any) -> dict:
    """Texts of the variables that are set, by option; raises UserError for what is missing or wrong.

    Make puts the variables of its command line into the environment of what it runs.
    """
    texts = {o: environment[o.spelled].strip() for o in command.options if environment.get(o.spelled, "").strip()}
    missing = [o.spelled + "=" for o in command.options if o.required and o not in texts]
    if missing and not any(o.name in command.alone for o in texts):
        example = f"; for example: {command.title} {command.example}" if command.example else ""
        raise UserError(f"{command.title} needs {' and '.join(missing)}{example}")
    for option, text in texts.items():
        for word in text.split() if option.several or option.place == "*" else [text]:
            try:
                option.kind.read(word)
            except ValueError as error:
                shown = f"{option.spelled}={word}"
                raise UserError(f"{command.title}: {str(error).replace(SHOWN, shown)}") from None
    return {o: text for o, text in texts.items() if o.kind is not SWITCH or _switch(text)}


def command_line(command: Command, texts: dict) -> list:
    """The Python command that a target of make runs, as words."""
    words = [PYTHON, "-m", command.module]
    for option, text in texts.items():
        if option.kind is SWITCH:
            words.append(option.flag)
        elif option.place:
            words += text.split() if option.place == "*" else [text]
        else:
            words += [w for part in (text.split() if option.several else [text]) for w in (option.flag, part)]
    return words


def launch(target: str) -> int:
    """What a recipe of the Makefile does: check variables, values and tools, then become the command."""
    from tools.commands import TARGETS
    from tools.doctor import NEEDS, quick

    command = TARGETS[target]
    fault = variable_fault(target, os.environ.get("MAKECMDGOALS", "").split(), given(os.environ.get("MAKEFLAGS", "")))
    if fault:
        raise UserError(fault)
    texts = values_of(command, os.environ)
    simulator = next((text for option, text in texts.items() if option.name == "sim"), "verilator")
    fault = quick([target, simulator] if target == "sim" else [target]) if target in NEEDS else ""
    if fault:
        raise UserError(fault)
    if not command.module:
        return 0
    words = command_line(command, texts)
    common.command.note(" ".join([command.title, *(f"{o.spelled}={shlex.quote(text)}" for o, text in texts.items())]))
    if not {"json", "quiet"} & {option.name for option in texts}:
        print(" ".join(map(shlex.quote, words)), flush=True)
    os.execv(PYTHON, words)


def usage(option: Option) -> str:
    """`NAME=value` and what it is, of one option."""
    default = f" (default: {_plain(option.default)})" if option.default not in (None, "") else ""
    return "  {:25} {}".format(f"{option.spelled}={option.kind.usage}", option.help + default)


def short_help() -> str:
    """Groups, targets, what they do."""
    from tools.commands import TARGETS

    lines, group = ["make <target> [VARIABLE=value ...]; start with: make setup, make sim"], None
    for command in TARGETS.values():
        if command.group != group:
            group = command.group
            lines += ["", group]
        lines.append(f"  {command.name:11}{command.purpose}")
    return "\n".join([*lines, "", "Variables of a target: make help FOR=<target>"])


def long_help(command: Command) -> str:
    """One target with its variables."""
    lines = [f"{command.title}: {command.purpose}", *map(usage, command.options)]
    if command.example:
        lines.append(f"for example: {command.title} {command.example}")
    if command.module:
        lines.append(f"without make: {PYTHON} -m {command.module} --help")
    return "\n".join(lines)


def page() -> str:
    """docs/commands.md: all targets with their variables, then the modules that have none."""
    from tools.commands import COMMANDS, TARGETS

    text = (
        "# Commands\n\nEvery target of make with its variables, written by `.venv/bin/python -m tools.options page`\n"
    )
    text += "from tools/commands.py. `ROWS=8` of make is `--rows 8` of the Python command behind it.\n"
    for command in [*TARGETS.values(), *(c for c in COMMANDS if not c.group)]:
        title = f"`{command.title}`" if command.group else f"`.venv/bin/python -m {command.module}`"
        behind = f" Runs `{command.module}`." if command.group and command.module else ""
        text += f"\n## {title}\n\n{command.purpose[0].upper()}{command.purpose[1:]}.{behind}\n"
        if command.options:
            text += "\n| option | what it is | default |\n|---|---|---|\n"
        for option in command.options:
            name = f"{option.spelled}={option.kind.usage}" if command.group else f"{option.flag} {option.kind.usage}"
            machine = option.name in ("jobs", "workers", "threads")  # as many as there are processors
            default = "processors" if machine else _plain("" if option.default is None else option.default)
            cells = (f"`{name}`", option.help, "required" if option.required else default and f"`{default}`")
            text += "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
        if command.example:
            text += f"\nFor example: `{command.title} {command.example}`\n"
        if command.kept:
            text += f"\nAfter Ctrl-C: {command.kept}.\n"
    return text


def show_help() -> int:
    """`make help`, `make help FOR=<target>`."""
    from tools.commands import TARGETS

    fault = variable_fault("help", [], given(os.environ.get("MAKEFLAGS", "")))
    wanted = os.environ.get("FOR", "").strip()
    if not fault and wanted and wanted not in TARGETS:
        close = difflib.get_close_matches(wanted, list(TARGETS), 1, 0.5)
        fault = f"no target '{wanted}'; {f'did you mean {close[0]}?' if close else 'make help lists them'}"
    if fault:
        raise UserError(fault)
    print(long_help(TARGETS[wanted]) if wanted else short_help())
    return 0


def main() -> int:
    """`options.py <target>`: what make runs; `options.py page` writes docs/commands.md; returns the exit code."""
    from tools.commands import TARGETS

    target = sys.argv[1]
    try:
        if target == "help":
            return show_help()
        if target == "page":
            (ROOT / "docs/commands.md").write_text(page(), encoding="utf-8")
            return 0
        if target not in TARGETS:
            close = difflib.get_close_matches(target, list(TARGETS), 1, 0.5)
            guess = f"did you mean {close[0]}?" if close else "make help lists them"
            raise UserError(f"no target '{target}'; {guess}")
        return launch(target)
    except UserError as error:
        print(f"encmac: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `make help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if not (text := file_fault(error)):
            raise
        print(f"encmac: error: {text}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    from tools.options import main as this  # not __main__: one set of classes

    sys.exit(this())
