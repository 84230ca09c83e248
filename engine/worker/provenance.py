"""From which data and on which machine a run was trained: recorded in its `meta.json`, and compared where it goes on."""

import json
import os
import platform
import socket

import torch

from torchtty.engine.contract.client.replay import Replay
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import expanded
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import write_atomically
from torchtty.engine.contract.settings.catalogue import catalogue
from torchtty.engine.contract.settings.data import DATASET


def refuse_moved_data(run: RunDirectory, dataset: str) -> None:
    """Raise `UserError` where a run is to be resumed and its data are not where they were."""
    if dataset and dataset not in catalogue() and not os.path.lexists(expanded(dataset)):
        raise UserError(
            f"The data of {run.name} are not at {printable_line(dataset)} any more. Put them back, or say where they "
            f"are now: 'torchtty resume {run.name} --{DATASET} PATH'."
        )


def refuse_changed_data(run: RunDirectory, sha256: str, replay: Replay | None, *, resumes: bool) -> None:
    """Raise `UserError` where a run would be resumed, or replay another one, with other data than it was trained on.

    `sha256` is the hash of the data that are there now.
    """
    recorded = _recorded(run)
    if replay is not None and replay.data_sha256 not in ("", sha256):
        raise UserError(
            f"The data of {_dataset(run)} have changed since {replay.run} was trained on them (SHA-256 {sha256[:12]}…, "
            f"it was {replay.data_sha256[:12]}…). Restore them to replay it."
        )
    if resumes and recorded and recorded != sha256:
        raise UserError(
            f"The data of {_dataset(run)} have changed since this run was trained on them (SHA-256 {sha256[:12]}…, it was "
            f"{recorded[:12]}…), so its curve would not be that of one text. Restore them, or continue with the new ones: "
            f"'torchtty resume {run.name} --changed-data'."
        )


def record_provenance(run: RunDirectory, device: str, sha256: str) -> None:
    """Write down on what a run is trained; data that are gone, with an empty hash, leave what was recorded of them."""
    meta = run.meta() | {
        "host": socket.gethostname(),
        "device": device,
        "data_sha256": sha256 or _recorded(run) or None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "seed": run.configuration().tree().get("training", {}).get("seed"),
    }
    write_atomically(run.meta_path, json.dumps(meta, indent=1))


def _recorded(run: RunDirectory) -> str:
    return str(run.meta().get("data_sha256") or "")


def _dataset(run: RunDirectory) -> str:
    return str(run.configuration().tree()["data"]["dataset"])
