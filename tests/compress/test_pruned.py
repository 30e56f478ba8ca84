"""Masks and the wrapper that enforces them."""

import functools
import inspect
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.extend.core import jaxprs_in_params

import optlab
from optlab import compress, optim
from optlab.compress.events import sometimes
from optlab.errors import InputError
from optlab.optim.contract import extra_args

# Half the time to compile, and there is little to run.
QUICK = {"xla_backend_optimization_level": 0}
REQUIRED = {"learning_rate": 0.01, "base_optimizer": optax.sgd(0.01), "key": 0}
PARAMS = {
    "a": {"kernel": jax.random.normal(jax.random.key(0), (6, 5)), "bias": jnp.ones(6)},
    "b": {"kernel": 3 * jax.random.normal(jax.random.key(1), (3, 6))},
}


def value_fn(params, **_):
    """A function whose every weight has a gradient, zero or not."""
    return sum(jnp.sum((leaf - 0.7) ** 2) for leaf in jax.tree.leaves(params))


def run(tx, steps, params=PARAMS):
    """Parameters and masks after every step, stacked first."""
    tx = optax.with_extra_args_support(tx)

    def step(carry, _):
        params, state = carry
        value, grad = jax.value_and_grad(value_fn)(params)
        extra = extra_args(params, value, grad, value_fn=value_fn)
        updates, state = tx.update(grad, state, params, **extra)
        params = optax.apply_updates(params, updates)
        return (params, state), (params, compress.masks_of(state))

    return jax.lax.scan(step, (params, tx.init(params)), length=steps)[1]


@functools.cache
def gradient_only():
    """Every optimizer that the wrapper takes, and those that it refuses."""
    taken, refused = [], []
    for name in optim.names():
        parameters = inspect.signature(optim.find(name)).parameters
        needed = {
            key: REQUIRED[key]
            for key, each in parameters.items()
            if each.default is each.empty
            or (key in ("learning_rate", "key") and each.default is None)
        }
        with warnings.catch_warnings(action="ignore"):  # optax deprecates some
            tx = optim.make(name, **needed)
        try:
            compress.pruned(tx, 0.5).init(PARAMS)
            taken.append((name, tx))
        except InputError:
            refused.append(name)
    return taken, refused


def test_who_evaluates_the_objective_is_refused_and_no_other():
    _, refused = gradient_only()
    second_order = {n for n, f in optim.METHODS.items() if "value_fn" in str(f.__doc__)}
    assert {"newton", "bfgs", "levenberg_marquardt", "lbfgs"} <= set(refused)
    plain = {"adam", "adamw", "lamb", "lion", "momentum", "muon", "nesterov", "sgd"}
    assert not plain & {*refused, *second_order}
    with pytest.raises(InputError, match="evaluates the objective"):
        compress.pruned(optlab.newton(), 0.5).init(PARAMS)
    with pytest.raises(InputError, match="second copy of the weights"):
        compress.pruned(optax.contrib.schedule_free_sgd(0.1), 0.5).init(PARAMS)


def test_pruned_weights_are_zero_after_every_step_of_every_optimizer():
    """Momentum and decay included; masks only shrink, to the share asked for."""
    for name, tx in gradient_only()[0]:
        wrapped = compress.pruned(tx, 0.6, begin=2, end=8, every=3)
        params, masks = jax.jit(
            functools.partial(run, wrapped, 12), compiler_options=QUICK
        )()
        for leaf, mask in zip(
            jax.tree.leaves(params), jax.tree.leaves(masks), strict=True
        ):
            assert np.isfinite(leaf).all(), name
            assert (np.asarray(leaf)[~np.asarray(mask)] == 0).all(), name
            assert (mask[1:] <= mask[:-1]).all(), name
        kept = [
            int(m.sum(axis=(1, 2))[-1]) for m in jax.tree.leaves(masks) if m.ndim > 2
        ]
        assert sum(kept) == 48 - round(0.6 * 48), name
        assert masks["a"]["bias"].all(), name


def test_masks_follow_the_cubic_schedule_at_its_events_only():
    tx = compress.pruned(optax.sgd(0.0), 0.75, begin=4, end=16, every=4)
    _, masks = run(tx, 20)
    kept = np.asarray(
        masks["a"]["kernel"].sum((1, 2)) + masks["b"]["kernel"].sum((1, 2))
    )
    out = [0.75 * (1 - (1 - t / 12) ** 3) for t in (0, 4, 8, 12)]
    expected = np.repeat([48 - round(48 * s) for s in out], 4)
    np.testing.assert_array_equal(kept, [48] * 4 + expected.tolist())


def test_zeros_are_exact_where_updates_are_of_a_narrower_type():
    """-w rounded to bfloat16 would leave w + (-w) at a rounding error."""
    narrow = optax.stateless(
        lambda updates, _: jax.tree.map(lambda u: u.astype(jnp.bfloat16), updates)
    )
    params, masks = run(compress.pruned(narrow, 0.5), 2)
    kernel, mask = params["a"]["kernel"], masks["a"]["kernel"]
    assert (kernel[~mask] == 0).all()
    assert (~mask).sum() > 0


