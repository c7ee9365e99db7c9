"""A policy on alternative years: the arithmetic by hand, and what is printed."""

from __future__ import annotations

import numpy as np
import pytest

from etfgym.worlds.history import MOVE
from etfgym.worlds.judge import Years, as_text, judge
from etfgym.worlds.world import World, fit_history


class Rising:
    """A world whose every bar rises by one thousandth, or by that times -1 for odd draws of the generator."""

    def draw(self, rng, bars):
        steps = np.zeros((2, bars, 6))
        steps[0, :, MOVE] = 0.001
        steps[1, :, MOVE] = -0.001
        return steps


def test_buy_and_hold_in_a_world_of_constant_growth_earns_what_the_formula_says(history):
    world = World("rising", history, Rising())
    up, down = judge("buy-and-hold", world, 2)
    for years, rate, last in ((up, 0.001, history.last_close[0]), (down, -0.001, history.last_close[1])):
        price = last * np.exp(20 * rate)  # the open of the first day traded is the close of the 20th
        units = np.floor(20_000 / (price * 1.001))
        value = units * price * np.exp(252 * rate)
        expected = (20_000 - units * price * 1.001 + value * 0.999) / 20_000 - 1
        assert years.hold == pytest.approx([expected] * 2)
        assert np.array_equal(years.policy, years.hold)
        assert years.beats[0] == 0
    assert (up.ticker, down.ticker) == ("SP500", "NASDAQ")


def test_a_policy_that_sells_in_a_falling_world_beats_buy_and_hold(history):
    up, down = judge("ma-cross", World("rising", history, Rising()), 2)
    assert down.beats[0] == 1
    assert (down.policy == 0).all()  # it never buys
    assert (up.policy > 0).all()
    assert (up.policy < up.hold).all()  # it takes days to buy


def test_the_share_of_years_is_counted_with_wilsons_interval():
    years = Years("TOY", np.array([0.1, 0.2, 0.3, 0.0]), np.array([0.0, 0.1, 0.3, 0.1]))
    share, (low, high) = years.beats  # two wins, a draw, a loss
    z = 1.959964
    centre, half = 2 + z**2 / 2, z * np.sqrt(1 + z**2 / 4)
    assert share == 0.5
    assert (low, high) == pytest.approx(((centre - half) / (4 + z**2), (centre + half) / (4 + z**2)))


def test_years_are_the_paths_of_their_seeds(history):
    world = fit_history("bootstrap", history)
    three, one = judge("buy-and-hold", world, 3, seed=5)[0], judge("buy-and-hold", world, 2, seed=6)[0]
    assert np.array_equal(three.hold[1:], one.hold)
    closes = world.generate(6, 272)[0].close
    assert one.hold[0] == pytest.approx(closes[-1] / closes[19] - 1, abs=0.02)


def test_a_policy_with_chance_in_it_has_another_in_each_year(history):
    policy = judge("random", World("rising", history, Rising()), 3)[0].policy
    assert len(set(policy)) == 3


def test_the_table_says_what_must_stand_beside_a_return(history):
    years = [Years("TOY", np.array([0.1, 0.2, 0.3]), np.array([0.0, 0.1, 0.4]))]
    text = as_text(years, "ma-cross", World("bootstrap", history, Rising()), seed=7)
    lines = text.splitlines()
    assert lines[0] == "3 artificial years of 252 days (seeds 7 to 9), none of which happened:"
    assert lines[1] == "the world 'bootstrap', made of SP500, NASDAQ from 1999-01-04 to 2018-12-31."
    assert lines[2].startswith("$20,000 at the start; commission 0.1 %, fixed fee $0, slippage 0 basis points.")
    own = lines[5].split()
    assert own[:4] == ["TOY", "ma-cross", "+20.0", "%"]
    assert own[7:13] == ["+11.0", "%", "+20.0", "%", "+29.0", "%"]
    assert lines[5].endswith("66.7 % of years, 95 % 20.8 to 93.9")
    assert lines[6].split()[:3] == ["buy-and-hold", "+16.7", "%"]
