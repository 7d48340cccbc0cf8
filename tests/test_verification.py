"""The verification suite itself: every way to fail ends as a named failure, never as a pass.

Most designs here are broken conventional arrays on Icarus, which builds them in a second.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from broken_rtl import broken_rtl

from common.errors import UserError
from models.encoding import load_encoding
from tb.control.build import ROOT
from tb.env.diagnosis import Mismatch, explain
from tb.reporting import code_coverage, testplan
from tb.reporting.code_coverage import Point
from tb.reporting.report import KEPT_RUNS, add_run, stored_runs, write_html
from tb.reporting.testplan import CodeExclusion

CONTROL, ARRAY = "array/stream_control.sv", "array/mac_array.sv"
VALID = "valid_q <= Latency'({valid_q, a_beat});"
RESULT = "32'($signed(straight[c*Width+:Width]))"
PRODUCT = "psum_q <= $signed(a_i) * w_q"
# what is broken: file, text in it, what it becomes, what must show
BROKEN = {
    "valid never rises": (CONTROL, "tvalid = valid_q[Latency-1];", "tvalid = 1'b0;", "no stream moved"),
    "valid stuck at 1": (CONTROL, "tvalid = valid_q[Latency-1];", "tvalid = 1'b1;", "without an activation vector"),
    "lost tlast": (CONTROL, "tlast  = last_q[Latency-1];", "tlast  = 1'b0;", "tlast is 0, expected 1"),
    "lost last beat": (
        CONTROL,
        VALID,
        VALID.replace("a_beat", "a_beat && !s_axis_a_tlast"),
        "result vectors missing",
    ),
    "too many results": (
        CONTROL,
        VALID,
        VALID.replace("a_beat", "a_beat || last_q[0]"),
        "without an activation vector",
    ),
    "result not held": (CONTROL, "= !m_axis_y_tvalid || m_axis_y_tready;", "= 1'b1;", "fell before the beat was taken"),
    "X on a result": (ARRAY, RESULT, f"{RESULT} | {{31'd0, s_axis_w_tdata[0] ? 1'bx : 1'b0}}", "neither 0 nor 1"),
    "wrong product": (
        "array/conv_pe.sv",
        PRODUCT,
        f"{PRODUCT} - $signed({{1'b0, a_i[0] & w_q[0]}})",
        "partial product 0",
    ),
}
SABOTAGE = """
  int sabotage_q;
  initial sabotage_q = 0;
  always @(posedge clk_i) begin
    sabotage_q <= sabotage_q + 1;
    if (sabotage_q == 20 && $test$plusargs("kill") != 0) $system("kill -9 $PPID");
    if (sabotage_q == 20 && $test$plusargs("hang") != 0) $system("sleep 1000");
    if (sabotage_q == 20 && $test$plusargs("complain") != 0) $error("sabotage");
  end
"""


def runner(*options: str, environment: dict | None = None, prefix: tuple[str, ...] = ()) -> tuple[int, str]:
    """Exit code and printed text of a regression."""
    command = [*prefix, sys.executable, "-m", "tb.runner", "--jobs", "1", *options]
    environment = os.environ | (environment or {})
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout + done.stderr


def tiny(out: Path, *options: str) -> tuple[int, dict, str]:
    """Exit code, sim.json and text of the tiny conventional array on Icarus."""
    code, text = runner("--suite", "tiny-conv", "--sim", "icarus", "--out", str(out), *options)
    report = out / "reports" / "sim.json"
    return code, json.loads(report.read_text()) if report.exists() else {}, text


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds and reports of a regression that passes."""
    out = tmp_path_factory.mktemp("good")
    code, _, text = tiny(out)
    assert code == 0, text
    return out


@pytest.mark.parametrize("name", BROKEN)
def test_broken_array_is_a_named_failure(name: str, tmp_path: Path) -> None:
    file, old, new, shown = BROKEN[name]
    rtl = broken_rtl(tmp_path, file, {old: new})
    code, report, text = tiny(tmp_path / "build", "--rtl", str(rtl), "--test", "back_pressure", "--no-rerun")
    assert code == 1, text
    assert [test["name"] for test in report["tests"]] == ["array_random_back_pressure"], text
    assert shown in report["tests"][0]["message"], text


