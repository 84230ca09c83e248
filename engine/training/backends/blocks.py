"""Several steps at once, through buffers that stay where they are: what a device can be given to do in one go.

A step reads its batch and its rate at a place in the buffers, leaves its metrics at the same place, and moves the place on. The
place itself is a number on the device, so that the same list of kernel calls does one step after the other.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from torchtty.engine.devices import on_device
from torchtty.engine.training.optimizers import set_rates
from torchtty.engine.training.step import Batch, EagerStep, Metrics, Rates

LARGEST_BLOCK = 64  # steps
BLOCK_BYTES = 64 * 1024**2  # memory that a block's batches take, at most
BLOCK_SECONDS = 0.02  # that a block takes, about: requests are read between two blocks


class BlockStep(EagerStep):
    """Does the eager step's steps, up to `most` in a block, with the kernels of the eager step.

    Weight decay and the largest gradient are numbers that are built in; where they change, another one has to be built. The
    learning rate is read from a buffer: in float64 on a CPU, where it then is the same number, and in float32 on a GPU, whose
    kernels take no other.
    """

    proof_steps = 5  # of the block that is compared with eager steps

    def __init__(self, eager: EagerStep, batch: Batch, rates: Rates) -> None:
        """Build for batches shaped like `batch`."""
        super().__init__(*eager.descents, carried=eager.carried)
        device = batch[0].device
        size = sum(part.numel() * part.element_size() for part in batch)
        self._room = self.most = max(1, min(LARGEST_BLOCK, BLOCK_BYTES // max(1, size)))
        self._built_in = rates.weight_decay, rates.grad_clip
        self._batches = [_Slots(part, self._room) for part in batch]
        self._rates = torch.zeros(
            self._room, dtype=torch.float64 if device.type == "cpu" else torch.float32, device=device
        )
        self._place = torch.zeros(1, dtype=torch.int64, device=device)
        self._names: list[str] = []  # of the metrics
        self._metrics: Tensor | None = None  # (room, metrics), made in the first step
        self._parts: tuple[Tensor, ...] = ()  # of what is carried from step to step, made at the first block

    def __call__(self, batch: Batch, rates: Rates, *, logged: bool = True, keep_gradients: bool = False) -> Metrics:  # noqa: ARG002
        assert not keep_gradients, "a block's steps keep no gradients"
        return {name: values[0] for name, values in self.block([batch], [rates]).items()}

    def fits(self, rates: Rates) -> bool:
        """Whether these are the rates that the step was built for, but for the learning rate."""
        return (rates.weight_decay, rates.grad_clip) == self._built_in

    def pace(self, seconds: float) -> None:
        """Take as many steps in a block as are done in `BLOCK_SECONDS` where one takes so many seconds."""
        self.most = max(1, min(self._room, int(BLOCK_SECONDS / max(seconds, 1e-9))))

    def block(self, batches: Sequence[Batch], rates: Sequence[Rates]) -> Metrics:
        """Do a step on each batch in turn, `most` of them at the most; return the metrics of all, each (steps,)."""
        count = len(batches)
        assert count <= self._room
        assert all(self.fits(each) for each in rates)
        self._fill(batches, rates)
        self._run(count)
        for descent in self.descents:  # the rate was a place in a buffer: a checkpoint is to hold the number
            set_rates(descent.optimizer, rates[-1].learning_rate, rates[-1].weight_decay)
        assert self._metrics is not None
        kept = self._metrics[:count].clone()  # the next block writes over them
        return {name: kept[:, column] for column, name in enumerate(self._names)}

    def _fill(self, batches: Sequence[Batch], rates: Sequence[Rates]) -> None:
        """Bring what a block reads into its buffers, and its place to their beginning."""
        for number, slots in enumerate(self._batches):
            slots.fill([batch[number] for batch in batches])
        numbers = torch.tensor([float(each.learning_rate) for each in rates], dtype=self._rates.dtype)
        self._rates[: len(rates)].copy_(on_device(numbers, self._rates.device))
        self._place.zero_()
        if self.carried is not None:
            parts = self.carried.carried()
            if not self._parts:
                self._parts = tuple(torch.empty_like(part) for part in parts)
            self._keep(parts)

    def _run(self, count: int) -> None:
        """Do so many steps from the place on."""
        for _ in range(count):
            self._step()

    def _step(self) -> None:
        """Do the step at the place, and move on to the next."""
        batch = tuple(slots.at(self._place) for slots in self._batches)
        decay, clip = self._built_in
        found = super().__call__(batch, Rates(self._rates.index_select(0, self._place)[0], decay, clip))
        with torch.no_grad():
            row = torch.stack([value.detach().float() for value in found.values()])
            if self._metrics is None:
                self._names = list(found)
                self._metrics = row.new_zeros(self._room, len(found))
            self._metrics.index_copy_(0, self._place, row[None])
            self._place += 1
            if self.carried is not None:
                self._keep(self.carried.carried())

    def _keep(self, parts: tuple[Tensor, ...]) -> None:
        """Copy what is carried to where the next step reads it."""
        assert self.carried is not None
        for own, part in zip(self._parts, parts, strict=True):
            if own is not part:
                own.copy_(part)
        self.carried.carry(self._parts)


class _Slots:
    """One part of a block's batches, in one buffer: every batch lies in memory as the one that was the model for it."""

    def __init__(self, like: Tensor, room: int) -> None:
        self._shape, self._stride = like.shape, like.stride()
        self._dense = like.new_zeros(room, like.numel())
        if not _is_dense(like):
            self._stride = torch.empty(self._shape, device="meta").stride()
        self._views = [self._laid_out(row) for row in self._dense]

    def _laid_out(self, row: Tensor) -> Tensor:
        return row.as_strided(self._shape, self._stride, row.storage_offset())

    def fill(self, parts: Sequence[Tensor]) -> None:
        """Copy the parts of several batches to the buffer's beginning, by as few kernels as there can be."""
        torch._foreach_copy_(self._views[: len(parts)], list(parts), non_blocking=True)

    def at(self, place: Tensor) -> Tensor:
        """Return the part of the batch at a place (1,)."""
        return self._laid_out(self._dense.index_select(0, place)[0])


def _is_dense(tensor: Tensor) -> bool:
    """Whether a tensor's numbers lie side by side in memory, in whatever order."""
    order = sorted(range(tensor.dim()), key=lambda axis: (tensor.stride(axis), tensor.shape[axis]))
    expected = 1
    for axis in order:
        if tensor.shape[axis] != 1 and tensor.stride(axis) != expected:
            return False
        expected *= tensor.shape[axis]
    return True
