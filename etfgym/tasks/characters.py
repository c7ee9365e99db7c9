"""A model of characters with memory, from this one to the next, and the counts of neighbours that it is to beat.

The state goes from one piece of a text to the next, the gradient does not: backpropagation through time is cut off
after `PIECE` characters (Williams and Peng 1990).
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from etfgym.tasks.fit import History

UNKNOWN = 0
"""The number of every character that is not in the alphabet."""
STREAMS = 32
"""Places of the text that are read side by side."""
PIECE = 64
"""Characters that the gradient goes back."""
AT_ONCE = 4096
"""Characters in a forward without gradients."""
UNCOUNTED = 2
"""First characters of a text that are not asked for: a trigram needs them."""
LARGEST_GRADIENT = 1.0


class Alphabet:
    """The characters of a text, each with its number, from 1.

    Example:
        >>> alphabet = Alphabet("abba")
        >>> alphabet.numbers("cab").tolist(), alphabet.text([2, 1])
        ([0, 1, 2], 'ba')
    """

    def __init__(self, text: str) -> None:
        self.characters = "".join(sorted(set(text)))
        self.number = {character: number for number, character in enumerate(self.characters, UNKNOWN + 1)}

    def __len__(self) -> int:
        return len(self.characters) + 1

    def numbers(self, text: str) -> Tensor:
        """Return the number of each character, shape (T,)."""
        return torch.tensor([self.number.get(character, UNKNOWN) for character in text], dtype=torch.long)

    def text(self, numbers: Sequence[int]) -> str:
        """Return the characters of numbers, none of them `UNKNOWN`."""
        return "".join(self.characters[number - 1] for number in numbers)


class CharacterModel(nn.Module):
    """Map characters (B, T) and a state to logits of the character after each (B, T, K) and the state after the last.

    Args:
        characters: K, with the unknown one.
        embedding: Numbers that stand for a character.
        hidden: Width of the GRU's state.
        dropout: Of the state where it is read, in [0, 1).

    Example:
        >>> logits, state = CharacterModel(characters=5)(torch.ones(2, 7, dtype=torch.long))
        >>> logits.shape, state.shape
        (torch.Size([2, 7, 5]), torch.Size([1, 2, 192]))
    """

    def __init__(self, characters: int, embedding: int = 48, hidden: int = 192, dropout: float = 0.1) -> None:
        super().__init__()
        self.spec: dict[str, Any] = {
            "characters": characters,
            "embedding": embedding,
            "hidden": hidden,
            "dropout": dropout,
        }
        self.embedding = nn.Embedding(characters, embedding)
        self.recurrent = nn.GRU(embedding, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, characters)

    def forward(self, characters: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return logits (B, T, K) and the state (1, B, hidden); a state of None remembers nothing."""
        states, state = self.recurrent(self.embedding(characters), state)
        return self.head(self.dropout(states)), state


def learn(model: CharacterModel, train: Tensor, valid: Tensor, epochs: int, *, seed: int) -> History:
    """Fit `model` in place to a text; it ends in evaluation mode with the weights of its best epoch in validation.

    Args:
        model: What learns.
        train: The text, as numbers (T,), at least two for each of `STREAMS`.
        valid: Another, that chooses the epoch.
        epochs: Passes over the text.
        seed: Of dropout.

    Returns:
        Its losses in bits a character.
    """
    history, start = History(), time.perf_counter()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    weights: dict[str, Tensor] = {}
    pieces = list(_pieces(train))
    bar = tqdm(total=epochs * len(pieces), desc="characters", leave=False, disable=None)  # None: if somebody watches
    with torch.random.fork_rng(devices=[]), bar:
        torch.manual_seed(seed)
        for epoch in range(epochs):
            model.train()
            state, total = None, 0.0
            for piece, following in pieces:
                optimizer.zero_grad()
                logits, state = model(piece, state)
                state = state.detach()
                loss = functional.cross_entropy(logits.flatten(0, 1), following.flatten())
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), LARGEST_GRADIENT)
                optimizer.step()
                total += float(loss.detach()) * following.numel()
                bar.update()
            history.train_losses.append(total / sum(following.numel() for _, following in pieces) / math.log(2))
            history.valid_losses.append(bits(model, valid))
            history.scores.append(-history.valid_losses[-1])
            bar.set_postfix_str(f"epoch {epoch + 1}, validation {history.valid_losses[-1]:.3f} bits a character")
            if epoch == 0 or history.scores[epoch] > history.scores[history.best]:
                history.best = epoch
                weights = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(weights)
    history.seconds = time.perf_counter() - start
    return history


