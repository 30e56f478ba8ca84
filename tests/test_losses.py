"""Losses against numbers worked by hand; nothing is broadcast."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optlab import losses
from optlab.errors import InputError

#: Their softmax is [1/4, 3/4] and [3/4, 1/4].
LOGITS = jnp.log(jnp.array([[1.0, 3.0], [3.0, 1.0]]))
CLASSES = jnp.array([1, 1])


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def test_cross_entropy_is_minus_the_log_of_the_share():
    loss = losses.make("cross_entropy")
    expected = [math.log(4 / 3), math.log(4)]
    np.testing.assert_allclose(loss.of(LOGITS, CLASSES), expected, rtol=1e-6)
    assert loss.residuals is None  # it is no sum of squares
    # Logits whose exponentials overflow: the difference is the loss.
    huge = loss.of(jnp.array([[1e30, -1e30]]), jnp.array([1]))
    np.testing.assert_allclose(huge, [2e30], rtol=1e-6)


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["plain", "traced"])
@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_smoothing_gives_a_share_to_all_classes_alike(share, wrap):
    """The target of class 1 of 2 is [s/2, 1 - s/2]."""

    def smoothed(share):
        loss = losses.make("cross_entropy", label_smoothing=share)
        return loss.of(LOGITS, CLASSES)

    shares = np.array([[0.25, 0.75], [0.75, 0.25]])
    expected = -np.log(shares) @ [share / 2, 1 - share / 2]
    np.testing.assert_allclose(wrap(smoothed)(share), expected, rtol=1e-6)


@pytest.mark.parametrize("share", [-0.1, 1.1, "0.1", None])
def test_smoothing_outside_its_range_is_refused(share):
    loss = losses.make("cross_entropy", label_smoothing=share)
    with pytest.raises(
        InputError, match=r"label_smoothing must be (from 0 to 1|a number), not"
    ):
        loss.of(LOGITS, CLASSES)


def test_the_error_of_a_class_is_measured_from_one_hot():
    outputs = jnp.array([[0.5, 0.0, 0.0], [0.0, 1.0, 2.0]])
    loss = losses.make("squared_error").of(outputs, jnp.array([0, 1]))
    np.testing.assert_allclose(loss, [0.5 * 0.25, 0.5 * 4.0])


@pytest.mark.parametrize(
    ("outputs", "targets"),
    [
        (normal(0, 5, 3), normal(1, 5, 3)),
        (normal(0, 5, 6), normal(1, 5, 2, 3)),
        (normal(0, 5, 1), normal(1, 5)),
        (normal(0, 5), normal(1, 5, 1)),
        (normal(0, 5, 3), jnp.arange(5) % 3),
    ],
    ids=["rows", "flattened", "[n, 1] [n]", "[n] [n, 1]", "classes"],
)
def test_the_mean_loss_is_the_cost_and_half_the_squared_residuals(outputs, targets):
    """C = 1/(2m) sum (t - z)^2, over m examples."""
    loss = losses.make("squared_error")
    z = np.asarray(outputs, np.float64).reshape(5, -1)
    one_hot = targets.dtype == jnp.int32
    t = np.eye(3)[targets] if one_hot else np.float64(targets).reshape(5, -1)
    found = loss.of(outputs, targets)
    assert found.shape == (5,)
    np.testing.assert_allclose(found.mean(), ((t - z) ** 2).sum() / 10, rtol=1e-6)
    residuals = loss.residuals(outputs, targets)
    np.testing.assert_allclose(residuals, ((z - t) / 5**0.5).ravel(), rtol=1e-5)
    np.testing.assert_allclose(0.5 * jnp.sum(residuals**2), found.mean(), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "outputs", "targets"),
    [
        ("squared_error", normal(0, 5, 5), normal(1, 5)),
        ("squared_error", normal(0, 5, 1), normal(1, 5, 2)),
        ("squared_error", normal(0, 5, 2), normal(1, 1, 2)),
        ("squared_error", normal(0, 5, 3), jnp.zeros((5, 3), jnp.int32)),
        ("squared_error", normal(0, 5, 1), {"left": normal(1, 5)}),
        ("cross_entropy", normal(0, 5, 3), normal(1, 5)),
        ("cross_entropy", normal(0, 5, 3), jnp.zeros((5, 1), jnp.int32)),
        ("cross_entropy", normal(0, 5, 3), jnp.zeros((4,), jnp.int32)),
        ("cross_entropy", normal(0, 5, 3), {"left": jnp.zeros(5, jnp.int32)}),
    ],
)
def test_targets_of_another_shape_or_type_are_one_line(name, outputs, targets):
    with pytest.raises(InputError) as raised:
        losses.make(name).of(outputs, targets)
    assert str(raised.value).startswith("targets ")
    assert "\n" not in str(raised.value)


def test_a_custom_loss_names_its_arguments_as_it_likes():
    loss = losses.make("optax.losses.sigmoid_focal_loss", gamma=0.0)
    found = loss.of(jnp.array([0.0]), jnp.array([1.0]))
    np.testing.assert_allclose(found, [math.log(2)], rtol=1e-6)
    assert loss.residuals is None


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cross_entropie", {}, "did you mean cross_entropy"),
        ("cross_entropy", {"smoothing": 0.1}, "it takes label_smoothing"),
        ("squared_error", {"label_smoothing": 0.1}, "it takes no argument"),
    ],
)
def test_an_unknown_loss_or_option_is_one_line(name, options, message):
    with pytest.raises(InputError, match=message):
        losses.make(name, **options)
