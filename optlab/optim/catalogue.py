"""Optimizers by name: the built-in ones first, then optax's, then custom factories.

Names and numbers from a command line or a config come in here, so a mistake is an
`InputError` that says what to write instead.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
import optax.contrib

import optlab.names
from optlab import ranges
from optlab.errors import InputError, first_line
from optlab.optim import registry
from optlab.optim.arguments import RANGES

Factory = Callable[..., optax.GradientTransformation]

#: The built-in methods; their ``scale_by_*`` parts are in the registry only.
METHODS: dict[str, Factory] = {
    name: value
    for name, value in vars(registry).items()
    if inspect.isfunction(value) and not name.startswith(("_", "scale_by_"))
}

#: Optimizers of optax that no training step of ours can drive, and the reason.
REFUSED = {
    "dpsgd": "it needs the gradient of each example, and a step has their mean",
    "lookahead": "its parameters are pairs of fast and slow ones",
    "sam": "it takes every second gradient at a perturbed point, and a step takes "
    "none there; write a custom one that differentiates value_fn",
    "selective_transform": "it is a mask: use optax.masked in a custom factory",
}

#: Arguments of optax's own optimizers that are checked as those of the methods.
_OF_OPTAX = {"learning_rate": ranges.LEARNING_RATE}


def make(name: str, /, **hyperparameters: Any) -> optax.GradientTransformationExtraArgs:
    """Builds an optimizer from its name.

    Args:
      name: see `find`.
      **hyperparameters: arguments of the factory. Numbers may be tracers; a learning
        rate may be a schedule.

    Returns:
      The optimizer. It takes every extra argument and ignores those it does not use.

    Raises:
      InputError: the name is unknown or refused, a hyperparameter is unknown or
        missing, a value is not in its range in ``RANGES`` (of optax's own: not of the
        type of its default; of a custom one, only the learning rate is checked), or
        the factory returns no optimizer.

    >>> tx = make("momentum", learning_rate=0.1)
    >>> updates, state = tx.update(jnp.array(2.0), tx.init(jnp.array(1.0)), value=4.0)
    >>> print(updates)
    -0.2
    >>> make("adma")
    Traceback (most recent call last):
    ...
    optlab.errors.InputError: no optimizer 'adma'; did you mean ...adam...?
    """
    factory = find(name)
    declared = RANGES if name in METHODS else _OF_OPTAX
    of_optax = name not in METHODS and factory in _optax_optimizers().values()
    if name in METHODS or of_optax:
        declared = ranges.of_signature(factory, declared)
    ranges.check(name, declared, hyperparameters)
    if factory is optax.adadelta and hyperparameters.get("learning_rate") is None:
        raise InputError(f"{name} needs learning_rate: optax's climbs without one")
    optlab.names.bind(name, factory, hyperparameters)
    try:
        tx = factory(**hyperparameters)
        if of_optax and hyperparameters:
            jax.eval_shape(tx.init, {"w": jnp.zeros((2, 2))})
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as e:
        if isinstance(e, InputError) or not of_optax:
            raise
        raise InputError(f"{name} refuses its arguments: {first_line(e)}") from e
    if not isinstance(tx, optax.GradientTransformation):
        raise InputError(
            f"{name} returned a {type(tx).__name__}, not an optimizer: return an "
            "optax.GradientTransformation, the pair of init and update"
        )
    return optax.with_extra_args_support(tx)


def names() -> list[str]:
    """Lists the names that `make` knows without a dot: built-in ones, then optax's.

    >>> names()[:2]
    ['adagrad', 'adam']
    >>> {"lion", "nadamw", "schedule_free_adamw", "polyak_sgd"} <= set(names())
    True
    """
    return [*METHODS, *(name for name in _optax_optimizers() if name not in METHODS)]


def takes(name: str, argument: str) -> bool:
    """Tells whether an optimizer's factory has an argument.

    Args:
      name: see `find`.
      argument: name of the argument, such as ``learning_rate``.

    Returns:
      Whether it is in the factory's signature.

    Raises:
      InputError: the optimizer is unknown or refused.

    >>> takes("momentum", "momentum"), takes("adam", "momentum")
    (True, False)
    """
    return argument in inspect.signature(find(name)).parameters


def find(name: str) -> Factory:
    """Finds an optimizer's factory by its name.

    Args:
      name: one of `names`, or the dotted path of a factory: ``"optax.adam"`` and
        ``"optax.contrib.muon"`` are optax's own, ``"mypackage.mymodule.my_optimizer"``
        is a custom one.

    Returns:
      The factory.

    Raises:
      InputError: the name is unknown, or no training step can drive the optimizer.

    >>> find("adam") is METHODS["adam"], find("optax.adam") is optax.adam
    (True, True)
    """
    bare = str(name).removeprefix("optax.").removeprefix("contrib.")
    if bare in REFUSED:
        raise InputError(f"optimizer {name!r} cannot be used here: {REFUSED[bare]}")
    return optlab.names.find("optimizer", name, {**_optax_optimizers(), **METHODS})


@functools.cache
def _optax_optimizers() -> dict[str, Factory]:
    # The rule: a public function or partial function that takes a learning rate (also
    # max_learning_rate) or wraps an optimizer, is not one of the scale_by_* parts that
    # optimizers are made of, and is not refused.
    def is_optimizer(name: str, value: Any) -> bool:
        if name.startswith(("_", "scale_by_")) or name in REFUSED:
            return False
        if not (inspect.isfunction(value) or isinstance(value, functools.partial)):
            return False
        arguments = inspect.signature(value).parameters
        return any(each.endswith(("learning_rate", "optimizer")) for each in arguments)

    return {
        name: value
        for module in (optax, optax.contrib)
        for name, value in sorted(vars(module).items())
        if is_optimizer(name, value)
    }
