import pytest

from etfgym.prices import PriceError
from etfgym.sources.universes import universe, universes


def test_a_list_with_commas_gives_its_symbols_in_order():
    assert universe("SPY, ^GSPC,BRK-B") == ("SPY", "^GSPC", "BRK-B")


def test_one_symbol_in_capitals_is_a_list_of_one():
    assert universe("SPY") == ("SPY",)


def test_seed20_names_twenty_different_funds():
    symbols = universe("seed20")
    assert len(symbols) == len(set(symbols)) == 20
    assert symbols[0] == "SPY"
    assert symbols[-1] == "GLD"


def test_builtin_names_what_the_builtin_source_has():
    assert universe("builtin") == ("SP500", "NASDAQ")


def test_names_of_universes_are_in_small_letters_and_their_symbols_in_capitals():
    for name, symbols in universes().items():
        assert name == name.lower()
        assert all(symbol == symbol.upper() for symbol in symbols)


def test_an_unknown_universe_is_refused_with_the_nearest():
    with pytest.raises(
        PriceError, match=r"^sede20: not in universes\.toml.*did you mean seed20\?.*it has seed20, builtin"
    ):
        universe("sede20")


def test_a_symbol_in_small_letters_is_refused_with_the_rule():
    with pytest.raises(PriceError, match=r"spy: .*symbols are written in capitals"):
        universe("SPY,spy")


def test_a_universe_among_symbols_is_refused():
    with pytest.raises(PriceError, match="seed20: a universe stands alone"):
        universe("seed20,SPY")


@pytest.mark.parametrize("names", ["", " , ,"])
def test_an_empty_list_is_refused_with_an_example(names):
    with pytest.raises(PriceError, match=r"no symbols in .*write for example SPY,QQQ"):
        universe(names)
