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
    """Makes a call run on one thread of PyTorch's, which then gets its others back."""
    torch, _ = load()

    def limited() -> None:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        run()
        torch.set_num_threads(before)

    return limited


def fresh_loop(classifier: Classifier) -> Callable[[float, int], None]:
    """Makes a function that trains a new net for one shuffled epoch.

    Args:
      classifier: net and examples.

    Returns:
      Function of a learning rate and a seed, which returns when the last step is done.
    """
    torch, device = load()
    examples = _examples(classifier, torch.contiguous_format)

    def run(learning_rate: float, seed: int) -> None:
        torch.manual_seed(seed)
        net = _net(classifier).to(device)
        optimizer = torch.optim.Adam(net.parameters(), lr=learning_rate)
        _epoch(net, optimizer, examples, classifier.batch_size)

    return run


def later_loop(classifier: Classifier, form: str) -> Callable[[], None]:
    """Makes a call that trains one net for one more shuffled epoch.

    Args:
      classifier: net and examples.
      form: key of ``FORMS``.

    Returns:
      The call; it returns when the last step is done. The first one compiles, where
      the form says so.
    """
    torch, device = load()
    name, compiled = FORMS[form]
    memory_format = getattr(torch, name)
    net = _net(classifier).to(device, memory_format=memory_format)
    optimizer = torch.optim.Adam(net.parameters())
    forward = torch.compile(net) if compiled else net
    examples = _examples(classifier, memory_format)
    return lambda: _epoch(forward, optimizer, examples, classifier.batch_size)


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


def _examples(classifier: Classifier, memory_format: Any) -> tuple[Any, Any]:
    """Inputs, channels first, and targets on the device."""
    torch, device = load()
    inputs = np.ascontiguousarray(np.moveaxis(classifier.inputs, -1, 1))
    return (
        torch.from_numpy(inputs).contiguous(memory_format=memory_format).to(device),
        torch.from_numpy(classifier.targets).long().to(device),
    )


def _epoch(forward: Any, optimizer: Any, examples: Any, batch_size: int) -> None:
    torch = importlib.import_module("torch")
    inputs, targets = examples
    whole = len(targets) - len(targets) % batch_size
    order = torch.randperm(len(targets), device=targets.device)[:whole]
    for indices in order.split(batch_size):
        optimizer.zero_grad()
        outputs = forward(inputs[indices])
        torch.nn.functional.cross_entropy(outputs, targets[indices]).backward()
        optimizer.step()
    if targets.device.type == "cuda":
        torch.cuda.synchronize()
