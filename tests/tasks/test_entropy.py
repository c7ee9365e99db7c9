"""Entropy and information gain: cases by hand, scikit-learn's tree and mutual information as oracles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score
from sklearn.tree import DecisionTreeClassifier

from etfgym.tasks.entropy import entropy, information_gain, split_entropy

rows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=30).map(np.array)


def test_a_coin_is_one_bit_four_sides_are_two_and_certainty_is_none():
    assert entropy([0.5, 0.5]) == 1
    assert entropy([3, 3, 3, 3]) == 2
    assert str(entropy([14, 0])) == "0.0"


def test_nine_against_five_and_three_against_two():
    assert entropy([9, 5]) == pytest.approx(0.9402859587, abs=1e-10)
    assert entropy([3, 2]) == pytest.approx(0.9709505945, abs=1e-10)


def test_a_split_by_hand():
    # 2 of 3 rows hold a coin, the third is certain: 2/3 of a bit is left of the entropy of 2 against 1
    assert split_entropy(["a", "a", "b"], [0, 1, 1]) == pytest.approx(2 / 3)
    assert information_gain(["a", "a", "b"], [0, 1, 1]) == pytest.approx(entropy([1, 2]) - 2 / 3)


@given(rows)
def test_the_gain_is_the_mutual_information(table):
    values, labels = table.T
    assert information_gain(values, labels) == pytest.approx(mutual_info_score(values, labels) / np.log(2), abs=1e-9)


@given(rows)
def test_knowing_more_never_adds_entropy_and_knowing_all_leaves_none(table):
    values, labels = table.T
    assert information_gain(values, labels) >= -1e-12
    assert split_entropy(labels, labels) == 0


def test_a_trees_impurities_are_these_entropies():
    source = np.random.default_rng(0)
    values, labels = source.integers(2, size=60), source.integers(3, size=60)
    tree = DecisionTreeClassifier(criterion="entropy", max_depth=1).fit(values[:, None], labels).tree_
    assert entropy(np.bincount(labels)) == pytest.approx(tree.impurity[0])
    shares = tree.n_node_samples[1:] / 60
    assert split_entropy(values, labels) == pytest.approx(shares @ tree.impurity[1:])


@pytest.mark.parametrize("weights", [[], [0, 0], [-1, 2], [np.nan, 1], [np.inf, 1], 3, [[1, 2]]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match="finite numbers, none negative, one above 0; got"):
        entropy(weights)


@pytest.mark.parametrize(("values", "labels"), [([], []), ([1, 2], [1]), ([[1, 2]], [[1, 2]])])
def test_columns_that_do_not_fit_are_refused(values, labels):
    with pytest.raises(ValueError, match="values and labels must be as many, one or more, got shapes"):
        information_gain(values, labels)
