"""Augmentations: effects on an image, draws, and lanes of strengths."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optlab.data import augment
from optlab.errors import InputError

#: A strength of each augmentation that changes nothing.
NONE = {"flip": "share", "crop": "padding", "noise": "std"}
NONE |= {"rotate": "degrees", "zoom": "factor"}


def distinct_images(n=16, height=5, width=4, channels=2):
    """Images whose every pixel has a value of its own, none of them zero."""
    count = n * height * width * channels
    return jnp.arange(1.0, count + 1).reshape(n, height, width, channels)


def keys(n=16, seed=0):
    return jax.random.split(jax.random.key(seed), n)


@pytest.mark.parametrize("name", augment.AUGMENTATIONS)
def test_the_key_decides_and_the_shape_stays(name):
    images, apply = distinct_images(), jax.jit(augment.AUGMENTATIONS[name])
    found = apply(keys(), images)
    assert (found.shape, found.dtype) == (images.shape, images.dtype)
    np.testing.assert_array_equal(found, apply(keys(), images))
    assert not jnp.array_equal(found, apply(keys(seed=1), images))


@pytest.mark.parametrize("name", augment.AUGMENTATIONS)
def test_lanes_of_strengths_are_the_single_strengths(name):
    images, apply = distinct_images(), augment.AUGMENTATIONS[name]
    strengths = jnp.array([0.0, 0.5]) if name != "crop" else jnp.array([0, 2])

    @jax.jit
    @jax.vmap
    def lanes(strength):
        return apply(keys(), images, **{NONE[name]: strength})

    none, some = lanes(strengths)
    np.testing.assert_allclose(none, images, rtol=1e-5)
    expected = apply(keys(), images, **{NONE[name]: strengths[1].item()})
    np.testing.assert_allclose(some, expected, rtol=1e-4, atol=1e-3)
    assert not jnp.array_equal(some, images)


def test_a_part_of_a_batch_is_augmented_as_in_the_whole():
    """So a batch that is sharded over devices is augmented as on one."""
    images, apply = distinct_images(), augment.make({name: {} for name in NONE})
    part = np.s_[5:9]
    np.testing.assert_allclose(
        apply(keys()[part], images[part]), apply(keys(), images)[part], rtol=1e-5
    )


def test_augmentations_apply_in_order_with_keys_of_their_own():
    images = distinct_images()
    noise = augment.make({"noise": {}})(keys(), images)
    both = augment.make({"noise": {}, "flip": {"share": 1.0}})(keys(), images)
    np.testing.assert_array_equal(both, noise[:, :, ::-1])
    again = {"noise": {}, "optlab.data.augment.noise": {}}
    twice = augment.make(again)(keys(), images) - noise
    assert jnp.abs(twice - (noise - images)).max() > 0.1
    assert augment.make({}) is None


@pytest.mark.parametrize(
    ("name", "strengths", "message"),
    [
        ("flop", {}, "no augmentation 'flop'; did you mean flip"),
        ("flip", {"std": 1}, "'flip' got .*'std'; it takes share"),
        ("flip", {"share": 1.5}, "'flip': share must be from 0 to 1, not 1.5"),
        (
            "crop",
            {"padding": -1},
            "'crop': padding must be finite and at least 0, not -1",
        ),
        (
            "noise",
            {"std": float("nan")},
            "'noise': std must be finite and at least 0, not nan",
        ),
        ("rotate", {"degrees": "10"}, "'rotate': degrees must be a number, not '10'"),
        ("zoom", {"factor": 1.0}, "'zoom': factor must be at least 0 and less than 1"),
    ],
)
def test_a_mistake_says_what_would_be_right(name, strengths, message):
    with pytest.raises(InputError, match=message):
        augment.make({name: strengths})(keys(), distinct_images())


def test_an_entry_names_its_function_where_its_name_is_another():
    images = distinct_images()
    entry = {"augmentation": "optlab.data.augment.noise", "std": 0.5}
    named = augment.make({"strong": entry})(keys(), images)
    plain = augment.make({"noise": {"std": 0.5}})(keys(), images)
    np.testing.assert_array_equal(named, plain)


@pytest.mark.parametrize("change", [lambda x: x[..., :1, :], lambda x: x[1:]])
def test_an_augmentation_that_changes_the_shape_is_named(change, monkeypatch):
    cut = lambda keys, inputs: change(inputs)  # noqa: E731
    monkeypatch.setitem(augment.AUGMENTATIONS, "cut", cut)
    with pytest.raises(InputError, match="augmentation 'cut' makes inputs of shape"):
        augment.make({"cut": {}})(keys(), distinct_images())


def test_an_augmentation_of_images_refuses_vectors():
    with pytest.raises(InputError, match=r"'crop' is for images .* \(16, 3\)"):
        augment.make({"crop": {}})(keys(), jnp.ones((16, 3)))


def windows(image, padding):
    """Lists every image that a crop may give."""
    height, width, _ = image.shape
    padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)))
    return [
        padded[i : i + height, j : j + width]
        for i in range(2 * padding + 1)
        for j in range(2 * padding + 1)
    ]


@pytest.mark.parametrize("traced", [False, True])
def test_a_crop_is_a_shifted_window(traced):
    images = distinct_images(n=64, height=3, width=2)
    crop = jax.jit(augment.crop, static_argnums=() if traced else 2)
    shifts = []
    for image, found in zip(np.asarray(images), crop(keys(64), images, 1), strict=True):
        matches = [np.array_equal(found, window) for window in windows(image, 1)]
        assert sum(matches) == 1  # zeros move in, nothing else changes
        shifts.append(matches.index(True))
    assert set(shifts) == set(range(9))  # of 64 draws, every shift occurs


def test_a_flip_mirrors_a_share_of_the_images():
    images = distinct_images(n=64)
    found = augment.flip(keys(64), images, share=0.25)
    mirrored = (found == images[:, :, ::-1]).all((1, 2, 3))
    assert (mirrored != (found == images).all((1, 2, 3))).all()
    assert 6 < mirrored.sum() < 26  # 16 expected, 3.5 the deviation


def test_noise_has_its_deviation_and_is_independent():
    found = augment.noise(keys(64), jnp.zeros((64, 100)), std=0.5)
    np.testing.assert_allclose(found.std(), 0.5, rtol=0.05)
    assert jnp.abs(jnp.corrcoef(found) - jnp.eye(64)).max() < 0.5


def ramps():
    """Images of x and y about the center, of which bilinear reading is exact."""
    y, x = jnp.meshgrid(*[jnp.arange(9.0) - 4] * 2, indexing="ij")
    return jnp.broadcast_to(jnp.stack([x, y], axis=-1), (99, 9, 9, 2))


def test_a_rotation_turns_by_uniform_angles():
    found = augment.rotate(keys(99), ramps(), degrees=40.0)
    right = found[:, 4, 6] - found[:, 4, 4]  # of a step of two pixels to the right
    down = found[:, 6, 4] - found[:, 4, 4]
    np.testing.assert_allclose(jnp.hypot(*right.T), 2, rtol=1e-5)
    np.testing.assert_allclose(down, right[:, ::-1] * jnp.array([-1, 1]), atol=1e-5)
    np.testing.assert_allclose(found[:, 4, 4], 0, atol=1e-5)
    angles = jnp.rad2deg(jnp.arctan2(right[:, 1], right[:, 0]))
    assert -40 <= angles.min() < -36
    assert 36 < angles.max() <= 40


def test_a_zoom_scales_about_the_center():
    found = augment.zoom(keys(99), ramps(), factor=0.5)
    scale = 1 / found[:, 4, 5, 0]
    np.testing.assert_allclose(scale, 1 / found[:, 5, 4, 1], rtol=1e-5)
    assert 0.5 <= scale.min() < 0.55
    assert 1.45 < scale.max() <= 1.5
    corners = found[:, 0, 0]
    assert (corners[scale < 0.8] == 0).all()
    assert (corners[scale > 1] < 0).all()
