"""Churn: a table of customers to whether each leaves, by a small DNN beside scikit-learn's models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve
from torch.nn import functional

from etfgym.atomic import write_atomically
from etfgym.nets import files
from etfgym.report.results import HOLD
from etfgym.report.style import LEARNER_COLOURS, LOOKS, STYLE
from etfgym.tasks import tabular
from etfgym.tasks.fit import Fitting, draw_curve
from etfgym.tasks.outcome import Outcome, Setup
from etfgym.tasks.tabular import Floats, Rows, Search, Searched

LABELS = ("churn", "Churn", "Exited", "label", "target")
"""Names by which a label column is found."""
MOST_KINDS = 100
"""A column of text with more different values holds names, not kinds."""
TARGET = 0.85

TORSO = {"hidden": [64], "features": 32, "dropout": 0.3, "activation": "selu"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """How a row of the table becomes numbers; JSON can hold it."""

    label: str
    """The column that is to be told."""
    leaves: str
    """What stands there if the customer leaves."""
    numbers: Mapping[str, float]
    """Columns taken as they are, each with the median that stands in for a missing value."""
    kinds: Mapping[str, Sequence[str]]
    """Columns of which each value becomes a column of zeros and ones, with these values."""
    left_out: Mapping[str, str]
    """Columns that are not looked at, with the reason."""

    @property
    def width(self) -> int:
        """Numbers in a row, F."""
        return len(self.numbers) + sum(map(len, self.kinds.values()))

    def encode(self, table: pd.DataFrame) -> Floats:
        """Return the table as numbers, shape (N, F); a kind never seen in training is all zeros.

        Raises:
            ValueError: If a column is missing, or holds no numbers where there were some.
        """
        missing = [name for name in (*self.numbers, *self.kinds) if name not in table]
        if missing:
            msg = f"the table lacks {', '.join(missing)}, learned from in training; it has {', '.join(table.columns)}"
            raise ValueError(msg)
        parts = [_as_numbers(table[name]).fillna(median).to_numpy(float) for name, median in self.numbers.items()]
        for name, kinds in self.kinds.items():
            values = _as_text(table[name])
            parts += [(values == kind).to_numpy(float) for kind in kinds]
        return np.column_stack(parts)


def _as_numbers(values: pd.Series[Any]) -> pd.Series[Any]:
    try:
        return pd.to_numeric(values).astype(float).replace([np.inf, -np.inf], np.nan)
    except (ValueError, TypeError) as error:
        msg = f"column {values.name} held numbers in training: {error}"
        raise ValueError(msg) from None


def _as_text(values: pd.Series[Any]) -> pd.Series[Any]:
    return values.astype(object).where(values.notna()).map(str, na_action="ignore")


def read(data: str | None) -> tuple[pd.DataFrame, str]:
    """Return the table of FILE.csv or FILE.csv:LABEL, and the name of its label column.

    Raises:
        ValueError: If none is given, or no column can be taken for the label.
        FileNotFoundError: If there is no such file.
    """
    if data is None:
        msg = f"churn needs a table of customers: --data FILE.csv (label {' or '.join(LABELS)}) or FILE.csv:LABEL"
        raise ValueError(msg)
    file, _, label = (data, "", "") if Path(data).exists() else data.rpartition(":")
    table = read_table(file or data)
    found = [name for name in ([label] if label else LABELS) if name in table]
    if not found:
        columns = ", ".join(table.columns)
        msg = f"{data}: which column is the label? Write --data {file or data}:LABEL with one of {columns}"
        raise ValueError(msg)
    return table, found[0]


def read_table(file: str) -> pd.DataFrame:
    """Return a CSV with a header.

    Raises:
        ValueError: If it can't be read as one.
        FileNotFoundError: If there is no such file.
    """
    try:
        table = pd.read_csv(file, skipinitialspace=True)
    except FileNotFoundError:
        msg = f"{file}: no such file; check the path"
        raise FileNotFoundError(msg) from None
    except ValueError as error:  # pandas' own are ValueErrors too
        msg = f"{file} can't be read as a CSV: {' '.join(str(error).split())}"
        raise ValueError(msg) from None
    if table.empty:
        msg = f"{file} has no rows; a CSV of customers has a header and one row a customer"
        raise ValueError(msg)
    return table


def labels_of(table: pd.DataFrame, label: str) -> tuple[Rows, str]:
    """Return who leaves, 0 or 1, shape (N,), and the value that says so: the later one in the alphabet, as "yes" or 1.

    Raises:
        ValueError: If the column doesn't hold two values, one in every row.
    """
    values = _as_text(table[label]).str.strip()
    kinds = sorted(values.dropna().unique())
    if len(kinds) != 2 or values.isna().any():
        shown = ", ".join(kinds[:5]) + (", ..." if len(kinds) > 5 else "")
        msg = (
            f"label {label} must hold one of two values in every row, it has {len(kinds)}: {shown}; "
            f"missing in {int(values.isna().sum())} rows"
        )
        raise ValueError(msg)
    return (values == kinds[1]).to_numpy(np.int64), kinds[1]


def columns_of(table: pd.DataFrame, label: str, leaves: str) -> Columns:
    """Return how to turn rows into numbers, learned from `table`, the training rows alone."""
    numbers, kinds, left_out = {}, {}, {}
    for name in table.columns.drop(label):
        values = table[name]
        different = values.nunique()
        if different < 2:
            left_out[name] = "the same in every row"
        elif pd.api.types.is_numeric_dtype(values):
            if different == len(table) and bool((values % 1 == 0).all()):
                left_out[name] = "another whole number in every row, so it only counts or names them"
            else:
                numbers[name] = float(_as_numbers(values).median())
        elif different > min(MOST_KINDS, len(table) // 2):
            left_out[name] = f"text with {different:,} different values, so it names rather than tells kinds apart"
        else:
            kinds[name] = sorted(_as_text(values).dropna().unique())
    if not numbers and not kinds:
        msg = (
            f"no column is left to tell {label} from: {'; '.join(f'{name} is {why}' for name, why in left_out.items())}"
        )
        raise ValueError(msg)
    return Columns(label=label, leaves=leaves, numbers=numbers, kinds=kinds, left_out=left_out)


class Verdict(NamedTuple):
    """What one model says of the test's rows."""

    score: Floats
    """Larger where the customer rather leaves, shape (n,)."""
    area: float
    """Under the ROC curve."""
    confusion: Rows
    """Rows: stays, leaves; columns: told to stay, told to leave; shape (2, 2)."""
    seconds: float
    """Of the training."""
    searched: Searched | None
    """Of scikit-learn's models."""

    @property
    def figures(self) -> dict[str, float]:
        """The confusion matrix by the names of its cells, and what else there is."""
        names = ("true negatives", "false positives", "false negatives", "true positives")
        figures: dict[str, float] = dict(zip(names, self.confusion.ravel().tolist(), strict=True))
        figures["accuracy"] = float(self.confusion.trace() / self.confusion.sum())
        if self.searched:
            figures["AUC in cross-validation"] = self.searched.cross_validated
        return figures

    @property
    def words(self) -> str:
        """The confusion matrix in words."""
        (stay, alarm), (missed, caught) = self.confusion.tolist()
        return f"of {missed + caught} who leave it tells {caught}, of {stay + alarm} who stay it accuses {alarm}"