def _pieces(text: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield pieces (`STREAMS`, up to `PIECE`) and what follows each character; each row goes on where it ended."""
    each = (len(text) - 1) // STREAMS
    before, after = (part[: STREAMS * each].view(STREAMS, each) for part in (text[:-1], text[1:]))
    yield from zip(before.split(PIECE, 1), after.split(PIECE, 1), strict=True)


@torch.no_grad()
def bits(model: CharacterModel, text: Tensor, *, memory: bool = True) -> float:
    """Return the bits that a character costs in a text (T,), read from its beginning; less is better.

    Args:
        model: What tells.
        text: As numbers; its first `UNCOUNTED` characters are not asked for.
        memory: False: the state is emptied before each character, so that it sees one and no more.
    """
    model.eval()
    state, losses = None, []
    for before, after in zip(text[:-1].split(AT_ONCE), text[1:].split(AT_ONCE), strict=True):
        if memory:
            logits, state = model(before[None], state)
        else:
            logits, _ = model(before[:, None])
        losses.append(functional.cross_entropy(logits.flatten(0, 1), after, reduction="none"))
    return float(torch.cat(losses)[UNCOUNTED - 1 :].double().mean()) / math.log(2)


@torch.no_grad()
def go_on(model: CharacterModel, beginning: Tensor, count: int, *, temperature: float, seed: int) -> list[int]:
    """Return `count` characters that follow the `beginning` (T,), each drawn from what the model thinks of it.

    Args:
        model: What tells.
        beginning: As numbers, at least one.
        count: Characters that are drawn.
        temperature: Logits are divided by it: near 0 the likeliest is taken, at 1 the model's own chances count.
        seed: Of what is drawn.
    """
    model.eval()
    generator = torch.Generator().manual_seed(seed)
    drawn: list[int] = []
    logits, state = model(beginning[None])
    for _ in range(count):
        chances = (logits[0, -1] / temperature).softmax(0)
        chances[UNKNOWN] = 0.0
        drawn.append(int(torch.multinomial(chances, 1, generator=generator)))
        logits, state = model(torch.tensor([drawn[-1:]]), state)
    return drawn


def counted_bits(train: Sequence[int], test: Sequence[int], characters: int, before: int) -> float:
    """Return the bits that a character costs in `test` by counts in `train` of it and the `before` ones in front.

    P(c | h) = (count(h, c) + P(c | shorter h)) / (count(h) + 1), down to the same chance for each of `characters`: what
    was never seen falls back on a shorter past (MacKay and Peto 1995, "A Hierarchical Dirichlet Language Model").

    Example:
        >>> round(counted_bits([1, 2] * 500, [1, 2, 1, 2, 1], characters=3, before=1), 2)
        0.0
        >>> round(counted_bits([1, 2] * 500, [1, 2, 1, 2, 1], characters=3, before=0), 2)
        1.0
    """
    tables = []
    for past in range(before + 1):
        pairs = Counter(tuple(train[end - past : end + 1]) for end in range(past, len(train)))
        pasts: Counter[tuple[int, ...]] = Counter()
        for run, count in pairs.items():
            pasts[run[:-1]] += count
        tables.append((pairs, pasts))
    total = 0.0
    for end in range(UNCOUNTED, len(test)):
        chance = 1.0 / characters
        for past, (pairs, pasts) in enumerate(tables):
            run = tuple(test[end - past : end + 1])
            chance = (pairs[run] + chance) / (pasts[run[:-1]] + 1.0)
        total -= math.log2(chance)
    return total / (len(test) - UNCOUNTED)
