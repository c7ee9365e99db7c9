"""Every keyword of the trading environments, in one place, checked when made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from etfgym.checks import one_of, real_number, whole_number
from etfgym.envs.market import Start, as_start
from etfgym.features import FEATURES
from etfgym.ledger import ALL, ORDER_POLICIES, Costs, action_orders
from etfgym.sources import Prices

REWARDS = ("pnl", "log", "excess")
OBSERVE = ("window", "index")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The keywords of `gymnasium.make("etfgym/EtfTrading-v0", ...)` and `make_vec`.

    Raises:
        ValueError: If a value is wrong; one line that says what was wanted.
    """

    prices: Prices = "builtin"
    """A source name, a path, a PriceTable or several; see `etfgym.sources.load`."""
    tickers: str | Sequence[str] | None = None
    """Which of its tickers; None takes all. With several, each episode draws one."""
    window: int = 20
    """Days that an observation shows."""
    units: Sequence[int] = (20, 10)
    """Units that the buy actions order, in their order; the sell actions mirror them after hold."""
    initial_cash: float = 20_000.0
    """Dollars at the start."""
    costs: Costs = field(default_factory=Costs)
    """What trades cost."""
    order_policy: str = "clip"
    """An order that cash or holdings can't cover is filled as far as they go ("clip") or not at all ("reject")."""
    features: str = "relative"
    """Kind of window: "relative" (prices over the last Close, log volume over its mean) or "raw" (the bars)."""
    observe_account: bool = False
    """Show a Dict of `window` and `account` (units' share of equity, cash share, fraction of the year left)."""
    observe: str = "window"
    """"window", or "index": a Dict of `row`, the last bar's number in `env.accounts.market`, and `account`."""
    reward: str = "pnl"
    """"pnl": change of equity over initial cash; "log": log return; "excess": pnl less that of buy-and-hold."""
    decision_every: int = 1
    """Bars from one decision to the next; a step takes the account through that many."""
    start: Start = None
    """Last bar of the first window: a date (or the first bar after it), a pair to draw between, None for anywhere."""
    length: int = 252
    """Bars that an episode trades; on the last one everything is sold at the close."""

    def __post_init__(self) -> None:
        whole_number("window", self.window, 1)
        whole_number("length", self.length, 1)
        whole_number("decision_every", self.decision_every, 1)
        if np.ndim(self.units) != 1 or not len(self.units):
            msg = f"units must be a sequence of whole numbers such as (20, 10), got {self.units!r}"
            raise ValueError(msg)
        for number in self.units:
            if whole_number("each of units", number, 1) > ALL:
                msg = f"each of units must be at most {ALL}, got {number}"
                raise ValueError(msg)
        if not isinstance(self.costs, Costs):
            hint = f"; write Costs(commission={self.costs})" if isinstance(self.costs, float) else ""
            msg = f"costs must be an etfgym.ledger.Costs, got {self.costs!r}{hint}"
            raise ValueError(msg)  # noqa: TRY004 (one kind of error for every wrong keyword)
        if not isinstance(self.observe_account, bool):
            msg = f"observe_account must be True or False, got {self.observe_account!r}"
            raise ValueError(msg)  # noqa: TRY004 (see above)
        if not 0 < real_number("initial_cash", self.initial_cash) <= 1e12:
            msg = f"initial_cash is in dollars, above 0 and at most 1e12, got {self.initial_cash!r}"
            raise ValueError(msg)
        one_of("order_policy", self.order_policy, ORDER_POLICIES)
        one_of("features", self.features, FEATURES)
        one_of("observe", self.observe, OBSERVE)
        one_of("reward", self.reward, REWARDS)
        object.__setattr__(self, "start", as_start(self.start))

    @classmethod
    def from_keywords(cls, keywords: dict[str, Any]) -> Settings:
        """Return the settings of an environment's keywords; an unknown one raises ValueError with the nearest."""
        for name, value in keywords.items():
            if name in (cost.name for cost in fields(Costs)):
                msg = f"{name} is part of costs: write costs=etfgym.ledger.Costs({name}={value!r})"
                raise ValueError(msg)
            one_of("keyword", name, [known.name for known in fields(cls)])
        return cls(**keywords)

    @property
    def orders(self) -> tuple[int, ...]:
        """Units that each action orders, see `etfgym.ledger.action_orders`."""
        return action_orders([int(number) for number in self.units])
