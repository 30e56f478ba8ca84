r"""Runs the experiments of a course one after another, and writes one page of them all.

  python -m experiments.gallery
  python -m experiments.gallery --only=learning_rate,activations
  python -m experiments.gallery --norun --workdir=runs/gallery
  python -m experiments.gallery --config=mycourse.py --workdir=runs/mycourse

Each card of the config is an experiment's own command line; it runs as a process of its
own in a folder of the gallery's folder, runs/gallery unless --workdir names another.
The page, index.html, has a card each: title, claims with their verdicts, a figure,
time, command, and a link to the experiment's own page; with --only it shows those, and
what has run before. It is written anew after each card. The folder is static: put it on
any web server, or open the page from disk.

All of it takes about 20 minutes on two CPU cores. The same command again goes on where
a stopped gallery was, inside an experiment too, and runs no finished card twice. A card
whose experiment fails shows the last line that it printed (all of it is in logs/), the
others go on, and the exit code is 1.
"""

from absl import flags
from rich.console import Console

from experiments import cards, cli, overrides, workdir
from optlab import ranges
from optlab.errors import InputError

CONFIG = cli.define_config("configs/gallery.py")
flags.declare_key_flag("config")
flags.declare_key_flag("workdir")
ONLY = flags.DEFINE_list(
    "only", None, "Cards to run, such as nets,paths; by default all."
)
RUN = flags.DEFINE_bool("run", True, "Run; --norun writes the page of what has run.")

#: Where results go by default.
FOLDER = "runs/gallery"


def main(given: overrides.Given) -> None:
    """Cards in, a page out."""
    settings = overrides.settings(CONFIG.value, given)
    if "cards" not in settings:
        raise InputError("this config has no cards: see configs/gallery.py")
    ranges.check("config", {"title": ranges.TEXT}, settings)
    title, course = settings["title"], cards.read_cards(settings["cards"])
    asked = cards.choose(course, ONLY.value)
    chosen = asked if RUN.value else []
    named = cli.WORKDIR.value
    folder = workdir.claim(
        FOLDER if named is None else named, "gallery", {"title": title}
    )
    cards.check_versions(folder, course)
    failed = []
    for name in cards.run_cards(course, folder, chosen, Console(stderr=True)):
        failed += [] if cards.read_records(folder)[name].finished else [name]
        cards.write_index(title, course, folder, asked)
    page = cards.write_index(title, course, folder, asked)
    Console().print(f"page: {page}", soft_wrap=True, markup=False, highlight=False)
    if failed:
        raise InputError(
            f"{len(failed)} of {len(chosen)} experiments failed: {', '.join(failed)}; "
            f"the page has their last lines, {folder / 'logs'} the whole output"
        )


if __name__ == "__main__":
    cli.run(main, "stopped; the same command goes on where it was")
