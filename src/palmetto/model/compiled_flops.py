"""Counts the matrix-product FLOPs of a compiled program from its optimised HLO text, every loop by its trips.

XLA's own `cost_analysis` counts the body of a loop once, so that a model whose layers are a loop seems to have one
layer. Here a dot is two FLOPs for each output number and contracted position, times the trips of all loops around it.
Elementwise work is left out, as it is in the paper's counts (appendix B).
"""

import math
import re
from dataclasses import dataclass, field

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (.*)$")
_ARRAY = re.compile(r"\w+\[([\d,]*)\]")
_OPCODE = re.compile(r"\s*([\w\-]+)\((.*)$")
_LOOP_PARTS = re.compile(r"(body|condition)=%?([\w.\-]+)")
_CALLED = re.compile(r"(?:calls|to_apply|true_computation|false_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_CONTRACTED = re.compile(r'lhs_contracting_dim(?:s|ensions"?)[=:]\s*[{\[]([\d," ]*)[}\]]')
_LABELS = re.compile(r"dim_labels=(\w+)_(\w+)->(\w+)")
_WINDOW = re.compile(r"window=\{([^}]*)\}")
_CONSTANT = re.compile(r"s\d+\[\]\S* constant\((\d+)\)")
_TARGET = re.compile(r'custom_call_target="([^"]*)"')


@dataclass(frozen=True)
class CompiledFlops:
    """What a program computes in matrix products, on one device."""

    flops: float
    """Two for each multiplication and addition, loops counted."""

    unknown_loops: tuple[str, ...]
    """Loops whose trips the text does not say; their bodies are counted once. Where only a limit is written, as a
    TPU's compiler does, the loop is taken to count up to it from zero, as JAX's own do."""

    uncounted_calls: tuple[str, ...]
    """Kernels from outside XLA that may compute products of their own, by target; none are in `flops`."""


@dataclass
class _Computation:
    """One named computation of the program."""

    flops: float = 0.0
    calls: list[tuple[str, ...]] = field(default_factory=list)  # each a choice of computations
    loops: list[tuple[str, int | None, str, str]] = field(
        default_factory=list
    )  # name, trips, condition, body
    kernels: set[str] = field(default_factory=set)
    constants: dict[str, int] = field(default_factory=dict)
    limit: int | None = None  # of a loop's condition: it goes on while its counter is below this


def compiled_flops(hlo: str) -> CompiledFlops:
    """Count a program from `jax.jit(f).lower(...).compile().as_text()`.

    Raises:
        ValueError: the text is not a whole HLO module.
    """
    computations, entry = _read(hlo)
    if entry is None:
        raise ValueError("The text has no ENTRY computation; pass the whole text of a compiled program.")
    totals: dict[str, CompiledFlops] = {}

    def total(name: str) -> CompiledFlops:
        if name not in totals:
            own = computations[name]
            # Of the branches of a conditional only one runs: the dearest is taken.
            called = [(1, max(map(total, choice), key=lambda one: one.flops)) for choice in own.calls]
            unknown = []
            for loop, stated, condition, body in own.loops:
                trips = stated or computations[condition].limit
                if trips is None:
                    unknown.append(loop)
                called += [(trips or 1, total(body))]
            totals[name] = CompiledFlops(
                own.flops + sum(times * one.flops for times, one in called),
                tuple(sorted({*unknown, *(loop for _, one in called for loop in one.unknown_loops)})),
                tuple(
                    sorted({*own.kernels, *(kernel for _, one in called for kernel in one.uncounted_calls)})
                ),
            )
        return totals[name]

    return total(entry)


def _read(hlo: str) -> tuple[dict[str, _Computation], str | None]:
    """Return the computations by name, and which of them is the program's entry."""
    computations: dict[str, _Computation] = {}
    entry, here, shapes = None, _Computation(), dict[str, tuple[int, ...]]()
    for line in hlo.splitlines():
        if start := _COMPUTATION.match(line):
            here = computations[start[2]] = _Computation()
            shapes = {}
            entry = start[2] if start[1] else entry
        elif instruction := _INSTRUCTION.match(line):
            _add(here, shapes, instruction[1], instruction[2])
    return computations, entry


def _add(here: _Computation, shapes: dict[str, tuple[int, ...]], name: str, text: str) -> None:
    """Add one instruction, `text` being its type, opcode, operands and attributes."""
    end = _end_of_type(text)
    array, operation = _ARRAY.search(text[:end]), _OPCODE.match(text[end:])
    if operation is None:
        return
    # Of a tuple, the first array is the result; the others are scratch space.
    shapes[name] = tuple(int(size) for size in array[1].split(",") if size) if array else ()
    opcode, rest = operation[1], operation[2]
    names = re.findall(r"%([\w.\-]+)", rest.split("), ")[0])
    operands = [shapes.get(word, ()) for word in names]
    contracted, labels = _CONTRACTED.search(rest), _LABELS.search(rest)
    if constant := _CONSTANT.match(text):
        here.constants[name] = int(constant[1])
    elif opcode == "compare" and "direction=LT" in rest:
        here.limit = here.constants.get(names[1])
    elif opcode == "convolution" and labels:  # what a TPU's compiler makes of a dot
        here.flops += _convolution(labels, _WINDOW.search(rest), shapes[name], operands)
    elif contracted and opcode in ("dot", "custom-call"):
        axes = [int(axis) for axis in re.findall(r"\d+", contracted[1])]
        here.flops += 2.0 * math.prod(shapes[name]) * math.prod(operands[0][axis] for axis in axes)
    elif opcode == "custom-call" and (target := _TARGET.search(rest)):
        here.kernels.add(target[1])
    elif opcode == "while":
        trips = _TRIPS.search(rest)
        parts = dict(_LOOP_PARTS.findall(rest))
        here.loops.append((name, int(trips[1]) if trips else None, parts["condition"], parts["body"]))
    elif branches := _BRANCHES.search(rest):
        here.calls.append(tuple(re.findall(r"%([\w.\-]+)", branches[1])))
    elif opcode == "conditional":
        here.calls.append(tuple(_CALLED.findall(rest)))
    else:
        here.calls += [(called,) for called in _CALLED.findall(rest)]


def _convolution(
    labels: re.Match[str],
    window: re.Match[str] | None,
    result: tuple[int, ...],
    operands: list[tuple[int, ...]],
) -> float:
    """Count a convolution; products with padding and with the gaps of dilation are not computed."""
    of_input, of_kernel, of_result = labels.groups()
    words = dict(word.split("=") for word in window[1].split()) if window else {}
    flops = 2.0 * result[of_result.index("b")] * result[of_result.index("f")]
    flops *= operands[1][of_kernel.index("i")]
    for axis in filter(str.isdigit, of_result):

        def along(word: str, default: str, axis: str = axis) -> str:
            return words[word].split("x")[int(axis)] if word in words else default

        length, taps = operands[0][of_input.index(axis)], operands[1][of_kernel.index(axis)]
        stride, gap = int(along("stride", "1")), int(along("lhs_dilate", "1"))
        spread, before = int(along("rhs_dilate", "1")), int(along("pad", "0_0").split("_")[0])
        places = (
            place * stride + tap * spread - before
            for place in range(result[of_result.index(axis)])
            for tap in range(taps)
        )
        flops *= sum(0 <= at <= (length - 1) * gap and at % gap == 0 for at in places)
    return flops


def _end_of_type(text: str) -> int:
    """Return where the type ends: at the first space outside of brackets."""
    depth = 0
    for position, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == " " and depth == 0:
            return position
    return len(text)
