"""Optimizers by name: the rule, dotted paths, ranges and messages."""

import functools
import inspect
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optlab
from optlab import optim
from optlab.errors import InputError
from optlab.optim import info, registry
from optlab.optim.contract import extra_args


def first_update(tx, g=2.0, w=1.0, **extra):
    w = jnp.array(w)
    return tx.update(jnp.array(g), tx.init(w), w, **extra)[0]


def test_a_method_and_its_part_are_exported_and_hide_no_module():
    for name, method in optim.METHODS.items():
        assert optlab.__dict__[name] is getattr(optim, name) is method
        assert method.__module__ == f"optlab.optim.methods.{name}"
    parts = {name for name in vars(registry) if name.startswith("scale_by_")}
    assert {"scale_by_bfgs", "scale_by_levenberg_marquardt"} <= parts
    for name in parts:
        part, method = getattr(optlab, name), name.removeprefix("scale_by_")
        assert part is getattr(optim, name)
        arguments = inspect.signature(optim.METHODS[method]).parameters
        assert inspect.signature(part).parameters == arguments
    assert not parts & {*optim.METHODS, *optim.names()}


def test_ours_come_before_optax():
    # s starts at 0 in ours and at 0.1 in optax's.
    assert first_update(optim.make("adagrad", learning_rate=1.0)) == -1.0
    assert first_update(optax.adagrad(1.0)) > -1.0


def test_the_rule_finds_optimizers_and_no_parts():
    names = set(optim.names())
    assert {"lion", "lbfgs", "polyak_sgd", "muon", "schedule_free_sgd", "dog"} <= names
    assert isinstance(optax.nadamw, functools.partial)
    assert {"nadamw", "mechanize", "cocob", "momo"} <= names
    assert not {"scale_by_learning_rate", "clip", "chain", "masked", "trace"} & names
    assert len(names) == len(optim.names())


def test_a_dotted_path_is_always_optaxs():
    assert optim.find("optax.adam") is optax.adam is not optim.find("adam")
    assert optim.find("optax.contrib.muon") is optax.contrib.muon
    assert optim.find("muon") is optim.muon


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("dpsgd", "needs the gradient of each example"),
        ("optax.contrib.sam", "every second gradient at a perturbed point"),
        ("lookahead", "pairs of fast and slow ones"),
        ("optax.selective_transform", "use optax.masked"),
    ],
)
def test_an_optimizer_that_no_step_can_drive_is_refused(name, reason):
    assert name not in optim.names()
    with pytest.raises(InputError, match=f"^optimizer '{name}' .*{reason}.*$"):
        optim.make(name)
    with pytest.raises(InputError, match=reason):
        optim.takes(name, "learning_rate")


