"""Counts the matrix-product FLOPs and estimated cycles of a compiled program, every loop by its trips.

A dot is two FLOPs for each output number and contracted position, times the trips of all loops around it. Elementwise
work is left out, as it is in the paper's counts (appendix B).
"""

import math
import re
from dataclasses import dataclass

from palmetto.pathways.hlo import Instruction, Program

_CONTRACTED = re.compile(r'lhs_contracting_dim(?:s|ensions"?)[=:]\s*[{\[]([\d," ]*)[}\]]')
_LABELS = re.compile(r"dim_labels=(\w+)_(\w+)->(\w+)")
_WINDOW = re.compile(r"window=\{([^}]*)\}")
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_TARGET = re.compile(r'custom_call_target="([^"]*)"')

# What a TPU's compiler writes as calls but computes no product: memory, layouts, and where collectives start and end.
_BOOKKEEPING = {
    "AllocateBuffer", "AssumeGatherIndicesInBound", "AsyncCollectiveDone", "AsyncCollectiveStart", "ConcatBitcast",
    "GatherScatterIndicesBitpacked", "SliceId", "ZeroCrop",
}  # fmt: skip


@dataclass(frozen=True)
class CompiledFlops:
    """What a program computes in matrix products, on one device."""

    flops: float
    """Two for each multiplication and addition, loops counted."""

    unknown_loops: tuple[str, ...]
    """Loops whose trips the text does not say; their bodies are counted once."""

    uncounted_calls: tuple[str, ...]
    """Kernels from outside XLA that may compute products of their own, by target; none are in `flops`."""


def compiled_flops(program: Program | str) -> CompiledFlops:
    """Count a program, or its text from `jax.jit(f).lower(...).compile().as_text()`.

    Raises:
        ValueError: the text is not a whole HLO module.
    """
    program = Program(program) if isinstance(program, str) else program
    flops, unknown, kernels = 0.0, set[str](), set[str]()
    for run in program.runs(instruction_flops):
        one = run.instruction
        flops += run.times * instruction_flops(one)
        if one.opcode == "while" and program.trips(one) is None:
            unknown.add(one.name)
        elif one.opcode == "custom-call" and not _CONTRACTED.search(one.attributes):
            kernels.update({*_TARGET.findall(one.attributes)} - _BOOKKEEPING)
    return CompiledFlops(flops, tuple(sorted(unknown)), tuple(sorted(kernels)))


def instruction_flops(one: Instruction) -> float:
    """Return the FLOPs of one run of an instruction that is itself a product; 0 for all others."""
    if one.opcode == "convolution":  # what a TPU's compiler makes of a dot
        return _convolution(one) if _LABELS.search(one.attributes) else 0.0
    contracted = _CONTRACTED.search(one.attributes) if one.opcode in ("dot", "custom-call") else None
    if contracted is None:
        return 0.0
    left = one.operands[0].shape
    return (
        2.0 * math.prod(one.shape) * math.prod(left[int(axis)] for axis in re.findall(r"\d+", contracted[1]))
    )


def _convolution(one: Instruction) -> float:
    """Count a convolution; products with padding and with the gaps of dilation are not computed."""
    labels, window = _LABELS.search(one.attributes), _WINDOW.search(one.attributes)
    assert labels is not None
    of_input, of_kernel, of_result = labels.groups()
    words = dict(word.split("=") for word in window[1].split()) if window else {}
    flops = 2.0 * one.shape[of_result.index("b")] * one.shape[of_result.index("f")]
    flops *= one.operands[1].shape[of_kernel.index("i")]
    for axis in filter(str.isdigit, of_result):

        def along(word: str, default: str, axis: str = axis) -> str:
            return words[word].split("x")[int(axis)] if word in words else default

        length, taps = (
            one.operands[0].shape[of_input.index(axis)],
            one.operands[1].shape[of_kernel.index(axis)],
        )
        stride, gap = int(along("stride", "1")), int(along("lhs_dilate", "1"))
        spread, before = int(along("rhs_dilate", "1")), int(along("pad", "0_0").split("_")[0])
        places = (
            place * stride + tap * spread - before
            for place in range(one.shape[of_result.index(axis)])
            for tap in range(taps)
        )
        flops *= sum(0 <= at <= (length - 1) * gap and at % gap == 0 for at in places)
    return flops


def estimated_cycles(program: Program) -> int:
    """Return the cycles a TPU chip computes for, by its compiler's cost model, loops counted; 0 where it writes none.

    The model knows arithmetic and the chip's own memory. Collectives have no cycles: those that nothing overlaps come
    on top, and so does the data-centre network.
    """
    cycles = 0
    for run in program.runs(instruction_flops):
        # A fusion's cycles are written on the fusion.
        if run.caller is None or run.caller.opcode != "fusion":
            found = _CYCLES.search(run.instruction.attributes)
            cycles += run.times * int(found[1]) if found else 0
    return cycles
