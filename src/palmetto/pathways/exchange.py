"""What hosts of one rank send each other: the blocks of sharded arrays that a process holds.

Hosts of equal rank hold the same blocks on every island, because the islands' meshes are equal; so blocks travel
without names, in a fixed order, one to one between hosts (PaLM, section 4). Blocks are found by the arrays'
addressable shards, never by a process's number. The object store sends what is large in chunks (of 5 MB, Ray's).
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Shaped

Bounds = tuple[tuple[int, int], ...]
"""Where a block lies in its array: begin and end along every axis."""

Blocks = list[Shaped[np.ndarray, "..."]]
"""The blocks of a tree that a process holds, in the order of `layout`."""


def _bounds(index: Any, shape: tuple[int, ...]) -> Bounds:
    return tuple(part.indices(length)[:2] for part, length in zip(index, shape, strict=True))


def layout(tree: Any) -> list[tuple[int, Bounds]]:
    """Return the distinct blocks that this process holds of a tree of arrays, abstract or not, with shardings.

    Returns:
        For each block which leaf it is of, and where it lies in it.
    """
    found = set()
    for number, leaf in enumerate(jax.tree.leaves(tree)):
        for index in leaf.sharding.addressable_devices_indices_map(leaf.shape).values():
            found.add((number, _bounds(index, leaf.shape)))
    return sorted(found)


def pack(tree: Any, *, half: bool = False) -> Blocks:
    """Return the blocks of this process; with `half` the upper halves of float32: exact for what bfloat16 can hold."""
    held = {
        (number, _bounds(shard.index, leaf.shape)): shard.data
        for number, leaf in enumerate(jax.tree.leaves(tree))
        for shard in leaf.addressable_shards
    }
    blocks = [np.asarray(held[place]) for place in layout(tree)]
    return [(block.view(np.uint32) >> 16).astype(np.uint16) for block in blocks] if half else blocks


def place(blocks: Blocks, abstract: Any) -> Any:
    """Return what `pack` packed, on this process's devices; `abstract` has this island's shardings."""
    # In memory of its own: what the object store hands out lies where others read.
    own = [
        (block.astype(np.uint32) << 16).view(np.float32) if block.dtype == np.uint16 else np.array(block)
        for block in blocks
    ]
    held = dict(zip(layout(abstract), own, strict=True))
    leaves, structure = jax.tree.flatten(abstract)

    def array(number: int, leaf: Any) -> jax.Array:
        return jax.make_array_from_callback(
            leaf.shape, leaf.sharding, lambda index: held[number, _bounds(index, leaf.shape)]
        )

    return jax.tree.unflatten(structure, [array(number, leaf) for number, leaf in enumerate(leaves)])


def cut(wholes: Sequence[Shaped[np.ndarray, "..."]], where: list[tuple[int, Bounds]]) -> Blocks:
    """Return views of whole arrays, also of a scalar: the blocks that a host with this layout holds."""
    edges: list[tuple[int, Any]] = [
        (number, (*(slice(*edge) for edge in bounds), ...)) for number, bounds in where
    ]
    return [wholes[number][edge] for number, edge in edges]


def digest(blocks: Blocks) -> str:
    """Return the SHA-256 of blocks, as hexadecimal digits."""
    sha = hashlib.sha256()
    for block in blocks:
        sha.update(np.ascontiguousarray(block).data)
    return sha.hexdigest()
