"""Overrides of a config, as they are read off a command line and applied."""

import numpy as np
import pytest
from ml_collections import ConfigDict

from experiments import overrides
from experiments.overrides import Given
from optlab.compare.recipe import flatten
from optlab.errors import InputError


def settings(*words, config="digits_optimizers"):
    """A config with the overrides of a command line that holds nothing else."""
    read = overrides.read_config(f"configs/{config}.py")
    given, left = overrides.take(words, flatten(read.to_dict()))
    assert not left
    return overrides.settings(read, given)


def test_overrides_are_taken_off_the_command_line():
    found = settings(
        "--config.optimizers=adam, own.module.name",
        "--config.optimizers.own.module.name.rate=(0.1,)",
        "--config.optimizers.adam.b1=(0.8,0.9)",
        "--config.model.dropout=(0.0,0.2)",
        "--config.batch_size=(32,64)",
        "--config.augment=flip,crop",
        "--config.augment.crop.padding=2",
        "--config.title=2",
        "--config.data.size=(8,8)",
    )
    assert list(found["optimizers"]) == ["adam", "own.module.name"]
    assert found["optimizers"]["own.module.name"] == {"rate": (0.1,)}
    assert found["optimizers"]["adam"]["b1"] == (0.8, 0.9)
    assert found["model"]["dropout"] == (0.0, 0.2)
    assert found["model"]["dense"] == 32
    assert found["batch_size"] == (32, 64)
    assert found["augment"] == {"flip": {}, "crop": {"padding": 2}}
    assert found["title"] == "2"
    assert found["data"]["size"] == (8, 8)


def test_another_name_drops_the_options_of_the_old_part():
    words = "--config.model.name=mlp", "--config.model.hidden=(9,)"
    assert settings(*words)["model"] == {"name": "mlp", "hidden": (9,)}
    same = settings("--config.model.name=cnn")
    assert same["model"]["dense"] == 32


def test_contenders_are_chosen_and_changed():
    words = "--config.contenders=relu", "--config.contenders.relu.model.hidden=(5,)"
    found = settings(*words, config="two_recipes")["contenders"]
    assert list(found) == ["relu"]
    assert found["relu"]["model"] == {"activation": "relu", "hidden": (5,)}


def test_a_config_without_open_sections_takes_no_new_keys():
    with pytest.raises(InputError, match=r"unknown config key 'optimizers\.adam\.b1'"):
        settings("--config.optimizers.adam.b1=1", config="bench")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "defines no get_config"),
        ("def get_config(): return {}", "returns no ConfigDict but dict"),
        ("x = 1\nimport no_such_module", "fails in line 2: ModuleNotFoundError"),
        ("def get_config():\n  return {}['a']", "fails in line 2: KeyError: 'a'"),
        ("import json\ndef get_config():\n  json.loads('{')", "fails in line 3: JSON"),
        ("def f():\n  1 / 0\n\ndef get_config():\n  f()", "fails in line 2: Zero"),
        ("def", "is no Python"),
    ],
)
def test_a_config_that_cannot_be_used_says_why(tmp_path, text, message):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        overrides.read_config(str(path))


def test_a_variant_is_one_that_the_file_names_if_it_names_any(tmp_path):
    path = tmp_path / "mine.py"
    text = "from ml_collections import ConfigDict\n"
    path.write_text(f"{text}def get_config(v): return ConfigDict({{'title': v}})\n")
    assert overrides.read_config(f"{path}:any").title == "any"
    path.write_text(f"{path.read_text()}VARIANTS = 'short', 'long'\n")
    assert overrides.read_config(f"{path}:long").title == "long"
    for wrong in ("any", ""):
        with pytest.raises(InputError, match=f"no variant '{wrong}'; known: long, sh"):
            overrides.read_config(f"{path}:{wrong}")


def test_a_config_may_hold_numbers_of_numpy_and_lists():
    config = ConfigDict({"rates": np.geomspace(1, 4, 3), "sizes": [np.int64(3)]})
    assert overrides.settings(config, Given()) == {"rates": (1, 2, 4), "sizes": (3,)}


def test_a_function_in_a_config_is_one_line():
    config = ConfigDict({"optimizer": {"learning_rate": abs}})
    with pytest.raises(InputError, match="learning_rate is <built-in"):
        overrides.settings(config, Given())
