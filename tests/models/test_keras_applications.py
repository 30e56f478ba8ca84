"""Architectures beside those of ``keras.applications``: the same weights, outputs."""

import math
import os

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optlab import models

# Deeper nets of a family only repeat the blocks of the one that is here.
NETS = {
    "vgg16": ("VGG16", 32),
    "resnet50": ("ResNet50", 33),
    "resnet50v2": ("ResNet50V2", 33),
    "xception": ("Xception", 71),
    "inception_v3": ("InceptionV3", 75),
    "inception_resnet_v2": ("InceptionResNetV2", 75),
    "mobilenet": ("MobileNet", 33),
    "mobilenet_v2": ("MobileNetV2", 34),  # sides of 17, 9 and 5 pixels within
}


@pytest.fixture
def keras(monkeypatch):
    os.environ.setdefault("KERAS_BACKEND", "jax")  # read when it is imported
    keras = pytest.importorskip("keras", reason="Keras is not installed")
    # Its random weights take ten seconds to compile, and are replaced.
    zeros = lambda self, shape, dtype=None: np.zeros(shape, np.float32)  # noqa: E731
    monkeypatch.setattr(keras.initializers.GlorotUniform, "__call__", zeros)
    return keras


def leaves_in_order(module, images):
    """Paths and shapes of all variables, in the order in which layers are called."""
    modules = []

    def record(call, arguments, options, context):
        modules.append(context.module.path)
        return call(*arguments, **options)

    with nn.intercept_methods(record):
        shapes = jax.eval_shape(module.init, jax.random.key(0), images)
    flat = {
        (*path, collection, name): leaf.shape
        for collection, tree in shapes.items()
        for (*path, name), leaf in flax.traverse_util.flatten_dict(tree).items()
    }
    names = "kernel", "scale", "bias", "mean", "var"  # the order of Keras
    calls = dict.fromkeys(modules)
    found = [(*p, c, n) for p in calls for n in names for c in shapes]
    return {path: flat[path] for path in found if path in flat}


def draws(random, name, shape):
    """Values for which a layer's outputs vary about as much as its inputs.

    Variances are so small that another epsilon shows.
    """
    if name == "kernel":
        return random.normal(
            scale=0.2 * math.sqrt(2 / math.prod(shape[:-1])), size=shape
        )
    if name in ("scale", "var"):
        return random.uniform(0.5, 1.5, shape) * (0.04 if name == "var" else 1)
    return random.normal(scale=0.1, size=shape)


def in_order_of_calls(model):
    """Layers of a Keras model; each output's name has the number of its making."""

    def number(layer):
        digits = layer.output.name.rpartition("_")[2]
        return int(digits) if digits.isdigit() else 0

    return sorted(model.layers, key=number)


@pytest.mark.parametrize("name", NETS)
def test_outputs_are_those_of_keras(name, keras):
    theirs, side = NETS[name]
    random = np.random.default_rng(0)
    images = random.normal(size=(2, side, side, 3)).astype(np.float32)
    module = models.make(name, classes=10)
    with jax.default_matmul_precision("highest"):
        model = getattr(keras.applications, theirs)(
            weights=None,
            input_shape=(side, side, 3),
            classes=10,
            classifier_activation=None,
        )
        weights = [w for layer in in_order_of_calls(model) for w in layer.weights]
        paths = leaves_in_order(module, images)
        flat = {}
        for weight, (path, shape) in zip(weights, paths.items(), strict=True):
            value = draws(random, path[-1], weight.shape)
            weight.assign(value)
            # A dense kernel is [out, in] here.
            dense = path[-1] == "kernel" and len(shape) == 2
            value = value.reshape(shape[::-1]).T if dense else value.reshape(shape)
            flat[path[-2], *path[:-2], path[-1]] = jnp.asarray(value, jnp.float32)
        variables = flax.traverse_util.unflatten_dict(flat)
        found = jax.jit(module.apply)(variables, images)
        evaluate = jax.jit(lambda *arguments: model.stateless_call(*arguments)[0])
        kinds = model.trainable_variables, model.non_trainable_variables
        expected = evaluate(*([w.value for w in kind] for kind in kinds), images)
    size = float(jnp.abs(expected).max())
    assert 1e-3 < size < 1e3
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * size)
