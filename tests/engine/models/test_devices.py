"""No model makes a tensor on the CPU when its weights lie on a GPU: fake tensors know their device and have no numbers."""

from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.models.families import build_model
from torchtty.engine.training.language import objective

LANGUAGE = {
    "bigram": {},
    "mlp": {"model.batch_norm": "true"},
    "wavenet": {},
    "rnn": {"model.cell": "rnn"},
    "lstm": {"model.cell": "lstm"},
    "transformer": {"model.dropout": "0.1"},
    "gpt": {"model.dropout": "0.1"},
    "gpt2": {"model.weights": "untrained"},
}
GPU = torch.device("cuda", 0)


def built_on_a_gpu(section: Any, *arguments: Any) -> nn.Module:
    """Build a model on a GPU; what it makes afterwards must name its device itself."""
    with torch.device(GPU):
        return build_model(section, *arguments)


@pytest.mark.parametrize("kind", LANGUAGE)
def test_logits_and_loss_of_a_language_model_stay_on_its_gpu(kind: str) -> None:
    family = "rnn" if kind == "lstm" else kind
    section = with_flags(starting_tree(family), LANGUAGE[kind]).sections()["model"]
    with FakeTensorMode(), torch.backends.cudnn.flags(enabled=False):  # of which no one asks without a driver
        model = built_on_a_gpu(section, 29)
        x = torch.zeros(4, int(model.block_size), dtype=torch.int64, device=GPU)  # type: ignore[arg-type]
        targets = x if model.predicts_every_position else x[:, :1]
        logits, loss = model(x, targets)
        assert {logits.device, loss.device, objective("nll", logits, targets).device} == {GPU}
        model.eval()
        assert model(x[:1])[0].device == GPU


@pytest.mark.parametrize("is_fixed", [False, True])
def test_decoding_with_a_cache_stays_on_the_gpu(is_fixed: bool) -> None:
    section = starting_tree("gpt")
    with FakeTensorMode(), torch.no_grad():
        model: Any = built_on_a_gpu(with_flags(section, {}).sections()["model"], 29).eval()
        x = torch.zeros(2, 3, dtype=torch.int64, device=GPU)
        cache = model.new_cache(2, 8)
        model(x, cache=cache)
        if is_fixed:
            cache.fix()
        assert model(x[:, :1], cache=cache)[0].device == GPU


def test_drawn_pictures_and_their_loss_stay_on_the_gpu() -> None:
    section: Any = with_flags(starting_tree("dcgan"), {}).sections()["model"]
    with FakeTensorMode():
        model = built_on_a_gpu(section)
        real = torch.zeros(2, section.channels, section.image_size, section.image_size, device=GPU)
        pictures, loss = model(torch.zeros(2, section.n_latent, device=GPU), real)
        assert (pictures.device, loss.device, pictures.shape) == (GPU, GPU, real.shape)


def test_a_tensor_left_on_the_cpu_would_be_found() -> None:
    class Careless(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) + torch.ones(3)

    with FakeTensorMode():
        with torch.device(GPU):
            model = Careless(2, 3)
        with pytest.raises(RuntimeError, match=r"two (different )?devices"):
            model(torch.zeros(4, 2, device=GPU))
