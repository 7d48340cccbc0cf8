"""Layers through the RTL by the tile port: right on the design, wrong and placed on a broken one, whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from broken_rtl import broken_rtl

from common.errors import UserError
from models.emulate import TableEngine, exact_table
from models.mapping import ColumnSet, MappedTiles, Mapping, best, naive
from models.quant.graph import Conv, Requant
from models.replay import Capture, Layer, load_capture, save_capture
from tb.control.build import ROOT, build, prepare_environment
from tb.replay.cluster import DaskPool
from tb.replay.design import replay_config, timing
from tb.replay.network import Replay, Sampling
from tb.replay.pool import Pool
from tb.replay.store import Done, kept_under, open_array, store_array, store_layer
from tb.replay.worker import uncounted

SIZE = (4, 4)
RNG = np.random.default_rng(5)
CONFIG = replay_config("conv", None, *SIZE)


def small_layer(name: str = "small", groups: int = 1, side: int = 6) -> Layer:
    """A convolution that takes many tiles of 4x4."""
    inputs = RNG.integers(-128, 128, (2, 4, side, side)).astype(np.int8)
    weights = RNG.integers(-127, 128, (8, 4 // groups, 3, 3)).astype(np.int8)
    bias = RNG.integers(-999, 999, 8).astype(np.int32)
    requant = Requant(np.full(8, 1 << 30, np.int32), np.full(8, 40, np.int32))
    return Layer(name, inputs, weights, bias, requant, (1, 1), (1, 1, 1, 1), groups)


@pytest.fixture(scope="module")
def directory() -> Path:
    """The build."""
    prepare_environment()
    return build(CONFIG, ROOT / "rtl", ROOT / "build" / "sim")


@pytest.fixture
def pool(directory: Path, monkeypatch: pytest.MonkeyPatch):
    """One worker on it."""
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)  # cocotb's runner would judge
    said: list[str] = []
    pool = Pool(CONFIG, directory, 1, said.append)
    pool.said = said
    yield pool
    pool.close()


def replay_on(pool: Pool, folder: Path, **options: object) -> Replay:
    table = exact_table()
    return Replay(pool, "design", SIZE, timing(CONFIG), table, TableEngine(table), folder, **options)


def expected(layer: Layer) -> np.ndarray:
    """[images, O, H', W'] int32."""
    return layer.sums().reshape(len(layer.inputs), *layer.size, -1).transpose(0, 3, 1, 2)


def test_layers_are_right_and_take_the_cycles_that_were_promised(pool: Pool, tmp_path: Path) -> None:
    replay = replay_on(pool, tmp_path)
    for layer in (small_layer(), small_layer("grouped", groups=4)):
        assert np.array_equal(replay.layer(layer, expected(layer), False), expected(layer))
    for record, layer in zip(replay.records, (small_layer(), small_layer("grouped", groups=4)), strict=True):
        mapping = best(layer, *SIZE, timing(CONFIG), 2)
        assert record.equals_emulator and not record.mismatches and not record.errors
        assert record.tiles_run >= record.tiles == mapping.tile_counts.sum()
        assert record.macs_run == record.macs == layer.macs * 2
        assert record.compared == record.tiles_run * 2 * mapping.vectors * SIZE[1]
    plain = replay_on(pool, tmp_path, packed=False)
    layer = Layer("one part", *[getattr(small_layer(side=4), k) for k in ("inputs", "weights", "bias", "requant")])
    plain.layer(layer, expected(layer), False)
    found = plain.records[0]
    assert found.cycles == found.naive_cycles == timing(CONFIG).cycles(found.tiles, 2 * naive(layer, *SIZE).vectors)


def test_engines_give_results_on_a_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes to the engine is a requantiser without a grid; its results times the step are the layer's."""
    layer = small_layer()
    requant = replace(layer.requant, lo=-7, zero_point=5, grid=1)
    where = (layer.stride, layer.padding, layer.groups)
    node = Conv(layer.name, "input", layer.weights, layer.bias, requant, np.ones(8), 1.0, *where)
    replay = object.__new__(Replay)
    seen = []
    replay.depth, replay.emulator = 16, TableEngine(exact_table())
    monkeypatch.setattr(Replay, "layer", lambda _, layer, expected, engine: seen.append(layer) or expected)
    found = replay.node(node, layer.inputs)
    assert np.array_equal(found, node(layer.inputs, replay.emulator)) and seen[0].requant.grid == 0


