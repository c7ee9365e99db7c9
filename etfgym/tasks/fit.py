"""Fit a network to examples: batches, a validation set that chooses the epoch, a progress bar, a learning curve."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from etfgym.atomic import write_atomically
from etfgym.checks import one_of, whole_number

OPTIMIZERS = ("adam", "sgd")
MOST_AT_ONCE = 4096
"""Examples in a forward without gradients."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Inputs, each (N, ...), in the order in which the model takes them, and what it is to tell, (N, ...)."""

    inputs: tuple[Tensor, ...]
    targets: Tensor

    def __post_init__(self) -> None:
        if not len(self.targets) or any(len(part) != len(self.targets) for part in self.inputs):
            counts = [len(part) for part in (*self.inputs, self.targets)]
            msg = f"inputs and targets must be as many, at least one, got {counts}"
            raise ValueError(msg)

    def __len__(self) -> int:
        return len(self.targets)

    def part(self, chosen: Tensor | slice) -> Examples:
        """Return some of them."""
        return Examples(tuple(part[chosen] for part in self.inputs), self.targets[chosen])


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """How a network is fitted.

    Raises:
        ValueError: If a value is out of its range.
    """

    epochs: int
    """Passes over the training examples, at most."""
    batch_size: int = 64
    """Examples in a step."""
    optimizer: str = "adam"
    """"adam" or "sgd"."""
    learning_rate: float = 1e-3
    momentum: float = 0.0
    """Of SGD."""
    l2: float = 0.0
    """Half of this times the sum of the squared parameters is added to the loss."""
    patience: int | None = None
    """Stop after so many epochs in a row without a better one; None: never."""

    def __post_init__(self) -> None:
        whole_number("epochs", self.epochs, 1)
        whole_number("batch_size", self.batch_size, 1)
        one_of("optimizer", self.optimizer, OPTIMIZERS)
        if not self.learning_rate > 0 or not self.l2 >= 0:
            msg = f"learning_rate must be above 0 and l2 at least 0, got {self.learning_rate!r} and {self.l2!r}"
            raise ValueError(msg)

    def make(self, model: nn.Module) -> torch.optim.Optimizer:
        """Return the optimiser of the parameters that are not frozen."""
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if self.optimizer == "adam":
            return torch.optim.Adam(parameters, self.learning_rate, weight_decay=self.l2)
        return torch.optim.SGD(parameters, self.learning_rate, momentum=self.momentum, weight_decay=self.l2)


@dataclass(slots=True)
class History:
    """What happened, epoch by epoch."""

    train_losses: list[float] = field(default_factory=list)
    """Mean over the batches of the epoch, while it went on."""
    valid_losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    """On the validation set; larger is better."""
    best: int = 0
    """The epoch whose weights were kept, from 0."""
    seconds: float = 0.0


def fit(
    model: nn.Module,
    train: Examples,
    valid: Examples,
    loss: Callable[[Tensor, Tensor], Tensor],
    how: Fitting,
    *,
    seed: int,
    score: Callable[[Tensor, Tensor], float] | None = None,
    label: str = "fitting",
) -> History:
    """Fit `model` in place; it ends in evaluation mode with the weights of its best epoch in validation.

    Args:
        model: Takes the inputs of `Examples`.
        train: Examples that it learns from.
        valid: Examples that choose the epoch; the test set is none of this function's business.
        loss: From outputs and targets to their mean loss.
        how: Settings.
        seed: Of the batches and of dropout. The weights were drawn when the model was made.
        score: From outputs and targets of the validation set to what chooses; larger is better. None: the least loss.
        label: What the progress bar says.

    Raises:
        ValueError: If the loss stops being finite.
    """
    history, optimizer, start = History(), how.make(model), time.perf_counter()
    weights: dict[str, Tensor] = {}
    steps = how.epochs * -(-len(train) // how.batch_size)
    # disable=None: no bar where nobody watches
    with torch.random.fork_rng(devices=[]), tqdm(total=steps, desc=label, leave=False, disable=None) as bar:
        torch.manual_seed(seed)
        for epoch in range(how.epochs):
            model.train()
            total = 0.0
            for batch in _batches(train, how.batch_size):
                optimizer.zero_grad()
                error = loss(model(*batch.inputs), batch.targets)
                error.backward()
                optimizer.step()
                total += float(error.detach()) * len(batch)
                bar.update()
            outputs = outputs_of(model, valid)
            history.train_losses.append(total / len(train))
            history.valid_losses.append(float(loss(outputs, valid.targets)))
            if not history.valid_losses[-1] < float("inf"):
                msg = f"{label}: the loss is not finite after epoch {epoch + 1}; take a smaller learning_rate"
                raise ValueError(msg)
            history.scores.append(score(outputs, valid.targets) if score else -history.valid_losses[-1])
            bar.set_postfix_str(f"epoch {epoch + 1}, validation loss {history.valid_losses[-1]:.4g}")
            if epoch == 0 or history.scores[epoch] > history.scores[history.best]:
                history.best = epoch
                weights = {name: value.clone() for name, value in model.state_dict().items()}
            elif how.patience is not None and epoch - history.best >= how.patience:
                break
    model.load_state_dict(weights)
    history.seconds = time.perf_counter() - start
    return history


def _batches(examples: Examples, size: int) -> Iterator[Examples]:
    """Yield all examples in a new random order, `size` at a time."""
    for chosen in torch.randperm(len(examples)).split(size):
        yield examples.part(chosen)


@torch.no_grad()
def outputs_of(model: nn.Module, examples: Examples) -> Tensor:
    """Return the model's outputs in evaluation mode, (N, ...)."""
    model.eval()
    parts = [
        model(*(part[start : start + MOST_AT_ONCE] for part in examples.inputs))
        for start in range(0, len(examples), MOST_AT_ONCE)
    ]
    return torch.cat(parts)


def accuracy(outputs: Tensor, targets: Tensor) -> float:
    """Return the share of rows of outputs (N, K) whose largest number stands at its target (N,).

    Example:
        >>> accuracy(torch.tensor([[0.1, 0.9], [0.8, 0.2]]), torch.tensor([1, 1]))
        0.5
    """
    return float((outputs.argmax(1) == targets).double().mean())


def draw_curve(histories: Sequence[tuple[str, History]], file: Path, title: str) -> None:
    """Draw the losses of one or more trainings over the epochs into a PNG, whole or not at all.

    Args:
        histories: Each model's name and history.
        file: The PNG.
        title: What was learned.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    from etfgym.report.style import LEARNER_COLOURS, STYLE

    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(7.0, 4.0), layout="constrained")
        axes = figure.add_subplot()
        for number, (name, history) in enumerate(histories):
            colour = LEARNER_COLOURS[number % len(LEARNER_COLOURS)]
            epochs = range(1, len(history.valid_losses) + 1)
            axes.plot(epochs, history.train_losses, color=colour, linestyle=":", label=f"{name}, training")
            axes.plot(epochs, history.valid_losses, color=colour, label=f"{name}, validation")
            axes.plot(history.best + 1, history.valid_losses[history.best], "o", color=colour)
        axes.set(title=f"{title} (dot: the epoch that was kept)", xlabel="epoch", ylabel="loss")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
        write_atomically(file, lambda path: figure.savefig(path, format="png"))
