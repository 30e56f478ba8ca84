"""The command that fits NIST's problems, as a user runs it."""

import pytest

from optlab.testproblems import nist


@pytest.mark.skipif(
    not nist.directory().is_dir(),
    reason=f"no NIST .dat files in {nist.directory()}; set OPTLAB_NIST_DIR",
)
def test_fits_the_problems_it_is_given(run, tmp_path):
    done = run(
        "experiments.solve",
        f"--data_dir={nist.directory()}",
        "--config.optimizers=gauss_newton",
        "--config.problems=('Misra1a','Nelson')",
        f"--workdir={tmp_path / 'run'}",
    )
    assert done.returncode == 0, done.stderr
    assert "4/4" in done.stdout
    assert "gauss_newton" in done.stdout
    assert "BoxBOD" not in done.stdout
    page = (tmp_path / "run" / "index.html").read_text()
    assert "gauss_newton solves 4/4 of NIST&#39;s fits." in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--config.digits=-4",), "error: --config.digits=-4 must be above 0"),
        (("--data_dir=/nowhere",), "error: cannot read /nowhere/Misra1a.dat"),
        (("--config.problems=('MGH1',)",), "error: no NIST problem 'MGH1'; did you"),
        (
            ("--config=configs/convergence.py", "--config.order.steps=0"),
            "error: --config.order.steps must be a whole number of 1 or more: 0",
        ),
        (("--config.digit=3",), "error: unknown config key 'digit'; did you mean di"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_1(refused, arguments, message):
    refused("experiments.solve", arguments, message)


def test_a_folder_that_nobody_gave_is_asked_for(refused, tmp_path):
    message = "error: NIST's problems are read from a folder: give --data_dir=DIR"
    refused("experiments.solve", (), message, OPTLAB_NIST_DIR=str(tmp_path))
