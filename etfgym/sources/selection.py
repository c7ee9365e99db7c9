"""Choosing tickers out of those that a source has."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from etfgym.prices import PriceError


def select(available: Iterable[str], wanted: Sequence[str] | None, where: str) -> list[str]:
    """Return `wanted` if all of it is available, or all there is for None.

    Raises:
        PriceError: If none is wanted, one twice, or one that is not there; names the nearest and what there is.
    """
    known = list(available)
    if wanted is None:
        return known
    if not wanted:
        msg = f"no ticker asked for; {where} has {', '.join(known[:10])}"
        raise PriceError(msg)
    for ticker in wanted:
        if ticker not in known:
            near = difflib.get_close_matches(ticker, known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            more = f" and {len(known) - 10} more" if len(known) > 10 else ""
            msg = f"{ticker}: not in {where}{hint}; it has {', '.join(known[:10])}{more}"
            raise PriceError(msg)
    if len(set(wanted)) < len(wanted):
        msg = f"tickers asked for more than once: {', '.join(wanted)}; name each of them once"
        raise PriceError(msg)
    return list(wanted)
