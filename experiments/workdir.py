"""A working directory holds one experiment: its config, its state, its results."""

import hashlib
import json
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from optlab.compare.recipe import flatten
from optlab.errors import InputError
from optlab.report import Facts, Listing, Section, write_page
from optlab.results import environment, plain, write_atomic


def claim(workdir: str | None, name: str, config: Any) -> pathlib.Path:
    """Reserves a working directory for an experiment.

    Args:
      workdir: path of the folder; None for ``runs/NAME-HASH`` with the config's hash,
        so that every config has its own folder.
      name: name of the experiment.
      config: config as nested plain data, which is written to ``config.json``.

    Returns:
      The folder. If it held the same config, its results are still there.

    Raises:
      InputError: the folder holds another experiment's results, or other files, or
        cannot be written.
    """
    text = json.dumps(json.loads(json.dumps(config)), indent=1)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    folder = pathlib.Path(workdir or f"runs/{name}-{digest}")
    mark = folder / "config.json"
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--workdir={folder} is a file; name a folder")
    if mark.exists():
        old, new = flatten(json.loads(mark.read_text())), flatten(json.loads(text))
        keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        if keys:
            raise InputError(
                f"--workdir={folder} holds another experiment's results (it differs in "
                f"{', '.join(keys[:4])}{', ...' if len(keys) > 4 else ''}): choose "
                "another folder, or delete it"
            )
    elif folder.exists() and any(folder.iterdir()):
        raise InputError(
            f"--workdir={folder} holds files that are no experiment's: choose another "
            "folder, or empty it"
        )
    try:
        write_atomic(mark, text)
    except OSError as error:
        text = f"--workdir={folder} cannot be written: {error.strerror}"
        raise InputError(text) from error
    return folder


def write_results(
    folder: pathlib.Path,
    title: str,
    config: Mapping[str, Any],
    content: Mapping[str, Any],
    sections: Sequence[Section],
    *,
    lead: Sequence[str] = (),
    made_with: Mapping[str, str] | None = None,
) -> pathlib.Path:
    """Writes ``results.json`` and a page, and prints the page's path.

    Args:
      folder: working directory.
      title: title of the page.
      config: config as nested plain data.
      content: results, beside config and environment in ``results.json``.
      sections: sections of the page, which ends with one on how to repeat the run.
      lead: paragraphs before the first section.
      made_with: versions of further packages, and other facts on the run.

    Returns:
      The path of the page.
    """
    facts = environment(sys.orig_argv) | dict(made_with or {})
    everything = {"environment": facts, "config": config, **content}
    text = json.dumps(plain(everything), indent=1, allow_nan=False)
    write_atomic(folder / "results.json", text)
    repeat = Facts(facts), Listing("Config", json.dumps(config, indent=2))
    sections = (*sections, Section("How to repeat it", repeat))
    page = write_page(folder, title, sections, lead=lead)
    print(f"page: {page}")
    return page
