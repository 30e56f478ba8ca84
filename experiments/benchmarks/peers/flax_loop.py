"""Flax and optax, as their examples have it: a Python loop over a jitted step."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax


class MLP(nn.Module):
    """Flax's own dense layers with ReLU between them.

    Attributes:
      classes: number of outputs.
      hidden: units of each hidden layer.
    """

    classes: int
    hidden: tuple[int, ...]

    @nn.compact
    def __call__(self, inputs: jax.Array, train: bool = False) -> jax.Array:
        """Logits ``[n, classes]`` of ``[n, ...]`` inputs."""
        del train  # the same net in both modes
        x = inputs.reshape(inputs.shape[0], -1)
        for units in self.hidden:
            x = nn.relu(nn.Dense(units)(x))
        return nn.Dense(self.classes)(x)


def constant_rate(learning_rate: float) -> optax.GradientTransformation:
    """Adam with the rate as a number of Python's, part of the compiled program."""
    return optax.adam(learning_rate)


def traced_rate() -> optax.GradientTransformation:
    """Adam with the rate in its state, so that one program serves all rates."""
    return optax.inject_hyperparams(optax.adam)(learning_rate=0.001)


def make_loop(
    module: nn.Module,
    tx: optax.GradientTransformation,
    examples: tuple[jax.Array, jax.Array],
    batch_size: int,
) -> Callable[..., None]:
    """One run: a fresh state, a loop over the batches of one shuffled epoch.

    Args:
      module: the net.
      tx: the optimizer.
      examples: images, normalized once beforehand, and labels; on the device.
      batch_size: examples in a batch.

    Returns:
      ``(params, seed, learning_rate=None) -> None``; it returns when the last step is
      done. A rate replaces the one in the optimizer's state. The first call compiles.
    """
    images, labels = examples

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params, state, images, labels, numbers):
        def loss_fn(params):
            logits: Any = module.apply({"params": params}, images[numbers])
            return optax.softmax_cross_entropy_with_integer_labels(
                logits, labels[numbers]
            ).mean()

        loss, grad = jax.value_and_grad(loss_fn)(params)
        updates, state = tx.update(grad, state, params)
        return optax.apply_updates(params, updates), state, loss

    def run(params, seed, learning_rate=None):
        params = jax.tree.map(jnp.copy, params)  # the step gives its memory away
        state: Any = tx.init(params)
        if learning_rate is not None:
            state.hyperparams["learning_rate"] = jnp.float32(learning_rate)
        order = np.random.default_rng(seed).permutation(len(labels)).astype(np.int32)
        for start in range(0, len(order) - batch_size + 1, batch_size):
            numbers = order[start : start + batch_size]
            params, state, _ = step(params, state, images, labels, numbers)
        jax.block_until_ready(params)

    return run
