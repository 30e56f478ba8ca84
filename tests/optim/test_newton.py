"""Newton's method, its exact trust region and its guards."""
# ruff: noqa: N806, E741

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optlab.errors import InputError
from optlab.optim import newton
from optlab.optim.dense import more_sorensen
from optlab.solving import Reason, Stop, solve


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


exact_step = jax.jit(more_sorensen.exact_step, static_argnames="absolute")


def saddle(x):
    return 0.25 * x[0] ** 4 - 0.5 * x[0] ** 2 + 0.5 * x[1] ** 2


def rosenbrock(x):
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


def one_update(tx, x, value_fn):
    def update(x):
        f, g = jax.value_and_grad(value_fn)(x)
        updates, state = tx.update(g, tx.init(x), x, value=f, value_fn=value_fn)
        return optax.apply_updates(x, updates), state[0]

    return jax.jit(update)(x)


def test_the_step_by_hand():
    H = jnp.array([[2.0, 1.0], [1.0, 3.0]])
    s, predicted = exact_step(H, jnp.array([4.0, 7.0]), 10.0)
    np.testing.assert_allclose(s, [1.0, 2.0], rtol=1e-12)  # 2 + 2 = 4, 1 + 6 = 7
    np.testing.assert_allclose(predicted, 0.5 * (4 + 14), rtol=1e-12)


def test_the_damped_step_by_hand():
    H = jnp.diag(jnp.array([1.0, 3.0]))
    s, _ = exact_step(H, jnp.array([2.0, 4.0]), 10.0, damping=1.0)
    np.testing.assert_allclose(s, [1.0, 1.0], rtol=1e-12)


def test_the_saddle_free_step_is_that_of_the_absolute_hessian():
    H, g = jnp.array([[1.0, 2.0], [2.0, -3.0]]), jnp.array([1.0, -2.0])
    l, Q = np.linalg.eigh(H)
    s, _ = exact_step(H, g, 1e6, absolute=True)
    np.testing.assert_allclose(Q @ np.diag(np.abs(l)) @ Q.T @ s, g, rtol=1e-9)


def test_ends_a_quadratic_in_one_step():
    A = jnp.array([[4.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 2e-3]])
    A = A @ A.T
    x, state = one_update(
        newton(), jnp.array([1.0, -2.0, 3.0]), lambda x: 0.5 * x @ A @ x - x.sum()
    )
    np.testing.assert_allclose(A @ x, np.ones(3), rtol=1e-8)
    assert state.info.accepted
    np.testing.assert_allclose(state.info.gain_ratio, 1.0, rtol=1e-6)


def test_the_region_is_solved_as_its_optimality_conditions_ask():
    A, g = (jax.random.normal(jax.random.key(i), (4, 5, 5)) for i in range(2))
    H, g, radius = A + A.mT, g[:, 0], 0.3
    l, Q = jnp.linalg.eigh(H)
    c = jnp.einsum("kij,ki->kj", Q, g)
    s, _ = jax.jit(jax.vmap(more_sorensen.exact_step, (0, 0, None)))(H, g, radius)
    nu = jax.vmap(more_sorensen.secular_shift, (0, 0, None))(l, c, radius)
    np.testing.assert_allclose(jnp.linalg.norm(s, axis=1), radius, rtol=1e-2)
    shifted = H + nu[:, None, None] * jnp.eye(5)
    np.testing.assert_allclose(jnp.einsum("kij,kj->ki", shifted, s), g, atol=1e-8)
    assert jnp.all(jnp.linalg.eigvalsh(shifted) > 0)


def test_the_hard_case_is_filled_up_to_the_boundary():
    H, g = jnp.diag(jnp.array([-1.0, 2.0])), jnp.array([0.0, 3.0])
    s, predicted = exact_step(H, g, 2.0)
    np.testing.assert_allclose(jnp.abs(s), [3**0.5, 1.0], rtol=1e-12)  # 3 / (2 + 1)
    np.testing.assert_allclose(predicted, 3 - 0.5 * (2 - 3), rtol=1e-12)


