"""Churn: which columns are looked at, what never leaks into training, and what a saved model says."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from etfgym.tasks import churn, tabular
from etfgym.tasks.churn import Columns
from etfgym.tasks.outcome import Setup

SHARED = Path(__file__).resolve().parents[3] / "shared/data/tasks"


def customers(count=200):
    """Customers who leave if they call often, with a missing value, an identity of each kind, and a constant."""
    rng = np.random.default_rng(0)
    calls = rng.integers(0, 10, count)
    minutes = rng.normal(200.0, 50.0, count)
    minutes[3] = np.nan
    return pd.DataFrame(
        {
            "number": np.arange(1, count + 1),
            "phone": [f"555-{row:04}" for row in range(count)],
            "plan": np.where(rng.random(count) < 0.5, "basic", "full"),
            "country": "US",
            "calls": calls,
            "minutes": minutes,
            "churn": np.where(calls + rng.normal(size=count) > 6, "yes", "no"),
        }
    )


def write(folder, table, name="customers.csv"):
    table.to_csv(folder / name, index=False)
    return str(folder / name)


# ------------------------------------------------------------------------------------------------ the table


def test_columns_that_name_or_never_change_are_left_out_with_the_reason():
    columns = churn.columns_of(customers(), "churn", "yes")
    assert list(columns.numbers) == ["calls", "minutes"]
    assert columns.kinds == {"plan": ["basic", "full"]}
    assert columns.left_out == {
        "number": "another whole number in every row, so it only counts or names them",
        "phone": "text with 200 different values, so it names rather than tells kinds apart",
        "country": "the same in every row",
    }
    assert columns.width == 4


def test_a_row_becomes_its_numbers_and_a_one_for_its_kind():
    columns = Columns(
        label="churn", leaves="yes", numbers={"a": 5.0, "b": 7.0}, kinds={"plan": ["x", "y"]}, left_out={}
    )
    table = pd.DataFrame({"plan": ["y", "x", "new", None], "b": [1, np.nan, 3, np.inf], "a": [0.5, 1.5, np.nan, 2.5]})
    assert columns.encode(table).tolist() == [
        [0.5, 1.0, 0.0, 1.0],
        [1.5, 7.0, 1.0, 0.0],  # a missing number is the training's median
        [5.0, 3.0, 0.0, 0.0],  # a kind never seen is none of those known
        [2.5, 7.0, 0.0, 0.0],
    ]


def test_medians_and_kinds_come_from_the_rows_that_were_given():
    table = customers()
    assert churn.columns_of(table[:101], "churn", "yes").numbers["calls"] == table["calls"][:101].median()
    assert churn.columns_of(table[table["plan"] == "full"], "churn", "yes").left_out["plan"] == "the same in every row"


def test_numbers_that_all_differ_are_kept_where_they_are_measured_and_not_counted():
    table = pd.DataFrame({"id": range(20), "salary": np.arange(20) + 0.5, "churn": ["yes", "no"] * 10})
    columns = churn.columns_of(table, "churn", "yes")
    assert list(columns.numbers) == ["salary"]
    assert list(columns.left_out) == ["id"]


def test_a_table_of_nothing_but_names_is_refused_with_the_reasons():
    with pytest.raises(ValueError, match="no column is left to tell churn from: number is another whole number in ev"):
        churn.columns_of(customers()[["number", "phone", "churn"]], "churn", "yes")


@pytest.mark.parametrize("label", churn.LABELS)
def test_the_label_is_found_by_its_usual_names(tmp_path, label):
    file = write(tmp_path, customers().rename(columns={"churn": label}))
    table, found = churn.read(file)
    assert found == label
    assert len(table) == 200


def test_any_column_can_be_named_as_the_label(tmp_path):
    file = write(tmp_path, customers())
    assert churn.read(f"{file}:plan")[1] == "plan"
    table = customers().rename(columns={"churn": "left us"})
    assert churn.read(f"{write(tmp_path, table)}:left us")[1] == "left us"


@pytest.mark.parametrize(
    ("values", "leaves"), [(["yes", "no"], "yes"), ([0, 1], "1"), ([True, False], "True"), ([" No", "Yes"], "Yes")]
)
def test_who_leaves_is_the_later_of_two_values(values, leaves):
    labels, told = churn.labels_of(pd.DataFrame({"churn": values}), "churn")
    assert told == leaves
    assert labels.tolist() == [int(str(value).strip() == leaves) for value in values]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"churn": ["a", "b", "c"] + ["a"] * 197},
            "label churn must hold one of two values in every row, it has 3: a, b,",
        ),
        ({"churn": ["a"] * 200}, "it has 1: a; missing in 0 rows"),
        ({"churn": ["a", "b"] * 99 + [None] * 2}, "it has 2: a, b; missing in 2 rows"),
        ({"churn": range(200)}, r"it has 200: 0, 1, 10, 100, 101, \.\.\.;"),
    ],
)
def test_a_label_that_is_not_one_of_two_is_refused_in_one_line(change, message):
    with pytest.raises(ValueError, match=message) as error:
        churn.labels_of(customers().assign(**change), "churn")
    assert "\n" not in str(error.value)


def test_without_data_or_label_it_is_said_what_to_write(tmp_path):
    with pytest.raises(
        ValueError, match=r"churn needs a table of customers: --data FILE.csv \(label churn or Churn or"
    ):
        churn.read(None)
    file = write(tmp_path, customers().rename(columns={"churn": "gone"}))
    with pytest.raises(
        ValueError, match=r"which column is the label\? Write --data .*customers.csv:LABEL with one of n"
    ):
        churn.read(file)
    with pytest.raises(ValueError, match="with one of number, phone, plan, country, calls, minutes, gone"):
        churn.read(f"{file}:goner")


def test_a_file_that_is_not_there_or_no_table_is_one_line(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv: no such file; check the path"):
        churn.read(str(tmp_path / "none.csv"))
    with pytest.raises(FileNotFoundError, match=r"none\.csv: no such file"):
        churn.read(str(tmp_path / "none.csv:churn"))
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ValueError, match=r"empty.csv can't be read as a CSV: No columns"):
        churn.read(str(tmp_path / "empty.csv"))
    (tmp_path / "head.csv").write_text("a,churn\n")
    with pytest.raises(ValueError, match=r"head.csv has no rows"):
        churn.read(str(tmp_path / "head.csv"))


# ------------------------------------------------------------------------------------------------ the run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder, the table, and what a quick run reached."""
    folder, data = tmp_path_factory.mktemp("churn"), tmp_path_factory.mktemp("data")
    return folder, customers(), churn.run(Setup(folder=folder, data=write(data, customers()), quick=True))


