"""The contract of every built-in method; a new one is tested because it is registered.

One least-squares problem offers every extra argument of the update contract, so that
no test asks for a method's name. Comparisons run in float64, where two ways of
computing the same thing agree to many digits and a wrong one does not.
"""

import functools
import inspect
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from optlab import ranges
from optlab.errors import InputError
from optlab.optim import METHODS, info, make
from optlab.optim.arguments import RANGES
from optlab.optim.contract import extra_args

RTOL = 1e-7


pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture(params=METHODS)
def name(request):
    return request.param


@pytest.fixture
def factory(name):
    return METHODS[name]


# The problem: 16 examples, 8 inputs, 2 outputs; f = 0.5 |x w + b - y|^2.


@functools.cache
def data(dtype=jnp.float64):
    x, noise = (jax.random.normal(jax.random.key(i), (16, 8)) for i in range(2))
    y = x[:, :2] - x[:, 2:4] + 0.1 * noise[:, :2]
    return (x / 4).astype(dtype), y.astype(dtype)


@functools.cache
def start(dtype=jnp.float64, seed=2):
    w = jax.random.normal(jax.random.key(seed), (8, 2), dtype)
    return {"layer": {"w": w, "b": jnp.ones(2, dtype)}}


def functions(data):
    x, y = data

    def output_fn(params):
        return x @ params["layer"]["w"] + params["layer"]["b"]

    def output_loss_fn(outputs):
        return 0.5 * jnp.sum((outputs - y) ** 2)

    return {
        "value_fn": lambda params: output_loss_fn(output_fn(params)),
        "residual_fn": lambda params: output_fn(params) - y,
        "output_fn": output_fn,
        "output_loss_fn": output_loss_fn,
    }


def on_w(functions, params):
    """The problem in w alone, with b held at its value in params."""

    def fill(part):
        return {"layer": {"w": part["layer"]["w"], "b": params["layer"]["b"]}}

    loss = functions["output_loss_fn"]
    others = {k: f for k, f in functions.items() if k != "output_loss_fn"}
    narrowed = {k: (lambda p, f=f: f(fill(p))) for k, f in others.items()}
    return {**narrowed, "output_loss_fn": loss}


def w_of(tree):
    return {"layer": {"w": tree["layer"]["w"]}}


def evaluates(factory):
    """Whether the method evaluates the objective itself."""
    return bool(info.find(factory().init(start())))


def update(tx, params, state, functions, **extra):
    value, grad = jax.value_and_grad(functions["value_fn"])(params)
    everything = extra_args(params, value, grad, **functions) | extra
    updates, state = tx.update(grad, state, params, **everything)
    return updates, state, value


def run(tx, params, data, steps=4):
    """Parameters after some steps, and the value before each."""

    def step(carry, _):
        params, state = carry
        updates, state, value = update(tx, params, state, functions(data))
        return (optax.apply_updates(params, updates), state), value

    (params, _), values = jax.lax.scan(step, (params, tx.init(params)), length=steps)
    return params, values


def compiled(tx, steps=4):
    return jax.jit(lambda params, data: run(tx, params, data, steps))


@functools.cache
def reference(factory):
    """The method alone at its defaults, compiled once for all the tests."""
    return compiled(factory())


def numbers(factory):
    """Every hyperparameter that is a float by default, and so may be swept."""
    parameters = inspect.signature(factory).parameters.values()
    return {p.name: p.default for p in parameters if isinstance(p.default, float)}


def assert_close(a, b):
    chex.assert_trees_all_close(a, b, rtol=RTOL, atol=1e-10)


def test_makes_progress_and_stays_finite_at_a_minimum_of_zero(name, factory):
    tx = make(name)
    assert isinstance(tx, optax.GradientTransformationExtraArgs)
    _, values = compiled(tx, steps=25)(start(), data())
    assert values[-1] < 0.999 * values[0]

    x, _ = data()
    y = x @ start()["layer"]["w"] + start()["layer"]["b"]
    chex.assert_tree_all_finite(reference(factory)(start(), (x, y)))


