"""Starting the app in terminals of several kinds, and in a browser: what is written, and that nothing waits for an answer."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from torchtty.tui.bench.terminal import Terminal

QUESTIONS = (b"\x1b[c", b"\x1b[16t", b"a=q")  # what kind of terminal, how large a cell, whether graphics work
APP = [sys.executable, "-P", "-m", "torchtty"]
SHOWN = """
import sys
from pathlib import Path
from textual.app import App
from torchtty.tui.images.picture import Picture
class Shown(App):
    def compose(self):
        yield Picture()
    def on_mount(self):
        self.set_timer(0.3, lambda: self.query_one(Picture).show(Path(sys.argv[1])))
Shown().run()
"""


def environment(**variables: str) -> dict[str, str]:
    graphics = {
        "TORCHTTY_IMAGES",
        "TERM_PROGRAM",
        "KITTY_WINDOW_ID",
        "WEZTERM_EXECUTABLE",
        "ITERM_SESSION_ID",
        "TMUX",
        "STY",
    }
    kept = {name: value for name, value in os.environ.items() if name not in graphics}
    return kept | {"TERM": "xterm-256color", "COLORTERM": "truecolor"} | variables


def output(terminal: Terminal) -> bytes:
    with terminal._arrived:
        return bytes(terminal._output)


@pytest.mark.parametrize("term", ["xterm-kitty", "foot"])
def test_no_terminal_is_asked_for_graphics_at_the_start(term: str) -> None:
    with Terminal(APP, environment(TERM=term)) as terminal:
        terminal.wait_for(["Train", "train  "])
        written = output(terminal)
        terminal.close(b"\x11")
    assert not [question for question in QUESTIONS if question in written]


@pytest.mark.parametrize(
    ("variables", "mark"),
    [
        ({"TERM": "xterm-kitty"}, b"\x1b_G"),
        ({"TERM_PROGRAM": "ghostty"}, b"\x1b_G"),
        ({"TERM": "foot"}, b"\x1bP"),
        ({"TERM_PROGRAM": "WezTerm"}, b"\x1bP"),
        ({"TORCHTTY_IMAGES": "sixel"}, b"\x1bP"),
        ({}, b"48;2;248;0;0"),
        ({"TERM": "xterm-kitty", "TORCHTTY_IMAGES": "blocks"}, b"48;2;248;0;0"),
    ],
)
def test_a_picture_is_shown_in_the_terminal_s_own_way_and_without_a_question(
    tmp_path: Path, wait_until: Callable[..., None], variables: dict[str, str], mark: bytes
) -> None:
    Image.new("RGB", (16, 16), "red").save(tmp_path / "red.png")
    with Terminal([sys.executable, "-c", SHOWN, str(tmp_path / "red.png")], environment(**variables)) as terminal:
        wait_until(lambda: mark in output(terminal), 30, "the picture")
        written = output(terminal)
        terminal.close(b"\x11")
    assert not [question for question in QUESTIONS if question in written]
    assert sum(sign in written for sign in (b"\x1b_G", b"\x1bP", b"48;2;248;0;0")) == 1


def test_the_app_runs_in_a_browser_through_textual_serve() -> None:
    driver = {"TEXTUAL_DRIVER": "textual.drivers.web_driver:WebDriver", "COLUMNS": "100", "ROWS": "30"}
    with subprocess.Popen(
        APP, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(**driver)
    ) as process:
        assert process.stdout is not None
        patience = threading.Timer(60, process.kill)
        patience.start()
        assert process.stdout.readline() == b"__GANGLION__\n"
        shown = b""
        while b"settings" not in shown:
            kind, size = process.stdout.read(1), int.from_bytes(process.stdout.read(4), "big")
            assert kind, "the app ended"
            shown += process.stdout.read(size)
        leave = json.dumps({"type": "quit"}).encode()
        _, errors = process.communicate(b"M" + len(leave).to_bytes(4, "big") + leave, timeout=60)
        patience.cancel()
    assert process.returncode == 0, errors
