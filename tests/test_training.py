"""The step is the formula, a run a loop of steps, an evaluation a plain mean."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optlab
from optlab import losses, models, problems, training
from optlab.data import augment, from_arrays
from optlab.errors import InputError

#: Programs of the same formulas add in other orders; 12 steps of small nets that have
#: no kink agree to this.
close = functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-4)

KEY = jax.random.key(5)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def dataset(classes=None):
    """26 examples to train on, 11 to validate on: neither is a whole number of 4."""

    def pair(seed, n):
        inputs = normal(seed, n, 4)
        if classes:
            return inputs, np.digitize(inputs[:, 0] * inputs[:, 1], [-0.3, 0.3])
        return inputs, inputs @ normal(9, 4) + 0.1 * normal(seed + 10, n)

    parts = {"train": pair(0, 26), "validation": pair(1, 11), "test": pair(2, 7)}
    return from_arrays("toy", classes=classes, **parts)


class Normalized(nn.Module):
    """A net with batch statistics and dropout."""

    @nn.compact
    def __call__(self, inputs, train=False):
        x = nn.BatchNorm(use_running_average=not train, momentum=0.5)(inputs)
        return nn.Dense(3)(nn.Dropout(0.5, deterministic=not train)(x))


class Line:
    """Outputs x @ w without an offset."""

    def init(self, key, inputs):
        return {"w": jax.random.normal(key, (inputs.shape[1], 1))}

    def apply(self, params, inputs):
        return inputs @ params["w"]


@functools.cache
def problem(kind):
    net = models.make("mlp", classes=3, hidden=(6,), activation="tanh")
    if kind == "line":
        return problems.regression(Line(), dataset())
    if kind == "curve":
        net = models.make("mlp", classes=1, hidden=(6,), activation="tanh")
        return problems.regression(net, dataset())
    if kind == "normalized":
        noise = augment.make({"noise": {"std": 0.1}})
        return problems.classification(Normalized(), dataset(3), augment=noise)
    loss = losses.make("squared_error") if kind == "squares" else None
    return problems.classification(net, dataset(3), loss=loss)


def batch_of(problem, n=8):
    stored = jax.tree.map(lambda x: jnp.asarray(x[:n]), problem.dataset.train)
    return problem.make_batch(stored)


def assert_close(found, expected):
    jax.tree.map(close, found, expected)


def assert_same_bits(found, expected):
    jax.tree.map(np.testing.assert_array_equal, found, expected)


# One step


def test_a_step_is_the_formula():
    """w - eta x^T (x w - t) / m, and the metrics of before, in float64."""
    line, rate = problem("line"), 0.1
    state = training.init(line, optax.sgd(rate), KEY)
    batch = batch_of(line)
    x, t = np.float64(batch.inputs), np.float64(batch.targets)[:, None]
    w = np.float64(state.params["w"])
    step = jax.jit(training.make_step(line, optax.sgd(rate)))
    for count in (1, 2, 3):
        state, metrics = step(state, batch, KEY)
        error = x @ w - t
        mse = (error**2).mean()
        assert state.step == count
        np.testing.assert_allclose(metrics["loss"], mse / 2, rtol=1e-4)
        np.testing.assert_allclose(metrics["mse"], mse, rtol=1e-4)
        np.testing.assert_allclose(metrics["R2"], 1 - mse / t.var(), rtol=1e-3)
        w -= rate * x.T @ error / len(x)
        np.testing.assert_allclose(state.params["w"], w, rtol=1e-4)


def recording(record):
    """A transformation whose state is a record of its arguments; it moves nothing."""

    def update(updates, state, params=None, **arguments):
        return jax.tree.map(jnp.zeros_like, updates), record(params, **arguments)

    return optax.GradientTransformationExtraArgs(lambda _: None, update)


@pytest.mark.parametrize("kind", ["squares", "normalized"])
def test_an_optimizer_gets_all_that_the_problem_has(kind):
    """Its functions are of this batch with the step's dropout, and they agree."""
    this, given = problem(kind), {}

    def record(params, *, residual_fn=None, **arguments):
        given.update(arguments, **({"residual_fn": residual_fn} if residual_fn else {}))
        value_fn = arguments["value_fn"]
        outputs = arguments["output_fn"](params)
        values = [value_fn(params), arguments["obj_fn"](params)]
        values.append(arguments["output_loss_fn"](outputs))
        if residual_fn:
            values.append(0.5 * jnp.sum(residual_fn(params) ** 2))
        plain = {key: arguments[key] for key in ("value", "grad", "full_params")}
        return plain, values, jax.grad(value_fn)(params)

    tx = recording(record)
    state, batch = training.init(this, tx, KEY), batch_of(this)
    after, metrics = jax.jit(training.make_step(this, tx))(state, batch, KEY)
    plain, values, grad = after.opt_state
    assert_close(plain["value"], metrics["loss"])
    assert_close(values, [plain["value"]] * len(values))
    assert_close(plain["grad"], grad)
    assert_same_bits(plain["full_params"], state.params)
    functions = {"value_fn", "obj_fn", "output_fn", "output_loss_fn"}
    functions |= {"residual_fn"} if kind == "squares" else set()
    assert set(given) == functions | {"value", "grad", "full_params"}


