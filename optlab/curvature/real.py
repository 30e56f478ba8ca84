"""Complex outputs of real parameters as real ones: real and imaginary parts stacked.

|z|^2 = Re(z)^2 + Im(z)^2, so a sum of squares keeps its value and its derivatives.
"""

from typing import Any

import jax
import jax.numpy as jnp


def real_parts(outputs: Any) -> Any:
    """Stacks real and imaginary parts of complex leaves; real leaves stay as they are.

    Args:
      outputs: tree of arrays.

    Returns:
      The tree, where a complex leaf ``[...]`` has become a real one ``[2, ...]``.

    >>> jax.tree.map(jnp.ravel, real_parts([jnp.array([3.0 + 4.0j]), jnp.ones(1)]))
    [Array([3., 4.], dtype=float32), Array([1.], dtype=float32)]
    """

    def split(leaf):
        leaf = jnp.asarray(leaf)
        return jnp.stack([leaf.real, leaf.imag]) if jnp.iscomplexobj(leaf) else leaf

    return jax.tree.map(split, outputs)


def complex_again(parts: Any, outputs: Any) -> Any:
    """Inverts `real_parts`, by the types of the tree that it was given.

    Args:
      parts: tree of real arrays.
      outputs: tree of the arrays before, or of their shapes and types.

    Returns:
      The tree, where leaves that were complex are complex again.

    >>> z = jnp.array([3.0 + 4.0j])
    >>> complex_again(real_parts(z), z)
    Array([3.+4.j], dtype=complex64)
    """

    def join(part, leaf):
        is_complex = jnp.issubdtype(jnp.result_type(leaf), jnp.complexfloating)
        return jax.lax.complex(*part) if is_complex else part

    return jax.tree.map(join, parts, outputs)
