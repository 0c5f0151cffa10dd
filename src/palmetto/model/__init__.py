"""The PaLM language model (paper, section 2) as plain JAX: one parameter spec tree and pure functions over it.

`spec` says of every weight its shape, logical axes and initialisation; initialisation, sharding, abstract
shapes, counts, FLOPs and export all derive from it. `forward` is the parallel block. Every later room may call
this one; it calls only `common`.
"""