def test_batch_statistics_and_dropout_pass_through():
    this, tx = problem("normalized"), optax.sgd(0.1)
    state, batch = training.init(this, tx, KEY), batch_of(this)
    step = jax.jit(training.make_step(this, tx))
    after, _ = step(state, batch, KEY)
    found = after.model_state["batch_stats"]["BatchNorm_0"]["mean"]
    assert_close(found, 0.5 * batch.inputs.mean(0))
    assert_same_bits(after, step(state, batch, KEY)[0])
    other, _ = step(state, batch, jax.random.key(6))
    assert_same_bits(other.model_state, after.model_state)
    kernels = [each.params["Dense_0"]["kernel"] for each in (after, other)]
    assert not jnp.allclose(*kernels)


def test_accumulation_around_a_second_order_method_is_refused():
    def twice(tx):
        return optax.MultiSteps(tx, 2).gradient_transformation()

    curve = problem("curve")
    with pytest.raises(InputError, match="MultiSteps averages gradients only"):
        training.train(
            curve, twice(optlab.levenberg_marquardt()), epochs=1, batch_size=8
        )
    training.init(curve, twice(optax.sgd(0.1)), KEY)


# Under pmap, by the name of its axis


def over_shares(this, tx):
    """A step that is mapped over two halves of a batch."""
    step = training.make_step(this, tx, axis_name="data")
    shares = jax.tree.map(lambda x: x.reshape(2, 4, *x.shape[1:]), batch_of(this))
    run = jax.vmap(step, (None, 0, None), axis_name="data")
    return jax.jit(lambda state: run(state, shares, KEY))


def test_with_an_axis_the_shares_of_a_batch_are_averaged():
    this, tx = problem("classes"), optax.sgd(0.1)
    state = training.init(this, tx, KEY)
    step = jax.jit(training.make_step(this, tx))
    whole, metrics = step(state, batch_of(this), KEY)
    shared, share_metrics = over_shares(this, tx)(state)
    twice = jax.tree.map(lambda x: jnp.stack([x, x]), (whole.params, metrics))
    assert_close((shared.params, share_metrics), twice)


def test_with_an_axis_no_function_is_handed_over():
    this, given = problem("classes"), {}
    tx = recording(lambda _, **arguments: given.update(arguments))
    jax.eval_shape(over_shares(this, tx), training.init(this, tx, KEY))
    assert set(given) == {"value", "grad", "full_params"}
    for tx in (optax.lbfgs(), optlab.newton_cg()):
        state = training.init(this, tx, KEY)
        with pytest.raises(InputError, match=r"under pmap .*: use jit"):
            jax.eval_shape(over_shares(this, tx), state)


# An epoch


