"""A torso to start from: what is saved fits our DQN, finds what is there, and knows nothing of the years to come."""

import json

import numpy as np
import planted
import pytest

from agents.dqn import DQN, DQNConfig
from etfgym.envs.etf_vector import EtfTradingVectorEnv
from etfgym.nets import build, files
from etfgym.prices import PriceTable
from etfgym.sources.worlds import make_world
from etfgym.tasks import forecast, pretrain
from etfgym.tasks.__main__ import main
from etfgym.tasks.fit import Fitting


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    monkeypatch.setattr(pretrain, "FITTING", Fitting(epochs=1, batch_size=64, learning_rate=1e-3))
    monkeypatch.setattr(forecast, "RESAMPLES", 200)


def fitted(tables, folder, **settings):
    return pretrain.pretrain(tables, folder=folder, **{"net": "dnn", "until": None, "epochs": 1, "seed": 0, **settings})


def test_a_return_that_volume_tells_is_found(tmp_path):
    outcomes = fitted([make_world("planted", bars=planted.BARS)], tmp_path, epochs=8)
    skill = {(outcome.model, outcome.metric): outcome.value for outcome in outcomes}
    assert skill["dnn, validation", "skill next day's return"] > 0.2
    assert skill["dnn, test", "skill next day's return"] > 0.2
    assert skill["dnn, test", "skill next 5 days' return"] > 0.1


def test_a_random_walk_tells_no_return(tmp_path):
    outcomes = fitted([make_world("random-walk", bars=planted.BARS)], tmp_path, epochs=4)
    assert [outcome.value < 0.03 for outcome in outcomes if "return" in outcome.metric] == [True] * 4


def test_the_command_writes_a_torso_of_the_dqns_own_form(tmp_path, capsys):
    out = tmp_path / "pretrained"
    assert main(["pretrain", "--prices", "world:trend", "--until", "2008", "--epochs", "1", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "Tested on 257 examples of TREND-0, 2007-01-01 to 2007-12-31, seed 0." in said
    assert "out of sample after 2007-12-31 only" in said
    weights, settings = files.load(out, "torso")
    agent = DQN(*_spaces(), DQNConfig(), 1)
    assert settings["torso"] == agent.online.torso.spec
    agent.online.torso.load_state_dict(weights)
    assert float(weights["std"].max()) < 1  # its scaler comes with it
    assert settings["until"] == 2008
    assert settings["trained_on"].endswith("to 2004-12-31")
    assert json.loads((out / "outcome.json").read_text())["data"] == "world:trend"
    assert (out / "curve.png").exists()


def _spaces():
    envs = EtfTradingVectorEnv(1, prices=make_world("trend"), observe_account=True)
    return envs.single_observation_space, envs.single_action_space.n


@pytest.mark.parametrize("net", ["dnn", "cnn", "rnn"])
def test_every_net_is_saved_as_a_whole_torso(net, tmp_path):
    fitted([make_world("trend", bars=planted.BARS)], tmp_path, net=net, until=2006)
    weights, settings = files.load(tmp_path, "torso")
    build(settings["torso"]).load_state_dict(weights)
    assert settings["torso"]["net"] == net


def test_years_from_until_on_never_change_the_weights(tmp_path):
    table = make_world("planted", bars=planted.BARS)
    bars = table.bars.copy()
    bars[table.dates >= np.datetime64("2006-01-01")] *= 1.5
    for name, content in (("a", table), ("b", PriceTable(table.ticker, table.dates, bars, "changed"))):
        fitted([content], tmp_path / name, until=2006)
    weights = [(tmp_path / name / files.WEIGHTS).read_bytes() for name in "ab"]
    assert weights[0] == weights[1]
    fitted([PriceTable(table.ticker, table.dates, bars, "changed")], tmp_path / "c", until=2007)
    assert (tmp_path / "c" / files.WEIGHTS).read_bytes() != weights[0]


def test_another_seed_gives_another_torso(tmp_path):
    for seed in (0, 1):
        fitted([make_world("trend", bars=planted.BARS)], tmp_path / str(seed), seed=seed)
    assert (tmp_path / "0" / files.WEIGHTS).read_bytes() != (tmp_path / "1" / files.WEIGHTS).read_bytes()


def test_what_is_not_there_is_wrong_usage(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_status:
        main(["pretrain", "--universe", "sed20", "--out", str(tmp_path)])
    assert exit_status.value.code == 2
    assert "did you mean seed20" in capsys.readouterr().err
