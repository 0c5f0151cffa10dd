"""One table from the names of axes, of weights and activations, to the mesh axes that divide them (paper, section 4).

`pod` crosses the data-centre network and repeats the weights; `data` is fully sharded data parallelism; `model` is
tensor parallelism. PaLM 540B used 2 x 256 x 12.
"""

import jax
from jax.sharding import PartitionSpec
from jaxtyping import Array, Shaped

MESH_AXES = ("pod", "data", "model")

RULES: dict[str, tuple[str, ...]] = {
    # Weights. Keys and values have no `heads` axis: they are repeated over `model`.
    "layer": (),
    "vocab": (),
    "embed": ("data",),
    # Of the embedding, columns are cut both ways: put together over `data` they are what the residual stream of one
    # shard of `model` looks up, and PaLM's 256,000 rows are no multiple of its 12 shards.
    "embed_table": ("model", "data"),
    "embed_norm": (),
    "heads": ("model",),
    "head_dim": (),
    "ff": ("model",),
    # Activations. What is saved of a layer for the backward pass is its residual stream, divided over all devices.
    "batch": ("pod", "data"),
    "position": (),
    "residual": ("model",),
    "features": (),
    "table_rows": ("model",),
}
"""Mesh axes of each logical axis."""


def partition(*axes: str) -> PartitionSpec:
    """Return how an array with these logical axes is divided."""
    return PartitionSpec(*(RULES[axis] or None for axis in axes))


def ways(axis: str) -> int:
    """Return into how many parts the mesh that is set (`jax.set_mesh`) divides a logical axis; 1 without one."""
    mesh = jax.sharding.get_abstract_mesh()
    parts = 1
    for name in () if mesh.empty else RULES[axis]:
        parts *= mesh.shape[name]
    return parts


def on_mesh() -> bool:
    """Whether a mesh of several devices is set (`jax.set_mesh`)."""
    mesh = jax.sharding.get_abstract_mesh()
    return not mesh.empty and mesh.size > 1


def constrain(x: Shaped[Array, "..."], *axes: str) -> Shaped[Array, "..."]:
    """Tell the compiler how `x`, with these logical axes, is divided over the mesh that is set, if one is."""
    return jax.lax.with_sharding_constraint(x, partition(*axes)) if on_mesh() else x
