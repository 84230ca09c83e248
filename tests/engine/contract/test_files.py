"""Files that are torn, replaced or hostile, and readers that cope."""

import json
import os
import socket
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import export_target
from torchtty.engine.contract.printable import printable, printable_line
from torchtty.engine.contract.run import requests as commands
from torchtty.engine.contract.run.directory import RunDirectory, create, find_run, list_runs
from torchtty.engine.contract.run.files import JsonLinesTail, json_line, parse_lines, write_atomically
from torchtty.engine.contract.run.requests import Edit, Pause, Sample, Stop, collect, drop
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import parse, starting_tree, with_value
from torchtty.engine.worker.estimate import prepare
from torchtty.tui.cli.console import guarded
from torchtty.tui.cli.program import run as run_command

RECORDS = st.lists(
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=8) | st.floats(allow_nan=False), max_size=4),
    max_size=20,
)


@given(RECORDS, st.data())
def test_a_tail_gives_every_record_once_however_the_writer_is_cut(
    records: list[dict[str, Any]], data: st.DataObject
) -> None:
    content = b"".join(json_line(record) for record in records)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=6)))
    path = Path(os.environ["TORCHTTY_STATE"]).with_name(f"tail-{os.getpid()}.jsonl")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    tail, found = JsonLinesTail(path), []
    for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True):
        with path.open("ab") as file:
            file.write(content[start:end])
        found += tail.read()
    assert found == json.loads(json.dumps(records))
    path.unlink()


@given(st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line), max_size=10), RECORDS)
def test_rubbish_between_lines_hides_no_record(rubbish: list[bytes], records: list[dict[str, Any]]) -> None:
    tagged = [record | {"number of the record": number} for number, record in enumerate(records)]
    lines = [json_line(record).strip() for record in tagged]
    mixed = [line for pair in zip(lines, [*rubbish, *[b"{"] * len(lines)], strict=False) for line in pair]
    found = [record for record in parse_lines(b"\n".join(mixed)) if "number of the record" in record]
    assert found == json.loads(json.dumps(tagged))


def test_a_replaced_or_shortened_file_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    tail = JsonLinesTail(path)
    assert tail.read() == []
    path.write_bytes(b'{"a": 1}\n{"a": 2}\n')
    assert len(tail.read()) == 2
    write_atomically(path, '{"b": 3}\n')
    assert tail.read() == [{"b": 3}]
    assert tail.restarted
    assert tail.read() == []
    assert not tail.restarted


def test_infinite_and_missing_numbers_survive_a_line() -> None:
    line = json_line({"loss": float("inf"), "other": float("-inf")})
    assert parse_lines(line) == [{"loss": float("inf"), "other": float("-inf")}]
    assert parse_lines(json_line({"x": float("nan")}))[0]["x"] != 0


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "status.json"
    write_atomically(path, "old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_commands_are_taken_in_their_order_and_deleted(tmp_path: Path) -> None:
    sent = [Pause(), Edit(path="optimizer.learning_rate", value=0.1), Sample(id="x", prompt="[bold]\x1b[31m"), Stop()]
    for command in sent:
        drop(tmp_path, command)
    (tmp_path / ".hidden.json").write_text("{}")
    assert list(collect(tmp_path)) == sent
    assert [path.name for path in tmp_path.iterdir()] == [".hidden.json"]
    assert list(collect(tmp_path / "missing")) == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"type":"sample","count":0}', '{"type":"sample","path":"/etc"}', '{"type":"x"}', "\x00"]
)
def test_a_command_that_is_none_is_a_message(tmp_path: Path, text: str) -> None:
    (tmp_path / "1.json").write_text(text)
    (only,) = collect(tmp_path)
    assert isinstance(only, str)
    assert "not understood" in only
    assert list(tmp_path.iterdir()) == []


class TestRunDirectory:
    def test_runs_of_one_kind_are_numbered_and_found_again(self) -> None:
        first, second = (create(parse(starting_tree("mlp"))) for _ in range(2))
        assert (first.name, second.name) == ("mlp-given-names-1", "mlp-given-names-2")
        assert find_run("latest") in (first, second)
        assert find_run("mlp-given-names-2") == second
        assert {run.name for run in list_runs()} == {first.name, second.name}
        with pytest.raises(UserError, match="fits several"):
            find_run("mlp")
        with pytest.raises(UserError, match="no run called"):
            find_run("nothing")

    @pytest.mark.parametrize("name", ["../evil", "a/b", "", ".hidden", "x" * 100, "a\nb", "-rf"])
    def test_a_name_never_leaves_the_folder(self, name: str, own_folders: Path) -> None:
        with pytest.raises(UserError, match="cannot be called"):
            create(parse(starting_tree("mlp")), name=name)
        assert not own_folders.exists()

    def test_a_name_that_is_taken_is_refused(self) -> None:
        create(parse(starting_tree("mlp")), name="mine")
        with pytest.raises(UserError, match="already"):
            create(parse(starting_tree("mlp")), name="mine")

    def test_a_folder_that_cannot_be_made_is_a_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(UserError, match=r"Cannot create a run .* TORCHTTY_RUNS"):
            create(parse(starting_tree("mlp")), root=tmp_path / "file" / "runs")

    def test_its_files_have_the_users_permissions(self) -> None:
        run = create(parse(starting_tree("mlp")))
        plain = run.path / "plain"
        plain.write_text("")
        expected = stat.S_IMODE(plain.stat().st_mode)
        for path in (run.config_path, run.meta_path, run.status_path):
            assert stat.S_IMODE(path.stat().st_mode) == expected

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"state": "flying"}', b"\xff"])
    def test_a_broken_status_is_shown_as_lost(self, content: bytes) -> None:
        run = create(parse(starting_tree("mlp")))
        run.status_path.write_bytes(content)
        assert run.status().state is RunState.LOST
        run.status_path.unlink()
        assert run.status().state is RunState.LOST

    def test_a_vanished_run_reads_as_nothing(self, tmp_path: Path) -> None:
        run = RunDirectory(tmp_path / "gone")
        assert run.status().state is RunState.LOST
        assert (run.meta(), run.checkpoints(), run.best_step()) == ({}, [], None)
        with pytest.raises(UserError, match="Cannot read"):
            run.configuration()
        with pytest.raises(UserError, match="Cannot send"):
            run.send(commands.Stop())


