"""Keras on JAX, as its guides have it: build, compile, fit."""

import importlib
import os
from collections.abc import Callable

from experiments.benchmarks.peers import Classifier


def mlp_fit(classifier: Classifier) -> Callable[[float, int], None]:
    """Makes a function that trains an MLP by ``fit`` for one epoch.

    It takes a learning rate and a seed, and returns when the last step is done. Every
    run compiles a model of its own.
    """
    os.environ.setdefault("KERAS_BACKEND", "jax")  # Keras reads it when imported
    keras = importlib.import_module("keras")  # no dependency, so no import above
    inputs, targets, classes, batch_size, _, hidden = classifier
    inputs = inputs.reshape(len(inputs), -1)
    whole = len(targets) - len(targets) % batch_size

    def run(learning_rate: float, seed: int) -> None:
        keras.utils.set_random_seed(seed)
        layers = [keras.layers.Dense(units, activation="relu") for units in hidden]
        net = keras.Sequential(
            [keras.Input(inputs.shape[1:]), *layers, keras.layers.Dense(classes)]
        )
        net.compile(
            keras.optimizers.Adam(learning_rate),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        net.fit(inputs[:whole], targets[:whole], batch_size, epochs=1, verbose=0)

    return run
