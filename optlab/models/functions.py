"""Any model as three pure functions: how it starts, trains and is evaluated."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax

from optlab.errors import InputError

#: Argument by which a model is told whether it trains, to its value in training.
MODES = {"train": True, "training": True, "is_training": True, "deterministic": False}


def functions_of(module: Any, inputs_of: Callable[[], Any]) -> tuple[Callable, ...]:
    """Takes a model apart.

    Args:
      module: flax.linen module, or any pair ``init(key, inputs)`` and
        ``apply(params, inputs)``, also as methods.
      inputs_of: function without arguments to the inputs of one example, by which the
        parameters get their shapes.

    Returns:
      ``init(key) -> (params, model_state)``,
      ``train_outputs(params, model_state, inputs, key) -> (outputs, model_state)`` and
      ``outputs(params, model_state, inputs)``.

    Raises:
      InputError: it is neither.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> init, _, outputs = functions_of(
    ...     (lambda key, x: jnp.zeros(x.shape[1]), lambda w, x: x @ w),
    ...     lambda: jnp.ones((1, 3)),
    ... )
    >>> params, model_state = init(jax.random.key(0))
    >>> outputs(params, model_state, jnp.ones((2, 3))).shape
    (2,)
    """
    if isinstance(module, nn.Module):
        return _linen(module, inputs_of)
    if isinstance(module, type):
        raise InputError(f"the class {module.__name__} is no model: give an instance")
    is_pair = isinstance(module, tuple) and not hasattr(module, "init")
    pair: Any = module
    if not is_pair:
        pair = [getattr(module, name, None) for name in ("init", "apply")]
    if len(pair) != 2 or not all(map(callable, pair)):
        raise InputError(
            f"{type(module).__name__} is no model: give a flax.linen module, or a pair "
            "of functions init(key, inputs) and apply(params, inputs); "
            "help(optlab.problems.classification) shows one for flax.nnx"
        )
    model_init, model_apply = pair
    takes = inspect.signature(model_apply).parameters
    modes = _modes(takes)

    def train_outputs(params, model_state, inputs, key):
        extra = {"key": key} if "key" in takes else {}
        return model_apply(params, inputs, **modes(True), **extra), model_state

    return (
        lambda key: (model_init(key, inputs_of()), {}),
        train_outputs,
        lambda params, model_state, inputs: model_apply(params, inputs, **modes(False)),
    )


def _modes(takes: Mapping[str, inspect.Parameter]) -> Callable[[bool], dict[str, bool]]:
    """Finds how a model of this signature is told whether it trains."""
    named = next((name for name in MODES if name in takes), None)
    kinds = {parameter.kind for parameter in takes.values()}
    hands_on = inspect.Parameter.VAR_KEYWORD in kinds
    # nn.Sequential, whose call takes *args too, hands keywords to one layer alone.
    if named is None and hands_on and inspect.Parameter.VAR_POSITIONAL not in kinds:
        named = "train"
    return lambda trains: {} if named is None else {named: MODES[named] == trains}


def _linen(module: Any, inputs_of: Callable[[], Any]) -> tuple[Callable, ...]:
    modes = _modes(inspect.signature(module.__call__).parameters)

    def init(key):
        variables = dict(module.init(key, inputs_of(), **modes(False)))
        return variables.pop("params", {}), variables

    def train_outputs(params, model_state, inputs, key):
        return module.apply(
            {"params": params, **model_state},
            inputs,
            **modes(True),
            # Streams of other names are drawn from "params".
            rngs={"dropout": key, "params": jax.random.fold_in(key, 1)},
            mutable=list(model_state),
        )

    def outputs(params, model_state, inputs):
        return module.apply({"params": params, **model_state}, inputs, **modes(False))

    return init, train_outputs, outputs