def test_masks_given_at_the_start_are_kept():
    masks = compress.layer_magnitude(PARAMS, 0.5)
    _, found = run(compress.pruned(optax.adam(0.1), 0.0, masks=masks), 3)
    last = jax.tree.map(lambda m: m[-1], found)
    assert all(jax.tree.leaves(jax.tree.map(jnp.array_equal, last, masks)))


def test_sparsity_and_rate_are_lanes_of_one_program():
    """64 sparsities: one trace, and each lane is what it is alone."""
    traces = []

    def lane(sparsity, rate):
        traces.append(sparsity)
        return run(compress.pruned(optlab.adam(rate), sparsity, end=6, every=2), 8)

    shares = jnp.linspace(0.0, 0.98, 64)
    rates = jnp.linspace(0.01, 0.1, 64)
    params, masks = jax.jit(jax.vmap(lane))(shares, rates)
    assert len(traces) == 1
    kept = masks["a"]["kernel"][:, -1].sum((1, 2)) + masks["b"]["kernel"][:, -1].sum(
        (1, 2)
    )
    np.testing.assert_array_equal(kept, 48 - np.round(np.float32(48) * shares))
    alone, _ = run(compress.pruned(optlab.adam(rates[7]), shares[7], end=6, every=2), 8)
    for many, one in zip(jax.tree.leaves(params), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(many[7], one, rtol=1e-5, atol=1e-6)


def ranks(jaxpr, inside=False):
    """Rankings of weights outside and inside of a branch."""
    found = [0, 0]
    for equation in jaxpr.eqns:
        if equation.primitive.name == "bitcast_convert_type":
            found[inside] += 1
        branch = inside or equation.primitive.name == "cond"
        for sub in jaxprs_in_params(equation.params):
            found = [a + b for a, b in zip(found, ranks(sub, branch), strict=True)]
    return found


def test_lanes_rank_weights_in_a_branch_only():
    def lanes(sparsities):
        seeds = jnp.arange(2.0)
        lane = lambda s, seed: run(  # noqa: E731
            compress.pruned(optax.sgd(0.1 + 0 * seed), s, end=6), 8
        )
        return jax.vmap(jax.vmap(lane, (0, None)), (None, 0))(sparsities, seeds)

    outside, inside = ranks(jax.make_jaxpr(lanes)(jnp.array([0.1, 0.5])).jaxpr)
    assert outside == 0
    assert inside >= 1


def test_a_rare_event_runs_where_some_lane_is_due():
    calls = []

    def lane(i, start):
        def body(x, t):
            def event(x, shift):
                jax.debug.callback(lambda: calls.append(1))
                return x + shift

            return sometimes(t % 4 == i, event, x, 10.0), None

        return jax.lax.scan(body, start, jnp.arange(8))[0]

    found = jax.jit(jax.vmap(lane))(jnp.array([0, 2]), jnp.array([1.0, 2.0]))
    jax.effects_barrier()
    assert found.tolist() == [21.0, 22.0]
    assert len(calls) in (4, 8)  # at t = 0, 2, 4, 6, once or once a lane; never 16


@pytest.mark.parametrize("n", [1, 7, 30])
def test_the_smallest_go_and_ties_go_first_to_last(n):
    random = np.random.default_rng(n)
    kernel = np.round(random.normal(size=(n, 3)), 1).astype(np.float32)  # many ties
    order = np.argsort(np.abs(kernel).ravel(), kind="stable")
    for out in range(3 * n):
        found = compress.layer_magnitude({"k": jnp.asarray(kernel)}, out / (3 * n))["k"]
        assert set(np.flatnonzero(~np.asarray(found))) == set(order[:out])


def test_all_weights_equal_to_zero_are_counted_too():
    found = compress.global_magnitude({"k": jnp.zeros((4, 5))}, 0.5)["k"]
    assert found.sum() == 10


def test_the_deviation_of_a_normal_layer_keeps_what_its_table_says():
    """P(|x| > 1.5 sigma) = 0.1336."""
    kernel = 0.02 * jax.random.normal(jax.random.key(0), (300, 784))
    masks = compress.above_deviation({"k": kernel}, 1.5)
    assert compress.density(masks) == pytest.approx(0.1336, abs=0.003)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: compress.pruned(optax.sgd(1.0), 1.0), r"in \[0, 1\)"),
        (lambda: compress.pruned(optax.sgd(1.0), -0.1), r"in \[0, 1\)"),
        (lambda: compress.pruned(optax.sgd(1.0), float("nan")), r"in \[0, 1\)"),
        (lambda: compress.pruned(optax.sgd(1.0), "0.5"), r"in \[0, 1\)"),
        (lambda: compress.pruned(optax.sgd(1.0), 0.5, begin=5, end=2), "begin <= end"),
        (lambda: compress.pruned(optax.sgd(1.0), 0.5, every=0), "one step or more"),
        (
            lambda: compress.pruned(optax.sgd(1.0), 0.5).init({"b": jnp.ones(3)}),
            "nothing",
        ),
        (lambda: compress.layer_magnitude({"b": jnp.ones(3)}, 0.5), "nothing to prune"),
        (lambda: compress.above_deviation(PARAMS, -1.0), "at least 0"),
        (lambda: compress.masks_of(optax.sgd(0.1).init(PARAMS)), "holds no masks"),
    ],
)
def test_a_mistake_says_what_would_be_right(make, message):
    with pytest.raises(InputError, match=message):
        make()
