"""The study of filter pruning: what it measures, and what it refuses."""

import json

import pytest

from experiments.compression.filters import sizes
from optlab.errors import InputError

SMALL = (
    "--config.data.name=optlab.data.embedded.digits",  # of another name
    "--config.model.features=(4,)", "--config.model.dense=6", "--config.seeds=2",
    "--config.epochs=2", "--config.retrain.epochs=1", "--config.shares=(0.5,)",
    "--config.timing.rounds=2", "--config.timing.images=8",
    "--config.schedule.name=constant", "--config.retrain.schedule.name=constant",
)  # fmt: skip


def test_the_nets_get_smaller_and_every_way_is_evaluated(run, tmp_path):
    found = run("experiments.filters", *SMALL, f"--workdir={tmp_path}")
    assert found.returncode == 0, found.stderr
    whole, half = json.loads((tmp_path / "results.json").read_text())["shares"]
    # 8 x 8 pixels, pooled to 4 x 4; one input map, ten classes.
    of = lambda f, d: 10 * f + (16 * f + 1) * d + 10 * (d + 1)  # noqa: E731
    work = lambda f, d: 64 * 9 * f + 16 * f * d + 10 * d  # noqa: E731
    for each, (filters, dense) in ((whole, (4, 6)), (half, (2, 3))):
        assert each["parameters"] == of(filters, dense)
        assert each["multiply_adds"] == work(filters, dense)
        assert each["filters"] == {"Conv_0": filters, "Dense_0": dense, "Dense_1": 10}
        assert each["seconds"] > 0
    assert set(half["after"]) == {"independent", "greedy", "from scratch"}
    assert set(half["before"]) == {"independent", "greedy"}
    assert all(len(values) == 2 for values in half["after"].values())
    assert (tmp_path / "figures" / "filters.png").exists()
    text = (tmp_path / "index.html").read_text()
    assert "<h1>Filters of a net of optlab.data.embedded.digits, pruned</h1>" in text
    assert "from scratch" in text
    assert "outputs of 8 images" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--config.shares=(0.5,1.0)",), "shares must be more than 0 and less than 1"),
        (("--config.shares=(0.5,0.25)",), "and ascending, not (0.5, 0.25)"),
        (("--config.retrain.optimizer.learning_rate=-1",), "--config.retrain: "),
        (("--config.model.name=fcn",), "filters are pruned of cnn, lenet5 and mlp"),
        (
            (
                "--config.model.name=mlp",
                "--config.model.hidden=(8,)",
                "--config.model.normalization=batch",
            ),
            "prune its single weights instead",
        ),
        (("--config=configs/compress.py",), "prunes no filters: see"),
        (
            ("--config=configs/compress_filters.py:cifar",),
            "no variant 'cifar'; did you mean cifar10?",
        ),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(refused, arguments, message):
    refused("experiments.filters", arguments, message)


def test_residual_links_are_refused():
    model = {"name": "mlp", "residual": True}
    with pytest.raises(InputError, match="filters are not pruned where residual"):
        sizes(model, {"Dense_0": 1, "Dense_1": 1})
