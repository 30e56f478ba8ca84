"""Options for XLA's compiler, as far as the installed one has them."""

import functools
from collections.abc import Mapping
from typing import Any

import jax

#: Not XLA's default of 256, which suits old processors: their clocks slow down.
WIDE_VECTORS = {"xla_cpu_prefer_vector_width": 512}

#: For programs that run once: compiled fast, whatever they take to run. The two passes
#: evaluate all that comes before a loop, to count its turns: a quarter of the time.
#: Fused loops without emitters are gone since XLA of jaxlib 0.12.
IN_A_HURRY = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 4,
    "xla_disable_hlo_passes": "while-loop-invariant-code-motion,simplify-while-loops",
}


def in_a_hurry() -> dict[str, Any]:
    """Chooses the options of a program that is compiled fast, on the default backend.

    Returns:
      ``compiler_options`` of ``jax.jit``, none but on a CPU.
    """
    return known(IN_A_HURRY) if jax.default_backend() == "cpu" else {}


def known(options: Mapping[str, Any]) -> dict[str, Any]:
    """Leaves out what the installed XLA does not know.

    Args:
      options: name to value.

    Returns:
      Those that can be given to ``jax.jit`` as ``compiler_options``.

    >>> known({"xla_backend_optimization_level": 0, "xla_no_such_option": 1})
    {'xla_backend_optimization_level': 0}
    """
    return {name: value for name, value in options.items() if _is_known(name, value)}


@functools.cache
def _is_known(name: str, value: Any) -> bool:
    try:
        jax.jit(lambda: 0, compiler_options={name: value}).lower().compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True
