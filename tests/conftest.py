"""What all tests share: folders of their own, real corpora, and real workers that were warmed up ahead of time."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("busy", deadline=None)  # a machine that stalls for 0.2 s is no failure
hypothesis.settings.load_profile("busy")

# Before anything of torchtty is imported: no test may touch the runs, downloads, locks or settings of whoever runs it.
_HOME = Path(tempfile.mkdtemp(prefix="torchtty-tests-"))
for _name in ("RUNS", "STATE", "DATA", "CONFIG", "LOCKS"):
    os.environ[f"TORCHTTY_{_name}"] = str(_HOME / _name.lower())
os.environ["TORCHTTY_IDLE_SECONDS"] = "60"
os.environ["TORCHTTY_THREADS"] = "1"  # two runs that are compared to the bit must not choose differently
os.environ["TORCHTTY_IMAGES"] = "blocks"  # whichever terminal the tests run in
os.environ.pop("TORCHTTY_MIRROR", None)
os.environ.pop("TORCHTTY_NOTIFY", None)
os.environ.pop("NO_COLOR", None)

from torchtty.engine.contract.client.workers import Mode, WarmWorker  # noqa: E402
from torchtty.engine.contract.run.directory import RunDirectory  # noqa: E402
from torchtty.engine.contract.run.requests import Release  # noqa: E402


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder with names.txt, tinyshakespeare.txt, nomi_italiani.txt and commedia.txt."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TORCHTTY_TEST_CORPORA", beside))
    assert (folder / "names.txt").is_file(), f"no corpora in {folder}: set TORCHTTY_TEST_CORPORA to their folder"
    return folder


@pytest.fixture(scope="session")
def noop_gpu(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables with which a process sees a GPU whose kernels do nothing: `tests/noop_gpu/build` says what is real of it."""
    if importlib.util.find_spec("nvidia") is None:
        pytest.skip("this build of torch knows no CUDA")
    if missing := [name for name in ("gcc", "g++", "nm") if not shutil.which(name)]:
        pytest.skip(f"a GPU that does nothing cannot be built without {', '.join(missing)}")
    built = tmp_path_factory.mktemp("noop-gpu")
    tool = Path(__file__).parent / "noop_gpu" / "build"
    subprocess.run(["bash", str(tool), str(built)], env=os.environ | {"PYTHON": sys.executable}, check=True)
    [line] = (built / "env").read_text().splitlines()
    return dict(word.split("=", 1) for word in line.split()[1:])


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test keeps its runs, locks and settings for itself. Returns the folder of its runs."""
    monkeypatch.setenv("TORCHTTY_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("TORCHTTY_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("TORCHTTY_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("TORCHTTY_CONFIG", str(tmp_path / "config"))
    return tmp_path / "runs"


class Workers:
    """Real workers; the next one warms up while a test still runs, so that few tests wait for torch."""

    def __init__(self) -> None:
        self._next: WarmWorker | None = None
        self._handed_over: list[tuple[WarmWorker, RunDirectory]] = []

    def warm(self) -> WarmWorker:
        """Return a warm worker, which the caller may hand a run or close."""
        worker, self._next = self._next or self._spawn(), None
        wait_until(lambda: worker.hello() is not None or not worker.is_alive, 120, "a warm worker")
        assert worker.is_alive, worker.log()
        return worker

    def start(self, run: RunDirectory, mode: Mode = Mode.TRAIN, **edits: object) -> WarmWorker:
        """Hand a run to a warm worker."""
        worker = self.warm()
        worker.hand_over(run, mode, edits)
        self._handed_over.append((worker, run))
        self._next = self._spawn()
        return worker

    @staticmethod
    def _spawn() -> WarmWorker:
        """Start a worker that looks for the devices' locks where all others of the session do, whichever test it is for."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TORCHTTY_STATE", str(_HOME / "state"))
            patch.setenv("TORCHTTY_LOCKS", str(_HOME / "locks"))
            return WarmWorker()

    def end_training(self) -> None:
        """End workers whose runs still train: a test that failed must not hold the device that the next ones wait for."""
        for worker, run in self._handed_over:
            if worker.is_alive and run.status().state.is_live:
                worker.process.kill()
                worker.process.wait()

    def close(self) -> None:
        """End every worker that is still there."""
        if self._next:
            self._next.close()
        for worker, run in self._handed_over:
            if worker.is_alive:
                worker.process.kill()
                worker.process.wait()
            assert isinstance(run, RunDirectory)


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    """The pool of real workers."""
    pool = Workers()
    yield pool
    pool.close()


@pytest.fixture(autouse=True)
def nothing_trains_on(request: pytest.FixtureRequest) -> Iterator[None]:
    """No run of a test outlives it."""
    yield
    if "workers" in request.fixturenames:
        request.getfixturevalue("workers").end_training()


def wait_until(condition: Callable[[], bool], seconds: float = 30.0, what: str = "the condition") -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about in {seconds} s"
        time.sleep(0.02)


@pytest.fixture(name="wait_until", scope="session")
def _wait_until() -> Callable[..., None]:
    return wait_until


@pytest.fixture(scope="session")
def release() -> Callable[[RunDirectory], None]:
    """Let a serving worker go."""
    return lambda run: run.send(Release())