def test_factory_override_is_what_sees_a_ready_that_waits_for_valid(tmp_path: Path) -> None:
    ready = "s_axis_w_tready = state_q == LOAD;"
    rtl = broken_rtl(tmp_path, CONTROL, {ready: ready.replace(";", " && s_axis_w_tvalid;")})
    tests = {"polite": "no stream moved", "back_pressure": ""}
    for test, shown in tests.items():
        options = ("--suite", "tiny-polite", "--no-rerun", "--out", str(tmp_path / test), "--test", test)
        assert runner(*options)[0] == 0
        code, text = runner(*options, "--rtl", str(rtl))
        assert (code == 1) == bool(shown), text
        assert shown in text


class TestFailureErgonomics:
    def test_failed_test_is_run_again_with_waves_and_replays(self, tmp_path: Path) -> None:
        file, old, new, _ = BROKEN["wrong product"]
        rtl = broken_rtl(tmp_path, file, {old: new})
        code, report, text = tiny(tmp_path / "build", "--rtl", str(rtl), "--seed", "7", "--test", "corners")
        assert code == 1
        failed = report["tests"][0]
        assert Path(failed["waves"]).stat().st_size > 1000, text
        for part in ("vector", "column", "expected", "got", "first differing bit of the sum: "):
            assert part in failed["message"]
        # the replay line, typed as it was printed
        assert failed["replay"] in text
        shutil.rmtree(tmp_path / "build" / "reports")
        typed = {"shell": True, "cwd": ROOT, "capture_output": True, "text": True, "timeout": 300}
        typed["env"] = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
        again = subprocess.run(failed["replay"], **typed)
        assert again.returncode != 0
        second = json.loads((tmp_path / "build" / "reports" / "sim.json").read_text())["tests"]
        assert [(t["name"], t["seed"]) for t in second] == [(failed["name"], 7)]
        # what its waves say is told where they were made, in the first run: that of what is traced nothing is wrong
        assert failed["message"].startswith(f"{second[0]['message']}; waves: ")
        assert Path(second[0]["waves"]).exists()

    def test_real_tile_is_named(self, tmp_path: Path) -> None:
        file, old, new, _ = BROKEN["wrong product"]
        rtl = broken_rtl(tmp_path, file, {old: new})
        options = ("--suite", "smoke", "--design", "conv written 8x8", "--sim", "icarus", "--test", "classifier")
        code, text = runner(*options, "--no-rerun", "--rtl", str(rtl), "--out", str(tmp_path / "build"))
        assert code == 1
        assert "layer linear, rows 0..7, channels 0..7, vector 0, column" in text


