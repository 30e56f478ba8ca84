r"""Compresses a net: error on the test split against bytes on disk.

  python -m experiments.compress
  python -m experiments.compress --config.prune.sparsity=0.95 --config.share.bits=3
  python -m experiments.compress --config=configs/compress_lenet.py --data_dir=DIR
  python -m experiments.compress --trained=runs/mine/nets/adam-seed3.net

Dense parents are trained, one a seed, or read with --trained from files that a
comparison kept (repeat the flag for several seeds of one recipe). They are pruned while
they train on, their weights share few values, and these are trained; the result is
written with codes of one width and with Huffman's. Beside them stand the parents in
gzip and xz, in 8 and 4 bits, of low rank, and a small net that they taught. Every file
is written, read back, and what was read is evaluated.

A table here; index.html, figures, results.json and the files in the working directory.
The same command begins anew, after a stop as after its end.
Every line of the config is a flag: --config.KEY=VALUE.
"""

import itertools
import pathlib
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from rich.console import Console

from experiments import cli, overrides, sizes
from experiments.compression import activations, files, page, stages, tables, thresholds
from experiments.compression.files import Written, write_nets
from experiments.compression.stages import Nets
from experiments.workdir import claim, write_results
from optlab import ranges, report
from optlab.compare import kept, recipe
from optlab.compress import Quantized, TwoTensors, codebook, quantized
from optlab.errors import InputError
from optlab.problems import Problem
from optlab.ranges import Range

CONFIG = cli.define_config("configs/compress.py")
flags.declare_key_flag("config")
TRAINED = flags.DEFINE_multi_string(
    "trained", [], "File of a net that a comparison kept; repeat it for several seeds."
)
flags.declare_key_flag("data_dir")
flags.declare_key_flag("workdir")
DATA_DIR, WORKDIR = cli.DATA_DIR, cli.WORKDIR

_SHARES = Range(
    ranges.NUMBERS,
    "at least 0 and less than 1 each",
    lambda xs: all(0 <= x < 1 for x in xs),
)

#: Ranges of the numbers of stages, by their keys in the config.
RANGES = {
    "first_seed": stages.FIRST_SEED,
    "prune.sparsity": ranges.SHARE,
    "prune.weight": ranges.CLOSED_SHARE,
    "prune.temperature": ranges.FINITE_POSITIVE,
    "share.bits": Range(
        ranges.WHOLE,
        f"from 1 to {codebook.MOST_BITS}",
        lambda x: 1 <= x <= codebook.MOST_BITS,
    ),
    "share.start": Range(
        ranges.TEXT.kind, " or ".join(codebook.STARTS), codebook.STARTS.__contains__
    ),
    "scan.sparsities": _SHARES,
    "thresholds.strengths": ranges.FACTORS,
    "thresholds.sparsities": _SHARES,
    "thresholds.sharpness": ranges.FINITE_POSITIVE,
    "thresholds.rate": ranges.FINITE_POSITIVE,
    "key_layers.error": ranges.NOT_NEGATIVE,
    "low_rank.energy": Range(
        ranges.NUMBER, "more than 0 and at most 1", lambda x: 0 < x <= 1
    ),
    "distill.temperature": ranges.FINITE_POSITIVE,
    "distill.weight": ranges.CLOSED_SHARE,
}

#: What a published figure holds.
PUBLISHED = {
    "name": ranges.TEXT,
    "bytes": ranges.FINITE_POSITIVE,
    "error": ranges.FINITE,
    "source": ranges.TEXT,
}


def main(given: overrides.Given) -> None:
    """Flags and config in, files, table and page out."""
    settings, defaults = overrides.settings(CONFIG.value, given), CONFIG.value.to_dict()
    if "prune" not in settings or "share" not in settings:
        raise InputError("this config is no compression's: see configs/compress.py")
    # Whatever the file has: no thresholds may be wanted, and 0 is a seed.
    defaults["thresholds"]["strengths"], defaults["first_seed"] = (), 0
    sizes.check(settings, defaults)
    parents = None
    if TRAINED.value:
        parents, settings = kept_parents(settings, given)
        problem = parents.problem
    else:
        dataset = recipe.load_dataset(settings, DATA_DIR.value)
        problem = recipe.make_problem(settings, dataset)
        if given.about("data.name", "model") and not given.about("title"):
            settings["title"] = f"A net of {dataset.name}, compressed"
    check(settings)
    student = student_of(settings, problem)
    rehearse(settings, problem, student)
    settings["trained"] = list(TRAINED.value)
    folder, console = claim(WORKDIR.value, "compress", settings), Console()
    if parents is None:
        console.print("train the dense parents", style="dim")
        parents = stages.train_dense(settings, problem, stages.seeds_of(settings))
    measure = tables.Measure(problem.metrics[0])
    contenders, made = compress(parents, student, settings, folder, console)
    size = 4 * sum(leaf[0].size for leaf in jax.tree.leaves(parents.params))
    report.show_table(tables.contender_table(contenders, size, measure), console)
    studies = study(parents, settings, measure, console)
    content = {
        "dense_bytes": size,
        "contenders": [
            each._replace(first=each.first.name, values=measure.of(each.values))
            for each in contenders
        ],
        "studies": studies,
    }
    write_results(
        folder,
        settings["title"],
        settings,
        content,
        page.sections(contenders, made, studies, settings, measure),
        note=settings["note"],
        lead=[tables.conclusion(contenders, size, measure)],
    )


