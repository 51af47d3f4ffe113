"""Building blocks that more than one architecture uses."""

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))) without biases, so that the block scales with its input."""

    def __init__(self, width: int):
        super().__init__()
        self.res = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.res(x)
