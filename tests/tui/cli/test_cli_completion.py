"""Completion in real shells: the script that torchtty gives them is loaded, and they are asked what they would offer."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import Shell

from torchtty.engine.contract.experiments.group import create_group
from torchtty.engine.contract.experiments.variation import Variation
from torchtty.engine.contract.run.marks import tag
from torchtty.engine.contract.settings.configuration import starting_tree

BIN = Path(sys.executable).parent
pytestmark = pytest.mark.skipif(not (BIN / "torchtty").exists(), reason="the command is not installed here")
CASES = {
    "torchtty tra": ["train"],
    "torchtty train names-": ["names-bigram", "names-gpt", "names-mlp"],
    "torchtty train mlp --model.n_e": ["--model.n_embd"],
    "torchtty train mlp --learning_r": ["--learning_rate"],
    "torchtty train mlp --optimizer.kind ada": ["adagrad", "adam", "adamw"],
    "torchtty sweep mlp --optimizer.kind adam,sg": ["adam,sgd"],
    "torchtty sweep --plan h": ["halving"],
    "torchtty show rates-": ["rates-seed-1", "rates-seed-2"],
    "torchtty results ": ["latest", "rates"],
    "torchtty fork rates --model.n_h": ["--model.n_hidden"],
    "torchtty runs --sort learning_r": ["learning_rate"],
    "torchtty runs --columns name,learning_r": ["name,learning_rate"],
    "torchtty tag rates-seed-2 g": ["good"],
    "torchtty train no-such-model --mod": [],
}
BASH = """
source <(_TORCHTTY_COMPLETE=source_bash torchtty)
while IFS= read -r line; do
    read -ra COMP_WORDS <<< "$line"
    [[ $line == *" " ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
    _torchtty_completion torchtty
    echo "${COMPREPLY[*]}"
done
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    shell = Shell(tmp_path_factory.mktemp("completion"))
    (shell.folder / "runs").mkdir()
    group = create_group(
        starting_tree("mlp"), Variation({"training.seed": (1, 2)}), root=shell.folder / "runs", name="rates"
    )
    tag(group.runs()[0], ["good"])
    return shell.environment | {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(shell.folder)}


def ask(command: list[str], environment: dict[str, str], text: str = "") -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert done.stderr == ""
    return done.stdout


def test_bash_offers_commands_models_runs_settings_and_their_values(environment: dict[str, str]) -> None:
    answers = ask(["bash", "--norc", "-c", BASH], environment, "".join(f"{line}\n" for line in CASES)).splitlines()
    assert [sorted(answer.split()) for answer in answers] == list(CASES.values())


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_fish_offers_the_same(environment: dict[str, str]) -> None:
    script = "_TORCHTTY_COMPLETE=source_fish torchtty < /dev/null | source; while read -l line; complete -C $line; echo ==; end"
    asked = [line for line, offered in CASES.items() if offered][::2]  # half of them: each starts a process
    answers = ask(["fish", "--no-config", "-c", script], environment, "".join(f"{line}\n" for line in asked))
    offered = [
        sorted(entry.partition("\t")[0] for entry in answer.split("\n") if entry) for answer in answers.split("==\n")
    ]
    assert offered[:-1] == [CASES[line] for line in asked]


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_completes_a_word_at_the_tab_key(environment: dict[str, str]) -> None:
    main, end = pty.openpty()
    zsh = subprocess.Popen(
        ["zsh", "-f", "-i"],
        stdin=end,
        stdout=end,
        stderr=end,
        env=environment | {"TERM": "dumb"},
        start_new_session=True,
    )
    os.close(end)

    def seen(pattern: str, patience: float = 60.0) -> str:
        text, until = "", time.monotonic() + patience
        while time.monotonic() < until and not re.search(pattern, text):
            if select.select([main], [], [], 0.2)[0]:
                text += os.read(main, 4096).decode(errors="replace")
        assert re.search(pattern, text), text
        return text

    try:
        os.write(
            main, b"autoload -U compinit; compinit -u; source <(_TORCHTTY_COMPLETE=source_zsh torchtty); echo rea''dy\n"
        )
        seen("ready")
        os.write(main, b"torchtty train mlp --model.n_em\t")
        seen(r"--model\.n_embd")
        os.write(main, b"\x15torchtty show rates-seed-\t\t")
        seen(r"rates-seed-1\s+rates-seed-2")
    finally:
        zsh.kill()
        zsh.wait()
        os.close(main)
