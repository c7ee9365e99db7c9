"""Forecast, then trade: what is forecast is what an order made now earns, and only the past is learnt from."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from learners import paying_table

from agents import forecast
from agents.training import Training
from etfgym.backtest import backtest
from etfgym.envs.etf_vector import EtfTradingVectorEnv
from etfgym.ledger import Costs, run_orders
from etfgym.policies import BuyAndHold
from etfgym.sources.worlds import make_world
from etfgym.splits import Fold, split_by_fold

FREE = Costs(commission=0.0)
SETTINGS = {
    "torso": {"net": "dnn", "hidden": [], "features": 8},
    "horizon": 1,
    "fitting": {"epochs": 6, "batch_size": 64, "learning_rate": 3e-3},
}


def training(tables, validate=lambda _: 0.0, **environment):
    return Training(
        tables=tables,
        environment=environment,
        num_envs=1,
        steps=1,
        seed=3,
        validate=validate,
        check_every=1,
        checkpoint_every=1,
    )


class Told:
    """A forecast made of the last Close over the one before, in multiples of the window's volatility."""

    def __call__(self, windows):
        moves = np.diff(np.log(windows[..., 3].astype(np.float64)))
        return (moves[:, -1] / np.sqrt((moves**2).mean(axis=1)))[:, None]


def test_what_is_forecast_is_the_return_of_holding_from_the_next_open_dividends_included():
    table = paying_table(1)  # pays on every tenth day
    opens, days = table.open, len(table)
    told = forecast.held(12)(table)
    assert told.shape == (days - 13, 1)
    for t in (0, 7, 40):
        orders = np.zeros(13, np.int64)
        orders[0] = 1
        rows = slice(t + 1, t + 14)  # bought at the first open, sold at the last, where the close is set to the open
        closes = table.close[rows].copy()
        closes[-1] = opens[t + 13]
        paid = forecast.implied_dividends(table.close, table.adj_close)[rows]
        account = run_orders(orders, opens[rows].copy(), closes, paid, initial_cash=1e3, costs=FREE)
        assert np.exp(told[t, 0]) - 1 == pytest.approx((account.equity[-1] - 1e3) / opens[t + 1], rel=1e-9)
        assert paid.sum() > 0


def test_the_rule_trades_where_the_forecast_exceeds_the_threshold_either_way():
    closes = np.array([[1.0, 1.0, 1.02], [1.0, 1.0, 1.005], [1.0, 1.0, 0.99], [1.0, 1.0, 0.98]], np.float32)
    windows = np.repeat(closes[:, :, None], 6, axis=2)  # (4, 3, 6)
    policy = forecast.ForecastPolicy(Told(), 0.0101, (0, 2, 4))
    assert policy.predict(windows)[0].tolist() == [0, 2, 2, 4]  # +1.98 %, +0.50 %, -1.01 %, -2.02 %
    assert policy.predict({"window": windows, "account": np.zeros((4, 3))})[0].tolist() == [0, 2, 2, 4]
    assert int(policy.predict(windows[0])[0]) == 0


def test_the_largest_orders_are_given_however_the_units_are_sorted():
    units = (5, 30, 10)  # actions: 5, 30, 10, hold, -10, -30, -5
    policy = forecast.learn(SETTINGS, training([paying_table(1)], window=10, length=12, units=units))
    assert policy.actions == (1, 3, 5)


def test_a_planted_signal_is_found_and_traded_out_of_sample():
    table = make_world("planted", bars=8 * 261)
    split = split_by_fold(table, Fold(2007))
    keywords = {"costs": Costs(commission=0.0005)}

    def validate(policy):
        return backtest(policy, table, split.valid, **keywords).total_return

    before = table.until(split.train.last)
    policy = forecast.learn(SETTINGS | {"horizon": 5}, training([before], validate, **keywords))
    agent, held = (backtest(traded, table, split.test, **keywords).total_return for traded in (policy, BuyAndHold()))
    assert agent > held + 0.3


