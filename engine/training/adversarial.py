"""Adversarial training (Goodfellow et al., 2014): a discriminator learns to tell, a generator learns to be mistaken for real."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.images import LARGEST_GRID
from torchtty.engine.contract.settings.models.dcgan import DCGANModel
from torchtty.engine.contract.settings.tasks import AdversarialConfiguration
from torchtty.engine.data.images import Pictures
from torchtty.engine.devices import check_precision, choose_device
from torchtty.engine.models.dcgan import DCGAN
from torchtty.engine.models.families import parameter_count
from torchtty.engine.sampling.grid import to_bytes
from torchtty.engine.training.language import evaluation_mode, load_model_weights
from torchtty.engine.training.optimizers import build_optimizer, set_rates
from torchtty.engine.training.schedules import rate_factor
from torchtty.engine.training.task import Facts
from torchtty.engine.training.threads import use_threads_for

SHARE_OF_MEMORY = 0.5  # of the device's free memory that the pictures may take
DRAWN_AT_ONCE = 64  # pictures a pass of the generator


class AdversarialTask:
    """Trains a generator and a discriminator on pictures, one step of each a step.

    Batches and noise come from two generators of their own, grids from a third, so that drawing changes nothing in training.
    Without pictures it only draws.
    """

    def __init__(self, configuration: AdversarialConfiguration, pictures: Pictures | None) -> None:
        self.configuration = configuration
        training, config = configuration.training, configuration.model
        assert isinstance(config, DCGANModel)
        self.device = choose_device(training.device)
        check_precision(training.precision, self.device)
        torch.manual_seed(training.seed)
        # Convolutions read the channels of one pixel together: a step takes a fifth less time on a CPU.
        self.model = DCGAN(config).to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizers = {
            "discriminator": build_optimizer(configuration.optimizer, self.model.discriminator, self.device),
            "generator": build_optimizer(configuration.optimizer, self.model.generator, self.device),
        }
        self._batches = torch.Generator(self.device).manual_seed(training.seed)
        self._noise = torch.Generator(self.device).manual_seed(training.seed + 1)
        # Drawn on the CPU and for the largest grid, so that it is the same noise on every device and at every size.
        fixed = torch.Generator().manual_seed(training.seed + 2)
        self._fixed_noise = torch.randn(LARGEST_GRID, config.n_latent, generator=fixed)
        self.pictures = self._placed(pictures.pixels) if pictures is not None else None
        self.tokens_per_step = training.batch_size
        count = len(pictures) if pictures is not None else 0
        sizes = [f"{name} {parameter_count(net):,}" for name, net in self._networks().items()]
        self.facts = Facts(
            parameters=parameter_count(self.model),
            vocab_size=0,
            tokens={"train": count},
            references={},
            notes=(f"Parameters: {', '.join(sizes)}.", *(pictures.notes if pictures is not None else ())),
        )
        # A weight of a convolution is used at every position of its output: about once in four pixels, on the average layer.
        operations = self.facts.parameters * training.batch_size * config.image_size**2 / 4
        use_threads_for(operations)
        self.model.train()

    def _networks(self) -> dict[str, nn.Module]:
        return {"generator": self.model.generator, "discriminator": self.model.discriminator}

    def _placed(self, pixels: Any) -> Tensor:
        """Return the pictures as bytes (N, C, H, W) on the device, or in the machine's memory where they are too many for it."""
        held = torch.from_numpy(pixels)
        if self.device.type == "cuda" and held.nbytes > SHARE_OF_MEMORY * torch.cuda.mem_get_info(self.device)[0]:
            return held.pin_memory()
        return held.to(self.device)

    def configure(self, configuration: Configuration) -> None:
        assert isinstance(configuration, AdversarialConfiguration)
        self.configuration = configuration

    # -- training -------------------------------------------------------------------------------------------------

    def train_step(self, step: int) -> dict[str, Tensor | float]:
        """Do a step of the discriminator on real and drawn pictures, then one of the generator on the same drawn ones.

        `loss_d` is the sum of the two binary cross-entropies of the discriminator, `loss_g` that of drawn pictures held to be
        real (the non-saturating loss of Goodfellow et al., 2014, section 3). `d_real` is the mean D(x), `d_fake` the mean
        D(G(z)) before the discriminator's step, `d_fake_after` after it.
        """
        training, optimizer = self.configuration.training, self.configuration.optimizer
        rate = optimizer.learning_rate * rate_factor(self.configuration.schedule, step, training.max_steps)
        for each in self.optimizers.values():
            set_rates(each, rate, optimizer.weight_decay)
        generator, discriminator = self.model.generator, self.model.discriminator

        real = self._draw_real(training.batch_size)  # (B, C, H, W)
        with self._autocast():
            drawn = generator(self._draw_noise(training.batch_size))  # (B, C, H, W)
            of_real = discriminator(real).float()  # (B,)
            of_drawn = discriminator(drawn.detach()).float()  # (B,)
        loss_d = _held_real(of_real) + _held_false(of_drawn)
        loss_d.backward()
        self.optimizers["discriminator"].step()
        self.optimizers["discriminator"].zero_grad(set_to_none=True)

        discriminator.requires_grad_(False)  # the generator's step needs no gradients of the other's weights
        with self._autocast():
            after = discriminator(drawn).float()  # (B,)
        loss_g = _held_real(after)
        loss_g.backward()
        discriminator.requires_grad_(True)
        self.optimizers["generator"].step()
        self.optimizers["generator"].zero_grad(set_to_none=True)
        return {
            "loss_d": loss_d.detach(),
            "loss_g": loss_g.detach(),
            "d_real": _mean_probability(of_real),
            "d_fake": _mean_probability(of_drawn),
            "d_fake_after": _mean_probability(after),
            "learning_rate": rate,
        }

    def _draw_real(self, count: int) -> Tensor:
        """Return `count` pictures (B, C, H, W) between -1 and 1, drawn with replacement."""
        assert self.pictures is not None, "training needs pictures"
        which = torch.randint(len(self.pictures), (count,), generator=self._batches, device=self.device)
        drawn = self.pictures[which.to(self.pictures.device)].to(self.device)
        return (drawn.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)

    def _draw_noise(self, count: int) -> Tensor:
        return torch.randn(count, self.model.n_latent, generator=self._noise, device=self.device)

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.configuration.training.precision == "bfloat16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()

    def evaluate(self, thorough: bool = False) -> dict[str, float]:  # noqa: ARG002
        """Return nothing: neither loss of the game says how good the pictures are."""
        return {}

    # -- pictures -------------------------------------------------------------------------------------------------

    def fixed_pictures(self) -> Any:
        """Draw the pictures of the noise that stays the same, as bytes (N, H, W, C)."""
        return self._pictures_of(self._fixed_noise[: self.configuration.sampling.count])

    def fresh_pictures(self, count: int, seed: int) -> Any:
        """Draw pictures of noise drawn with a seed, as bytes (N, H, W, C)."""
        generator = torch.Generator().manual_seed(seed)
        return self._pictures_of(torch.randn(count, self.model.n_latent, generator=generator))

    def real_pictures(self) -> Any:
        """Return real pictures, always the same, as bytes (N, H, W, C); None where there are none."""
        if self.pictures is None:
            return None
        generator = torch.Generator().manual_seed(self.configuration.training.seed)
        which = torch.randperm(len(self.pictures), generator=generator)[: self.grid_size]
        return self.pictures[which.to(self.pictures.device)].permute(0, 2, 3, 1).cpu().numpy()

    @torch.no_grad()
    def _pictures_of(self, noise: Tensor) -> Any:
        with evaluation_mode(self.model):
            parts = [self.model.generator(part.to(self.device)) for part in noise.split(DRAWN_AT_ONCE)]
        return to_bytes(torch.cat(parts))

    @property
    def grid_size(self) -> int:
        """Pictures in a grid."""
        return self.configuration.sampling.count

    # -- checkpoints ----------------------------------------------------------------------------------------------

    def weights(self) -> dict[str, Tensor]:
        return self.model.state_dict()

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        load_model_weights(self.model, weights, expected=set(self.weights()))

    def training_state(self) -> dict[str, Any]:
        return {
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "batches": self._batches.get_state(),
            "noise": self._noise.get_state(),
        }

    def load_training_state(self, state: dict[str, Any]) -> None:
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self._batches.set_state(state["batches"])
        self._noise.set_state(state["noise"])

    def tokenizer_json(self) -> dict[str, Any] | None:
        """Return None: pictures have no tokens."""
        return None


def _held_real(logits: Tensor) -> Tensor:
    """Return -log D, averaged: the binary cross-entropy against "real"."""
    return F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))


def _held_false(logits: Tensor) -> Tensor:
    """Return -log (1 - D), averaged: the binary cross-entropy against "drawn"."""
    return F.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits))


def _mean_probability(logits: Tensor) -> Tensor:
    return logits.detach().sigmoid().mean()
