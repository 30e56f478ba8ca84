"""The step is optax's own step, the epoch a loop of steps, the evaluation a mean."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optlab import models, problems, training
from optlab.errors import InputError
from optlab.problems import Batch


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


BATCH = Batch(normal(0, 8, 4), jnp.arange(8) % 3)
KEY = jax.random.key(5)


@functools.cache
def mlp():
    return problems.classification(models.make("mlp", classes=3, hidden=(6,)), (4,))


@functools.cache
def line():
    module = models.make("mlp", classes=1, hidden=())
    return problems.regression(module, (4,))


LINE_BATCH = Batch(normal(0, 8, 4), normal(1, 8, 1))


@functools.cache
def normalized():
    return problems.classification(Normalized(), (4,))


class Normalized(nn.Module):
    """A net with batch statistics and dropout."""

    @nn.compact
    def __call__(self, inputs, train=False):
        x = nn.BatchNorm(use_running_average=not train, momentum=0.5)(inputs)
        return nn.Dense(3)(nn.Dropout(0.5, deterministic=not train)(x))


@functools.cache
def model_of(problem):
    return jax.jit(problem.init)(jax.random.key(0))


def init(problem, tx):
    """What ``training.init`` gives, without its compile in every test."""
    params, model_state = model_of(problem)
    return training.TrainState(jnp.int32(0), params, model_state, tx.init(params))


def assert_same_bits(found, expected):
    jax.tree.map(np.testing.assert_array_equal, found, expected)


# One step


def test_the_start_is_the_problem_s_and_the_optimizer_s():
    tx = optax.adam(0.1)
    found = jax.jit(lambda key: training.init(mlp(), tx, key))(jax.random.key(0))
    assert_same_bits(found, init(mlp(), tx))


@pytest.mark.parametrize("tx", [optax.sgd(0.1), optax.adamw(0.1)], ids=["sgd", "adamw"])
def test_a_step_is_a_step_written_by_hand(tx):
    problem = mlp()
    state = init(problem, tx)

    @jax.jit
    def by_hand(params, opt_state):
        def loss_fn(params):
            logits = problem.outputs(params, {}, BATCH.inputs)
            log_shares = optax.softmax_cross_entropy_with_integer_labels
            return log_shares(logits, BATCH.targets).mean(), logits

        (loss, logits), grad = jax.value_and_grad(loss_fn, has_aux=True)(params)
        updates, opt_state = tx.update(grad, opt_state, params)
        right = (logits.argmax(-1) == BATCH.targets).mean()
        return optax.apply_updates(params, updates), opt_state, loss, right

    step = jax.jit(training.make_step(problem, tx))
    params, opt_state = state.params, state.opt_state
    for number in range(1, 4):
        state, metrics = step(state, BATCH, KEY)
        params, opt_state, loss, right = by_hand(params, opt_state)
        assert state.step == number
        assert_same_bits(state.params, params)
        assert_same_bits(state.opt_state, opt_state)
        assert_same_bits(metrics, training.Metrics(loss, right))


def recording(record):
    """A transformation that hands ``record`` what it was given and changes nothing."""

    def update(updates, state, params=None, **arguments):
        record(updates, params, **arguments)
        return jax.tree.map(jnp.zeros_like, updates), state

    return optax.GradientTransformationExtraArgs(lambda _: optax.EmptyState(), update)


def test_an_optimizer_gets_all_that_the_problem_has():
    problem, given = mlp(), {}

    def record(updates, params, **arguments):
        given.update(arguments)
        assert arguments["grad"] is updates
        assert arguments["full_params"] is params
        # Each function is of this batch, and they agree with one another.
        value_fn = arguments["value_fn"]
        outputs = arguments["output_fn"](params)
        np.testing.assert_allclose(value_fn(params), arguments["value"], rtol=1e-6)
        loss = arguments["output_loss_fn"](outputs)
        np.testing.assert_allclose(loss, arguments["value"], rtol=1e-6)
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7),
            jax.grad(value_fn)(params),
            updates,
        )

    tx = recording(record)
    training.make_step(problem, tx)(init(problem, tx), BATCH, KEY)
    functions = {"value_fn", "output_fn", "output_loss_fn"}
    assert set(given) == functions | {"value", "grad", "full_params"}


def test_a_sum_of_squares_also_hands_over_its_residuals():
    problem, given = line(), {}

    def record(updates, params, **arguments):
        given.update(arguments)
        half_square = 0.5 * jnp.sum(arguments["residual_fn"](params) ** 2)
        np.testing.assert_allclose(half_square, arguments["value"], rtol=1e-6)

    tx = recording(record)
    training.make_step(problem, tx)(init(problem, tx), LINE_BATCH, KEY)
    assert "residual_fn" in given


def test_every_function_has_the_dropout_of_the_step():
    """A line search that drew new dropout in each evaluation would search in noise."""
    problem = normalized()

    def record(updates, params, *, value, value_fn, output_fn, output_loss_fn, **_):
        for found in (value_fn(params), output_loss_fn(output_fn(params))):
            np.testing.assert_allclose(found, value, rtol=1e-6)

    tx = recording(record)
    training.make_step(problem, tx)(init(problem, tx), BATCH, KEY)


@pytest.mark.parametrize("problem", [mlp, line])
def test_lbfgs_trains_through_the_step(problem):
    batch = {mlp: BATCH, line: LINE_BATCH}[problem]
    problem, tx = problem(), optax.lbfgs(memory_size=4)
    state, losses = init(problem, tx), []
    step = jax.jit(training.make_step(problem, tx))
    for _ in range(12):
        state, metrics = step(state, batch, KEY)
        losses.append(float(metrics.loss))
    assert (np.diff(losses) <= 1e-6).all()  # a line search never goes up
    assert losses[-1] < 0.6 * losses[0]


def test_batch_statistics_and_dropout_pass_through():
    problem, tx = normalized(), optax.sgd(0.1)
    state = init(problem, tx)
    step = jax.jit(training.make_step(problem, tx))
    after, _ = step(state, BATCH, KEY)
    found = after.model_state["batch_stats"]["BatchNorm_0"]["mean"]
    np.testing.assert_allclose(found, 0.5 * BATCH.inputs.mean(0), rtol=1e-5, atol=1e-7)
    assert_same_bits(after, step(state, BATCH, KEY)[0])
    other, _ = step(state, BATCH, jax.random.key(6))
    assert_same_bits(other.model_state, after.model_state)
    assert not jnp.array_equal(
        *(each.params["Dense_0"]["kernel"] for each in (after, other))
    )


# Under pmap, by name of the axis


def test_with_an_axis_the_shares_of_a_batch_are_averaged():
    problem, tx = mlp(), optax.adam(0.1)
    state = init(problem, tx)
    whole, metrics = jax.jit(training.make_step(problem, tx))(state, BATCH, KEY)
    shares = jax.tree.map(lambda x: x.reshape(2, 4, *x.shape[1:]), BATCH)
    step = training.make_step(problem, tx, axis_name="data")
    shared, share_metrics = jax.jit(jax.vmap(step, (None, 0, None), axis_name="data"))(
        state, shares, KEY
    )
    twice = jax.tree.map(lambda x: jnp.stack([x, x]), (whole.params, metrics))
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
    jax.tree.map(close, (shared.params, share_metrics), twice)


def test_with_an_axis_no_function_is_handed_over_and_lbfgs_is_refused():
    problem, given = mlp(), {}
    tx = recording(lambda _, __, **arguments: given.update(arguments))
    step = training.make_step(problem, tx, axis_name="data")
    shares = jax.tree.map(lambda x: x.reshape(2, 4, *x.shape[1:]), BATCH)
    run = jax.vmap(step, (None, 0, None), axis_name="data")
    jax.eval_shape(run, init(problem, tx), shares, KEY)
    assert set(given) == {"value", "grad", "full_params"}

    tx = optax.lbfgs()
    step = training.make_step(problem, tx, axis_name="data")
    run, start = jax.vmap(step, (None, 0, None), axis_name="data"), init(problem, tx)
    with pytest.raises(InputError, match=r"value_fn.* under pmap .*: use jit"):
        jax.eval_shape(run, start, shares, KEY)


# An epoch


@pytest.mark.parametrize(("examples", "batch_size"), [(7, 3), (6, 3), (5, 1), (4, 4)])
def test_an_epoch_sees_an_example_once_at_most(examples, batch_size):
    order = training.epoch_order(KEY, examples, batch_size)
    assert order.shape == (examples // batch_size, batch_size)
    assert order.dtype == jnp.int32
    assert len(set(order.ravel().tolist())) == order.size
    assert set(order.ravel().tolist()) <= set(range(examples))


def test_the_last_of_the_shuffle_sit_out_not_the_last_of_the_data():
    seen = [training.epoch_order(jax.random.key(i), 4, 3).ravel() for i in range(20)]
    assert {example for order in seen for example in order.tolist()} == {0, 1, 2, 3}
    assert len({tuple(order.tolist()) for order in seen}) > 10


def test_a_scanned_epoch_is_a_loop_of_steps():
    problem, tx = normalized(), optax.adam(0.1)
    state = init(problem, tx)
    inputs, targets = normal(3, 12, 4), jnp.arange(12) % 3
    step = jax.jit(training.make_step(problem, tx))

    def load_batch(numbers, key):  # a key that is used, as an augmentation does
        noise = jax.random.normal(key, (len(numbers), 4))
        return Batch(inputs[numbers] + 0.1 * noise, targets[numbers])

    order = training.epoch_order(KEY, 12, 5)
    epoch = jax.jit(functools.partial(training.scan_epoch, step, load_batch))
    scanned, metrics = epoch(state, order, KEY)
    assert metrics.loss.shape == metrics.accuracy.shape == (2,)
    for i, key in enumerate(jax.random.split(KEY, 2)):
        load_key, step_key = jax.random.split(key)
        state, of_step = step(state, load_batch(order[i], load_key), step_key)
        np.testing.assert_allclose(metrics.loss[i], of_step.loss, rtol=1e-6)
        assert metrics.accuracy[i] == of_step.accuracy
    assert scanned.step == state.step == 2
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    jax.tree.map(close, scanned, state)


# Evaluation


@pytest.mark.parametrize("batch_size", [1, 4, 10, 11, 256])
def test_a_partial_last_batch_does_not_bend_the_mean(batch_size):
    problem = mlp()
    params, _ = problem.init(jax.random.key(0))
    inputs, targets = normal(3, 11, 4), jnp.arange(11) % 3
    outputs = problem.outputs(params, {}, inputs)
    found = training.evaluate(
        functools.partial(problem.outputs, params, {}),
        problem,
        lambda numbers: Batch(inputs[numbers], targets[numbers]),
        examples=11,
        batch_size=batch_size,
    )
    expected = problem.loss(outputs, targets).mean()
    np.testing.assert_allclose(found.loss, expected, rtol=1e-6)
    right = problem.accuracy(outputs, targets).mean()
    np.testing.assert_allclose(found.accuracy, right, rtol=1e-6)
