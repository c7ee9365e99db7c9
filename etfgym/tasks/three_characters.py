"""The course's RNN of three characters: two hidden numbers, a sigmoid, and an example that was worked out by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn

ONE_HOT = torch.eye(3, dtype=torch.float64)
"""The characters that the worked example reads: the first, the second, the third; shape (3, 3)."""
STATES = torch.tensor(
    [[0.78583498, 0.42555748], [0.89760999, 0.63898154], [0.91095943, 0.67379641]], dtype=torch.float64
)
"""What it remembers after each of them, to 8 digits, shape (3, 2)."""


class ThreeCharacters(nn.Module):
    """Map characters x (T, 3) to states h (T, 2) and to logits of the next character z (T, 3).

    h[t] = sigmoid(Wx x[t] + Wh h[t - 1] + b) and z[t] = Wy h[t] + by (Elman 1990, "Finding Structure in Time"); torch's
    own `nn.RNN` has no sigmoid. The weights are those of the worked example, float64.

    Example:
        >>> states, logits = ThreeCharacters()(ONE_HOT)
        >>> [f"{number:.8f}" for number in states[0]]
        ['0.78583498', '0.42555748']
        >>> [f"{number:.4f}" for number in logits[0].softmax(0)]
        ['0.2902', '0.3019', '0.4079']
    """

    def __init__(self) -> None:
        super().__init__()
        self.of_input = _parameter([[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]])
        self.of_state = _parameter([[1.0, 0.2], [1.0, 0.2]])
        self.bias = _parameter([0.3, 0.7])
        self.of_output = _parameter([[0.3, 0.2], [1.0, -1.0], [0.3, 1.0]])
        self.output_bias = _parameter([0.5, 0.5, 0.5])

    def forward(self, characters: Tensor) -> tuple[Tensor, Tensor]:
        """Return the states (T, 2), from a state of zeros, and the logits (T, 3) of characters (T, 3)."""
        state = torch.zeros_like(self.bias)
        states = []
        for character in characters:
            state = torch.sigmoid(self.of_input @ character + self.of_state @ state + self.bias)
            states.append(state)
        remembered = torch.stack(states)
        return remembered, remembered @ self.of_output.T + self.output_bias


def _parameter(values: list[float] | list[list[float]]) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values, dtype=torch.float64))


@torch.no_grad()
def worked_example() -> tuple[Tensor, float, float]:
    """Return the states (3, 2), their largest distance from the worked ones, and the same without memory (Wh = 0)."""
    model, forgetful = ThreeCharacters(), ThreeCharacters()
    forgetful.of_state.zero_()
    states, amnesia = model(ONE_HOT)[0], forgetful(ONE_HOT)[0]
    return states, float((states - STATES).abs().max()), float((amnesia - STATES).abs().max())
