"""How fast training is, as appendix B of the paper counts it: MFU = tokens/s x FLOPs per token / peak FLOP/s."""

import time
from dataclasses import dataclass
from functools import cache

import jax
import jax.numpy as jnp

from palmetto.model.counts import FlopsPerToken

# Dense bfloat16 peak FLOP/s of one chip, from the makers' data sheets; v4 is the paper's figure (section 4.1).
_PEAKS = {
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5e": 197e12,
    "TPU v5p": 459e12,
    "TPU v6 lite": 918e12,
    "TPU v6e": 918e12,
    "NVIDIA A100-SXM4-40GB": 312e12,
    "NVIDIA A100-SXM4-80GB": 312e12,
    "NVIDIA H100 80GB HBM3": 989e12,
    "NVIDIA H200": 989e12,
}

_MEASUREMENTS = 25


@dataclass(frozen=True)
class Peak:
    """The most FLOP/s that the devices in use could do, and where the figure is from."""

    flops_per_second: float
    """All devices together."""

    source: str
    """`table` with the device's name, or how it was measured."""


@cache
def peak_flops() -> Peak:
    """Return the peak of all devices: from the table by device kind, else measured by a matrix product here."""
    devices = jax.devices()
    kind = devices[0].device_kind
    if kind in _PEAKS:
        return Peak(_PEAKS[kind] * len(devices), f"table: {kind}, bfloat16")
    size = 2048
    operand = jnp.ones((size, size), jnp.float32)
    product = jax.jit(jnp.matmul)
    product(operand, operand).block_until_ready()
    # Many short runs and the best of them: a pause of a shared machine must not lower the peak, which would flatter.
    best = float("inf")
    for _ in range(_MEASUREMENTS):
        start = time.perf_counter()
        product(operand, operand).block_until_ready()
        best = min(best, time.perf_counter() - start)
    # Fake devices share their process's threads, so a CPU counts once however many it is divided into.
    ways = jax.process_count() if devices[0].platform == "cpu" else len(devices)
    return Peak(
        2 * size**3 / best * ways,
        f"measured: best of {_MEASUREMENTS} float32 products of {size} x {size} on this machine",
    )


def utilisation(tokens_per_second: float, flops_per_token: float, peak: Peak) -> float:
    """Return model FLOPs utilisation in [0, 1] (appendix B)."""
    return tokens_per_second * flops_per_token / peak.flops_per_second


def causal_flops(flops: FlopsPerToken) -> float:
    """Return FLOPs per token with attention halved, since a causal mask discards half: peers differ in this."""
    return flops.dense + flops.attention / 2
