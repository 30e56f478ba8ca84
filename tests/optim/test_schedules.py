"""Schedules: numbers worked by hand, optax as an oracle, any optimizer in one way."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optlab import optim
from optlab.errors import InputError
from optlab.optim import schedules


def table(schedule, counts):
    return [float(schedule(i)) for i in counts]


def factors(tx, values):
    """The factor that a transformation puts on an update of 1, step by step."""

    @jax.jit
    def scanned(values):
        def step(state, value):
            updates, state = tx.update(jnp.array(1.0), state, value=value)
            return state, updates

        return jax.lax.scan(step, tx.init(jnp.array(1.0)), values)[1]

    return scanned(jnp.array(values, jnp.float32)).tolist()


@pytest.mark.parametrize(
    ("schedule", "counts", "expected"),
    [
        (schedules.constant(0.3), (0, 9), (0.3, 0.3)),
        # 0.8 / (1 + 30/10) = 0.2; with exponent 2: 0.8 / 4^2 = 0.05
        (schedules.power(0.8, decay_steps=10), (0, 10, 30), (0.8, 0.4, 0.2)),
        (schedules.power(0.8, decay_steps=10, exponent=2.0), (0, 30), (0.8, 0.05)),
        (
            schedules.piecewise_constant(2.0, boundaries=(3, 5), factors=(0.5, 0.1)),
            (0, 2, 3, 4, 5, 9),
            (2.0, 2.0, 1.0, 1.0, 0.2, 0.2),
        ),
        # 0.8 * 0.25^(i / 4): halved every 2 steps
        (
            schedules.exponential(0.8, decay_steps=4, decay_rate=0.25),
            (0, 2, 4, 6),
            (0.8, 0.4, 0.2, 0.1),
        ),
        # (1 + cos(pi / 3)) / 2 = 3/4; 0.8 (0.5 + 0.5 * 3/4) = 0.7
        (schedules.cosine(0.8, decay_steps=6), (0, 2, 3, 6, 9), (0.8, 0.6, 0.4, 0, 0)),
        (
            schedules.cosine(0.8, decay_steps=6, final=0.5),
            (0, 2, 3, 6, 9),
            (0.8, 0.7, 0.6, 0.4, 0.4),
        ),
    ],
)
def test_by_hand(schedule, counts, expected):
    np.testing.assert_allclose(table(schedule, counts), expected, rtol=1e-5, atol=1e-7)


def test_plateau_by_hand():
    tx = schedules.make("plateau", factor=0.5, patience=2, min_scale=0.2)
    # best: 4    3    3    3    2    2    2    2    2    2    2
    # stale:0    0    1    2    0    1    2    1    2    1    2
    values = [4, 3, 3.5, 3, 2, 2, 2, 2, 2, 2, 2]
    expected = [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2, 0.2]
    np.testing.assert_allclose(factors(tx, values), expected, rtol=1e-6)


def test_plateau_judges_the_mean_of_a_window():
    tx = schedules.make("plateau", factor=0.5, patience=1, window=2)
    # means: (1 + 5) / 2 = 3, (4 + 1) / 2 = 2.5, (0 + 6) / 2 = 3: worse
    seen = factors(tx, [1, 5, 4, 1, 0, 6, 0])
    assert seen == [1, 1, 1, 1, 1, 0.5, 0.5]
    state = tx.init(jnp.array(0.0))
    for value in (1.0, 5.0):
        _, state = tx.update(jnp.array(0.0), state, value=value)
    assert state.best == 3.0


def test_plateau_wants_a_relative_decrease():
    tx = schedules.make("plateau", factor=0.5, patience=1, rtol=0.1)
    # 10 - 9.5 = 0.5 is less than 0.1 * 9.5; 10 - 9 = 1 is more than 0.1 * 9
    assert factors(tx, [10, 9.5, 9]) == [1, 0.5, 0.5]
    assert factors(tx, [-10, -10.5, -12]) == [1, 0.5, 0.5]


def test_plateau_counts_a_nan_as_no_improvement():
    tx = schedules.make("plateau", patience=2)
    assert factors(tx, [1, np.nan, np.nan, 0.5, 0.4]) == [1, 1, 0.5, 0.5, 0.5]


@pytest.mark.parametrize("window", [1, 3])
def test_plateau_equals_optax(window):
    values = 1 / jnp.arange(1, 61) + jax.random.uniform(jax.random.key(0), (60,))
    ours = schedules.make("plateau", factor=0.7, patience=3, window=window)
    oracle = optax.contrib.reduce_on_plateau(0.7, 3, accumulation_size=window)
    seen = factors(ours, values)
    assert seen[-1] < 0.75
    np.testing.assert_allclose(seen, factors(oracle, values), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("power", {"decay_steps": 3.0, "exponent": 2.0}),
        ("piecewise_constant", {"boundaries": (2,), "factors": (0.5,)}),
        ("exponential", {"decay_steps": 3.0, "decay_rate": 0.5}),
        ("cosine", {"decay_steps": 4.0, "final": 0.1}),
    ],
)
def test_by_name_equals_a_scheduled_learning_rate(name, options):
    chained = schedules.chained(optim.adam(0.3), schedules.make(name, **options))
    scheduled = optim.adam(schedules.SCHEDULES[name](0.3, **options))

    def walk(tx):
        def step(carry, _):
            w, state = carry
            updates, state = tx.update(jnp.sin(w), state, w)
            return (w + updates, state), w

        w = jnp.array([1.0, -2.0])
        return jax.lax.scan(step, (w, tx.init(w)), length=6)[1]  # the points

    chex.assert_trees_all_close(walk(chained), walk(scheduled), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("constant", {}),
        ("power", {"decay_steps": 3.0, "exponent": 2.0}),
        ("exponential", {"decay_steps": 3.0, "decay_rate": 0.5}),
        ("cosine", {"decay_steps": 4.0, "final": 0.1}),
        ("plateau", {"factor": 0.5, "rtol": 0.1, "min_scale": 0.1, "patience": 2}),
    ],
)
def test_every_number_may_be_swept_and_types_are_kept(name, options):
    options = {"learning_rate": 0.8, **options}
    whole = {k: v for k, v in options.items() if isinstance(v, int)}
    lanes = [options, {**{k: 0.9 * v for k, v in options.items()}, **whole}]
    stacked = {k: jnp.array([lane[k] for lane in lanes]) for k in options}

    def walk(options, dtype=jnp.float32):
        tx = schedules.make(name, **options)
        ones = jnp.ones(2, dtype)

        def step(state, value):
            updates, state = tx.update(ones, state, value=value)
            return state, updates

        return jax.lax.scan(step, tx.init(ones), jnp.array([2.0, 1.0, 1.0, 1.0]))[1]

    swept = jax.jit(jax.vmap(walk))(stacked)
    alone = jnp.stack([walk(lane) for lane in lanes])
    chex.assert_trees_all_close(swept, alone, rtol=1e-5)
    assert (swept[0] != swept[1]).all(axis=-1).any()
    assert walk(options, jnp.bfloat16).dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cosin", {}, "no schedule 'cosin'; did you mean cosine"),
        ("cosine", {}, "cosine missing .* 'decay_steps'; it takes learning_rate"),
        ("cosine", {"decay_step": 3}, "decay_step"),
        ("cosine", {"decay_steps": 0}, "decay_steps must be more than 0, not 0"),
        ("power", {"decay_steps": -1}, "decay_steps must be more than 0, not -1"),
        ("exponential", {"decay_steps": np.nan}, "decay_steps must be more than 0"),
        ("exponential", {"decay_steps": 1, "decay_rate": 0}, "decay_rate must be"),
        ("plateau", {"factor": 1.0}, "factor must be more than 0 and less than 1"),
        ("plateau", {"patience": 0}, "patience must be more than 0"),
        (
            "piecewise_constant",
            {"boundaries": (5, 3), "factors": (1.0, 1.0)},
            "rising boundaries",
        ),
        ("piecewise_constant", {"boundaries": (5,), "factors": ()}, "one factor for"),
    ],
)
def test_a_mistake_says_what_would_be_right(name, options, message):
    with pytest.raises(InputError, match=message):
        schedules.make(name, **options)


@pytest.mark.parametrize(
    "tx",
    [
        optim.bold_driver(),
        optax.masked(optim.levenberg_marquardt(), True),
        optax.lbfgs(),
        optax.contrib.schedule_free_sgd(0.1),
        optax.contrib.mechanize(optax.sgd(0.1)),
    ],
)
def test_none_is_chained_after_a_method_that_remembers_its_step(tx):
    chained = schedules.chained(tx, schedules.make("cosine", decay_steps=9))
    with pytest.raises(InputError, match=r"^this optimizer chooses .* leave .* out$"):
        chained.init(jnp.ones(2))


def test_a_custom_schedule_has_a_dotted_path(tmp_path, monkeypatch):
    (tmp_path / "own_schedules.py").write_text(
        "import optax\n"
        "def halving(): return lambda count: 0.5**count\n"
        "def doubled(factor): return optax.scale(2 * factor)\n"
        "def nothing(): return 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert factors(schedules.make("own_schedules.halving"), [0, 0, 0]) == [1, 0.5, 0.25]
    assert factors(schedules.make("own_schedules.doubled", factor=2), [0]) == [4]
    with pytest.raises(InputError, match="nothing returned a int, not a schedule"):
        schedules.make("own_schedules.nothing")


def test_plateau_asks_for_the_loss():
    tx = schedules.chained(optim.sgd(), schedules.make("plateau"))
    w = jnp.array(1.0)
    with pytest.raises(TypeError, match="plateau needs value="):
        tx.update(w, tx.init(w), w)