def test_jit_traces_once_and_lanes_equal_a_loop(factory):
    traces = []
    tx = factory()

    @jax.jit
    def step(params, state, data):
        traces.append(None)
        updates, state, _ = update(tx, params, state, functions(data))
        return optax.apply_updates(params, updates), state

    params = start()
    state = tx.init(params)
    for _ in range(4):
        params, state = step(params, state, data())
    assert len(traces) == 1
    scanned = reference(factory)
    assert_close(params, scanned(start(), data())[0])

    # Lanes differ in their start and in every number.
    lanes = [numbers(factory), {k: v**0.9 for k, v in numbers(factory).items()}]
    starts = [start(), start(seed=3)]
    stacked = {k: jnp.array([lane[k] for lane in lanes]) for k in lanes[0]}
    many = jax.tree.map(lambda *leaves: jnp.stack(leaves), *starts)

    @jax.jit
    def sweep(lanes, starts, data):
        alone = lambda lane, start: run(factory(**lane), start, data)  # noqa: E731
        return jax.vmap(alone)(lanes, starts)

    swept = sweep(stacked, many, data())
    loop = [
        scanned(starts[0], data()),
        compiled(factory(**lanes[1]))(starts[1], data()),
    ]
    assert_close(swept, jax.tree.map(lambda *leaves: jnp.stack(leaves), *loop))


def test_chain_and_inject_hyperparams(factory):
    @jax.jit
    def both(params, data):
        alone, halved = factory(), optax.chain(factory(), optax.scale(0.5))
        return [
            update(tx, params, tx.init(params), functions(data))[0]
            for tx in (alone, halved)
        ]

    alone, halved = both(start(), data())
    assert_close(halved, jax.tree.map(lambda u: u / 2, alone))

    structure = set(inspect.signature(factory).parameters) - set(numbers(factory))
    injected = optax.inject_hyperparams(factory, static_args=structure)()
    assert set(injected.init(start()).hyperparams) == set(numbers(factory))
    plain = reference(factory)(start(), data())
    assert_close(compiled(injected)(start(), data()), plain)


def valleys(params):
    """Residuals of three Rosenbrock valleys, on which steps are also rejected."""
    x, y = jnp.concatenate([params["w"], params["b"][None]]).T
    return jnp.concatenate([10 * (y - x**2), 1 - x])


# In place of a default of None, which nothing can replace during a run.
GIVEN = {"damping": 0.01, "decrease": 0.1, "increase": 2.0}


def test_numbers_that_may_change_during_a_run_are_those_the_docstring_says(factory):
    parameters = inspect.signature(factory).parameters
    kinds = ranges.NUMBER, ranges.RATE, ranges.WHOLE
    numeric = {k for k in parameters if k in RANGES and RANGES[k].kind in kinds}
    given = {k: GIVEN[k] for k in numeric if parameters[k].default is None}
    tx = optax.inject_hyperparams(factory)(**given)
    start = {"w": jnp.array([[-1.2, 1.0], [0.5, -0.7]]), "b": jnp.array([-1.0, 0.3])}
    value_fn = lambda p: 0.5 * jnp.sum(valleys(p) ** 2)  # noqa: E731
    functions = {"value_fn": value_fn, "residual_fn": valleys}
    state = tx.init(start)
    assert set(state.hyperparams) == numeric

    @jax.jit
    def run(hyperparams):
        def step(carry, _):
            params, state = carry
            updates, state, _ = update(tx, params, state, functions)
            params = optax.apply_updates(params, updates)
            return (params, state), (updates, state.inner_state)

        changed = state._replace(hyperparams=hyperparams)
        return jax.lax.scan(step, (start, changed), length=12)[1]

    def differs(name, value):
        old = state.hyperparams
        new = run(old | {name: jnp.asarray(value, old[name].dtype)})
        pairs = zip(jax.tree.leaves(new), jax.tree.leaves(unchanged), strict=True)
        return not all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)

    unchanged = run(state.hyperparams)
    alive = {k for k in numeric if any(differs(k, v) for v in (0.5, 1e-3, 1))}
    once = re.search(r"([^.;]*) (is|are) read once", str(factory.__doc__))
    read_once = set(re.findall(r"``(\w+)``", once[1])) if once else set()
    assert read_once <= numeric
    assert alive == numeric - read_once


