"""Loss and gradients through torch.compile: fewer kernels that each do more, for a wait at the start. A person asks for it."""

import time
from dataclasses import replace

import torch

from torchtty.engine.training.backends.selection import Unsuitable, Workload
from torchtty.engine.training.step import Batch, EagerStep, Rates


class Compiled:
    """Computes the same step with kernels that torch generates for it, on a CPU by its C++ compiler."""

    name, device_type = "compiled", ""

    def check(self, eager: EagerStep, workload: Workload) -> None:
        if eager.scaler is not None:
            raise Unsuitable("its loss is scaled for float16")
        if workload.device.type not in ("cpu", "cuda"):
            raise Unsuitable(f"there is no compiler for {workload.device.type}")

    def build(self, eager: EagerStep, batch: Batch, rates: Rates) -> "CompiledStep":  # noqa: ARG002
        step = CompiledStep(eager)
        began = time.monotonic()
        for descent in step.descents:  # compiles forward and backward
            step.gradients(descent, batch)
        for descent in step.descents:
            for weight in descent.weights:
                weight.grad = None
        step.seconds_to_compile = time.monotonic() - began
        return step


class CompiledStep(EagerStep):
    """The eager step with compiled losses. Fused kernels round otherwise, so that results differ in their last bits."""

    tolerance = 2e-3  # as wide as that of captured steps, and for the same reason

    def __init__(self, eager: EagerStep) -> None:
        # `fallback_random` has dropout draw the numbers that it draws without a compiler.
        compiled = [
            replace(each, loss=torch.compile(each.loss, dynamic=False, options={"fallback_random": True}))
            for each in eager.descents
        ]
        super().__init__(*compiled, carried=eager.carried)
        self.seconds_to_compile = 0.0
