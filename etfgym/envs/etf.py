"""EtfTradingEnv: one account that trades one ETF for one year."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from etfgym.checks import one_of
from etfgym.envs import kernel
from etfgym.envs.accounts import Accounts
from etfgym.envs.settings import Settings
from etfgym.prices import COLUMNS

_step_one = kernel.step_one
_ALL = np.ones(1, np.bool_)
_FIELDS = kernel.ACCOUNT.itemsize // 8  # numbers in an account, of 8 bytes each


class EtfTradingEnv(gym.Env[Any, Any]):
    """Trade one ETF for one year, buying and selling some units a day.

    **Timing.** The observation at day t is made of days <= t. The order fills at the open of day t + 1, and the
    reward is known after that day's close.

    **Observation.** The last 20 days x 6 columns (Open, High, Low, Close, Volume, Adj Close), shape (20, 6), float32.
    `features="relative"`: prices over the window's last Close (Adj Close over its own last value), volume as the log
    of its ratio to the window's mean. `features="raw"`: dollars and units traded. `observe_account=True`: a Dict of
    `window` (20, 6) and `account` (3,): units' value as a share of equity, cash share, fraction of the year left.
    `observe="index"`: a Dict of `row` (1,), int32, where in the arrays of `env.unwrapped.accounts.market` the last
    bar seen stands, and `account`; for a learner that gathers windows itself.

    **Actions.** Discrete(5): buy 20, buy 10, hold, sell 10, sell 20 units. An order that cash or holdings can't
    cover is filled as far as they go (`order_policy="clip"`) or not at all (`"reject"`). No shorting, no borrowing.

    **Reward.** `"pnl"`: change of equity over the initial cash, so that an episode's rewards add up to its return.
    `"log"`: log return of equity. `"excess"`: pnl less that of all-in buy-and-hold under the same costs.

    **Episode.** 20,000 dollars; `length` = 252 bars from the start; on the last bar what is held is sold at the
    close, costs included, and the step is `terminated`. It is never `truncated`. A step is `decision_every` bars.

    **Costs and dividends.** See `etfgym.ledger`: commission, fixed fee, slippage; dividends are paid in cash on the
    ex-date, before the order fills.

    **Info.** `ticker`; `date` of the last bar seen (numpy datetime64) and `price`, its Close, so that cash + units x
    price = equity; of the last step: `requested` and `filled` units (signed; the closing sale is not counted),
    `fees` and `dividends` in dollars (closing sale included); `cash`, `units`, `equity`; `action_mask` (5,) int8:
    actions that would do something if filled at `price` (the next open is not known yet).

    **Reset.** `options={"ticker": ..., "start": ...}` fix what would be drawn. Same seed, same episode.

    Args:
        render_mode: None, "rgb_array" or "human" (both need matplotlib).
        **settings: Every keyword of `etfgym.envs.settings.Settings`; without any, it runs offline on builtin prices.

    Raises:
        ValueError: If a keyword is wrong, in one line.

    Example:
        >>> import gymnasium, etfgym
        >>> env = gymnasium.make("etfgym/EtfTrading-v0", tickers="SP500", start="2017-12-29", length=251)
        >>> observation, info = env.reset(seed=1)
        >>> observation.shape, str(info["date"])
        ((20, 6), '2017-12-29')
        >>> observation, reward, terminated, truncated, info = env.step(0)  # buy 20
        >>> str(info["date"]), info["filled"], round(info["cash"], 2)
        ('2018-01-02', 20, 14627.17)
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (Gymnasium's attribute)
        "render_modes": ["human", "rgb_array"],
        "render_fps": 10,
    }

    def __init__(self, *, render_mode: str | None = None, **settings: Any) -> None:
        if render_mode is not None:
            one_of("render_mode", render_mode, self.metadata["render_modes"])
        self.render_mode = render_mode
        self.accounts = Accounts(Settings.from_keywords(settings), 1)
        self.observation_space = self.accounts.observation_space
        self.action_space = self.accounts.action_space
        actions = self.accounts.orders
        keywords = self.accounts.terms.view(np.int64), [len(actions)], actions
        mask = np.zeros(-(-len(actions) // 8), np.int64)
        self._block = np.concatenate([np.zeros(_FIELDS, np.int64), *keywords, mask])  # see `kernel.step_one`
        parts = self._parts()
        days = len(parts["window"].low) if "window" in parts else 0
        self._seen = np.zeros((days + 1, len(COLUMNS)), np.float32)
        self._window_only = len(parts) == 1
        self._ticker = ""
        self._bind()
        self._running = False
        self._trace: list[tuple[int, int, float]] = []  # row, filled, equity: only kept to be drawn
        self._window: Any = None

    @property
    def settings(self) -> Settings:
        """The keywords in force."""
        return self.accounts.settings

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Open a new account; see the class for `options`."""
        super().reset(seed=seed)
        self.accounts.open(_ALL, self.np_random, options or {})
        market, state = self.accounts.market, self.accounts.state
        self._block[:_FIELDS] = state.view(np.int64)
        self._bind()
        self._running = True
        self._trace.clear()
        row, cash = int(state["row"][0]), float(state["cash"][0])
        self._ticker = str(market.tickers[state["table"][0]])
        if self.render_mode is not None:
            self._draw(row, 0, cash)
        nothing = {"requested": 0, "filled": 0, "cash": cash, "units": 0, "equity": cash, "fees": 0.0, "dividends": 0.0}
        day = {"ticker": self._ticker, "date": self._dates[row], "price": float(market.close[row])}
        info = day | nothing | {"action_mask": self.accounts.masks(state)[0]}
        observation = self.accounts.observe()
        if isinstance(observation, dict):
            return {key: value[0] for key, value in observation.items()}, info
        return observation[0], info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Order, and go on to the next decision.

        Raises:
            ValueError: If the action is not one of the action space.
            gymnasium.error.ResetNeeded: If the episode is over.
        """
        if not self._running:
            msg = "the episode is over; call reset() first"
            raise gym.error.ResetNeeded(msg)
        if type(action) is not int or not 0 <= action < self._actions:
            if not self.action_space.contains(action):
                msg = f"action must be a whole number from 0 to {self._actions - 1}, got {action!r}"
                raise ValueError(msg)
            action = int(action)
        reward, over, row, price, requested, filled, cash, units, equity, fees, dividends = _step_one(
            action, self._block, self._prices, self._features, self._seen
        )
        if over:
            self._running = False
        if self.render_mode is not None:
            self._draw(row, filled, equity)
        info = {
            "ticker": self._ticker,
            "date": self._dates[row],
            "price": price,
            "requested": requested,
            "filled": filled,
            "cash": cash,
            "units": units,
            "equity": equity,
            "fees": fees,
            "dividends": dividends,
            "action_mask": self._mask.copy(),
        }
        if self._window_only:
            return self._window_seen.copy(), reward, over, False, info
        if self._window_seen.size:
            observation = {"window": self._window_seen.copy(), "account": self._share.copy()}
        else:
            observation = {"row": np.array([row], np.int32), "account": self._share.copy()}
        return observation, reward, over, False, info

    def render(self) -> npt.NDArray[np.uint8] | None:
        """Draw price with buys and sells, and equity against buy-and-hold: an RGB array, or a window on the screen."""
        if self.render_mode is None:
            gym.logger.warn("render() needs a render_mode: make the environment with render_mode='rgb_array'")
            return None
        if not self._trace:
            msg = "there is nothing to draw yet; call reset() first"
            raise gym.error.ResetNeeded(msg)
        from etfgym.envs import render

        figure = render.draw(self.accounts.market, self.settings, self._trace)
        if self.render_mode == "rgb_array":
            return render.to_rgb(figure)
        self._window = render.show(figure, self._window, 1 / self.metadata["render_fps"])
        return None

    def close(self) -> None:
        """Close the window on the screen, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def _draw(self, row: int, filled: int, equity: float) -> None:
        """Take note of a day, and show it if it is to be shown."""
        self._trace.append((row, filled, equity))
        if self.render_mode == "human":
            self.render()

    def _parts(self) -> dict[str, Any]:
        """Return the observation's spaces by name."""
        space = self.observation_space
        return dict(space.spaces) if isinstance(space, gym.spaces.Dict) else {"window": space}

    def _bind(self) -> None:
        """Let the account and the kernel's arguments share the memory of the block."""
        accounts, market = self.accounts, self.accounts.market
        accounts.state = self._block[:_FIELDS].view(kernel.ACCOUNT)
        self._actions = len(accounts.orders)
        self._mask = self._block[_FIELDS + len(accounts.terms) + 1 + self._actions :].view(np.int8)[: self._actions]
        self._window_seen, self._share = self._seen[:-1], self._seen[-1, :3]
        self._prices, self._features, self._dates = market.prices, market.features, market.dates

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._bind()  # a copy or a pickle has torn the views apart