def test_adadelta_without_a_rate_would_climb():
    w = jnp.array(1.0)
    climbs = optax.adadelta()
    assert climbs.update(w, climbs.init(w), w)[0] > 0
    with pytest.raises(InputError, match="adadelta needs learning_rate"):
        optim.make("adadelta")
    assert first_update(optim.make("adadelta", learning_rate=1.0)) < 0


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
        ("sgd", {"learning_rate": "0.1"}, "a number or a schedule, not '0.1'"),
        ("sgd", {"learning_rate": None}, "a number or a schedule, not None"),
        ("sgd", {"learning_rate": True}, "a number or a schedule, not True"),
        ("sgd", {"learning_rate": [0.1, 0.2]}, "a number or a schedule"),
        ("adam", {"b1": 2.0}, "adam: b1 must be at least 0 and less than 1, not 2.0"),
        ("adam", {"b1": jnp.array(1.0)}, "b1 must be at least 0 and less than 1"),
        ("adam", {"b1": None}, "adam: b1 must be a number, not None"),
        ("adam", {"b1": lambda i: 0.9}, "b1 must be a number, not <function"),
        ("adam", {"b1": True}, "b1 must be a number, not True"),
        ("levenberg_marquardt", {"geodesic": "maybe"}, "True or False, not 'maybe'"),
        ("levenberg_marquardt", {"geodesic": 1}, "True or False, not 1"),
        ("levenberg_marquardt", {"rule": 5}, "rule must be a text, not 5"),
        ("newton_cg", {"max_products": 0}, "max_products must be 1 or more, not 0"),
        ("newton_cg", {"max_products": 9.5}, "must be a whole number, not 9.5"),
        ("bold_driver", {"tolerance": -1}, "at least 0 and less than 1, not -1"),
        ("gauss_newton", {"min_length": -1}, "finite and at least 0, not -1"),
        ("sgd", {"learning_rate": 0.001j}, "a number or a schedule, not 0.001j"),
        ("sgd", {"learning_rate": 10**400}, "a number or a schedule, not 1000"),
        ("adamw", {"weight_decay": "abc"}, "weight_decay must be .* not 'abc'"),
        ("lion", {"learning_rate": 1.0, "b1": None}, "b1 must be .* not None"),
        ("adamw", {"nesterov": 3}, "nesterov must be True or False, not 3"),
        ("levenberg_marquardt", {"increase": 0}, "increase must be more than 1, not 0"),
        ("bold_driver", {"decrease": None}, "decrease must be a number, not None"),
        ("newton", {"radius": float("nan")}, "radius must be more than 0, not nan"),
        (
            "muon",
            {"adam_learning_rate": "x"},
            "must be a number or a schedule, not 'x'",
        ),
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


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        (optim.levenberg_marquardt, {"geodesic": "no"}, "True or False, not 'no'"),
        (optim.bold_driver, {"learning_rate": abs}, "must be a number, not <built-in"),
    ],
)
def test_a_factory_itself_refuses_what_it_cannot_take(method, arguments, message):
    with pytest.raises(InputError, match=message):
        method(**arguments)


def test_defaults_are_in_their_ranges():
    for name, method in optim.METHODS.items():
        parameters = inspect.signature(method).parameters
        optim.make(name, **{key: each.default for key, each in parameters.items()})


def test_ranges_are_of_built_in_methods_only(tmp_path, monkeypatch):
    (tmp_path / "own_ranges.py").write_text(
        "import optax\ndef sign(momentum): return optax.scale(momentum)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert first_update(optim.make("own_ranges.sign", momentum=-3.0), g=1.0) == -3.0
    optim.make("adamw", learning_rate=0.1, weight_decay=-0.1)


def test_numbers_may_be_traced():
    @jax.jit
    @jax.vmap
    def lanes(rate, momentum):
        tx = optim.make("momentum", learning_rate=rate, momentum=momentum)
        return first_update(tx, g=1.0)

    found = lanes(jnp.array([0.5, -1.0]), jnp.array([0.5, 1.5]))
    assert found.tolist() == [-0.5, 1.0]


def test_sophia_is_given_its_objective(float64):
    # The first step has no curvature yet; after it, f = 3 w^2 has a Hessian of 6.
    sophia, w = optim.make("sophia", learning_rate=0.1), {"w": jnp.array([2.0])}
    mask = {"w": True, "other": False}
    both = {**w, "other": jnp.array([1.0])}

    def value_fn(params):
        return jnp.sum(3 * params["w"] ** 2) + params.get("other", jnp.zeros(1))[0]

    for tx, params in ((sophia, w), (optax.masked(sophia, mask), both)):
        value, grad = jax.value_and_grad(value_fn)(params)
        everything = extra_args(params, value, grad, value_fn=value_fn)
        _, state = tx.update(grad, tx.init(params), params, **everything)
        found = info.find(state, optax.contrib.SophiaState)[0]
        np.testing.assert_allclose(found.nu["w"], (1 - 0.99) * 6, rtol=1e-6)
        with pytest.raises(InputError, match="evaluates the objective itself"):
            info.refuse_evaluation(state)


def test_import_needs_only_jax_and_optax():
    code = (
        "import sys, optlab.optim\n"
        "heavy = {'flax', 'sklearn', 'matplotlib', 'tensorflow_datasets'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = [sys.executable, "-c", code]
    assert subprocess.check_output(run, text=True).strip() == "[]"
