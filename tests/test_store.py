"""Shared files: whole or absent, locked by one, kept once for each key, and stale when their sources change."""

import multiprocessing
import os
import re
import resource
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import common.store
from common.errors import UserError
from common.files import in_use, keep, kept, locked, scratch, settle, sweep, write_text
from common.store import Store, changed, marked, outdated, sources_of

HOLD = """
import sys
from pathlib import Path
from common.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(path: Path, code: str = HOLD) -> subprocess.Popen:
    """Another process that holds a lock; returns once it has it."""
    environment = os.environ | {"ENCMAC_COMMAND": "1 make synth ROWS=4"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], text=True, env=environment, **pipes)
    assert process.stdout.readline() == "held\n"
    return process


def test_a_lock_names_who_holds_it_and_is_free_when_that_one_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "thing.lock"
    other = holder(path)
    with pytest.raises(UserError, match=r"make synth ROWS=4 .process 1, since .*thing; wait"), locked(path, False):
        pass
    other.kill()
    other.wait()
    with locked(path, wait=False):
        pass


def test_a_lock_waits_and_says_for_whom(tmp_path: Path) -> None:
    path = tmp_path / "thing.lock"
    other = holder(path)
    second = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], text=True, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert re.search(r"waiting for make synth ROWS=4 .process 1,", second.stderr.readline())
    other.communicate("")
    second.communicate("")
    assert second.returncode == 0


def test_a_forked_child_does_not_keep_the_lock_of_a_killed_parent(tmp_path: Path) -> None:
    path = tmp_path / "thing.lock"
    code = HOLD.replace('print("held"', "import os, time\n    os.fork() and time.sleep(600)\n    print(os.getpid()")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    other = subprocess.Popen([sys.executable, "-c", code, str(path)], text=True, **pipes)
    child = int(other.stdout.readline())
    try:
        other.kill()
        other.wait()
        with locked(path, wait=False):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_lock_that_was_removed_is_held_by_one(tmp_path: Path) -> None:
    path = tmp_path / "thing.lock"
    with locked(path):
        path.unlink()
        with locked(path, wait=False):  # another file of this name: nothing is shared with the first
            assert path.exists()


def test_scratch_goes_and_that_of_the_killed_too(tmp_path: Path) -> None:
    dead = tmp_path / ".scratch-dead"
    dead.mkdir()
    with scratch(tmp_path) as mine:
        assert not dead.exists()
        with scratch(tmp_path) as other:
            assert mine.is_dir() and other != mine
        (mine / "made").mkdir()
        (tmp_path / "place").mkdir()
        (tmp_path / "place" / "old").touch()
        settle(mine / "made", tmp_path / "place")
    assert [p.name for p in tmp_path.iterdir()] == ["place"] and not list((tmp_path / "place").iterdir())


def test_folders_in_use_are_not_swept(tmp_path: Path) -> None:
    for name in ("run-1", "run-2", "run-3"):
        (tmp_path / name).mkdir()
    with in_use(tmp_path / "run-1") as held, in_use(tmp_path / "run-1") as again:
        assert held and not again
        sweep(tmp_path, "run-*", keep=1)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["run-1", "run-3"]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_text(path, "old")
    code = (
        f"from pathlib import Path\nfrom common.files import write_text\nwrite_text(Path({str(path)!r}), 'x' * 100_000)"
    )
    run = f"from common.errors import run_cli\ndef main():\n    exec({code!r})\nrun_cli(main)"

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, preexec_fn=limit)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "File too large" in done.stderr
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["record.json"]


def test_one_entry_for_each_key_the_newest(tmp_path: Path) -> None:
    store = Store(tmp_path / "reports")
    assert store.entries("area") == [] and store.get("area", {"rows": 4}) is None
    store.put("area", {"rows": 64, "design": "m12p"}, {"um2": 2})
    store.put("area", {"rows": 4, "design": "m12p"}, {"um2": 1})
    store.put("power", {"rows": 64, "design": "m12p"}, {"mw": 5})
    store.put("area", {"design": "m12p", "rows": 64}, {"um2": 3})
    assert [e.data for e in store.entries("area")] == [{"um2": 1}, {"um2": 3}]
    assert [e.data for e in store.entries("area", rows=4)] == [{"um2": 1}]
    assert store.get("area", {"rows": 64, "design": "m12p"}).data == {"um2": 3}
    store.remove("area", [{"rows": 4, "design": "m12p"}])
    assert len(store.entries("area")) == 1
    document = store.publish("area", lambda s: {"rows": [e.data for e in s.entries("area")]})
    assert document["rows"] == [{"um2": 3}] and (tmp_path / "reports" / "area.json").exists()


def test_entries_are_stale_when_what_they_depend_on_has_changed(tmp_path: Path) -> None:
    (tmp_path / "rtl").mkdir()
    source = tmp_path / "rtl" / "top.sv"
    source.write_text("module top; endmodule\n")
    seen = sources_of(tmp_path / "rtl", "rtl/accum", packages=["numpy"], programs=["python3"])
    assert set(seen) == {str(tmp_path / "rtl"), "rtl/accum", "package numpy", "program python3"} and all(seen.values())
    store = Store(tmp_path)
    store.put("area", {"rows": 4}, {}, seen)
    (tmp_path / "rtl" / "notes.txt").write_text("no source")
    assert changed(seen) == [] and marked(store.entries("area"))[1] == []
    stamp = source.stat()
    source.write_text("module tap; endmodule\n")
    os.utime(source, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # the clock does not matter
    assert changed(seen) == [str(tmp_path / "rtl")]
    current, stale = marked(store.entries("area"))
    assert not current and stale[0]["key"] == {"rows": 4} and stale[0]["changed"] == [str(tmp_path / "rtl")]
    assert changed({"package no-such": "1.0", "program no-such": "a"}) == ["package no-such", "program no-such"]


def _put_many(reports: Path, name: int) -> None:
    for n in range(20):
        Store(reports).put("area", {"by": name, "n": n}, {"n": n})


def test_processes_write_at_the_same_time_and_a_killed_one_leaves_the_store_whole(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_put_many, args=(tmp_path, name)) for name in range(4)]
    victim = context.Process(target=_put_many, args=(tmp_path, 9))
    for writer in (*writers, victim):
        writer.start()
    while not Store(tmp_path).entries("area", by=9):
        pass
    victim.kill()
    for writer in (*writers, victim):
        writer.join()
    assert [len(Store(tmp_path).entries("area", by=name)) for name in range(4)] == [20] * 4


def test_a_damaged_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "records.sqlite").write_text("no store at all, but long enough to have a header" * 40)
    with pytest.raises(UserError, match="records.sqlite is damaged"):
        Store(tmp_path).entries("area")
    with pytest.raises(UserError, match="records.sqlite is damaged"):
        Store(tmp_path).put("area", {}, {})


def test_a_view_says_what_it_depends_on_and_how_it_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "top.sv"
    source.write_text("module top; endmodule\n")
    store = Store(tmp_path / "reports")
    for rows in (4, 64, 4):
        monkeypatch.setenv("ENCMAC_COMMAND", f"{os.getpid()} make synth ROWS={rows}")
        store.put("area", {"rows": rows}, {}, sources_of(source))
    store.put("power", {"rows": 4}, {}, {"not/asked": "for"})

    def view(kept: Store) -> dict:
        current, stale = marked(kept.entries("area"))
        return {"rows": [e.key["rows"] for e in current], "stale": stale}

    document = store.publish("area", view)
    assert document["commands"] == ["make synth ROWS=64", "make synth ROWS=4"] and outdated(document) == []
    source.write_text("module tap; endmodule\n")
    assert outdated(document) == [str(source)], "told although nobody has written the view anew"
    document = store.publish("area", view)
    assert (document["rows"], document["sources"], document["commands"]) == ([], {}, [])
    assert outdated(document) == [str(source)]


def test_a_store_of_an_earlier_version_is_read_and_written(tmp_path: Path) -> None:
    schema = common.store.SCHEMA.replace(" command TEXT NOT NULL DEFAULT '',", "")
    with sqlite3.connect(tmp_path / "records.sqlite") as old:
        old.execute(schema)
        old.execute("INSERT INTO entries VALUES (1, 'area', '{\"rows\": 4}', '{}', '{}', '2026-01-01')")
    store = Store(tmp_path)
    assert [e.command for e in store.entries("area")] == [""]
    store.put("area", {"rows": 64}, {})
    assert [bool(e.command) for e in store.entries("area")] == [False, True]


def test_a_store_that_cannot_be_written_is_told_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written .Not a directory"):
        Store(tmp_path / "file" / "reports").check()
    store = Store(tmp_path / "reports")
    store.check()
    store.check()
    assert store.entries("area") == []
    monkeypatch.setattr(os, "access", lambda path, _: path != store.path)  # a checkout that may only be read
    with pytest.raises(UserError, match="cannot be written .it is read-only"):
        store.check()


def test_results_are_kept_for_what_they_were_made_from(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    assert kept(path, "a") is None
    keep(path, "a", {"area": 1.5})
    assert kept(path, "a") == {"area": 1.5} and kept(path, "b") is None
    for damaged in ("", "[]", '{"key": "a"}', '{"key": "a", "value": 1'):
        path.write_text(damaged)
        assert kept(path, "a") is None


@pytest.mark.parametrize("stale", [[None], [{"changed": None}], [{"changed": [1]}], "x", [["a"]]])
def test_a_damaged_list_of_what_is_stale_is_passed_over(stale):
    assert outdated({"stale": stale}) == []
    # a library that only another checkout has unpacked has not changed; one that is here may have
    assert outdated({"sources": {"build/pdk/not-here.lib": "a", "rtl/not-here.sv": "a"}}) == ["rtl/not-here.sv"]
