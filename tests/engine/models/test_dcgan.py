"""The DCGAN: its sizes, its shapes, its first weights and its gradient."""

import pytest
import torch
from torch import nn

from torchtty.engine.contract.settings.configuration import ConfigurationError, starting_tree, with_flags
from torchtty.engine.contract.settings.models.dcgan import DCGANModel
from torchtty.engine.models.dcgan import DCGAN
from torchtty.engine.models.families import parameter_count


def tiny(**fields: int) -> DCGAN:
    torch.manual_seed(1)
    return DCGAN(
        DCGANModel(**{"image_size": 32, "channels": 1, "n_latent": 5, "n_generator": 2, "n_discriminator": 2} | fields)
    )


def test_the_course_s_sizes_have_the_course_s_parameters() -> None:
    model = DCGAN(DCGANModel())
    assert parameter_count(model.generator) == 3_576_704
    assert parameter_count(model.discriminator) == 2_765_568


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_come_in_every_size_and_lie_between_minus_one_and_one(size: int, channels: int) -> None:
    model = tiny(image_size=size, channels=channels)
    pictures = model.generator(torch.randn(3, 5))
    assert pictures.shape == (3, channels, size, size)
    assert float(pictures.detach().abs().max()) <= 1
    assert model.discriminator(pictures).shape == (3,)


def test_the_first_weights_are_those_of_the_paper() -> None:
    model = tiny(n_generator=32, n_discriminator=32)
    convolutions = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    drawn = torch.cat([weight.detach().flatten() for weight in convolutions])
    scales = torch.cat([norm.weight.detach() for norm in norms])
    # Half a million draws: their mean and deviation lie within a few parts in a thousand; the scales are a few hundred.
    assert float(drawn.mean()) == pytest.approx(0, abs=2e-4)
    assert float(drawn.std()) == pytest.approx(0.02, rel=0.01)
    assert float(scales.mean()) == pytest.approx(1, abs=0.005)
    assert float(scales.std()) == pytest.approx(0.02, rel=0.2)
    assert all(not norm.bias.any() for norm in norms)


def test_the_gradient_is_the_slope_of_the_judgement() -> None:
    model = tiny().double()
    noise = torch.randn(4, 5, dtype=torch.float64)

    def judgement() -> torch.Tensor:
        return model.discriminator(model.generator(noise)).sum()

    judgement().backward()
    step = 1e-6
    with torch.no_grad():
        for name, weight in model.named_parameters():
            assert weight.grad is not None, name
            at = int(weight.grad.abs().argmax())
            flat = weight.view(-1)
            flat[at] += step
            above = judgement()
            flat[at] -= 2 * step
            below = judgement()
            flat[at] += step
            # A central difference in double precision is right to about the square of its step, but ReLUs have kinks.
            assert float((above - below) / (2 * step)) == pytest.approx(float(weight.grad.view(-1)[at]), rel=1e-3), name


@pytest.mark.parametrize(("field", "value"), [("image_size", "48"), ("channels", "2")])
def test_sizes_that_the_layers_cannot_make_are_refused(field: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"model.{field} must be"):
        with_flags(starting_tree("dcgan"), {f"model.{field}": value})
