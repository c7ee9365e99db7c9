"""Digits: the network's shape, what it reaches, and what it says of a user's numbers."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler
from torch.nn import functional

from etfgym.tasks import digits, tabular
from etfgym.tasks.fit import Fitting
from etfgym.tasks.outcome import Setup


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder and what a quick run reached."""
    folder = tmp_path_factory.mktemp("digits")
    return folder, digits.run(Setup(folder=folder, quick=True))


def test_it_is_a_network_of_64_30_30_30_10(trained):
    weights = load_file(trained[0] / "weights.safetensors")
    shapes = [weights[f"torso.layers.{number}.weight"].shape for number in range(3)] + [weights["head.weight"].shape]
    assert shapes == [(30, 64), (30, 30), (30, 30), (10, 30)]


def test_its_scaler_is_a_standard_scaler_of_the_training_rows(trained):
    weights = load_file(trained[0] / "weights.safetensors")
    pixels, classes = load_digits(return_X_y=True)
    parts = tabular.split(classes, seed=0)
    scaler = StandardScaler().fit(pixels[parts.train])
    count = len(parts.train)
    assert np.allclose(weights["torso.mean"], scaler.mean_, atol=1e-5)
    moves = scaler.var_ > 0
    assert np.allclose(weights["torso.std"][moves], scaler.scale_[moves] * np.sqrt(count / (count - 1)), rtol=1e-5)
    assert np.allclose(weights["torso.std"][~moves], scaler.scale_[~moves])


def test_every_model_stands_beside_the_most_frequent_class(trained):
    folder, outcomes = trained
    assert [each.model for each in outcomes] == ["MLP", "scikit-learn's MLP", "logistic regression", "tree", "SVM"]
    assert all(each.baselines["most frequent"] == pytest.approx(0.1, abs=0.01) for each in outcomes)
    assert [each.target for each in outcomes] == [0.86, None, None, None, None]
    assert all(each.value > 0.4 for each in outcomes[1:])
    assert sorted(path.name for path in folder.iterdir()) == ["curve.png", "model.json", "weights.safetensors"]


def test_some_epochs_of_sgd_tell_more_than_86_percent_of_digits_never_seen():
    pixels, classes = load_digits(return_X_y=True)
    parts = tabular.split(classes, seed=0)
    how = Fitting(epochs=10, batch_size=32, optimizer="sgd", learning_rate=0.01, momentum=0.9, l2=0.01)
    targets = torch.from_numpy(classes)
    model, _ = tabular.fit_dense(
        digits.TORSO, pixels, targets, parts, functional.cross_entropy, how, outputs=10, seed=0, label="digits"
    )
    assert np.mean(tabular.outputs(model, pixels[parts.test]).argmax(1) == classes[parts.test]) > 0.86


def test_predict_says_the_three_likeliest_digits(trained):
    pixels, _ = load_digits(return_X_y=True)
    lines = digits.predict(trained[0], ",".join(map(str, pixels[0]))).split("\n")
    assert len(lines) == 3
    chances = [float(line.split()[1]) for line in lines]
    assert chances == sorted(chances, reverse=True)
    model, _ = tabular.load(trained[0], "digits")
    assert int(lines[0].split()[0]) == tabular.outputs(model, pixels[:1]).argmax()


def test_predict_refuses_what_are_not_64_numbers(trained):
    with pytest.raises(ValueError, match="wanted are 64 numbers from 0 to 16 with commas between, got '1,2'"):
        digits.predict(trained[0], "1,2")
