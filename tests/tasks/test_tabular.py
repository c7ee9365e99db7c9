"""What the tasks on tables share: parts, the search over scikit-learn's models, the user's numbers."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from torch.nn import functional

from etfgym.tasks import tabular
from etfgym.tasks.fit import Fitting
from etfgym.tasks.tabular import Parts, Search, Searched


@settings(max_examples=30)
@given(st.lists(st.integers(10, 40), min_size=2, max_size=4), st.integers(0, 5))
def test_no_row_is_in_two_parts_and_every_part_has_its_share_of_each_label(counts, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    parts = tabular.split(labels, seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    assert sorted(parts.known.tolist()) == sorted([*parts.train, *parts.valid])
    for part, share in zip(parts, (0.64, 0.16, 0.2), strict=True):
        got = np.bincount(labels[part], minlength=len(counts))
        assert np.abs(got - share * np.array(counts)).max() <= 1.5


def test_the_same_seed_splits_the_same_and_another_seed_does_not():
    labels = np.array([0, 1] * 50)
    one, same, other = (tabular.split(labels, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one.test, other.test)


def test_a_label_with_too_few_rows_is_refused():
    with pytest.raises(ValueError, match="every label needs at least 10 rows, 1 has 9; leave it out"):
        tabular.split(np.array([0] * 50 + [1] * 9), 0)


def cloud(rows=120):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(rows, 4)) * [1, 10, 100, 1000]
    return inputs, (inputs[:, 1] + rng.normal(size=rows) * 5 > 0).astype(np.int64)


def test_the_search_takes_the_setting_that_scikit_learn_s_own_cross_validation_finds_best():
    inputs, labels = cloud()
    model = tabular.standardised(LogisticRegression(max_iter=1000))
    grid = {"logisticregression__C": (1e-4, 0.1, 10.0)}
    found = tabular.search({"lr": Search(model, grid)}, inputs, labels, scoring="roc_auc", seed=3, quick=False)["lr"]
    folds = StratifiedKFold(5, shuffle=True, random_state=3)
    means = {
        c: cross_val_score(
            model.set_params(logisticregression__C=c), inputs, labels, cv=folds, scoring="roc_auc"
        ).mean()
        for c in grid["logisticregression__C"]
    }
    best = max(means, key=means.get)
    assert found.chosen == f"C {best}"
    assert found.cross_validated == pytest.approx(means[best])
    again = model.set_params(logisticregression__C=best).fit(inputs, labels)
    assert np.allclose(found.model.decision_function(inputs), again.decision_function(inputs))
    assert found.note("AUC") == f"C {best}; AUC in cross-validation {means[best]:.4f}."


def test_the_usual_models_tell_what_can_be_told_whatever_the_unit_of_a_column():
    inputs, labels = cloud()
    found = tabular.search(tabular.usual(0), inputs, labels, scoring="accuracy", seed=0, quick=True)
    assert list(found) == ["logistic regression", "tree", "SVM"]
    assert found["tree"].model.criterion == "entropy"
    assert min(np.mean(each.model.predict(inputs) == labels) for each in found.values()) > 0.75
    for name in ("logistic regression", "SVM"):
        assert np.allclose(found[name].model[0].mean_, inputs.mean(0))


def test_a_fit_never_looks_at_the_rows_of_the_test():
    inputs, labels = cloud()
    parts = tabular.split(labels, 0)

    def fitted(values):
        return tabular.fit_dense(
            {"hidden": [4], "features": 4, "dropout": 0.2},
            values,
            torch.from_numpy(labels),
            parts,
            functional.cross_entropy,
            Fitting(epochs=2, batch_size=16),
            outputs=2,
            seed=1,
            label="fitting",
        )

    model, history = fitted(inputs)
    changed = inputs.copy()
    changed[parts.test] = 1e6
    same, other = fitted(changed)
    weights, others = model.state_dict(), same.state_dict()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert history.valid_losses == other.valid_losses
    assert np.allclose(model.torso.mean, inputs[parts.train].mean(0), rtol=1e-5)
    changed[parts.train] *= 2
    assert not torch.equal(fitted(changed)[0].torso.mean, model.torso.mean)


def test_a_column_that_never_moves_in_training_is_not_blown_up_where_it_does():
    inputs, labels = cloud()
    parts = tabular.split(labels, 0)
    inputs[:, 0] = 0.0
    how = Fitting(epochs=1, batch_size=16)
    shape = {"hidden": [4], "features": 4}
    model, _ = tabular.fit_dense(
        shape,
        inputs,
        torch.from_numpy(labels),
        parts,
        functional.cross_entropy,
        how,
        outputs=2,
        seed=1,
        label="fitting",
    )
    moved = inputs[:1] + np.array([1.0, 0, 0, 0])
    assert np.abs(tabular.outputs(model, moved) - tabular.outputs(model, inputs[:1])).max() < 10


def test_accuracies_stand_beside_the_class_that_is_most_frequent_outside_the_test():
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 0])  # outside the test three are 0 and one is 1
    parts = Parts(np.array([0, 1]), np.array([2, 3]), np.array([4, 5, 6, 7]))
    found = {"tree": Searched(None, "depth 3", 0.75, 2.0)}
    told = {"net": np.array([1, 1, 0, 0]), "tree": np.array([0, 0, 0, 0])}
    net, tree = tabular.accuracies(told, labels, parts, found, what="rows", seconds=5.0, target=0.7)
    assert (net.value, net.baselines, net.target, net.seconds) == (0.75, {"most frequent": 0.25}, 0.7, 5.0)
    assert (tree.value, tree.target, tree.seconds) == (0.25, None, 2.0)
    assert tree.note == "tree: depth 3; accuracy in cross-validation 0.7500."
    assert tree.figures == {"accuracy in cross-validation": 0.75}


@pytest.mark.parametrize("given", ["", "1,2", "1,2,3,4", "1,2,x", "1,2,nan", "1,2,inf", "1 2 3"])
def test_numbers_that_are_not_as_many_or_none_are_refused_in_one_line(given):
    with pytest.raises(ValueError, match="wanted are 3 lengths with commas between, got '") as error:
        tabular.numbers(given, 3, "lengths")
    assert "\n" not in str(error.value)


def test_the_likeliest_classes_come_first_however_large_the_logits():
    assert (
        tabular.most_likely(np.array([1000.0, 0.0, 1000.0, -1000.0]), list("abcd")) == "a  0.5000\nc  0.5000\nb  0.0000"
    )