def run(setup: Setup) -> list[Outcome]:
    """See `etfgym.tasks`."""
    table, label = read(setup.data)
    labels, leaves = labels_of(table, label)
    parts = tabular.split(labels, setup.seed)
    columns = columns_of(table.iloc[parts.train], label, leaves)
    inputs = columns.encode(table)

    model, history = tabular.fit_dense(
        TORSO,
        inputs,
        torch.from_numpy(labels).float()[:, None],
        parts,
        functional.binary_cross_entropy_with_logits,
        Fitting(epochs=2 if setup.quick else 100, learning_rate=3e-3, l2=3e-3, patience=20),
        outputs=1,
        seed=setup.seed,
        label="churn",
    )
    tabular.save(setup.folder, model, {"columns": asdict(columns)})
    draw_curve([("DNN", history)], setup.folder / "curve.png", f"{label} of {len(parts.train):,} customers")

    forest = RandomForestClassifier(n_estimators=100, random_state=setup.seed)
    searches = tabular.usual(setup.seed)
    searches["forest"] = Search(forest, {"min_samples_leaf": (1, 5), "max_features": ("sqrt", 0.5)})
    known = inputs[parts.known], labels[parts.known]
    found = tabular.search(searches, *known, scoring="roc_auc", seed=setup.seed, quick=setup.quick)

    test, truth = inputs[parts.test], labels[parts.test]
    logits = tabular.outputs(model, test)[:, 0]  # above 0: a probability above one half
    verdicts = {"DNN": _verdict(truth, logits, logits > 0, history.seconds)}
    for name, each in found.items():
        verdicts[name] = _verdict(truth, _score(each.model, test), each.model.predict(test), each.seconds, each)
    draw_roc(truth, verdicts, setup.folder / "roc.png", f"{label} = {leaves}")
    return _outcomes(verdicts, columns)


