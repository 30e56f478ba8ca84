"""NIST's 27 nonlinear regressions: models as functions, everything else from its files.

Each file has data, two starts and values certified to eleven digits. The rows hold the
response first. Nelson's response is log(y). Rat43's file says 9 degrees of freedom;
it is N - p = 11.

Source: NIST Statistical Reference Datasets, Nonlinear Least Squares Regression,
https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml (public domain).
"""

import os
import pathlib
import re
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from optlab.errors import InputError, check_choice

_exp = jnp.exp

# Models are functions of parameters b [p] and the two predictors, of which all but
# Nelson's ignore the second. Those of several problems are one object, so that a
# program for all of them holds each once.


def _decay(b, x, _):
    return _exp(-b[0] * x) / (b[1] + b[2] * x)


def _rise(b, x, _):
    return b[0] * (1 - _exp(-b[1] * x))


def _three_decays(b, x, _):
    return sum(b[i] * _exp(-b[i + 1] * x) for i in (0, 2, 4))


def _two_peaks(b, x, _):
    peaks = (b[i] * _exp(-(((x - b[i + 1]) / b[i + 2]) ** 2)) for i in (2, 5))
    return b[0] * _exp(-b[1] * x) + sum(peaks)


def _cubics(b, x, _):
    above = b[0] + x * (b[1] + x * (b[2] + x * b[3]))
    return above / (1 + x * (b[4] + x * (b[5] + x * b[6])))


def _squares(b, x, _):
    return (b[0] + x * (b[1] + x * b[2])) / (1 + x * (b[3] + x * b[4]))


def _seasons(b, x, _):
    def wave(period, cosine, sine):
        angle = 2 * jnp.pi * x / period
        return cosine * jnp.cos(angle) + sine * jnp.sin(angle)

    return b[0] + wave(12, b[1], b[2]) + wave(b[3], b[4], b[5]) + wave(b[6], b[7], b[8])


MODELS: dict[str, Callable] = {
    "Misra1a": _rise,
    "Chwirut2": _decay,
    "Chwirut1": _decay,
    "Lanczos3": _three_decays,
    "Gauss1": _two_peaks,
    "Gauss2": _two_peaks,
    "DanWood": lambda b, x, _: b[0] * x ** b[1],
    "Misra1b": lambda b, x, _: b[0] * (1 - (1 + b[1] * x / 2) ** -2),
    "Kirby2": _squares,
    "Hahn1": _cubics,
    "Nelson": lambda b, x, z: b[0] - b[1] * x * _exp(-b[2] * z),
    "MGH17": lambda b, x, _: b[0] + b[1] * _exp(-x * b[3]) + b[2] * _exp(-x * b[4]),
    "Lanczos1": _three_decays,
    "Lanczos2": _three_decays,
    "Gauss3": _two_peaks,
    "Misra1c": lambda b, x, _: b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5),
    "Misra1d": lambda b, x, _: b[0] * b[1] * x / (1 + b[1] * x),
    "Roszman1": lambda b, x, _: b[0] - b[1] * x - jnp.arctan(b[2] / (x - b[3])) / np.pi,
    "ENSO": _seasons,
    "MGH09": lambda b, x, _: b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3]),
    "Thurber": _cubics,
    "BoxBOD": _rise,
    "Rat42": lambda b, x, _: b[0] / (1 + _exp(b[1] - b[2] * x)),
    "MGH10": lambda b, x, _: b[0] * _exp(b[1] / (x + b[2])),
    "Eckerle4": lambda b, x, _: b[0] / b[1] * _exp(-0.5 * ((x - b[2]) / b[1]) ** 2),
    "Rat43": lambda b, x, _: b[0] / (1 + _exp(b[1] - b[2] * x)) ** (1 / b[3]),
    "Bennett5": lambda b, x, _: b[0] * (b[1] + x) ** (-1 / b[2]),
}
_DISTINCT = list(dict.fromkeys(MODELS.values()))

#: Environment variable that names the folder of NIST's files.
VARIABLE = "OPTLAB_NIST_DIR"

LARGEST = (250, 9)  # observations of Gauss1, parameters of ENSO


class Data(NamedTuple):
    """Data that a model is fitted to; those of `pad` have the same shape for all."""

    model: np.ndarray  # int32 scalar
    x: np.ndarray  # [2, N], the second row zero where there is one predictor
    y: np.ndarray  # [N], the response that the model predicts
    weight: np.ndarray  # [N], zero where a row was added

    def residual_fn(self, b: jax.Array) -> jax.Array:
        """Computes residuals [N] of parameters b [p]; `Data` may be traced."""
        fitted = jax.lax.switch(self.model, _DISTINCT, b, *self.x)
        return self.weight * (fitted - self.y)


