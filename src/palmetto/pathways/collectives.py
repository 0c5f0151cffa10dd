"""What a compiled step sends between devices: by mesh axis and kind, how often and how many bytes, loops counted."""

import math
import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from palmetto.pathways.compiled_flops import instruction_flops
from palmetto.pathways.hlo import Instruction, Program, Run

_KINDS = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute", "send")
_LISTED = re.compile(r"replica_groups=\{(\{.*?\})?\}(?=,|$)")
_COUNTED = re.compile(r"replica_groups=\[([\d,]+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?")
_NAMED = re.compile(
    r"replica_groups=mesh\[(.*?)\](?:, device_ids=\(\[([\d,]+)\](?:T\(([\d,]+)\))?\))? \{(.*?)\}"
)
_PAIRS = re.compile(r"source_target_pairs=\{\{(.*?)\}\}")
_SLICES = re.compile(r'_xla_megascale_target="\{([\d,]*)\}')
_BETWEEN_SLICES = re.compile(r'_xla_megascale_transfer_type="(\w+)"')
_IN_ASYNC_FUSION = '"async_collective_fusion_config"'


@dataclass(frozen=True)
class Collective:
    """All collectives of one kind over the same mesh axes."""

    axes: tuple[str, ...]
    """Mesh axes the devices that take part differ in."""

    kind: str
    """What is done: `all-gather`, `reduce-scatter`, `all-reduce`, `all-to-all`, `collective-permute`."""

    blocking: bool
    """Whether nothing else is computed meanwhile; else it is started early and waited for later."""

    count: int
    """How often a step does it."""

    array_bytes: int
    """Bytes of the whole arrays that are gathered, reduced or sent, as each device sees them."""

    sent_bytes: int
    """Bytes that each device sends, by the ring: of an array of N bytes over n devices (n-1)/n N, and twice that for an
    all-reduce."""

    crossing_bytes: int
    """Of those, what has to leave the device's pod, at the least: reduced within the pod before it is sent."""


def collectives(program: Program, mesh: dict[str, int]) -> list[Collective]:
    """Return the collectives of a step, those that send the most first.

    Args:
        program: the step as one device runs it.
        mesh: length of each mesh axis, the outermost first; devices are numbered through it. Where the compiler makes
            one program a pod (TPU), numbers are those within a pod.
    """
    totals: dict[tuple[tuple[str, ...], str, bool], list[int]] = {}
    for run in program.runs(instruction_flops):
        if found := _collective(program, run, mesh):
            key, amounts = found
            total = totals.setdefault(key, [0, 0, 0, 0])
            for index, amount in enumerate((1, *amounts)):
                total[index] += run.times * amount
    made = [Collective(*key, *total) for key, total in totals.items()]
    return sorted(made, key=lambda one: (-one.sent_bytes, one.axes, one.kind, one.blocking))


def _collective(
    program: Program, run: Run, mesh: dict[str, int]
) -> tuple[tuple[tuple[str, ...], str, bool], tuple[int, int, int]] | None:
    """Return ((axes, kind, blocking), (bytes of the array, sent, crossing pods)) of an instruction that starts one."""
    one = run.instruction
    kind = one.opcode.removesuffix("-start")
    if kind not in _KINDS:
        return None
    read = sum(array.bytes for operand in one.operands for array in operand.results)
    if kind == "send":
        # Between a TPU's pods goes what the host takes from the chip.
        between, slices = _BETWEEN_SLICES.search(one.attributes), _SLICES.search(one.attributes)
        if not between or not slices:
            return None
        kind, pods = between[1].lower().replace("_", "-"), len(slices[1].split(","))
        return (("pod",), kind, False), (read, _sent(kind, read, pods), _sent(kind, read, pods))
    overlapped, fused = one.opcode != kind, run.caller is not None and run.caller.opcode == "fusion"
    if fused and _IN_ASYNC_FUSION in one.attributes:
        # One collective stands in three fusions: where it starts, beside what is computed meanwhile, where it ends.
        if not any(
            '"AsyncCollectiveStart"' in other.attributes for other in program.instructions(run.computation)
        ):
            return None
        overlapped = True
    elif kind == "all-reduce" and fused and run.caller and run.caller.results[0].size < one.results[0].size:
        kind = "reduce-scatter"  # of what is reduced inside a fusion each device keeps a share: a TPU's form of it
    groups = _groups(one, math.prod(mesh.values()))
    places = dict(zip(mesh, np.unravel_index(groups, tuple(mesh.values())), strict=True))
    axes = tuple(axis for axis, at in places.items() if (at != at[:, :1]).any())
    if not axes:
        return None
    if kind == "collective-permute":
        crossing = float((places["pod"][:, 0] != places["pod"][:, 1]).mean())
        return (axes, kind, not overlapped), (read, read, int(read * crossing))
    members, apart = groups.shape[1], len(set(places["pod"][0].tolist()))
    part = read if kind in ("all-gather", "all-to-all") else read // (members // apart)
    array = read * members if kind == "all-gather" else read
    return (axes, kind, not overlapped), (array, _sent(kind, read, members), _sent(kind, part, apart))


def _sent(kind: str, read: int, members: int) -> int:
    """Return the bytes that each of so many devices sends of a collective to which it brings `read`."""
    if kind == "all-gather":
        return read * (members - 1)
    return (2 if kind == "all-reduce" else 1) * read * (members - 1) // members


def _groups(one: Instruction, devices: int) -> Int[np.ndarray, "G N"]:
    """Return the first group of devices that exchange, which stands for all; of a permutation, all pairs."""
    text = one.attributes
    if pairs := _PAIRS.search(text):
        return np.array([pair.split(",") for pair in pairs[1].split("},{")], dtype=int)
    if counted := _COUNTED.search(text):
        shape, order, turned = (_numbers(part) for part in counted.groups())
        return _turned(order, turned).reshape(shape)[:1]
    if named := _NAMED.search(text):
        sizes = [int(part.split("=")[1]) for part in named[1].split(",")]
        order, turned = _numbers(named[2]) or tuple(sizes), _numbers(named[3])
        grid, chosen = _turned(order, turned).reshape(sizes), re.findall(r"'([^']+)'", named[4])
        names = re.findall(r"'([^']+)'", named[1])
        inside = tuple(slice(None) if name in chosen else 0 for name in names)
        return grid[inside].reshape(1, -1)
    listed = _LISTED.search(text)
    if listed and listed[1]:
        return np.array([listed[1].partition("}")[0].strip("{").split(",")], dtype=int)
    return np.arange(devices)[None]


def _turned(shape: tuple[int, ...], order: tuple[int, ...]) -> Int[np.ndarray, "..."]:
    numbers = np.arange(math.prod(shape)).reshape(shape)
    return numbers.transpose(order) if order else numbers


def _numbers(text: str | None) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(",")) if text else ()
