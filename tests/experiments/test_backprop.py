"""The command that draws backpropagation, as a user runs it."""

import json
import re

import numpy as np
import pytest

from experiments.backprop import show_graph
from optlab import backprop
from optlab.errors import InputError
from optlab.report.figures.graph import steps


def test_the_graph_of_an_expression_is_printed_and_drawn(run, tmp_path):
    words = ("((a+b)*(c+d))**2", "a=1", "b=2", "c=3", "d=4")
    done = run("experiments.backprop", *words, f"--workdir={tmp_path / 'page'}")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^v3 +v1 \* v2 +21 +42$", done.stdout, re.MULTILINE)
    assert "Gradients equal jax.grad's." in done.stdout
    page = (tmp_path / "page" / "index.html").read_text()
    assert "d/da = 294" in page
    assert page.count('type="radio"') == 13  # variables, 4 values, 8 gradients
    assert "<script" not in page
    nodes = json.loads((tmp_path / "page" / "results.json").read_text())["nodes"]
    assert [node["gradient"] for node in nodes] == [294, 294, 126, 126, 294, 126, 42, 1]


def test_a_function_of_a_module_is_drawn(run, tmp_path):
    words = ("jax.nn.softplus", "x=0", f"--workdir={tmp_path / 'page'}")
    done = run("experiments.backprop", *words)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^x +0 +0\.5$", done.stdout, re.MULTILINE)


def test_an_argument_may_be_positional_only(run, tmp_path):
    words = ("jax.numpy.power", "x2=2", "x1=3", f"--workdir={tmp_path / 'page'}")
    done = run("experiments.backprop", *words)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^x2 +2 +9\.8875\d*$", done.stdout, re.MULTILINE)  # 9 log 3


def test_a_variable_alone_has_no_edges(run, tmp_path):
    done = run("experiments.backprop", "a", "a=3", f"--workdir={tmp_path / 'page'}")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^a +3 +1$", done.stdout, re.MULTILINE)
    assert "Edges" not in done.stdout


def test_a_net_is_printed_in_matrices(run, tmp_path):
    words = ("--net=3,4,2", "--activation=tanh", f"--workdir={tmp_path / 'page'}")
    done = run("experiments.backprop", *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("dC/dW") == 2
    said = " ".join(done.stdout.split())
    most = re.search(r"jax.grad's by at most (\S+)\.", said)
    assert float(most[1]) < 1e-12 if most else "equal jax.grad's." in said


@pytest.mark.parametrize("seed", range(3))
def test_targets_are_in_the_range_of_the_units(run, tmp_path, seed):
    words = ("--net=1,12", f"--seed={seed}", f"--workdir={tmp_path / 'page'}")
    done = run("experiments.backprop", *words)
    assert done.returncode == 0, done.stderr
    (found,) = re.findall(r"targets \[(.*?)\]", done.stdout, re.DOTALL)
    targets = [float(each) for each in found.split()]
    assert len(set(targets)) > 6
    assert all(0 < each < 1 for each in targets)


@pytest.mark.parametrize(
    ("words", "by"),
    [(("sqrt(x)", "x=0"), "x"), (("x**y", "x=-2", "y=2"), "y"), (("x", "x=1"), "")],
)
def test_a_gradient_that_is_not_finite_is_named(run, tmp_path, words, by):
    done = run("experiments.backprop", *words, f"--workdir={tmp_path / 'page'}")
    assert done.returncode == 0, done.stderr
    said = f"The gradient is not finite here by {by}." if by else "finite"
    for text in (done.stdout, (tmp_path / "page" / "index.html").read_text()):
        assert (said in text) == bool(by)


@pytest.mark.parametrize(
    "words",
    [("--net=3,4,2", "--activation=binary_step"), ("a - relu(b)", "a=1", "b=-1")],
)
def test_a_zero_has_no_sign(run, tmp_path, words):
    done = run("experiments.backprop", *words, f"--workdir={tmp_path / 'page'}")
    assert done.returncode == 0, done.stderr
    assert not re.search(r"-0(?![.\d])", done.stdout)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give an expression or --net"),
        (("import os",), "'import os' is no expression"),
        (
            ("__import__('os').system('ls')",),
            "\"__import__('os').system('ls')\" cannot",
        ),
        (("a*b", "a=1"), "a*b missing a required argument: 'b'; it takes a, b"),
        (("a", "a=one"), "'a=one' gives no number"),
        (("log(a)", "a=-1"), "log(a): v1 = log(a) is nan: give other numbers"),
        (("a / b", "a=1", "b=0"), "a / b: v1 = a / b is inf: give other"),
        (("--net=2,99,1",), "--net=2,99,1: all numbers are printed, so that a layer"),
        (("--net=2,1", "--seed=-1"), "flag --seed=-1: -1 is not a non-negative"),
        (("a", "a=1", "a=2"), "'a' is given twice"),
        (("jax.numpy.arange", "start=3"), "jax.numpy.arange fails on scalars: "),
        (("math.sin", "x=1"), "math.sin fails on scalars: numpy, math, float and int"),
        (("jax.numpy.ones_lik", "x=3"), "module jax.numpy has no function 'ones_lik'"),
        (("--net=2,0",), "--net=2,0: give two or more whole numbers"),
    ],
)
def test_a_mistake_is_one_line(refused, words, message):
    refused("experiments.backprop", words, f"error: {message}")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x if x > 0 else -x, "if, while, and, or cannot test a traced"),
        (lambda x: np.sin(x), "numpy, math, float and int take no traced number"),
        (lambda x: float(x) * x, "numpy, math, float and int take no traced number"),
        (lambda x: x @ x, "ValueError: matmul input operand 0 must have ndim at least"),
    ],
)
def test_why_a_function_cannot_be_traced_is_one_line(monkeypatch, function, message):
    monkeypatch.setattr("experiments.backprop.by_name", lambda _: function)
    with pytest.raises(InputError, match=f"^a.f fails on scalars: {message}") as found:
        show_graph("a.f", {"x": 1.0})
    assert "\n" not in str(found.value)
    assert isinstance(found.value.__cause__, ValueError | TypeError)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("experiments.backprop", ("a*b", "a=1", "b=2")),
        ("experiments.backprop", ("--net=2,1",)),
        ("experiments.shapes", ()),
    ],
)
def test_a_folder_is_refused_before_anything_is_printed(run, tmp_path, module, words):
    file = tmp_path / "file"
    file.write_text("mine")
    done = run(module, *words, f"--workdir={file}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: --workdir={file} is a file; name a folder\n"
    assert file.read_text() == "mine"


def test_the_steps_are_in_the_order_of_the_passes():
    graph = backprop.trace(lambda x, y: x * x + x * y, {"x": 3.0, "y": 2.0})
    words = [step.words for step in steps(graph)]
    assert words[:2] == ["The variables.", "Forward: v1 = x * x = 9."]
    assert words[4] == "Backward: dv3/dv3 = 1."
    assert words[-2:] == [
        "Backward: dv3/dy = 1 * 3 = 3.",
        "Backward: dv3/dx = 1 * 6 + 1 * 2 = 8.",
    ]
