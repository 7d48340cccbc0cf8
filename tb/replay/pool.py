"""Workers of a replay: simulators that stay alive, fed over local sockets; what a lost one did is done again."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path

from common.errors import UserError
from common.processes import SimulatorFault, signal_group
from tb.control.build import LeanVerilator
from tb.control.suites import Config
from tb.replay.store import Done, Part
from tb.reporting.results import ASSERTION

ATTEMPTS = 3  # of a part, each lost with its worker
PART_LIMIT_S = 3600
SIMULATOR_LIMIT_S = 7 * 24 * 3600


class WorkerLost(RuntimeError):
    """The simulator ended while it had a part, or did not answer."""


class Worker:
    """One simulator in a thread of its own."""

    def __init__(self, config: Config, directory: Path, folder: Path) -> None:
        self.config, self.directory, self.folder = config, directory, folder
        self.pid = 0
        self._connection: Connection | None = None
        self._thread: threading.Thread | None = None
        self._fault = ""
        self._address, self._key = str(folder / "socket"), secrets.token_bytes(16)

    def start(self) -> None:
        """Start the simulator and wait until it listens."""
        if self._thread:
            self._thread.join()
        self._fault = ""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.pid = 0
        with Listener(self._address, "AF_UNIX", authkey=self._key) as listener:
            self._thread = threading.Thread(target=self._simulate, daemon=True)
            self._thread.start()
            self._connection = listener.accept()
        try:
            self.pid = self._connection.recv()
        except (EOFError, OSError):
            raise WorkerLost(self.describe("did not start")) from None

    def run(self, part: Part) -> Done:
        """Run a part; UserError for one that cannot be run, WorkerLost if the simulator is gone."""
        try:
            self._connection.send(part)
            if not self._connection.poll(PART_LIMIT_S):
                self.kill()
                raise WorkerLost(self.describe(f"gave no answer for {PART_LIMIT_S} s"))
            answer = self._connection.recv()
        except (EOFError, OSError):
            self._thread.join(timeout=10)  # it knows how the simulator ended
            raise WorkerLost(self.describe("was lost")) from None
        if isinstance(answer, str):
            raise UserError(answer)
        return answer

    def stop(self) -> None:
        """Let the simulator end."""
        try:
            self._connection.send(None)
            self._connection.close()
        except (OSError, AttributeError):
            pass

    def kill(self) -> None:
        """End the simulator now."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                signal_group(os.getpgid(self.pid))

    def wake(self) -> None:
        """If `start` waits for a simulator, let it wait no longer."""
        with contextlib.suppress(OSError, EOFError, AuthenticationError):
            Client(self._address, authkey=self._key).close()

    def describe(self, what: str) -> str:
        """What happened, with what the simulator said last."""
        log = self.folder / "sim.log"
        said = ASSERTION.findall(log.read_text(errors="replace"))[:1] if log.exists() else []
        return "; ".join([f"worker {self.folder.name} {what}", *filter(None, [self._fault]), *said])

    def _simulate(self) -> None:
        tool = LeanVerilator()
        tool.limit_s = SIMULATOR_LIMIT_S
        environment = {
            "ENCMAC_CONFIG": json.dumps(self.config.array_fields),
            "ENCMAC_RECORDS": str(self.folder / "records.jsonl"),
            "ENCMAC_REPLAY": self._address,
            "ENCMAC_REPLAY_KEY": self._key.hex(),
            "COCOTB_ANSI_OUTPUT": "0",
            "OPENBLAS_NUM_THREADS": "1",
        }
        try:
            tool.test(
                test_module="tb.replay.worker",
                hdl_toplevel=self.config.top,
                build_dir=self.directory,
                test_dir=self.folder,
                hdl_toplevel_lang="verilog",
                results_xml=str(self.folder / "results.xml"),
                log_file=self.folder / "sim.log",
                extra_env=environment,
            )
        except (SimulatorFault, RuntimeError, SystemExit, OSError) as error:
            self._fault = f"the simulator {error}"
        self.wake()  # if it ended before it connected


class Pool:
    """`jobs` workers; `run` gives results as they come. A part whose worker is lost is run again by another."""

    def __init__(self, config: Config, directory: Path, jobs: int, say: Callable[[str], None] = print) -> None:
        if jobs < 1:
            raise UserError(f"JOBS={jobs}: give at least 1")
        self._config, self._directory, self._say = config, directory, say
        self._folder = Path(tempfile.mkdtemp(prefix="encmac-replay-"))
        self._parts: queue.Queue[tuple[int, Part | None, int] | None] = queue.Queue()  # no part: only start
        self._answers: queue.Queue[tuple[int, Done | Exception]] = queue.Queue()
        self.lost, self._closing = 0, False
        self.workers = [Worker(config, directory, self._folder / str(index)) for index in range(jobs)]
        self._threads = [threading.Thread(target=self._serve, args=(w,), daemon=True) for w in self.workers]
        for thread in self._threads:
            thread.start()

    @property
    def size(self) -> int:
        """Simulators that run at a time."""
        return len(self.workers)

    def warm(self) -> None:
        """Start the simulators before there is a part for them."""
        for _ in self.workers:
            self._parts.put((0, None, 1))

    def run(self, parts: list[Part]) -> Iterator[tuple[int, Done]]:
        """(index of the part, result), in the order in which they end."""
        for index, part in enumerate(parts):
            self._parts.put((index, part, 1))
        for _ in parts:
            index, answer = self._answers.get()
            if isinstance(answer, Exception):
                raise answer
            yield index, answer

    def close(self) -> None:
        """End all workers."""
        self._closing = True
        for _ in self.workers:
            self._parts.put(None)
        for worker, thread in zip(self.workers, self._threads, strict=True):
            thread.join(timeout=1)
            if thread.is_alive():
                worker.kill()
                worker.wake()
                thread.join(timeout=5)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _serve(self, worker: Worker) -> None:
        """Feed one worker."""
        started = False
        while (entry := self._parts.get()) is not None:
            if self._closing:
                continue
            index, part, attempt = entry
            try:
                if not started:
                    worker.start()
                    started = True
                if part:
                    self._answers.put((index, worker.run(part)))
            except WorkerLost as error:
                started = False
                if self._closing:
                    return
                if not part:
                    continue  # it is started with the next part
                self.lost += 1
                if attempt == ATTEMPTS:
                    fault = f"layer {part.layer.name}: {error}; {ATTEMPTS} workers ended with the same tiles"
                    self._answers.put((index, UserError(fault)))
                    continue
                self._say(f"{error}: its tiles of layer {part.layer.name} are run again")
                self._parts.put((index, part, attempt + 1))
            except Exception as error:  # whoever waits must hear of it
                self._answers.put((index, error))
        worker.stop()