@pytest.fixture(scope="module")
def sabotaged(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    folder = tmp_path_factory.mktemp("sabotage")
    rtl = broken_rtl(folder, CONTROL, {"endmodule": SABOTAGE + "endmodule"})
    options = ("--suite", "tiny-conv", "--sim", "verilator", "--test", "corners", "--no-rerun")
    options += ("--rtl", str(rtl), "--out", str(folder / "build"))
    code, text = runner(*options)
    assert code == 0, text
    return options


class TestSimulatorProcess:
    """A simulator that is killed, hangs or complains, in one build for all."""

    @pytest.mark.parametrize(
        ("plusargs", "shown"),
        [
            (["+kill"], "simulator was killed by SIGKILL, in array_smoke_corners"),
            (["+hang"], "simulator hung: no end after 15 s, in array_smoke_corners"),
            (["+complain"], "sabotage"),
            (
                ["+complain", "+verilator+error+limit+1000"],
                "every test passed, but the simulator ended with exit code 1",
            ),
        ],
        ids=["killed", "hung", "assertion", "silent assertion"],
    )
    def test_named(self, sabotaged: tuple[str, ...], plusargs: list[str], shown: str) -> None:
        code, text = runner(*sabotaged, "--limit", "15", *(f"--plusarg={p}" for p in plusargs))
        assert code == 1, text
        assert "FAILED verilator conv written 4x4" in text
        assert shown in text
        assert "sabotage" in text or "+complain" not in plusargs


def test_full_disk_is_a_named_failure(tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("no user namespaces here: a small disk cannot be mounted")
    disk, reports = tmp_path / "disk", tmp_path / "reports"
    disk.mkdir()
    reports.mkdir()
    run = (
        f"{sys.executable} -m tb.runner --jobs 1 --suite tiny-conv --sim icarus --test corners --no-rerun --out {disk}"
    )
    script = f"""
        mount -t tmpfs -o size=8m none {disk} && ln -s {reports} {disk}/reports && {run} || exit 99
        dd if=/dev/zero of={disk}/filler bs=4k status=none
        {run}
        code=$?
        rm {disk}/reports
        {run}
        echo "exit codes: $code $?"
    """
    done = subprocess.run(
        ["unshare", "-rm", "bash", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=1200
    )
    text = done.stdout + done.stderr
    assert "exit codes: 1 2" in text, text
    (failed,) = json.loads((reports / "sim.json").read_text())["tests"]
    assert failed["status"] == "failed"
    assert "no space left on device" in failed["message"].lower()
    assert re.search(r"encmac: error: .*cannot be written", text), text


def plan_of(folder: Path, entry: str) -> Path:
    """The test plan with only one testpoint in stage smoke: the one given."""
    text = testplan.PLAN.read_text().replace('stage = "smoke"', 'stage = "nightly"')
    path = folder / "plan.toml"
    path.write_text(f"{text}\n{entry}\n")
    return path


POINT = """[array.extra]
description = "of this test"
stage = "smoke"
kinds = ["conv"]
tests = ["array_random_back_pressure"]
cover = ["stall.results", "tile.length"]
"""


class TestPlan:
    def test_committed_plan_is_whole(self) -> None:
        assert testplan.static_faults(testplan.load_plan(), testplan.discover()) == []

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            (
                'tests = ["array_back_to_back", "array_weights_wait"]',
                "tests = []",
                "testpoint array.throughput has no test",
            ),
            ('tests = ["array_programmed_weights", ', "tests = [", "has no testpoint"),
            (
                'tests = ["array_programmed_weights", ',
                'tests = ["array_programmed_weights", "array_typo", ',
                "names test array_typo, which is not in",
            ),
            ('stage = "full"', 'stage = "later"', "stage 'later'; known: smoke, full, nightly"),
            ("description = ", "descripton = ", "descripton"),
            (
                "[array.products]",
                "[[exclude]]\npoint = 'x'\nbin = 'y'\nreason = ''\n[array.products]",
                "gives no reason",
            ),
        ],
        ids=["no test", "no testpoint", "unknown test", "unknown stage", "typo", "no reason"],
    )
    def test_fault_stops_before_anything_runs(self, old: str, new: str, message: str, tmp_path: Path) -> None:
        text = testplan.PLAN.read_text()
        assert old in text
        (tmp_path / "plan.toml").write_text(text.replace(old, new, 1))
        code, printed = runner("--suite", "tiny-conv", "--plan", str(tmp_path / "plan.toml"), "--out", str(tmp_path))
        assert code == 2
        assert message in printed
        assert len(printed.strip().splitlines()) == 1

    def test_closed_testpoint_passes(self, good: Path, tmp_path: Path) -> None:
        code, report, text = tiny(good, "--plan", str(plan_of(tmp_path, POINT)), "--stage", "smoke")
        assert code == 0, text
        assert report["testplan"]["testpoints"]["array.extra"] == []
        coverage = json.loads((good / "reports" / "coverage.json").read_text())
        hit = coverage["points"]["conv.stall.results"]["bins"]["long"]
        assert hit["tests"] >= 1
        assert hit["first"].startswith("icarus conv written 4x4 array_")

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ('"stall.results"', '"reset.phase"', "cover point conv.reset.phase: 'loading', 'loaded', 'computing'"),
            ('"stall.results"', '"stall.resluts"', "cover point conv.stall.resluts was never sampled"),
            ("back_pressure", "reset", "test array_random_reset did not pass on any array of kind conv"),
            ('["conv"]', '["enc"]', "test array_random_back_pressure did not pass on any array of kind enc"),
        ],
        ids=["never hit", "never sampled", "not executed", "other kind"],
    )
    def test_open_testpoint_fails(self, old: str, new: str, message: str, good: Path, tmp_path: Path) -> None:
        plan = plan_of(tmp_path, POINT.replace(old, new))
        code, report, text = tiny(good, "--plan", str(plan), "--stage", "smoke")
        assert report["totals"]["failed"] == 0
        assert code == 1
        assert f"FAILED testplan array.extra: {message}" in text
        assert 'message="' + message.split(":")[0] in (good / "reports" / "sim.xml").read_text()

    def test_exclusions(self, good: Path, tmp_path: Path) -> None:
        entry = POINT.replace('"stall.results"', '"reset.phase"')
        entry += "[[exclude]]\npoint = 'conv.reset.phase'\nbin = '*'\nreason = 'no resets in this suite'\n"
        code, _, text = tiny(good, "--plan", str(plan_of(tmp_path, entry)), "--stage", "smoke")
        assert code == 0, text
        entry += "[[exclude]]\npoint = 'conv.tile.length'\nbin = '1'\nreason = 'too short'\n"
        code, _, text = tiny(good, "--plan", str(plan_of(tmp_path, entry)), "--stage", "smoke")
        assert code == 1
        assert "bin '1' of cover point conv.tile.length is excluded, but was hit" in text

    def test_only_tests_that_passed_count(self) -> None:
        plan = testplan.Plan((testplan.Testpoint("array", "x", "", "smoke", ("t",), ("p",), ("enc",)),))
        seen = {"enc.p": {"bins": ["a", "b"], "hit": ["a"]}}
        passed = [testplan.Passed("t", "enc", "here", seen), testplan.Passed("u", "conv", "there", {})]
        verdict = testplan.judge(plan, "smoke", passed, testplan.merge(passed))
        assert verdict == {"array.x": ["cover point enc.p: 'b' never hit"]}
        assert testplan.judge(plan, "smoke", [], {})["array.x"][0] == "test t did not pass on any array of kind enc"