def predict(folder: Path, given: str) -> str:
    """See `etfgym.tasks`; `given` is a CSV of customers, one line a row comes back."""
    model, settings = tabular.load(folder, "churn")
    with files.refusing(folder, "model of churn"):
        columns = Columns(**settings["columns"])
    logits = tabular.outputs(model, columns.encode(read_table(given)))[:, 0]
    lines = [f"row  probability of {columns.label} = {columns.leaves}"]
    return "\n".join(lines + [f"{row:<4} {1 / (1 + np.exp(-logit)):.4f}" for row, logit in enumerate(logits, start=1)])


def _score(model: Any, inputs: Floats) -> Floats:
    """Return what ranks the rows (N, F), larger where the customer rather leaves, shape (N,)."""
    if hasattr(model, "decision_function"):  # an SVM has no probabilities
        return np.asarray(model.decision_function(inputs))
    return np.asarray(model.predict_proba(inputs)[:, 1])


def _verdict(truth: Rows, score: Floats, told: Any, seconds: float, searched: Searched | None = None) -> Verdict:
    return Verdict(score, float(roc_auc_score(truth, score)), confusion_matrix(truth, told), seconds, searched)


def _outcomes(verdicts: Mapping[str, Verdict], columns: Columns) -> list[Outcome]:
    best = max(verdicts, key=lambda name: verdicts[name].area)
    left_out = "; ".join(f"{column} ({why})" for column, why in columns.left_out.items()) or "none"
    on_all = f"{columns.width} inputs. Highest AUC: {best}. Columns left out: {left_out}."
    stays, leaves = verdicts["DNN"].confusion.sum(axis=1).tolist()
    return [
        Outcome(
            model=name,
            metric="AUC",
            value=each.area,
            baselines={"the same for all": 0.5},
            tested_on=f"{stays + leaves:,} customers, of whom {leaves:,} have {columns.label} = {columns.leaves}",
            seconds=each.seconds,
            target=TARGET if name == "DNN" else None,
            note=f"{name}: {each.words}; {each.searched.note('AUC') if each.searched else on_all}",
            figures=each.figures,
        )
        for name, each in verdicts.items()
    ]


def draw_roc(truth: Rows, verdicts: Mapping[str, Verdict], file: Path, leaves: str) -> None:
    """Draw the ROC curve of every model and the confusion matrix of the first into a PNG, whole or not at all.

    Args:
        truth: Who leaves, 0 or 1, shape (n,).
        verdicts: By the models' names.
        file: The PNG.
        leaves: Such as "churn = yes".
    """
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(10.0, 4.6), layout="constrained")
        curves, matrix = figure.subplots(1, 2, width_ratios=(3, 2))
        curves.plot([0, 1], [0, 1], color=LOOKS[HOLD].colour, linestyle=":", label="the same for all, AUC 0.500")
        colours = [LEARNER_COLOURS[0], *[look.colour for look in LOOKS.values()][1:]]
        for (name, each), colour in zip(verdicts.items(), colours, strict=True):
            false, true, _ = roc_curve(truth, each.score)
            curves.plot(false, true, color=colour, label=f"{name}, AUC {each.area:.3f}")
        curves.set(
            title=f"ROC on {len(truth):,} customers that no model was fitted to",
            xlabel="share of those who stay that is told to leave",
            ylabel="share of those who leave that is told",
        )
        curves.legend(loc="lower right")
        name, first = next(iter(verdicts.items()))
        _draw_confusion(matrix, first.confusion, f"{name}, {leaves}")
        write_atomically(file, lambda path: figure.savefig(path, format="png"))


def _draw_confusion(axes: Axes, confusion: Rows, title: str) -> None:
    shares = confusion / confusion.sum(axis=1, keepdims=True)  # (2, 2)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row in range(2):
        for column in range(2):
            text = f"{confusion[row, column]:,}\n{shares[row, column]:.0%}"
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=12)
    axes.set(title=title, xlabel="told", ylabel="true")
    axes.set_xticks([0, 1], ["stays", "leaves"])
    axes.set_yticks([0, 1], ["stays", "leaves"])
    axes.grid(visible=False)
