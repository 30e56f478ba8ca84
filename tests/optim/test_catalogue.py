"""Optimizers by name: what is found, and what a mistake says."""

import inspect
import subprocess
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optlab import optim
from optlab.errors import InputError

OURS = ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "nadam", "lamb"]


def first_update(tx, g=2.0, w=1.0, **extra):
    w = jnp.array(w)
    return tx.update(jnp.array(g), tx.init(w), w, **extra)[0]


@pytest.mark.parametrize("name", OURS)
def test_a_method_is_exported_under_its_name(name):
    assert optim.METHODS[name] is getattr(optim, name)
    assert optim.METHODS[name].__module__.endswith(f"optim.{name}")


def test_ours_come_before_optax():
    # s starts at 0 in ours and at 0.1 in optax's.
    assert first_update(optim.make("adagrad", learning_rate=1.0)) == -1.0
    assert first_update(optax.adagrad(1.0)) > -1.0


@pytest.mark.parametrize("name", sorted(set(optim.names()) - set(optim.METHODS)))
def test_every_listed_optax_optimizer_is_one(name):
    factory = vars(optax).get(name) or getattr(optax.contrib, name)
    parameters = inspect.signature(factory).parameters.values()
    needed = {p.name: 0.1 for p in parameters if p.default is p.empty}
    special = {"base_optimizer": optax.sgd(0.1), "seed": 0, "key": jax.random.key(0)}
    needed.update({k: v for k, v in special.items() if k in needed})
    with warnings.catch_warnings(action="ignore"):  # optax deprecates some
        tx = optim.make(name, **needed)
    assert isinstance(tx, optax.GradientTransformationExtraArgs)


def test_the_rule_finds_optimizers_and_no_parts():
    names = set(optim.names())
    assert {"lion", "lbfgs", "polyak_sgd", "muon", "schedule_free_sgd", "dog"} <= names
    assert not {"scale_by_learning_rate", "clip", "chain", "masked", "trace"} & names
    assert len(names) == len(optim.names())


def test_optax_by_name_takes_extra_arguments():
    update = first_update(optim.make("lion", learning_rate=0.1), value=1.0, other=None)
    np.testing.assert_allclose(update, -0.1 * (1 + 1e-3), rtol=1e-5)  # decay 1e-3


