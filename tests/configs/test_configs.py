"""Every config can be read, is plain data, and asks for what exists."""

import importlib
import inspect
import json
import pkgutil

import jax
import numpy as np
import pytest

import configs
from optlab import models, optim
from optlab.data import augment
from optlab.optim import schedules

NAMES = [module.name for module in pkgutil.iter_modules(configs.__path__)]


def read():
    """Every config in every variant that its docstring tells of."""
    for name in NAMES:
        module = importlib.import_module(f"configs.{name}")
        takes_variant = inspect.signature(module.get_config).parameters
        for variant in ("full", "reduced") if takes_variant else ("",):
            config = module.get_config(*([variant] if variant else []))
            yield pytest.param(config, id=f"{name}:{variant}" if variant else name)


CONFIGS = list(read())
OPTIMIZING = [each for each in CONFIGS if "optimizers" in each.values[0]]
COMPARISONS = [each for each in CONFIGS if "tune_seeds" in each.values[0]]


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_gives_the_command(name):
    module = importlib.import_module(f"configs.{name}")
    assert "python -m experiments." in module.__doc__
    if "--config=" in module.__doc__:
        assert f"--config=configs/{name}.py" in module.__doc__


@pytest.mark.parametrize("config", CONFIGS)
def test_it_is_plain_data(config):
    json.dumps(config.to_dict())


@pytest.mark.parametrize("config", OPTIMIZING)
def test_every_optimizer_takes_its_hyperparameters(config):
    assert config.optimizers
    for label, entry in config.optimizers.to_dict().items():
        name = entry.pop("optimizer", label)
        first = {k: v[0] if isinstance(v, tuple) else v for k, v in entry.items()}
        optim.make(name, **first)


@pytest.mark.parametrize("config", COMPARISONS)
def test_the_net_fits_the_images(config):
    options = config.model[config.model.name]
    module = models.make(config.model.name, classes=10, **options)
    shape = {"digits": (8, 8, 1), "cifar10": (32, 32, 3)}[config.data.name]
    logits, variables = jax.eval_shape(
        module.init_with_output, jax.random.key(0), np.zeros((2, *shape), np.float32)
    )
    assert logits.shape == (2, 10)
    if config.data.name == "cifar10":  # one that can reach the talk's figures
        size = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
        assert 100_000 <= size <= 600_000


@pytest.mark.parametrize("config", COMPARISONS)
def test_its_names_are_known(config):
    assert set(config.augment) <= set(augment.AUGMENTATIONS)
    options = config.schedule.to_dict()
    schedules.make(options.pop("name"), **options)
    for figures in config.published:
        assert figures["optimizer"] in config.optimizers
        assert figures["batch_size"] in config.batch_size


@pytest.mark.parametrize("name", ["digits_optimizers", "cifar10_optimizers"])
def test_first_order_methods_have_a_fair_grid(name):
    """Seven learning rates or more, log spaced, and as many for each."""
    config = importlib.import_module(f"configs.{name}").get_config()
    assert set(config.optimizers) == {"momentum", "adam", "lamb"}
    rates = [entry.learning_rate for entry in config.optimizers.values()]
    assert len({len(each) for each in rates}) == 1
    for each in [*rates, config.learning_rate]:
        assert len(each) >= 7
        np.testing.assert_allclose(np.diff(np.log10(each)), 0.5, atol=0.03)
    assert config.report_seeds >= 5


def test_the_reduced_variant_says_that_it_is():
    cifar = importlib.import_module("configs.cifar10_optimizers")
    full, reduced = cifar.get_config(), cifar.get_config("reduced")
    assert full.note == ""
    assert f"{reduced.data.examples:,}" in reduced.note
    assert f"{reduced.epochs} epochs" in reduced.note
    assert reduced.epochs < full.epochs == 20
    assert full.batch_size == reduced.batch_size == (64, 512)
