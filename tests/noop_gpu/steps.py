"""Trains families, which it reads with their flags as JSON, some steps each on a GPU that does nothing, and prints what it took.

A process of its own, as torch looks for a GPU once in a process's life.
"""

import ctypes
import json
import os
import sys
from typing import Any

import torch

from torchtty.engine.contract.run.directory import create
from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.devices import choose_device, describe_devices, lack_of_memory, open_device
from torchtty.engine.training.checkpoint_manager import CheckpointManager
from torchtty.engine.training.parking import Parked, tensors_of
from torchtty.engine.training.run_writer import RunWriter, new_status
from torchtty.engine.training.task import build_task
from torchtty.engine.worker.estimate import prepare
from torchtty.engine.worker.warm_up import warm_up

BEFORE, COUNTED = 4, 10  # steps: the first ones find what later ones use
noop = ctypes.CDLL(None)


def count(what: str) -> int:
    return noop.noop_count(what.encode())


def opened() -> list[str]:
    return [f"cuda:{index}" for index in range(torch.cuda.device_count()) if count("opened") >> index & 1]


def before() -> dict[str, Any]:
    warm_up()
    warm = count("opened")
    devices = [found["device"] for found in describe_devices()]
    listed = count("opened")
    choose_device("auto")
    return {"warm": warm, "listed": listed, "chosen": count("opened"), "devices": devices}


def estimated(flags: dict[str, str]) -> dict[str, Any]:
    """Return the estimates for a model that fits, and one that does not."""
    trees = [with_flags(starting_tree("mlp"), flags | {"model.n_hidden": width}).tree() for width in ("8", "8000")]
    answers = [prepare(tree) for tree in trees]
    return {"opened": count("opened"), "answers": answers}


def steps(kind: str, flags: dict[str, str]) -> dict[str, Any]:
    task: Any = build_task(with_flags(starting_tree(kind), flags))
    for step in range(BEFORE):
        task.train_step(step)
    counts = {what: count(what) for what in ("launches", "waits", "copies")}
    for step in range(BEFORE, BEFORE + COUNTED):
        task.train_step(step)
    found: dict[str, Any] = {what: (count(what) - was) / COUNTED for what, was in counts.items()}
    held = torch.cuda.memory_allocated()
    if hasattr(task, "windows"):
        train = task.windows["train"]
        found["bytes_a_token"] = train.stream.element_size() + train.starts.element_size()
        found["best_on"] = best_on(task)
    bits = [(tensor, _bits(tensor), tensor.device) for tensor in tensors_of(task)]
    parked = Parked(task)
    found |= {"held": held, "parked": torch.cuda.memory_allocated(), "opened": opened()}
    found["devices_parked"] = sorted({str(tensor.device) for tensor, _, _ in bits})
    os.environ["NOOP_GPU_BYTES"] = "1000"
    try:
        parked.bring_back()
    except torch.OutOfMemoryError:
        found["devices_refused"] = sorted({str(tensor.device) for tensor, _, _ in bits})
    del os.environ["NOOP_GPU_BYTES"]
    parked.bring_back()
    found["same"] = all(_bits(tensor) == was and tensor.device == device for tensor, was, device in bits)
    task.train_step(BEFORE + COUNTED)
    return found


def best_on(task: Any) -> str:
    """Return where the best weights of a run are remembered."""
    run = create(task.configuration)
    manager = CheckpointManager(task, RunWriter(run, new_status(1)))
    manager.consider(1, 1.0)
    [place] = {str(tensor.device) for tensor in (manager.chosen(2).weights or {}).values()}
    return place


def _bits(tensor: torch.Tensor) -> bytes:
    """Return what lies in a tensor's memory, by a copy that is done on this device too."""
    storage = tensor.detach().untyped_storage().cpu()
    return torch.empty(0, dtype=torch.uint8).set_(storage).numpy().tobytes()


def full(device: torch.device) -> str:
    """Let the GPU be full, and return what is said of it."""
    os.environ["NOOP_GPU_BYTES"] = str(torch.cuda.memory_reserved(device) + 2**20)
    try:
        torch.empty(2**24, device=device)
    except torch.OutOfMemoryError as error:
        return lack_of_memory(error)
    finally:
        del os.environ["NOOP_GPU_BYTES"]
    return ""


families = json.load(sys.stdin)
found: dict[str, Any] = {"before": before(), "estimated": estimated(families["mlp"])}
open_device(torch.device("cuda:1"))
for kind, flags in families.items():
    found[kind] = steps(kind, flags)
open_device(torch.device("cuda:0"))
kept = torch.zeros(2**20, device="cuda:0")
found["full"] = full(torch.device("cuda:0"))
print(json.dumps(found), flush=True)