class TestDiagnosis:
    """Faults put into the golden model's product bits are found again."""

    encoding = load_encoding("m16p")
    rows = 8

    def mismatches(self, change, encoding=None) -> list[Mismatch]:
        """Wrong sums of a column whose product bits [R, M] become `change(bits)`."""
        encoding = encoding or self.encoding
        rng = np.random.default_rng(3)
        weights = rng.integers(-128, 128, self.rows).astype(np.int8)
        found = []
        for activations in rng.integers(-128, 128, (12, self.rows)).astype(np.int8):
            bits = encoding.product_bits(activations, weights).astype(np.int64)
            right, wrong = (int((b @ np.array(encoding.weights)).sum()) for b in (bits, change(bits.copy())))
            if right != wrong:
                found.append(Mismatch(activations, weights, right, wrong))
        return found

    def test_bit_of_one_row(self) -> None:
        def change(bits: np.ndarray) -> np.ndarray:
            bits[5, 9] = 0
            return bits

        line = explain(self.mismatches(change), self.encoding)
        assert f"product bit 9 (weight {self.encoding.weights[9]}) of row 5 is stuck at 0" in line

    def test_bit_of_all_rows(self) -> None:
        def change(bits: np.ndarray) -> np.ndarray:
            bits[:, 4] ^= 1
            return bits

        assert f"product bit 4 (weight {self.encoding.weights[4]}) is inverted in all 8 rows" in explain(
            self.mismatches(change), self.encoding
        )

    def test_count(self) -> None:
        sizes = [abs(weight) for weight in self.encoding.weights]
        m = next(m for m, size in enumerate(sizes) if size > 1 and sizes.count(size) == 1)

        def change(bits: np.ndarray) -> np.ndarray:
            bits[0, m] += 1 + bits[:, m].sum() % 2
            return bits

        assert f"count {m} (weight {self.encoding.weights[m]})" in explain(self.mismatches(change), self.encoding)

    def test_exact_products_are_told_as_partial_products(self) -> None:
        def change(bits: np.ndarray) -> np.ndarray:
            bits[2, 0] = 0
            return bits

        exact = load_encoding("exact64")
        assert "partial product 0 (weight 1) of row 2 is stuck at 0" in explain(self.mismatches(change, exact), None)

    @pytest.mark.parametrize("seen", [2048, -1024])
    def test_a_position_weight_with_another_sign_or_shift(self, seen: int) -> None:
        encoding, rng = load_encoding("m12p"), np.random.default_rng(3)
        m = encoding.weights.index(-2048)
        found = []
        for a, w in rng.integers(-128, 128, (12, 2, self.rows)).astype(np.int8):
            counts = encoding.product_bits(a, w).astype(np.int64).sum(axis=0)
            right = int(counts @ np.array(encoding.weights))
            found.append(Mismatch(a, w, right, right + int(counts[m]) * (seen + 2048)))
        assert f"position weight {m} being {seen} instead of -2048" in explain(found, encoding)

    def test_nothing_fits(self) -> None:
        wrong = Mismatch(np.zeros(2, np.int8), np.zeros(2, np.int8), 0, 1 << 30)
        line = explain([wrong], self.encoding)
        assert "first differing bit of the sum: 30 (+1073741824); no single product bit or count explains it" in line


