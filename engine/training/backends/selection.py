"""Choosing how a run's steps are computed: every backend is proved on the run's own batches, and the quickest one taken."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from torchtty.engine.devices import synchronise
from torchtty.engine.training.backends.blocks import BlockStep
from torchtty.engine.training.step import Batch, EagerStep, Rates, Step

EAGER = "eager"
TRIALS = 10  # steps, or blocks of them, timed of each backend
BLOCK_TRIAL = 8  # steps of a block that is timed


@dataclass(frozen=True)
class Workload:
    """What a backend's worth depends on."""

    device: torch.device
    precision: str
    operations: float  # floating-point operations a step, about
    steps: int  # still to go


class Unsuitable(Exception):
    """A backend cannot compute this step; the message says why."""


class Backend(Protocol):
    """A way to compute steps that may be quicker than the eager one."""

    name: str
    device_type: str  # that it is for

    def check(self, eager: EagerStep, workload: Workload) -> None:
        """Raise `Unsuitable` where the backend cannot compute the step, or building it would not pay; costs nothing."""

    def build(self, eager: EagerStep, batch: Batch, rates: Rates) -> Step:
        """Return a step on the weights and optimizer state of `eager`, for batches shaped like `batch`, at rates like these.

        Raises `Unsuitable`, or what torch raises for an operation that it cannot compute this way. Changes nothing.
        """


@dataclass(frozen=True)
class BackendChoice:
    """Which backend computes a run's steps, and why."""

    backend: str
    reason: str
    seconds: Mapping[str, float] = field(default_factory=dict)  # a step's time by backend, of those that were proved


def choose(
    eager: EagerStep,
    backends: Iterable[Backend],
    workload: Workload,
    batches: Sequence[Batch],
    rates: Rates,
    recorded: str | None = None,
) -> tuple[Step, BackendChoice]:
    """Return the quickest step among the eager one and the backends that are equal to it, and why it was taken.

    A backend that is `recorded` is taken whatever the clock says.
    """
    steps: dict[str, Step] = {EAGER: eager}
    reasons: list[str] = []
    for backend in backends:
        if backend.device_type == workload.device.type:
            candidate, why_not = proved(eager, backend, workload, batches, rates)
            if candidate is not None:
                steps[backend.name] = candidate
            else:
                reasons.append(why_not)
    if len(steps) == 1:
        return eager, BackendChoice(EAGER, "; ".join(reasons) or "there is no other backend")
    seconds = timed(eager, steps, workload.device, batches[0], rates)
    quickest = min(seconds, key=lambda name: seconds[name])
    if recorded in steps:
        quickest = recorded
    reasons.append("as recorded" if quickest == recorded else f"the quickest of {', '.join(steps)}")
    if isinstance(block := steps[quickest], BlockStep):
        block.pace(seconds[quickest])
    return steps[quickest], BackendChoice(quickest, "; ".join(reasons), seconds)


def proved(
    eager: EagerStep, backend: Backend, workload: Workload, batches: Sequence[Batch], rates: Rates
) -> tuple[Step | None, str]:
    """Return a backend's step if it is equal to the eager one on these batches; else None, and why not."""
    try:
        backend.check(eager, workload)
        with eager.put_back():
            candidate = backend.build(eager, batches[0], rates)
        if difference := differs(eager, candidate, batches, rates):
            return None, f"{backend.name} differs in {difference}"
    except Unsuitable as error:
        return None, f"{backend.name}: {error}"
    except (RuntimeError, TypeError, NotImplementedError) as error:
        # What torch raises for an operation that a backend cannot compute. A fault of the model itself comes again in
        # the eager step that follows, and is reported there.
        return None, f"{backend.name}: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
    return candidate, ""


def differs(eager: EagerStep, candidate: Step, batches: Sequence[Batch], rates: Rates) -> str:
    """Return in what a candidate's steps on these batches differ from the eager ones; "" where in nothing.

    Compared are metrics, gradients with their order in memory, and afterwards weights, averages, optimizer state and what is
    carried on: to the bit, or within a block's own tolerance. A block leaves no gradients, and goes through the batches again
    and again.
    """
    if not isinstance(candidate, BlockStep):
        tolerance = candidate.tolerance if isinstance(candidate, EagerStep) else 0.0
        return _difference(_traces(eager, eager, batches, rates), _traces(eager, candidate, batches, rates), tolerance)
    repeated = [batches[number % len(batches)] for number in range(min(candidate.most, candidate.proof_steps))]
    usual = _traces(eager, eager, repeated, rates, gradients=False)
    return _difference(usual, _traces_of_block(eager, candidate, repeated, rates), candidate.tolerance)


