"""One step computed by several processes: each takes a part of the batch, and gradients are summed over all of them.

Rank 0 is the run's worker. It draws the batch of one process, and tells the others, its followers, what to do: a follower holds
a replica of the model and of the optimizer, and knows neither the data nor the run. All that a step needs comes with it, so that
live edits, pauses and resumes are rank 0's affair alone.
"""

import io
import json
import math
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Protocol, runtime_checkable

import torch
import torch.distributed as dist
from torch import Tensor

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.printable import shortened
from torchtty.engine.training.step import Batch, Descent, EagerStep, Metrics, Rates

PATIENCE = timedelta(minutes=5)  # that a rank waits for another, which it is reminded of every `REMINDER` seconds
REMINDER = 10.0
WORDS = 8  # numbers of an order

ALIVE, BEGIN, STEP, PARK, UNPARK, END = range(6)
"""What rank 0 orders; `ALIVE` asks for nothing, and says that an order may still come."""


class RankLost(Exception):
    """Another rank has gone, or does not answer."""


@runtime_checkable
class SharesItsSteps(Protocol):
    """What a task offers whose steps several processes can share."""

    def why_not_shared(self, ranks: int) -> str:
        """Return why so many processes cannot share a step, as a sentence; "" where they can."""

    def predictions(self, batch: Batch) -> Tensor:
        """Return over how many numbers the losses of a batch are means, 0-D: a part of it weighs as much as it has of them."""

    def replica_of(self) -> dict[str, Any]:
        """Return what a follower builds its replica from, as JSON: configuration, tokenizer, architecture, precision."""

    def share_with(self, ranks: "Ranks") -> None:
        """Have every step from now on computed by all ranks."""


class Ranks:
    """The line between the processes of a run. Raises `RankLost` where another one does not answer."""

    def __init__(self, rank: int, size: int, store: dist.Store, device: torch.device, here: int) -> None:
        """Meet the other ranks, so many of them `here`, on one machine; every one computes on a device of the same type."""
        self.rank, self.size, self.device, self.here = rank, size, device, here
        self._lock = threading.RLock()  # an order is followed by what belongs to it
        self._ended = threading.Event()
        backend = "gloo" if device.type == "cpu" else f"cpu:gloo,{device.type}:{_backend_of(device)}"
        with _lost_means_gone():
            dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
            dist.barrier()  # over the processor, where whoever has gone is noticed at once
        if rank == 0:
            threading.Thread(target=self._remind, name="ranks", daemon=True).start()

    def close(self) -> None:
        """Leave the others."""
        self._ended.set()
        with self._lock, suppress(RuntimeError, ValueError):
            dist.destroy_process_group()

    # -- rank 0 ---------------------------------------------------------------------------------------------------

    def order(self, what: int, words: Sequence[float] = (), *, about: Mapping[str, Any] | None = None) -> None:
        """Tell the followers what to do, with a few numbers or a JSON object."""
        body = json.dumps(about).encode() if about is not None else b""
        numbers = [float(what), float(len(body)), *words]
        with self._lock, _lost_means_gone():
            dist.broadcast(torch.tensor(numbers + [0.0] * (WORDS - len(numbers)), dtype=torch.float64), 0)
            if body:
                dist.broadcast(torch.frombuffer(bytearray(body), dtype=torch.uint8), 0)

    def send_state(self, state: dict[str, Any]) -> None:
        """Give the followers tensors and numbers, of types that `torch.load` takes with `weights_only`."""
        file = io.BytesIO()
        torch.save(state, file)
        written = torch.frombuffer(bytearray(file.getbuffer()), dtype=torch.uint8)
        with self._lock, _lost_means_gone():
            dist.broadcast(torch.tensor([len(written)]), 0)
            dist.broadcast(written, 0)

    def in_one_go(self) -> threading.RLock:  # type: ignore[valid-type]
        """Keep reminders from coming between orders."""
        return self._lock

    def _remind(self) -> None:
        while not self._ended.wait(REMINDER):
            if self._lock.acquire(blocking=False):
                try:
                    if not self._ended.is_set():
                        self.order(ALIVE)
                except RankLost:
                    return  # the next order finds out, too
                finally:
                    self._lock.release()

    # -- followers ------------------------------------------------------------------------------------------------

    def hear(self) -> tuple[int, list[float], dict[str, Any]]:
        """Wait for an order of rank 0; return it with its numbers and its object."""
        words, about = torch.zeros(WORDS, dtype=torch.float64), dict[str, Any]()
        with _lost_means_gone():
            dist.broadcast(words, 0)
            what, size, *numbers = words.tolist()
            if size:
                body = torch.empty(int(size), dtype=torch.uint8)
                dist.broadcast(body, 0)
                about = json.loads(body.numpy().tobytes())
        return int(what), numbers, about

    def receive_state(self) -> dict[str, Any]:
        """Return what rank 0 sends by `send_state`."""
        with _lost_means_gone():
            size = torch.zeros(1, dtype=torch.int64)
            dist.broadcast(size, 0)
            written = torch.empty(int(size), dtype=torch.uint8)
            dist.broadcast(written, 0)
        found: dict[str, Any] = torch.load(io.BytesIO(written.numpy().tobytes()), map_location="cpu", weights_only=True)
        return found

    # -- all ranks ------------------------------------------------------------------------------------------------

    def share_batch(self, batch: Batch | None, shapes: Sequence[Sequence[int]]) -> Batch:
        """Return the batch of rank 0, of whole numbers, on every rank's device."""
        sizes = [math.prod(shape) for shape in shapes]
        if batch is not None:
            packed = torch.cat([part.reshape(-1) for part in batch])
        else:
            packed = torch.empty(sum(sizes), dtype=torch.int64, device=self.device)
        with _lost_means_gone():
            dist.broadcast(packed, 0)
        return tuple(part.view(*shape) for part, shape in zip(packed.split(sizes), shapes, strict=True))

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors of one type by their sums over all ranks."""
        packed = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
        with _lost_means_gone():
            dist.all_reduce(packed)
        with torch.no_grad():
            for tensor, total in zip(tensors, packed.split([tensor.numel() for tensor in tensors]), strict=True):
                tensor.copy_(total.view_as(tensor))


def _backend_of(device: torch.device) -> str:
    """Return what moves tensors between GPUs. NCCL is to block where it waits, so that a rank that is lost becomes an error."""
    os.environ.setdefault("TORCH_NCCL_BLOCKING_WAIT", "1")
    wished = os.environ.get("TORCHTTY_COLLECTIVES") or "nccl"
    if wished not in ("nccl", "gloo"):
        raise UserError(f"TORCHTTY_COLLECTIVES is '{shortened(wished)}', and takes nccl or gloo.")
    return wished if device.type == "cuda" and dist.is_nccl_available() else "gloo"


class _lost_means_gone:
    """Turn what torch raises where another rank does not answer into `RankLost`."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RuntimeError | ValueError) and not isinstance(error, torch.OutOfMemoryError):
            raise RankLost(str(error).splitlines()[0] if str(error) else type(error).__name__) from error


