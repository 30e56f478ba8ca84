"""Problems of each kind: their numbers, their metrics, and parts that do not fit."""

import dataclasses
import functools
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.metrics import r2_score

from optlab import data, losses, models, problems, training
from optlab.data import augment, from_arrays
from optlab.errors import InputError


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def dataset(inputs, targets, classes=None, **options):
    """A data set whose splits are all the same examples."""
    pair = inputs, targets
    return from_arrays(
        "toy", train=pair, validation=pair, test=pair, classes=classes, **options
    )


LABELS = np.arange(12) % 3
CLASSES = dataset(normal(0, 12, 4), LABELS, 3)
VALUES = dataset(normal(0, 12, 4), normal(1, 12, 2))
MLP = functools.partial(models.make, "mlp", hidden=())


def evaluated(problem, outputs=None):
    """Metrics of the test split for a model whose outputs are the given ones."""
    split = problem.dataset.test
    batch = problem.make_batch(split)
    if outputs is None:
        outputs = problem.outputs(*problem.init(jax.random.key(0)), batch.inputs)
    means = training.means_of(problem, jnp.asarray(outputs), batch.targets)
    return training.finish(problem, means)


# The kinds


def test_a_classification_counts_the_largest_outputs():
    problem = problems.classification(MLP(3), CLASSES)
    outputs = np.eye(3)[LABELS]
    outputs[:3] = outputs[:3, ::-1]  # 0 and 2 are exchanged: 2 of 12 are wrong
    found = evaluated(problem, outputs)
    np.testing.assert_allclose(found["accuracy"], 10 / 12, rtol=1e-6)
    right, wrong = -np.log(np.e / (np.e + 2)), -np.log(1 / (np.e + 2))
    np.testing.assert_allclose(found["loss"], (10 * right + 2 * wrong) / 12, rtol=1e-6)
    assert problem.residuals is None
    accuracy, loss = problem.metrics
    assert accuracy.name == "accuracy"
    assert accuracy.higher
    assert accuracy.percent
    assert (loss.name, loss.higher, loss.percent) == ("loss", False, False)


def test_a_classification_by_squared_error_has_residuals():
    loss = losses.make("squared_error")
    problem = problems.classification(MLP(3), CLASSES, loss=loss)
    outputs = normal(2, 12, 3)
    expected = 0.5 * ((outputs - np.eye(3)[LABELS]) ** 2).sum(-1).mean()
    residuals = problem.residuals(jnp.asarray(outputs), LABELS)
    np.testing.assert_allclose(0.5 * jnp.sum(residuals**2), expected, rtol=1e-5)
    np.testing.assert_allclose(evaluated(problem, outputs)["loss"], expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(), (1,), (2,)], ids=["[n]", "[n, 1]", "[n, 2]"])
def test_a_regression_is_judged_as_scikit_learn_does(monkeypatch, shape):
    """In several batches with a remainder, and far from zero, where digits cancel."""
    scales = np.float32([1, 3])[: shape[0]] if shape else 1
    targets = 1000 + scales * normal(1, 37, *shape)
    shifts = normal(2, 37, *shape)
    toy = dataset(normal(0, 37, 4), targets)
    problem = problems.regression(MLP(problems.outputs_of("regression", toy)), toy)
    outputs = jnp.asarray(targets + 0.5 * shifts)

    def load(indices):
        return problems.Batch(indices, jnp.asarray(targets)[indices])

    given = dataclasses.replace(
        problem, outputs=lambda _, __, indices: outputs[indices]
    )
    monkeypatch.setattr(training.evaluation, "EVALUATION_BATCH", 16)
    found = training.evaluate(given, {}, {}, load, examples=37)
    expected = r2_score(targets, outputs, multioutput="variance_weighted")
    np.testing.assert_allclose(found["R2"], expected, rtol=1e-3)
    mse = ((np.asarray(outputs) - targets) ** 2).mean()
    np.testing.assert_allclose(found["mse"], mse, rtol=1e-3)
    assert [metric.name for metric in problem.metrics] == ["mse", "R2", "loss"]
    assert [metric.higher for metric in problem.metrics] == [False, True, False]


