"""Explicit vectors of float64 for Numba: the same step of several small problems at once.

Small matrices leave vector units idle, because their loops are short and full of sums. A batch
of them does not, if element ``[i, j]`` of all matrices lies side by side and every operation
acts on all matrices: the *lanes* of a vector. The compiler does not find this by itself, so
these functions emit vector instructions for a `Vector` of `width` values in compiled code::

    total = splat(0.0, WIDTH)
    for i in range(n):
        total = multiply_add(load(a, i * WIDTH, WIDTH), load(b, i * WIDTH, WIDTH), total)
    store(out, 0, total)

``+ - * /`` work between vectors of one width; ``< <= > >=`` give a `Mask`, for ``&`` and
`select`. Offsets count elements of a flat C-contiguous float64 array and are **not** checked. A
processor with shorter vectors gets several instructions for one, and one that cannot multiply
and add in one rounding gets two: results are equal bit for bit among processors with the same
instructions only.

`part` compiles what only compiled code calls.
"""

# Numba declares types, but not for these parts of it.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeVar

from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

ALIGNMENT = 8

# Typed as Any: what it decorates is called in compiled code only, with other arguments.
_function: Any = intrinsic(prefer_literal=True)


# Its type does not know the options of `part`.
_njit: Any = njit

F = TypeVar("F", bound=Callable[..., Any])


def part(function: F) -> F:
    """Compile a function that Python never calls: without entries for it, a third faster."""
    compiled: F = _njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    return compiled


class Vector(types.Type):
    """Numba type of `width` float64 values that are handled together."""

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(name=f"Vector({width})")


class Mask(types.Type):
    """Numba type of `width` truth values, the result of comparing vectors."""

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(name=f"Mask({width})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Vector) -> None:
        super().__init__(dmm, fe_type, ir.VectorType(ir.DoubleType(), fe_type.width))


@register_model(Mask)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Mask) -> None:
        super().__init__(dmm, fe_type, ir.VectorType(ir.IntType(1), fe_type.width))


# ------------------------------------------------------------------ operators


def _binary(symbol: Any, operand: Any, result: Any, emit: Callable[[Any, Any, Any], Any]) -> None:
    """Give an operator its type rule and its instruction for two vectors or masks."""

    @infer_global(symbol)
    class _Rule(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            if len(args) == 2 and isinstance(args[0], operand) and args[0] == args[1]:
                return signature(result(args[0].width), *args)
            return None

    @lower_builtin(symbol, operand, operand)
    def _lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return emit(builder, args[0], args[1])


_binary(operator.add, Vector, Vector, lambda builder, a, b: builder.fadd(a, b))
_binary(operator.sub, Vector, Vector, lambda builder, a, b: builder.fsub(a, b))
_binary(operator.mul, Vector, Vector, lambda builder, a, b: builder.fmul(a, b))
_binary(operator.truediv, Vector, Vector, lambda builder, a, b: builder.fdiv(a, b))
_binary(operator.lt, Vector, Mask, lambda builder, a, b: builder.fcmp_ordered("<", a, b))
_binary(operator.le, Vector, Mask, lambda builder, a, b: builder.fcmp_ordered("<=", a, b))
_binary(operator.gt, Vector, Mask, lambda builder, a, b: builder.fcmp_ordered(">", a, b))
_binary(operator.ge, Vector, Mask, lambda builder, a, b: builder.fcmp_ordered(">=", a, b))
_binary(operator.and_, Mask, Mask, lambda builder, a, b: builder.and_(a, b))


# ------------------------------------------------------------------ functions of compiled code


def _pointer(context: Any, builder: Any, sig: Any, args: Any, vector: Any) -> Any:
    array = cgutils.create_struct_proxy(sig.args[0])(context, builder, args[0])
    return builder.bitcast(builder.gep(array.data, [args[1]]), vector.as_pointer())


@_function
def load(typing_context: Any, array: Any, offset: Any, width: Any) -> Any:
    """Read ``array[offset : offset + width]``; `width` is a literal."""
    result = Vector(width.literal_value)

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig, args, context.get_value_type(result))
        value = builder.load(pointer)
        value.align = ALIGNMENT
        return value

    return result(array, types.intp, width), emit


@_function
def store(typing_context: Any, array: Any, offset: Any, value: Any) -> Any:
    """Write a vector to ``array[offset:]``."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig, args, args[2].type)
        builder.store(args[2], pointer).align = ALIGNMENT
        return context.get_dummy_value()

    return types.void(array, types.intp, value), emit


@_function
def splat(typing_context: Any, scalar: Any, width: Any) -> Any:
    """Fill a vector of `width` (a literal) lanes with one float."""
    result = Vector(width.literal_value)

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = context.get_value_type(result)
        first = builder.insert_element(
            ir.Constant(kind, ir.Undefined), args[0], ir.Constant(ir.IntType(32), 0)
        )
        order = ir.Constant(ir.VectorType(ir.IntType(32), result.width), [0] * result.width)
        return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), order)

    return result(types.float64, width), emit


def _emit_function(name: str) -> Callable[[Any, Any, Any, Any], Any]:
    """Code that calls an LLVM function of equal vectors."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = args[0].type
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(kind, [kind] * len(args)),
            f"{name}.v{kind.count}f64",
        )
        return builder.call(function, args)

    return emit


@_function
def multiply_add(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """Compute ``a * b + c``, in one rounding where the processor can."""
    return a(a, b, c), _emit_function("llvm.fmuladd")


@_function
def root(typing_context: Any, a: Any) -> Any:
    """Square root."""
    return a(a), _emit_function("llvm.sqrt")


@_function
def magnitude(typing_context: Any, a: Any) -> Any:
    """Absolute value."""
    return a(a), _emit_function("llvm.fabs")


@_function
def with_sign(typing_context: Any, a: Any, b: Any) -> Any:
    """Give the magnitude of `a` the sign of `b`."""
    return a(a, b), _emit_function("llvm.copysign")


@_function
def select(typing_context: Any, mask: Any, a: Any, b: Any) -> Any:
    """Take `a` where `mask` is true, else `b`."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(*args)

    return a(mask, a, b), emit
