"""Precision of a net: which numbers are wide, and what a comparison makes of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optlab
from optlab import compare, data, models, precision, problems, training
from optlab.compare import Protocol
from optlab.errors import InputError


def problem_of(name, **options):
    net = models.make("mlp", classes=10, hidden=(6,), activation="tanh", **options)
    with precision.scope(name):
        return precision.at(
            problems.classification(net, data.load("digits", examples=80)), name
        )


def types(tree):
    return {str(x.dtype) for x in jax.tree.leaves(tree) if x.dtype != jnp.int32}


@pytest.mark.parametrize(
    ("name", "inside", "kept"),
    [
        ("float32", "f32", "float32"),
        ("bfloat16", "bf16", "float32"),
        ("float64", "f64", "float64"),
    ],
)
def test_products_are_narrow_and_what_is_kept_is_wide(name, inside, kept):
    """Batch statistics are float32 in all three."""
    problem = problem_of(name, normalization="batch")
    tx = optlab.adam(1e-2)
    with precision.scope(name):
        state = training.init(problem, tx, jax.random.key(0))
        few = jax.tree.map(lambda x: x[:16], problem.dataset.train)
        batch, key = problem.make_batch(few), jax.random.key(1)
        step = training.make_step(problem, tx)
        found, metrics = jax.eval_shape(step, state, batch, key)
        program = str(jax.make_jaxpr(step)(state, batch, key))
    products = [line for line in program.splitlines() if "dot_general" in line]
    assert products
    assert all(f":{inside}[" in line for line in products)
    assert types((found.params, found.opt_state)) == {kept}
    assert types((state.model_state, found.model_state)) == {"float32"}
    assert types(metrics["loss"]) == {kept}


def test_bfloat16_rounds_the_net_and_no_more():
    """Outputs are off by the type's 2^-8, and the gradient goes back to float32."""
    wide, narrow = problem_of("float32"), problem_of("bfloat16")
    params, model_state = wide.init(jax.random.key(0))
    batch = wide.make_batch(jax.tree.map(lambda x: x[:32], wide.dataset.train))
    one, other = (p.outputs(params, model_state, batch.inputs) for p in (wide, narrow))
    error = np.abs(one - other).max() / np.abs(one).max()
    assert 2**-14 < error < 2**-5


def test_float64_out_of_its_scope_is_one_line():
    problem = problem_of("float64")
    with pytest.raises(InputError, match="needs JAX's 64-bit types"):
        optlab.train(problem, optlab.sgd(0.1), epochs=1, batch_size=8)
    with jax.enable_x64(True):
        trained = optlab.train(problem, optlab.sgd(0.1), epochs=1, batch_size=8)
    assert types(trained.params) == {"float64"}
    with pytest.raises(InputError, match="needs JAX's 64-bit types"):
        trained.evaluate("test")


@pytest.mark.parametrize("name", ["float16", 32, None])
def test_an_unknown_precision_is_one_line(name):
    with pytest.raises(InputError, match="no precision"):
        precision.scope(name)


def test_three_precisions_in_one_comparison(tmp_path):
    """A swept precision makes contenders; the float64 net is kept as it is."""

    class Keeper(compare.Observer):
        def trained(self, stage, trained):
            contender = stage.contender
            about = compare.About(
                contender.label, contender.settings, contender.points[0], 1, None
            )
            kept[contender.settings["precision"]] = trained
            compare.save_trained(tmp_path / f"{contender.label}.net", trained, about)

    base = {
        "data": {"name": "digits", "examples": 80},
        "augment": {"noise": {"std": 0.1}},
        "problem": "classification",
        "metric": None,
        "model": {"name": "mlp", "hidden": (4,), "dropout": 0.3, "activation": "tanh"},
        "loss": {"name": "cross_entropy"},
        "optimizer": {"name": "adam", "learning_rate": 0.01},
        "schedule": {"name": "constant"},
        "epochs": 2,
        "batch_size": 16,
        "precision": ("float32", "bfloat16", "float64"),
    }
    kept = {}
    contenders = compare.make_contenders(
        base, {"adam": {}}, compare.recipe.load_dataset
    )
    entries = compare.compare(contenders, Protocol(1, 1, width=1), Keeper())
    assert {name: types(net.params) for name, net in kept.items()} == {
        "float32": {"float32"},
        "bfloat16": {"float32"},
        "float64": {"float64"},
    }
    for entry in entries:
        assert types(entry.report.evaluations["test"]["loss"]) == {"float32"}
    losses = [entry.report.evaluations["test"]["loss"][-1, 0, 0] for entry in entries]
    np.testing.assert_allclose(losses[2], losses[0], rtol=1e-4)
    assert losses[1] != losses[0]
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.1)
    (path,) = tmp_path.glob("*float64.net")
    loaded = compare.load_trained(path)
    with jax.enable_x64(True):
        assert loaded.evaluate("test")["loss"].astype("float32") == losses[2]