def check(settings: Mapping[str, Any]) -> None:
    """Refuses numbers of the stages that are out of range, before any training.

    Raises:
      InputError: see the message.
    """
    ranges.check("config", RANGES, recipe.flatten(settings))
    prune = settings["prune"]
    if prune["pruning_epochs"] >= prune["epochs"]:
        raise InputError(
            "--config.prune.pruning_epochs must be less than prune.epochs: the last "
            "pruning is followed by an epoch of retraining or more"
        )
    if prune["weight"] and settings["problem"] != "classification":
        raise InputError("--config.prune.weight must be 0 where there are no classes")
    for each in settings["published"]:
        if not isinstance(each, Mapping) or {*each} != {*PUBLISHED}:
            raise InputError(
                f"each of --config.published has {', '.join(PUBLISHED)}, and not "
                f"{ranges.shown(each)}"
            )
        ranges.check("published", PUBLISHED, each)


def kept_parents(
    settings: Mapping[str, Any], given: overrides.Given
) -> tuple[Nets, dict[str, Any]]:
    """Reads the dense parents, and puts their recipe into the config.

    Raises:
      InputError: a file holds no net, the nets are of several recipes, or one of them
        is there twice.
    """
    abouts = [kept.read_about(path) for path in TRAINED.value]
    recipes = [recipe.fill(about.settings, about.point) for about in abouts]
    own = {key: recipes[0][key] for key in ("data", *recipe.PROBLEM)}
    if any({key: each[key] for key in own} != own for each in recipes):
        raise InputError("--trained names nets of several recipes: give one at a time")
    nets = [kept.load_trained(path, DATA_DIR.value) for path in TRAINED.value]
    for a, b in itertools.combinations(range(len(nets)), 2):
        same = jax.tree.map(np.array_equal, nets[a].params, nets[b].params)
        if abouts[a].seed == abouts[b].seed and all(jax.tree.leaves(same)):
            raise InputError(
                f"--trained={TRAINED.value[a]} and --trained={TRAINED.value[b]} hold "
                f"the same net, of seed {abouts[a].seed}: name each net once"
            )
    params, model_state = (
        jax.tree.map(lambda *each: jnp.stack(each), *trees)
        for trees in zip(*((net.params, net.model_state) for net in nets), strict=True)
    )
    settings = {**settings, **own, "seeds": len(nets)}
    if not given.about("title"):
        settings["title"] = f"{abouts[0].label}, compressed"
    return Nets(nets[0].problem, params, model_state), settings


def student_of(settings: Mapping[str, Any], problem: Problem) -> Problem | None:
    """Makes the problem of the small net that is taught; None without classes."""
    if settings["problem"] != "classification":
        return None
    with stages.section("distill.model"):
        model = {"model": settings["distill"]["model"]}
        return recipe.make_problem({**settings, **model}, problem.dataset)


def rehearse(
    settings: Mapping[str, Any], problem: Problem, student: Problem | None
) -> None:
    """Traces all that trains, on shapes alone: what a part refuses is told at once.

    Raises:
      InputError: a net cannot be compressed, or a part of a stage's recipe is wrong;
        the message names the stage's section.
    """

    def everything(seeds):
        if TRAINED.value:
            dense = Nets(
                problem, *jax.vmap(problem.init)(jax.vmap(jax.random.key)(seeds))
            )
        else:
            dense = stages.train_dense(settings, problem, seeds)
        jax.vmap(partial(activations.inputs_of_layers, problem))(*dense[1:])
        with stages.section("prune"):
            pruned = stages.prune(dense, settings["prune"], seeds)
        with stages.section("share"):
            stages.share(pruned, settings["share"], seeds)
        if student is not None:
            with stages.section("distill"):
                stages.distill(dense, student, settings["distill"], seeds)

    jax.eval_shape(everything, stages.seeds_of(settings))


