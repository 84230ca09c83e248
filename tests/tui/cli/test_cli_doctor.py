"""What the doctor finds."""

import json

import pytest
from command_line import Shell

from torchtty.tui.cli.doctor import images_protocol


def test_the_doctor_asks_torch_and_tries_the_folders(shell: Shell) -> None:
    # A folder below a file can never be made, whoever asks.
    (shell.folder / "file").write_text("")
    answer = shell("doctor", "--json", TORCHTTY_DATA=str(shell.folder / "file" / "below"))
    found = json.loads(answer.out)
    assert answer.code == 1
    assert any("TORCHTTY_DATA" in problem for problem in found["problems"])
    assert found["folders"]["runs"]["writable"]
    assert found["torch"]["version"]
    assert found["torch"]["devices"][0]["device"] == "cpu"


@pytest.mark.parametrize(
    ("environment", "protocol"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "sixel"),
        ({"TERM": "foot"}, "sixel"),
        ({"TERM": "xterm-256color"}, "half blocks"),
        ({}, "half blocks"),
    ],
)
def test_the_protocol_for_pictures_is_guessed_from_the_environment(environment: dict[str, str], protocol: str) -> None:
    assert images_protocol(environment) == protocol