def test_a_run_has_every_model_with_its_confusion_matrix_beside_a_guess(trained):
    folder, table, outcomes = trained
    assert [each.model for each in outcomes] == ["DNN", "logistic regression", "tree", "SVM", "forest"]
    for each in outcomes:
        assert each.baselines == {"the same for all": 0.5}
        assert sum(each.figures[name] for name in each.figures if name.split()[0] in {"true", "false"}) == 40
        leave = each.figures["true positives"] + each.figures["false negatives"]
        assert leave == pytest.approx(0.2 * (table["churn"] == "yes").sum(), abs=1)
        assert 0.5 < each.value <= 1
    assert [each.target for each in outcomes] == [0.85, None, None, None, None]
    assert "Columns left out: number (another whole" in outcomes[0].note
    names = ["curve.png", "model.json", "roc.png", "weights.safetensors"]
    assert sorted(path.name for path in folder.iterdir()) == names  # no pickle among them
    assert (folder / "roc.png").read_bytes().startswith(b"\x89PNG")


def test_predict_on_the_test_rows_gives_the_auc_and_the_confusion_that_were_reported(trained, tmp_path):
    folder, table, outcomes = trained
    labels = (table["churn"] == "yes").to_numpy(int)
    test = tabular.split(labels, seed=0).test
    asked = table.iloc[test].drop(columns=["churn", "number"])  # what was left out need not be there
    head, *lines = churn.predict(folder, write(tmp_path, asked)).split("\n")
    assert head == "row  probability of churn = yes"
    assert [int(line.split()[0]) for line in lines] == list(range(1, 41))
    chances = np.array([float(line.split()[1]) for line in lines])
    assert roc_auc_score(labels[test], chances) == pytest.approx(outcomes[0].value, abs=0.01)  # rounded chances may tie
    assert outcomes[0].figures["true positives"] == ((chances > 0.5) & (labels[test] == 1)).sum()
    assert outcomes[0].figures["false positives"] == ((chances > 0.5) & (labels[test] == 0)).sum()


def test_nothing_of_the_test_rows_reaches_the_training(trained, tmp_path):
    folder, table, outcomes = trained
    test = tabular.split((table["churn"] == "yes").to_numpy(int), seed=0).test
    table = table.copy()
    table.loc[table.index[test], "calls"] = 10_000
    table.loc[table.index[test], "plan"] = "never seen"
    (tmp_path / "out").mkdir()
    changed = churn.run(Setup(folder=tmp_path / "out", data=write(tmp_path, table), quick=True))
    assert [each.figures.get("AUC in cross-validation") for each in changed] == [
        each.figures.get("AUC in cross-validation") for each in outcomes
    ]
    for name in ("weights.safetensors", "model.json"):
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes()
    assert changed[0].value != outcomes[0].value


def test_predict_refuses_a_table_that_lacks_a_column_or_has_words_for_numbers(trained, tmp_path):
    folder, table, _ = trained
    with pytest.raises(
        ValueError, match="the table lacks calls, plan, learned from in training; it has number, phone,"
    ):
        churn.predict(folder, write(tmp_path, table.drop(columns=["calls", "plan"])))
    with pytest.raises(ValueError, match=r"column calls held numbers in training: .*often") as error:
        churn.predict(folder, write(tmp_path, table.assign(calls="often")))
    assert "\n" not in str(error.value)


@pytest.mark.skipif(not SHARED.exists(), reason="the churn tables of ../shared/data/tasks are not on this machine")
@pytest.mark.parametrize(
    ("file", "label", "leaves", "left_out"),
    [
        ("customer_churn.csv", "churn", "yes", ["Unnamed: 0"]),
        ("Churn_Modelling.csv", "Exited", "1", ["RowNumber", "CustomerId", "Surname"]),
    ],
)
def test_of_real_tables_exactly_the_identities_are_left_out(file, label, leaves, left_out):
    table, found = churn.read(str(SHARED / file))
    assert found == label
    labels, told = churn.labels_of(table, label)
    assert told == leaves
    columns = churn.columns_of(table.iloc[tabular.split(labels, 0).train], label, leaves)
    assert list(columns.left_out) == left_out
    assert np.isfinite(columns.encode(table)).all()
