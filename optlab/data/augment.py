"""From stored pixels to a model's inputs, on the device: normalize, crop, flip.

Random draws have a key for each example, so that a batch cut over several devices is
augmented exactly as it is on one.
"""

import jax
import jax.numpy as jnp


def normalize(images: jax.Array, mean: jax.Array, std: jax.Array) -> jax.Array:
    """Pixels of any type to float32 with mean 0 and deviation 1 in each channel.

    Args:
      images: ``[..., channels]``, in the unit of ``mean`` and ``std``.
      mean: ``[channels]``.
      std: ``[channels]``.

    Returns:
      ``(images - mean) / std``.
    """
    return (images.astype(jnp.float32) - mean) / std


def random_crop(keys: jax.Array, images: jax.Array, padding: int = 4) -> jax.Array:
    """Shifts each image by up to ``padding`` pixels each way, zeros moving in.

    Args:
      keys: ``[n]``, one an image.
      images: ``[n, height, width, channels]``, normalized: the border is the mean.
      padding: the largest shift, in pixels, static.

    Returns:
      Images of the same shape.
    """

    def crop(key, image):
        border = ((padding, padding), (padding, padding), (0, 0))
        corner = jax.random.randint(key, (2,), 0, 2 * padding + 1)
        return jax.lax.dynamic_slice(jnp.pad(image, border), (*corner, 0), image.shape)

    return jax.vmap(crop)(keys, images)


def random_flip(keys: jax.Array, images: jax.Array) -> jax.Array:
    """Mirrors each image left to right with probability one half.

    Args:
      keys: ``[n]``, one an image.
      images: ``[n, height, width, channels]``.

    Returns:
      Images of the same shape.
    """
    mirrored = jax.vmap(jax.random.bernoulli)(keys)
    return jnp.where(mirrored[:, None, None, None], images[:, :, ::-1], images)


#: Name to augmentation ``(keys, images) -> images``, as a config lists them.
AUGMENTATIONS = {"crop": random_crop, "flip": random_flip}
