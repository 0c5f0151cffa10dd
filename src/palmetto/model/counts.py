"""Parameters and FLOPs from the shapes alone (paper, table 1 and appendix B); nothing is allocated."""

import math
from dataclasses import dataclass, replace

from palmetto.model.attention import causal_share
from palmetto.model.config import ModelConfig
from palmetto.model.execution import Rematerialisation
from palmetto.model.spec import ParameterSpec, named_parameters, parameter_specs


def count_parameters(config: ModelConfig) -> int:
    """Return the number of weights [N], the tied embedding counted once."""
    specs: list[ParameterSpec] = list(named_parameters(parameter_specs(config)).values())
    return sum(math.prod(spec.shape) for spec in specs)


@dataclass(frozen=True)
class FlopsPerToken:
    """FLOPs to train on one token, as appendix B counts them (no halving for causality)."""

    dense: float
    """6N: two FLOPs a weight forward and four backward."""

    attention: float
    """12·L·H·Q·T: the two products of self-attention over T positions, forward and backward."""

    recomputed: float
    """What rematerialisation adds; it counts for hardware FLOPs only."""

    @property
    def model(self) -> float:
        """FLOPs that MFU counts."""
        return self.dense + self.attention

    @property
    def hardware(self) -> float:
        """FLOPs that HFU counts."""
        return self.model + self.recomputed


def flops_per_token(config: ModelConfig, rematerialisation: Rematerialisation = "none") -> FlopsPerToken:
    """Return the training FLOPs of one token at the config's sequence length, as appendix B counts them.

    `full` is the paper's: all of attention's forward FLOPs again and three quarters of the others. What this
    implementation computes again is `implemented_flops_per_token`.
    """
    n = count_parameters(config)
    attention_forward = 4.0 * config.n_layers * config.n_heads * config.head_dim * config.sequence_length
    recomputed = {
        "none": 0.0,
        "attention": attention_forward,
        "full": 0.75 * 2 * n + attention_forward,
    }[rematerialisation]
    return FlopsPerToken(dense=6.0 * n, attention=3 * attention_forward, recomputed=recomputed)


def implemented_flops_per_token(
    config: ModelConfig, rematerialisation: Rematerialisation = "none"
) -> FlopsPerToken:
    """Return the training FLOPs of one token as this program computes it, with XLA's attention.

    Queries meet no more of what the causal mask hides than `causal_pieces` leaves in. The backward pass needs the
    operands of every product and not its result, so the last products of what is recomputed are never made again:
    under `attention` the scores but not their product with the values; under `full` all but the two output kernels,
    whose results only enter the residual stream (docs/rematerialisation.md).
    """
    D, F = config.d_model, config.d_ff
    query_width = config.n_heads * config.head_dim
    scores = 2.0 * query_width * config.sequence_length * causal_share(config.sequence_length)
    inputs_of_block = 2.0 * D * (query_width + 2 * config.head_dim + 2 * F)
    a_layer = {"none": 0.0, "attention": scores, "full": inputs_of_block + 2 * scores}[rematerialisation]
    paper = flops_per_token(config)
    # Two products forward and four backward, each of the scores' size.
    return replace(paper, attention=config.n_layers * 6 * scores, recomputed=config.n_layers * a_layer)