@pytest.mark.parametrize(("examples", "batch_size"), [(7, 3), (6, 3), (5, 1), (4, 4)])
def test_an_epoch_sees_an_example_once_at_most(examples, batch_size):
    order = training.epoch_order(KEY, examples, batch_size)
    assert order.shape == (examples // batch_size, batch_size)
    assert order.dtype == jnp.int32
    assert len(set(order.ravel().tolist())) == order.size
    assert set(order.ravel().tolist()) <= set(range(examples))


def test_the_remainder_is_of_the_shuffle_not_of_the_data():
    seen = [training.epoch_order(jax.random.key(i), 4, 3).ravel() for i in range(20)]
    assert {example for order in seen for example in order.tolist()} == {0, 1, 2, 3}
    assert len({tuple(order.tolist()) for order in seen}) > 10


# Evaluation


@pytest.mark.parametrize(("most", "shares"), [(1, 1), (4, 1), (4, 3), (256, 1)])
def test_a_partial_last_batch_does_not_bend_the_mean(monkeypatch, most, shares):
    monkeypatch.setattr(training.evaluation, "EVALUATION_BATCH", most)
    this = problem("classes")
    split = jax.tree.map(jnp.asarray, this.dataset.validation)
    params, state = this.init(KEY)
    load = functools.partial(training.gather, this, split)
    found = training.evaluate(this, params, state, load, 11, shares)
    outputs = this.outputs(params, state, this.make_batch(split).inputs)
    expected = {
        "loss": this.loss(outputs, split.targets).mean(),
        "accuracy": (outputs.argmax(-1) == split.targets).mean(),
    }
    assert_close(found, expected)
    assert_close(training.evaluate_split(this, params, state, split), expected)


# A run


def by_hand(this, tx, seed, epochs, batch_size):
    """The same run as a loop of steps; returns states after epochs and all losses."""
    split = jax.tree.map(jnp.asarray, this.dataset.train)
    steps = len(split.targets) // batch_size
    init_key, train_key = jax.random.split(jax.random.key(seed))
    params, model_state = this.init(init_key)
    state, values = tx.init(params), []
    points = [(params, model_state, state)]

    @jax.jit
    def step(params, model_state, state, indices, key):
        load_key, step_key = jax.random.split(key)
        inputs, targets = jax.tree.map(lambda x: x[indices], split)
        inputs = this.dataset.prepare(inputs)
        if this.augment:
            inputs = this.augment(jax.random.split(load_key, batch_size), inputs)

        def loss_of(params):
            outputs, after = this.train_outputs(params, model_state, inputs, step_key)
            return this.loss(outputs, targets).mean(), after

        (loss, after), grad = jax.value_and_grad(loss_of, has_aux=True)(params)
        updates, state = tx.update(grad, state, params)
        return optax.apply_updates(params, updates), after, state, loss

    for epoch in range(epochs):
        order_key, key = jax.random.split(jax.random.fold_in(train_key, epoch))
        order = jax.random.permutation(order_key, len(split.targets))
        batches = order[: steps * batch_size].reshape(steps, batch_size)
        keys = jax.random.split(key, steps)
        for indices, key in zip(batches, keys, strict=True):
            *now, loss = step(params, model_state, state, indices, key)
            params, model_state, state = now
            values.append(loss)
        points.append((params, model_state, state))
    return points, jnp.stack(values)


def evaluated(this, params, model_state, split="validation"):
    return training.evaluate_split(
        this, params, model_state, getattr(this.dataset, split)
    )


@pytest.mark.parametrize("kind", ["line", "normalized"])
def test_a_run_is_a_loop_of_steps(kind):
    this, tx = problem(kind), optax.adamw(0.05)
    trained = training.train(this, tx, seed=3, epochs=2, batch_size=4)
    points, values = by_hand(this, tx, 3, 2, 4)
    assert trained.history.steps["loss"].shape == (2 * 6,)
    assert_close(trained.history.steps["loss"], values)
    assert_close((trained.params, trained.model_state), points[-1][:2])
    for i, (params, model_state, _) in enumerate(points):
        found = jax.tree.map(
            lambda x, i=i: x[i], trained.history.evaluations["validation"]
        )
        assert_close(found, evaluated(this, params, model_state))
    test = evaluated(this, *points[-1][:2], "test")
    assert_close(trained.evaluate("test"), test)


@jax.jit
def run(rate, seed):
    return training.train(
        problem("normalized"), optax.adam(rate), seed=seed, epochs=2, batch_size=4
    )


RATES, SEEDS = jnp.array([0.01, 0.1]), jnp.array([0, 7], jnp.uint32)


@pytest.fixture(scope="module")
def single_runs():
    """Rates x seeds, one after another, by one program: both are traced."""
    runs = {(i, j): run(RATES[i], SEEDS[j]) for i in (0, 1) for j in (0, 1)}
    assert run._cache_size() == 1
    return runs


def test_a_run_under_jit_is_the_run(single_runs):
    tx = optax.adam(0.1)
    alone, again = (
        training.train(problem("normalized"), tx, seed=7, epochs=2, batch_size=4)
        for _ in range(2)
    )
    assert_close(single_runs[1, 1], alone)
    assert_same_bits(again, alone)


def test_rate_and_seed_decide_the_run(single_runs):
    for i, j in ([(0, 0), (0, 1)], [(0, 0), (1, 0)]):
        steps = [single_runs[at].history.steps["loss"] for at in (i, j)]
        assert not jnp.allclose(*steps, rtol=0.01)


def test_runs_under_vmap_are_the_runs(single_runs):
    found = jax.vmap(jax.vmap(run, (None, 0)), (0, None))(RATES, SEEDS)
    metrics = jax.vmap(jax.vmap(lambda trained: trained.evaluate("test")))(found)
    for place, single in single_runs.items():
        assert_close(jax.tree.map(lambda x, at=place: x[at], found), single)
        lane = jax.tree.map(lambda x, at=place: x[at], metrics)
        assert_close(lane, single.evaluate("test"))


def test_schedule_free_is_evaluated_at_its_mean():
    """It trains at y and is evaluated at x, in the history and after the run."""
    this, tx = problem("classes"), optax.contrib.schedule_free_sgd(0.5, b1=0.9)
    trained = training.train(this, tx, epochs=2, batch_size=4)
    points, _ = by_hand(this, tx, 0, 2, 4)
    y, model_state, state = points[-1]
    x = optax.contrib.schedule_free_eval_params(state, y)
    assert not all(map(jnp.allclose, jax.tree.leaves(x), jax.tree.leaves(y)))
    assert_close(trained.params, x)
    last = jax.tree.map(lambda x: x[-1], trained.history.evaluations["validation"])
    assert_close(last, evaluated(this, x, model_state))


@pytest.mark.parametrize(
    ("kind", "tx"),
    [
        ("curve", optlab.levenberg_marquardt()),
        ("classes", optlab.newton_cg()),
        ("classes", optax.lbfgs(memory_size=4)),
    ],
    ids=["levenberg_marquardt", "newton_cg", "lbfgs"],
)
def test_a_method_that_evaluates_the_objective_trains(kind, tx):
    trained = training.train(problem(kind), tx, epochs=20, batch_size=26)
    values = np.asarray(trained.history.steps["loss"])
    assert (np.diff(values) <= 1e-5).all()  # on the whole split no step goes up
    assert values[-1] < 0.6 * values[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "epochs must be 1 or more, not 0"),
        ({"epochs": 1.5}, "epochs must be a whole number, not 1.5"),
        ({"batch_size": 27}, "batch_size must be from 1 to the 26 training .* not 27"),
        ({"batch_size": 0}, "batch_size must be from 1 to"),
        ({"seed": -1}, r"seed must be from 0 to 2\^32 - 1, not -1"),
        ({"seed": np.int64(-1)}, "seed must be from 0"),
        ({"seed": 1.5}, "seed must be a whole number, not 1.5"),
        ({"seed": np.arange(2)}, "seed must be a whole number"),
        ({"seed": jax.random.key(0)}, "seed must be a whole number"),
    ],
)
def test_impossible_numbers_are_one_line(arguments, message):
    arguments = {"epochs": 1, "batch_size": 4} | arguments
    with pytest.raises(InputError, match=message):
        training.train(problem("line"), optax.sgd(0.1), **arguments)


