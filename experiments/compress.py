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
Every line of the config is a flag: --config.KEY=VALUE.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from rich.console import Console

from experiments import cli, sizes
from experiments.compression import activations, files, page, stages
from experiments.compression.files import Written, write_nets
from experiments.compression.stages import Nets
from experiments.workdir import claim, write_results
from optlab import report
from optlab.compare import kept, recipe
from optlab.compress import codebook, low_rank, quantized
from optlab.compress.masks import check_sparsity
from optlab.errors import InputError, near

CONFIG = cli.define_config("configs/compress.py")
flags.declare_key_flag("config")
TRAINED = flags.DEFINE_multi_string(
    "trained", [], "File of a net that a comparison kept; repeat it for several seeds."
)
DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of prepared tensorflow-datasets, or of tables."
)
WORKDIR = flags.DEFINE_string(
    "workdir", None, "Where results go; by default a folder of runs/ for each config."
)


def main(given: cli.Given) -> None:
    """Flags and config in, files, table and page out."""
    settings, defaults = cli.settings(CONFIG.value, given), CONFIG.value.to_dict()
    if "prune" not in settings or "share" not in settings:
        raise InputError("this config is no compression's: see configs/compress.py")
    sizes.check(settings, defaults)
    check(settings)
    nets, settings = parents(settings)
    console = Console()
    settings["trained"] = list(TRAINED.value)
    folder = claim(WORKDIR.value, "compress", settings)
    measure = page.Measure(nets.problem.metrics[0])
    contenders, made = compress(nets, settings, folder, console)
    size = 4 * sum(leaf[0].size for leaf in jax.tree.leaves(nets.params))
    report.show_table(page.contender_table(contenders, size, measure), console)
    content = {
        "dense_bytes": size,
        "contenders": [
            each._replace(first=each.first.name, values=measure.of(each.values))
            for each in contenders
        ],
    }
    write_results(
        folder,
        settings["title"],
        settings,
        content,
        page.sections(contenders, made, settings, measure),
        lead=[settings["note"]] if settings["note"] else [],
    )


def check(settings: Mapping[str, Any]) -> None:
    """Refuses numbers of the stages that are out of range, before any training.

    Args:
      settings: config.

    Raises:
      InputError: see the message.
    """
    prune, start = settings["prune"], settings["share"]["start"]
    check_sparsity(prune["sparsity"])
    codebook.check_bits(settings["share"]["bits"])
    if start not in codebook.STARTS:
        raise InputError(f"--config.share.start: {near(start, codebook.STARTS)}")
    if prune["pruning_epochs"] > prune["epochs"]:
        raise InputError("--config.prune.pruning_epochs must be at most prune.epochs")
    low_rank.rank_for([1.0], settings["low_rank"]["energy"])  # refuses a wrong energy
    own = settings["thresholds"]
    check_sparsity(own["sparsities"])
    check_sparsity(settings["scan"]["sparsities"])
    if own["strengths"]:
        if not own["sharpness"] > 0:
            raise InputError("--config.thresholds.sharpness must be more than 0")
        if not own["sparsities"]:
            raise InputError("--config.thresholds.sparsities: give at least one")
        if min(own["strengths"]) < 0:
            raise InputError("--config.thresholds.strengths must be at least 0 each")
        if round(prune["pruning_epochs"]) >= prune["epochs"]:
            raise InputError(
                "--config.prune.pruning_epochs must leave an epoch to retrain after "
                "thresholds are learned; or give --config.thresholds.strengths=()"
            )
    if prune["weight"] and settings["problem"] != "classification":
        raise InputError("--config.prune.weight must be 0 where there are no classes")


def parents(settings: dict[str, Any]) -> tuple[Nets, dict[str, Any]]:
    """Makes or reads the dense parents.

    Args:
      settings: config.

    Returns:
      The nets, and the config with the recipe of nets that were read.

    Raises:
      InputError: the nets are of several recipes, or a part of the recipe is wrong.
    """
    if not TRAINED.value:
        dataset = recipe.load_dataset(settings, DATA_DIR.value)
        problem = recipe.make_problem(settings, dataset)
        return stages.train_dense(
            settings, problem, stages.seeds_of(settings)
        ), settings
    abouts = [kept.read_about(path) for path in TRAINED.value]
    recipes = [recipe.fill(about.settings, about.point) for about in abouts]
    own = {key: recipes[0][key] for key in ("data", *recipe.PROBLEM)}
    if any({key: each[key] for key in own} != own for each in recipes):
        raise InputError("--trained names nets of several recipes: give one at a time")
    nets = [kept.load_trained(path, DATA_DIR.value) for path in TRAINED.value]
    params, model_state = (
        jax.tree.map(lambda *each: jnp.stack(each), *trees)
        for trees in zip(*((net.params, net.model_state) for net in nets), strict=True)
    )
    settings = settings | own | {"seeds": len(nets)}
    settings["title"] = f"{abouts[0].label}, compressed"
    return Nets(nets[0].problem, params, model_state), settings


def compress(
    dense: Nets, settings: Mapping[str, Any], folder: Any, console: Console
) -> tuple[list[Written], tuple[Nets, Nets, Nets]]:
    """Makes all contenders and writes their files.

    Args:
      dense: the parents.
      settings: config.
      folder: working directory.
      console: console that receives a line when a stage begins.

    Returns:
      The contenders, the dense parent first; dense, pruned and shared nets.
    """
    seeds = stages.seeds_of(settings)
    prune, bits = settings["prune"], settings["share"]["bits"]
    found: list[Written] = []

    def add(name: str, about: str, nets: Any, form: files.Format, problem=None):
        each = (
            nets if isinstance(nets, list) else [nets.of(i) for i in range(len(seeds))]
        )
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
    about = f"as int4; two tensors in layers of a squared error above {100 * most:g}%"
    add("int4, two tensors", about, two, files.HUFFMAN)
    energy = settings["low_rank"]["energy"]
    thin = stages.factorize(dense, energy)
    about = f"dense weights, {100 * energy:g}% of their squared singular values"
    add("low rank", about, thin, files.HUFFMAN)
    if settings["problem"] == "classification":
        console.print("teach a small net", style="dim")
        model = recipe.override(settings, {"model": settings["distill"]["model"]})
        student = recipe.make_problem(model, dense.problem.dataset)
        small = stages.distill(dense, student, settings["distill"], seeds)
        sized = sum(leaf[0].size for leaf in jax.tree.leaves(small.params))
        about = f"a net of {sized:,} parameters taught by the dense one, float32"
        add("distilled", about, small, files.FLOATS, student)
    return found, (dense, pruned, shared)


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
    cli.run(main)
