"""Adversarial training (Goodfellow et al., 2014): a discriminator learns to tell, a generator learns to be mistaken for real."""

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.tasks import AdversarialConfiguration
from torchtty.engine.contract.settings.training import LARGEST_GRID
from torchtty.engine.data.draws import DrawnAhead
from torchtty.engine.data.images import Pictures, glance, load_pictures
from torchtty.engine.devices import on_device, out_of_memory_means
from torchtty.engine.models.families import build_model, parameter_count
from torchtty.engine.sampling.grid import to_bytes
from torchtty.engine.training.neural import NeuralTask, evaluation_mode
from torchtty.engine.training.optimizers import Optimizers, build_optimizer
from torchtty.engine.training.step import Batch, Descent, EagerStep, Metrics
from torchtty.engine.training.task import NEW, Facts, Task, TaskSource
from torchtty.engine.training.threads import ThreadChooser

SHARE_OF_MEMORY = 0.5  # of the device's free memory that the pictures may take
DRAWN_AT_ONCE = 64  # pictures a pass of the generator


class AdversarialTask(NeuralTask[AdversarialConfiguration]):
    """Trains the `generator` and the `discriminator` of a model on pictures, one step of each a step.

    Batches and noise come from two generators of their own, grids from a third, so that drawing changes nothing in training.
    Without pictures it only draws.

    `loss_d` is the sum of the two binary cross-entropies of the discriminator, `loss_g` that of drawn pictures held to be real
    (the non-saturating loss of Goodfellow et al., 2014, section 3). `d_real` is the mean D(x), `d_fake` the mean D(G(z)) before
    the discriminator's step, `d_fake_after` after it.
    """

    descended = ("discriminator", "generator")
    timed_batch = 16
    _example: Batch | None = None  # what is kept to be looked at once training is forgotten

    def __init__(self, configuration: AdversarialConfiguration, pictures: Pictures | None) -> None:
        super().__init__(configuration)
        training, config = configuration.training, configuration.model
        networks = {name: self.model.get_submodule(name) for name in self.descended}
        self.generator, self.discriminator = networks["generator"], networks["discriminator"]
        self.optimizers = {
            name: build_optimizer(configuration.optimizer, network, self.device) for name, network in networks.items()
        }
        self.step = EagerStep(*self.descents(self.optimizers))
        self._drawn: Tensor | None = None  # by the generator for the discriminator's loss, until its own
        # Drawn on the CPU and for the largest grid, so that it is the same noise on every device and at every size.
        fixed = torch.Generator().manual_seed(training.seed + 2)
        self._fixed_noise = torch.randn(LARGEST_GRID, config.n_latent, generator=fixed)
        self.pictures = self._placed(pictures.pixels) if pictures is not None else None
        placed = self.pictures.device if self.pictures is not None else self.device
        self._batches = DrawnAhead(self._draw_numbers, training.seed, self.device, target=placed)
        self._noise = DrawnAhead(self._draw_noise, training.seed + 1, self.device)
        self.tokens_per_step = training.batch_size
        sizes = [f"{name} {parameter_count(networks[name]):,}" for name in ("generator", "discriminator")]
        self.facts = Facts(
            parameters=parameter_count(self.model),
            vocab_size=0,
            tokens={"train": len(pictures) if pictures is not None else 0},
            references={},
            notes=(f"Parameters: {', '.join(sizes)}.", *(pictures.notes if pictures is not None else ())),
            data_sha256=hashlib.sha256(pictures.pixels.tobytes()).hexdigest() if pictures is not None else "",
        )
        # A weight of a convolution is used at every position of its output: about once in four pixels, on the average layer.
        self.operations = self.facts.parameters * training.batch_size * config.image_size**2 / 4
        self.threads = ThreadChooser(self.operations, self.device)
        self.model.train()

    @classmethod
    def build(cls, configuration: Configuration, source: TaskSource = NEW) -> Task:
        assert isinstance(configuration, AdversarialConfiguration)
        if source.data_may_be_gone:  # reading thousands of pictures would only keep whoever asks for a few waiting
            return cls(configuration, None)
        model, data = configuration.model, configuration.data
        return cls(configuration, load_pictures(data.dataset, model.image_size, model.channels, data.limit))

    @classmethod
    def for_timing(cls, configuration: Configuration) -> tuple[Task, float]:
        timed, factor = cls.timed_configuration(configuration)
        assert isinstance(timed, AdversarialConfiguration)
        model, data = timed.model, timed.data
        return cls(timed, glance(data.dataset, model.image_size, model.channels, data.limit)), factor

    def build_network(self) -> nn.Module:
        # Convolutions read the channels of one pixel together: a step takes a fifth less time on a CPU.
        return build_model(self.configuration.model).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def _placed(self, pixels: Any) -> Tensor:
        """Return the pictures as bytes (N, C, H, W) on the device, or in the machine's memory where they are too many for it."""
        held = torch.from_numpy(pixels)
        if self.device.type == "cuda" and held.nbytes > SHARE_OF_MEMORY * torch.cuda.mem_get_info(self.device)[0]:
            return held.pin_memory()
        return held.to(self.device)

    # -- training -------------------------------------------------------------------------------------------------

    def descents(self, optimizers: Mapping[str, Optimizers]) -> tuple[Descent, ...]:
        return (
            Descent(self.discriminator, self._discriminator_loss, optimizers["discriminator"]),
            Descent(self.generator, self._generator_loss, optimizers["generator"], pure=False),
        )

    def next_batch(self) -> Batch:
        """Return noise (B, n_latent) and real pictures (B, C, H, W)."""
        return self._noise.take(1)[0], self._real(self._batches.take(1)[0])

    def example_batch(self) -> Batch:
        """Return noise (B, n_latent) and real pictures (B, C, H, W): noise as well where the task only draws, and has none."""
        if self._example is not None:
            return self._example
        config, training = self.configuration.model, self.configuration.training
        noise, batches = (torch.Generator().manual_seed(training.seed + number) for number in range(2))
        latent = self._draw_noise(1, noise)[0].to(self.device)
        if self.pictures is not None:
            return latent, self._real(self._draw_numbers(1, batches)[0])
        shape = (training.batch_size, config.channels, config.image_size, config.image_size)
        grey = (torch.rand(shape, generator=batches) * 2 - 1).to(self.device)
        return latent, grey.contiguous(memory_format=torch.channels_last)

    def _draw_numbers(self, steps: int, generator: torch.Generator) -> Tensor:
        """Draw which pictures so many steps learn from, with replacement, as (steps, B)."""
        assert self.pictures is not None, "training needs pictures"
        shape = (steps, self.configuration.training.batch_size)
        return torch.randint(len(self.pictures), shape, generator=generator, device=generator.device)

    def _draw_noise(self, steps: int, generator: torch.Generator) -> Tensor:
        """Draw the noise of so many steps (steps, B, n_latent), one by one: what is drawn depends on how much is drawn at once."""
        shape = (steps, self.configuration.training.batch_size, self.configuration.model.n_latent)
        drawn = torch.empty(shape, device=generator.device)
        for noise in drawn:
            noise.normal_(generator=generator)
        return drawn

    def _real(self, which: Tensor) -> Tensor:
        """Return the pictures of these numbers (B,), as (B, C, H, W) between -1 and 1."""
        assert self.pictures is not None, "training needs pictures"
        drawn = on_device(self.pictures[which.to(self.pictures.device)], self.device)
        return (drawn.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)

    def _discriminator_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        """Judge real pictures and freshly drawn ones, which are kept for the generator's loss."""
        noise, real = batch
        with self.autocast():
            self._drawn = self.generator(noise)  # (B, C, H, W)
            of_real = self.discriminator(real).float()  # (B,)
            of_drawn = self.discriminator(self._drawn.detach()).float()  # (B,)
        loss = _held(of_real, real=True) + _held(of_drawn, real=False)
        return loss, {
            "loss_d": loss.detach(),
            "d_real": _mean_probability(of_real),
            "d_fake": _mean_probability(of_drawn),
        }

    def _generator_loss(self, _: Batch) -> tuple[Tensor, Metrics]:
        """Judge the drawn pictures again, after the discriminator's step."""
        assert self._drawn is not None
        self.discriminator.requires_grad_(False)  # its gradients are not needed here
        with self.autocast():
            after = self.discriminator(self._drawn).float()  # (B,)
        self.discriminator.requires_grad_(True)
        self._drawn = None
        loss = _held(after, real=True)
        return loss, {"loss_g": loss.detach(), "d_fake_after": _mean_probability(after)}

    def forget_training(self) -> None:
        """Let optimizers and pictures go; one batch stays for the lenses."""
        super().forget_training()
        self._example = self.example_batch()
        self.pictures = self._drawn = None
        self.optimizers.clear()

    def evaluate(self, thorough: bool = False) -> dict[str, float]:  # noqa: ARG002
        """Return nothing: neither loss of the game says how good the pictures are."""
        return {}

    # -- pictures -------------------------------------------------------------------------------------------------

    def fixed_pictures(self) -> Any:
        return self.pictures_of(self._fixed_noise[: self.configuration.sampling.count])

    def fresh_pictures(self, count: int, seed: int) -> Any:
        generator = torch.Generator().manual_seed(seed)
        return self.pictures_of(torch.randn(count, self.configuration.model.n_latent, generator=generator))

    def real_pictures(self) -> Any:
        if self.pictures is None:
            return None
        generator = torch.Generator().manual_seed(self.configuration.training.seed)
        which = torch.randperm(len(self.pictures), generator=generator)[: self.grid_size]
        return self.pictures[which.to(self.pictures.device)].permute(0, 2, 3, 1).cpu().numpy()

    @property
    def noise_size(self) -> int:
        return self.configuration.model.n_latent

    def pictures_learnt_from(self) -> Tensor:
        if self.pictures is not None:
            return self.pictures
        model, data = self.configuration.model, self.configuration.data
        return torch.from_numpy(load_pictures(data.dataset, model.image_size, model.channels, data.limit).pixels)

    @torch.no_grad()
    def pictures_of(self, noise: Tensor) -> Any:
        advice = f"There is not enough memory to draw {len(noise):,} pictures: take a smaller count (--count)."
        with out_of_memory_means(advice), evaluation_mode(self.model):
            parts = [self.generator(part.to(self.device)) for part in noise.split(DRAWN_AT_ONCE)]
        return to_bytes(torch.cat(parts))

    @property
    def grid_size(self) -> int:
        return self.configuration.sampling.count

    # -- checkpoints ----------------------------------------------------------------------------------------------

    def training_state(self) -> dict[str, Any]:
        return {
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            **self.scaler_state(),
            **self.drawing_state(),
        }

    def load_training_state(self, state: dict[str, Any]) -> None:
        for name, of_optimizer in state.get("optimizers", {}).items():
            self.optimizers[name].load_state_dict(of_optimizer)
        self.load_scaler_state(state)
        self.load_drawing_state(state)

    def drawing_state(self) -> dict[str, Any]:
        (batches, batches_taken), (noise, noise_taken) = self._batches.state(), self._noise.state()
        return {
            "batches": batches,
            "batches_taken": batches_taken,
            "noise": noise,
            "noise_taken": noise_taken,
        }

    def load_drawing_state(self, state: dict[str, Any]) -> None:
        for name, stream in (("batches", self._batches), ("noise", self._noise)):
            if name in state:
                stream.load_state(state[name], state.get(f"{name}_taken", 0))
                self._draws_anew |= not stream.exact


def _held(logits: Tensor, *, real: bool) -> Tensor:
    """Return the binary cross-entropy against "real" or "drawn", averaged: -log D or -log (1 - D)."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, real))


def _mean_probability(logits: Tensor) -> Tensor:
    return logits.detach().sigmoid().mean()
