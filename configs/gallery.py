"""The course: every experiment that has a card in the gallery, in reading order.

    python -m experiments.gallery
    python -m experiments.gallery --only=learning_rate,paths

A card is a group, a command line, the picture of its page that it shows (``epochs`` if
it names none, as every comparison draws that), and, where an experiment reads files
that are not inside, the environment variable that names their folder.
"""

from ml_collections import ConfigDict

COMPARE = "python -m experiments.compare --config=configs/"
SOLVE = "python -m experiments.solve --config=configs/"

#: Group to name, command line and picture of each card.
COURSE = {
    "Descent": (
        ("descent_variants", f"{COMPARE}descent_variants.py"),
        ("floor", f"{COMPARE}descent_variants.py:floor"),
        ("losses", f"{COMPARE}losses.py"),
        ("two_recipes", f"{COMPARE}two_recipes.py"),
    ),
    "Rates and schedules": (
        ("learning_rate", f"{COMPARE}learning_rate.py",
         "sensitivity_learning_rate"),
        ("schedules_sgd", f"{COMPARE}schedules.py"),
        ("schedules_adam", f"{COMPARE}schedules.py:adam"),
        ("stopping", f"{COMPARE}stopping.py"),
    ),
    "Momentum to Adam": (
        ("paths", f"{SOLVE}paths.py", "paths_rosenbrock"),
        ("momentum_to_nadam", f"{COMPARE}momentum_to_nadam.py"),
        ("main_comparison", f"{COMPARE}digits_optimizers.py"),
    ),
    "Second order": (
        ("convergence", f"{SOLVE}convergence.py", "errors"),
        ("small_nets", f"{SOLVE}small_nets.py --config.nets=sinc", "sinc"),
        ("nist", f"{SOLVE}nist.py", "digits"),
    ),
    "Layers": (
        ("activations", f"{COMPARE}activations.py"),
        ("deep_activations", f"{COMPARE}activations.py:deep"),
        ("vanishing", f"{SOLVE}vanishing.py", "layers"),
        ("initialization", f"{COMPARE}initialization.py"),
        ("shift_scale", f"{COMPARE}shift_scale.py:layer"),
        ("convolutions", f"{COMPARE}convolutions.py"),
        ("shapes", "python -m experiments.shapes", "sizes"),
    ),
    "Overfitting": (
        ("overfitting", f"{COMPARE}overfitting.py"),
    ),
    "Backpropagation": (
        ("backprop", 'python -m experiments.backprop "((a+b)*(c+d))**2" a=1 b=2 c=3 '
         "d=4", "graph"),
        ("backprop_net", "python -m experiments.backprop --net=2,3,1", "matrices"),
    ),
    "Nets and compression": (
        ("nets", "python -m experiments.nets", "memory"),
        ("compress", "python -m experiments.compress", "error_by_bytes"),
        ("filters", "python -m experiments.filters", "filters"),
    ),
}  # fmt: skip

#: Card to the environment variable that names the folder of its data.
NEEDS = {"nist": "OPTLAB_NIST_DIR"}


def get_config() -> ConfigDict:
    """Builds the list of cards as plain data."""
    config = ConfigDict({"title": "A course in training nets"})
    config.cards = tuple(
        {
            "name": name,
            "group": group,
            "command": command,
            "picture": picture[0] if picture else "epochs",
            "needs": NEEDS.get(name, ""),
        }
        for group, cards in COURSE.items()
        for name, command, *picture in cards
    )
    return config
