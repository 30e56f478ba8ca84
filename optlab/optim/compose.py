"""optax's ``chain``, computed and remembered in float32 or better.

optax takes the type of its state from the parameters and lets a traced
hyperparameter change it. In bfloat16 that turns Adam's 0.999 into 1, and a float32
learning rate swept over bfloat16 parameters changes the type of a scan's carry.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax


def compose(
    *parts: optax.GradientTransformation,
    learning_rate: optax.ScalarOrSchedule | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Chains parts so that no number in the state is narrower than float32.

    Gradients and parameters are widened to float32 (float64 stays), the parts run on
    these, and the updates return in the type of the gradients. The state keeps the
    types that ``init`` gave it, whatever the hyperparameters' types are.

    Args:
      *parts: transformations, first applied first.
      learning_rate: number or schedule that the updates are multiplied by at the end,
        with the opposite sign; None where a part already does so.

    Returns:
      The transformation; like ``optax.chain`` it hands extra arguments to its parts.

    >>> tx = compose(optax.trace(decay=0.9), learning_rate=0.1)
    >>> w = jnp.ones(2, jnp.bfloat16)
    >>> updates, state = tx.update(w, tx.init(w), w)
    >>> updates.dtype.name, state[0].trace.dtype.name
    ('bfloat16', 'float32')
    """
    if learning_rate is not None:
        parts = (*parts, optax.scale_by_learning_rate(learning_rate))
    chained = optax.chain(*parts)

    def init(params):
        return chained.init(_widen(params))

    def update(updates, state, params=None, **extra_args):
        wide = _widen(updates)
        if "grad" in extra_args:
            # A dense method compares the two by identity: equal ones stay the same.
            leaves = zip(jax.tree.leaves(updates), jax.tree.leaves(wide), strict=True)
            found = {id(narrow): leaf for narrow, leaf in leaves}
            extra_args["grad"] = jax.tree.map(
                lambda g: found.get(id(g), g), extra_args["grad"]
            )
        steps, new_state = chained.update(wide, state, _widen(params), **extra_args)
        return _cast_like(steps, updates), _cast_like(new_state, state)

    return optax.GradientTransformationExtraArgs(init, update)


def _widen(tree: Any) -> Any:
    return jax.tree.map(
        lambda x: jnp.asarray(x, jnp.promote_types(jnp.result_type(x), jnp.float32)),
        tree,
    )


def _cast_like(tree: Any, like: Any) -> Any:
    return jax.tree.map(lambda x, y: jnp.asarray(x, jnp.result_type(y)), tree, like)
