"""Files hold no pickle; a malicious, cut or wrong one is refused in one line, and nothing in it is run."""

import json
import pickle

import mdp
import numpy as np
import pytest
import torch
from gymnasium import spaces
from learners import SMALL, market, weights
from safetensors.torch import load_file

from agents import checkpoints
from agents.dqn import DQN, DQNConfig

VECTOR = mdp.Chain.observation_space
DICT = spaces.Dict({"window": spaces.Box(0, 9, (20, 6)), "account": spaces.Box(0, 1, (3,))})
FRAMES = spaces.Box(0, 255, (2, 12, 10), np.uint8)


class Evil:
    """What a pickle may do when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.fixture
def training(tmp_path):
    """Return the file of a training after 60 transitions."""
    agent = DQN(VECTOR, 2, DQNConfig(**SMALL), 1)
    agent.learn(mdp.vector(mdp.Chain, 2), 60, checkpoint=tmp_path / "training", validate=lambda _: 1.0)
    return tmp_path / "training"


def refused(read, path, why):
    """Check that reading is refused in one line that names the file and says why."""
    with pytest.raises(ValueError, match=why) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path} holds no ")
    assert "that can be loaded" in message
    assert "\n" not in message


@pytest.mark.parametrize("space", [DICT, DICT["window"], VECTOR, FRAMES], ids=["dict", "window", "vector", "frames"])
@pytest.mark.parametrize("switches", [{}, {"dueling": True, "quantiles": 4}, {"noisy": True}], ids=str)
def test_a_saved_agent_comes_back_the_same(space, switches, tmp_path):
    agent = DQN(space, 5, DQNConfig(head=(32, 8), features=16, gamma=0.5, **switches), seed=3)
    agent.save(tmp_path / "new" / "agent")
    back = DQN.load(tmp_path / "new" / "agent")
    assert torch.equal(weights(agent), weights(back))
    assert (back.config, back.shape, back.actions) == (agent.config, agent.shape, 5)
    assert sorted(path.name for path in (tmp_path / "new" / "agent").iterdir()) == ["dqn.json", "weights.safetensors"]
    seen = {key: part.sample()[None] for key, part in space.items()} if space is DICT else space.sample()[None]
    assert agent.predict(seen)[0].tolist() == back.predict(seen)[0].tolist()


def test_the_scaler_is_saved_with_the_weights(tmp_path):
    envs = market()
    agent = DQN(envs.single_observation_space, 5, DQNConfig(**SMALL), 1)
    agent.learn(envs, 60)
    agent.save(tmp_path)
    back = DQN.load(tmp_path)
    assert torch.equal(back.online.torso.mean, agent.online.torso.mean)
    assert torch.equal(back.target.torso.std, agent.online.torso.std)
    assert not torch.equal(back.online.torso.mean, torch.zeros(6))


def test_no_file_holds_a_pickle(training, tmp_path):
    DQN.resume(training).save(tmp_path / "agent")
    assert json.loads((tmp_path / "agent" / "dqn.json").read_text())["actions"] == 2
    for file in (training, tmp_path / "agent" / "weights.safetensors"):
        assert load_file(file)  # safetensors: a length, JSON, numbers
        raw = file.read_bytes()
        header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
        size = max(part["data_offsets"][1] for name, part in header.items() if name != "__metadata__")
        assert len(raw) == 8 + int.from_bytes(raw[:8], "little") + size  # nothing else is in it


def test_a_malicious_file_is_refused_and_not_run(training, tmp_path):
    DQN(VECTOR, 2).save(tmp_path / "agent")
    for dump in (pickle.dumps, lambda evil: torch.save(evil, training) or training.read_bytes()):
        content = dump(Evil(tmp_path / "pwned"))
        (tmp_path / "agent" / "weights.safetensors").write_bytes(content)
        training.write_bytes(content)
        refused(DQN.load, tmp_path / "agent", "SafetensorError")
        refused(DQN.resume, training, "SafetensorError")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("left", [0, 7, 100, 0.5, -1])
def test_a_file_that_was_cut_off_is_refused(training, left):
    whole = training.read_bytes()
    training.write_bytes(whole[: int(left * len(whole)) if isinstance(left, float) else left])
    refused(DQN.resume, training, "SafetensorError")


def test_a_folder_or_file_that_is_not_there_is_refused(tmp_path):
    refused(DQN.load, tmp_path / "none", "FileNotFoundError")
    refused(DQN.resume, tmp_path / "none", "FileNotFoundError")


def test_settings_that_are_not_json_or_not_ours_are_refused(tmp_path):
    DQN(VECTOR, 2).save(tmp_path)
    file = tmp_path / "dqn.json"
    settings = json.loads(file.read_text())
    file.write_text("{")
    refused(DQN.load, tmp_path, "JSONDecodeError")
    file.write_text(json.dumps(settings | {"config": settings["config"] | {"gamma": 7}}))
    refused(DQN.load, tmp_path, r"ValueError: gamma must be in \[0, 1\], got 7")
    file.write_text(json.dumps(settings | {"config": settings["config"] | {"evil": 1}}))
    refused(DQN.load, tmp_path, "TypeError: .*evil")


def test_weights_of_another_shape_are_refused(tmp_path):
    DQN(VECTOR, 2, DQNConfig(head=(8,))).save(tmp_path / "agent")
    DQN(VECTOR, 2, DQNConfig(head=(9,))).save(tmp_path / "other")
    (tmp_path / "other" / "weights.safetensors").rename(tmp_path / "agent" / "weights.safetensors")
    refused(DQN.load, tmp_path / "agent", "size mismatch")


@pytest.mark.parametrize("part", ["adam.mean", "online.out.bias", "target.out.bias", "noise"])
def test_a_training_with_a_part_of_another_shape_or_without_it_is_refused(training, part):
    tensors, settings = checkpoints.read(training)
    checkpoints.write(training, tensors | {part: torch.zeros(3, dtype=tensors[part].dtype)}, settings)
    refused(DQN.resume, training, "Error: ")
    del tensors[part]
    checkpoints.write(training, tensors, settings)
    refused(DQN.resume, training, "Error: ")


def test_the_weights_of_an_agent_are_no_training(tmp_path):
    DQN(VECTOR, 2).save(tmp_path)
    refused(DQN.resume, tmp_path / "weights.safetensors", "Error: ")


def test_a_replay_of_another_size_is_refused_when_it_is_filled_again(training):
    tensors, settings = checkpoints.read(training)
    checkpoints.write(training, tensors | {"replay.rewards": torch.zeros(3)}, settings)
    with pytest.raises(ValueError, match=r"wanted .*'rewards': \(50000,\).*, the file has .*'rewards': \(3,\)"):
        DQN.resume(training).learn(mdp.vector(mdp.Chain, 2), 80)


def test_restoring_takes_the_same_names_and_shapes_only():
    into = {"a": torch.zeros(2), "b": torch.zeros(1)}
    checkpoints.restore(into, {"a": torch.ones(2), "b": torch.ones(1)})
    assert into["a"].tolist() == [1.0, 1.0]
    for wrong in ({"a": torch.ones(2)}, {"a": torch.ones(2), "b": torch.ones(2)}):
        with pytest.raises(ValueError, match=r"wanted \{'a': \(2,\), 'b': \(1,\)\}, the file has"):
            checkpoints.restore(into, wrong)


def test_a_training_killed_while_it_writes_leaves_the_last_file_whole(training, monkeypatch):
    before = training.read_bytes()

    def half(_tensors, path, _header):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("safetensors.torch.save_file", half)
    with pytest.raises(KeyboardInterrupt):
        DQN.resume(training).checkpoint(training)
    assert training.read_bytes() == before
    assert [path.name for path in training.parent.iterdir()] == ["training"]


def test_a_checkpoint_is_written_on_the_way_and_at_the_end(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(DQN, "checkpoint", lambda agent, file: written.append((agent.transitions, file)))
    agent = DQN(VECTOR, 2, DQNConfig(**SMALL), 1)
    agent.learn(mdp.vector(mdp.Chain, 1, mdp.AutoresetMode.SAME_STEP), 75, checkpoint=tmp_path, checkpoint_every=30)
    assert written == [(30, tmp_path), (60, tmp_path), (75, tmp_path)]
