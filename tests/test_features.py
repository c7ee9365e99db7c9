"""Window features: by hand, causal to the bit, and inside their bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etfgym.features import FEATURES, Features, make_features
from etfgym.prices import ADJ_CLOSE, CLOSE, PRICE_RANGE, VOLUME, VOLUME_RANGE, PriceTable


def table(bars: np.ndarray) -> PriceTable:
    days = np.busday_offset("2020-01-06", np.arange(len(bars)))
    return PriceTable("TOY", days, bars, source="by hand", min_bars=1)


def window(features: Features, t: int, days: int) -> np.ndarray:
    """Return what an account sees at row t, (days, 6), as the environments' loop computes it."""
    return features.base[t - days + 1 : t + 1] * features.scale[t] + features.shift[t]


def random_bars(seed: int, rows: int = 60) -> np.ndarray:
    """Return valid bars (rows, 6) of wild prices and volumes, with dividends of up to 20 %."""
    rng = np.random.default_rng(seed)
    close = np.exp(rng.uniform(np.log(0.01), np.log(1e5), rows))
    opening = close * rng.uniform(0.5, 2.0, rows)
    factor = np.cumprod(rng.uniform(0.8, 1.0, rows) ** (rng.random(rows) < 0.1))[::-1]
    high = np.maximum(opening, close) * rng.uniform(1.0, 2.0, rows)
    low = np.minimum(opening, close) * rng.uniform(0.5, 1.0, rows)
    volume = np.floor(np.exp(rng.uniform(0.0, 34.0, rows))) * (rng.random(rows) < 0.8)
    return np.column_stack((opening, high, low, close, volume, close * factor))


HAND = np.array(
    [
        [9.0, 9.5, 8.5, 9.0, 50.0, 4.5],
        [10.0, 12.0, 8.0, 10.0, 100.0, 5.0],
        [10.0, 11.0, 9.0, 8.0 + 1.0, 300.0, 4.5],
        [18.0, 21.0, 18.0, 20.0, 200.0, 12.5],  # from here on Adj Close is 5/8 of Close, not 1/2
    ]
)


def test_relative_windows_by_hand():
    seen = window(make_features("relative", table(HAND), window=3), t=3, days=3)
    volume = np.log(np.array([100.0, 300.0, 200.0]) / 200.0)
    wanted = np.array(
        [
            [0.50, 0.60, 0.40, 0.50, volume[0], 0.40],  # prices / 20, Adj Close / 12.5
            [0.50, 0.55, 0.45, 0.45, volume[1], 0.36],
            [0.90, 1.05, 0.90, 1.00, volume[2], 1.00],
        ]
    )
    np.testing.assert_allclose(seen, wanted, rtol=1e-6, atol=1e-6)


def test_raw_windows_are_the_bars():
    seen = window(make_features("raw", table(HAND), window=3), t=2, days=3)
    assert np.array_equal(seen, HAND[:3].astype(np.float32))


def test_relative_windows_are_the_same_after_yahoo_has_rewritten_adj_close_for_a_later_dividend():
    rewritten = random_bars(1)
    rewritten[:, ADJ_CLOSE] *= 0.9
    before, after = (make_features("relative", table(bars), 20) for bars in (random_bars(1), rewritten))
    for t in range(19, 60):
        np.testing.assert_allclose(window(before, t, 20), window(after, t, 20), rtol=1e-6)


@pytest.mark.parametrize("name", FEATURES)
@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32), t=st.integers(0, 58), days=st.sampled_from([1, 2, 7, 20]))
def test_rows_after_t_never_change_what_is_seen_at_t(name, seed, t, days):
    bars = random_bars(seed)
    other = bars.copy()
    other[t + 1 :] = random_bars(seed + 1)[t + 1 :]
    other[t + 1 :, ADJ_CLOSE] = other[t + 1 :, CLOSE] * bars[t, ADJ_CLOSE] / bars[t, CLOSE]
    one = make_features(name, table(bars), days)
    futures = {
        "changed": make_features(name, table(other), days),
        "not there": make_features(name, table(bars[: max(t + 1, days)]), days),
    }
    for future, two in futures.items():
        for array in ("base", "scale", "shift"):
            assert getattr(one, array)[: t + 1].tobytes() == getattr(two, array)[: t + 1].tobytes(), (future, array)


@pytest.mark.parametrize("name", FEATURES)
@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32), days=st.sampled_from([1, 2, 20]))
def test_every_window_lies_within_the_bounds(name, seed, days):
    features = make_features(name, table(random_bars(seed)), days)
    for t in range(days - 1, 60):
        seen = window(features, t, days)
        assert seen.dtype == np.float32
        assert np.all((features.low <= seen) & (seen <= features.high))


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize("days", [1, 2, 20])
def test_the_widest_prices_and_volumes_that_a_table_may_hold_lie_within_the_bounds(name, days):
    bars = np.empty((2 * days + 1, 6))
    bars[0::2, :] = PRICE_RANGE[0]
    bars[1::2, :] = PRICE_RANGE[1]
    bars[:, 1:3] = PRICE_RANGE[1], PRICE_RANGE[0]
    bars[0::2, VOLUME], bars[1::2, VOLUME] = VOLUME_RANGE
    features = make_features(name, table(bars), days)
    for t in range(days - 1, len(bars)):
        seen = window(features, t, days)
        assert np.isfinite(seen).all()
        assert np.all((features.low <= seen) & (seen <= features.high))


def test_days_without_volume_count_as_one_unit_and_stay_finite():
    bars = HAND.copy()
    bars[:, VOLUME] = [0.0, 0.0, 0.0, 10.0]
    features = make_features("relative", table(bars), window=3)
    assert window(features, 2, 3)[:, VOLUME].tolist() == [0.0, 0.0, 0.0]
    np.testing.assert_allclose(window(features, 3, 3)[:, VOLUME], np.log([1 / 4, 1 / 4, 10 / 4]), rtol=1e-6)


def test_an_unknown_kind_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match=r"features must be one of 'relative', 'raw', got 'relatve' .*'relative'\?"):
        make_features("relatve", table(HAND), 3)