def compress(
    dense: Nets,
    student: Problem | None,
    settings: Mapping[str, Any],
    folder: pathlib.Path,
    console: Console,
) -> tuple[list[Written], tuple[Nets, Nets, Nets]]:
    """Makes all contenders and writes their files.

    Returns:
      The contenders, the dense parent first; dense, pruned and shared nets.
    """
    seeds = stages.seeds_of(settings)
    prune, bits = settings["prune"], settings["share"]["bits"]
    found: list[Written] = []

    def add(name: str, about: str, nets: Any, form: files.Format, problem=None):
        each = nets if isinstance(nets, list) else nets.each()
        problem = problem or dense.problem
        found.append(write_nets(folder / "files", name, about, each, form, problem))

    add("dense", "float32, as Flax writes it", dense, files.FLOATS)
    add("dense, gzip", "the dense file in gzip", dense, files.GZIP)
    add("dense, xz", "the dense file in xz", dense, files.XZ)
    console.print("prune and retrain", style="dim")
    pruned = stages.prune(dense, prune, seeds)
    _warn_of_empty_layers(pruned, console)
    left = f"{100 * (1 - prune['sparsity']):.3g}% of the weights left"
    add("pruned, gzip", f"{left}; all weights as float32 in gzip", pruned, files.GZIP)
    add("pruned, xz", f"{left}; all weights as float32 in xz", pruned, files.XZ)
    add("P", f"{left}; their float32 values and positions", pruned, files.FIXED)
    console.print("share and train centroids", style="dim")
    shared = stages.share(pruned, settings["share"], seeds)
    about = f"as P, and {2**bits - 1} shared values a layer; biases of 16 bits"
    add("P+Q", about, shared, files.FIXED)
    add("P+Q+H", "as P+Q, in Huffman codes", shared, files.HUFFMAN)
    whole = "dense weights, a scale for each output"
    eight = stages.quantize(dense, 8)
    add("int8", f"{whole}, 8 bits", eight, files.HUFFMAN)
    inputs = activations.calibrate(eight, "least_squares", 8)
    about = "as int8, and 8 bits of each layer's inputs"
    rounded = quantized(dense.problem)
    add("int8, inputs too", about, inputs, files.HUFFMAN, rounded)
    four = stages.quantize(dense, 4, mmse=True)
    add("int4, MMSE", f"{whole} of least squared error, 4 bits", four, files.HUFFMAN)
    most = settings["key_layers"]["error"]
    two = stages.quantize_key_layers(dense, 4, most)
    kernels = jax.tree.leaves(
        two[0]["params"], is_leaf=lambda node: isinstance(node, Quantized | TwoTensors)
    )
    doubled = sum(isinstance(kernel, TwoTensors) for kernel in kernels)
    about = (
        f"as int4; two tensors where the squared error is above {100 * most:g}% of the "
        f"squares: in {doubled} layer{'s' * (doubled != 1)} of the first seed"
    )
    add("int4, two tensors", about, two, files.HUFFMAN)
    energy = settings["low_rank"]["energy"]
    thin = stages.factorize(dense, energy)
    about = f"dense weights, {100 * energy:g}% of their squared singular values"
    add("low rank", about, thin, files.HUFFMAN)
    if student is not None:
        console.print("teach a small net", style="dim")
        small = stages.distill(dense, student, settings["distill"], seeds)
        sized = sum(leaf[0].size for leaf in jax.tree.leaves(small.params))
        about = f"a net of {sized:,} parameters taught by the dense one, float32"
        add("distilled", about, small, files.FLOATS, student)
    return found, (dense, pruned, shared)


def study(
    dense: Nets, settings: Mapping[str, Any], measure: tables.Measure, console: Console
) -> page.Studies:
    """Measures what the page shows beside the files, in errors."""
    curves = {}
    if settings["thresholds"]["strengths"]:
        console.print("learn thresholds", style="dim")
        seeds = stages.seeds_of(settings)
        curves = {
            page.MAGNITUDE: thresholds.by_magnitude(dense, settings, seeds),
            page.LEARNED: thresholds.by_thresholds(dense, settings, seeds),
        }
    console.print("prune a layer at a time; round layers' inputs", style="dim")
    scanned = stages.scan(dense, settings["scan"]["sparsities"])
    eight = stages.quantize(dense, 8)
    rounded = {bits: activations.compare(eight, bits) for bits in (8, 4, 2)}
    return page.Studies(
        {
            name: curve._replace(values=measure.of(curve.values))
            for name, curve in curves.items()
        },
        measure.of(scanned),
        {
            bits: {name: measure.of(values) for name, values in each.items()}
            for bits, each in rounded.items()
        },
    )


def _warn_of_empty_layers(pruned: Nets, console: Console) -> None:
    for path, leaf in jax.tree.leaves_with_path(pruned.params):
        if (
            leaf.ndim > 2
            and not np.asarray(leaf != 0).any(axis=tuple(range(1, leaf.ndim))).all()
        ):
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            console.print(
                f"warning: {name} is pruned away entirely; lower prune.sparsity",
                style="yellow",
            )


if __name__ == "__main__":
    cli.run(main, "stopped; the same command begins anew")
