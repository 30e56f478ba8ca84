"""NIST's regressions: the files as they are, and all of them fitted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.nist import get_config
from optlab.errors import InputError
from optlab.optim.methods.levenberg_marquardt import levenberg_marquardt
from optlab.solving import Stop, solve
from optlab.testproblems import nist

needs_data = pytest.mark.skipif(
    not nist.directory().is_dir(),
    reason=f"no NIST .dat files in {nist.directory()}; set OPTLAB_NIST_DIR",
)


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def load(name):
    return nist.load(name, nist.directory())


@needs_data
@pytest.mark.parametrize("name", nist.MODELS)
def test_certified_values_have_the_certified_sum_of_squares(name):
    problem = load(name)
    squares = np.sum(np.asarray(problem.residual_fn(problem.certified)) ** 2)
    # Lanczos1's 1.4e-25 is below what eleven digits of parameters can say.
    assert squares == pytest.approx(problem.certified_squares, rel=1e-7, abs=1e-20)
    assert problem.starts.shape == (2, problem.certified.size)


@needs_data
@pytest.mark.parametrize("name", ["Misra1a", "Nelson", "ENSO"])
def test_padding_changes_no_residual(name):
    problem = load(name)
    data, starts = nist.pad(problem)
    assert (data.y.size, starts.shape[1]) == nist.LARGEST
    residuals = data.residual_fn(jnp.asarray(starts[0]))
    n = problem.data.y.size
    np.testing.assert_allclose(residuals[:n], problem.residual_fn(problem.starts[0]))
    np.testing.assert_array_equal(residuals[n:], 0.0)


@needs_data
def test_levenberg_marquardt_fits_all_27_from_both_starts():
    config = get_config()
    tx = levenberg_marquardt(**config.optimizers.levenberg_marquardt.to_dict())

    @jax.jit
    def fit(data, starts):
        residual_fn, stop = jax.jit(data.residual_fn), Stop(**config.stop)
        return jax.vmap(
            lambda start: solve(tx, start, residual_fn=residual_fn, stop=stop)
        )(starts).params

    short = {}
    for name in nist.MODELS:
        problem = load(name)
        found = fit(*nist.pad(problem))[:, : problem.certified.size]
        digits = nist.log_relative_error(np.asarray(found), problem.certified)
        if digits.min() < 4:
            short[name] = digits
    assert not short


def test_log_relative_error_by_hand():
    digits = nist.log_relative_error(
        np.array([[1.0, 2.0], [1.0, 2.002], [1.1, np.inf], [1.0, 2 + 1e-13]]),
        np.array([1.0, 2.0]),
    )
    np.testing.assert_allclose(digits, [11.0, 3.0, 0.0, 11.0])


def test_wrong_names_folders_and_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="no NIST problem 'MGH11'; did you mean MGH1"):
        nist.load("MGH11", tmp_path)
    with pytest.raises(InputError, match=r"cannot read .*Misra1a.dat"):
        nist.load("Misra1a", tmp_path)
    (tmp_path / "Misra1a.dat").write_text("something else")
    with pytest.raises(InputError, match="not a file of NIST"):
        nist.load("Misra1a", tmp_path)


@needs_data
@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        (
            "Misra1a",
            lambda text: text.rstrip().rpartition("\n")[0],
            "not 14 rows of nu",
        ),
        ("Misra1a", lambda text: text + "\u00e9", "byte .* is no ASCII"),
        ("Misra1a", lambda text: text.replace("77.6E0", "n/a"), "rows of numbers"),
        ("Misra1a", lambda text: text.replace("77.6E0", "77,6E0"), "rows of numbers"),
        ("Misra1a", lambda text: text.replace("77.6E0", "nan"), "numbers"),
        ("Nelson", lambda text: text.rpartition("\nData:")[0], "damaged|not a file"),
        ("Misra1a", lambda text: "", "not a file of NIST"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path, name, damage, message):
    text = (nist.directory() / f"{name}.dat").read_text(encoding="ascii")
    changed = damage(text)
    assert changed != text
    (tmp_path / f"{name}.dat").write_text(changed, encoding="latin-1")
    with pytest.raises(InputError, match=message) as caught:
        nist.load(name, tmp_path)
    assert "\n" not in str(caught.value)
