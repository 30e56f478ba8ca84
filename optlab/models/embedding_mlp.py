"""A net for sequences of indices: embedding, mean over the sequence, dense layers."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from optlab.errors import InputError
from optlab.models.layers import Checked
from optlab.models.mlp import MLP


class EmbeddingMLP(Checked):
    """A net from sequences of word indices to logits, whatever the words' order.

    The mean of a sequence's embeddings is a product of the embeddings and the shares of
    its words, so that lanes and derivatives are matrix products, too.

    Attributes:
      classes: number of outputs.
      vocabulary: number of words; an index below zero or beyond it is no word.
      width: length of an embedding.
      hidden: units of each hidden layer.
      activation: one of ``mlp.ACTIVATIONS``.
      dropout: share of hidden units dropped while training; may be a tracer.
    """

    classes: int
    vocabulary: int
    width: int = 16
    hidden: tuple[int, ...] = (32,)
    activation: str = "relu"
    dropout: float = 0.0

    @nn.compact
    def __call__(self, words: jax.Array, train: bool = False) -> jax.Array:
        """Computes logits ``[n, classes]`` of word indices ``[n, length]``."""
        if words.ndim != 2 or not jnp.issubdtype(words.dtype, jnp.integer):
            raise InputError(
                f"embedding_mlp: inputs are {words.dtype} {words.shape[1:]} an "
                "example; it takes integers [length]"
            )
        n, length = words.shape
        # Guard: a negative index would count from the end; this one is dropped.
        words = jnp.where(words < 0, self.vocabulary, words)
        shares = jnp.zeros((n, self.vocabulary))
        shares = shares.at[jnp.arange(n)[:, None], words].add(1 / length, mode="drop")
        # The mean of `length` embeddings has a variance of about one per number.
        init = nn.initializers.normal(length**0.5)
        embedding = self.param("embedding", init, (self.width, self.vocabulary))
        net = MLP(self.classes, self.hidden, self.activation, dropout=self.dropout)
        return net((embedding @ shares.T).T, train)
