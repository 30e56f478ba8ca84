"""Cards of the gallery: experiments run as processes, and what the page says of them.

A card is plain data: name, group, command line, the figure it shows, and the
environment variable, if any, that names the folder of its data.
"""

import functools
import itertools
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

import optlab
from experiments import workdir
from optlab import ranges
from optlab.errors import InputError, check_choice
from optlab.report import Card, Claimed, duration, write_gallery
from optlab.report.wording import in_words, p_value
from optlab.results import Interval, read_json, write_atomic
from optlab.results.provenance import commit
from optlab.testproblems import nist

#: What the gallery remembers of its cards.
RECORDS = "cards.json"

#: Seconds between two notes of a running card's time.
NOTED = 5.0

#: Keys of a card of the config.
KEYS = {"name", "group", "command", "picture", "needs"}

#: Folders of the gallery itself, whose names no card may have.
OWN = {"logs"}

DIRTY = " (with uncommitted changes)"


class Ran(NamedTuple):
    """Record of a card's runs, kept between runs of the gallery."""

    command: str
    seconds: float = 0.0  # of all attempts together
    finished: bool = False
    last: str = ""  # the last line that a failed attempt printed


def read_cards(cards: Sequence[Mapping[str, str]]) -> dict[str, Mapping[str, str]]:
    """Checks the cards of a config.

    Args:
      cards: cards as in ``configs/gallery.py``.

    Returns:
      Name to card, in the course's order.

    Raises:
      InputError: these are no cards, a key is missing, a name stands twice or is no
        name of a folder, or a command is no experiment's.
    """
    if not isinstance(cards, tuple | list):
        raise InputError(f"--config.cards must be a tuple of cards, not {cards!r}")
    found: dict[str, Mapping[str, str]] = {}
    for card in cards:
        if not isinstance(card, Mapping) or {*card} != KEYS:
            raise InputError(f"a card has the keys {', '.join(sorted(KEYS))}: {card}")
        ranges.check("a card", dict.fromkeys(KEYS, ranges.TEXT), card)
        name = card["name"]
        try:
            words = shlex.split(card["command"])
        except ValueError as error:  # an open quotation
            raise InputError(f"card {name!r}: {error} in {card['command']}") from None
        if name in found or name in OWN or not re.fullmatch(r"\w[\w-]*", name):
            raise InputError(
                f"card {name!r}: a unique name of letters, digits, - and _"
            )
        if words[:2] != ["python", "-m"] or len(words) < 3:
            raise InputError(f"card {name!r}: a command begins with python -m MODULE")
        if any(re.match("--?workdir", word) for word in words):
            raise InputError(f"card {name!r}: leave out --workdir; the gallery sets it")
        found[name] = card
    return found


def choose(
    cards: Mapping[str, Mapping[str, Any]], only: Sequence[str] | None
) -> list[str]:
    """Lists the cards to run.

    Args:
      cards: name to card.
      only: names to choose; None for all.

    Returns:
      The names, in the course's order.

    Raises:
      InputError: a name is unknown, or there is none.

    >>> choose(dict.fromkeys(("a", "b", "c"), {}), ["c", "a"])
    ['a', 'c']
    """
    if only == []:
        raise InputError("--only names no card: leave it out to run all of them")
    for name in only or ():
        check_choice("card", name, cards, "--only")
    return [name for name in cards if only is None or name in only]


def check_versions(folder: pathlib.Path, names: Iterable[str]) -> None:
    """Refuses results of another version, which the page would mix with new ones.

    Args:
      folder: folder of the gallery.
      names: names of its cards.

    Raises:
      InputError: an experiment in it was made by another version or commit.
    """
    this = f"optlab {optlab.__version__}, {_revision(commit())}"
    for name in names:
        if (found := _read_results(folder / name)) is None:
            continue
        made = found["environment"]
        parts = (str(made.get(key)).split("; then ") for key in ("optlab", "commit"))
        for version, revision in itertools.product(*parts):
            that = f"optlab {version}, {_revision(revision)}"
            if that != this:
                raise InputError(
                    f"--workdir={folder} holds another version's results: {name} was "
                    f"made by {that}, and this is {this}; choose another folder, or "
                    "delete it"
                )


def _revision(text: str) -> str:
    return text.removesuffix(DIRTY)[:12]


