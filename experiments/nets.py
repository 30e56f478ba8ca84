"""Sizes published nets and their matrices of curvature, beside this machine's memory.

  python -m experiments.nets
  python -m experiments.nets --config.optimizers=adam,lamb,newton
  python -m experiments.nets --config.nets="('resnet50','mobilenet')"

Tables are printed; index.html, a figure and results.json go into the working directory:
parameters, multiply-adds and depth of each net, its Hessian, memory of a step of each
method.
Everything is traced, nothing allocated. Every line of the config is a flag:
--config.KEY=VALUE; an optimizer also takes --config.optimizers.NAME.ARGUMENT=VALUE.
"""

from absl import flags
from rich.console import Console

from experiments import cli, net_sizes, overrides, sizes, workdir
from optlab import machine, names, optim, report
from optlab.errors import InputError
from optlab.models.architectures import ARCHITECTURES
from optlab.report import Picture, Section
from optlab.report.figures.memory import memory_by_net
from optlab.report.wording import byte_size

CONFIG = cli.define_config("configs/nets.py")
flags.declare_key_flag("config")
flags.declare_key_flag("workdir")


def main(given: overrides.Given) -> None:
    """Config in, tables and a page out."""
    settings = overrides.settings(CONFIG.value, given)
    if "nets" not in settings or "width" not in settings:
        raise InputError("this config is none of published nets: see configs/nets.py")
    checked = {key: value for key, value in settings.items() if key != "optimizers"}
    sizes.check(checked, CONFIG.value.to_dict())
    for name in settings["nets"]:
        names.find("architecture", name, ARCHITECTURES)
    methods = {
        name: optim.make(name, **options)
        for name, options in settings["optimizers"].items()
    }
    folder = workdir.claim(cli.WORKDIR.value, "nets", settings)
    console, found = Console(), []
    with Console(stderr=True).status("tracing") as spinner:
        for name in settings["nets"]:
            spinner.update(name)
            found.append(net_sizes.measure(name, settings, methods))
    found.sort(key=lambda net: net.trained)
    cheapest = sorted(methods, key=found[-1].steps.__getitem__)
    found = [
        net._replace(steps={method: net.steps[method] for method in cheapest})
        for net in found
    ]
    there_is = machine.host_memory_bytes()
    tables = (
        net_sizes.architectures(found),
        net_sizes.matrices(found, there_is),
        net_sizes.steps(found, there_is),
    )
    for table in tables:
        report.show_table(table, console)
        console.print()
    block = "Gauss-Newton block of\nthe largest layer alone"
    needs = {
        net.name: {**net.steps, block: net_sizes.FLOAT * net.largest**2}
        for net in found
    }
    figure = memory_by_net(needs, there_is, f"this machine: {byte_size(there_is)}")
    caption = "The dashed line is the memory of this machine; each tick is 1000-fold."
    alt = "Bytes of a step of each method, by net; the last table holds the numbers."
    picture = Picture("memory", figure, caption, alt)
    workdir.write_results(
        folder,
        settings["title"],
        settings,
        {"nets": [net._asdict() for net in found]},
        (
            Section("What a step takes", (picture, tables[2])),
            Section("Curvature as a dense matrix", (tables[1],)),
            Section("Nets", (tables[0],)),
        ),
        lead=(net_sizes.conclusion(found, there_is),),
    )


if __name__ == "__main__":
    cli.run(main)
