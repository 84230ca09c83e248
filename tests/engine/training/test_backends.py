"""A backend takes the eager step's place only where its steps are the same to the bit, and where it is quicker."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from tests.engine.training.test_loop import continued, finish, metrics, stop_after
from torch import Tensor, nn

from torchtty.engine.contract.settings.models.bigram import BigramModel
from torchtty.engine.contract.settings.models.gpt import GPTModel
from torchtty.engine.contract.settings.models.mlp import MLPModel
from torchtty.engine.contract.settings.models.wavenet import WaveNetModel
from torchtty.engine.contract.settings.optimizer import SGD, AdamW, Muon, OptimizerBase
from torchtty.engine.models.families import build_model
from torchtty.engine.training import choosing
from torchtty.engine.training.backends import selection, traced
from torchtty.engine.training.backends.blocks import BlockStep
from torchtty.engine.training.backends.selection import Backend, BackendChoice, Unsuitable, Workload, choose, differs
from torchtty.engine.training.backends.traced import Traced
from torchtty.engine.training.language import objective
from torchtty.engine.training.loop import Loop
from torchtty.engine.training.neural import NeuralTask
from torchtty.engine.training.optimizers import build_optimizer
from torchtty.engine.training.step import Batch, Descent, EagerStep, Metrics, Rates, Step

V, B = 7, 5
RATES = Rates(0.1, 0.01, 1.0)
SMALL_WORK = Workload(torch.device("cpu"), "float32", 1e5, steps=10**6)


def model_of(section: Any) -> nn.Module:
    torch.manual_seed(1)
    return build_model(section, V)


def batch(model: nn.Module, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    width: int = model.block_size  # type: ignore[assignment]
    x = torch.randint(V, (B, width), generator=generator)
    return x, torch.randint(V, (B, width if model.predicts_every_position else 1), generator=generator)


def batches(model: nn.Module) -> tuple[Batch, ...]:
    return batch(model, 1), batch(model, 2)


def eager_step(model: nn.Module, section: Any = None, kind: str = "cross-entropy") -> EagerStep:
    """A step of a language model that has stepped once, so that its optimizer remembers something."""
    optimizer = build_optimizer(section or SGD(momentum=0.9), model, torch.device("cpu"))

    def loss(batch: Batch) -> tuple[Tensor, Metrics]:
        logits, cross_entropy = model(*batch)
        lowered = cross_entropy if kind == "cross-entropy" else objective(kind, logits, batch[1])
        return lowered, {"train_loss": cross_entropy.detach(), "objective": lowered.detach()}

    step = EagerStep(Descent(model, loss, optimizer, "norm"))
    step(batch(model), RATES)
    return step


def bits(step: EagerStep) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in step.tensors()]


def unchanged(step: EagerStep, before: Sequence[Tensor]) -> bool:
    return all(torch.equal(mine, other) for mine, other in zip(step.tensors(), before, strict=True))


SECTIONS = [
    BigramModel(),
    MLPModel(n_hidden=16),
    GPTModel(n_layer=2, n_head=2, n_embd=8, block_size=4),
    GPTModel(n_layer=1, n_head=2, n_embd=8, block_size=4, tie_weights=True),
]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.kind)
@pytest.mark.parametrize("optimizer", [SGD(momentum=0.9), AdamW(), Muon()], ids=lambda section: section.kind)
def test_a_traced_step_is_the_eager_one_to_the_bit_after_the_weights_have_moved(
    section: Any, optimizer: OptimizerBase
) -> None:
    usual, twin = (eager_step(model_of(section), optimizer) for _ in range(2))
    network = twin.descents[0].network
    step = Traced().build(twin, batch(network), RATES)
    assert all(weight.grad is None for weight in network.parameters())
    for seed in range(5):
        expected, found = usual(batch(network, seed), RATES), step(batch(network, seed), RATES)
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert unchanged(usual, twin.tensors())


def test_another_objective_is_traced_too() -> None:
    step = eager_step(model_of(MLPModel(n_hidden=16)), kind="nll")
    network = step.descents[0].network
    assert differs(step, Traced().build(step, batch(network), RATES), batches(network), RATES) == ""


class Odd(nn.Module):
    """A model of one table, and something that cannot be traced."""

    block_size, predicts_every_position = 1, True

    def __init__(self, oddity: str) -> None:
        super().__init__()
        self.table, self.idle = nn.Embedding(V, V), nn.Parameter(torch.zeros(V))
        self.oddity, self.calls = oddity, 0

    def forward(self, idx: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        self.calls += 1
        logits = self.table(idx)
        if self.oddity != "an idle weight":
            logits = logits + self.idle
        if self.oddity == "another result each time":
            logits = logits * self.calls
        if self.oddity == "a branch on a value":
            logits = logits * (2.0 if float(logits.detach().sum()) > 0 else 3.0)
        if self.oddity == "a random number":
            logits = logits * torch.rand(())
        return logits, nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (model_of(GPTModel(n_layer=1, n_head=2, n_embd=8, block_size=4, dropout=0.1)), "draws random numbers"),
        (model_of(WaveNetModel(block_size=4)), "keeps running averages"),
        (Odd("an idle weight"), "traced: "),
        (Odd("another result each time"), "differs in metrics"),
        (Odd("a branch on a value"), "traced: "),
        (Odd("a random number"), "draws random numbers"),
    ],
    ids=lambda value: getattr(value, "oddity", type(value).__name__) if isinstance(value, nn.Module) else "",
)
def test_a_model_that_no_list_of_kernels_can_stand_for_is_left_to_the_eager_step(model: nn.Module, reason: str) -> None:
    eager = eager_step(model)
    before, drawn = bits(eager), torch.get_rng_state()
    step, chosen = choose(eager, (Traced(),), SMALL_WORK, batches(model), RATES)
    assert step is eager
    assert chosen.backend == "eager"
    assert reason in chosen.reason
    assert torch.equal(torch.get_rng_state(), drawn)
    assert unchanged(eager, before)
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize(
    ("workload", "reason"),
    [
        (Workload(torch.device("cpu"), "bfloat16", 1e5, 10**6), "float32"),
        (Workload(torch.device("cpu"), "float32", 1e12, 10**6), "kernels take nearly all of the time"),
        (Workload(torch.device("cpu"), "float32", 1e5, 100), "too few steps"),
    ],
)
def test_a_step_that_a_trace_would_not_speed_up_is_not_traced(workload: Workload, reason: str) -> None:
    with pytest.raises(Unsuitable, match=reason):
        Traced().check(eager_step(model_of(BigramModel())), workload)


class Candidate:
    """A backend that does the eager step with one thing wrong."""

    name, device_type = "candidate", "cpu"

    def __init__(self, fault: str = "") -> None:
        self.fault = fault

    def check(self, eager: EagerStep, workload: Workload) -> None: ...

    def build(self, eager: EagerStep, batch: Batch, rates: Rates) -> Step:
        if self.fault == "building":
            raise RuntimeError("no kernel for this\nand more")

        def step(batch: Batch, rates: Rates, *, logged: bool = True, keep_gradients: bool = False) -> Metrics:
            metrics = eager(batch, rates, logged=logged, keep_gradients=keep_gradients)
            [descent] = eager.descents
            if self.fault == "state":
                eager.tensors()[-1].add_(1e-7)
            if self.fault == "metrics":
                metrics["train_loss"] = torch.nextafter(metrics["train_loss"], torch.tensor(9.0))
            if self.fault == "gradients" and keep_gradients:
                gradient = descent.weights[0].grad
                assert gradient is not None
                descent.weights[0].grad = torch.nextafter(gradient, gradient + 1)
            if self.fault == "random numbers":
                torch.rand(1)
            return metrics

        return step


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("state", "weights"),
        ("metrics", "metrics"),
        ("gradients", "gradients"),
        ("random numbers", "random numbers"),
        ("", ""),
    ],
)
def test_the_smallest_difference_is_found_and_leaves_no_trace(fault: str, found: str) -> None:
    eager = eager_step(model_of(MLPModel(n_hidden=16)), AdamW())
    before, drawn = bits(eager), torch.get_rng_state()
    network = eager.descents[0].network
    assert differs(eager, Candidate(fault).build(eager, batch(network), RATES), batches(network), RATES) == found
    assert unchanged(eager, before)
    assert torch.equal(torch.get_rng_state(), drawn)


class Twins(nn.Module):
    """A model with two biases that always have equal gradients."""

    block_size, predicts_every_position = 1, True

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(V, V)
        self.first, self.second = nn.Parameter(torch.zeros(V)), nn.Parameter(torch.zeros(V))

    def forward(self, idx: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.table(idx) + self.first + self.second
        return logits, nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def test_two_gradients_in_the_same_memory_are_a_difference_for_clipping_would_shorten_them_twice() -> None:
    model = Twins()
    eager = eager_step(model)

    def step(batch: Batch, rates: Rates, *, logged: bool = True, keep_gradients: bool = False) -> Metrics:
        metrics = eager(batch, rates, logged=logged, keep_gradients=keep_gradients)
        model.second.grad = model.first.grad
        return metrics

    assert differs(eager, eager, batches(model), RATES) == ""
    assert differs(eager, step, batches(model), RATES) == "gradients"


def test_a_backend_that_fails_is_passed_over_and_the_choice_says_why() -> None:
    eager = eager_step(model_of(MLPModel(n_hidden=16)))
    backends: tuple[Backend, ...] = (Candidate("building"), Candidate("state"))
    step, chosen = choose(eager, backends, SMALL_WORK, batches(eager.descents[0].network), RATES)
    assert step is eager
    assert chosen == BackendChoice("eager", "candidate: no kernel for this; candidate differs in weights")


def test_a_backend_for_another_device_is_not_even_looked_at() -> None:
    eager = eager_step(model_of(MLPModel(n_hidden=16)))
    on_a_gpu = Workload(torch.device("cuda"), "float32", 1e5, 10**6)
    step, chosen = choose(eager, (Traced(),), on_a_gpu, batches(eager.descents[0].network), RATES)
    assert step is eager
    assert chosen == BackendChoice("eager", "there is no other backend")


class Inexact(BlockStep):
    """A block of steps after which the weights differ by a share of the largest."""

    share = 0.0

    def _run(self, count: int) -> None:
        super()._run(count)
        for descent in self.descents:
            for weight in descent.weights:
                weight.data += self.share * weight.abs().max()


@pytest.mark.parametrize(
    ("tolerance", "share", "found"),
    [(0.0, 0.0, ""), (0.0, 1e-3, "weights"), (2e-3, 1e-3, ""), (2e-3, 1e-2, "weights")],
)
def test_a_block_may_differ_by_its_tolerance_and_no_more(tolerance: float, share: float, found: str) -> None:
    eager = eager_step(model_of(MLPModel(n_hidden=16)), AdamW())
    before = bits(eager)
    block = Inexact(eager, batch(eager.descents[0].network), RATES)
    block.tolerance, block.share = tolerance, share
    assert differs(eager, block, batches(eager.descents[0].network), RATES) == found
    assert unchanged(eager, before)


@pytest.mark.parametrize("quicker", ["eager", "candidate"])
def test_the_quickest_of_equal_backends_is_taken(quicker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    eager = eager_step(model_of(MLPModel(n_hidden=16)))
    monkeypatch.setattr(selection, "timed", lambda _, steps, *__: {name: float(name != quicker) for name in steps})
    step, chosen = choose(eager, (Candidate(),), SMALL_WORK, batches(eager.descents[0].network), RATES)
    assert (step is eager) == (quicker == "eager")
    assert chosen == BackendChoice(
        quicker, "the quickest of eager, candidate", {"eager": quicker != "eager", "candidate": quicker == "eager"}
    )


def test_timing_leaves_weights_and_state_as_they_were() -> None:
    eager = eager_step(model_of(MLPModel(n_hidden=16)), AdamW())
    before = bits(eager)
    _, chosen = choose(eager, (Traced(),), SMALL_WORK, batches(eager.descents[0].network), RATES)
    assert set(chosen.seconds) == {"eager", "traced"}
    assert all(0 < seconds < 1 for seconds in chosen.seconds.values())
    assert unchanged(eager, before)


def test_training_takes_the_same_way_whether_traced_or_not_and_through_a_resume(
    loop_for: Callable[..., Loop], monkeypatch: pytest.MonkeyPatch
) -> None:
    flags: dict[str, Any] = {"training__max_steps": 40, "training__log_interval": 1, "optimizer__momentum": 0.9}
    usual = loop_for("mlp", **flags)
    finish(usual)
    monkeypatch.setattr(selection, "timed", lambda _, steps, *__: {name: float(name != "traced") for name in steps})
    monkeypatch.setattr(choosing, "CHOOSE_AFTER", 4)
    monkeypatch.setattr(traced, "WORTH_TRACING", 10)
    broken = loop_for("mlp", **flags)
    stop_after(broken, 17)
    finish(broken)
    again = continued(loop_for, broken.run)
    finish(again)
    for loop in (broken, again):
        assert isinstance(loop.task, NeuralTask)
        assert loop.task.choice is not None
        assert loop.task.choice.backend == "traced"
    assert metrics(again.run) == metrics(usual.run)
    for name, tensor in usual.task.weights().items():
        assert torch.equal(tensor, again.task.weights()[name]), name
