"""Output sizes by formula and by the layers themselves."""

import pytest

from experiments import shapes
from optlab.errors import InputError


def test_the_table_of_the_thesis():
    padded = [
        shapes.measure((100, 3), 1, "with", w, s, shapes.same_padding(100, w, s))
        for w, s in shapes.WINDOWS
    ]
    plain = [shapes.measure((100, 3), 1, "without", w, s, 0) for w, s in shapes.WINDOWS]
    assert [each.layer for each in plain] == [100, 98, 49, 97, 91]
    assert [each.layer for each in padded] == [100, 100, 50, 100, 100]
    assert [each.parameters for each in plain] == [4, 28, 28, 49, 301]
    assert plain[2].multiply_adds == 49 * 49 * 3 * 3 * 3


@pytest.mark.parametrize("side", [9, 10])
@pytest.mark.parametrize("window", [1, 2, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("group", "padded"), [("", 0), ("", 3), (shapes.POOLED, 0)])
def test_formula_and_layer_agree(side, window, stride, group, padded):
    found = shapes.measure((side, 2), 4, group, window, stride, padded)
    assert found.layer == found.formula


def test_what_is_no_layer_is_refused():
    with pytest.raises(InputError, match="a window of 5 does not fit into 4 pixels"):
        shapes.output_size(2, 5, 1, 2)
    for word in ("3/2", "3/-1/1", "a/b/c"):
        with pytest.raises(InputError, match="write F/S/P"):
            shapes.read(word)
    with pytest.raises(InputError, match="'5/0/2': the stride must be at least 1"):
        shapes.read("5/0/2")
    with pytest.raises(InputError, match="'0/1/2': the window must be at least 1"):
        shapes.read("0/1/2")


def test_windows_that_do_not_fit_are_left_out_and_named(run, tmp_path):
    done = run("experiments.shapes", "--side=4", f"--workdir={tmp_path / 'page'}")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "Windows F/S that do not fit: 10/1 without padding." in said
    assert "3 2 0 floor((4 - 3 + 0) / 2) + 1 = 1 1 yes" in said


def test_windows_that_were_asked_for_are_refused_where_they_do_not_fit(refused):
    message = "error: a window of 5 does not fit into 4 pixels"
    refused("experiments.shapes", ("--side=4", "5/1/0"), message)
