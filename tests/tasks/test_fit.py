"""Fitting, on one weight that can be followed by hand."""

from itertools import chain

import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from etfgym.nets.headed import Headed
from etfgym.tasks import fit as fitting
from etfgym.tasks.fit import Examples, Fitting, History, draw_curve, fit, outputs_of


class Weight(nn.Module):
    """Gives its one weight, whatever it is given."""

    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return self.value.expand(len(x))


def rows(count, target):
    return Examples((torch.zeros(count, 1),), torch.full((count,), float(target)))


def descend(model, **settings):
    """Pull the weight toward 10, where 3 is best in validation: w becomes w + 0.2 (10 - w), so 2, 3.6, 4.88, ..."""
    how = Fitting(**{"epochs": 6, "optimizer": "sgd", "learning_rate": 0.1, **settings})
    return fit(model, rows(4, 10), rows(2, 3), functional.mse_loss, how, seed=0)


# ------------------------------------------------------------------------------------------------ which epoch


def test_the_weights_of_the_best_epoch_in_validation_are_kept():
    model = Weight()
    history = descend(model)
    assert history.valid_losses[:3] == pytest.approx([1.0, 0.36, 1.88**2])
    assert history.best == 1
    assert model.value.item() == pytest.approx(3.6)
    assert history.train_losses[:3] == pytest.approx([100.0, 64.0, 6.4**2])
    assert len(history.train_losses) == len(history.valid_losses) == len(history.scores) == 6
    assert history.scores == [-loss for loss in history.valid_losses]
    assert history.seconds > 0
    assert not model.training


@pytest.mark.parametrize(("patience", "epochs"), [(1, 3), (2, 4), (4, 6), (5, 6), (None, 6)])
def test_it_stops_after_as_many_epochs_without_a_better_one_as_patience_says(patience, epochs):
    model = Weight()
    assert len(descend(model, patience=patience).valid_losses) == epochs
    assert model.value.item() == pytest.approx(3.6)


def test_a_score_chooses_the_epoch_if_there_is_one():
    model = Weight()
    how = Fitting(epochs=3, optimizer="sgd", learning_rate=0.1)

    def largest(outputs, targets):
        assert targets.tolist() == [3.0, 3.0]
        return float(outputs.mean())

    history = fit(model, rows(4, 10), rows(2, 3), functional.mse_loss, how, seed=0, score=largest)
    assert history.best == 2
    assert history.scores == pytest.approx([2.0, 3.6, 4.88])
    assert model.value.item() == pytest.approx(4.88)


def test_of_equally_good_epochs_the_first_is_kept():
    how = Fitting(epochs=3, optimizer="sgd", learning_rate=0.1)
    history = fit(Weight(), rows(4, 10), rows(2, 3), functional.mse_loss, how, seed=0, score=lambda *_: 0.5)
    assert history.best == 0


# ------------------------------------------------------------------------------------------------ steps


def test_every_epoch_takes_every_example_once_in_another_order():
    seen = []

    class Watching(Weight):
        def forward(self, x):
            if self.training:
                seen.append(x.ravel().tolist())
            return super().forward(x)

    train = Examples((torch.arange(10.0)[:, None],), torch.zeros(10))
    fit(Watching(), train, rows(2, 3), functional.mse_loss, Fitting(epochs=2, batch_size=4), seed=0)
    assert [len(batch) for batch in seen] == [4, 4, 2, 4, 4, 2]
    first, second = [*chain(*seen[:3])], [*chain(*seen[3:])]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_the_training_loss_weighs_every_example_the_same_whatever_its_batch():
    how = Fitting(epochs=1, batch_size=2, optimizer="sgd", learning_rate=1e-9)
    train = Examples((torch.zeros(3, 1),), torch.tensor([1.0, 2.0, 3.0]))
    history = fit(Weight(), train, rows(2, 3), functional.mse_loss, how, seed=0)
    assert history.train_losses == pytest.approx([14 / 3])


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_l2_shrinks_the_weight_as_worked_out_by_hand(momentum):
    model = Weight()
    model.value.data.fill_(2.0)
    history = fit(
        model,
        rows(1, 5),
        rows(1, 0),
        functional.mse_loss,
        Fitting(epochs=2, optimizer="sgd", learning_rate=0.1, momentum=momentum, l2=0.5),
        seed=0,
        score=lambda outputs, _: -abs(float(outputs[0]) - 99),  # the last
    )
    # slope of (w - 5)^2 + 0.5 / 2 w^2: 2 (2 - 5) + 0.5 x 2 = -5, so w = 2.5; there 2 (2.5 - 5) + 0.5 x 2.5 = -3.75
    assert model.value.item() == pytest.approx(2.5 + 0.1 * (3.75 + momentum * 5))
    assert history.valid_losses[0] == pytest.approx(2.5**2)  # without what l2 adds


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_l2_is_half_of_itself_times_the_squares_in_the_loss(optimizer):
    generator = torch.Generator().manual_seed(0)
    data = Examples((torch.randn(8, 3, generator=generator),), torch.randn(8, 2, generator=generator))
    ours, theirs = nn.Linear(3, 2), nn.Linear(3, 2)
    theirs.load_state_dict(ours.state_dict())
    how = Fitting(epochs=1, batch_size=8, optimizer=optimizer, learning_rate=0.01, l2=0.3)
    fit(ours, data, data, functional.mse_loss, how, seed=0)
    kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[optimizer]
    step = kind(theirs.parameters(), lr=0.01)
    squares = sum(part.square().sum() for part in theirs.parameters())
    (functional.mse_loss(theirs(data.inputs[0]), data.targets) + 0.3 / 2 * squares).backward()
    step.step()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_frozen_parameters_stay_to_the_bit():
    model = Headed({"net": "dnn", "window": 1, "columns": 3, "hidden": [4], "features": 4, "activation": "tanh"}, 1)
    for parameter in model.torso.parameters():
        parameter.requires_grad = False
    before = {name: value.clone() for name, value in model.state_dict().items()}
    data = Examples((torch.randn(8, 1, 3, generator=torch.Generator().manual_seed(0)),), torch.ones(8, 1))
    fit(model, data, data, functional.mse_loss, Fitting(epochs=2, l2=0.5), seed=0)
    after = model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"head.weight", "head.bias"}


