"""A spec makes a torso, and a torso its spec."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from etfgym.nets import TORSOS, build
from etfgym.nets.torso import ACTIVATIONS

common = {
    "window": st.integers(5, 8),
    "columns": st.integers(1, 4),
    "features": st.integers(1, 5),
    "activation": st.sampled_from(sorted(ACTIVATIONS)),
    "dropout": st.sampled_from([0.0, 0.1, 0.5]),
    "layer_norm": st.booleans(),
}
own = {
    "dnn": {"hidden": st.lists(st.integers(1, 5), max_size=3)},
    "cnn": {"channels": st.integers(1, 4), "kernel": st.integers(1, 3)},
    "rnn": {"cell": st.sampled_from(["simple", "lstm", "gru"]), "hidden": st.integers(1, 5)},
}
specs = st.sampled_from(sorted(TORSOS)).flatmap(
    lambda net: st.fixed_dictionaries({"net": st.just(net)}, optional=common | own[net])
)


@settings(max_examples=60)
@given(specs)
def test_a_torso_of_a_spec_has_that_spec_and_json_brings_it_back(spec):
    torso = build(spec)
    full = torso.spec
    assert {key: full[key] for key in spec} == spec
    again = build(json.loads(json.dumps(full)))
    assert again.spec == full
    assert type(again) is TORSOS[spec["net"]]
    again.load_state_dict(torso.state_dict())  # the same names and shapes
    x = torch.zeros(2, full["window"], full["columns"])
    assert torch.equal(again.eval()(x), torso.eval()(x))


@pytest.mark.parametrize("net", TORSOS)
def test_a_spec_of_the_name_alone_has_every_default(net):
    assert build({"net": net}).spec == TORSOS[net]().spec


def test_two_torsos_of_one_spec_do_not_share_their_lists():
    hidden = [4]
    torso = build({"net": "dnn", "hidden": hidden})
    hidden.append(5)
    assert torso.spec["hidden"] == [4]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "net must be one of 'dnn', 'cnn', 'rnn', got None"),
        ({"net": "dn"}, r"got 'dn' \(did you mean 'dnn'\?\)"),
        ({"net": "dnn", "hiden": [3]}, r"key of a dnn must be one of .*got 'hiden' \(did you mean 'hidden'\?\)"),
        ({"net": "cnn", "cell": "gru"}, "key of a cnn must be one of"),
        ({"net": "dnn", "self": 1}, "key of a dnn must be one of"),
        ({"net": "dnn", "hidden": [0]}, "each of hidden must be a whole number of at least 1, got 0"),
        ({"net": "rnn", "cell": "gruu"}, r"cell must be one of .*did you mean 'gru'"),
        ({"net": "cnn", "window": 4}, "window must be longer than 4 days"),
    ],
)
def test_a_wrong_spec_is_refused_with_the_nearest_name(spec, message):
    with pytest.raises(ValueError, match=message):
        build(spec)
