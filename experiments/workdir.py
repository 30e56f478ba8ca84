"""A working directory holds one experiment: its config, its state, its results."""

import contextlib
import datetime
import hashlib
import json
import os
import pathlib
import platform
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import IO, Any

try:
    import fcntl
except ModuleNotFoundError:  # Windows: two runs in one folder are not noticed
    fcntl = None

from optlab.compare.recipe import flatten
from optlab.errors import InputError
from optlab.report import Facts, Listing, Section, write_page
from optlab.results import environment, plain, read_json, write_atomic

#: Files of a working directory: the lock, and a copy of ``config.json``.
LOCK, COPY = ".lock", ".config.json"

#: Files that a folder may hold before anything was trained.
UNUSED = {
    LOCK, COPY, "config.json", "state/made_with.json", "state/widths.json",
}  # fmt: skip


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
      InputError: the folder has no name, holds another experiment's results or other
        files, or cannot be written, or another process runs in it.
    """
    if workdir == "":
        raise InputError("--workdir= is empty: name a folder, or leave it out")
    text = json.dumps(json.loads(json.dumps(config)), indent=1)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    folder = pathlib.Path(workdir or f"runs/{name}-{digest}")
    mark = folder / "config.json"
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--workdir={folder} is a file; name a folder")
    copies = [path for path in (mark, folder / COPY) if path.exists()]
    if copies:
        found = (read_json(path, lambda x: isinstance(x, dict)) for path in copies)
        known = next((each for each in found if each is not None), None)
        if known is None:
            raise InputError(
                f"{mark} is damaged, and so is its copy {COPY}: put back a copy of it, "
                "or choose another folder; nothing in this one was changed"
            )
        old, new = flatten(known), flatten(json.loads(text))
        keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        if keys:
            raise InputError(
                f"--workdir={folder} holds another experiment's results (it differs in "
                f"{', '.join(keys[:4])}{', ...' if len(keys) > 4 else ''}): choose "
                "another folder, or delete it"
            )
    elif folder.exists() and {each.name for each in folder.iterdir()} - {LOCK}:
        raise InputError(
            f"--workdir={folder} holds files that are no experiment's: choose another "
            "folder, or empty it"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _lock(folder)
    except OSError as error:
        text = f"--workdir={folder} cannot be written: {error.strerror}"
        raise InputError(text) from error
    for path in (mark, folder / COPY):
        write_atomic(path, text)
    return folder


@contextlib.contextmanager
def unused_removed() -> Iterator[None]:
    """Removes folders claimed in the ``with`` block if it fails before any is used.

    A mistake that is found while a program is compiled then leaves no folder behind,
    and the corrected command may take the same one.
    """
    before = set(_claimed)
    try:
        yield
    except BaseException:
        remove_unused(set(_claimed) - before)
        raise


def remove_unused(folders: Collection[pathlib.Path] | None = None) -> None:
    """Removes claimed folders in which nothing was trained.

    Args:
      folders: claimed folders; by default all of this process.
    """
    for folder in set(_claimed if folders is None else folders):
        files = [path for path in folder.rglob("*") if not path.is_dir()]
        if {path.relative_to(folder).as_posix() for path in files} <= UNUSED:
            shutil.rmtree(folder, ignore_errors=True)
            if file := _claimed.pop(folder):
                file.close()


#: Folders of this process; the files, if any, whose locks it holds.
_claimed: dict[pathlib.Path, IO[str] | None] = {}


def _lock(folder: pathlib.Path) -> None:
    """Locks a folder until this process ends; a killed one holds it no longer.

    Raises:
      InputError: another process holds the lock.
    """
    key = folder.resolve()
    if _claimed.setdefault(key, None) or fcntl is None:
        return
    # Guard: not "w", which would empty the file before the lock is held.
    file = open(folder / LOCK, "a+", encoding="utf-8")  # noqa: SIM115  held
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = " ".join(file.read(1000).split()) or "another process"
        file.close()
        _claimed.pop(key)
        raise InputError(
            f"--workdir={folder} is in use by {holder}: wait for its end, stop it, or "
            "choose another folder"
        ) from None
    except OSError:  # a file system without locks
        file.close()
        return
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    file.truncate(0)
    file.write(f"process {os.getpid()} on {platform.node()} since {now}\n")
    file.flush()
    _claimed[key] = file


def holder(folder: pathlib.Path) -> str:
    """Names the process that runs in a folder; empty where none does.

    Args:
      folder: working directory, which need not exist.

    Returns:
      Number, machine and start of the process, in words.
    """
    if fcntl is None:
        return ""
    try:
        with open(folder / LOCK, "r+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return " ".join(file.read(1000).split()) or "another process"
    except OSError:  # no such file, or a file system without locks
        pass
    return ""


def write_results(
    folder: pathlib.Path,
    title: str,
    config: Mapping[str, Any],
    content: Mapping[str, Any],
    sections: Sequence[Section],
    *,
    note: str = "",
    lead: Sequence[str] = (),
    made_with: Mapping[str, str] | None = None,
) -> pathlib.Path:
    """Writes ``results.json`` and a page, and prints the page's path.

    Args:
      folder: working directory.
      title: title of the page.
      config: config as nested plain data.
      content: results, beside title, note, lead, config and environment in
        ``results.json``.
      sections: sections of the page, which ends with one on how to repeat the run.
      note: text in a frame above all else; may be empty.
      lead: paragraphs before the first section.
      made_with: versions of further packages, and other facts on the run.

    Returns:
      The path of the page.
    """
    facts = environment(sys.orig_argv) | dict(made_with or {})
    said = {"title": title, "note": note, "lead": tuple(lead)}
    everything = {**said, "environment": facts, "config": config, **content}
    text = json.dumps(plain(everything), indent=1, allow_nan=False)
    write_atomic(folder / "results.json", text)
    repeat = Facts(facts), Listing("Config", json.dumps(config, indent=2))
    sections = (*sections, Section("How to repeat it", repeat))
    page = write_page(folder, title, sections, note, lead)
    print(f"page: {page}")
    return page