class TestStatus:
    def test_a_process_with_the_same_number_but_another_start_is_not_the_worker(self) -> None:
        import psutil

        me = psutil.Process()
        here = Status(state=RunState.RUNNING, pid=me.pid, process_started=me.create_time(), host=socket.gethostname())
        assert here.observed().state is RunState.RUNNING
        assert here.model_copy(update={"process_started": me.create_time() - 100}).observed().state is RunState.LOST

    def test_a_run_on_another_host_is_judged_by_its_heartbeat(self) -> None:
        away = Status(state=RunState.RUNNING, pid=1, host="elsewhere", heartbeat=time.time())
        assert away.observed().state is RunState.RUNNING
        assert away.observed(now=time.time() + 60).state is RunState.LOST
        assert away.observed(now=time.time() + 60).message

    def test_a_new_run_may_wait_for_a_worker_that_still_imports_torch(self) -> None:
        new = Status(state=RunState.STARTING, heartbeat=1000.0)
        assert new.observed(now=1060.0).state is RunState.STARTING
        assert new.observed(now=2000.0).state is RunState.LOST


@given(st.text())
def test_printable_text_holds_nothing_that_acts_on_a_terminal(text: str) -> None:
    safe = printable(text)
    assert not any((ord(sign) < 32 and sign not in "\n\t") or 0x7F <= ord(sign) < 0xA0 for sign in safe)
    safe.encode("utf-8")  # raises for a lone surrogate
    assert "\n" not in printable_line(text)


def test_printable_text_keeps_what_is_harmless() -> None:
    assert printable("Dante, [bold] é 漢字 😀\n\t") == "Dante, [bold] é 漢字 😀\n\t"
    assert printable("\x1b[31m\x07\u202e") == "␛[31m␇\N{REPLACEMENT CHARACTER}"
    assert printable("a\u061cb") == "a\N{REPLACEMENT CHARACTER}b"


@pytest.mark.parametrize(
    "emoji", ["👨\u200d👩\u200d👧", "👩🏽\u200d🚀", "❤\ufe0f\u200d🔥", "🏳\ufe0f\u200d🌈", "🧔\u200d♂\ufe0f", "☃\ufe0f"]
)
def test_an_emoji_of_several_code_points_stays_whole_and_a_joiner_elsewhere_is_shown(emoji: str) -> None:
    assert printable(emoji) == emoji
    assert printable(f"a\u200d{emoji}\u200db") == f"a\N{REPLACEMENT CHARACTER}{emoji}\N{REPLACEMENT CHARACTER}b"


class TestNames:
    """What a person types as a name or a path is answered by a sentence, however long it is."""

    @pytest.mark.parametrize(
        "name", ["a" * 300, "/" + "a" * 300, "b" * 5000, "a/" * 3000, "\x00/", "latest", ".", "~x/y"]
    )
    def test_a_run_that_cannot_be_is_not_found(self, name: str, own_folders: Path) -> None:
        with pytest.raises(UserError, match="There are no runs"):
            find_run(name)
        (own_folders / "latest").mkdir(parents=True)  # no run
        with pytest.raises(UserError, match="There are no runs"):
            find_run(name)
        create(parse(starting_tree("mlp")))
        if name != "latest":
            with pytest.raises(UserError, match="There is no run called") as raised:
                find_run(name)
            assert len(str(raised.value)) < 200

    def test_latest_is_the_newest_run_and_no_name(self, own_folders: Path) -> None:
        with pytest.raises(UserError, match="means the newest"):
            create(parse(starting_tree("mlp")), name="latest")
        made = create(parse(starting_tree("mlp")))
        assert find_run("latest") == made

    @pytest.mark.parametrize("name", ["a" * 300, "/" + "a" * 300 + ".txt", "~nobody-of-that-name/x.txt"])
    def test_data_weights_and_exports_of_such_names(self, name: str) -> None:
        for command in (
            ["data", name],
            ["train", "mlp", "--data.dataset", name],
            ["train", "dcgan", "--dataset", name],
        ):
            assert guarded(lambda command=command: run_command(command)) in (1, 2)
        for kind in ("mlp", "dcgan"):
            tree = with_value(starting_tree(kind), "data.dataset", name)
            assert prepare(tree)["problems"]
        assert prepare(with_value(starting_tree("gpt2"), "model.weights", name))["problems"]
        with pytest.raises(UserError):
            export_target(name)

    def test_a_run_that_could_not_be_written_leaves_nothing(
        self, own_folders: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("torchtty.engine.contract.run.directory.write_atomically", full)
        with pytest.raises(UserError, match="No space left"):
            create(parse(starting_tree("mlp")))
        assert list(own_folders.iterdir()) == []