def test_finished_parts_are_not_run_again(pool: Pool, tmp_path: Path) -> None:
    layer = small_layer()
    replay_on(pool, tmp_path).layer(layer, expected(layer), False)
    again = replay_on(pool, tmp_path)
    assert np.array_equal(again.layer(layer, expected(layer), False), expected(layer))
    assert again.records[0].tiles_resumed == again.records[0].tiles_run > 0
    kept = next((tmp_path / "parts").glob("*.npz"))
    kept.write_bytes(kept.read_bytes()[:100])  # damaged: that part is run
    third = replay_on(pool, tmp_path)
    assert np.array_equal(third.layer(layer, expected(layer), False), expected(layer))
    assert third.records[0].tiles_resumed < third.records[0].tiles_run
    third.forget()
    assert not list((tmp_path / "parts").glob("*.npz"))


class KilledOnce:
    """A worker's connection: with the first part that is sent, the simulator is killed before it can answer."""

    def __init__(self, connection: object, pid: int) -> None:
        self._connection, self._pid = connection, pid

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)

    def send(self, part: object) -> None:
        os.kill(self._pid, signal.SIGSTOP)
        self._connection.send(part)
        os.kill(self._pid, signal.SIGKILL)


def test_a_killed_worker_loses_nothing(pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = small_layer(side=40)
    worker = pool.workers[0]
    start, started = worker.start, []

    def start_and_kill() -> None:
        start()
        if not started:
            worker._connection = KilledOnce(worker._connection, worker.pid)
        started.append(worker.pid)

    monkeypatch.setattr(worker, "start", start_and_kill)
    replay = replay_on(pool, tmp_path)
    assert np.array_equal(replay.layer(layer, expected(layer), False), expected(layer))
    assert pool.lost == 1 and "run again" in pool.said[0] and "SIGKILL" in pool.said[0]


@pytest.mark.slow
def test_a_killed_dask_worker_loses_nothing(directory: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    layer = small_layer(side=40)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        pool = DaskPool(CONFIG, directory, cluster.scheduler_address)
        assert pool.size == 2

        def kill() -> None:
            client = pool._dask.client
            pids = client.run(os.getpid)
            while not (busy := [worker for worker, calls in client.call_stack().items() if "run_part" in str(calls)]):
                time.sleep(0.1)
            os.kill(pids[busy[0]], signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        replay = replay_on(pool, tmp_path)
        assert np.array_equal(replay.layer(layer, expected(layer), False), expected(layer))
        killer.join()
        assert pool.lost == 1
        again = replay_on(pool, tmp_path / "again", sampling=Sampling(wrong=0.5))
        again.layer(layer, expected(layer), False)
        assert again.records[0].tiles_run < again.records[0].tiles and not again.records[0].mismatches
        odd = store_layer(replace(layer, weights=layer.weights[:, :3]), tmp_path)
        parts = again._parts(layer, again.mapping(layer), None)
        with pytest.raises(UserError, match="layer small: .* do not fit weights"):
            list(pool.run([replace(part, layer=odd) for part in parts]))
        pool.close()


def test_an_interrupted_run_goes_on(directory: Path, tmp_path: Path) -> None:
    archive = tmp_path / "tiles.npz"
    layers = {name: small_layer(name, side=40) for name in ("one", "two")}
    save_capture(Capture("net", "none", layers), archive)
    options = ["--capture", str(archive), "--out", str(tmp_path / "build"), "--jobs", "1", "--rows", "4", "--cols", "4"]
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "sim").symlink_to(directory.parent)
    command = [sys.executable, "-m", "tb.replay", *options]
    first = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not list((tmp_path / "build/replay/parts").glob("[!.]*.npz")):
        assert first.poll() is None, first.stderr.read()
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGINT)  # as Ctrl-C on a terminal does
    _, said = first.communicate(timeout=1200)
    assert (
        first.returncode == 130
        and "parts of layers that were finished are kept" in said
        and len(said.splitlines()) == 1
    ), said
    assert not (tmp_path / "build/reports/replay.json").exists()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tmp_path / "build/reports/replay.json").read_text())
    assert 0 < record["totals"]["tiles_resumed"] < record["totals"]["tiles_run"]
    assert all(found["equals_emulator"] for found in record["layers"])
    assert [path for path in (tmp_path / "build/replay").rglob("*") if path.is_file()] == []


