"""The worked example, the memory that goes from piece to piece, the counts, and the task from end to end."""

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from etfgym.tasks import characters, next_token
from etfgym.tasks.characters import Alphabet, CharacterModel, bits, counted_bits, go_on, learn
from etfgym.tasks.outcome import Setup
from etfgym.tasks.three_characters import ONE_HOT, STATES, ThreeCharacters, worked_example

ORACLE = Path(__file__).parents[2] / "../shared/oracles/course_examples.json"


def made(count: int = 4, **settings: object) -> CharacterModel:
    torch.manual_seed(0)
    return CharacterModel(count, embedding=6, hidden=16, **settings).eval()


def test_the_hidden_states_of_the_worked_example_are_right_to_eight_digits():
    states, error, without_memory = worked_example()
    # h1 = sigmoid(1 + 0.3), sigmoid(-1 + 0.7): the first state knows nothing of a past
    assert states[0].tolist() == pytest.approx([1 / (1 + math.exp(-1.3)), 1 / (1 + math.exp(0.3))], abs=1e-15)
    assert error < 5e-9
    assert without_memory > 0.1


@pytest.mark.skipif(not ORACLE.exists(), reason="the course's worked examples are not beside the checkout")
def test_weights_states_and_chances_are_those_of_the_course():
    course = json.loads(ORACLE.read_text())["toy_rnn"]
    model = ThreeCharacters()
    for parameter, name in zip(model.parameters(), ("Wx", "Wh", "b", "Wy_recovered", "by_recovered"), strict=True):
        assert parameter.tolist() == course[name]
    assert [course["h1"], course["h2"], course["h3_computed"]] == STATES.tolist()
    assert ONE_HOT.tolist() == course["x"]
    _, logits = model(ONE_HOT)
    assert logits[0].tolist() == pytest.approx(course["z1"], abs=5e-9)
    assert logits[0].softmax(0).tolist() == pytest.approx(course["softmax_z1_computed"], abs=1e-9)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=20), st.integers(1, 19))
def test_a_text_in_two_pieces_is_read_like_a_text_in_one(numbers, cut):
    model, text = made(), torch.tensor([numbers])
    cut = min(cut, len(numbers) - 1)
    whole, _ = model(text)
    first, state = model(text[:, :cut])
    second, _ = model(text[:, cut:], state)
    assert torch.allclose(torch.cat([first, second], 1), whole, atol=1e-5)


def test_what_comes_later_changes_nothing_before_it():
    model, text = made(), torch.tensor([[1, 2, 3, 1, 2, 3]])
    changed = text.clone()
    changed[0, 4:] = 0
    assert torch.equal(model(text)[0][:, :4], model(changed)[0][:, :4])


def test_pieces_go_on_where_they_ended_and_ask_for_the_next_character(monkeypatch):
    monkeypatch.setattr(characters, "STREAMS", 2)
    monkeypatch.setattr(characters, "PIECE", 3)
    pieces = [(before.tolist(), after.tolist()) for before, after in characters._pieces(torch.arange(10))]
    assert pieces == [([[0, 1, 2], [4, 5, 6]], [[1, 2, 3], [5, 6, 7]]), ([[3], [7]], [[4], [8]])]


def test_while_learning_each_piece_begins_with_the_state_the_one_before_ended_with(monkeypatch):
    monkeypatch.setattr(characters, "PIECE", 4)
    taken, left = [], []

    class Watched(CharacterModel):
        def forward(self, text, state=None):
            logits, after = super().forward(text, state)
            if self.training:
                taken.append(state)
                left.append(after)
            return logits, after

    learn(Watched(4, embedding=6, hidden=16), torch.randint(0, 4, (32 * 12 + 1,)), torch.tensor([1, 2, 3]), 2, seed=0)
    assert len(taken) == 6
    for number, state in enumerate(taken):
        if number % 3 == 0:  # the text begins again
            assert state is None
        else:
            assert torch.equal(state, left[number - 1])
            assert not state.requires_grad


def test_the_bits_are_the_same_however_many_are_read_at_once(monkeypatch):
    model, text = made(), torch.randint(0, 4, (50,), generator=torch.Generator().manual_seed(0))
    at_once = bits(model, text)
    logits, _ = model(text[None])
    by_hand = -logits[0, 1:-1].log_softmax(1)[torch.arange(48), text[2:]].mean().item() / math.log(2)
    monkeypatch.setattr(characters, "AT_ONCE", 7)
    assert at_once == pytest.approx(by_hand, abs=1e-5)
    assert bits(model, text) == pytest.approx(at_once, abs=1e-5)


