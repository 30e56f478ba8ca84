"""Fewer values: shared weights, whole numbers, low rank; and a teacher's outputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.cluster import KMeans

import optlab
from optlab import compress, data, models, problems
from optlab.compress import codebook, low_rank
from optlab.errors import InputError

W = jax.random.normal(jax.random.key(0), (40, 30))


def mse(found, expected=W):
    return float(jnp.mean((found - expected) ** 2))


@pytest.fixture(scope="module")
def digits():
    net = models.make("mlp", 10, hidden=(12,))
    return problems.classification(net, data.load("digits", examples=200))


# Shared weights.


# Scikit-learn says so where the system hides its processor.
@pytest.mark.filterwarnings("ignore:Could not find the number of physical cores")
@pytest.mark.parametrize("start", codebook.STARTS)
def test_lloyd_ends_where_scikit_learn_ends(start, float64):
    w = jax.random.normal(jax.random.key(1), (500,), jnp.float64)
    kept = jnp.abs(w) > 0.5
    first = codebook.STARTS[start](w, kept, 7)
    index, centroids = codebook.lloyd(w, kept, first)
    points = np.asarray(w[kept])[:, None]
    oracle = KMeans(7, init=np.asarray(first)[:, None], n_init=1, tol=0).fit(points)
    np.testing.assert_allclose(centroids, np.sort(oracle.cluster_centers_.ravel()))
    nearest = np.abs(points - np.asarray(centroids)).argmin(1)
    np.testing.assert_array_equal(index[kept], nearest)


@pytest.mark.parametrize("start", codebook.STARTS)
def test_starts_are_of_kept_weights_only(start):
    w = jnp.array([9.0, 1.0, 2.0, 3.0, -9.0])
    found = codebook.STARTS[start](w, jnp.array([False, True, True, True, False]), 3)
    assert found.tolist() == [1.0, 2.0, 3.0]


def test_pruned_weights_have_code_zero_and_stay_zero():
    params = {"k": jnp.where(jnp.abs(W) > 1, W, 0.0), "b": jnp.ones(3)}
    net = compress.share(params, bits=3)
    assert net["k"].centroids.shape == (7,)
    assert ((net["k"].codes == 0) == (params["k"] == 0)).all()
    assert mse(compress.plain(net)["k"], params["k"]) < 0.02
    assert net["b"] is params["b"]


def test_layers_may_have_bits_of_their_own_and_may_be_empty():
    net = compress.share({"a": W, "b": jnp.zeros((4, 5))}, bits={"a": 1, "b": 8})
    assert net["a"].centroids.tolist() == [pytest.approx(float(W.mean()), abs=1e-6)]
    assert not compress.plain(net)["b"].any()


def test_the_gradient_of_a_centroid_is_the_sum_over_its_weights():
    """Deep compression, equation 3."""
    net = compress.share({"k": W}, bits=2)["k"]
    loss = lambda w: jnp.sum(jnp.sin(w) * jnp.arange(30))  # noqa: E731
    of_weights = jax.grad(loss)(codebook.weights_of(net))
    found = jax.grad(lambda c: loss(codebook.weights_of(net._replace(centroids=c))))(
        net.centroids
    )
    sums = [of_weights[net.codes == k].sum() for k in (1, 2, 3)]
    np.testing.assert_allclose(found, jnp.array(sums), rtol=1e-4, atol=1e-3)


def test_centroids_are_trained_and_the_codes_stay(digits):
    params, state = digits.init(jax.random.key(0))
    net = compress.share(params, bits=4)
    problem = compress.shared(digits, net, state)
    trained = optlab.train(problem, optlab.adam(1e-2), epochs=5, batch_size=20)
    found = compress.with_codes(trained.params, trained.model_state["codes"])
    for layer in params:
        before, after = net[layer]["kernel"], found[layer]["kernel"]
        np.testing.assert_array_equal(before.codes, after.codes)
        assert not jnp.allclose(before.centroids, after.centroids)
        assert len(np.unique(compress.plain(found)[layer]["kernel"])) <= 15
    loss = trained.history.steps["loss"]
    assert loss[-5:].mean() < 0.9 * loss[:5].mean()


def test_the_whole_way_gives_the_same_logits_to_the_bit(digits):
    trained = optlab.train(
        digits,
        compress.pruned(optlab.adam(1e-2), 0.8, end=30, every=10),
        epochs=5,
        batch_size=20,
    )
    net = compress.halve(compress.share(trained.params, bits=4))
    params = compress.decode(compress.encode(net))
    inputs = jnp.ones((3, 8, 8, 1))
    logits = [digits.outputs(p, {}, inputs) for p in (params, compress.plain(net))]
    np.testing.assert_array_equal(*logits)
    kept = [np.count_nonzero(params[each]["kernel"]) for each in params]
    assert sum(kept) == 12 * 74 - round(0.8 * 12 * 74)


def test_halves_are_numpy_s_float16():
    bias = np.random.default_rng(0).normal(size=100).astype(np.float32)
    found = compress.halve({"bias": jnp.asarray(bias)})["bias"]
    np.testing.assert_array_equal(found, bias.astype(np.float16).astype(np.float32))
    ends = {"bias": jnp.array([1e-5, 1.0])}, {"bias": jnp.array([1e5, 0.1])}
    small, large = (compress.halve(each)["bias"] for each in ends)
    np.testing.assert_array_equal(small, [0.0, 1.0])
    np.testing.assert_array_equal(large, np.float32([1e5, 0.1]))


# Whole numbers.


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize("symmetric", [True, False])
def test_the_error_is_at_most_half_a_step(bits, axis, symmetric):
    w = W + 0.5  # not symmetric
    found = compress.quantize(w, bits, axis, symmetric)
    assert found.values.dtype == jnp.int8
    assert found.scale.shape == tuple(
        n if axis is not None and i == axis % 2 else 1 for i, n in enumerate(w.shape)
    )
    # Rounding of the zero point may move a value at the end by half a step more.
    half = 0.5 if symmetric else 1.0
    assert (jnp.abs(compress.dequantize(found) - w) <= half * found.scale * 1.001).all()
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    assert found.values.min() >= low + symmetric
    assert found.values.max() <= high


def test_zero_is_exact_and_so_is_an_array_of_zeros():
    w = jnp.array([[0.0, 0.3, 5.0], [0.0, 0.0, 0.0]])
    for symmetric in (True, False):
        found = compress.dequantize(compress.quantize(w, 4, 0, symmetric))
        assert (found[w == 0] == 0).all()
    assert not compress.plain({"k": compress.mmse_quantize(w, 4, 0)})["k"][1].any()


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("axis", [None, 0])
def test_integers_give_what_fake_quantization_gives(axis, symmetric, float64):
    x = jax.random.uniform(jax.random.key(1), (30, 6), jnp.float64)
    w = compress.quantize(W.astype(jnp.float64), 8, axis, symmetric)
    q = compress.quantize(x, 8, symmetric=symmetric)
    expected = compress.dequantize(w) @ compress.dequantize(q)
    np.testing.assert_allclose(compress.integer_product(w, q), expected, rtol=1e-9)


def test_int4_of_least_squared_error_against_the_full_range():
    """Normal numbers: 0.0118 and, with the largest of 1e5 at 4.4, 0.035."""
    x = jax.random.normal(jax.random.key(2), (8, 100_000))
    wide = mse(compress.dequantize(compress.quantize(x, 4, axis=0)), x)
    best = mse(compress.dequantize(compress.mmse_quantize(x, 4, axis=0)), x)
    assert best == pytest.approx(0.0118, rel=0.02)
    assert wide > 2.8 * best


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("bits", [2, 3, 8])
def test_no_scale_nearby_is_better(axis, bits):
    found = compress.mmse_quantize(W, bits, axis)
    least, most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    for factor in (0.7, 0.97, 1.03, 1.4):
        scale = factor * found.scale
        other = scale * jnp.clip(jnp.round(W / scale), least, most)
        assert mse(compress.dequantize(found)) <= mse(other)
    assert mse(compress.dequantize(found)) <= mse(
        compress.dequantize(compress.quantize(W, bits, axis))
    )


# Low rank.


@pytest.mark.parametrize("rank", [1, 5, 16])
def test_what_is_lost_is_the_sum_of_the_other_squares(rank, float64):
    w = W.astype(jnp.float64)
    left, right = compress.truncated_svd(w, rank)
    values = jnp.linalg.svd(w, compute_uv=False)
    lost = jnp.sum((w - left @ right) ** 2)
    np.testing.assert_allclose(lost, jnp.sum(values[rank:] ** 2), rtol=1e-9)


def test_layers_for_which_no_rank_pays_stay():
    flat, steep = jnp.eye(6), jnp.outer(jnp.arange(9.0), jnp.ones(8)) + 1e-3
    tree = {"a": flat, "b": steep, "c": jnp.ones(4), "d": jnp.ones((3, 3, 9, 9))}
    net = compress.factorize(tree, energy=0.99)
    assert net["a"] is flat
    assert net["d"] is tree["d"]
    assert net["b"].left.shape == (9, 1)
    assert low_rank.paying_rank(300, 784) == 216


# A teacher.


def test_a_net_that_is_its_own_teacher_has_no_divergence(digits):
    params, state = digits.init(jax.random.key(0))
    teacher = lambda x: digits.outputs(params, state, x)  # noqa: E731
    batch = jax.tree.map(lambda x: x[:20], digits.dataset.train)
    for weight in (0.0, 0.3, 1.0):
        taught = compress.distilled(digits, teacher, 3.0, weight)
        made = taught.make_batch(batch)
        loss = taught.loss(teacher(made.inputs), made.targets)
        own = digits.loss(teacher(made.inputs), made.targets[0])
        np.testing.assert_allclose(loss, (1 - weight) * own, atol=1e-5)


def test_the_gradient_is_that_of_matching_logits_at_high_temperature(digits, float64):
    """T^2 KL has the gradient (z - z_t) / n for centred logits, section 2.1."""
    z, t = jax.random.normal(jax.random.key(0), (2, 10), jnp.float64)
    z, t = z - z.mean(), t - t.mean()
    taught = compress.distilled(digits, lambda x: x, 1e4, 1.0)
    loss = lambda z: taught.loss(z[None], (jnp.array([0]), t[None]))[0]  # noqa: E731
    np.testing.assert_allclose(jax.grad(loss)(z), (z - t) / 10, rtol=1e-3, atol=1e-5)


def test_temperature_and_weight_are_lanes(digits):
    teacher = lambda x: 5 * x.reshape(len(x), -1)[:, :10]  # noqa: E731

    def run(temperature, weight):
        taught = compress.distilled(digits, teacher, temperature, weight)
        trained = optlab.train(taught, optlab.adam(1e-2), epochs=1, batch_size=20)
        return trained.history.steps["loss"]

    losses = jax.vmap(run)(jnp.array([1.0, 4.0, 4.0]), jnp.array([0.0, 0.5, 1.0]))
    assert losses.shape == (3, len(losses[0]))
    plain = optlab.train(digits, optlab.adam(1e-2), epochs=1, batch_size=20)
    np.testing.assert_allclose(losses[0], plain.history.steps["loss"], rtol=1e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: compress.share({"k": W}, bits=0), "from 1 to 8"),
        (lambda: compress.share({"k": W}, bits=9), "from 1 to 8"),
        (lambda: compress.share({"k": W}, bits=2.5), "from 1 to 8"),
        (lambda: compress.share({"k": W}, 4, start="lineal"), "did you mean linear"),
        (lambda: compress.quantize(W, bits=9), "from 1 to 8"),
        (lambda: compress.quantize(W, bits=1), "bits=1: give a whole number from 2"),
        (lambda: compress.mmse_quantize(W, bits=1), "give a whole number from 2"),
        (lambda: compress.truncated_svd(W, 18), "does not pay for .* 40 x 30: give 1"),
        (lambda: compress.truncated_svd(jnp.ones((1, 9)), 1), "no rank pays"),
        (lambda: compress.factorize({"k": W}, 1.5), r"in \(0, 1\]"),
        (lambda: compress.distilled(None, None, temperature=0.0), "above 0"),
        (lambda: compress.distilled(None, None, weight=2.0), r"in \[0, 1\]"),
    ],
)
def test_a_mistake_says_what_would_be_right(make, message):
    with pytest.raises(InputError, match=message):
        make()
