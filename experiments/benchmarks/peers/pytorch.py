"""PyTorch, as its tutorials have it: on as many threads as JAX, or on its GPU."""

import importlib
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from optlab import machine


def load() -> tuple[Any, Any]:
    """The package, its threads set to the cores that this process may use.

    Returns:
      The module ``torch``, and the device to use: the GPU where JAX has one and
      PyTorch sees it, with float32 products as JAX makes them there.
    """
    torch = importlib.import_module("torch")  # no dependency, so no import above
    torch.set_num_threads(machine.cores())
    if jax.default_backend() == "gpu" and torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")  # TF32
        return torch, torch.device("cuda")
    return torch, torch.device("cpu")


def on_threads(count: int, run: Callable[[], Any]) -> Callable[[], None]:
    """Another way to run a peer: on so many threads.

    Args:
      count: of threads.
      run: a loop of this module.

    Returns:
      A call that runs it, and gives PyTorch its threads back.
    """
    torch, _ = load()

    def limited() -> None:
        before = torch.get_num_threads()
        torch.set_num_threads(count)
        run()
        torch.set_num_threads(before)

    return limited


def _wait(torch: Any, device: Any) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


#: Ways to run a convolutional net: memory format, and whether it is compiled.
#: "eager" is channels first.
FORMS = {
    "eager": ("contiguous_format", False),
    "channels_last": ("channels_last", False),
    "compiled": ("channels_last", True),
}


def mlp_loop(
    images: np.ndarray,
    labels: np.ndarray,
    hidden: Sequence[int],
    classes: int,
    batch_size: int,
) -> Callable[[float, int], None]:
    """One run: a net, Adam, a loop over the batches of one shuffled epoch.

    Args:
      images: ``[n, pixels]``, float32, normalized once beforehand.
      labels: ``[n]``.
      hidden: units of each hidden layer.
      classes: outputs.
      batch_size: examples in a batch.

    Returns:
      ``(learning_rate, seed) -> None``; it returns when the last step is done.
    """
    torch, device = load()
    nn = torch.nn
    inputs = torch.from_numpy(images).to(device)
    targets = torch.from_numpy(labels).long().to(device)
    whole = len(labels) - len(labels) % batch_size
    sizes = (images.shape[1], *hidden)

    def run(learning_rate: float, seed: int) -> None:
        torch.manual_seed(seed)
        layers = [
            layer
            for ins, outs in itertools.pairwise(sizes)
            for layer in (nn.Linear(ins, outs), nn.ReLU())
        ]
        net = nn.Sequential(*layers, nn.Linear(sizes[-1], classes)).to(device)
        optimizer = torch.optim.Adam(net.parameters(), lr=learning_rate)
        order = torch.randperm(len(labels), device=device)[:whole]
        for numbers in order.split(batch_size):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(inputs[numbers]), targets[numbers])
            loss.backward()
            optimizer.step()
        _wait(torch, device)

    return run


def cnn_steps(
    images: np.ndarray,
    labels: np.ndarray,
    features: Sequence[int],
    dense: int,
    batch_size: int,
    form: str,
) -> Callable[[], None]:
    """Steps of Adam on a net like ``conv.Net``, one after another over the images.

    Args:
      images: ``[n, height, width, channels]``, float32, normalized.
      labels: ``[n]``.
      features: channels of each convolution.
      dense: units of the hidden dense layer.
      batch_size: examples in a batch; ``n`` is a multiple of it.
      form: a key of ``FORMS``.

    Returns:
      A call that makes ``n / batch_size`` steps and returns when they are done. The
      first call compiles, where the form says so.
    """
    torch, device = load()
    nn = torch.nn
    memory, compiled = FORMS[form]
    height, width, channels = images.shape[1:]
    layers: list[Any] = []
    for place, outs in enumerate(features):
        layers += [nn.Conv2d(channels, outs, 3, padding=1), nn.ReLU()]
        channels = outs
        if place < len(features) - 1:
            layers.append(nn.MaxPool2d(2))
            height, width = height // 2, width // 2
    layers += [nn.Flatten(), nn.Linear(channels * height * width, dense), nn.ReLU()]
    layers.append(nn.Linear(dense, int(labels.max()) + 1))
    memory_format = getattr(torch, memory)
    net = nn.Sequential(*layers).to(device, memory_format=memory_format)
    optimizer = torch.optim.Adam(net.parameters())
    forward = torch.compile(net) if compiled else net
    inputs = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    inputs = inputs.contiguous(memory_format=memory_format).to(device)
    targets = torch.from_numpy(labels).long().to(device)

    def run() -> None:
        for numbers in torch.randperm(len(labels), device=device).split(batch_size):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(
                forward(inputs[numbers]), targets[numbers]
            )
            loss.backward()
            optimizer.step()
        _wait(torch, device)

    return run
