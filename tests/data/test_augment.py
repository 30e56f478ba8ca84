"""Normalization, crop and flip: what they do to an image, and what decides it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optlab.data import augment


def distinct_images(n=16, height=5, width=4, channels=2):
    """Images whose every pixel has a value of its own, none of them zero."""
    count = n * height * width * channels
    return jnp.arange(1.0, count + 1).reshape(n, height, width, channels)


def keys(n=16, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def test_normalized_pixels_have_mean_0_and_deviation_1():
    pixels = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 3), np.uint8)
    mean, std = (f(axis=(0, 1, 2)) for f in (pixels.mean, pixels.std))
    found = augment.normalize(jnp.asarray(pixels), jnp.asarray(mean), jnp.asarray(std))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(found.std((0, 1, 2)), 1, atol=1e-5)
    np.testing.assert_allclose(found[3, 1, 2], (pixels[3, 1, 2] - mean) / std, 1e-5)


@pytest.mark.parametrize("name", list(augment.AUGMENTATIONS))
def test_the_key_decides_and_the_shape_stays(name):
    images, apply = distinct_images(), jax.jit(augment.AUGMENTATIONS[name])
    found = apply(keys(), images)
    assert (found.shape, found.dtype) == (images.shape, images.dtype)
    np.testing.assert_array_equal(found, apply(keys(), images))
    assert not jnp.array_equal(found, apply(keys(seed=1), images))


@pytest.mark.parametrize("name", list(augment.AUGMENTATIONS))
def test_a_part_of_a_batch_is_augmented_as_in_the_whole(name):
    """So a batch that is cut over devices is augmented as it is on one."""
    images, apply = distinct_images(), augment.AUGMENTATIONS[name]
    part = np.s_[5:9]
    np.testing.assert_array_equal(
        apply(keys()[part], images[part]), apply(keys(), images)[part]
    )


def windows(image, padding):
    """Every image that a crop may give, in its random number's order."""
    height, width, _ = image.shape
    padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)))
    return [
        padded[i : i + height, j : j + width]
        for i in range(2 * padding + 1)
        for j in range(2 * padding + 1)
    ]


def test_a_crop_is_a_shifted_window():
    images = distinct_images(n=64, height=3, width=2)
    cropped = jax.jit(lambda k, x: augment.random_crop(k, x, 1))(keys(64), images)
    shifts = []
    for image, found in zip(np.asarray(images), cropped, strict=True):
        matches = [np.array_equal(found, window) for window in windows(image, 1)]
        assert sum(matches) == 1  # zeros move in, nothing else changes
        shifts.append(matches.index(True))
    assert set(shifts) == set(range(9))  # of 64 draws, every shift occurs


def test_a_crop_without_padding_changes_nothing():
    images = distinct_images()
    np.testing.assert_array_equal(augment.random_crop(keys(), images, 0), images)


def test_a_flip_mirrors_left_to_right_or_changes_nothing():
    images = distinct_images(n=64)
    found = augment.random_flip(keys(64), images)
    mirrored = jnp.array(
        [jnp.array_equal(*pair) for pair in zip(found, images[:, :, ::-1], strict=True)]
    )
    as_it_was = jnp.array(
        [jnp.array_equal(*pair) for pair in zip(found, images, strict=True)]
    )
    assert (mirrored != as_it_was).all()
    assert 20 < mirrored.sum() < 44  # 32 expected, 4 the deviation


def test_flipped_twice_with_one_key_is_the_image():
    images = distinct_images()
    twice = augment.random_flip(keys(), augment.random_flip(keys(), images))
    np.testing.assert_array_equal(twice, images)
