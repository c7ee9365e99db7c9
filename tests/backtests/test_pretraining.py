"""The same DQN with and without a pre-trained torso: what differs between the two, and what is said of it."""

import json
import re

import numpy as np
import pytest
import torch

from agents.dqn import DQN
from agents.registry import learner
from agents.settings import DQNConfig
from backtests import pretraining
from backtests.pretraining import Training, conclude, main, summary, train
from etfgym.nets import build, files
from etfgym.sources import load

YEAR = 2010
SMALL = ["--prices", "world:sine", "--test-year", str(YEAR), "--seeds", "2", "--steps", "1100"]


def save_torso(folder, until=YEAR - 1, **spec):
    """Write a torso that nobody trained, and return its folder as text."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        torso = build({"net": "cnn", "window": 20, **spec})
    torso.fit_scaler(1.0 + 0.01 * torch.randn(50, 20, 6))
    files.save(folder, "torso", torso.state_dict(), {"torso": torso.spec, "until": until})
    return str(folder)


@pytest.fixture(scope="module")
def torso(tmp_path_factory):
    return save_torso(tmp_path_factory.mktemp("torso"))


@pytest.fixture(scope="module")
def out(torso, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretraining.os, "cpu_count", lambda: 1)  # a second process only has to import it all again
        assert main([*SMALL, "--weights", torso, "--out", str(folder)]) == 0
    return folder


def training(torso, **changes):
    spec = json.loads((torso / "torso.json").read_text())["torso"]
    usual = {"torso": spec, "weights": "", "freeze": False, "tickers": ("SINE-0",), "data": ("0",), "test_year": YEAR}
    return Training(**(usual | {"seed": 4, "steps": 8} | changes))


def test_both_agents_start_alike_but_for_the_torso(tmp_path):
    tables, folder = load("world:sine"), tmp_path
    save_torso(folder)
    weights, _ = files.load(folder, "torso")
    without, given = (train(training(folder, weights=sha256), tables, folder) for sha256 in ("", "1"))
    plain = DQN(without.shape, 5, DQNConfig(**learner("dqn").settings), 4)
    rest = slice(plain.online.torso_part.stop, None)
    assert torch.equal(without.online.flat, plain.online.flat)
    assert torch.equal(given.online.flat[rest], plain.online.flat[rest])
    for name, part in weights.items():
        assert torch.equal(given.torso.state_dict()[name], part), name


def test_the_torso_is_frozen_if_that_is_asked_for(tmp_path):
    save_torso(tmp_path, net="dnn", hidden=[8], features=8)
    for freeze in (True, False):
        agent = train(training(tmp_path, weights="1", freeze=freeze), load("world:sine"), tmp_path)
        assert (agent.pretrained, agent.frozen) == (True, freeze)


def test_the_results_are_of_pairs_and_a_second_run_trains_nothing(out, torso, monkeypatch, capsys):
    results = [json.loads(file.read_text()) for file in (out / "trainings").glob("*.json")]
    kinds = sorted((bool(result["training"]["weights"]), result["training"]["seed"]) for result in results)
    assert kinds == [(False, 0), (False, 1), (True, 0), (True, 1)]
    monkeypatch.setattr(pretraining, "_run", None)  # must not be called
    assert main([*SMALL, "--weights", torso, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert said.strip() == (out / "summary.txt").read_text().strip()
    for part in ("Out of sample 2010-01-01 to 2010-12-31 on SINE-0", "buy-and-hold", "95 % interval", "2 pairs"):
        assert part in said
    assert "It takes 10 pairs or more to say anything else." in " ".join(said.split())


def test_the_torso_has_seen_nothing_of_the_validation_year_and_after(tmp_path, monkeypatch):
    asked = []

    def pretrained(tables, net, folder, **given):
        asked.append(([table.ticker for table in tables], net, given["until"]))
        save_torso(folder, net=net, until=given["until"])

    monkeypatch.setattr(pretraining, "pretrain", pretrained)
    monkeypatch.setattr(pretraining, "run", lambda trainings, tables, *_: np.zeros((len(trainings), len(tables))))
    assert main([*SMALL, "--net", "dnn", "--out", str(tmp_path)]) == 0
    assert asked == [(["SINE-0"], "dnn", YEAR - 1)]


@pytest.mark.parametrize("until", [None, YEAR + 1])
def test_a_torso_that_has_seen_the_test_year_is_refused(until, tmp_path, capsys):
    folder = save_torso(tmp_path, until=until)
    with pytest.raises(SystemExit) as stop:
        main([*SMALL, "--weights", folder, "--out", str(tmp_path / "never")])
    assert stop.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"the torso has seen the test year {YEAR}, or may have; pre-train it again with --until {YEAR - 1}" in said
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--weights", "nowhere"], "nowhere holds no torso that can be loaded"),
        (["--test-year", "1950"], "can't test on 1950"),
        (["--seeds", "0"], "argument --seeds"),
        (["--net", "cn"], "invalid choice: 'cn'"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(wrong, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*SMALL, *wrong, "--out", str(tmp_path / "never")])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


NOISE = np.linspace(-0.02, 0.02, 10)  # over ten seeds; its interval is about 0.8 points to either side


@pytest.mark.parametrize(
    ("differences", "claim"),
    [
        (0.03 + NOISE, r"The pre-trained torso helped here: .* was \+3.0 points on average"),
        (-0.03 + NOISE, r"The pre-trained torso did harm here: .* was -3.0 points on average"),
        (0.002 + NOISE, r"No evidence that the pre-trained torso helps or harms: .* was \+0.2 points"),
        (0.03 + NOISE[:9], r"No evidence .*9 pairs\). It takes 10 pairs or more to say anything else."),
        (np.array([0.03]), r"No evidence .*not available with one seed, 1 pair\)"),
    ],
)
def test_the_sentence_follows_from_the_interval(differences, claim):
    assert pytest.approx(0.0, abs=1e-12) == NOISE.mean()
    said = conclude(differences[None])
    assert re.match(claim, said), said
    assert said.endswith("so the true doubt is larger than any interval here.")


def test_the_luck_of_an_agent_that_trades_several_tickers_counts_once():
    one, three = ((0.01 + NOISE)[None].repeat(count, axis=0) for count in (1, 3))
    assert conclude(one) == conclude(three)


def test_the_table_has_both_agents_and_buy_and_hold():
    lines = summary(NOISE[None], 0.01 + NOISE[None], np.array([0.05])).splitlines()
    assert [line.split("  ")[0] for line in lines[2:5]] == ["DQN", "DQN, torso pre-trained", "buy-and-hold"]
    assert lines[2].split()[1:4] == ["10", "+0.0", "%"]
    assert lines[4].split()[1:4] == ["-", "+5.0", "%"]
