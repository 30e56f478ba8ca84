"""Multiply-adds, against counts by hand."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from jax import lax

from optlab.models.cost import multiply_adds, products
from optlab.models.layers import Conv

X, Y = jnp.ones((7, 4, 5)), jnp.ones((7, 5, 3))
IMAGES = jnp.ones((2, 9, 8, 6))  # n, height, width, channels


@pytest.mark.parametrize(
    ("layer", "count"),
    [
        # outputs x window x channels of an input group
        (nn.Conv(10, (3, 2)), 2 * 9 * 8 * 10 * (3 * 2 * 6)),
        (nn.Conv(10, (3, 2), padding="VALID"), 2 * 7 * 7 * 10 * (3 * 2 * 6)),
        (nn.Conv(10, (3, 2), strides=(2, 3)), 2 * 5 * 3 * 10 * (3 * 2 * 6)),
        (nn.Conv(6, (3, 3), feature_group_count=6), 2 * 9 * 8 * 6 * 9),  # depthwise
        (nn.Conv(12, (3, 3), feature_group_count=6), 2 * 9 * 8 * 12 * 9),
        (nn.Conv(10, (3, 3), feature_group_count=2), 2 * 9 * 8 * 10 * (9 * 3)),
        (nn.Conv(10, (1, 1)), 2 * 9 * 8 * 10 * 6),  # pointwise
        (nn.Dense(10), 2 * 9 * 8 * 10 * 6),
        (Conv(10, (3, 2)), 2 * 9 * 8 * 10 * (3 * 2 * 6)),  # by patches on a CPU
        (nn.BatchNorm(use_running_average=False), 0),
    ],
    ids=str,
)
def test_layers_count_as_their_formulas(layer, count):
    variables = jax.eval_shape(layer.init, jax.random.key(0), IMAGES)
    apply = functools.partial(layer.apply, mutable="batch_stats")
    assert multiply_adds(apply, variables, IMAGES) == count


def test_a_separable_layer_costs_the_share_that_its_formula_states():
    def count(layer):
        variables = jax.eval_shape(layer.init, jax.random.key(0), IMAGES)
        return multiply_adds(layer.apply, variables, IMAGES)

    parts = nn.Conv(6, (3, 3), feature_group_count=6), nn.Conv(10, (1, 1))
    share = sum(map(count, parts)) / count(nn.Conv(10, (3, 3)))
    assert share == pytest.approx(1 / 10 + 1 / 9)  # Howard et al. 2017, section 3.1


PRODUCTS = 7 * 4 * 5 * 3


@jax.custom_vjp
def with_own_gradient(x, y):
    return x @ y


with_own_gradient.defvjp(lambda x, y: (x @ y, (x, y)), lambda xy, g: xy)


def loop(x, y):
    return lax.fori_loop(0, 9, lambda _, z: z + x @ y, x @ y)


def branches(x, y):
    return lax.cond(x.sum() > 0, jnp.matmul, lambda x, y: x @ y @ y.mT @ y, x, y)


@pytest.mark.parametrize(
    ("function", "count"),
    [
        (jax.jit(jnp.matmul), PRODUCTS),
        (jax.checkpoint(jnp.matmul), PRODUCTS),
        (with_own_gradient, PRODUCTS),
        (jax.vmap(jax.jit(jnp.dot)), PRODUCTS),
        (lambda x, y: lax.map(lambda xy: xy[0] @ xy[1], (x, y)), PRODUCTS),
        (loop, 10 * PRODUCTS),
        (branches, 3 * PRODUCTS),
    ],
)
def test_inner_programs_count(function, count):
    assert multiply_adds(function, X, Y) == count


def test_a_gradient_costs_two_more_products():
    grad = jax.grad(lambda x, y: jnp.sum((x @ y) ** 2), argnums=(0, 1))
    assert multiply_adds(grad, X, Y) == 3 * PRODUCTS


def test_a_loop_of_unknown_length_is_refused_where_it_has_products():
    def until(step):
        return lambda x: lax.while_loop(lambda x: x[0, 0] < 9, step, x)

    assert multiply_adds(until(lambda x: x + 1), jnp.ones((2, 2))) == 0
    with pytest.raises(ValueError, match=r"use lax\.scan"):
        multiply_adds(until(lambda x: x @ x), jnp.ones((2, 2)))


@pytest.mark.parametrize(
    ("function", "depth"),
    [
        (lambda x, y: x @ y + (x @ y) @ y.mT @ y, 3),
        (lambda x, y: x.sum() + y, 0),
        (lambda x, y: jnp.stack([x @ y, x @ y]), 1),  # side by side
        (branches, 3),
        (loop, 10),
    ],
)
def test_depth_is_that_of_the_longest_path(function, depth):
    assert products(function, X, Y).depth == depth
