"""Augmentations by name: flip, crop, noise, rotate, zoom.

    augmented = augment.make({"crop": {"padding": 4}, "flip": {}})
    images = augmented(jax.random.split(key, len(images)), images)

An augmentation is a function ``(keys [n], inputs [n, ...], **strengths) -> inputs``.
Every example has a key of its own, so that a batch sharded over several devices is
augmented exactly as on one. A strength may be a tracer. Inputs are prepared ones, so
that a border of zeros has the color of the mean.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy import ndimage

from optlab import names, ranges
from optlab.errors import InputError


def flip(keys: jax.Array, inputs: jax.Array, share: Any = 0.5) -> jax.Array:
    """Mirrors some images left to right.

    Args:
      keys: ``[n]``, one key per image.
      inputs: images ``[n, height, width, channels]``.
      share: probability that an image is mirrored.

    Returns:
      Images of the same shape.
    """
    _check("flip", inputs, share=share)
    mirrored = jax.vmap(lambda key: jax.random.bernoulli(key, jnp.float32(share)))(keys)
    return jnp.where(mirrored[:, None, None, None], inputs[:, :, ::-1], inputs)


def crop(keys: jax.Array, inputs: jax.Array, padding: Any = 4) -> jax.Array:
    """Shifts images up, down, left or right; zeros fill the border.

    Args:
      keys: ``[n]``, one key per image.
      inputs: images ``[n, height, width, channels]``.
      padding: largest shift in either direction, in whole pixels.

    Returns:
      Images of the same shape.
    """
    _check("crop", inputs, padding=padding)
    padding = jnp.asarray(padding, jnp.int32)

    def crop_one(key, image):
        shifts = jax.random.randint(key, (2,), 0, 2 * padding + 1) - padding
        for axis, shift in enumerate(shifts):
            source = jnp.arange(image.shape[axis]) + shift
            # Guard: a negative index is outside, it does not count from the end.
            source = jnp.where(source < 0, image.shape[axis], source)
            image = jnp.take(image, source, axis, mode="fill", fill_value=0)
        return image

    return jax.vmap(crop_one)(keys, inputs)


def noise(keys: jax.Array, inputs: jax.Array, std: Any = 0.1) -> jax.Array:
    """Adds independent Gaussian noise to every number.

    Args:
      keys: ``[n]``, one key per example.
      inputs: real numbers ``[n, ...]``.
      std: standard deviation of the noise.

    Returns:
      Inputs of the same shape.
    """
    _check("noise", None, std=std)
    draw = functools.partial(
        jax.random.normal, shape=inputs.shape[1:], dtype=jnp.float32
    )
    return inputs + std * jax.vmap(draw)(keys).astype(inputs.dtype)


def rotate(keys: jax.Array, inputs: jax.Array, degrees: Any = 15.0) -> jax.Array:
    """Rotates images about their centers; zeros fill the corners.

    Args:
      keys: ``[n]``, one key per image.
      inputs: images ``[n, height, width, channels]``.
      degrees: largest angle in either direction; angles are uniform.

    Returns:
      Images of the same shape.
    """
    _check("rotate", inputs, degrees=degrees)

    def matrix(key):
        angle = jnp.deg2rad(degrees) * jax.random.uniform(
            key, dtype=jnp.float32, minval=-1
        )
        cosine, sine = jnp.cos(angle), jnp.sin(angle)
        return jnp.array([[cosine, -sine], [sine, cosine]])

    return _resampled(inputs, jax.vmap(matrix)(keys))


def zoom(keys: jax.Array, inputs: jax.Array, factor: Any = 0.1) -> jax.Array:
    """Magnifies or shrinks images about their centers; zeros fill the border.

    Args:
      keys: ``[n]``, one key per image.
      inputs: images ``[n, height, width, channels]``.
      factor: largest change of size; magnifications are uniform in
        ``[1 - factor, 1 + factor]``.

    Returns:
      Images of the same shape.
    """
    _check("zoom", inputs, factor=factor)

    draws = jax.vmap(
        functools.partial(jax.random.uniform, dtype=jnp.float32, minval=-1)
    )(keys)
    return _resampled(inputs, jnp.eye(2) / (1 + factor * draws[:, None, None]))


@jax.vmap
def _resampled(image: jax.Array, matrix: jax.Array) -> jax.Array:
    """Reads each pixel at ``matrix @ (its place - center) + center``, bilinear."""
    height, width, _ = image.shape
    center = jnp.array([height - 1, width - 1]).reshape(2, 1, 1) / 2
    grid = jnp.stack(jnp.meshgrid(*map(jnp.arange, (height, width)), indexing="ij"))
    source = jnp.einsum("ij,jhw->ihw", matrix, grid - center, precision="highest")
    read = functools.partial(
        ndimage.map_coordinates, coordinates=list(source + center), order=1
    )
    return jax.vmap(read, in_axes=-1, out_axes=-1)(image)


#: Type and range of every strength of ``AUGMENTATIONS``, by its name.
RANGES = {
    "share": ranges.CLOSED_SHARE,
    **dict.fromkeys(("degrees", "padding", "std"), ranges.NOT_NEGATIVE),
    "factor": ranges.SHARE,
}


def _check(name: str, inputs: Any, **strength: Any) -> None:
    """Checks the images, unless inputs are None, and the strength."""
    if inputs is not None and getattr(inputs, "ndim", None) != 4:
        raise InputError(
            f"augmentation {name!r} is for images [n, height, width, channels], and "
            f"inputs are {jax.tree.map(jnp.shape, inputs)}; leave it out"
        )
    ranges.check(f"augmentation {name!r}", RANGES, strength)


#: Name to augmentation.
AUGMENTATIONS: dict[str, Callable[..., Any]] = {
    each.__name__: each for each in (crop, flip, noise, rotate, zoom)
}


def function_of(name: str, entry: Mapping[str, Any]) -> Callable[..., Any]:
    """Finds the function of an entry: ``augmentation`` in it, or else its name."""
    part = entry.get("augmentation", name)
    return names.find("augmentation", part, AUGMENTATIONS)


def make(
    augmentations: Mapping[str, Mapping[str, Any]],
) -> Callable[[jax.Array, Any], Any] | None:
    """Composes augmentations.

    Args:
      augmentations: names (keys of ``AUGMENTATIONS`` or dotted paths of custom
        functions) and strengths, in the order that they are applied in. Under any other
        name an entry's ``augmentation`` names the function.

    Returns:
      Function of keys ``[n]`` and inputs that returns augmented inputs, or None where
      there is no augmentation.

    Raises:
      InputError: a name or the name of a strength is unknown; from the function, where
        an augmentation gives inputs of other shapes.

    >>> augmented = make({"noise": {"std": 0.0}, "flip": {"share": 1.0}})
    >>> images = jnp.arange(4.0).reshape(1, 2, 2, 1)
    >>> augmented(jax.random.split(jax.random.key(0), 1), images).ravel().tolist()
    [1.0, 0.0, 3.0, 2.0]
    """
    steps = []
    for name, entry in augmentations.items():
        augmentation = function_of(name, entry)
        strengths = {key: entry[key] for key in entry if key != "augmentation"}
        free = functools.partial(augmentation, None, None)
        names.bind(f"augmentation {name!r}", free, strengths)
        steps.append((name, functools.partial(augmentation, **strengths)))

    def apply(keys: jax.Array, inputs: Any) -> Any:
        for number, (name, step) in enumerate(steps):
            # A key of each step, and the same one whatever follows.
            own = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, number)
            given, inputs = jax.tree.map(jnp.shape, inputs), step(own, inputs)
            if (shapes := jax.tree.map(jnp.shape, inputs)) != given:
                raise InputError(
                    f"augmentation {name!r} makes inputs of shape {shapes} out of "
                    f"{given}; it must keep the shape and the number of examples"
                )
        return inputs

    return apply if steps else None
