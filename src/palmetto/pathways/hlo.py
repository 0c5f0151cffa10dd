"""Reads the text of a compiled program (optimised HLO), and says how often each of its instructions runs.

XLA's own `cost_analysis` counts the body of a loop once, so that a model whose layers are a loop seems to have one
layer. Whatever is counted of a program here (FLOPs, bytes sent, estimated cycles) is counted by `Program.runs`.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_INSTRUCTION = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = (.*)$")
_ARRAY = re.compile(r"(\w+)\[([\d,]*)\]")
_OPCODE = re.compile(r"\s*([\w\-]+)\((.*)$")
_LOOP_PARTS = re.compile(r"(body|condition)=%?([\w.\-]+)")
_CALLED = re.compile(r"(?:calls|to_apply|true_computation|false_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_CONSTANT = re.compile(r"[su]\d+\[\]\S* constant\((-?\d+)\)")
_INDEX = re.compile(r"\bindex=(\d+)")
_NUMBER = re.compile(r"\d+")

Argument = Callable[[int, int | None], int | None]
"""What is known of a computation's parameters: (number, element of a tuple) -> its integer."""


@dataclass(frozen=True)
class ArrayType:
    """Type and lengths of one array, as one device holds it."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Numbers in it."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes of its numbers, without what a layout pads."""
        bits = re.search(r"\d+", self.dtype)
        return self.size * (max(8, int(bits[0])) // 8 if bits else 1) if self.dtype != "token" else 0


@dataclass(frozen=True, eq=False)
class Instruction:
    """One line of a computation."""

    name: str
    opcode: str
    results: tuple[ArrayType, ...]
    """The arrays of its result: several where that is a tuple."""

    operands: tuple["Instruction", ...] = field(repr=False)
    """What it reads; an unknown one has neither opcode nor results."""

    attributes: str = field(repr=False)
    """The rest of the line, from the operands on."""

    constant: int | None = None
    """The value of an integer constant."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the first result: of a tuple the others are scratch space."""
        return self.results[0].shape if self.results else ()


@dataclass(frozen=True)
class Run:
    """An instruction, and how often one run of the program runs it."""

    instruction: Instruction
    times: int

    caller: Instruction | None
    """The fusion, call, loop or conditional it is in; None in the program's entry."""

    computation: str
    """Name of the computation it stands in."""


class Program:
    """A whole compiled program, as one device runs it."""

    def __init__(self, text: str) -> None:
        """Read it.

        Raises:
            ValueError: the text is not a whole HLO module.
        """
        self._computations: dict[str, dict[str, Instruction]] = {}
        self._roots: dict[str, Instruction] = {}
        entry, name, here = None, "", dict[str, Instruction]()
        for line in text.splitlines():
            if start := _COMPUTATION.match(line):
                name = start[2]
                here = self._computations[name] = {}
                entry = name if start[1] else entry
            elif (found := _INSTRUCTION.match(line)) and (made := _instruction(found[2], found[3], here)):
                here[made.name] = made
                if found[1]:
                    self._roots[name] = made
        if entry is None:
            raise ValueError("The text has no ENTRY computation; pass the whole text of a compiled program.")
        self._entry = entry

    def runs(self, cost: Callable[[Instruction], float]) -> Iterator[Run]:
        """Yield every instruction that runs, what calls another computation before what that holds.

        Of the branches of a conditional only one runs: the dearest by `cost` is taken. A loop whose trips the text
        does not say runs once.
        """
        return self._runs_of(self._entry, 1, None, cost)

    def _runs_of(
        self, name: str, times: int, caller: Instruction | None, cost: Callable[[Instruction], float]
    ) -> Iterator[Run]:
        for one in self._computations[name].values():
            yield Run(one, times, caller, name)
            if one.opcode == "while":
                trips = self.trips(one)
                again = times * (1 if trips is None else trips)
                yield from self._runs_of(dict(_LOOP_PARTS.findall(one.attributes))["body"], again, one, cost)
            elif branches := self._branches(one):

                def price(branch: str) -> float:
                    inside = self._runs_of(branch, 1, None, cost)
                    return sum(run.times * cost(run.instruction) for run in inside)

                yield from self._runs_of(max(branches, key=price), times, one, cost)
            elif not one.opcode.endswith(("-done", "-update")):  # these repeat what their -start calls
                for called in _CALLED.findall(one.attributes):
                    yield from self._runs_of(called, times, one, cost)

    def instructions(self, computation: str) -> Iterable[Instruction]:
        """Return the instructions of a computation in their order."""
        return self._computations[computation].values()

    def trips(self, loop: Instruction) -> int | None:
        """Return how often a loop's body runs, or None if the text does not say.

        Where the compiler does not state it (a TPU's does not), the condition's limit, the start and the step are read.
        A step may be above 1: a product done window by window takes two windows a trip.
        """
        if stated := _TRIPS.search(loop.attributes):
            return int(stated[1])
        parts = dict(_LOOP_PARTS.findall(loop.attributes))
        compare = self._roots[parts["condition"]]
        if compare.opcode != "compare" or "direction=LT" not in compare.attributes:
            return None
        counter, bound = compare.operands
        index = _INDEX.search(counter.attributes)
        if index is None:
            return None
        part = int(index[1])

        def at_start(_: int, element: int | None) -> int | None:
            return self._integer(loop.operands[0], lambda *_: None, element)

        start, limit = at_start(0, part), self._integer(bound, at_start)
        step = self._integer(
            self._roots[parts["body"]], lambda _, at: 0 if at == part else at_start(0, at), part
        )
        if start is None or limit is None or not step or step < 0:
            return None
        return max(0, -(-(limit - start) // step))

    def _integer(self, one: Instruction, argument: Argument, part: int | None = None) -> int | None:
        """Return the integer that an instruction, or element `part` of its tuple, holds; None if unknown."""
        if one.opcode == "constant":
            return one.constant
        if one.opcode == "parameter" and (number := _NUMBER.match(one.attributes)):
            return argument(int(number[0]), part)
        if one.opcode == "get-tuple-element" and (index := _INDEX.search(one.attributes)):
            return self._integer(one.operands[0], argument, int(index[1]))
        if one.opcode == "tuple" and part is not None:
            return self._integer(one.operands[part], argument)
        if one.opcode in ("copy", "bitcast", "convert", "reshape"):
            return self._integer(one.operands[0], argument)
        if one.opcode == "add":
            left, right = (self._integer(operand, argument) for operand in one.operands)
            return None if left is None or right is None else left + right
        if one.opcode == "fusion":
            root = self._roots[_CALLED.findall(one.attributes)[0]]
            return self._integer(
                root, lambda at, element: self._integer(one.operands[at], argument, element), part
            )
        return None

    @staticmethod
    def _branches(one: Instruction) -> list[str]:
        if several := _BRANCHES.search(one.attributes):
            return re.findall(r"%([\w.\-]+)", several[1])
        return _CALLED.findall(one.attributes) if one.opcode == "conditional" else []


def _instruction(name: str, text: str, here: dict[str, Instruction]) -> Instruction | None:
    """Read one line, `text` being its type, opcode, operands and attributes; None if it is no instruction."""
    end = _end_of_type(text)
    operation = _OPCODE.match(text[end:])
    if operation is None:
        return None
    results = tuple(
        ArrayType(dtype, tuple(int(length) for length in lengths.split(",") if length))
        for dtype, lengths in _ARRAY.findall(text[:end])
    )
    names = re.findall(r"%([\w.\-]+)", operation[2].split("), ")[0])
    operands = tuple(here.get(word, Instruction(word, "", (), (), "")) for word in names)
    constant = _CONSTANT.match(text)
    return Instruction(
        name, operation[1], results, operands, operation[2], int(constant[1]) if constant else None
    )


def _end_of_type(text: str) -> int:
    """Return where the type ends: at the first space outside of brackets."""
    depth = 0
    for position, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == " " and depth == 0:
            return position
    return len(text)