class SharedStep(EagerStep):
    """The eager step, its gradients and metrics summed over all ranks: each computes its part of the batch.

    A loss is a mean, so each part is weighted by what it has of the batch's predictions. The sums are rounded otherwise than
    those of one process. `gradients` stays what one process computes by itself, for those who time it.
    """

    def __init__(
        self, eager: EagerStep, ranks: Ranks, task: SharesItsSteps, state: Callable[[], dict[str, Any]] | None = None
    ) -> None:
        """`state` returns, on rank 0, all that the replicas are to begin with."""
        super().__init__(*eager.descents)
        self.scaler = eager.scaler
        self._ranks, self._task, self._state = ranks, task, state
        self._begun = False
        self._shapes: list[list[int]] = []

    def __call__(self, batch: Batch, rates: Rates, *, logged: bool = True, keep_gradients: bool = False) -> Metrics:
        """Do a step of all ranks, on rank 0."""
        with self._ranks.in_one_go():
            shapes = [list(part.shape) for part in batch]
            if not self._begun or shapes != self._shapes:
                self._begin(shapes)
            rate, decay, clip = float(rates.learning_rate), float(rates.weight_decay), rates.grad_clip
            seed = int(torch.randint(2**31, ()))  # the others' dropout; a checkpoint holds what it is drawn from
            given = [rate, decay, math.nan if clip is None else float(clip), float(logged), float(seed)]
            self._ranks.order(STEP, given)
            self._ranks.share_batch(batch, shapes)
            return super().__call__(batch, rates, logged=logged, keep_gradients=keep_gradients)

    def _begin(self, shapes: list[list[int]]) -> None:
        assert self._state is not None
        self._ranks.order(BEGIN, about=self._task.replica_of() | {"shapes": shapes})
        self._ranks.send_state(self._state())
        self._begun, self._shapes = True, shapes

    def follow(self, shapes: Sequence[Sequence[int]], numbers: Sequence[float]) -> None:
        """Do the step that rank 0 has ordered, on another rank."""
        rate, decay, clip, logged, seed = numbers[:5]
        torch.manual_seed(int(seed) + self._ranks.rank)
        batch = self._ranks.share_batch(None, shapes)
        super().__call__(batch, Rates(rate, decay, None if math.isnan(clip) else clip), logged=bool(logged))

    def computed(self, descent: Descent, batch: Batch) -> Metrics:
        rank, size = self._ranks.rank, self._ranks.size
        part = tuple(each.tensor_split(size)[rank] for each in batch)
        share = self._task.predictions(part) / self._task.predictions(batch)
        loss, metrics = descent.loss(part)
        if self.scaler is not None:
            loss = self.scaler.scale(loss)
        (loss * share).backward()  # type: ignore[no-untyped-call]
        found = {name: value.detach().float() * share for name, value in metrics.items()}
        gradients = [weight.grad for weight in descent.weights if weight.grad is not None]
        self._ranks.add_up([*gradients, *found.values()])
        return found


def refuse_unshared(task: object, size: int) -> None:
    """Raise `UserError` where several processes cannot share a task's steps."""
    if not isinstance(task, SharesItsSteps):
        raise UserError(
            "This model is trained by one process: its steps cannot be shared. Set training.devices to one."
        )
    if why := task.why_not_shared(size):
        raise UserError(why)