def test_a_dotted_path_is_imported(tmp_path, monkeypatch):
    (tmp_path / "own_optimizers.py").write_text(
        "import optax\n"
        "def doubled(learning_rate): return optax.scale(-2 * learning_rate)\n"
        "def nothing(): return 3\n"
        "number = 1\n"
    )
    (tmp_path / "own_broken.py").write_text("import a_module_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    tx = optim.make("own_optimizers.doubled", learning_rate=0.25)
    assert first_update(tx, value=1.0) == -1.0
    with pytest.raises(InputError, match="no function 'double'; did you mean doubled"):
        optim.make("own_optimizers.double")
    with pytest.raises(InputError, match="no function 'number'"):
        optim.make("own_optimizers.number")
    with pytest.raises(InputError, match="returned a int, not an optimizer"):
        optim.make("own_optimizers.nothing")
    with pytest.raises(InputError, match="no module 'own_optimisers'"):
        optim.make("own_optimisers.doubled")
    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_there"):
        optim.make("own_broken.anything")


@pytest.mark.parametrize(
    ("name", "hyperparameters", "message"),
    [
        ("adma", {}, r"no optimizer 'adma'; did you mean .*\badam\b"),
        ("schedule_free", {}, "missing a required argument: 'base_optimizer'"),
        ("schedul_free_sgd", {}, "did you mean schedule_free_sgd"),
        ("scale_by_adam", {}, "no optimizer 'scale_by_adam'"),
        ("not a name.x", {}, "no optimizer 'not a name.x'"),
        (".adam", {}, "no optimizer '.adam'"),
        ("adam", {"lr": 1}, "'lr'; it takes learning_rate, b1, b2, eps"),
        ("lion", {}, "lion missing .* 'learning_rate'; it takes learning_rate, b1"),
        ("sgd", {"learning_rate": -0.1}, "finite and at least 0, not -0.1"),
        ("lion", {"learning_rate": float("nan")}, "finite and at least 0, not nan"),
        ("sgd", {"learning_rate": np.float32("inf")}, "finite and at least 0, not inf"),
        ("sgd", {"learning_rate": "0.1"}, "a number or a schedule, not '0.1'"),
        ("sgd", {"learning_rate": None}, "a number or a schedule, not None"),
        ("sgd", {"learning_rate": True}, "a number or a schedule, not True"),
        ("sgd", {"learning_rate": [0.1, 0.2]}, "a number or a schedule"),
        ("adam", {"b1": 2.0}, "adam: b1 must be at least 0 and less than 1, not 2.0"),
        ("adam", {"b2": -5.0}, "b2 must be at least 0 and less than 1, not -5.0"),
        ("adam", {"b1": jnp.array(1.0)}, "b1 must be at least 0 and less than 1"),
        ("adam", {"b1": None}, "adam: b1 must be a number, not None"),
        ("adam", {"b1": lambda i: 0.9}, "b1 must be a number, not <function"),
        ("adam", {"eps": -1e-8}, "eps must be finite and at least 0, not -1e-08"),
        ("momentum", {"momentum": 1.5}, "momentum must be at least 0 and less than 1"),
        ("rmsprop", {"decay": 1}, "decay must be at least 0 and less than 1, not 1"),
        ("lamb", {"weight_decay": -0.1}, "weight_decay must be finite and at least 0"),
        ("levenberg_marquardt", {"damping": -1}, "damping must be finite .*, not -1"),
        ("levenberg_marquardt", {"increase": 0}, "increase must be more than 0, not 0"),
        ("bold_driver", {"decrease": None}, "decrease must be a number, not None"),
        ("newton", {"radius": float("nan")}, "radius must be more than 0, not nan"),
    ],
)
def test_a_mistake_says_what_would_be_right(name, hyperparameters, message):
    with pytest.raises(InputError, match=message):
        optim.make(name, **hyperparameters)


@pytest.mark.parametrize(
    "rate", [0, 0.5, np.float32(0.5), jnp.bfloat16(0.5), jnp.array(0.5), lambda i: 0.5]
)
def test_learning_rates_of_every_kind(rate):
    expected = -0.5 if callable(rate) else -float(rate)
    assert first_update(optim.make("sgd", learning_rate=rate), g=1.0) == expected


@pytest.mark.parametrize("name", optim.METHODS)
def test_defaults_are_in_their_ranges(name):
    parameters = inspect.signature(optim.METHODS[name]).parameters
    optim.make(name, **{key: each.default for key, each in parameters.items()})


def test_ranges_are_of_methods_of_the_house(tmp_path, monkeypatch):
    (tmp_path / "own_ranges.py").write_text(
        "import optax\ndef sign(momentum): return optax.scale(momentum)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert first_update(optim.make("own_ranges.sign", momentum=-3.0), g=1.0) == -3.0
    optim.make("adamw", learning_rate=0.1, weight_decay=-0.1)


def test_a_number_may_be_traced():
    def update(momentum):
        return first_update(optim.make("momentum", momentum=momentum), g=1.0)

    np.testing.assert_allclose(jax.vmap(update)(jnp.array([0.5, 1.5])), -0.01)


def test_a_learning_rate_may_be_traced():
    @jax.jit
    @jax.vmap
    def lanes(rate):
        return first_update(optim.make("momentum", learning_rate=rate), g=1.0)

    assert lanes(jnp.array([0.5, -1.0])).tolist() == [-0.5, 1.0]


def test_import_needs_only_jax_and_optax():
    code = (
        "import sys, optlab.optim\n"
        "heavy = {'flax', 'sklearn', 'matplotlib', 'tensorflow_datasets'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = [sys.executable, "-c", code]
    assert subprocess.check_output(run, text=True).strip() == "[]"
