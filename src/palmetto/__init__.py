"""Palmetto trains a family of PaLM language models on your text and studies what scale bought.

Importing this package is light: JAX, lm_eval and plotting load only when a room that needs them is imported.
The map of the rooms is in CONTRIBUTING.md.
"""

__version__ = "0.1.0"
