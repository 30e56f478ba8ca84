"""Sizes of nets: what a step of each method holds, and the command."""

import json

import jax
import jax.numpy as jnp
import pytest

from experiments import net_sizes
from optlab import curvature, optim
from optlab.curvature import products

N, ROWS = 3000, 10
SHAPES = {
    "a": jax.ShapeDtypeStruct((20, 100), jnp.float32),
    "b": jax.ShapeDtypeStruct((1000,), jnp.float32),
}


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("sgd", 2 * N),
        ("momentum", 3 * N),
        ("adam", 4 * N),
        ("newton_cg", 2 * N),
        ("bfgs", 2 * N + 3 * N**2),
        ("newton", 2 * N + 4 * N**2),
        ("gauss_newton", 2 * N + 3 * ROWS**2),  # fewer outputs than N: the dual form
    ],
)
def test_a_step_holds_what_the_method_says(name, numbers):
    found = net_sizes.step_bytes(optim.make(name), SHAPES, ROWS)
    assert 4 * numbers <= found <= 4 * numbers + 200  # and some scalars


def test_the_limit_of_dense_matrices_is_as_before():
    net_sizes.step_bytes(optim.make("newton"), SHAPES, ROWS)
    with pytest.raises(curvature.DenseMemoryError) as caught:
        curvature.require_memory("newton", [(40_000, 40_000)], jnp.float32, "sgd()")
    assert caught.value.size == 4 * 40_000**2 > products.DENSE_LIMIT > 0


def test_hessians_have_the_published_sizes():
    settings = {"classes": 1000, "width": 1.0, "batch_size": 64}
    vgg, mobile = (
        net_sizes.measure(name, settings, {}) for name in ("vgg16", "mobilenet_v2")
    )
    assert vgg.trained**2 == pytest.approx(1.914e16, rel=1e-3)
    assert mobile.trained**2 > 12e12
    assert vgg.largest == 512 * 7 * 7 * 4096 + 4096  # the first dense layer
    assert vgg.depth == 16
    assert mobile.parameters - mobile.trained == 2 * 17_056  # batch statistics


def test_the_command_writes_tables_and_a_page(run, tmp_path):
    chosen = (
        "--config.nets=('squeezenet','mobilenet')",
        "--config.optimizers=sgd,newton",
    )
    words = *chosen, "--config.classes=10", f"--workdir={tmp_path / 'run'}"
    found = run("experiments.nets", *words)
    assert found.returncode == 0, found.stderr
    assert "squeezenet" in found.stdout
    page = (tmp_path / "run" / "index.html").read_text()
    assert "The Hessian of mobilenet has 1e+13 entries" in page
    assert "A step of sgd fits for every net." in page
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    # 1000 outputs fewer 990: conv10 has 512 weights and a bias for each
    assert results["nets"][0]["parameters"] == 1_248_424 - 990 * 513


def test_an_unknown_net_is_one_line(refused):
    message = "did you mean mobilenet, mobilenet_v2?"
    refused("experiments.nets", ("--config.nets=('mobilnet',)",), message)


def test_one_net_without_a_tuple_is_shown_with_one(refused):
    message = "--config.nets=vgg16 is not a tuple, ('vgg16',)"
    refused("experiments.nets", ("--config.nets=vgg16",), message)


def test_another_experiments_config_is_one_line(refused):
    words = ("--config=configs/digits_optimizers.py",)
    refused("experiments.nets", words, "this config is none of published nets: see")