def run_cards(
    cards: Mapping[str, Mapping[str, str]],
    folder: pathlib.Path,
    chosen: Sequence[str],
    console: Console,
) -> Iterator[str]:
    """Runs the cards that have not finished.

    Args:
      cards: name to card.
      folder: folder of the gallery.
      chosen: names of the cards to run, in order.
      console: console that shows the progress.

    Yields:
      The name of each card that ran, when it has ended.
    """
    columns = (
        TextColumn("card {task.fields[number]} of {task.total:.0f}"), BarColumn(),
        TimeElapsedColumn(), TextColumn("{task.description}"),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=len(chosen), number=0)
        show = functools.partial(bar.update, task)
        for number, name in enumerate(chosen, 1):
            show(description=name, number=number, completed=number - 1)
            if is_finished(folder / name, cards[name], read_records(folder).get(name)):
                said = "has run"
            elif _lacks(cards[name]):
                said = f"left out: {_wanted(cards[name])}"
            else:
                ran = run_card(folder, cards[name], lambda text: show(description=text))
                said = f"took {duration(ran.seconds)}"
                if not ran.finished:
                    said = f"FAILED after {duration(ran.seconds)}: {ran.last}"
                yield name
            line = f"{number}/{len(chosen)} {name}: {said}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)


def is_finished(folder: pathlib.Path, card: Mapping[str, str], ran: Ran | None) -> bool:
    """Tells whether this very command has ended well and its page is there."""
    if ran is None or not ran.finished or ran.command != card["command"]:
        return False
    return _read_results(folder) is not None


def run_card(
    folder: pathlib.Path,
    card: Mapping[str, str],
    show: Callable[[str], None],
) -> Ran:
    """Runs an experiment as a process of its own, to its end.

    Args:
      folder: folder of the gallery.
      card: card as in ``configs/gallery.py``.
      show: callback that receives what is going on, in words.

    Returns:
      What is remembered of the card.
    """
    name = card["name"]
    before = read_records(folder).get(name)
    earlier = 0.0
    if before and before.command == card["command"] and not before.finished:
        earlier = before.seconds
    while holder := workdir.holder(folder / name):  # a killed gallery's experiment
        show(f"{name}: waits for {holder}")
        time.sleep(1.0)
    show(name)
    log = folder / "logs" / f"{name}.log"
    log.parent.mkdir(exist_ok=True)
    words = shlex.split(card["command"])[1:]
    command = [sys.executable, *words, f"--workdir={folder / name}"]
    started = noted = time.monotonic()
    with open(log, "wb") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
        try:
            while process.poll() is None:
                time.sleep(0.05)
                if (now := time.monotonic()) - noted > NOTED:
                    noted, spent = now, earlier + now - started
                    _remember(folder, name, Ran(card["command"], spent))
        finally:
            process.terminate()  # no effect on a process that has ended
            process.wait()
    ran = Ran(
        card["command"],
        earlier + time.monotonic() - started,
        finished=process.returncode == 0,
        last="" if process.returncode == 0 else _last_line(log, process.returncode),
    )
    _remember(folder, name, ran)
    return ran


def _last_line(log: pathlib.Path, code: int) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    written = [line.strip() for line in lines if line.strip()]
    last = written[-1][:300] if written else "it printed nothing"
    return last if code >= 0 else f"ended by signal {-code}; {last}"


def read_records(folder: pathlib.Path) -> dict[str, Ran]:
    """Reads what is remembered of the cards; damaged records count as none."""
    path = folder / RECORDS
    if not path.exists():
        return {}
    found = read_json(path, lambda x: isinstance(x, dict)) or {}
    return {
        name: Ran(**entry)
        for name, entry in found.items()
        if isinstance(entry, dict) and {*entry} == {*Ran._fields}
    }


def _remember(folder: pathlib.Path, name: str, ran: Ran) -> None:
    records = read_records(folder) | {name: ran}
    content = {name: each._asdict() for name, each in records.items()}
    write_atomic(folder / RECORDS, json.dumps(content, indent=1))


def _lacks(card: Mapping[str, str]) -> bool:
    if card["needs"] == nist.VARIABLE:  # which may lie beside the checkout
        return not nist.directory().is_dir()
    return bool(card["needs"]) and not os.environ.get(card["needs"])


def _wanted(card: Mapping[str, str]) -> str:
    return f"set ${card['needs']} to the folder of its data"


