"""Task `imdb`: the last hundred words of a film review to whether it is a good one; embedding, LSTM, one sigmoid.

The data (Maas et al. 2011, "Learning Word Vectors for Sentiment Analysis") is the user's to fetch: a folder as it is
distributed, or an .npz of tokens, see `load_reviews`. TF-IDF with logistic regression stands beside the network.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from etfgym.nets.files import load, refusing, save
from etfgym.nets.headed import Headed
from etfgym.tasks.fit import Examples, Fitting, draw_curve, fit, outputs_of
from etfgym.tasks.outcome import Outcome, Setup

WORDS = 10_000
"""The most frequent words of what is learned from; all others are one unknown word."""
LENGTH = 100
"""Words of a review that are read: its last."""
EMBEDDING = 128
HIDDEN = 64
DROPOUT = 0.5
VALIDATION = 2500
"""Reviews of the training set that choose the epoch, or a tenth of a smaller one."""
EPOCHS = 8
PATIENCE = 3
TARGET = 0.83
QUICK = 500
"""Reviews of a quick run, at most."""
PADDING, UNKNOWN, FIRST_WORD = 0, 1, 2
UNTOLD = ""
"""A word that an .npz does not tell."""
TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
CLASSES = {"neg": 0, "pos": 1}
ARRAYS = ("vocab", "train_tok", "train_len", "train_y", "test_tok", "test_len", "test_y")
FIRST_RANK = 3
"""In an .npz, the id of the most frequent word."""
WANTED = "a folder with train/pos, train/neg, test/pos and test/neg of one .txt a review, or an .npz of tokens"


@dataclass(frozen=True, slots=True)
class Reviews:
    """Reviews as lists of words, and which of them are good."""

    words: list[list[str]]
    good: Tensor
    """Shape (N,), float32: 1 a good one, 0 a bad one."""

    def part(self, chosen: Sequence[int]) -> Reviews:
        """Return some of them."""
        return Reviews([self.words[row] for row in chosen], self.good[list(chosen)])

    def some(self) -> Reviews:
        """Return `QUICK` of them, or all, in equal steps: files come sorted into bad and good."""
        return self.part(range(0, len(self.words), -(-len(self.words) // QUICK)))


class ReviewNet(nn.Module):
    """Map word numbers (B, T) and lengths (B,) to the logits of a good review (B,).

    Args:
        words: Numbers that there are, padding and the unknown word among them.
        embedding: Numbers that stand for a word.
        hidden: Width of the LSTM's state.
        length: T.
        dropout: Of the embedding and of the LSTM's last state.

    Example:
        >>> ReviewNet(words=50)(torch.ones(3, 100, dtype=torch.long), torch.tensor([1, 50, 100])).shape
        torch.Size([3])
    """

    def __init__(
        self,
        words: int,
        embedding: int = EMBEDDING,
        hidden: int = HIDDEN,
        length: int = LENGTH,
        dropout: float = DROPOUT,
    ) -> None:
        super().__init__()
        self.spec: dict[str, Any] = {
            "words": words,
            "embedding": embedding,
            "hidden": hidden,
            "length": length,
            "dropout": dropout,
        }
        self.embedding = nn.Embedding(words, embedding, padding_idx=PADDING)
        nn.init.normal_(self.embedding.weight, std=0.05)  # torch's 1 would fill the LSTM's gates from the start
        self.dropout = nn.Dropout(dropout)
        torso = {"net": "rnn", "window": length, "columns": embedding, "hidden": hidden, "features": hidden}
        self.reader = Headed(torso | {"cell": "lstm", "dropout": dropout}, outputs=1)

    def forward(self, numbers: Tensor, lengths: Tensor) -> Tensor:
        """Return logits (B,) of word numbers (B, T), of which the first `lengths` (B,) count."""
        logits: Tensor = self.reader(self.dropout(self.embedding(numbers)), lengths).squeeze(1)
        return logits


def run(setup: Setup) -> list[Outcome]:
    """Train, test, and write the model and the learning curve; see `etfgym.tasks`.

    Raises:
        ValueError: If `setup.data` is not what `load_reviews` takes.
    """
    learned, test = load_reviews(setup.data)
    if setup.quick:
        learned, test = learned.some(), test.some()
    order = np.random.default_rng(setup.seed).permutation(len(learned.words)).tolist()
    count = min(VALIDATION, len(order) // 10)
    valid, train = learned.part(order[:count]), learned.part(order[count:])
    vocabulary = vocabulary_of(train.words)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(setup.seed)
        model = ReviewNet(len(vocabulary) + FIRST_WORD)
    history = fit(
        model,
        examples(train, vocabulary),
        examples(valid, vocabulary),
        functional.binary_cross_entropy_with_logits,
        Fitting(epochs=1 if setup.quick else EPOCHS, batch_size=32, patience=PATIENCE),
        seed=setup.seed,
        score=_right,
        label="reviews",
    )
    save(setup.folder, "model", model.state_dict(), {"model": model.spec, "vocabulary": list(vocabulary)})
    draw_curve([("LSTM", history)], setup.folder / "curve.png", "Good or bad film reviews")
    told = examples(test, vocabulary)
    value, baselines = _right(outputs_of(model, told), told.targets), _baselines(train, test)
    whole, last = baselines["TF-IDF, whole reviews"], baselines["TF-IDF, last 100 words"]
    verdict = "wins" if whole > value else "loses" if whole < value else "ties"
    return [
        Outcome(
            model="LSTM",
            metric="accuracy",
            value=value,
            baselines=baselines,
            tested_on=f"{len(test.words):,} reviews that nothing was learned from",
            seconds=history.seconds,
            target=TARGET,
            note=(
                f"TF-IDF with logistic regression {verdict}: {whole:.1%} on whole reviews, "
                f"{last:.1%} on the last {LENGTH} words, which are what the LSTM reads."
            ),
        )
    ]


def predict(folder: Path, given: str) -> str:
    """Return how likely a review is a good one; see `etfgym.tasks`.

    Args:
        folder: Of the model.
        given: The review, or the path of a text file that holds it.

    Raises:
        ValueError: If there is no word in it.
    """
    with refusing(folder, "model of imdb"):
        weights, settings = load(folder, "model")
        model = ReviewNet(**settings["model"])
        model.load_state_dict(weights)
        vocabulary = {word: number for number, word in enumerate(settings["vocabulary"], FIRST_WORD)}
    words = tokens(_text(given))
    if not words:
        msg = f"a review has words, got {given!r}; give its text or the path of a text file"
        raise ValueError(msg)
    review = examples(Reviews([words], torch.zeros(1)), vocabulary)
    good = float(outputs_of(model, review).sigmoid())
    read = words[-LENGTH:]
    strange = sum(word not in vocabulary for word in read)
    return (
        f"{'good' if good >= 0.5 else 'bad'}: a good review with probability {good:.1%}\n"
        f"read: the last {len(read)} of {len(words)} words, {strange} of them unknown"
    )


def tokens(text: str) -> list[str]:
    """Return the words of a text in small letters, without marks and HTML's line breaks.

    Example:
        >>> tokens("It's NOT bad.<br /><br />8/10")
        ["it's", 'not', 'bad', '8', '10']
    """
    return TOKEN.findall(text.replace("<br />", " ").lower())


def load_reviews(data: str | None) -> tuple[Reviews, Reviews]:
    """Return the reviews to learn from and those of the test.

    Args:
        data: A folder with `train` and `test`, each with `pos` and `neg`, each with one .txt a review; or an .npz with
            `vocab`, words by frequency, and for "train" and "test" the ids of all words one after the other (`_tok`; a
            word's id is its rank plus 3; 1 starts a review, 2 is a rare word), how many each review has (`_len`), and
            1 for a good one (`_y`).

    Raises:
        ValueError: If there is neither.
    """
    if data is None:
        msg = f"imdb needs --data: {WANTED}"
        raise ValueError(msg)
    path = Path(data)
    if path.is_dir():
        return _from_folder(path / "train"), _from_folder(path / "test")
    if path.suffix != ".npz" or not path.is_file():
        msg = f"--data must be {WANTED}, got {data}"
        raise ValueError(msg)
    with refusing(path, f"reviews ({', '.join(ARRAYS)})"), np.load(path, allow_pickle=False) as arrays:
        vocabulary = np.array([UNTOLD] * FIRST_RANK + arrays["vocab"].tolist(), dtype=object)
        train, test = (_from_arrays(vocabulary, *(arrays[f"{part}_{name}"] for name in ("tok", "len", "y")))
                       for part in ("train", "test"))  # fmt: skip
    return train, test


def _from_folder(folder: Path) -> Reviews:
    """Return the reviews below `folder`/pos and `folder`/neg."""
    files = [(file, good) for name, good in CLASSES.items() for file in sorted((folder / name).glob("*.txt"))]
    if {good for _, good in files} != set(CLASSES.values()):
        msg = f"{folder} must have .txt files in pos and in neg; --data is {WANTED}"
        raise ValueError(msg)
    return Reviews(
        [tokens(file.read_text(encoding="utf-8", errors="replace")) for file, _ in files],
        torch.tensor([good for _, good in files], dtype=torch.float32),
    )


def _from_arrays(vocabulary: Any, ids: Any, lengths: Any, good: Any) -> Reviews:
    """Return the reviews of one part of an .npz."""
    starts = np.cumsum(lengths)[:-1]
    started = 1  # the id that stands before each review
    words = [vocabulary[review[review != started]].tolist() for review in np.split(ids, starts)]
    return Reviews(words, torch.from_numpy(np.asarray(good, dtype=np.float32)))


def vocabulary_of(reviews: Iterable[list[str]]) -> dict[str, int]:
    """Return the `WORDS` most frequent words and their numbers, from `FIRST_WORD`.

    Example:
        >>> vocabulary_of([["good", "film"], ["bad", "film"]])
        {'film': 2, 'bad': 3, 'good': 4}
    """
    counts = Counter(word for words in reviews for word in words)
    del counts[UNTOLD]
    frequent = sorted(counts, key=lambda word: (-counts[word], word))[:WORDS]
    return {word: number for number, word in enumerate(frequent, FIRST_WORD)}


def examples(reviews: Reviews, vocabulary: dict[str, int]) -> Examples:
    """Return the last `LENGTH` words of each review as numbers (N, 100), padding after them, and how many they are."""
    numbers = torch.full((len(reviews.words), LENGTH), PADDING)
    lengths = torch.ones(len(reviews.words), dtype=torch.long)  # an empty review is read as one padding
    for row, words in enumerate(reviews.words):
        last = [vocabulary.get(word, UNKNOWN) for word in words[-LENGTH:]]
        numbers[row, : len(last)] = torch.tensor(last, dtype=torch.long)
        lengths[row] = max(1, len(last))
    return Examples((numbers, lengths), reviews.good)


def _right(logits: Tensor, good: Tensor) -> float:
    """Return the share of reviews that are told right."""
    return float(((logits > 0) == (good > 0.5)).float().mean())


def _baselines(train: Reviews, test: Reviews) -> dict[str, float]:
    """Return the accuracy in the test of what needs no network."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    def accuracy(last: int) -> float:
        vectors = TfidfVectorizer(analyzer=lambda words: [word for word in words[-last:] if word != UNTOLD])
        regression = make_pipeline(vectors, LogisticRegression(max_iter=1000)).fit(train.words, train.good.numpy())
        return float(regression.score(test.words, test.good.numpy()))

    frequent = float(train.good.mean() >= 0.5)
    return {
        "most frequent": float((test.good == frequent).float().mean()),
        "TF-IDF, whole reviews": accuracy(max(map(len, train.words + test.words))),
        "TF-IDF, last 100 words": accuracy(LENGTH),
    }


def _text(given: str) -> str:
    """Return what a file holds, if `given` is the path of one, and else `given`."""
    try:
        return Path(given).read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):  # a review is no path: too long, or holds a zero
        return given
