"""Numbers out of their range, given to a factory itself."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optlab
from optlab.errors import InputError


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("newton", {"radius": 0.0}, "radius must be more than 0, not 0.0"),
        ("newton", {"damping": -1}, "damping must be finite and at least 0, not -1"),
        (
            "newton_cg",
            {"tolerance": np.nan},
            "at least 0 and less than 1",
        ),
        ("bfgs", {"curvature": 1.5}, "curvature must be at least 0 and less than 1"),
        ("dfp", {"first_step": "0.1"}, "first_step must be a number, not '0.1'"),
        ("gauss_newton", {"damping": jnp.ones(1)}, "damping must be a number, not"),
        ("levenberg_marquardt", {"increase": jnp.array(0.5)}, "must be more than 1"),
        ("steepest_descent", {"curvature": -0.1}, "curvature must be at least 0"),
        ("scale_by_newton", {"radius": -1.0}, "newton: radius must be more than 0"),
        ("newton", {"max_radius": np.inf}, "max_radius must be finite and more than 0"),
        ("newton_cg", {"max_products": 0}, "max_products must be 1 or more, not 0"),
        ("newton_cg", {"tolerance": 2.0}, "at least 0 and less than 1"),
        ("bold_driver", {"decrease": 1.5}, "more than 0 and at most 1"),
        ("adam", {"b1": 1.0}, "b1 must be at least 0 and less than 1, not 1.0"),
        (
            "sgd",
            {"learning_rate": "fast"},
            "must be a number or a schedule",
        ),
        ("muon", {"adam_learning_rate": -1.0}, "must be finite and at least 0, not -1"),
    ],
)
def test_a_number_out_of_its_range_is_one_line(name, arguments, message):
    with pytest.raises(InputError, match=message) as refusal:
        getattr(optlab.optim, name)(**arguments)
    assert "\n" not in str(refusal.value)


def test_a_misspelt_argument_is_refused_in_the_name_of_the_factory():
    with pytest.raises(TypeError, match=r"newton\(\) got an unexpected .* 'raduis'"):
        optlab.optim.newton(raduis=1.0)


@pytest.mark.parametrize("name", ["adam", "bfgs", "levenberg_marquardt"])
def test_a_traced_array_is_no_number(name):
    argument = {"adam": "eps", "bfgs": "curvature"}.get(name, "damping")
    make = lambda x: optlab.optim.make(name, **{argument: x}).init(jnp.ones(2))  # noqa: E731
    with pytest.raises(InputError, match=rf"{name}: {argument} must be a number, not"):
        jax.jit(make)(jnp.ones(1))


def test_numbers_that_are_traced_or_left_out_pass():
    def first_radius(radius):
        return optlab.optim.newton(radius=radius).init(jnp.ones(2))[0].radius

    assert jax.jit(first_radius)(3.0) == 3.0
    optlab.optim.levenberg_marquardt(increase=None)
    injected = optax.inject_hyperparams(optlab.optim.newton_cg)(tolerance=0.5)
    assert injected.init(jnp.ones(2)).hyperparams["tolerance"] == 0.5