def test_curvature_that_is_only_rounding_is_not_followed_to_the_boundary():
    H, g = jnp.diag(jnp.array([2.0, -1e-16])), jnp.array([4.0, 1e-17])
    s, predicted = exact_step(H, g, 10.0)
    np.testing.assert_array_equal(s, [2.0, 0.0])
    np.testing.assert_allclose(predicted, 4.0, rtol=1e-12)
    # A slope along it is no rounding, and is followed.
    s, _ = exact_step(H, jnp.array([4.0, 1.0]), 10.0)
    np.testing.assert_allclose(jnp.linalg.norm(s), 10.0, rtol=1e-2)


@pytest.mark.parametrize("indefinite", ["trust_region", "saddle_free"])
def test_leaves_a_saddle(indefinite):
    solution = solve(
        newton(indefinite=indefinite), jnp.array([0.01, 1.0]), value_fn=saddle
    )
    np.testing.assert_allclose(solution.params, [1.0, 0.0], atol=1e-6)


@pytest.mark.parametrize("height", [1.2e-8, 1.0, 1e6])
def test_a_first_radius_that_reaches_a_plateau_is_too_large(height):
    """From two widths away, a step on to where the peak is forgotten lowers f, too."""
    t = jnp.linspace(1.0, 2.0, 100)
    peak = lambda p: p[0] * jnp.exp(-(((t - p[1]) / p[2]) ** 2))  # noqa: E731
    y = peak(jnp.array([height, 1.4, 0.11]))
    start = jnp.array([1.25 * height, 1.6, 0.2])
    found = solve(newton(), start, residual_fn=lambda p: peak(p) - y).params
    np.testing.assert_allclose(found / jnp.array([height, 1.4, 0.11]), 1.0, rtol=1e-6)


def test_units_of_the_parameters_do_not_matter():
    units = jnp.array([1e-6, 1e5])
    plain = solve(newton(), jnp.array([-1.2, 1.0]), value_fn=rosenbrock)
    scaled = solve(
        newton(),
        jnp.array([-1.2, 1.0]) / units,
        value_fn=lambda x: rosenbrock(x * units),
        stop=Stop(gradient=0.0, target=1e-12),
    )
    np.testing.assert_allclose(scaled.params * units, [1.0, 1.0], rtol=1e-5)
    assert abs(int(scaled.steps) - int(plain.steps)) <= 2


def test_float32_reaches_its_accuracy():
    x = jnp.array([-1.2, 1.0], jnp.float32)
    solution = solve(newton(), x, value_fn=rosenbrock)
    assert solution.params.dtype == jnp.float32
    np.testing.assert_allclose(solution.params, [1.0, 1.0], atol=1e-3)


def test_a_start_without_a_value_is_said():
    solution = solve(newton(), -jnp.ones(2), value_fn=lambda x: jnp.log(x).sum())
    assert solution.reason == Reason.NON_FINITE
    assert solution.steps == 0


def test_steps_over_an_edge_are_made_shorter():
    def barrier(x):
        return jnp.sum(x - 1e-3 * jnp.log(x))

    solution = solve(newton(), jnp.array([2.0, 0.5]), value_fn=barrier)
    np.testing.assert_allclose(solution.params, [1e-3, 1e-3], rtol=1e-5)


def test_a_hessian_without_a_value_gives_the_gradients_step():
    def kink(x):  # |x|^1.5 has no second derivative at zero
        return jnp.sum(jnp.abs(x) ** 1.5 + (x - 1.0) ** 2)

    x, state = one_update(newton(radius=0.1), jnp.array([0.0, 0.5]), kink)
    assert jnp.all(jnp.isfinite(x))
    assert state.info.accepted


def test_refuses_a_hessian_that_does_not_fit():
    tx, x = newton(), jax.ShapeDtypeStruct((10**6,), jnp.float32)
    with pytest.raises(InputError, match=r"newton needs .* use newton_cg"):
        jax.eval_shape(
            lambda x: tx.update(x, tx.init(x), x, value_fn=lambda x: x @ x), x
        )


def test_an_unknown_mode_is_near_to_a_known_one():
    with pytest.raises(InputError, match="did you mean saddle_free"):
        newton(indefinite="saddlefree")


def test_takes_no_step_to_a_far_plateau():
    def falling(x):  # a curvature of 2.5e-4 promises 125 at 0.002, where 0.5 is left
        return jnp.sum(jax.nn.sigmoid(-x))

    x, state = one_update(newton(), jnp.array([0.002]), falling)
    assert x == 0.002
    assert not state.info.accepted
    assert 0 < state.info.gain_ratio < 0.01
