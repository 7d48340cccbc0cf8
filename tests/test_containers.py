"""The image and the matrix of continuous integration name what there is; neither is run here."""

from __future__ import annotations

import json
import re

import pytest

from common.provenance import ROOT

yaml = pytest.importorskip("yaml", reason="no PyYAML")


IMAGES = {"Dockerfile": ["FROM", "debian:12"], "flows/openroad/Dockerfile": ["FROM", "openroad/orfs:${ORFS}"]}


def instructions(file: str) -> list[list[str]]:
    """Words of a Dockerfile's instructions."""
    text = re.sub(r"^#.*\n", "", (ROOT / file).read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [line.split() for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("file", IMAGES)
def test_an_image_copies_what_there_is_and_sets_up_by_our_script(file: str):
    found = instructions(file)
    kinds = {"FROM", "RUN", "ENV", "WORKDIR", "COPY", "CMD", "ARG"}
    assert IMAGES[file] in found and {words[0] for words in found} <= kinds
    copied = [name for words in found if words[0] == "COPY" for name in words[1:-1]]
    assert all((ROOT / name).exists() for name in copied)
    before = next(n for n, words in enumerate(found) if words[:2] == ["RUN", "tools/setup.sh"])
    needed = {"tools/setup.sh", "tools/doctor.py", "requirements.txt", "requirements.lock"}
    assert needed <= {name for words in found[:before] for name in words}


def test_the_devcontainer_builds_the_image():
    config = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    assert (ROOT / ".devcontainer" / config["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile"


def test_the_matrix_has_every_system_and_python_that_we_name():
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    rows = jobs["test"]["strategy"]["matrix"]["include"]
    assert {row["python"] for row in rows} == {"3.11", "3.12", "3.13"}
    assert {row["system"] for row in rows} == {"ubuntu-24.04", "debian:12"}
    steps = [step.get("run", "") for step in jobs["test"]["steps"]]
    assert [s for s in ("make setup", "make test", "make docs") if s in steps] == [
        "make setup",
        "make test",
        "make docs",
    ]
