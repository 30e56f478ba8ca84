"""The examples in the experiments' docstrings."""

import doctest
import importlib
import pkgutil

import pytest

import experiments

OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
MODULES = [
    each.name for each in pkgutil.walk_packages(experiments.__path__, "experiments.")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_right(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module, optionflags=OPTIONS).failed == 0
