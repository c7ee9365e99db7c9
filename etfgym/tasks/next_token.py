"""Task `next-token`: this character to the next, with memory; the course's three-character RNN, and a GRU on a text.

Without data of one's own the text is the reference that Python's `help()` shows, which every Python has.
"""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from etfgym.nets.files import load, refusing, save
from etfgym.tasks.characters import Alphabet, CharacterModel, bits, counted_bits, go_on, learn
from etfgym.tasks.fit import draw_curve
from etfgym.tasks.outcome import Outcome, Setup
from etfgym.tasks.three_characters import worked_example

TRAIN, VALID = 0.8, 0.1
"""Parts of the text, in its order; the rest is the test."""
SHORTEST = 2000
"""Characters of a text, at least."""
QUICK = 20_000
"""Characters of a text in a quick run, at most."""
EPOCHS = 15
BASELINES = {"unigram": 0, "bigram": 1, "trigram": 2}
"""Characters in front of the one that is told, whose counts tell it."""
EIGHT_DIGITS = 5e-9
"""Half a unit of the eighth digit after the point."""
GOES_ON = 300
"""Characters that `predict` adds."""
TEMPERATURE = 0.7
SEED = 0
"""Of what `predict` draws."""


def run(setup: Setup) -> list[Outcome]:
    """Check the worked example, train on the text, test, and write the model and its curve; see `etfgym.tasks`.

    Raises:
        ValueError: If `setup.data` is no text file, or too short a one.
    """
    text, name = load_text(setup.data)
    text = text[:QUICK] if setup.quick else text
    first, second = int(len(text) * TRAIN), int(len(text) * (TRAIN + VALID))
    alphabet = Alphabet(text[:first])
    train, valid, test = (alphabet.numbers(part) for part in (text[:first], text[first:second], text[second:]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(setup.seed)
        model = CharacterModel(len(alphabet))
    history = learn(model, train, valid, 1 if setup.quick else EPOCHS, seed=setup.seed)
    settings = {"model": model.spec, "characters": alphabet.characters}
    save(setup.folder, "model", model.state_dict(), settings)
    draw_curve([("GRU", history)], setup.folder / "curve.png", "The next character, in bits a character")
    baselines = {
        who: counted_bits(train.tolist(), test.tolist(), len(alphabet), before) for who, before in BASELINES.items()
    }
    return [
        _three_characters(),
        Outcome(
            model="GRU",
            metric="bits a character",
            value=bits(model, test),
            baselines=baselines,
            tested_on=f"the last {len(test):,} of {len(text):,} characters of {name}",
            seconds=history.seconds,
            target=baselines["bigram"],
            smaller=True,
            figures={"bits a character, memory emptied before each": bits(model, test, memory=False)},
        ),
    ]


def _three_characters() -> Outcome:
    """Return how near the hidden states of the course's RNN come to the worked example."""
    states, error, without_memory = worked_example()
    told = ", ".join(
        f"h{step} = ({first:.8f}, {second:.8f})" for step, (first, second) in enumerate(states.tolist(), 1)
    )
    return Outcome(
        model="three characters",
        metric="largest error of a state",
        value=error,
        baselines={"without memory": without_memory},
        tested_on="the course's worked example of three characters",
        seconds=0.0,
        target=EIGHT_DIGITS,
        smaller=True,
        note=f"Its hidden states: {told}.",
    )


def predict(folder: Path, given: str) -> str:
    """Return the beginning of a text with what the model adds to it; see `etfgym.tasks`.

    Args:
        folder: Of the model.
        given: The beginning.

    Raises:
        ValueError: If it is empty.
    """
    if not given:
        msg = "predict takes the beginning of a text, got an empty one; give at least one character"
        raise ValueError(msg)
    with refusing(folder, "model of next-token"):
        weights, settings = load(folder, "model")
        alphabet = Alphabet(settings["characters"])
        model = CharacterModel(**settings["model"])
        model.load_state_dict(weights)
    added = go_on(model, alphabet.numbers(given), GOES_ON, temperature=TEMPERATURE, seed=SEED)
    return given + alphabet.text(added)


def load_text(data: str | None) -> tuple[str, str]:
    """Return a text and what it is called.

    Args:
        data: The path of a text file in UTF-8; None: Python's own reference.

    Raises:
        ValueError: If it is no text, or shorter than `SHORTEST`.
    """
    if data is None:
        from pydoc_data.topics import topics

        return "\n".join(topics[name] for name in sorted(topics)), f"Python {platform.python_version()}'s reference"
    path = Path(data)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"--data must be a text file in UTF-8, got {data} ({type(error).__name__})"
        raise ValueError(msg) from error
    if len(text) < SHORTEST:
        msg = f"--data must be a text of at least {SHORTEST:,} characters, {data} has {len(text):,}"
        raise ValueError(msg)
    return text, path.name
