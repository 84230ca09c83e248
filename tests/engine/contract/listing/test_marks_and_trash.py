"""Stars, tags and notes, and the trash, on real run directories."""

import os
import socket
import subprocess
import sys

import pytest

from torchtty.engine.contract.client.trash import TRASH, empty_trash, move_to_trash, restore, trashed
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.listing.entry import EntryReader
from torchtty.engine.contract.run.directory import list_runs
from torchtty.engine.contract.run.marks import FILE, MOST_TAGS, Marks, check_note, note, read_marks, star, tag
from torchtty.engine.contract.run.status import RunState


def test_marks_are_kept_beside_the_run_and_leave_its_own_files_alone(write_run):
    written = write_run("one")
    written.status(RunState.FINISHED)
    before = {path.name: path.read_bytes() for path in written.run.path.iterdir() if path.is_file()}
    reader = EntryReader()
    assert reader.read(written.run).marks == Marks()
    star(written.run, starred=True)
    tag(written.run, ["good", "#base", "good"])
    note(written.run, "  the\nbaseline \x1b[2J")
    marks = reader.read(written.run).marks
    assert marks == Marks(True, ("good", "base"), "the baseline ␛[2J"), "an ended run is not read again, its marks are"
    tag(written.run, remove=["good"])
    star(written.run, starred=False)
    assert reader.read(written.run).marks == Marks(False, ("base",), "the baseline ␛[2J")
    after = {path.name: path.read_bytes() for path in written.run.path.iterdir() if path.is_file()}
    assert after.keys() - before.keys() == {FILE}
    assert all(after[name] == content for name, content in before.items())


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"tags": 3, "note": [], "starred": "yes"}', '{"tags": ["\\u001b[2J", 4, "ok"]}']
)
def test_damaged_marks_are_passed_over(write_run, content):
    run = write_run("one").run
    (run.path / FILE).write_text(content)
    assert read_marks(run) in (Marks(), Marks(tags=("ok",)))


def test_what_is_no_tag_or_too_long_is_refused(write_run):
    run = write_run("one").run
    with pytest.raises(UserError, match="A tag cannot be 'two words'"):
        tag(run, ["two words"])
    with pytest.raises(UserError, match="500 characters"):
        check_note("x" * 501)
    with pytest.raises(UserError, match=f"{MOST_TAGS} tags at most"):
        tag(run, map(str, range(30)))
    assert read_marks(run) == Marks()


def test_a_run_in_the_trash_is_not_listed_and_comes_back_whole(write_run):
    written = write_run("one")
    written.status(RunState.FINISHED)
    content = written.run.config_path.read_bytes()
    gone = move_to_trash(written.run)
    assert list_runs() == []
    assert trashed() == [gone]
    write_run("one").status(RunState.FINISHED)
    back = restore(gone)
    assert back.name == "one-2", "its name was taken meanwhile"
    assert back.config_path.read_bytes() == content
    assert trashed() == []


def test_a_live_run_cannot_be_put_into_the_trash_and_one_that_came_alive_there_is_put_back(write_run):
    written = write_run("one")
    written.status(RunState.RUNNING)
    with pytest.raises(UserError, match="stop it before you delete it"):
        move_to_trash(written.run)
    written.status(RunState.STOPPED)
    gone = move_to_trash(written.run)
    type(written)(gone).status(RunState.RUNNING)
    empty_trash()
    assert [run.name for run in list_runs()] == ["one"]


def test_leaving_empties_the_trash_and_what_a_killed_app_left_can_be_brought_back(write_run, own_folders):
    for name in ("one", "two"):
        write_run(name).status(RunState.FINISHED)
    code = """
import os
from torchtty.engine.contract.client.trash import move_to_trash
from torchtty.engine.contract.run.directory import find_run
move_to_trash(find_run("one"))
os._exit(9)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    assert [run.name for run in trashed()] == ["one"], "its process is gone"
    elsewhere = own_folders / TRASH / f"5-{os.getppid()}-{socket.gethostname()}" / "alive"
    elsewhere.mkdir(parents=True)
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    (own_folders / TRASH / f"6-{int(gone.stdout)}-{socket.gethostname()}").write_text("no folder")
    assert [run.name for run in trashed()] == ["one"], "what another living app deleted is its own affair"
    restore(trashed()[0])
    assert sorted(run.name for run in list_runs()) == ["one", "two"]
    move_to_trash(list_runs()[0])
    empty_trash()
    assert len(list_runs()) == 1
    assert trashed() == []
    assert elsewhere.exists()
