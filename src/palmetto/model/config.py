"""What distinguishes one PaLM model from another: a few integers (paper, table 1)."""

from dataclasses import dataclass
from typing import Literal

from palmetto.common.errors import PalmettoError


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a PaLM model. Letters in brackets are the ones used for axes throughout the code."""

    name: str
    """Name of the size, such as `palm_8b`."""

    n_layers: int
    """Parallel blocks [L]."""

    d_model: int
    """Width of the residual stream [D]."""

    n_heads: int
    """Query heads [H]; keys and values have one head shared by all (multi-query attention, section 2)."""

    head_dim: int
    """Size of a head [Q]; heads x size need not equal `d_model`."""

    vocab_size: int
    """Rows of the embedding, which is also the output matrix [V]."""

    sequence_length: int
    """Tokens the model is trained on at once [S]; 2,048 in the paper."""

    norm: Literal["layernorm", "rmsnorm"] = "layernorm"
    """`layernorm`: as the paper says, without bias. `rmsnorm`: no mean removed and a stored scale s used as
    (1 + s), as in Google's released inference code."""

    norm_epsilon: float = 1e-6
    """Added to the variance under the root."""

    rope_theta: float = 10_000.0
    """Base of the rotary position angles."""

    compute_dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of the matrix products; weights, norms, softmax and logits stay float32. `auto` is bfloat16 on TPU and
    GPU, float32 on CPU."""

    def __post_init__(self) -> None:
        lengths = {
            "n_layers": self.n_layers,
            "d_model": self.d_model,
            "n_heads": self.n_heads,
            "head_dim": self.head_dim,
            "vocab_size": self.vocab_size,
            "sequence_length": self.sequence_length,
        }
        for field, length in lengths.items():
            if length < 1:
                raise PalmettoError(
                    f"ModelConfig.{field} is {length} for {self.name}; it must be at least 1."
                )
        # A config may come from a file, where no type checker has seen these words.
        for field, word, known in (
            ("norm", self.norm, ("layernorm", "rmsnorm")),
            ("compute_dtype", self.compute_dtype, ("auto", "float32", "bfloat16")),
        ):
            if word not in known:
                raise PalmettoError(
                    f"ModelConfig.{field} is {word!r} for {self.name}; it is one of {', '.join(known)}."
                )
        if self.head_dim % 2:
            raise PalmettoError(
                f"ModelConfig.head_dim is {self.head_dim} for {self.name}; rotary positions turn pairs of values, "
                "so it must be even."
            )

    @property
    def d_ff(self) -> int:
        """Hidden width of the SwiGLU layer [F]: four times `d_model` (released code; reproduces table 1)."""
        return 4 * self.d_model