def test_validation_chooses_the_threshold_a_multiple_of_the_costs():
    seen = []

    def validate(policy):
        seen.append(policy.threshold)
        return {0.0: 0.1, 0.003: 0.3, 0.006: 0.3}[round(policy.threshold, 9)]

    costs = Costs(commission=0.002, slippage_bps=10)
    small = training([paying_table(1)], validate, window=10, length=12, costs=costs)
    policy = forecast.learn(SETTINGS | {"thresholds": [0.0, 1.0, 2.0]}, small)
    assert seen == pytest.approx([0.0, 0.003, 0.006])
    assert policy.threshold == pytest.approx(0.003)  # the first of the best


def test_training_is_over_before_validation_of_the_epoch_and_within_the_window_of_the_fold():
    table = paying_table(1)
    settings = forecast.Settings(prices=table, window=10, length=12, start=(table.dates[20], table.dates[70]))
    learnt, chosen = forecast._examples([table], settings, horizon=3)
    assert learnt.first[0] == table.dates[21]
    assert learnt.last.max() < chosen.first.min()
    assert chosen.last.max() == table.dates[-1]
    assert len(chosen) == pytest.approx(0.2 * (80 - 21 - 3), abs=1)


def test_the_same_seed_gives_the_same_weights_and_chance_elsewhere_is_left_alone():
    tables = [paying_table(1), paying_table(2, "TOO")]

    def numbers(seed):
        policy = forecast.learn(SETTINGS, replace(training(tables, window=10, length=12), seed=seed))
        return torch.cat([part.flatten() for part in policy.forecast.model.state_dict().values()])

    torch.manual_seed(5)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    first = numbers(1)
    assert torch.equal(torch.rand(1), drawn)
    assert torch.equal(numbers(1), first)
    assert not torch.equal(numbers(2), first)


@pytest.mark.parametrize("net", ["dnn", "cnn", "rnn"])
def test_a_saved_agent_decides_as_before(net, tmp_path):
    table = paying_table(1)
    settings = SETTINGS | {"torso": {"net": net, "features": 8}, "fitting": {"epochs": 1}}
    policy = forecast.learn(settings, training([table], window=10, length=12))
    forecast.save(policy, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.json", "weights.safetensors"]
    loaded = forecast.load(tmp_path)
    assert (loaded.threshold, loaded.actions) == (policy.threshold, policy.actions)
    observation, _ = EtfTradingVectorEnv(5, prices=table, window=10, length=12).reset(seed=1)
    assert np.array_equal(loaded.forecast(observation), policy.forecast(observation))
    assert np.array_equal(loaded.predict(observation)[0], policy.predict(observation)[0])
    (tmp_path / "model.json").write_text((tmp_path / "model.json").read_text().replace("threshold", "trashhold"))
    with pytest.raises(ValueError, match="holds no forecasting agent that can be loaded"):
        forecast.load(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"\x80\x04.")
    with pytest.raises(ValueError, match="holds no forecast that can be loaded"):
        forecast.load(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"horizn": 5}, r"setting of forecast must be one of .* \(did you mean 'horizon'\?\)"),
        ({"horizon": 0}, "horizon must be a whole number of at least 1"),
        ({"thresholds": []}, "thresholds must be a sequence of numbers"),
        ({"thresholds": [-1.0]}, "each of thresholds must be at least 0"),
        ({"fitting": {"epoch": 3}}, r"key of fitting must be one of .* \(did you mean 'epochs'\?\)"),
        ({"torso": {"net": "cnn", "kernal": 3}}, r"key of a cnn must be one of .* \(did you mean 'kernel'\?\)"),
    ],
)
def test_wrong_settings_are_refused_in_one_line_that_names_the_nearest(wrong, why):
    with pytest.raises(ValueError, match=why) as told:
        forecast.check(wrong)
    assert "\n" not in str(told.value)
