"""Layers that several models share."""

from torch import Tensor, nn


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation of each channel over all other dimensions, for x (B, C) and (B, T, C) (Ioffe & Szegedy, 2015).

    In training it uses the batch's own mean and variance and follows them with a running average (momentum 0.1); in
    evaluation it uses the average, so that what an example gives no longer depends on its neighbours.
    """

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(0, -2)).view_as(x)
