"""A working directory holds one experiment: its config, its state, its results."""

import hashlib
import json
import pathlib
from typing import Any

from experiments.cli import flatten
from optlab.errors import InputError
from optlab.results import write_atomic


def claim(workdir: str | None, name: str, config: Any) -> pathlib.Path:
    """Makes a working directory this experiment's own.

    Args:
      workdir: the folder; None for ``runs/NAME-HASH``, where the hash is the
        config's, so that every config has a folder of its own.
      name: of the experiment.
      config: plain nested data; it is written to ``config.json``.

    Returns:
      The folder. Where it held the same config, its results are still there.

    Raises:
      InputError: the folder holds another experiment's results, or other files, or
        cannot be written.
    """
    text = json.dumps(json.loads(json.dumps(config)), indent=1)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    folder = (
        pathlib.Path(workdir) if workdir else pathlib.Path("runs", f"{name}-{digest}")
    )
    mark = folder / "config.json"
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--workdir={folder} is a file; name a folder")
    if mark.exists():
        there, here = flatten(json.loads(mark.read_text())), flatten(json.loads(text))
        names = [n for n in {**there, **here} if there.get(n) != here.get(n)]
        if names:
            raise InputError(
                f"--workdir={folder} holds another experiment's results (it differs in "
                f"{', '.join(names[:4])}{', ...' if len(names) > 4 else ''}): choose "
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
        raise InputError(
            f"--workdir={folder} cannot be written: {error.strerror}"
        ) from error
    return folder
