"""MNIST by dense layers, in the course's two forms: ReLU with softmax, and sigmoid with the squared error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from etfgym.nets.headed import Headed
from etfgym.tasks import idx, images, tabular
from etfgym.tasks.fit import Fitting, History, accuracy, draw_curve, fit, outputs_of
from etfgym.tasks.idx import KINDS, SIDE, Pictures
from etfgym.tasks.outcome import Outcome, Setup


def squared_error(outputs: Tensor, kinds: Tensor) -> Tensor:
    """Return the mean squared distance of the sigmoids of outputs (N, 10) from 1 for the kind (N,) and 0 for others."""
    return functional.mse_loss(outputs.sigmoid(), functional.one_hot(kinds, KINDS).float())


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One way to set the network up."""

    name: str
    torso: Mapping[str, Any]
    """What of a DNN's spec is not its default."""
    brightest: float
    """What the pixels, 0 to 255, are divided by."""
    loss: Callable[[Tensor, Tensor], Tensor]
    how: Fitting
    target: float


RELU = Form(
    name="784-100-100-10 ReLU",
    torso={"hidden": [100], "features": 100},
    brightest=255.0,
    loss=functional.cross_entropy,
    how=Fitting(epochs=20, batch_size=100, optimizer="sgd", learning_rate=0.1),
    target=0.97,
)
SIGMOID = Form(
    name="784-500-500-10 sigmoid",
    torso={"hidden": [500], "features": 500, "activation": "sigmoid"},
    brightest=1.0,
    loss=squared_error,
    how=Fitting(epochs=20, batch_size=100, optimizer="sgd", learning_rate=0.1),
    target=0.92,
)


def run(setup: Setup) -> list[Outcome]:
    """See `etfgym.tasks`; `data` is that of `etfgym.tasks.idx.load`.

    The ReLU form's model, which `predict` asks, goes into the folder, the sigmoid form's into its sub-folder "sigmoid".
    """
    pictures = idx.load(setup.data, quick=setup.quick)
    baselines = images.baselines(pictures.train, pictures.test)
    outcomes = []
    for form, folder in ((RELU, setup.folder), (SIGMOID, setup.folder / "sigmoid")):
        model, history = _fitted(form, pictures, setup)
        tabular.save(folder, model, pictures.settings)
        title = f"{len(pictures.train):,} pictures of {pictures.set_name}"
        draw_curve([(form.name, history)], folder / "curve.png", title)
        outcomes.append(
            Outcome(
                model=form.name,
                metric="accuracy",
                value=accuracy(outputs_of(model, pictures.test), pictures.test.targets),
                baselines=baselines,
                tested_on=pictures.tested_on,
                seconds=history.seconds,
                target=pictures.wanted(form.target),
            )
        )
    return outcomes


def _fitted(form: Form, pictures: Pictures, setup: Setup) -> tuple[Headed, History]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(setup.seed)
        model = Headed({"net": "dnn", "window": SIDE, "columns": SIDE, **form.torso}, KINDS)
        # What follows is a softmax or a sigmoid. Torch's own weights are less than half as large, and with them the
        # sigmoid form, whose hidden layers raw pixels saturate, comes to 0.916 of MNIST where with these it is 0.923.
        nn.init.xavier_normal_(model.head.weight)
        nn.init.zeros_(model.head.bias)
    # Not `fit_scaler`: what is always black in training would be blown up where a test picture has ink.
    model.torso.std.fill_(form.brightest)
    how = replace(form.how, epochs=1) if setup.quick else form.how
    train, valid = pictures.train, pictures.valid
    return model, fit(model, train, valid, form.loss, how, seed=setup.seed, label=form.name)


def predict(folder: Path, given: str) -> str:
    """See `etfgym.tasks`; `given` is the file of a picture."""
    model, settings = tabular.load(folder, "mnist-dnn")
    picture = torch.from_numpy(images.drawn(images.open_picture(Path(given)), settings["side"]))
    return tabular.most_likely(model(picture[None]).detach().double().numpy()[0], settings["names"])