class Regression(NamedTuple):
    """One problem, in float64."""

    name: str
    data: Data
    starts: np.ndarray  # [2, p]
    certified: np.ndarray  # [p]
    certified_squares: float  # sum of squared residuals there
    certified_errors: np.ndarray  # [p], standard deviations of the parameters

    def residual_fn(self, b: jax.Array) -> jax.Array:
        """Computes residuals [N] of the model with parameters b [p]."""
        return MODELS[self.name](b, *self.data.x) - self.data.y


def pad(regression: Regression) -> tuple[Data, np.ndarray]:
    """Pads data and starts to the shape of the largest problem: one program fits all.

    An added row repeats the last one and weighs nothing; an added parameter is zero,
    and no model reads it.

    Args:
      regression: problem of any size.

    Returns:
      ``Data`` with N = 250, and starts [2, 9].
    """
    rows, columns = LARGEST
    x, y, weight = regression.data[1:]
    more = rows - y.size
    x, y = np.pad(x, ((0, 0), (0, more)), "edge"), np.pad(y, (0, more), "edge")
    data = Data(regression.data.model, x, y, weight=np.pad(weight, (0, more)))
    free = columns - regression.certified.size
    return data, np.pad(regression.starts, ((0, 0), (0, free)))


def directory() -> pathlib.Path:
    """Finds the folder of .dat files.

    Returns:
      ``$OPTLAB_NIST_DIR``, else ``shared/nist_strd`` beside the checkout; it need not
      exist.
    """
    beside = pathlib.Path(__file__).resolve().parents[3] / "shared" / "nist_strd"
    return pathlib.Path(os.environ.get(VARIABLE) or beside)


def load(name: str, data_dir: str | os.PathLike) -> Regression:
    """Reads one problem from its file.

    Args:
      name: key of ``MODELS``, as NIST spells it.
      data_dir: folder of NIST's .dat files.

    Returns:
      The problem.

    Raises:
      InputError: the name is unknown, or the folder lacks the file or has another one.
    """
    check_choice("NIST problem", name, MODELS)
    path = pathlib.Path(data_dir) / f"{name}.dat"
    try:
        text = path.read_text(encoding="ascii")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is damaged: byte {error.start} is no ASCII") from None
    except OSError as error:
        raise InputError(
            f"cannot read {path} ({error.strerror}); the folder must hold the .dat "
            "files of https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml"
        ) from error
    number = r"([-+\d.E]+)"
    rows = re.findall(
        rf"^ +b\d+ = +{number} +{number} +{number} +{number}", text, re.MULTILINE
    )
    squares = re.search(rf"^Residual Sum of Squares: +{number}", text, re.MULTILINE)
    table = text.rpartition("\nData:")[2].partition("\n")[2].split()
    count = re.search(r"^Number of Observations: +(\d+)", text, re.MULTILINE)
    if not (rows and squares and count and table):
        raise InputError(f"{path} is not a file of NIST's nonlinear regressions")
    try:
        values = np.array(rows, float)
        y, *predictors = np.array(table, float).reshape(int(count[1]), -1).T
        certified_squares = float(squares[1])
    except ValueError as error:
        raise InputError(
            f"{path} is damaged: its data are not {count[1]} rows of numbers ({error})"
        ) from error
    expected = 2 if name == "Nelson" else 1
    numbers = np.concatenate([values.ravel(), y, *predictors])
    if len(predictors) != expected or not np.isfinite(numbers).all():
        raise InputError(
            f"{path} is damaged: it has no {expected + 1} columns of finite numbers"
        )
    x = np.zeros((2, y.size))
    x[: len(predictors)] = predictors
    y = np.log(y) if name == "Nelson" else y
    model = np.array(_DISTINCT.index(MODELS[name]), np.int32)
    return Regression(
        name=name,
        data=Data(model, x, y, weight=np.ones_like(y)),
        starts=values[:, :2].T,
        certified=values[:, 2],
        certified_squares=certified_squares,
        certified_errors=values[:, 3],
    )


def log_relative_error(found: np.ndarray, certified: np.ndarray) -> np.ndarray:
    """Counts the worst parameter's correct digits, from 0 to 11, the digits certified.

    >>> float(log_relative_error(np.array([1.001, 200.0]), np.array([1.0, 200.0])))
    3.0
    >>> float(log_relative_error(np.array([np.nan]), np.array([1.0])))
    0.0
    """
    with np.errstate(divide="ignore"):
        digits = -np.log10(np.abs(found - certified) / np.abs(certified))
    digits = np.where(np.isnan(digits), 0.0, digits)
    return np.clip(digits.min(-1), 0.0, 11.0).round(10)
