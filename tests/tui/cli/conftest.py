"""One shell for all tests of the command line."""

from collections.abc import Callable, Iterator

import pytest
from command_line import Answer, Shell
from written_run import write_run

from torchtty.engine.contract.run.directory import list_runs
from torchtty.engine.contract.run.requests import Release, Stop
from torchtty.tui.main import main

__all__ = ["write_run"]


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell for the whole session; whatever it left running is ended."""
    shell = Shell(tmp_path_factory.mktemp("command-line"))
    yield shell
    for run in list_runs(shell.folder / "runs"):
        status = run.status()
        if status.state.is_live:
            run.send(Stop())
        elif status.serving:
            run.send(Release())


@pytest.fixture
def here(shell: Shell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    """Run a command in this process: the same code without a second to start Python, for commands that start nothing."""
    for name in ("TORCHTTY_RUNS", "TORCHTTY_STATE", "TORCHTTY_DATA", "TORCHTTY_CONFIG"):
        monkeypatch.setenv(name, shell.environment[name])
    monkeypatch.chdir(shell.folder)
    monkeypatch.delenv("LINES", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(*arguments: str, columns: int | None = 80) -> Answer:
        if columns is not None:
            monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr("sys.argv", ["torchtty", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        return Answer(int(end.value.code or 0), *capsys.readouterr())

    return run
