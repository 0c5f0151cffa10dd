"""PaLM as Hugging Face's `CohereForCausalLM`: which tensor holds which weight, and `config.json`.

The two models are the same function: a parallel block under one bias-less LayerNorm, SwiGLU, one head of keys and
values, interleaved rotary positions, tied embeddings and logits divided by sqrt(D) (paper, section 2). PyTorch
stores a kernel as (outputs, inputs), the transpose of ours; no rotary permutation is needed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from palmetto.common.errors import PalmettoError
from palmetto.model.config import ModelConfig
from palmetto.model.spec import named_parameters, parameter_specs

FINAL_NORM = "model.norm.weight"
"""Cohere's last norm has a learned scale, PaLM's has none: it is exported as ones [D]."""

EMBEDDING = "model.embed_tokens.weight"

_IN_A_LAYER = {
    "blocks.norm_scale": "input_layernorm.weight",
    "blocks.w_q": "self_attn.q_proj.weight",
    "blocks.w_k": "self_attn.k_proj.weight",
    "blocks.w_v": "self_attn.v_proj.weight",
    "blocks.w_o": "self_attn.o_proj.weight",
    "blocks.w_gate": "mlp.gate_proj.weight",
    "blocks.w_up": "mlp.up_proj.weight",
    "blocks.w_down": "mlp.down_proj.weight",
}


@dataclass(frozen=True)
class Tensor:
    """One tensor of the exported model."""

    name: str
    """Cohere's name."""

    shape: tuple[int, ...]
    """PyTorch's shape."""


def check_exportable(config: ModelConfig) -> None:
    """Refuse a model that Cohere cannot express.

    Raises:
        PalmettoError: its norm is not LayerNorm.
    """
    if config.norm != "layernorm":
        raise PalmettoError(
            f"{config.name}: model.norm is {config.norm!r}, which Hugging Face's CohereForCausalLM cannot express; "
            "only models trained with norm='layernorm' can be exported."
        )


def tensor_name(weight: str, layer: int) -> str:
    """Return Cohere's name of one of our weights (`blocks.w_q`), in a layer where it has one."""
    return EMBEDDING if weight == "embedding" else f"model.layers.{layer}.{_IN_A_LAYER[weight]}"


def as_cohere(weight: str, values: np.ndarray, config: ModelConfig) -> np.ndarray:
    """Return one layer of a weight, without the layer axis, in PyTorch's form.

    Queries [D, H, Q] become (H*Q, D), keys and values [D, Q] (Q, D), the attention output [H, Q, D] (D, H*Q), the
    SwiGLU kernels [D, F] and [F, D] their transposes; norm scales and rows of the embedding stay.
    """
    match weight:
        case "embedding" | "blocks.norm_scale":
            return values
        case "blocks.w_q":
            return values.reshape(config.d_model, -1).T
        case "blocks.w_o":
            return values.reshape(-1, config.d_model).T
        case _:
            return values.T


def cohere_tensors(config: ModelConfig) -> Iterator[Tensor]:
    """Yield all tensors in the order of the files: the embedding, the layers one after the other, the last norm."""
    D = config.d_model
    specs = named_parameters(parameter_specs(config))
    yield Tensor(EMBEDDING, specs["embedding"].shape)
    for layer in range(config.n_layers):
        for weight in _IN_A_LAYER:
            # A view of nothing: it tells the shape without holding a weight.
            shape = as_cohere(weight, np.broadcast_to(np.int8(0), specs[weight].shape[1:]), config).shape
            yield Tensor(tensor_name(weight, layer), shape)
    yield Tensor(FINAL_NORM, (D,))


def cohere_config(config: ModelConfig, eod_id: int, dtype: str) -> dict[str, Any]:
    """Return `config.json`. Every value is written out, since Cohere's defaults are those of another model."""
    return {
        "architectures": ["CohereForCausalLM"],
        "model_type": "cohere",
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "intermediate_size": config.d_ff,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": 1,
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "max_position_embeddings": config.sequence_length,
        "layer_norm_eps": config.norm_epsilon,
        "logit_scale": config.d_model**-0.5,
        # transformers 4 reads the first, transformers 5 the second.
        "rope_theta": config.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "tie_word_embeddings": True,
        "use_qk_norm": False,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "use_cache": True,
        "bos_token_id": eod_id,
        "eos_token_id": eod_id,
        # With a padding id PyTorch would never train that row of the embedding.
        "pad_token_id": None,
        "dtype": dtype,
        "torch_dtype": dtype,
    }


def generation_config(eod_id: int) -> dict[str, Any]:
    """Return `generation_config.json`: texts begin after `[eod]` and end with it."""
    return {"bos_token_id": eod_id, "eos_token_id": eod_id, "pad_token_id": eod_id}
