"""What README shows must run as it stands."""

import pathlib
import re
import sys

import jax
import jax.numpy as jnp
import pytest

README = (pathlib.Path(__file__).parent.parent / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def run(blocks):
    names: dict = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    return names


OWN = next(i for i, block in enumerate(BLOCKS) if "SignState" in block)
FIT = next(i for i, block in enumerate(BLOCKS) if "optlab.uncertainties" in block)


def test_nets_are_trained_as_shown():
    names = run(BLOCKS[:OWN])
    assert names["trained"].evaluate("test")["accuracy"] > 0.9
    assert names["losses"].shape == (3, 60)
    assert names["line"].evaluate("test")["R2"] > 0.999
    net = names["compress"].plain(names["compress"].halve(names["net"]))
    inputs = jnp.ones((1, 8, 8, 1))
    assert (names["logits"] == names["problem"].outputs(net, {}, inputs)).all()
    assert len(names["written"]) < 4 * 2600  # a tenth of the parameters are left


def test_functions_are_minimized_as_shown():
    names = run(BLOCKS[OWN + 1 : FIT])
    # Least squares of sin on a symmetric grid: no intercept, slope <x sin> / <x x>.
    x = jnp.linspace(-1, 1, 20)
    slope = jnp.sum(x * jnp.sin(x)) / jnp.sum(x * x)
    for params in (names["w"], names["fit"].params):
        assert params == pytest.approx([0.0, float(slope)], abs=1e-3)

    def values(tx):
        solve = lambda seed: names["optlab"].solve(  # noqa: E731
            tx,
            names["start"](seed),
            residual_fn=names["residuals"],
            stop=names["optlab"].Stop(steps=200),
        )
        return jax.vmap(solve)(jnp.arange(12)).value

    both, adam_alone = values(names["tx"]), values(names["optlab"].adam(1e-2))
    # Over seeds: one of them alone is decided by the order of a sum.
    assert jnp.median(both) < 0.02
    assert 0.05 < jnp.median(adam_alone) < 0.25
    assert (both < adam_alone).mean() > 0.8


def test_a_curve_is_fitted_as_scipy_fits_it():
    names = run(BLOCKS[FIT:])
    errors = names["errors"].standard_errors
    for i, name in enumerate(("height", "rate", "floor")):
        assert names["curve"].params[name] == pytest.approx(names["found"][i], rel=1e-3)
        assert errors[name] == pytest.approx(names["standard_errors"][i], rel=1e-2)
    assert names["errors"].converged
    assert names["within"].at_bound["rate"] == 1
    assert names["influence"].shape == (50,)


def test_own_optimizer_is_short_and_found_by_its_dotted_name(tmp_path, monkeypatch):
    from optlab import optim

    assert len(BLOCKS[OWN].splitlines()) <= 40
    (tmp_path / "my_optimizers.py").write_text(BLOCKS[OWN])
    monkeypatch.syspath_prepend(tmp_path)
    tx = optim.make("my_optimizers.sign_descent", learning_rate=0.5)
    gradient = jnp.array([3.0, -0.01])
    updates, _ = tx.update(gradient, tx.init(gradient), value=1.0)
    assert updates.tolist() == [-0.5, 0.5]
    sys.modules.pop("my_optimizers")