def write_index(
    title: str,
    cards: Mapping[str, Mapping[str, str]],
    folder: pathlib.Path,
    asked: Collection[str],
) -> pathlib.Path:
    """Writes the page from what the experiments have written.

    Args:
      title: title of the page.
      cards: name to card.
      folder: folder of the gallery.
      asked: names of the cards that are shown though they have not run.

    Returns:
      The path of the page.
    """
    records = read_records(folder)
    groups: dict[str, list[Card]] = {}
    made: list[Mapping[str, str]] = []
    for name, card in cards.items():
        found = _read_results(folder / name)
        if found is None and name not in {*asked, *records}:
            continue
        shown = make_card(folder, card, records.get(name), found)
        groups.setdefault(card["group"], []).append(shown)
        made += [found["environment"]] if found else []
    lead = [f"None of {len(cards)} experiments has run yet."]
    if made:
        seconds = sum(
            ran.seconds
            for name, ran in records.items()
            if ran.finished and name in cards
        )
        lead[0] = (
            f"{len(made)} of {len(cards)} experiments have run, together in "
            f"{duration(seconds)}, on {made[0].get('processor', 'an unknown machine')} "
            f"({made[0].get('cores', '?')} cores), by optlab {made[0].get('optlab')}."
        )
    claims = [claim for group in groups.values() for c in group for claim in c.claims]
    verdicts = Counter(claim.verdict for claim in claims)
    if verdicts:
        counted = ", ".join(f"{n} {verdict}" for verdict, n in verdicts.items())
        lead.append(
            f"Of {verdicts.total()} claims, written in the configs of the experiments: "
            f"{counted}. Not shown: the seeds decide neither way. An interval "
            "holds 95%, of differences paired by seed; a verdict goes by Holm's p, "
            "corrected for the claims of its experiment."
        )
    return write_gallery(folder, title, groups, lead)


def make_card(
    folder: pathlib.Path,
    card: Mapping[str, str],
    ran: Ran | None,
    found: Mapping[str, Any] | None,
) -> Card:
    """Makes a card of the page from an experiment's results.

    Args:
      folder: folder of the gallery.
      card: card as in ``configs/gallery.py``.
      ran: record of its runs; None before the first.
      found: content of its ``results.json``; None where there is none.

    Returns:
      The card.
    """
    name, remark = card["name"], f"Failed: {ran.last}" if ran and ran.last else ""
    if ran and ran.command != card["command"]:
        remark = f"What is shown was made by another command: {ran.command}"
    shown = Card(
        name=name,
        title=in_words(name).capitalize(),
        command=card["command"],
        time=f"Took {duration(ran.seconds)}." if ran and ran.finished else "",
        remark=remark,
    )
    if found is None:
        needs = f"Left out: {_wanted(card)}."
        waits = needs if _lacks(card) else "Has not run yet."
        return shown._replace(remark=remark or waits)
    picture = f"{name}/figures/{card['picture']}.png"
    claims = tuple(_claimed(claim, found) for claim in found.get("claims", ()))
    return shown._replace(
        title=found["title"],
        page=f"{name}/index.html",
        picture=picture if (folder / picture).exists() else "",
        said=() if claims else tuple(found.get("lead", ())),
        claims=claims,
    )


def _claimed(claim: Mapping[str, Any], found: Mapping[str, Any]) -> Claimed:
    """Writes what was measured of a claim, contender by contender."""
    measure = claim["by"]
    percent = any(
        metric["percent"] and measure.endswith(f"_{metric['name']}")
        for metric in found["metrics"]
    )
    scale, unit = (100, " points") if percent else (1, "")
    parts = []
    for test in claim["comparisons"]:
        mean, low, high, n = (test["interval"][key] for key in Interval._fields)
        within = f" ({test['group']})" if test["group"] else ""
        text = f"{test['subject']} - {test['against']}{within}: "
        if mean is None:
            parts.append(text + (test["remark"] or "no value"))
            continue
        text += f"{scale * mean:+.3g}"
        if low is not None:
            text += f" [{scale * low:+.3g}, {scale * high:+.3g}]"
        parts.append(f"{text}{unit}, {n} seed{'s' * (n != 1)}")
    label = in_words(measure.removeprefix("test_")).capitalize()
    p = claim["p"]  # null where it is NaN
    corrected = "" if p is None else f"; Holm's p {p_value(p)}"
    measured = f"{label}: {'; '.join(parts)}{corrected}"
    return Claimed(claim["says"], claim["verdict"], measured)


def _read_results(folder: pathlib.Path) -> dict[str, Any] | None:
    """Reads an experiment's results; None where it has not written them."""
    path = folder / "results.json"
    if not path.exists() or not (folder / "index.html").exists():
        return None

    def is_ours(content: Any) -> bool:
        return isinstance(content, dict) and {"title", "environment"} <= {*content}

    return read_json(path, is_ours)