def test_sampling_runs_the_promised_tiles(pool: Pool, tmp_path: Path) -> None:
    layer = small_layer()
    sampling = Sampling(wrong=0.3, confidence=0.9)
    replay = replay_on(pool, tmp_path, sampling=sampling)
    replay.layer(layer, expected(layer), False)
    record = replay.records[0]
    least = sampling.size(record.tiles)
    assert least <= record.tiles_run <= least + 3 < record.tiles  # up to three more kinds of tiles
    assert record.compared and not record.mismatches


def test_operands_that_changed_on_the_way_are_refused(pool: Pool, tmp_path: Path) -> None:
    path, *rest = store_array(RNG.integers(-128, 128, (3, 4)).astype(np.int8), tmp_path)
    assert open_array((path, *rest)).shape == (3, 4)
    content = bytearray(Path(path).read_bytes())
    content[-1] ^= 1
    Path(path).write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        open_array((path, *rest))
    Path(path).write_bytes(content[:40])
    with pytest.raises(UserError, match="cannot be read"):
        open_array((path, *rest))
    # the worker finds out, and the replay says so
    layer = small_layer("damaged")
    replay = replay_on(pool, tmp_path)
    stored, *_ = store_array(layer.inputs, replay.operands)
    content = bytearray(Path(stored).read_bytes())
    content[-1] ^= 1
    Path(stored).write_bytes(content)
    with pytest.raises(UserError, match="are damaged"):
        replay.layer(layer, expected(layer), False)


