"""Keras on JAX, as its guides have it: build, compile, fit."""

import importlib
import os
from collections.abc import Callable, Sequence

import numpy as np


def mlp_fit(
    images: np.ndarray,
    labels: np.ndarray,
    hidden: Sequence[int],
    classes: int,
    batch_size: int,
) -> Callable[[float, int], None]:
    """One run: a net, Adam, ``fit`` for one shuffled epoch.

    Args:
      images: ``[n, pixels]``, float32, normalized once beforehand.
      labels: ``[n]``.
      hidden: units of each hidden layer.
      classes: outputs.
      batch_size: examples in a batch.

    Returns:
      ``(learning_rate, seed) -> None``; it returns when the last step is done. Every
      run compiles its own model.
    """
    os.environ.setdefault("KERAS_BACKEND", "jax")  # Keras reads it when imported
    keras = importlib.import_module("keras")  # no dependency, so no import above
    whole = len(labels) - len(labels) % batch_size

    def run(learning_rate: float, seed: int) -> None:
        keras.utils.set_random_seed(seed)
        layers = [keras.layers.Dense(units, activation="relu") for units in hidden]
        net = keras.Sequential(
            [keras.Input(images.shape[1:]), *layers, keras.layers.Dense(classes)]
        )
        net.compile(
            keras.optimizers.Adam(learning_rate),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        net.fit(images[:whole], labels[:whole], batch_size, epochs=1, verbose=0)

    return run