def test_an_autoencoder_wants_its_inputs():
    images = dataset(normal(0, 6, 2, 3, 1), LABELS[:6], 3)
    net = models.make("autoencoder", classes=6, hidden=(5,), code=2)
    problem = problems.autoencoder(net, images)
    assert problems.outputs_of("autoencoder", images) == 6
    batch = problem.make_batch(images.train)
    np.testing.assert_array_equal(batch.targets, batch.inputs.reshape(6, 6))
    found = evaluated(problem, np.zeros((6, 6)))
    np.testing.assert_allclose(found["mse"], 1, rtol=1e-5)  # standardized
    np.testing.assert_allclose(found["loss"], 3, rtol=1e-5)  # half of six numbers


def test_a_denoising_autoencoder_wants_clean_inputs():
    images = dataset(normal(0, 6, 4), LABELS[:6], 3)
    net = models.make("autoencoder", classes=4, hidden=(5,), code=2)
    noise = augment.make({"noise": {"std": 0.5}})
    problem = problems.autoencoder(net, images, augment=noise)
    keys = jax.random.split(jax.random.key(0), 6)
    clean, noisy = (problem.make_batch(images.train, k) for k in (None, keys))
    np.testing.assert_array_equal(noisy.targets, clean.inputs)
    assert (noisy.inputs != clean.inputs).all()
    np.testing.assert_array_equal(clean.targets, clean.inputs)


def test_sequences_of_indices_are_learnt():
    topics = data.load("topics")
    net = models.make("embedding_mlp", classes=4, vocabulary=50)
    problem = problems.classification(net, topics)
    batch = problem.make_batch(jax.tree.map(lambda x: x[:3], topics.train))
    np.testing.assert_array_equal(batch.inputs, topics.train.inputs[:3])  # as stored
    trained = training.train(problem, optax.adam(0.02), epochs=3, batch_size=64)
    accuracies = trained.history.evaluations["validation"]["accuracy"]
    assert accuracies[0] < 0.4 < 0.6 < accuracies[-1]


# Models


class Pair:
    """A model that is two functions; its bias has the noise of its key in training."""

    def init(self, key, inputs):
        return {"w": jax.random.normal(key, (inputs.shape[1], 3))}

    def apply(self, params, inputs, train, key=None):
        noise = jax.random.normal(key, (3,)) if train else 0.0
        return inputs @ params["w"] + noise


def test_a_pair_of_functions_is_a_model():
    problem = problems.classification(Pair(), CLASSES)
    params, state = problem.init(jax.random.key(0))
    assert params["w"].shape == (4, 3)
    assert state == {}
    inputs, key = jnp.asarray(normal(3, 5, 4)), jax.random.key(1)
    exact = inputs @ params["w"]
    outputs, after = problem.train_outputs(params, state, inputs, key)
    noise = jax.random.normal(key, (3,))
    np.testing.assert_allclose(outputs, exact + noise, rtol=1e-5, atol=1e-6)
    assert after == {}
    found = problem.outputs(params, state, inputs)
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-6)


class Normalized(nn.Module):
    """Dense, batch norm, dropout: all the state and randomness that a net can have."""

    @nn.compact
    def __call__(self, inputs, train=False):
        x = nn.Dense(8)(inputs)
        x = nn.BatchNorm(use_running_average=not train, momentum=0.5)(x)
        x = nn.Dropout(0.5, deterministic=not train)(x)
        return nn.Dense(3)(x)


