"""Tables on terminals of any width: nothing is cut off."""

import io

import pytest
from rich.console import Console

from optlab import report


def printed(table, width):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    report.show_table(table, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= width
    return text


@pytest.mark.parametrize("width", [40, 60, 80, 98, 99, 100, 116, 117, 130])
def test_a_printed_table_keeps_names_and_numbers_whole(width):
    names = "levenberg_marquardt", "sgd"
    numbers = [f"1.{i}23e-10" for i in range(8)]
    table = report.Table(
        "T", ("method", *"abcdefgh"), "l" + "r" * 8,
        tuple((name, *numbers) for name in names), ("one group",) * 2,
    )  # fmt: skip
    text = printed(table, width)
    words = text.split()
    assert text.count("levenberg_marquardt") == text.count("sgd") >= 1
    assert all(words.count(number) == 2 for number in numbers)
    assert (text.count("method") == 1) == (width >= 19 + 8 * (1 + 9))


@pytest.mark.parametrize("width", [36, 40, 41, 42, 43, 44, 50, 120])
def test_text_wraps_where_a_name_leaves_no_room(width):
    rates = ("damping", "0.01"), ("radius", "1")
    rows = [("levenberg_marquardt", "2.8 s", " ".join(rate), "0/6") for rate in rates]
    table = report.Table(
        "T", ("method", "one run", "best\nrate", "diverged"), "lrlr",
        tuple(rows), ("",) * 2,
    )  # fmt: skip
    text = printed(table, width)
    for word in (*rates[0], *rates[1], "best", "rate", "diverged"):
        assert word in text.split()
    assert text.split().count("0/6") == 2


def test_a_group_is_named_whole_above_its_rows():
    groups = ("a group of a long name",) * 2 + ("another",)
    rows = tuple((name, "1") for name in "xyz")
    table = report.Table("T", ("m", "n"), "lr", rows, groups)
    lines = printed(table, 30).splitlines()
    shown = [line.split()[0] for line in lines if line in groups or line[:1] in "xyz"]
    assert shown == ["a", "x", "y", "another", "z"]