Traces = dict[str, list[Tensor]]
"""Copies of what steps have computed, by what it is."""


def _difference(usual: Traces, others: Traces, tolerance: float) -> str:
    for name, expected in usual.items():
        found = others.get(name, [])
        if len(found) != len(expected):
            return name
        if not all(
            _same(a, b) or (tolerance and _close(a, b, tolerance)) for a, b in zip(expected, found, strict=True)
        ):
            return name
    return ""


def _traces(eager: EagerStep, step: Step, batches: Sequence[Batch], rates: Rates, *, gradients: bool = True) -> Traces:
    """Return copies of all that a step computes on each batch in turn; two gradients in the same memory are left out."""
    found: Traces = {"metrics": [], "gradients": []}
    weights = [weight for descent in eager.descents for weight in descent.weights]
    with eager.put_back():
        for batch in batches:
            metrics = step(batch, rates, keep_gradients=gradients)
            found["metrics"] += [_copy(metrics[name]) for name in sorted(metrics)]
            kept = {weight.grad.data_ptr(): weight.grad for weight in weights if weight.grad is not None}
            found["gradients"] += [_copy(gradient) for gradient in kept.values()]
            for weight in weights:
                weight.grad = None
        return found | _left_by(eager)


def _traces_of_block(eager: EagerStep, step: BlockStep, batches: Sequence[Batch], rates: Rates) -> Traces:
    """Return copies of all that a block of steps computes, as `_traces` does without gradients."""
    with eager.put_back():
        metrics = step.block(batches, [rates] * len(batches))
        each = [_copy(metrics[name][number]) for number in range(len(batches)) for name in sorted(metrics)]
        return {"metrics": each, "gradients": []} | _left_by(eager)


def _left_by(eager: EagerStep) -> Traces:
    """Return copies of what steps have moved."""
    carried = eager.carried.carried() if eager.carried is not None else ()
    generators = [torch.get_rng_state()]
    devices = {weight.device for descent in eager.descents for weight in descent.weights}
    generators += [torch.cuda.get_rng_state(device) for device in devices if device.type == "cuda"]
    return {
        "weights": [_copy(tensor) for tensor in eager.tensors()],
        "what is carried on": [_copy(part) for part in carried],
        "random numbers": generators,
    }


def _copy(tensor: Tensor) -> Tensor:
    """Return a copy in the machine's memory, whose numbers lie as they did."""
    return tensor.detach().to("cpu", copy=True)


def _same(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors hold the same bits in the same order; a NaN is the same as a NaN."""
    return a.dtype == b.dtype and a.stride() == b.stride() and torch.equal(_bits(a), _bits(b))


def _close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    """Whether two tensors of numbers with a point differ by at most a share of the largest number in them."""
    if a.dtype != b.dtype or a.shape != b.shape or not a.is_floating_point():
        return False
    largest = a.abs().max() if a.numel() else a.new_zeros(())
    return bool(((a - b).abs() <= tolerance * largest).all())


def _bits(tensor: Tensor) -> Tensor:
    kinds = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    return tensor.view(kinds[tensor.element_size()])


def timed(
    eager: EagerStep, steps: Mapping[str, Step], device: torch.device, batch: Batch, rates: Rates
) -> dict[str, float]:
    """Return the seconds of each backend's quickest step, timed in turn so that a busy moment meets all of them."""
    seconds = dict.fromkeys(steps, float("inf"))
    with eager.put_back():
        for _ in range(TRIALS):
            for name, step in steps.items():
                synchronise(device)
                began, count = time.perf_counter(), 1
                if isinstance(step, BlockStep):
                    count = min(step.most, BLOCK_TRIAL)
                    step.block([batch] * count, [rates] * count)
                else:
                    step(batch, rates, logged=False)
                synchronise(device)
                seconds[name] = min(seconds[name], (time.perf_counter() - began) / count)
    return seconds
