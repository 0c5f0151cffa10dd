"""The training loss: mean token cross-entropy plus z-loss (paper, section 5). No label smoothing."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from palmetto.model.config import ModelConfig
from palmetto.model.forward import hidden_states, output_logits
from palmetto.model.spec import Parameters

Z_LOSS_WEIGHT = 1e-4  # section 5: 10^-4 · log² Z


class LossParts(NamedTuple):
    """Means over the tokens of a batch."""

    cross_entropy: Float[Array, ""]  # nats a token
    z_loss: Float[Array, ""]  # 1e-4 · log² Z, already weighted


def token_losses(
    logits: Float[Array, "*A V"], targets: Int[Array, "*A"]
) -> tuple[Float[Array, "*A"], Float[Array, "*A"]]:
    """Return each token's cross-entropy in nats and its log Z, both float32."""
    log_z = jax.nn.logsumexp(logits, axis=-1)
    chosen = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    return log_z - chosen, log_z


def batch_loss(
    parameters: Parameters, records: Int[Array, "B T"], config: ModelConfig
) -> tuple[Float[Array, ""], LossParts]:
    """Return the loss of records of `sequence_length` + 1 tokens, and its parts."""
    hidden = hidden_states(parameters, records[:, :-1], config)
    losses, log_z = token_losses(output_logits(parameters, hidden, config), records[:, 1:])
    parts = LossParts(losses.mean(), Z_LOSS_WEIGHT * jnp.square(log_z).mean())
    return parts.cross_entropy + parts.z_loss, parts
