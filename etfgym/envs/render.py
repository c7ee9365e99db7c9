"""Pictures of an episode; the only part of the environments that needs matplotlib, imported when first asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from etfgym.envs.market import Market
from etfgym.envs.settings import Settings
from etfgym.ledger import ALL, run_orders

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#666666"
"""Okabe and Ito's colours, told apart by colour-blind eyes."""


def draw(market: Market, settings: Settings, trace: Sequence[tuple[int, int, float]]) -> Figure:
    """Return a figure of the episode so far: price with buys and sells above, equity against buy-and-hold below.

    Args:
        market: What is traded.
        settings: For cash and costs.
        trace: For the start and each step: global row, units filled, equity.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        msg = 'rendering needs matplotlib: pip install "etfgym[report]"'
        raise ImportError(msg) from None
    rows = np.array([row for row, _, _ in trace])
    filled = np.array([units for _, units, _ in trace])
    first, now = rows[0], rows[-1]
    days = slice(first, now + 1)
    traded = slice(first + 1, first + settings.length + 1)
    orders = np.append(ALL, np.zeros(settings.length - 1, np.int64))
    prices = market.open[traded], market.close[traded], market.dividend[traded]
    hold = run_orders(orders, *prices, initial_cash=settings.initial_cash, costs=settings.costs)
    figure = Figure(figsize=(8, 6), dpi=100, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    above.plot(market.dates[days], market.close[days], color=GREY, linewidth=1, label="Close")
    fills = np.roll(rows, 1) + 1  # an order fills on the bar after its decision; the start has none
    for sign, marker, color, label in ((1, "^", BLUE, "bought"), (-1, "v", ORANGE, "sold")):
        at = fills[np.sign(filled) == sign]
        above.plot(market.dates[at], market.open[at], marker, color=color, markersize=6, label=label)
    above.set_ylabel("dollars a unit")
    below.plot(market.dates[rows], [equity for _, _, equity in trace], color=BLUE, label="this account")
    below.plot(market.dates[days], hold.equity[: now - first + 1], color=GREY, linestyle="--", label="buy-and-hold")
    below.set_ylabel("equity, dollars")
    table = int(np.searchsorted(market.offset, first, side="right")) - 1
    above.set_title(f"{market.tickers[table]}, {market.dates[first]} to {market.dates[now]}")
    for axes in (above, below):
        axes.legend(loc="upper left", fontsize=8)
        axes.grid(alpha=0.3)
    return figure


def to_rgb(figure: Figure) -> npt.NDArray[np.uint8]:
    """Return the figure as an image, shape (600, 800, 3), uint8."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[:, :, :3].copy()


class Window:
    """A window on the screen that shows one image after the other."""

    def __init__(self) -> None:
        from matplotlib import pyplot as plt

        self._plt: Any = plt
        self._figure, axes = plt.subplots(figsize=(8, 6))
        axes.set_axis_off()
        self._image: Any = None
        self._axes = axes

    def show(self, image: npt.NDArray[np.uint8], pause: float) -> None:
        """Show the image (H, W, 3) and let the window live for `pause` seconds."""
        if self._image is None:
            self._image = self._axes.imshow(image)
        self._image.set_data(image)
        self._figure.canvas.draw_idle()
        self._plt.pause(pause)

    def close(self) -> None:
        """Close the window."""
        self._plt.close(self._figure)


def show(figure: Figure, window: Window | None, pause: float) -> Window:
    """Show the figure in `window`, opening one if there is none yet; return the window."""
    window = window or Window()
    window.show(to_rgb(figure), pause)
    return window
