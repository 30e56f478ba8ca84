"""The lift: trees, parts of trees, types and missing arguments."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from optlab.errors import InputError
from optlab.optim import info, make
from optlab.optim.compose import compose
from optlab.optim.dense.lift import OUTPUTS, Objective, fill, lift


def newton_step(g, state, x, objective):
    """Exact for a quadratic, if the objective is the right one."""
    return jnp.linalg.solve(jax.hessian(objective.value_fn)(x), g), state


TX = lift(lambda x: x, newton_step, name="toy")
PARAMS = {"a": jnp.array([1.0, 2.0]), "b": jnp.array([[3.0]]), "none": None}


def bowl(p):
    return (
        jnp.sum(p["a"] ** 2)
        + 2 * jnp.sum((p["b"] - 1.0) ** 2)
        + p["a"][0] * p["b"].sum()
    )


def extras(params, f=bowl):
    return {"value": f(params), "value_fn": f, "full_params": params}


def test_a_tree_is_one_vector():
    grad = jax.grad(bowl)(PARAMS)
    updates, state = TX.update(grad, TX.init(PARAMS), PARAMS, **extras(PARAMS))
    assert state.shape == (3,)
    best = jax.tree.map(jnp.subtract, PARAMS, updates)
    np.testing.assert_allclose(ravel_pytree(jax.grad(bowl)(best))[0], 0, atol=1e-5)
    assert updates["none"] is None


@pytest.mark.parametrize("wrap", ["masked", "partition", "nested"])
def test_a_part_is_filled_into_the_whole(wrap):
    labels = {"a": "second", "b": "first", "none": None}
    tx = {
        "masked": optax.chain(
            optax.masked(TX, {"a": True, "b": False, "none": None}),
            optax.masked(optax.set_to_zero(), {"a": False, "b": True, "none": None}),
        ),
        "partition": optax.partition(
            {"second": TX, "first": optax.set_to_zero()}, labels
        ),
        "nested": optax.partition(
            {"second": optax.chain(optax.identity(), TX), "first": optax.set_to_zero()},
            labels,
        ),
    }[wrap]
    grad = jax.grad(bowl)(PARAMS)
    updates, _ = tx.update(grad, tx.init(PARAMS), PARAMS, **extras(PARAMS))
    best = jax.tree.map(jnp.subtract, PARAMS, updates)
    np.testing.assert_allclose(best["a"], [-1.5, 0.0], atol=1e-6)
    np.testing.assert_array_equal(best["b"], PARAMS["b"])


def gradient_of(tx, params=PARAMS, f=bowl):
    """The update where ``grad`` is passed too, as by a training step."""
    grad = jax.grad(f)(params)
    return tx.update(grad, tx.init(params), params, grad=grad, **extras(params, f))[0]


@pytest.mark.parametrize(
    "before",
    [
        optax.clip_by_global_norm(1e6),  # clips nothing, but cannot be told apart
        optax.add_decayed_weights(0.1),
        optax.flatten(optax.identity()),
    ],
)
def test_a_changed_gradient_is_refused(before):
    message = "toy: something before it .* chain it after toy, or add it to"
    with pytest.raises(InputError, match=message):
        gradient_of(optax.chain(before, TX))
    mask = {"a": True, "b": False, "none": None}
    with pytest.raises(InputError, match=message):
        jax.jit(lambda p: gradient_of(optax.masked(optax.chain(before, TX), mask), p))(
            PARAMS
        )


@pytest.mark.parametrize(
    "wrap",
    [
        lambda tx: optax.chain(optax.identity(), tx, optax.clip_by_global_norm(1.0)),
        lambda tx: optax.apply_if_finite(tx, 3),
        lambda tx: compose(tx),
        lambda tx: optax.inject_hyperparams(lambda _: tx)(0.1),
        lambda tx: optax.masked(tx, {"a": True, "b": False, "none": None}),
        lambda tx: optax.partition(
            {"x": tx, "y": optax.sgd(0.1)}, {"a": "x", "b": "y", "none": None}
        ),
    ],
)
def test_the_same_gradient_is_recognized(wrap):
    tx = optax.with_extra_args_support(wrap(TX))
    lanes = jax.jit(jax.vmap(lambda p: gradient_of(tx, p)))
    for dtype in ("float32", "bfloat16"):
        params = jax.tree.map(lambda x, d=dtype: x[None].astype(d), PARAMS)
        assert jnp.any(lanes(params)["a"] != 0)


def test_a_mask_over_a_subtree():
    full = {"head": {"w": jnp.ones(2)}, "body": {"w": jnp.ones(3), "b": jnp.zeros(1)}}
    part = {"head": {"w": jnp.zeros(2)}, "body": optax.MaskedNode()}
    filled = fill(part, full)
    assert filled["body"] is full["body"]
    np.testing.assert_array_equal(filled["head"]["w"], 0)


def test_a_part_without_the_whole_is_refused():
    tx = optax.masked(TX, {"a": True, "b": False, "none": None})
    with pytest.raises(TypeError, match=r"toy .* needs full_params: pass full_params"):
        tx.update(PARAMS, tx.init(PARAMS), PARAMS, value_fn=bowl)


def test_an_empty_part_is_left_alone():
    tx = optax.partition({"x": TX, "y": optax.scale(2.0)}, "y")
    params = {"w": jnp.ones(2)}
    updates, _ = tx.update(
        params, tx.init(params), params, **extras(params, lambda p: 0.0)
    )
    np.testing.assert_array_equal(updates["w"], 2.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"toy.update is missing residual_fn: pass residual_fn=r"),
        ({"output_fn": sum}, r"missing output_loss_fn: pass output_loss_fn=l"),
        ({"output_loss_fn": sum}, r"missing output_fn: pass output_fn=h"),
        ({"value_fn": sum}, r"accepted: residual_fn or output_fn \+ output_loss_fn"),
    ],
)
def test_a_missing_function_is_named(given, message):
    tx = lift(lambda x: x, newton_step, name="toy", needs=OUTPUTS)
    with pytest.raises(TypeError, match=message):
        tx.update(jnp.ones(2), jnp.ones(2), jnp.ones(2), **given)


@pytest.mark.parametrize("name", ["levenberg_marquardt", "gauss_newton", "bfgs"])
def test_outputs_whose_number_changes_within_an_update_are_named(name):
    calls = itertools.count()

    def residual_fn(p):
        return p[0] * jnp.ones(3 + next(calls) % 2)

    tx, p = make(name), jnp.ones(2)
    message = rf"{name}: residual_fn gave (3|4) numbers, and now (3|4)"
    with pytest.raises(InputError, match=message):
        tx.update(jnp.array([3.0, 0.0]), tx.init(p), p, residual_fn=residual_fn)


def test_missing_params_are_named():
    with pytest.raises(TypeError, match="toy needs params"):
        TX.update(jnp.ones(2), TX.init(jnp.ones(2)), value_fn=jnp.sum)


def test_parameters_must_be_floating_point():
    with pytest.raises(InputError, match=r"toy: parameter \['n'\] is int32"):
        TX.init({"w": jnp.ones(2), "n": jnp.arange(3)})
    with pytest.raises(InputError, match="complex64"):
        TX.init(jnp.ones(2, jnp.complex64))


@pytest.mark.parametrize("dtypes", [("bfloat16", "bfloat16"), ("bfloat16", "float32")])
def test_half_precision_computes_in_float32(dtypes):
    seen = {}

    def update(g, state, x, objective: Objective):
        seen["types"] = g.dtype, x.dtype, objective.value_fn(x).dtype
        return g, state

    tx = lift(lambda x: x, update, name="toy")
    params = {"a": jnp.ones(2, dtypes[0]), "b": jnp.ones(1, dtypes[1])}
    updates, _ = tx.update(
        params, tx.init(params), params, value_fn=lambda p: p["a"].sum()
    )
    assert set(seen["types"]) == {jnp.dtype("float32")}
    assert (updates["a"].dtype, updates["b"].dtype) == tuple(map(jnp.dtype, dtypes))


def test_outputs_of_any_tree_are_one_vector():
    def update(g, state, x, objective):
        z = objective.output_fn(x)
        assert z.shape == (4,)
        return g * objective.output_loss_fn(z) / objective.value, state

    tx = lift(lambda x: x, update, name="toy", needs=OUTPUTS)
    w = jnp.ones(2)
    updates, _ = tx.update(
        w,
        tx.init(w),
        w,
        output_fn=lambda w: {"y": jnp.outer(w, jnp.arange(1.0, 2.0)), "z": 3 * w},
        output_loss_fn=lambda out: out["y"].sum() * out["z"].sum(),
    )
    np.testing.assert_allclose(updates, w)


def test_complex_outputs_keep_their_imaginary_parts():
    def update(g, state, x, objective):
        z = objective.output_fn(x)
        return z * objective.output_loss_fn(z), state

    tx, w = lift(lambda x: (), update, name="toy", needs=OUTPUTS), jnp.array([2.0, 3.0])
    updates, _ = tx.update(
        w,
        (),
        w,
        output_fn=lambda w: {"z": w[0] + 1j * w[1]},
        output_loss_fn=lambda out: jnp.imag(out["z"] ** 2) / 12,
    )
    np.testing.assert_allclose(updates, w)


def test_info_is_found_in_any_chain_and_accumulation_refused():
    def update(g, state, x, objective):
        return g, state

    tx = lift(lambda x: info.initial(x.dtype), update, name="toy")
    wrapped = optax.partition({"a": optax.chain(optax.trace(0.9), tx)}, "a")
    params = {"w": jnp.ones(2)}
    assert len(info.find(wrapped.init(params))) == 1
    info.refuse_accumulation(wrapped.init(params))
    info.refuse_accumulation(optax.MultiSteps(optax.sgd(0.1), 2).init(params))
    with pytest.raises(InputError, match="averages gradients only"):
        info.refuse_accumulation(optax.MultiSteps(wrapped, 2).init(params))