class TestCodeCoverage:
    points = Counter({Point("line", "a.sv", n, "block"): 1 for n in range(100)})
    points |= Counter({Point("toggle", "a.sv", 1, f"x[{n}]:0->1"): 1 for n in range(100)})

    def missed(self, kind: str, number: int) -> Counter:
        """The same counts with some points never reached."""
        counts = Counter(self.points)
        for point in [p for p in counts if p.kind == kind][:number]:
            counts[point] = 0
        return counts

    def test_targets(self) -> None:
        assert code_coverage.evaluate(self.missed("line", 2), ())[1] == []
        record, faults = code_coverage.evaluate(self.missed("line", 3), ())
        assert faults == ["line coverage 97.0 % of 100 points; the target is 98.0 %"]
        assert record["missing"][0] == "a.sv:0 line block"
        assert "toggle coverage 94.0 %" in code_coverage.evaluate(self.missed("toggle", 6), ())[1][0]

    def test_exclusions_need_a_use(self) -> None:

        excluded = (CodeExclusion("toggle", "constant", "*.sv", "x[?]:*"),)
        record, faults = code_coverage.evaluate(self.missed("toggle", 6), excluded)
        assert faults == []
        assert record["excluded"] == [{"kind": "toggle", "points": 6, "reason": "constant"}]
        assert "excludes nothing" in code_coverage.evaluate(self.points, excluded)[1][0]

    def test_files_are_merged(self, tmp_path: Path) -> None:
        if not shutil.which("verilator_coverage"):
            pytest.skip("verilator_coverage is not installed")
        rtl = tmp_path / "rtl"
        rtl.mkdir()
        (rtl / "a.sv").write_text("module a;\nendmodule\n")
        line = "C '\x01f\x02{}\x01l\x022\x01n\x023\x01t\x02line\x01page\x02v_line/a\x01o\x02block\x01h\x02top' {}\n"
        files = []
        for number, count in enumerate((0, 5)):
            files.append(tmp_path / f"{number}.dat")
            files[-1].write_text("# SystemC::Coverage-3\n" + line.format(rtl / "a.sv", count) + line.format("/x.sv", 1))
        counts = code_coverage.merge(files, tmp_path / "reports", rtl)
        assert list(counts.values()) == [5]
        assert (tmp_path / "reports" / "code_coverage.info").exists()

    def test_no_counts_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="nothing to merge"):
            code_coverage.report([], (), tmp_path, tmp_path, {})


def test_stored_runs_are_appended(good: Path, tmp_path: Path) -> None:
    (first,) = stored_runs(good / "reports")[:1]
    assert (first["choice"], first["failed"], first["good"]) == ("tiny-conv SIM=icarus", 0, True)
    for number in range(KEPT_RUNS + 2):
        add_run({"number": number}, tmp_path)
    runs = stored_runs(tmp_path)
    assert [runs[0]["number"], runs[-1]["number"], len(runs)] == [2, KEPT_RUNS + 1, KEPT_RUNS]


