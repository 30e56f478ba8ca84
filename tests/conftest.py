"""Every test sees eight CPU devices, so that what is sharded is tested as such.

Programs of the tests run once or twice, so that compiling takes most of the time: it is
done in a hurry, unless ``JAX_DISABLE_MOST_OPTIMIZATIONS=0`` asks for what a user runs.
What was compiled is kept in ``.pytest_cache``, for all workers and for the next run.
"""

import os
import pathlib
import signal
from importlib import metadata

import pytest

# In a background job of a shell Ctrl-C is ignored, also by the processes it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
_CACHE = pathlib.Path(__file__).parents[1] / ".pytest_cache" / "d" / "jax"
for _name, _value in {
    "JAX_PLATFORMS": "cpu",
    "JAX_NUM_CPU_DEVICES": "8",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "JAX_COMPILATION_CACHE_DIR": str(_CACHE),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
}.items():
    os.environ.setdefault(_name, _value)
if os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] == "1":
    _HURRY = "--xla_cpu_parallel_codegen_split_count=1"
    if metadata.version("jaxlib").startswith(("0.10.", "0.11.")):  # 0.12 has no other
        _HURRY += " --xla_cpu_use_fusion_emitters=false"
    os.environ["XLA_FLAGS"] = f"{_HURRY} {os.environ.get('XLA_FLAGS', '')}"


@pytest.fixture(scope="session")
def a_core_a_device():
    """The environment of a process that has the devices of a user's."""
    return {k: v for k, v in os.environ.items() if k != "JAX_NUM_CPU_DEVICES"}


@pytest.fixture(autouse=True, scope="module")
def programs_are_forgotten():
    """Frees the programs of each file at its end: they are gigabytes in all."""
    yield
    import jax  # only now: the flag above must stand first

    jax.clear_caches()


@pytest.fixture
def float64():
    """Float64 for the length of a test."""
    import jax

    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def make_results():
    """A function that makes a small comparison by formulas and a seeded generator."""
    import itertools

    import numpy as np

    from optlab.problems import Metric
    from optlab.results import Entry, Results, Runs, choose_point

    known = {
        "accuracy": Metric("accuracy", True, True, lambda outputs, targets: None),
        "absolute_error": Metric("absolute_error", False, False, lambda *_: None),
        "loss": Metric("loss", False, False, lambda outputs, targets: None),
    }

    def make(
        names=("sgd", "adam", "lamb"),
        groups=("",),
        metrics=("accuracy", "loss"),
        seeds=4,
        axes=None,
        points=None,
        epochs=4,
        lost=(),
        **fields,
    ):
        random = np.random.default_rng(0)
        axes = axes or {
            "optimizer.learning_rate": np.logspace(-3, -1, 5).tolist(),
            "optimizer.momentum": (0.0, 0.9),
        }
        grid = [
            dict(zip(axes, v, strict=True)) for v in itertools.product(*axes.values())
        ]
        points = tuple(points or grid)

        def runs(phase, place, name, seeds, chosen):
            shape = len(seeds), len(chosen)
            rates = [points[i].get("optimizer.learning_rate", 0.01) for i in chosen]
            far = np.log10(rates) + 2
            gone = np.broadcast_to((far > 0.6) | (name in lost), shape)

            def figures(time):
                fall = np.exp(-(1 + 0.1 * place) * time)[:, None, None]
                loss = (
                    2.3 * fall + 0.05 + 0.1 * far**2 + random.random((1, *shape)) / 99
                )
                loss = np.where(gone & (time > 0)[:, None, None], np.nan, loss)
                right = 0.97 - 0.8 * fall - 0.1 * far**2
                right = right + 0.01 * random.random((len(time), *shape))
                found = {"accuracy": right, "absolute_error": loss / 2, "loss": loss}
                return {each: found[each].astype(np.float32) for each in metrics}

            splits = {
                s: figures(np.arange(epochs + 1.0)) for s in ("train", "validation")
            }
            splits["test"] = figures(np.arange(epochs + 1.0))
            for values in splits["test"].values():
                values[:-1] = np.nan
            if phase == "tune":
                splits = {"validation": splits["validation"]}
            seconds = 1.5 * np.arange(epochs + 1.0)[:, None, None] * (1 + 0.1 * place)
            steps = figures(np.linspace(0, epochs, 10 * epochs))
            return Runs(
                phase=phase,
                seeds=tuple(seeds),
                points=tuple(chosen),
                steps_per_epoch=10,
                seconds=seconds * np.where(phase == "tune", np.nan, np.ones(shape)),
                steps={each: np.moveaxis(x, 0, -1) for each, x in steps.items()},
                evaluations=splits,
                diverged=np.array(gone),
                ends=np.full(shape, epochs),
            )

        found = []
        used = tuple(known[metric] for metric in metrics)
        for group, (place, name) in itertools.product(groups, enumerate(names)):
            tune = runs("tune", place, name, range(3), range(len(points)))
            best = choose_point(tune, used)
            entry = Entry(
                label=f"{name}, {group}" if group else name,
                name=name,
                group=group,
                settings={"optimizer.name": name},
                points=points,
                tune=tune,
                best=best,
                report=None,
                parameters=25_000,
                multiply_adds=1_000_000,
                compiles=2,
                compile_seconds=9.0,
                sweep_seconds=4.0,
            )
            if best is not None:
                fresh = range(10, 10 + seeds)
                entry = entry._replace(
                    report=runs("report", place, name, fresh, [best])
                )
            found.append(entry)
        base = Results(
            entries=tuple(found),
            metrics=used,
            target=0.9 if metrics[0] == "accuracy" else 0.2,
            title="Digits <compared>",
            note="",
            config='{"model": "cnn & co"}',
            environment={"commit": "abc<123>"},
        )
        return base._replace(**fields)

    return make
