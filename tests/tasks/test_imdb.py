"""Words, vocabulary and padding by hand, both kinds of source, and the task from end to end on made-up reviews."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from etfgym.tasks import imdb
from etfgym.tasks.imdb import LENGTH, UNKNOWN, ReviewNet, Reviews, examples, load_reviews, tokens, vocabulary_of
from etfgym.tasks.outcome import Setup

SHARED = Path(__file__).resolve().parents[3] / "shared/data/tasks/imdb_tokens.npz"
GOOD, BAD = "a wonderful and moving film", "a dreadful and boring film"


def written(folder: Path, each: int = 30) -> str:
    """Write a folder of reviews and return its path."""
    for part in ("train", "test"):
        for kind, text in (("pos", GOOD), ("neg", BAD)):
            (folder / part / kind).mkdir(parents=True)
            for number in range(each):
                (folder / part / kind / f"{number}.txt").write_text(f"{text} {'x' * (number % 7)}<br />")
    return str(folder)


def arrays() -> dict[str, np.ndarray]:
    """Return what an .npz holds: two reviews to learn from, "film good" and "bad ?", and one of the test, "good"."""
    return {
        "vocab": np.array(["film", "good", "bad"]),
        "train_tok": np.array([1, 3, 4, 1, 5, 2], np.uint16),
        "train_len": np.array([3, 3]),
        "train_y": np.array([1, 0], np.uint8),
        "test_tok": np.array([1, 4], np.uint16),
        "test_len": np.array([2]),
        "test_y": np.array([1], np.uint8),
    }


def test_words_are_small_letters_without_marks():
    assert tokens("A film I WON'T forget!<br /><br />'Twas 10/10 -- café.") == [
        *("a", "film", "i", "won't", "forget", "twas", "10", "10", "café")
    ]


def test_the_most_frequent_words_have_the_first_numbers_and_ties_the_alphabet(monkeypatch):
    monkeypatch.setattr(imdb, "WORDS", 3)
    assert vocabulary_of([["b", "a", "c", "c"], ["", "", "", "d"]]) == {"c": 2, "a": 3, "b": 4}


def test_the_last_hundred_words_are_read_and_padding_follows():
    words = [str(number) for number in range(150)]
    made = examples(Reviews([words, ["149", "strange"], []], torch.tensor([1.0, 0.0, 1.0])), {"50": 2, "149": 3})
    numbers, lengths = made.inputs
    assert numbers.shape == (3, LENGTH)
    assert lengths.tolist() == [100, 2, 1]
    assert numbers[0, 0] == 2
    assert numbers[0, -1] == 3
    assert set(numbers[0, 1:-1].tolist()) == {UNKNOWN}
    assert numbers[1].tolist() == [3, UNKNOWN, *[0] * 98]
    assert not numbers[2].any()
    assert made.targets.tolist() == [1.0, 0.0, 1.0]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(0, 9))
def test_what_follows_the_last_word_changes_nothing(lengths, rubbish):
    torch.manual_seed(0)
    model = ReviewNet(words=10, embedding=4, hidden=3, length=6).eval()
    numbers = torch.randint(0, 10, (len(lengths), 6))
    changed = numbers.masked_fill(torch.arange(6) >= torch.tensor(lengths)[:, None], rubbish)
    assert torch.equal(model(numbers, torch.tensor(lengths)), model(changed, torch.tensor(lengths)))


def test_the_words_of_an_npz_are_those_behind_its_ids(tmp_path):
    np.savez(tmp_path / "reviews.npz", **arrays())
    train, test = load_reviews(str(tmp_path / "reviews.npz"))
    assert train.words == [["film", "good"], ["bad", ""]]
    assert train.good.tolist() == [1.0, 0.0]
    assert test.words == [["good"]]
    assert test.good.tolist() == [1.0]


def test_a_folder_has_its_good_reviews_in_pos(tmp_path):
    train, test = load_reviews(written(tmp_path, each=2))
    assert [words[1] for words in train.words] == ["dreadful", "dreadful", "wonderful", "wonderful"]
    assert train.good.tolist() == test.good.tolist() == [0.0, 0.0, 1.0, 1.0]


def test_what_holds_no_reviews_is_refused_in_one_line(tmp_path):
    with pytest.raises(ValueError, match="imdb needs --data: a folder with train/pos, train/neg, "):
        load_reviews(None)
    with pytest.raises(ValueError, match=r"or an \.npz of tokens, got nowhere"):
        load_reviews("nowhere")
    with pytest.raises(ValueError, match=r"train must have \.txt files in pos and in neg"):
        load_reviews(str(tmp_path))
    np.savez(tmp_path / "other.npz", vocab=np.array(["a"]))
    with pytest.raises(ValueError, match=r"other\.npz holds no reviews \(vocab, .*\) that can be loaded \(KeyError"):
        load_reviews(str(tmp_path / "other.npz"))


def test_an_npz_with_pickled_words_is_not_opened(tmp_path):
    np.savez(tmp_path / "reviews.npz", **(arrays() | {"vocab": np.array(["film", 1], dtype=object)}))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        load_reviews(str(tmp_path / "reviews.npz"))


def test_run_and_predict_from_end_to_end(tmp_path, monkeypatch):
    monkeypatch.setattr(imdb, "EPOCHS", 12)
    data = written(tmp_path / "reviews", each=60)
    (outcome,) = imdb.run(Setup(folder=tmp_path, data=data))
    assert outcome.value == 1.0
    assert outcome.baselines == {"most frequent": 0.5, "TF-IDF, whole reviews": 1.0, "TF-IDF, last 100 words": 1.0}
    assert outcome.tested_on.startswith("120 reviews")
    assert "TF-IDF with logistic regression ties: 100.0% on whole reviews" in outcome.note
    assert (tmp_path / "curve.png").stat().st_size > 1000
    assert imdb.predict(tmp_path, GOOD).startswith("good: a good review with probability ")
    file = tmp_path / "review.txt"
    file.write_text(f"Gobbledygook! {BAD}")
    said = imdb.predict(tmp_path, str(file))
    assert said.startswith("bad: ")
    assert said.endswith("read: the last 6 of 6 words, 1 of them unknown")
    with pytest.raises(ValueError, match="a review has words, got '!'"):
        imdb.predict(tmp_path, "!")


def test_the_same_seed_learns_the_same(tmp_path):
    data = written(tmp_path / "reviews")
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        imdb.run(Setup(folder=tmp_path / name, data=data, quick=True))
    assert imdb.predict(tmp_path / "one", GOOD) == imdb.predict(tmp_path / "other", GOOD)


def test_a_quick_run_takes_from_the_whole_list(monkeypatch):
    monkeypatch.setattr(imdb, "QUICK", 3)
    reviews = Reviews([[str(number)] for number in range(10)], torch.arange(10.0))
    assert reviews.some().words == [["0"], ["4"], ["8"]]


@pytest.mark.skipif(not SHARED.exists(), reason="the film reviews are not beside the checkout")
def test_the_real_reviews_are_as_many_and_as_good_as_published():
    train, test = load_reviews(str(SHARED))
    assert len(train.words) == len(test.words) == 25_000
    assert float(train.good.mean()) == float(test.good.mean()) == 0.5
    assert " ".join(train.words[0][:6]) == "this  son and eastern "
    most = list(vocabulary_of(train.words))
    assert most[:3] == ["the", "and", "a"]
    assert len(most) == 10_000
