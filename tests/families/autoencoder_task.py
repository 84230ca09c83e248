"""The task and the model of the autoencoder: what only a worker imports."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from autoencoder import AutoencoderConfiguration, AutoencoderModel
from torch import Tensor, nn

from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.data.images import load_pictures
from torchtty.engine.models.families import build_model, parameter_count
from torchtty.engine.sampling.grid import to_bytes
from torchtty.engine.training.neural import NeuralTask
from torchtty.engine.training.optimizers import Optimizers, build_optimizer
from torchtty.engine.training.step import Batch, Descent, EagerStep, Metrics
from torchtty.engine.training.task import Facts
from torchtty.engine.training.threads import ThreadChooser

SIZE = 8  # height and width of the pictures, grey


class Autoencoder(nn.Module):
    """Pictures (B, 1, 8, 8) between -1 and 1 to a code (B, n_code) and back."""

    def __init__(self, config: AutoencoderModel) -> None:
        super().__init__()
        pixels, n_hidden, n_code = SIZE * SIZE, config.n_hidden, config.n_code
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(pixels, n_hidden), nn.ReLU(inplace=True), nn.Linear(n_hidden, n_code)
        )
        self.decoder = nn.Sequential(
            nn.Linear(n_code, n_hidden), nn.ReLU(inplace=True), nn.Linear(n_hidden, pixels), nn.Tanh()
        )

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Return the pictures drawn again and the mean squared error, a number."""
        drawn = self.decode(self.encoder(pictures))
        return drawn, nn.functional.mse_loss(drawn, pictures)

    def decode(self, code: Tensor) -> Tensor:
        """Draw pictures from codes (B, n_code)."""
        drawn: Tensor = self.decoder(code)
        return drawn.view(-1, 1, SIZE, SIZE)


class AutoencoderTask(NeuralTask[AutoencoderConfiguration]):
    """Learns to draw pictures again. Fixed pictures are validation pictures drawn again, fresh ones come from random codes."""

    model: Autoencoder

    def __init__(self, configuration: AutoencoderConfiguration) -> None:
        super().__init__(configuration)
        training, data = configuration.training, configuration.data
        self.optimizer = build_optimizer(configuration.optimizer, self.model, self.device)
        self.step = EagerStep(*self.descents({"": self.optimizer}))
        pixels = torch.from_numpy(load_pictures(data.dataset, SIZE, 1).pixels)
        pictures = (pixels.float() / 127.5 - 1).to(self.device)
        self.val, self.train = pictures[: data.n_val], pictures[data.n_val :]
        self._batches = torch.Generator().manual_seed(training.seed)
        self.tokens_per_step = training.batch_size
        self.operations = 6.0 * parameter_count(self.model) * training.batch_size
        self.threads = ThreadChooser(self.operations, self.device)
        sizes = {"train": len(self.train), "val": len(self.val)}
        self.facts = Facts(parameter_count(self.model), 0, sizes, {}, ("Pictures of 8x8.",))

    @classmethod
    def build(
        cls,
        configuration: Configuration,
        tokenizer: dict[str, Any] | None = None,
        architecture: dict[str, Any] | None = None,
        *,
        data_may_be_gone: bool = False,
    ) -> "AutoencoderTask":
        assert isinstance(configuration, AutoencoderConfiguration)
        return cls(configuration)

    def build_network(self) -> nn.Module:
        return build_model(self.configuration.model)

    def descents(self, optimizers: Mapping[str, Optimizers]) -> tuple[Descent, ...]:
        return (Descent(self.model, self._loss, optimizers[""]),)

    def next_batch(self) -> Batch:
        return (self.train[torch.randint(len(self.train), (self.tokens_per_step,), generator=self._batches)],)

    def example_batch(self) -> Batch:
        return (self.train[: self.tokens_per_step],)

    def _loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        _, error = self.model(*batch)
        return error, {"error": error.detach()}

    @torch.no_grad()
    def evaluate(self, thorough: bool = False) -> dict[str, float]:
        """Return the error on the pictures put aside, and the power of the signal, whose range is 2, over that of the error."""
        training = self.configuration.training
        most = training.eval_batches * training.batch_size or len(self.val)
        error = float(self.model(self.val[:most])[1])
        return {"val_error": error, "psnr": 10 * math.log10(4 / error)}

    # -- pictures -------------------------------------------------------------------------------------------------

    @property
    def grid_size(self) -> int:
        return self.configuration.sampling.count

    @torch.no_grad()
    def fixed_pictures(self) -> Any:
        return to_bytes(self.model(self.val[: self.grid_size])[0])

    @torch.no_grad()
    def fresh_pictures(self, count: int, seed: int) -> Any:
        codes = torch.randn(count, self.configuration.model.n_code, generator=torch.Generator().manual_seed(seed))
        return to_bytes(self.model.decode(codes.to(self.device)))

    def real_pictures(self) -> Any:
        return to_bytes(self.val[: self.grid_size])

    # -- checkpoints ----------------------------------------------------------------------------------------------

    def training_state(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict(), "batches": self._batches.get_state()}

    def load_training_state(self, state: dict[str, Any]) -> None:
        if "optimizer" in state:
            self.optimizer.load_state_dict(state["optimizer"])
        if "batches" in state:
            self._batches.set_state(state["batches"])
