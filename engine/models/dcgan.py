"""The DCGAN (Radford et al., 2016): a generator of transposed convolutions against a discriminator of convolutions."""

import math
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from torchtty.engine.contract.settings.models.dcgan import DCGANModel

SLOPE = 0.2  # of the leaky ReLU below zero


class DCGAN(nn.Module):
    """The two networks of one game.

    Every layer doubles or halves height and width; a picture of 64 pixels takes one layer more than one of 32.

    | 64 pixels     | generator                 | discriminator             |
    |---------------|---------------------------|---------------------------|
    | first         | n_latent -> 8·ngf x 4 x 4 | channels -> ndf x 32 x 32 |
    | hidden        | 4·ngf x 8, 2·ngf x 16, ngf x 32 | 2·ndf x 16, 4·ndf x 8, 8·ndf x 4 |
    | last          | channels x 64 x 64, tanh  | one logit                 |

    With 64 channels each and colour: 3,576,704 and 2,765,568 parameters.
    """

    def __init__(self, config: DCGANModel) -> None:
        super().__init__()
        self.n_latent = config.n_latent
        self.generator = Generator(config)
        self.discriminator = Discriminator(config)
        self.apply(_initialise)

    def forward(self, noise: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Return the pictures (B, C, H, W) drawn from noise (B, n_latent), and the discriminator's loss on them and real ones."""
        drawn = self.generator(noise)
        of_real, of_drawn = self.discriminator(real), self.discriminator(drawn)
        return drawn, F.softplus(-of_real).mean() + F.softplus(of_drawn).mean()  # -log D(x) - log(1 - D(G(z)))


class Generator(nn.Module):
    """Noise (B, n_latent) to pictures (B, C, H, W) between -1 and 1."""

    def __init__(self, config: DCGANModel) -> None:
        super().__init__()
        widths = _widths(config.n_generator, config.image_size)[::-1]
        layers: list[nn.Module] = [nn.ConvTranspose2d(config.n_latent, widths[0], 4, bias=False)]
        for wide, narrow in pairwise([*widths, config.channels]):
            layers += [nn.BatchNorm2d(wide), nn.ReLU(inplace=True)]
            layers.append(nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1, bias=False))
        self.layers = nn.Sequential(*layers, nn.Tanh())

    def forward(self, noise: Tensor) -> Tensor:
        """Return pictures (B, C, H, W) for noise (B, n_latent)."""
        return self.layers(noise[:, :, None, None])


class Discriminator(nn.Module):
    """Pictures (B, C, H, W) to the logit (B,) of their being real."""

    def __init__(self, config: DCGANModel) -> None:
        super().__init__()
        widths = _widths(config.n_discriminator, config.image_size)
        layers: list[nn.Module] = [nn.Conv2d(config.channels, widths[0], 4, stride=2, padding=1, bias=False)]
        for narrow, wide in pairwise(widths):
            layers += [nn.LeakyReLU(SLOPE, inplace=True), nn.Conv2d(narrow, wide, 4, stride=2, padding=1, bias=False)]
            layers.append(nn.BatchNorm2d(wide))
        layers += [nn.LeakyReLU(SLOPE, inplace=True), nn.Conv2d(widths[-1], 1, 4, bias=False)]
        self.layers = nn.Sequential(*layers)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return logits (B,); their sigmoid is D(x), the probability that a picture is real."""
        return self.layers(pictures).flatten()


def _widths(base: int, image_size: int) -> list[int]:
    """Return the channels of the layers between 4 x 4 pixels and the whole picture, the narrowest first."""
    return [base * 2**level for level in range(int(math.log2(image_size)) - 2)]


def _initialise(module: nn.Module) -> None:
    """Draw convolutions from N(0, 0.02) and the scales of batch norms from N(1, 0.02), their shifts 0."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
