r"""The computational graph of a function of scalars, with both passes of its gradient.

With nodes v_1, ..., v_n in the order of computation and the output y = v_n::

    forward    v_j = f_j(v_i of its parents)
    edges      d_ij = df_j / dv_i                 the local derivative
    backward   g_n = 1,   g_i = sum_j g_j d_ij    over the children j of i

so that g_i = dy/dv_i: reverse accumulation (S. Linnainmaa, 1976; D. Rumelhart, G.
Hinton and R. Williams, "Learning representations by back-propagating errors", 1986).
Nodes are the equations of the function's jaxpr; each edge is the gradient of one
equation. A function with a derivative of its own (``jax.custom_jvp``, such as
``jax.nn.relu``) or a loop is one node.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, jaxpr_as_fun

from optlab.errors import InputError

#: Calls whose inner program is part of the graph.
_CALLS = {"jit", "pjit", "closed_call"}

#: Primitive to its formula in terms of its operands; others are name(operands).
_FORMULAS = {
    "add": "{} + {}",
    "add_any": "{} + {}",
    "div": "{} / {}",
    "eq": "{} == {}",
    "ge": "{} >= {}",
    "gt": "{} > {}",
    "le": "{} <= {}",
    "logistic": "sigmoid({})",
    "lt": "{} < {}",
    "mul": "{} * {}",
    "neg": "-{}",
    "pow": "{}**{}",
    "square": "{}**2",
    "sub": "{} - {}",
}


class Node(NamedTuple):
    """A variable or an operation."""

    name: str  # a variable's own; of operations v1, v2, ... that are no variable's
    formula: str  # in terms of other nodes' names; empty of a variable
    value: float
    gradient: float  # derivative of the output by this node


class Edge(NamedTuple):
    """The dependence of one node on another."""

    source: int  # index of a node
    target: int  # index of a later node
    derivative: float  # local one; 0 where a value is no real number, such as x > 0


class Graph(NamedTuple):
    """A computation; a node stands after all that it depends on."""

    nodes: tuple[Node, ...]  # variables first
    edges: tuple[Edge, ...]
    output: int  # index of a node


class _Place(NamedTuple):
    """A value that is a node; other values are numbers."""

    index: int


class _Step(NamedTuple):
    """A node before the backward pass."""

    value: jax.Array
    template: str = ""  # formula, with {} for each operand
    operands: Sequence[Any] = ()
    derivatives: Mapping[int, float] = {}  # by index of the parent


def trace(function: Callable[..., Any], values: Mapping[str, float]) -> Graph:
    """Computes the graph of a function at a point, in JAX's current precision.

    Args:
      function: function of scalars by keyword, which JAX can trace and differentiate.
      values: name to number.

    Returns:
      The graph, without operations that the output does not depend on.

    Raises:
      InputError: an output or an intermediate value is no scalar, or the output
        depends on no variable.

    >>> graph = trace(lambda a, b: (a + b) ** 2, {"a": 1.0, "b": 2.0})
    >>> [(node.name, node.formula, node.value, node.gradient) for node in graph.nodes]
    [('a', '', 1.0, 6.0), ('b', '', 2.0, 6.0), ('v1', 'a + b', 3.0, 6.0),
     ('v2', 'v1**2', 9.0, 1.0)]
    >>> graph.edges[-1]
    Edge(source=2, target=3, derivative=6.0)
    """
    names = tuple(values)
    start = [jnp.asarray(float(value), float) for value in values.values()]
    program = jax.make_jaxpr(lambda *xs: function(**dict(zip(names, xs, strict=True))))(
        *start
    )
    outputs = [_shown(each) for each in program.out_avals]
    if len(outputs) != 1 or not _is_real(program.out_avals[0]):
        raise InputError(
            f"the function returns {', '.join(outputs) or 'nothing'}: it must return "
            "one real number"
        )
    tape = _Tape([_Step(value) for value in start])
    places = [_Place(i) for i in range(len(names))]
    (output,) = tape.run(program.jaxpr, program.consts, places)
    if not isinstance(output, _Place):
        raise InputError("the function depends on no variable: it is a constant")
    return _backward(names, tape.steps, output.index)


def _backward(names: Sequence[str], steps: Sequence[_Step], output: int) -> Graph:
    """Runs the backward pass; leaves out what the output does not depend on."""
    gradients, reached = [0.0] * len(steps), {output}
    gradients[output] = 1.0
    for target in reversed(range(len(steps))):
        if target in reached:
            for source, derivative in steps[target].derivatives.items():
                gradients[source] += gradients[target] * derivative
                reached.add(source)
    kept = [i for i in range(len(steps)) if i < len(names) or i in reached]
    index = {old: new for new, old in enumerate(kept)}
    free = (name for i in itertools.count(1) if (name := f"v{i}") not in names)
    labels = [*names, *itertools.islice(free, len(kept) - len(names))]

    def text(operand: Any) -> str:
        if isinstance(operand, _Place):
            return labels[index[operand.index]]
        number = f"{float(operand):.6g}"
        return f"({number})" if number.startswith("-") else number

    nodes = tuple(
        Node(
            name=labels[index[old]],
            formula=steps[old].template.format(*map(text, steps[old].operands)),
            value=float(steps[old].value),
            gradient=gradients[old],
        )
        for old in kept
    )
    edges = tuple(
        Edge(index[source], index[target], derivative)
        for target in kept
        for source, derivative in steps[target].derivatives.items()
    )
    return Graph(nodes, edges, index[output])


class _Tape:
    """The equations of a program, run one by one."""

    def __init__(self, steps: list[_Step]):
        self.steps = steps

    def run(
        self, program: Jaxpr, consts: Sequence[Any], inputs: Sequence[Any]
    ) -> list[Any]:
        """Appends a program's equations.

        Args:
          program: program of scalars.
          consts: numbers that it closes over.
          inputs: place of a node, or a number, for each argument.

        Returns:
          Place of a node, or a number, for each output.
        """
        known = dict(zip(program.constvars, consts, strict=True))
        known |= zip(program.invars, inputs, strict=True)

        def read(variable: Any) -> Any:
            return variable.val if isinstance(variable, Literal) else known[variable]

        for equation in program.eqns:
            operands = [read(variable) for variable in equation.invars]
            if equation.primitive.name in _CALLS:
                inner = equation.params["jaxpr"]
                found = self.run(inner.jaxpr, inner.consts, operands)
            elif _changes_nothing(equation):
                found = operands
            else:
                found = self._append(program, equation, operands)
            known |= zip(equation.outvars, found, strict=True)
        return [read(variable) for variable in program.outvars]

    def _append(
        self, program: Jaxpr, equation: Any, operands: Sequence[Any]
    ) -> list[Any]:
        """Runs one equation; without a node among its operands it is a number."""
        for variable in (*equation.invars, *equation.outvars):
            if variable.aval.shape:
                raise InputError(
                    f"the function computes {_shown(variable.aval)} on its way "
                    f"({equation.primitive.name}): every value must be one number"
                )
        variables = list(
            dict.fromkeys(v for v in equation.invars if not isinstance(v, Literal))
        )
        alone = program.replace(
            constvars=[], invars=variables, outvars=equation.outvars, eqns=[equation]
        )
        run = jaxpr_as_fun(ClosedJaxpr(alone, ()))
        known = [operands[equation.invars.index(v)] for v in variables]
        arguments = [
            self.steps[each.index].value if isinstance(each, _Place) else each
            for each in known
        ]
        results = run(*arguments)
        if not any(isinstance(each, _Place) for each in known):
            return list(results)
        found = []
        for k, result in enumerate(results):
            derivatives: dict[int, float] = {}
            for i, each in enumerate(known):
                if isinstance(each, _Place):
                    slope = _slope(run, arguments, i, k)
                    derivatives[each.index] = derivatives.get(each.index, 0.0) + slope
            template = _template(equation) + f"[{k}]" * (len(results) > 1)
            self.steps.append(_Step(result, template, operands, derivatives))
            found.append(_Place(len(self.steps) - 1))
        return found


def _changes_nothing(equation: Any) -> bool:
    """Tells whether an equation only makes a weak type a strong one, or copies."""
    if equation.primitive.name not in ("convert_element_type", "copy"):
        return False
    return equation.invars[0].aval.dtype == equation.outvars[0].aval.dtype


def _slope(run: Callable, arguments: Sequence[jax.Array], i: int, k: int) -> float:
    """Derivative of an equation's output k by its argument i."""

    def one(x: jax.Array) -> jax.Array:
        return run(*arguments[:i], x, *arguments[i + 1 :])[k]

    real = _is_real(jax.eval_shape(one, arguments[i])) and _is_real(arguments[i])
    return float(jax.grad(one)(arguments[i])) if real else 0.0


def _template(equation: Any) -> str:
    name, params = equation.primitive.name, equation.params
    if name == "integer_pow":
        return f"{{}}**{params['y']}"
    if name in _FORMULAS:
        return _FORMULAS[name]
    if "call_jaxpr" in params:  # a function with a derivative of its own
        info = getattr(params["call_jaxpr"].jaxpr, "debug_info", None)
        name = getattr(info, "func_name", name)
    return f"{name}({', '.join(['{}'] * len(equation.invars))})"


def _is_real(aval: Any) -> bool:
    return aval.shape == () and jnp.issubdtype(aval.dtype, jnp.floating)


def _shown(aval: Any) -> str:
    return f"{aval.dtype} of shape {aval.shape}" if aval.shape else str(aval.dtype)