def test_partition_and_masked_work_on_a_part(factory):
    labels = {"layer": {"w": "method", "b": "rest"}}
    tx = optax.partition({"method": factory(), "rest": optax.sgd(0.05)}, labels)

    @jax.jit
    def by_hand(params, data):
        tx = factory()
        state = tx.init(w_of(params))
        for _ in range(4):
            everything = functions(data)
            grad_b = jax.grad(everything["value_fn"])(params)["layer"]["b"]
            part = w_of(params)
            updates, state, _ = update(tx, part, state, on_w(everything, params))
            w = optax.apply_updates(part, updates)["layer"]["w"]
            params = {"layer": {"w": w, "b": params["layer"]["b"] - 0.05 * grad_b}}
        return params

    end, _ = compiled(tx)(start(), data())
    assert_close(end, by_hand(start(), data()))

    @jax.jit
    def both(params, data):
        everything = functions(data)
        tx = optax.masked(factory(), {"layer": {"w": True, "b": False}})
        masked, _, _ = update(tx, params, tx.init(params), everything)
        part, tx = w_of(params), factory()
        alone, _, _ = update(tx, part, tx.init(part), on_w(everything, params))
        return masked, alone, jax.grad(everything["value_fn"])(params)

    masked, alone, grad = both(start(), data())
    assert_close(w_of(masked), alone)
    assert_close(masked["layer"]["b"], grad["layer"]["b"])


def test_dtype_is_kept_whatever_the_hyperparameters_have(factory):
    dtype = jnp.bfloat16

    @jax.jit
    def two_steps(hyperparameters, params, data):  # float64 over narrower parameters
        return run(factory(**hyperparameters), params, data, steps=2)

    wide = {k: jnp.float64(v) for k, v in numbers(factory).items()}
    end, values = two_steps(wide, start(dtype), data(dtype))
    chex.assert_trees_all_equal_dtypes(end, start(dtype))
    chex.assert_tree_all_finite((end, values))
    tx = factory()
    for dtype in ("bfloat16", "float32"):
        updates, _, _ = jax.eval_shape(
            lambda p, dtype=dtype: update(tx, p, tx.init(p), functions(data(dtype))),
            start(dtype),
        )
        chex.assert_trees_all_equal_dtypes(updates, start(dtype))


def test_arguments_that_are_unknown_missing_or_changed(name, factory):
    def trace(tx, **extra):  # shapes only: nothing is compiled
        everything = functions(data())
        return jax.eval_shape(
            lambda p: update(tx, p, tx.init(p), everything, **extra), start()
        )

    tx = factory()
    assert trace(tx) == trace(tx, nobody_knows="this")
    trace(optax.chain(tx, optax.clip_by_global_norm(0.1)))
    before = optax.clip_by_global_norm(0.1), optax.add_decayed_weights(0.1)
    chains = [optax.chain(each, factory()) for each in before]
    if not evaluates(factory):
        for chain in chains:
            trace(chain)
        return
    for chain in chains:
        with pytest.raises(InputError, match=f"{name}: .* chain it after {name}"):
            trace(chain)
    with pytest.raises(TypeError, match=f"{name}.*pass (value|residual)_fn="):
        jax.eval_shape(lambda p: tx.update(p, tx.init(p), p), start())


def test_sharded_equals_unsharded(factory):
    mesh = Mesh(np.array(jax.devices()), ("data",))
    assert mesh.size == 8
    rows = NamedSharding(mesh, PartitionSpec("data"))
    whole = NamedSharding(mesh, PartitionSpec())
    one = reference(factory)
    sharded = one(
        jax.device_put(start(), {"layer": {"w": rows, "b": whole}}),
        jax.device_put(data(), rows),
    )
    assert len(sharded[0]["layer"]["w"].sharding.device_set) == 8
    assert_close(jax.device_get(sharded), jax.device_get(one(start(), data())))
