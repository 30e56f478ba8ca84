"""Every config can be read, is plain data, and asks for what exists."""

import functools
import importlib
import inspect
import json
import pkgutil

import jax
import numpy as np
import pytest

import configs
from optlab import compare, data, optim
from optlab.compare import recipe
from optlab.results import claims

NAMES = [module.name for module in pkgutil.iter_modules(configs.__path__)]


def read():
    """Every config in every variant that its docstring tells of."""
    for name in NAMES:
        module = importlib.import_module(f"configs.{name}")
        takes_variant = inspect.signature(module.get_config).parameters
        for variant in module.VARIANTS if takes_variant else ("",):
            config = module.get_config(*([variant] if variant else []))
            yield pytest.param(config, id=f"{name}:{variant}" if variant else name)


CONFIGS = list(read())
OPTIMIZING = [each for each in CONFIGS if "optimizers" in each.values[0]]
# These have the parts of another variant, in other sizes or on other data.
ALIKE = "reduced", "fcn_dropout", ":mlp", "cifar100", "cifar100_dropout", ":layer"
COMPARISONS = [
    each
    for each in CONFIGS
    if "tune_seeds" in each.values[0] and not each.id.endswith(ALIKE)
]


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
    assert config.optimizers or config.contenders
    for label, entry in config.optimizers.to_dict().items():
        name = entry.pop("optimizer", label)
        first = {k: v[0] if isinstance(v, tuple) else v for k, v in entry.items()}
        optim.make(name, **first)


@pytest.mark.filterwarnings("ignore:batch normalization of a batch of one")
@pytest.mark.parametrize("config", COMPARISONS)
def test_its_parts_fit_each_other(config):
    """Every contender is made, on a few random examples of the data's shape."""
    settings = config.to_dict()
    for deep in ("xception", "resnet50v2"):  # tests of the nets trace them
        settings["contenders"].pop(deep, None)
    contenders = compare.make_contenders(
        {key: settings[key] for key in recipe.KEYS},
        recipe.overrides(settings),
        lambda settings: few(settings["data"]["name"]),
    )
    labels = [contender.label for contender in contenders]
    for figures in settings["published"]:
        assert figures["contender"] in labels
    metrics = compare.metrics_of(contenders)
    names = [contender.name for contender in contenders]
    claims.check(settings["claims"], names, metrics, settings["target"])
    for claim in settings["claims"]:
        groups = [each.group for each in contenders]
        assert claim.get("group", groups[0]) in groups
    if settings["title"].endswith("LAMB on CIFAR-10"):  # can reach the talk's figures
        init = contenders[0].task.problem(contenders[0].points[0]).init
        params, _ = jax.eval_shape(init, jax.random.key(0))
        assert 100_000 <= sum(leaf.size for leaf in jax.tree.leaves(params)) <= 600_000


@functools.cache
def few(name):
    if not name.startswith("cifar"):
        return data.load(name)
    classes = int(name.removeprefix("cifar"))
    random = np.random.default_rng(0)

    def split(n):
        images = random.integers(0, 256, (n, 32, 32, 3)).astype(np.uint8)
        return images, np.arange(n) % classes

    splits = {"train": split(512), "validation": split(2), "test": split(2)}
    return data.from_arrays(name, classes=classes, **splits)


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