def test_counts_that_do_not_add_up_are_refused(pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = small_layer()
    replay = replay_on(pool, tmp_path)
    parts = replay._parts
    monkeypatch.setattr(replay, "_parts", lambda *given: parts(*given)[1:] or parts(*given)[:0])
    with pytest.raises(UserError, match="tiles with .* products were run"):
        replay.layer(layer, expected(layer), False)


def test_answers_are_those_of_the_part_that_was_asked(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another part's answer is told from its own, in a sample too, where no layer is put together."""
    asked, layer = pool.run, small_layer()
    monkeypatch.setattr(pool, "run", lambda parts: ((i, replace(done, part="other")) for i, done in asked(parts)))
    with pytest.raises(UserError, match="layer small: a worker answered with another part's results"):
        replay_on(pool, tmp_path, sampling=Sampling(wrong=0.3, confidence=0.9)).layer(layer, expected(layer), False)


def test_a_sample_is_of_all_products(pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mapping that leaves out the last tile of each set."""
    layer, tiles = small_layer(), Mapping.tiles

    def fewer(mapping: Mapping, columns: ColumnSet) -> MappedTiles:
        found = tiles(mapping, columns)
        return replace(found, weights=found.weights[:-1], used=found.used[:-1])

    monkeypatch.setattr(Mapping, "tiles", fewer)
    with pytest.raises(UserError, match=r"layer small: its tiles make \d+ products an image, it has \d+"):
        replay_on(pool, tmp_path, sampling=Sampling(wrong=0.3, confidence=0.9)).layer(layer, expected(layer), False)


def test_results_that_were_not_compared_are_told() -> None:
    done = Done(matches=10, mismatches=2)
    assert uncounted(done, "fc", 12, 0) == []
    assert uncounted(done, "fc", 13, 0) == ["layer fc: 12 results were compared, the array gave 13"]
    assert uncounted(done, "fc", 12, 3) == ["layer fc: 3 results came that nobody asked for"]


def test_a_fault_of_a_worker_comes_with_its_text(pool: Pool, tmp_path: Path) -> None:
    """A part that cannot be: its images are no numbers."""
    layer = small_layer()
    replay = replay_on(pool, tmp_path)
    (part, *_) = replay._parts(layer, replay.mapping(layer), None)
    with pytest.raises(UserError, match=r"layer small: \w+Error: "):
        list(pool.run([replace(part, images=("none", 1))]))
    replay_on(pool, tmp_path).layer(layer, expected(layer), False)  # the worker lives on


def test_kept_parts_are_of_the_code_that_checked_them(pool: Pool, tmp_path: Path) -> None:
    layer = small_layer()
    replay = replay_on(pool, tmp_path)
    (part, *_) = replay._parts(layer, replay.mapping(layer), None)
    sources = {"tb": "1", "models/mapping.py": "2"}
    names = [kept_under("build", changed, "") for changed in (sources, sources, sources | {"tb": "3"})]
    assert names[0] == names[1] != names[2] and kept_under("build", sources, "now") not in names
    assert len({part.key(name) for name in names}) == 2


def test_operands_of_the_same_bytes_are_two(tmp_path: Path) -> None:
    zeros = [store_array(np.zeros(shape, np.int8), tmp_path) for shape in ((2, 3), (3, 2))]
    assert [open_array(stored).shape for stored in zeros] == [(2, 3), (3, 2)]


def run_replay(out: Path, *options: str) -> tuple[int, dict, str]:
    """Exit code, replay.json and text of the command."""
    command = [sys.executable, "-m", "tb.replay", "--out", str(out), "--jobs", "1", "--rows", "4", "--cols", "4"]
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=600)
    path = out / "reports" / "replay.json"
    return done.returncode, json.loads(path.read_text()) if path.exists() else {}, done.stdout + done.stderr


def test_a_broken_array_shows_where(tmp_path: Path) -> None:
    layer = small_layer("victim")
    archive = tmp_path / "tiles.npz"
    save_capture(Capture("net", "none", {"victim": layer}), archive)
    rtl = broken_rtl(
        tmp_path, "array/conv_pe.sv", {"w_q + OutWidth'($signed(psum0_i))": "w_q - OutWidth'($signed(psum0_i))"}
    )
    code, record, text = run_replay(tmp_path / "build", "--capture", str(archive), "--rtl", str(rtl))
    assert code == 1, text
    assert record["totals"]["mismatches"] > 0
    assert "WRONG layer victim, set 0, rows 0..3, vector" in text
    assert "of the layer): expected" in text


def test_a_result_that_nobody_asked_for_is_its_layers(tmp_path: Path) -> None:
    """A pulse of valid after the last result, when nothing is behind it."""
    layer = small_layer("victim")
    archive = tmp_path / "tiles.npz"
    save_capture(Capture("net", "none", {"victim": layer}), archive)
    pulse = "valid_q[Latency-1] || pulse_q;\n  logic pulse_q;\n  always_ff @(posedge clk_i or negedge rst_ni)\n"
    pulse += (
        "    if (!rst_ni) pulse_q <= 1'b0;\n    else pulse_q <= last_q[Latency-1] && !valid_q[Latency-2] && !pulse_q"
    )
    rtl = broken_rtl(tmp_path, "array/stream_control.sv", {"valid_q[Latency-1];": f"{pulse};"})
    code, _, text = run_replay(tmp_path / "build", "--capture", str(archive), "--rtl", str(rtl))
    assert code == 1 and "WRONG layer victim: 1 results came that nobody asked for" in text, text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--array", "tpu"], "unknown array 'tpu'"),
        (["--rows", "0"], "--rows 0: must be at least 1"),
        (["--array", "conv", "--encoding", "m32p"], "belongs to ARRAY=enc"),
        (["--sample", "2"], "--sample 2: must be above 0 and at most 1"),
        (["--layers", "nothing"], "unknown layer of the capture 'nothing'"),
        (["--jobs", "0"], "--jobs 0: must be at least 1"),
        (["--capture", "/nowhere.npz"], "no tile archive at /nowhere.npz"),
    ],
)
def test_bad_choice_is_one_line(options: list[str], message: str, directory: Path) -> None:
    code, _, text = run_replay(ROOT / "build", *options)
    assert code == 2 and message in text and len(text.strip().splitlines()) == 1


def test_wrong_shape_in_an_archive_is_named(tmp_path: Path) -> None:
    layer = small_layer("odd")
    bad = Layer("odd", layer.inputs, layer.weights[:, :3], layer.bias, layer.requant, padding=(1, 1, 1, 1))
    with pytest.raises(UserError, match="do not fit weights"):
        save_capture(Capture("net", "none", {"odd": bad}), tmp_path / "t.npz")
    save_capture(Capture("net", "none", {"odd": layer}), tmp_path / "t.npz")
    assert load_capture(tmp_path / "t.npz").layer("odd").macs == layer.macs
