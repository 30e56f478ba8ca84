"""What README shows must run as it stands."""

import pathlib
import re
import sys

import jax.numpy as jnp
import pytest

README = (pathlib.Path(__file__).parent.parent / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_examples_fit_a_line_and_a_net_as_stated():
    names: dict = {}
    for block in BLOCKS[1:]:
        exec(compile(block, "README.md", "exec"), names)
    # Least squares of sin on a symmetric grid: no intercept, slope <x sin> / <x x>.
    x = jnp.linspace(-1, 1, 20)
    slope = jnp.sum(x * jnp.sin(x)) / jnp.sum(x * x)
    for params in (names["w"], names["fit"].params):
        assert params == pytest.approx([0.0, float(slope)], abs=1e-3)

    adam_alone = names["optlab"].solve(
        names["optlab"].adam(1e-2),
        names["params"],
        residual_fn=names["residuals"],
        stop=names["optlab"].Stop(steps=200),
    )
    assert names["net"].value < 0.002
    assert adam_alone.value > 0.04


def test_own_optimizer_is_short_and_found_by_its_dotted_name(tmp_path, monkeypatch):
    from optlab import optim

    assert len(BLOCKS[0].splitlines()) <= 40
    (tmp_path / "my_optimizers.py").write_text(BLOCKS[0])
    monkeypatch.syspath_prepend(tmp_path)
    tx = optim.make("my_optimizers.sign_descent", learning_rate=0.5)
    gradient = jnp.array([3.0, -0.01])
    updates, _ = tx.update(gradient, tx.init(gradient), value=1.0)
    assert updates.tolist() == [-0.5, 0.5]
    sys.modules.pop("my_optimizers")
