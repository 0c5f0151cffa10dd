"""Counting a compiled program's FLOPs: oracles are the products' own sizes, loops and branches multiplied by hand."""

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmetto.pathways.compiled_flops import compiled_flops


def compiled(function, *shapes: tuple[int, ...]) -> str:
    arguments = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    text = jax.jit(function).lower(*arguments).compile().as_text()
    assert text is not None
    return text


@settings(max_examples=5, deadline=None)
@given(rows=st.integers(2, 40), inner=st.integers(2, 40), columns=st.integers(2, 40), batch=st.integers(2, 5))
def test_a_product_is_two_flops_a_term(rows: int, inner: int, columns: int, batch: int) -> None:
    text = compiled(
        lambda a, b: jnp.einsum("bri,bci->brc", a, b), (batch, rows, inner), (batch, columns, inner)
    )
    assert compiled_flops(text).flops == 2 * batch * rows * inner * columns


def test_a_loop_counts_by_its_trips_and_loops_within_multiply() -> None:
    def nested(x: jax.Array) -> jax.Array:
        def inner(x: jax.Array, _: None) -> tuple[jax.Array, None]:
            return jnp.tanh(x @ x), None

        def outer(x: jax.Array, _: None) -> tuple[jax.Array, None]:
            return jnp.sin(jax.lax.scan(inner, x, length=5)[0]), None

        return jax.lax.scan(outer, x, length=7)[0]

    text = compiled(nested, (32, 32))
    counted = compiled_flops(text)
    assert counted.flops == 7 * 5 * 2 * 32**3
    assert counted.unknown_loops == ()


def test_of_a_conditionals_branches_the_dearest_counts() -> None:
    def either(x: jax.Array) -> jax.Array:
        return jax.lax.cond(x.sum() > 0, lambda x: x @ x @ x, lambda x: x @ x, x)

    assert compiled_flops(compiled(either, (32, 32))).flops == 2 * 2 * 32**3


def test_a_loop_that_stops_by_its_data_is_named_and_counted_once() -> None:
    def until(x: jax.Array) -> jax.Array:
        return jax.lax.while_loop(lambda x: x.sum() < 1e9, lambda x: x @ x + 1.0, x)

    counted = compiled_flops(compiled(until, (32, 32)))
    assert counted.flops == 2 * 32**3
    assert len(counted.unknown_loops) == 1


TPU = """HloModule example

%condition (arg: (s32[], f32[8,64,16])) -> pred[] {
  %limit = s32[]{:T(128)} constant(9)
  %arg = (s32[]{:T(128)}, f32[8,64,16]{2,1,0:T(8,128)}) parameter(0)
  %counter = s32[]{:T(128)} get-tuple-element(%arg), index=0
  ROOT %lt = pred[]{:T(512)} compare(%counter, %limit), direction=LT
}

%body (arg.1: (s32[], f32[8,64,16])) -> (s32[], f32[8,64,16]) {
  %arg.1 = (s32[]{:T(128)}, f32[8,64,16]{2,1,0:T(8,128)}) parameter(0)
  %counter.1 = s32[]{:T(128)} get-tuple-element(%arg.1), index=0
  %x = f32[8,64,16]{2,1,0:T(8,128)S(1)} get-tuple-element(%arg.1), index=1
  %y = f32[8,32,16]{2,1,0} constant({...})
  %dilated = f32[8,64,32]{2,1,0} convolution(%x, %y), window={size=8 stride=7 lhs_dilate=8}, dim_labels=0bf_0oi->0bf
  %padded = f32[64,4,8]{1,0,2} convolution(%p, %q), window={size=4 pad=3_3 rhs_reversal=1}, dim_labels=b0f_0oi->b0f
  %one = s32[]{:T(128)} constant(1)
  %next = s32[]{:T(128)} add(%counter.1, %one)
  ROOT %out = (s32[], f32[8,64,16]) tuple(%next, %x)
}

ENTRY %main (a: f32[64,16], b: f32[16,32]) -> f32[64,32] {
  %a = f32[64,16]{1,0:T(8,128)} parameter(0)
  %b = f32[16,32]{1,0:T(8,128)} parameter(1)
  %zero = s32[]{:T(128)} constant(0)
  %start = (s32[]{:T(128)}, f32[8,64,16]{2,1,0:T(8,128)}) tuple(%zero, %c)
  %loop = (s32[]{:T(128)}, f32[8,64,16]{2,1,0:T(8,128)}) while(%start), condition=%condition, body=%body
  %kernel = f32[64,32]{1,0} custom-call(%a, %b), custom_call_target="tpu_custom_call"
  ROOT %plain = f32[64,32]{1,0:T(8,128)} convolution(%a, %b), dim_labels=bf_io->bf
}
"""


def test_a_tpus_convolutions_count_the_terms_that_are_neither_padding_nor_gaps() -> None:
    """Batches of products come as windows of which one position meets the input: 8 products, 1 and 4 of them."""
    text = TPU.replace("%p, %q", "%left, %right").replace(
        "  %dilated",
        "  %left = f32[64,1,16]{2,1,0} constant({...})\n  %right = f32[4,8,16]{2,1,0} constant({...})\n  %dilated",
    )
    counted = compiled_flops(text)
    one_trip = 8 * (2 * 64 * 16 * 32) + 4 * (2 * 64 * 16 * 8)
    assert counted.flops == 9 * one_trip + 2 * 64 * 16 * 32
    assert counted.unknown_loops == ()
    assert counted.uncounted_calls == ("tpu_custom_call",)


def test_a_product_handed_to_a_gpus_library_counts() -> None:
    text = """HloModule example

ENTRY %main (a: bf16[64,16], b: bf16[16,32]) -> bf16[64,32] {
  %a = bf16[64,16]{1,0} parameter(0)
  %b = bf16[16,32]{1,0} parameter(1)
  %gemm = (bf16[64,32]{1,0}, s8[4096]{0}) custom-call(%a, %b), custom_call_target="__cublas$gemm", backend_config={"gemm_backend_config":{"dot_dimension_numbers":{"lhs_contracting_dimensions":["1"],"rhs_contracting_dimensions":["0"]}}}
  ROOT %out = bf16[64,32]{1,0} get-tuple-element(%gemm), index=0
}
"""  # noqa: E501
    assert compiled_flops(text).flops == 2 * 64 * 16 * 32


def test_a_text_without_an_entry_is_refused() -> None:
    with pytest.raises(ValueError, match="no ENTRY computation"):
        compiled_flops("HloModule nothing")
