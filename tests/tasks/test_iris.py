"""Iris: a network in NumPy, and the first question of a tree."""

import numpy as np
import pytest
from safetensors.numpy import load_file
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

from etfgym.nets import files
from etfgym.tasks import iris, tabular
from etfgym.tasks.outcome import Setup


@pytest.fixture(scope="module")
def flowers():
    """Lengths, species and the parts of both."""
    lengths, species = load_iris(return_X_y=True)
    return lengths, species, tabular.split(species, seed=0)


@pytest.fixture(scope="module")
def trained(flowers):
    return iris.fit(*flowers, epochs=60, seed=0)


def test_the_network_tells_more_than_nine_flowers_in_ten_that_it_never_saw(flowers, trained):
    lengths, species, parts = flowers
    assert np.mean(trained[0].logits(lengths[parts.test]).argmax(1) == species[parts.test]) > 0.9


def test_the_epoch_of_least_loss_in_validation_is_kept(flowers, trained):
    lengths, species, parts = flowers
    model, history = trained
    assert history.valid_losses[history.best] == min(history.valid_losses)
    scaled = (lengths[parts.valid] - model.mean) / model.std
    assert model.network.loss(scaled, np.eye(3)[species[parts.valid]]) == pytest.approx(min(history.valid_losses))


def test_the_same_seed_gives_the_same_weights_to_the_bit_and_the_test_rows_do_not_matter(flowers):
    lengths, species, parts = flowers
    changed = lengths.copy()
    changed[parts.test] = 99.0
    one, same, other = (
        iris.fit(each, species, parts, epochs=3, seed=seed)[0]
        for each, seed in ((lengths, 1), (changed, 1), (lengths, 2))
    )
    assert all(np.array_equal(a, b) for a, b in zip(one.network.parameters, same.network.parameters, strict=True))
    assert np.array_equal(one.mean, same.mean)
    assert not np.array_equal(one.network.parameters[0], other.network.parameters[0])


def test_a_saved_model_has_the_shapes_4_5_3_and_comes_back_to_the_bit(flowers, trained, tmp_path):
    iris.save(tmp_path, trained[0])
    weights = load_file(tmp_path / files.WEIGHTS)
    assert {name: part.shape for name, part in weights.items()} == {
        "hidden.weight": (4, 5),
        "hidden.bias": (5,),
        "out.weight": (5, 3),
        "out.bias": (3,),
        "mean": (4,),
        "std": (4,),
    }
    assert np.array_equal(iris.load(tmp_path).logits(flowers[0]), trained[0].logits(flowers[0]))


def test_predict_tells_the_species_with_its_probability(trained, tmp_path):
    iris.save(tmp_path, trained[0])
    lines = iris.predict(tmp_path, "5.1, 3.5, 1.4, 0.2").split("\n")
    assert [line.split()[0] for line in lines[:2]] == ["setosa", "versicolor"]
    assert sum(float(line.split()[1]) for line in lines) == pytest.approx(1, abs=2e-4)
    with pytest.raises(
        ValueError, match=r"wanted are 4 lengths in cm \(sepal length, .*\) with commas between, got '5'"
    ):
        iris.predict(tmp_path, "5")


def test_weights_of_another_shape_are_refused(trained, tmp_path):
    iris.save(tmp_path, trained[0])
    weights, settings = files.load(tmp_path, "model")
    files.save(tmp_path, "model", weights | {"hidden.weight": weights["hidden.weight"][:3]}, settings)
    with pytest.raises(ValueError, match="holds no model of iris that can be loaded"):
        iris.load(tmp_path)


def test_a_tree_s_first_question_gains_as_many_bits_as_scikit_learn_says(flowers):
    lengths, species, _ = flowers
    tree = DecisionTreeClassifier(criterion="entropy", random_state=0).fit(lengths, species)
    inner, count = tree.tree_, tree.tree_.weighted_n_node_samples
    left, right = inner.children_left[0], inner.children_right[0]
    gain = inner.impurity[0] - (count[left] * inner.impurity[left] + count[right] * inner.impurity[right]) / count[0]
    # one species of three is told from the others: log2(3) - 2 / 3
    assert gain == pytest.approx(np.log2(3) - 2 / 3)
    said = iris.first_question(tree, lengths, species)
    assert said.endswith(f"which gains {gain:.4f} bits")
    assert said.startswith(
        ("it first asks whether petal width <= 0.80 cm", "it first asks whether petal length <= 2.45 cm")
    )


def test_a_run_has_all_four_models_and_the_tree_s_question(tmp_path):
    outcomes = iris.run(Setup(folder=tmp_path, quick=True))
    assert [each.model for each in outcomes] == ["4-5-3 in NumPy", "logistic regression", "tree", "SVM"]
    assert all(each.baselines == {"most frequent": pytest.approx(1 / 3)} for each in outcomes)
    assert "it first asks whether petal" in outcomes[2].note
    assert all(each.value > 0.6 for each in outcomes[1:])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curve.png", "model.json", files.WEIGHTS]
