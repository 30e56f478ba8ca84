"""Every argument of every built-in part has one declared type and range."""

import dataclasses
import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optlab import losses, models, optim, ranges
from optlab.data import augment
from optlab.errors import InputError
from optlab.models import layers
from optlab.optim import schedules

PARTS = [
    (factory, module.RANGES)
    for module, factories in (
        (optim.catalogue, optim.METHODS),
        (schedules, schedules.SCHEDULES),
        (losses, losses.LOSSES),
        (augment, augment.AUGMENTATIONS),
    )
    for factory in factories.values()
]
#: Arguments that are arrays, not values of a person's.
ARRAYS = {"outputs", "targets", "keys", "inputs"}


@pytest.mark.parametrize(
    ("factory", "declared"),
    PARTS,
    ids=[f"{factory.__module__}.{factory.__name__}" for factory, _ in PARTS],
)
def test_every_argument_is_declared_and_its_default_fits(factory, declared):
    for name, parameter in inspect.signature(factory).parameters.items():
        if name in ARRAYS:
            continue
        assert name in declared
        if parameter.default is not parameter.empty and parameter.default is not None:
            ranges.check("default", declared, {name: parameter.default})


@pytest.mark.parametrize("module", [*models.MODELS.values(), *vars(layers).values()])
def test_every_attribute_of_a_model_or_layer_is_declared(module):
    if not (isinstance(module, type) and issubclass(module, layers.Checked)):
        return
    for field in dataclasses.fields(module):
        known = field.name in layers.RANGES or field.type in layers.BY_TYPE
        assert known or field.name in ("parent", "name"), field.name


NUMBERS = (0, 0.5, np.float32(0.5), np.int64(1), jnp.array(0.5), jnp.bfloat16(0.5))
OTHERS = (
    None, True, np.True_, "1", 1j, np.complex64(1), (1,), [1.0], {}, object(), 10**400,
    np.ones(2), np.array("x"), np.array(1j), lambda: 1,
)  # fmt: skip


def test_a_number_is_one_real_number():
    assert all(map(ranges.is_number, NUMBERS))
    assert not any(map(ranges.is_number, OTHERS))
    assert [ranges.is_whole(x) for x in NUMBERS] == [1, 0, 0, 1, 0, 0]
    assert not any(map(ranges.is_whole, (*OTHERS, 1.0, math.nan)))


@pytest.mark.parametrize(
    "declared", [x for x in vars(ranges).values() if isinstance(x, ranges.Range)]
)
@pytest.mark.parametrize("value", [*OTHERS, math.nan, math.inf, -1])
def test_a_wrong_value_is_one_line_and_none_else(declared, value):
    """Whatever is given, nothing but InputError is raised; NaN is in no range."""
    refused = ""
    try:
        ranges.check("part", {"x": declared}, {"x": value})
    except InputError as error:
        refused = str(error)
    assert refused.startswith("part: x must be ") or not refused
    assert "\n" not in refused
    assert refused or not (isinstance(value, float) and math.isnan(value))


def test_a_tracer_passes_for_a_number_and_for_nothing_else():
    @jax.jit
    def traced(x):
        ranges.check("part", {"x": ranges.SHARE}, {"x": x})
        return x

    traced(5.0)
    with pytest.raises(TypeError, match="max must be a whole number, and not traced"):
        jax.jit(lambda x: ranges.check("p", {"max": ranges.COUNT}, {"max": x}))(1)
