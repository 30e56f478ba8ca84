"""Data sets that need neither a file nor a network, each a pair (inputs, targets)."""

from collections.abc import Callable
from typing import Any

import numpy as np

#: Sizes of ``topics``.
TOPICS, VOCABULARY, WORDS, DOCUMENTS = 4, 50, 24, 2000


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Loads scikit-learn's handwritten digits.

    Returns:
      Images uint8 ``[1797, 8, 8, 1]`` from 0 to 240 and labels int32 ``[1797]``.
    """
    from sklearn import datasets

    images, labels = datasets.load_digits(return_X_y=True)
    pixels = (images.reshape(-1, 8, 8, 1) * 15).astype(np.uint8)  # 0..16 -> 0..240
    return pixels, labels.astype(np.int32)


def diabetes() -> tuple[np.ndarray, np.ndarray]:
    """Loads the diabetes table of Efron et al. 2004 from scikit-learn.

    Returns:
      Inputs ``[442, 10]`` and the progression of the disease ``[442, 1]``, float64.
    """
    from sklearn import datasets

    table: Any = datasets.load_diabetes(scaled=False)
    return table.data, table.target[:, None]


def topics() -> tuple[np.ndarray, np.ndarray]:
    """Draws synthetic documents whose topics prefer some words.

    The logits of a topic's words are normal with mean 0 and deviation 1/2, and the
    words of a document are independent: word counts tell all that can be known, and
    no classifier is always right.

    Returns:
      Words int32 ``[2000, 24]`` below 50 and topics int32 ``[2000]`` below 4.
    """
    draw = np.random.default_rng(0)
    logits = 0.5 * draw.standard_normal((TOPICS, VOCABULARY))
    labels = draw.integers(0, TOPICS, DOCUMENTS)
    # The largest logit plus Gumbel noise is a draw from the softmax.
    noise = draw.gumbel(size=(DOCUMENTS, WORDS, VOCABULARY))
    words = (logits[labels][:, None] + noise).argmax(axis=-1)
    return words.astype(np.int32), labels.astype(np.int32)


#: Name to function that returns all examples.
EMBEDDED: dict[str, Callable[[], Any]] = {
    each.__name__: each for each in (diabetes, digits, topics)
}