class TestPage:
    """The HTML page, looked at in a browser."""

    @pytest.fixture
    def page(self, good: Path) -> Path:
        sim, coverage = (json.loads((good / "reports" / f"{name}.json").read_text()) for name in ("sim", "coverage"))
        hostile = "expected </script><b id='injected'>, got 1"
        sim["tests"][0] |= {"status": "failed", "message": hostile}
        mutant = {"file": "a.sv", "line": 3, "kind": "gate", "before": "x & y", "after": "x | y"}
        mutant |= {"status": "killed", "design": "icarus conv", "test": "array_smoke_corners", "message": "wrong"}
        totals = {"mutants": 1, "killed": 1, "equivalent": 0, "survived": 0, "percent": 100.0, "target": 98.0}
        mutants = {"seed": 1, "git_commit": None, "totals": totals, "mutants": [mutant]}
        run = {"choice": "smoke", "seed": 1, "wall_s": 100.0, "tests": 3, "passed": 3, "failed": 0, "matches": 9}
        run |= {"bins": 10, "hit": 9, "good": True, "date": "2026-01-01 00:00:00+00:00", "git_commit": "0123456789ab"}
        runs = [run, run | {"wall_s": 90.0, "failed": 1, "passed": 2, "good": False}, run | {"choice": "full"}]
        runs += [run | {"wall_s": 80.0, "hit": 10}]
        write_html(sim, coverage, good / "page.html", mutants=mutants, runs=runs)
        return good / "page.html"

    @staticmethod
    def browser(*options: str, folder: Path) -> str:
        """Run Chromium, give what it printed; anything on the page's console is a failure."""
        chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if not chromium:
            pytest.skip("no Chromium: nothing to look at the page with")
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
        command += ["--enable-logging=stderr", "--v=0"]
        done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=1200)
        assert done.returncode == 0, done.stderr[-500:]
        complaints = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
        assert not complaints, complaints
        return done.stdout

    def test_error_on_the_console_is_seen(self, page: Path, tmp_path: Path) -> None:
        broken = tmp_path / "broken.html"
        broken.write_text(
            page.read_text().replace("showTests();\n\nconst testpoints", "showNothing();\n\nconst testpoints")
        )
        with pytest.raises(AssertionError, match="showNothing is not defined"):
            self.browser("--dump-dom", broken.as_uri(), folder=tmp_path)

    def test_mutants_and_runs_before(self, page: Path, tmp_path: Path) -> None:
        text = self.browser("--dump-dom", page.as_uri(), folder=tmp_path)
        mutants = text.split('<div id="mutants">')[1].split("</div>")[0]
        assert "1 small faults put into the RTL, seed 1: 1 killed" in mutants
        assert "a.sv" in mutants
        assert text.split('<select id="suite">')[1].split("</select>")[0].count("<option") == 2
        curves = text.split('<div id="curves">')[1].split("</div>")[0]
        assert curves.count("<polyline") == 4
        assert curves.count("<circle") == 4 * 3
        assert curves.count('class="failed"') == 4
        assert "time: 80 s (80 .. 100)" in curves
        assert text.split('<tbody id="runs">')[1].split("</tbody>")[0].count("<tr") == 3

    def test_is_self_contained(self, page: Path) -> None:
        text = page.read_text()
        assert "http" not in text.split("<script type")[0]
        assert "<b id='injected'" not in text.replace("<\\/script><b id='injected'", "")

    def test_filters(self, page: Path, tmp_path: Path) -> None:
        everything = self.browser("--dump-dom", page.as_uri(), folder=tmp_path)
        body = everything.split('<tbody id="tests">')[1].split("</tbody>")[0]
        assert body.count("<tr") == 3
        assert "conv.stall.results" in everything.split('<tbody id="coverage">')[1]
        failed = self.browser("--dump-dom", f"{page.as_uri()}#status=failed&test=corners", folder=tmp_path)
        assert failed.split('<tbody id="tests">')[1].split("</tbody>")[0].count("<tr") == 1

    def test_screenshot_light_and_dark(self, page: Path, tmp_path: Path) -> None:
        from PIL import Image

        corners = []
        for mode in ("light", "dark"):
            picture = tmp_path / f"{mode}.png"
            shot = (f"--screenshot={picture}", "--window-size=1100,1400", f"{page.as_uri()}#mode={mode}")
            self.browser(*shot, folder=tmp_path)
            image = Image.open(picture).convert("RGB")
            assert len(image.getcolors(1 << 20)) > 20  # text, bars, colours: not an empty page
            corners.append(sum(image.getpixel((3, 3))))
        assert corners[0] > 600
        assert corners[1] < 200
