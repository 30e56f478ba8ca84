"""The study of small nets: budget, choice of the rate, figures, and the command."""

import json

import jax
import numpy as np
import pytest

from configs import small_nets as config
from experiments.studies import small_nets
from optlab.errors import InputError
from optlab.report.figures.descent import Descent, descents


@pytest.fixture(scope="module")
def settings():
    return config.get_config().to_dict() | {"starts": 3, "steps": 40}


@pytest.fixture(scope="module")
def xor(settings):
    return small_nets.make_net("xor", settings, None)


def fit(name, entry, net, settings):
    method = small_nets.make_method(name, entry, settings["learning_rate"])
    return small_nets.fit(method, net, settings)


def test_the_value_is_the_mean_squared_error(settings, xor):
    """4 examples, 2-4-1: 17 parameters; outputs start near 0, targets are +-1."""
    assert xor.parameters == 17
    found = fit("sgd", {"learning_rate": 1e-9}, xor, settings)
    x = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], float)
    for lane in range(3):
        first, last = (
            jax.tree.map(lambda leaf, i=lane: np.asarray(leaf[i]), xor.starts[layer])
            for layer in ("Dense_0", "Dense_1")
        )
        hidden = np.tanh(x @ first["kernel"].T + first["bias"])
        out = hidden @ last["kernel"].T + last["bias"]
        error = np.mean((out[:, 0] + x.prod(axis=1)) ** 2)
        assert found.descent.values[lane, 0] == pytest.approx(error, rel=1e-5)


def test_classes_have_a_cross_entropy_near_that_of_chance(settings):
    net = small_nets.make_net("digits", settings, None)
    start = jax.tree.map(lambda x: x[0], net.starts)
    outputs = net.functions["output_fn"](start)
    assert outputs.shape == (500, 10)
    assert net.functions["output_loss_fn"](outputs) == pytest.approx(
        np.log(10), rel=0.5
    )


def test_the_best_rate_is_kept_and_a_run_that_explodes_is_not(settings, xor):
    found = fit("sgd", {"learning_rate": (1e-6, 0.3, 1e4)}, xor, settings)
    assert found.point == {"learning_rate": 0.3}
    assert found.descent.values.shape == (3, 41)
    assert (found.descent.values[:, -1] < found.descent.values[:, 0]).all()
    assert not found.descent.evaluates


@pytest.mark.parametrize(("budget", "least", "most"), [(100, 16, 17), (1, 1, 1)])
def test_evaluations_limit_the_steps_to_one_at_least(
    settings, xor, budget, least, most
):
    """A step of LM counts six evaluations here: 100 of them are 16 steps."""
    limited = settings | {"evaluations": budget}
    found = fit("levenberg_marquardt", {}, xor, limited)
    assert found.descent.evaluates
    assert least <= found.descent.steps.max() <= most  # a start may end before
    assert found.descent.evaluations.max() <= max(budget, 20) + 20
    descents("xor", [found.descent], "error", 1e-4).draw_without_rendering()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"rule": ("nielsen", "x")}, "rule is swept over numbers here"),
        ({"damping": ()}, "damping is swept over numbers here"),
        ({"dampin": 1.0}, "unexpected keyword argument 'dampin'"),
    ],
)
def test_an_entry_that_is_no_grid_is_refused(entry, message):
    with pytest.raises(InputError, match=message):
        small_nets.make_method("levenberg_marquardt", entry, (0.1,))


def test_the_figure_has_a_row_for_each_kind_and_room_for_what_does_not_explode():
    """The first step of m0 and m1 goes up to 40 times; m2 explodes."""
    made, last = np.arange(1, 7)[None].repeat(2, 0), np.array([5, 5])
    sane = [1.0, 40.0, 0.5, 0.1, 0.05, 0.02]
    wild = [1.0, 2.0, 1e30, np.inf, np.nan, 1e30]
    drawn = [
        Descent(name, name == "m1", np.array([line] * 2), made, last, 0.01)
        for name, line in (("m0", sane), ("m1", sane), ("m2", wild))
    ]
    figure = descents("net", drawn, "error", 1e-2)
    figure.draw_without_rendering()
    legends = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    names = [[text.get_text() for text in each.get_texts()] for each in legends]
    assert names == [["m0", "m2"], ["m1"]]
    low, high = figure.axes[0].get_ylim()
    assert low < 0.01
    assert 40 < high < 1e4
    assert figure.axes[3].lines[0].get_xdata().tolist() == [0, 1, 2, 3, 4, 5]


def test_the_command_writes_page_and_numbers(run, tmp_path):
    done = run(
        "experiments.solve",
        "--config=configs/small_nets.py",
        "--config.nets=xor",
        "--config.optimizers=levenberg_marquardt,sgd",
        "--config.starts=2",
        "--config.steps=30",
        f"--workdir={tmp_path}/out",
    )
    assert done.returncode == 0, done.stderr
    assert "2/2" in done.stdout
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [each["method"] for each in found["fits"]] == ["levenberg_marquardt", "sgd"]
    page = (tmp_path / "out" / "index.html").read_text()
    assert "How to repeat it" in page
    assert (tmp_path / "out" / "figures" / "xor.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--config.nets=sink",), "error: --config.nets: no net 'sink'; did"),
        (("--config.nets=yacht",), "error: 'yacht' is read from a folder of tables"),
        (
            ("--config.nets=xor", "--config.net.xor.target=0.0"),
            "error: --config.net.xor.target must be above 0: 0.0",
        ),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(refused, arguments, message):
    config = "--config=configs/small_nets.py"
    refused("experiments.solve", (config, *arguments), message)