def test_a_rhythm_is_learned_only_with_memory(monkeypatch):
    monkeypatch.setattr(characters, "STREAMS", 2)
    monkeypatch.setattr(characters, "PIECE", 8)
    text = torch.tensor([1, 1, 2] * 200)  # after a 1 comes a 1 or a 2: the one before it tells
    torch.manual_seed(0)
    model = CharacterModel(3, embedding=6, hidden=16)
    history = learn(model, text, text[:90], 6, seed=0)
    assert bits(model, text[:90]) < 0.1
    assert bits(model, text[:90], memory=False) > 0.5
    assert history.valid_losses[history.best] == min(history.valid_losses) == bits(model, text[:90])
    assert go_on(model, torch.tensor([1, 1, 2]), 6, temperature=0.1, seed=0) == [1, 1, 2, 1, 1, 2]


def test_the_same_seed_learns_and_draws_the_same():
    text = torch.randint(1, 4, (200,), generator=torch.Generator().manual_seed(0))
    one, other = made(dropout=0.5), made(dropout=0.5)
    assert learn(one, text, text, 2, seed=1).train_losses == learn(other, text, text, 2, seed=1).train_losses
    drawn = [go_on(model, text[:5], 20, temperature=1.0, seed=3) for model in (one, other, one)]
    assert drawn[0] == drawn[1] == drawn[2]
    assert go_on(one, text[:5], 20, temperature=1.0, seed=4) != drawn[0]
    assert 0 not in drawn[0]


def test_counts_cost_what_they_cost_by_hand():
    # unigrams of 1 1 2, of which 3 characters there are: (2 + 1/3) / 4 and (1 + 1/3) / 4
    assert counted_bits([1, 1, 2], [0, 0, 1, 2], 3, before=0) == pytest.approx(
        -(math.log2(7 / 12) + math.log2(4 / 12)) / 2
    )
    # after a 1 came a 1 and a 2: (1 + 7/12) / 3, (1 + 4/12) / 3
    assert counted_bits([1, 1, 2], [0, 1, 1, 2], 3, before=1) == pytest.approx(
        -(math.log2((1 + 7 / 12) / 3) + math.log2((1 + 4 / 12) / 3)) / 2
    )


@given(st.lists(st.integers(0, 3), min_size=3, max_size=30), st.integers(0, 2))
def test_the_chances_of_the_counts_add_up_to_one(train, before):
    chances = [2 ** -counted_bits(train, [1, 2, number], 4, before) for number in range(4)]
    assert sum(chances) == pytest.approx(1.0)


def test_run_and_predict_from_end_to_end(tmp_path):
    file = tmp_path / "rhymes.txt"
    file.write_text("jack and jill went up the hill\n" * 100)
    toy, gru = next_token.run(Setup(folder=tmp_path, data=str(file), quick=True))
    assert toy.reached
    assert "h1 = (0.78583498, 0.42555748)" in toy.note
    assert set(gru.baselines) == {"unigram", "bigram", "trigram"}
    assert gru.baselines["trigram"] < gru.baselines["bigram"] < gru.baselines["unigram"]
    assert gru.tested_on == "the last 310 of 3,100 characters of rhymes.txt"
    assert (tmp_path / "curve.png").stat().st_size > 1000
    said = next_token.predict(tmp_path, "jack €")
    assert said.startswith("jack €")
    assert len(said) == 6 + next_token.GOES_ON
    assert set(said[6:]) <= set("jack and jill went up the hill\n")
    assert said == next_token.predict(tmp_path, "jack €")
    with pytest.raises(ValueError, match="got an empty one; give at least one character"):
        next_token.predict(tmp_path, "")


def test_the_alphabet_knows_only_what_was_learned_from():
    # the last tenth has a character that the first eight tenths have not
    alphabet = Alphabet("abc" * 10)
    assert alphabet.numbers("axc").tolist() == [1, 0, 3]
    assert len(alphabet) == 4


def test_python_s_reference_is_the_text_where_none_is_given():
    text, name = next_token.load_text(None)
    assert len(text) > 100_000
    assert "Python" in name


def test_what_is_no_text_is_refused_in_one_line(tmp_path):
    with pytest.raises(ValueError, match=r"must be a text file in UTF-8, got .*none.txt \(FileNotFoundError\)"):
        next_token.load_text(str(tmp_path / "none.txt"))
    (tmp_path / "picture.txt").write_bytes(b"\xff\xfe\x00\x80" * 999)
    with pytest.raises(ValueError, match=r"UTF-8, got .*picture.txt \(UnicodeDecodeError\)"):
        next_token.load_text(str(tmp_path / "picture.txt"))
    (tmp_path / "short.txt").write_text("short")
    with pytest.raises(ValueError, match=r"at least 2,000 characters, .*short.txt has 5"):
        next_token.load_text(str(tmp_path / "short.txt"))


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no model of next-token that can be loaded"):
        next_token.predict(tmp_path, "a")
