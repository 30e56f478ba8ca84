"""PyTorch, as its tutorials have it: on as many threads as JAX, or on its GPU."""

import importlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from experiments.benchmarks.peers import Classifier
from optlab import machine

#: Name of a form of a net to its memory format, and whether it is compiled.
FORMS = {
    "eager": ("contiguous_format", False),
    "channels_last": ("channels_last", False),
    "compiled": ("channels_last", True),
}


def load() -> tuple[Any, Any]:
    """Imports PyTorch and sets its threads to the cores that this process may use.

    Returns:
      The module ``torch``, and its device: the GPU where both JAX and PyTorch have one,
      with float32 products as JAX makes them there.
    """
    torch = importlib.import_module("torch")  # no dependency, so no import above
    torch.set_num_threads(machine.cores())
    if jax.default_backend() == "gpu" and torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")  # TF32
        return torch, torch.device("cuda")
    return torch, torch.device("cpu")


def on_one_thread(run: Callable[[], Any]) -> Callable[[], None]:
    """Limits a call to one thread of PyTorch, which gets its other threads back."""
    torch, _ = load()

    def limited() -> None:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        run()
        torch.set_num_threads(before)

    return limited


def make_loop(
    classifier: Classifier, form: str = "eager"
) -> Callable[[float, int], Callable[[], None]]:
    """Makes a function that starts the training of a new net, in a form of ``FORMS``.

    Returns:
      Function of a learning rate and a seed that returns a call, which trains the net
      for one more shuffled epoch and returns when the last step is done. The first
      call compiles, where the form says so.
    """
    torch, device = load()
    name, compiled = FORMS[form]
    memory_format = getattr(torch, name)
    images = torch.from_numpy(np.moveaxis(classifier.inputs, -1, 1).copy())
    inputs = images.contiguous(memory_format=memory_format).to(device)
    targets = torch.from_numpy(classifier.targets).long().to(device)
    whole = len(targets) - len(targets) % classifier.batch_size

    def start(learning_rate: float, seed: int) -> Callable[[], None]:
        torch.manual_seed(seed)
        net = _net(classifier).to(device, memory_format=memory_format)
        optimizer = torch.optim.Adam(net.parameters(), lr=learning_rate)
        forward = torch.compile(net) if compiled else net

        def epoch() -> None:
            order = torch.randperm(len(targets), device=device)[:whole]
            for indices in order.split(classifier.batch_size):
                optimizer.zero_grad()
                outputs = forward(inputs[indices])
                torch.nn.functional.cross_entropy(outputs, targets[indices]).backward()
                optimizer.step()
            if device.type == "cuda":
                torch.cuda.synchronize()

        return epoch

    return start


def _net(classifier: Classifier) -> Any:
    nn = importlib.import_module("torch").nn
    layers: list[Any] = []
    *sides, channels = classifier.inputs.shape[1:]
    for outs in classifier.features:
        layers += [nn.Conv2d(channels, outs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        sides, channels = [side // 2 for side in sides], outs
    layers.append(nn.Flatten())
    size = int(np.prod(sides)) * channels
    for units in classifier.hidden:
        layers += [nn.Linear(size, units), nn.ReLU()]
        size = units
    return nn.Sequential(*layers, nn.Linear(size, classifier.classes))