def test_whole_numbers_may_be_numpys():
    runs = [
        training.train(
            problem("line"),
            optax.sgd(0.1),
            seed=whole(3),
            epochs=whole(1),
            batch_size=whole(4),
        )
        for whole in (int, np.int64)
    ]
    jax.tree.map(np.testing.assert_array_equal, *(run.params for run in runs))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tx": "adam"}, r"train: tx is a name: make it, optlab.optim.make\('adam'\)"),
        ({"tx": optax.adam}, r"train: tx is a function: call it, adam\(\)"),
        ({"problem": Line()}, "train: Line is no problem: make one of a model and"),
        ({"seed": 1.5}, "seed.* must be a whole number"),
    ],
)
def test_what_is_no_problem_or_optimizer_is_one_line(arguments, message):
    arguments = {"problem": problem("line"), "tx": optax.sgd(0.1)} | arguments
    with pytest.raises(InputError, match=message):
        training.train(**arguments, epochs=1, batch_size=4)


def test_nets_of_a_vmap_are_evaluated_one_by_one():
    def run(rate):
        return training.train(problem("line"), optax.sgd(rate), epochs=1, batch_size=4)

    several = jax.vmap(run)(jnp.array([0.1, 0.2]))
    with pytest.raises(InputError, match="these are several nets, of a vmap: evaluate"):
        several.evaluate("test")
    found = jax.vmap(lambda trained: trained.evaluate("test"))(several)
    np.testing.assert_allclose(
        found["loss"][1], run(0.2).evaluate("test")["loss"], rtol=1e-5
    )


def test_an_unknown_split_is_one_line(single_runs):
    with pytest.raises(InputError, match="no split 'tset': train, validation or test"):
        single_runs[0, 0].evaluate("tset")
