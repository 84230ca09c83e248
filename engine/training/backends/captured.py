"""Whole steps as CUDA graphs: a step of a small model is a hundred kernels that take longer to ask for than to run.

A graph holds a step from the batch in its buffer to the metrics in theirs: forward, backward, clip, and the optimizer with the rate
as a tensor. The device then does it with one request from the host, and several steps with one.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from torchtty.engine.training.backends.blocks import BlockStep
from torchtty.engine.training.backends.selection import Unsuitable, Workload
from torchtty.engine.training.optimizers import bring_step_counts
from torchtty.engine.training.step import Batch, EagerStep, Rates

LARGE = 1e11  # floating-point operations a step above which a GPU takes longer than the host needs to ask for it
WORTH_CAPTURING = 500  # steps to go from which on it pays: building and proving take about as long as 150 eager steps
WARM_UP = 3  # steps before a capture, in which libraries choose their kernels and get their memory
UNROLLED = 8  # steps in the larger of the two graphs
AHEAD = 2  # blocks that the host may have asked for and the device not done: one to do, one to go on with


class Captured:
    """Computes the same step as a graph, on CUDA, with optimizers that take their rate as a tensor."""

    name, device_type = "captured", "cuda"

    def check(self, eager: EagerStep, workload: Workload) -> None:
        if workload.operations > LARGE:
            raise Unsuitable("the model is so large that its kernels take nearly all of the time")
        if workload.steps < WORTH_CAPTURING:
            raise Unsuitable("too few steps are left for a capture to pay")
        for descent in eager.descents:
            bring_step_counts(descent.optimizer, workload.device)

    def build(self, eager: EagerStep, batch: Batch, rates: Rates) -> "CapturedStep":
        try:
            return CapturedStep(eager, batch, rates)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            reason = str(error).splitlines()[0].removeprefix("CUDA error: ") if str(error) else type(error).__name__
            raise Unsuitable(f"its step cannot be captured ({reason})") from None


class CapturedStep(BlockStep):
    """A block of steps by replaying two graphs: one of `UNROLLED` steps, one of a single step for the rest.

    Kernels that add up in whatever order they come (the gradient of an embedding) and a rate in float32 make for a difference
    in the last bits. Adam turns that of a gradient near 0 into one of a share of its rate, so what is allowed is wider.
    """

    tolerance = 2e-3
    proof_steps = 2 * UNROLLED + 1

    def __init__(self, eager: EagerStep, batch: Batch, rates: Rates) -> None:
        super().__init__(eager, batch, rates)
        self._in_flight: deque[torch.cuda.Event] = deque()
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        with _capturable(eager):
            self._capture(batch, rates)

    def _capture(self, batch: Batch, rates: Rates) -> None:
        device = batch[0].device
        usual, aside = torch.cuda.current_stream(device), torch.cuda.Stream(device)
        self._fill([batch], [rates])
        aside.wait_stream(usual)
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                self._place.zero_()
                self._step()
        usual.wait_stream(aside)
        pool = torch.cuda.graph_pool_handle()
        for count in (1, UNROLLED):
            graph = torch.cuda.CUDAGraph()
            # Threads that write the run's files may do as they like meanwhile.
            with torch.cuda.graph(graph, pool=pool, stream=aside, capture_error_mode="thread_local"):
                for _ in range(count):
                    self._step()
            self._graphs[count] = graph

    def _run(self, count: int) -> None:
        if len(self._in_flight) == AHEAD:
            self._in_flight.popleft().synchronize()
        self.moved = True
        many, rest = divmod(count, UNROLLED)
        for _ in range(many):
            self._graphs[UNROLLED].replay()
        for _ in range(rest):
            self._graphs[1].replay()
        done = torch.cuda.Event()
        done.record()
        self._in_flight.append(done)


@contextmanager
def _capturable(eager: EagerStep) -> Iterator[None]:
    """Have those optimizers that ask for it be told that their steps are captured."""
    groups = [group for descent in eager.descents for group in descent.optimizer.param_groups]
    before = [group.get("capturable") for group in groups]
    for group in groups:
        if "capturable" in group:
            group["capturable"] = True
    try:
        yield
    finally:
        for group, was in zip(groups, before, strict=True):
            if was is not None:
                group["capturable"] = was
