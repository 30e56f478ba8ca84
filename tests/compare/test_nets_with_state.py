"""Nets with batch statistics in a comparison, as lanes, and as single runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optlab
from optlab import compare, data, models, problems

# The family of ResNet50V2 in its smallest form: a deeper net only compiles longer.
MODEL = {"name": "resnet50v2", "blocks": (1,), "width": 0.05, "momentum": 0.5}


@pytest.fixture(scope="module")
def images():
    """Two classes of images, brighter and darker."""
    random = np.random.default_rng(0)

    def split(n):
        targets = np.arange(n) % 2
        inputs = random.normal(size=(n, 6, 6, 3)) + targets[:, None, None, None]
        return inputs.astype(np.float32), targets.astype(np.int32)

    splits = {"train": split(24), "validation": split(8), "test": split(8)}
    return data.from_arrays("images", classes=2, **splits)


def test_lanes_of_rates_have_the_statistics_of_single_runs(images):
    options = {key: value for key, value in MODEL.items() if key != "name"}
    module = models.make(MODEL["name"], classes=2, **options)
    problem = problems.classification(module, images)

    @jax.jit
    def train(rate):
        run = optlab.train(problem, optlab.sgd(rate), epochs=2, batch_size=8)
        return run.params, run.model_state, run.history.evaluations["validation"]

    rates = jnp.array([0.01, 0.3])
    lanes = jax.jit(jax.vmap(train))(rates)
    singles = jax.tree.map(lambda *each: jnp.stack(each), *map(train, rates))
    jax.tree.map(
        lambda lane, single: np.testing.assert_allclose(
            lane, single, rtol=1e-3, atol=1e-4
        ),
        lanes,
        singles,
    )
    last = lanes[1]["batch_stats"]["BatchNorm_0"]
    assert not jnp.allclose(last["mean"][0], last["mean"][1], atol=1e-3)
    assert jnp.all(last["var"] != 1)


def test_a_comparison_trains_and_reports_them(images):
    recipe = {
        "data": {"name": "images"},
        "augment": {},
        "problem": "classification",
        "metric": None,
        "model": MODEL,
        "loss": {"name": "cross_entropy"},
        "optimizer": {"name": "sgd", "learning_rate": (0.01, 0.1)},
        "schedule": {"name": "constant"},
        "epochs": 4,
        "batch_size": 8,
    }
    contenders = compare.make_contenders(recipe, {"net": {}}, lambda settings: images)
    assert len(contenders[0].points) == 2  # lanes of one program
    protocol = compare.Protocol(tune_seeds=1, report_seeds=1, width=2)
    (entry,) = compare.compare(contenders, protocol)
    assert entry.report is not None
    losses = np.asarray(entry.report.evaluations["validation"]["loss"]).ravel()
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


def test_a_random_key_in_a_net_s_state_is_kept(images, tmp_path, monkeypatch):
    (tmp_path / "keyed_net.py").write_text("""
import flax.linen as nn
import jax

class Keyed(nn.Module):
    classes: int

    @nn.compact
    def __call__(self, inputs, train=False):
        key = self.variable("noise", "key", lambda: jax.random.key(3))
        if train and not self.is_initializing():
            key.value = jax.random.split(key.value)[0]
        return nn.Dense(self.classes)(inputs.reshape(len(inputs), -1))
""")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(compare.recipe, "load_dataset", lambda *_: images)
    recipe = {
        "data": {"name": "images"},
        "augment": {},
        "problem": "classification",
        "metric": None,
        "model": {"name": "keyed_net.Keyed"},
        "loss": {"name": "cross_entropy"},
    }
    problem = compare.recipe.make_problem(recipe, images)
    trained = optlab.train(problem, optlab.sgd(0.1), epochs=1, batch_size=8)
    about = compare.About("keyed", recipe, {}, 0, None)
    compare.save_trained(tmp_path / "net", trained, about)
    back = compare.load_trained(tmp_path / "net")
    key, start = back.model_state["noise"]["key"], jax.random.key(3)
    assert key == trained.model_state["noise"]["key"] != start
    assert back.evaluate("test") == trained.evaluate("test")