def test_batch_statistics_are_apart_and_move_in_training_only():
    problem = problems.classification(Normalized(), CLASSES)
    params, state = problem.init(jax.random.key(0))
    assert set(params) == {"Dense_0", "BatchNorm_0", "Dense_1"}
    assert set(state) == {"batch_stats"}
    inputs = jnp.asarray(normal(3, 6, 4))
    run = functools.partial(problem.train_outputs, params, state, inputs)
    (one, after), (same, _), (other, _) = (run(jax.random.key(i)) for i in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not jnp.allclose(one, other)  # another dropout
    hidden = inputs @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]
    found = after["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(
        found["mean"], 0.5 * hidden.mean(0), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(found["var"], 0.5 + 0.5 * hidden.var(0), rtol=1e-4)
    # Evaluation draws nothing and takes nothing from the batch.
    outputs = problem.outputs(params, state, inputs)
    alone = problem.outputs(params, state, inputs[:1])
    np.testing.assert_allclose(alone, outputs[:1], rtol=1e-4, atol=1e-6)
    assert not jnp.allclose(problem.outputs(params, after, inputs), outputs)


def linen(call):
    return type("Net", (nn.Module,), {"__call__": nn.compact(call)})()


def plain(self, inputs):
    return nn.Dense(3)(inputs)


def without_default(self, inputs, train):
    return nn.Dense(3)(nn.Dropout(0.5, deterministic=not train)(inputs))


def training_(self, inputs, training=False):
    return nn.Dense(3)(nn.Dropout(0.5, deterministic=not training)(inputs))


def deterministic_(self, inputs, deterministic=True):
    return nn.Dense(3)(nn.Dropout(0.5, deterministic=deterministic)(inputs))


def handed_on(self, inputs, **options):
    return linen(without_default)(inputs, **options)


@pytest.mark.parametrize(
    ("module", "drops"),
    [
        (linen(plain), False),
        (nn.Sequential([nn.Dense(4), nn.tanh, nn.Dense(3)]), False),
        (linen(without_default), True),
        (linen(training_), True),
        (linen(deterministic_), True),
        (linen(handed_on), True),
    ],
    ids=["none", "sequential", "train", "training", "deterministic", "keywords"],
)
def test_a_module_is_told_in_its_own_words_that_it_trains(module, drops):
    problem = problems.classification(module, CLASSES)
    params, state = problem.init(jax.random.key(0))
    inputs = jnp.asarray(normal(3, 6, 4))
    outputs, _ = problem.train_outputs(params, state, inputs, jax.random.key(1))
    evaluated = problem.outputs(params, state, inputs)
    assert bool((outputs != evaluated).any()) == drops


def test_a_module_draws_from_a_stream_of_any_name():
    class Noisy(nn.Module):
        @nn.compact
        def __call__(self, x, train=False):
            x = nn.Dense(3)(x)
            if train:
                x = x + jax.random.normal(self.make_rng("noise"), x.shape)
            return x

    problem = problems.classification(Noisy(), CLASSES)
    params, state = problem.init(jax.random.key(0))
    inputs = jnp.asarray(normal(3, 6, 4))
    one, two = (
        problem.train_outputs(params, state, inputs, jax.random.key(i))[0]
        for i in (1, 2)
    )
    assert not jnp.allclose(one, two)


def test_a_tuple_of_two_functions_is_a_model():
    pair = Pair().init, lambda params, inputs: inputs @ params["w"]
    trained = training.train(
        problems.classification(pair, CLASSES), optax.adam(0.1), epochs=1, batch_size=4
    )
    assert trained.params["w"].shape == (4, 3)


def test_the_key_decides_the_parameters():
    problem = problems.classification(MLP(3), CLASSES)
    one, same, other = (
        problem.init(jax.random.key(i))[0]["Dense_0"]["kernel"] for i in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).all()


def test_a_problem_is_a_static_argument():
    """Equal to itself alone: a second data set is never taken for the first."""
    one, other = (problems.classification(MLP(3), CLASSES) for _ in range(2))
    assert one == one
    assert one != other
    assert len({one, other}) == 2


# What decides


def test_another_metric_may_decide():
    problem = problems.regression(MLP(2), VALUES)
    for name in ("R2", "loss", "mse"):
        found = problems.decided_by(problem, name)
        assert found.metrics[0].name == name
        assert {m.name for m in found.metrics} == {"mse", "R2", "loss"}
    with pytest.raises(InputError, match="no metric 'acuracy'; known: R2, loss, mse"):
        problems.decided_by(problem, "acuracy")


# What does not fit together


TREE = {"a": normal(0, 12, 4), "b": normal(1, 12, 4)}


@pytest.mark.parametrize(
    ("kind", "model", "toy", "message"),
    [
        ("classification", MLP(4), CLASSES, "gives 4 outputs an example where 3 are"),
        ("regression", MLP(1), VALUES, "gives 1 outputs an example where 2 are"),
        ("autoencoder", MLP(3), CLASSES, "gives 3 outputs an example where 4 are"),
        ("classification", MLP(2), VALUES, "toy has no classes: .* 'regression'"),
        ("regression", MLP(3), CLASSES, "targets of a regression .* not int32"),
        ("autoencoder", MLP(4), dataset(TREE, LABELS), "of an autoencoder .* not dict"),
        ("classification", models.make("cnn", 3), CLASSES, r"cnn: .*shape \(4,\)"),
        (
            "classification",
            nn.Embed(5, 3),
            CLASSES,
            r"cannot take inputs of shape \(4,\)",
        ),
        ("classification", MLP(3), dataset(TREE, LABELS, 3), "cannot take inputs of"),
        ("classification", len, CLASSES, "is no model: give a flax.linen module"),
        ("classification", (len,), CLASSES, "tuple is no model: .* pair of functions"),
        ("classification", Pair, CLASSES, "the class Pair is no model: give an inst"),
        ("classification", CLASSES, MLP(3), "MLP is no data set: make one by data.lo"),
    ],
)
def test_what_does_not_fit_is_one_line(kind, model, toy, message):
    with pytest.raises(InputError, match=message) as raised:
        problems.PROBLEMS[kind](model, toy)
    assert "\n" not in str(raised.value)


def test_an_unknown_kind_is_one_line():
    with pytest.raises(InputError, match="did you mean regression"):
        problems.outputs_of("regresion", VALUES)


@pytest.mark.parametrize(
    ("of", "message"),
    [
        (lambda outputs, targets: (outputs - targets) ** 2, r"gives \(2, 2\) for n=2"),
        (lambda outputs, targets: jnp.mean(outputs), r"gives \(\) for n=2"),
    ],
    ids=["not summed", "averaged"],
)
def test_a_loss_gives_one_number_an_example(of, message):
    with pytest.raises(InputError, match=message):
        problems.regression(MLP(2), VALUES, loss=losses.Loss(of))


def test_a_bare_function_is_no_loss():
    with pytest.raises(InputError, match=r"a function, no Loss: .*losses\.Loss\(func"):
        problems.regression(MLP(2), VALUES, loss=lambda outputs, targets: outputs)  # pyright: ignore


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("inputs.shpae", AttributeError),
        ("int('x')", ValueError),
        ("len(3)", TypeError),
        ("{}['x']", KeyError),
    ],
)
def test_a_bug_of_the_model_keeps_its_own_traceback(
    tmp_path, monkeypatch, line, expected
):
    (tmp_path / "buggy_model.py").write_text(
        "class Model:\n"
        "    def init(self, key, inputs):\n"
        "        return {}\n"
        "    def apply(self, params, inputs):\n"
        f"        return {line}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "buggy_model", raising=False)
    model = models.make("buggy_model.Model", classes=3)
    with pytest.raises(expected) as raised:
        problems.classification(model, CLASSES)
    assert raised.type is expected
    assert raised.traceback[-1].path == tmp_path / "buggy_model.py"
