"""Reading programs: how often instructions run. Oracles: `range` for loops, branches and fusions written by hand."""

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmetto.pathways.hlo import ArrayType, Program

LOOP = """HloModule example

%step (n: s32[]) -> s32[] {{
  %n = s32[] parameter(0)
  %by = s32[] constant({step})
  ROOT %sum = s32[] add(%n, %by)
}}

%condition (arg: (s32[], f32[4])) -> pred[] {{
  %limit = s32[]{{:T(128)}} constant({limit})
  %arg = (s32[]{{:T(128)}}, f32[4]) parameter(0)
  %counter = s32[] get-tuple-element(%arg), index=0
  ROOT %lt = pred[] compare(%counter, %limit), direction=LT
}}

%body (arg.1: (s32[], f32[4])) -> (s32[], f32[4]) {{
  %arg.1 = (s32[], f32[4]) parameter(0)
  %counter.1 = s32[] get-tuple-element(%arg.1), index=0
  %x = f32[4] get-tuple-element(%arg.1), index=1
  %next = s32[] {advance}
  %y = f32[4] negate(%x)
  ROOT %out = (s32[], /*index=1*/f32[4]) tuple(%next, %y)
}}

ENTRY %main (a: f32[4]) -> f32[4] {{
  %a = f32[4] parameter(0)
  %first = s32[] constant({start})
  %copied = s32[] copy(%first)
  %init = (s32[], f32[4]) tuple(%copied, %a)
  %loop = (s32[], f32[4]) while(%init), condition=%condition, body=%body
  ROOT %last = f32[4] get-tuple-element(%loop), index=1
}}
"""


def times_of(program: Program, opcode: str) -> int:
    return sum(run.times for run in program.runs(lambda _: 0.0) if run.instruction.opcode == opcode)


@given(start=st.integers(-3, 20), limit=st.integers(-3, 40), step=st.integers(1, 5))
def test_a_loop_runs_as_often_as_python_counts(start: int, limit: int, step: int) -> None:
    fused = "fusion(%counter.1), kind=kLoop, calls=%step"
    program = Program(LOOP.format(start=start, limit=limit, step=step, advance=fused))
    assert times_of(program, "negate") == len(range(start, limit, step))


def test_a_counter_that_is_not_stepped_by_a_constant_leaves_the_trips_unknown() -> None:
    program = Program(LOOP.format(start=0, limit=9, step=1, advance="multiply(%counter.1, %counter.1)"))
    loop = next(run.instruction for run in program.runs(lambda _: 0.0) if run.instruction.opcode == "while")
    assert program.trips(loop) is None
    assert times_of(program, "negate") == 1


def test_what_an_asynchronous_operation_calls_runs_once() -> None:
    text = """HloModule example

%inner (p: f32[4]) -> f32[4] {
  %p = f32[4] parameter(0)
  ROOT %n = f32[4] negate(%p)
}

ENTRY %main (a: f32[4]) -> f32[4] {
  %a = f32[4] parameter(0)
  %start = ((f32[4]), f32[4], u32[]) async-start(%a), calls=%inner
  %middle = ((f32[4]), f32[4], u32[]) async-update(%start), calls=%inner
  ROOT %done = f32[4] async-done(%middle), calls=%inner
}
"""
    assert times_of(Program(text), "negate") == 1


def test_of_a_conditional_the_dearer_branch_runs() -> None:
    def either(x: jax.Array) -> jax.Array:
        return jax.lax.cond(x.sum() > 0, lambda x: jnp.sin(x) @ x, lambda x: x, x)

    text = jax.jit(either).lower(jax.ShapeDtypeStruct((16, 16), jnp.float32)).compile().as_text()
    assert text is not None
    assert times_of(Program(text), "dot") == 0  # by a cost that knows no dot both cost nothing
    dear = Program(text).runs(lambda one: float(one.opcode == "dot"))
    assert sum(run.times for run in dear if run.instruction.opcode == "dot") == 1


@pytest.mark.parametrize(
    ("dtype", "shape", "size"),
    [
        ("bf16", (3, 5), 30),
        ("f32", (), 4),
        ("pred", (7,), 7),
        ("f8e4m3fn", (9,), 9),
        ("u64", (2,), 16),
        ("token", (), 0),
    ],
)
def test_arrays_know_their_bytes(dtype: str, shape: tuple[int, ...], size: int) -> None:
    assert ArrayType(dtype, shape).bytes == size
