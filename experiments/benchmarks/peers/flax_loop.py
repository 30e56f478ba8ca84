"""Flax and optax, as their examples have it: a Python loop over a jitted step."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.benchmarks.peers import Classifier


class Net(nn.Module):
    """Flax's own layers: convolutions with pooling, dense layers, ReLU between them."""

    classes: int
    features: tuple[int, ...]  # channels of each convolution; none for an MLP
    hidden: tuple[int, ...]  # units of each hidden dense layer

    @nn.compact
    def __call__(self, inputs: jax.Array, train: bool = False) -> jax.Array:
        """Computes logits ``[n, classes]`` of inputs ``[n, ...]``."""
        del train  # the same net in both modes
        x = inputs
        for channels in self.features:
            x = nn.max_pool(nn.relu(nn.Conv(channels, (3, 3))(x)), (2, 2), (2, 2))
        x = x.reshape(x.shape[0], -1)
        for units in self.hidden:
            x = nn.relu(nn.Dense(units)(x))
        return nn.Dense(self.classes)(x)


def make_loop(
    classifier: Classifier, learning_rate: float | None = None
) -> Callable[..., None]:
    """Makes a function that trains a net in a loop over one shuffled epoch.

    The learning rate is a constant of the compiled program; where it is None, a number
    in the optimizer's state, so that one program serves all rates.

    Returns:
      Function of a seed and, in the second case, a learning rate, which returns when
      the last step is done. Its first call compiles.
    """
    module = Net(classifier.classes, classifier.features, classifier.hidden)
    inputs, targets = jax.device_put((classifier.inputs, classifier.targets))
    size = classifier.batch_size
    injected: Any = optax.inject_hyperparams(optax.adam)(learning_rate=0.001)
    tx = injected if learning_rate is None else optax.adam(learning_rate)

    @jax.jit
    def init(seed):
        params = module.init(jax.random.key(seed), inputs[:1])["params"]
        return params, tx.init(params)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params, state, inputs, targets, indices):
        def loss_fn(params):
            logits: Any = module.apply({"params": params}, inputs[indices])
            return optax.softmax_cross_entropy_with_integer_labels(
                logits, targets[indices]
            ).mean()

        loss, grad = jax.value_and_grad(loss_fn)(params)
        updates, state = tx.update(grad, state, params)
        return optax.apply_updates(params, updates), state, loss

    def run(seed, learning_rate=None):
        params, state = init(seed)
        if learning_rate is not None:
            state.hyperparams["learning_rate"] = jnp.float32(learning_rate)
        order = np.random.default_rng(seed).permutation(len(targets)).astype(np.int32)
        for start in range(0, len(order) - size + 1, size):
            indices = order[start : start + size]
            params, state, _ = step(params, state, inputs, targets, indices)
        jax.block_until_ready(params)

    return run