def test_a_model_of_two_inputs_gets_both_in_step():
    class Product(nn.Module):
        def __init__(self):
            super().__init__()
            self.factor = nn.Parameter(torch.ones(()))

        def forward(self, x, y):
            return self.factor * x * y

    x, y = torch.arange(1.0, 9.0), torch.arange(8.0, 0.0, -1.0)
    data = Examples((x, y), x * y)
    history = fit(Product(), data, data, functional.mse_loss, Fitting(epochs=1, batch_size=3), seed=0)
    assert history.train_losses == [0.0]


# ------------------------------------------------------------------------------------------------ seeds


def trained(seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        model = Headed({"net": "dnn", "window": 1, "columns": 3, "hidden": [8], "features": 8, "dropout": 0.5}, 1)
    generator = torch.Generator().manual_seed(0)
    data = Examples((torch.randn(30, 1, 3, generator=generator),), torch.randn(30, 1, generator=generator))
    history = fit(model, data, data, functional.mse_loss, Fitting(epochs=3, batch_size=7), seed=seed)
    return model.state_dict(), history


def test_the_same_seed_gives_the_same_weights_to_the_bit_and_another_seed_others():
    (one, first), (same, second), (other, _) = trained(1), trained(1), trained(2)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert first.valid_losses == second.valid_losses
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_torch_s_global_generator_is_neither_read_nor_moved():
    before = torch.get_rng_state()
    one, _ = trained(1)
    assert torch.equal(torch.get_rng_state(), before)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        same, _ = trained(1)
    assert all(torch.equal(one[name], same[name]) for name in one)


# ------------------------------------------------------------------------------------------------ mistakes


def test_a_loss_that_is_not_finite_stops_the_fit_with_one_line():
    with pytest.raises(ValueError, match=r"fitting: the loss is not finite after epoch \d+; take a smaller learning_"):
        descend(Weight(), learning_rate=1e30)


@pytest.mark.parametrize(
    ("inputs", "targets"), [([3], 2), ([0], 0), ([2, 3], 2)], ids=["more inputs", "none", "of two"]
)
def test_inputs_and_targets_that_do_not_go_together_are_refused(inputs, targets):
    with pytest.raises(ValueError, match="inputs and targets must be as many, at least one, got"):
        Examples(tuple(torch.zeros(count, 1) for count in inputs), torch.zeros(targets))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"optimizer": "adm"}, r"optimizer must be one of 'adam', 'sgd', got 'adm' \(did you mean 'adam'\?\)"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0 and l2 at least 0, got 0.0 and 0.0"),
        ({"l2": -1.0}, "learning_rate must be above 0 and l2 at least 0, got 0.001 and -1.0"),
        ({"l2": float("nan")}, "learning_rate must be above 0 and l2 at least 0"),
    ],
)
def test_wrong_settings_are_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        Fitting(**{"epochs": 1, **setting})


# ------------------------------------------------------------------------------------------------ outputs and curve


def test_outputs_come_in_order_in_evaluation_mode_and_without_gradients(monkeypatch):
    monkeypatch.setattr(fitting, "MOST_AT_ONCE", 3)
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)).train()
    x = torch.randn(7, 2, generator=torch.Generator().manual_seed(0))
    outputs = outputs_of(model, Examples((x,), torch.zeros(7)))
    assert torch.allclose(outputs, model[0](x), atol=1e-6)
    assert not outputs.requires_grad


def test_the_curve_is_a_png_and_nothing_else_is_left(tmp_path):
    histories = [(name, History([3.0, 2.0, 1.0], [3.0, 2.5, 2.6], [], best=1)) for name in ("DNN", "CNN", "RNN", "4th")]
    draw_curve(histories, tmp_path / "curve.png", "anything with $ and _")
    with Image.open(tmp_path / "curve.png") as image:
        assert image.format == "PNG"
        assert min(image.size) > 300
        colours = {pixel for _, pixel in image.convert("RGB").getcolors(10**6)}
    assert (0x00, 0x72, 0xB2) in colours  # the first model's line
    assert [path.name for path in tmp_path.iterdir()] == ["curve.png"]


def test_a_curve_of_one_epoch_is_drawn(tmp_path):
    draw_curve([("DNN", History([1.0], [1.0], [], best=0))], tmp_path / "curve.png", "one")
    assert (tmp_path / "curve.png").stat().st_size > 1000
