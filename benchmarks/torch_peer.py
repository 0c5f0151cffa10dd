"""The peer of `train.py`: the same PaLM trained by PyTorch and Hugging Face transformers.

PaLM is exactly transformers' `CohereForCausalLM`: a parallel block with one LayerNorm without bias, SwiGLU, one
key-value head, interleaved rotary positions, tied embeddings and scaled logits. The optimizer is the same Adafactor
without factorisation, in plain PyTorch with the fewest passes over memory that its separate operations allow.
"""

import math
import os
import time

import numpy as np
import torch
from transformers import CohereConfig, CohereForCausalLM

from palmetto.model.config import ModelConfig
from palmetto.training.loss import Z_LOSS_WEIGHT
from palmetto.training.optimizer import OptimizerConfig

Tensors = list[torch.Tensor]


def cohere(config: ModelConfig) -> CohereForCausalLM:
    """Return the model of `config`; PaLM has no scale on its last norm, so that of Cohere stays at 1."""
    model = CohereForCausalLM(
        CohereConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.d_model,
            intermediate_size=config.d_ff,
            num_hidden_layers=config.n_layers,
            num_attention_heads=config.n_heads,
            num_key_value_heads=1,
            head_dim=config.head_dim,
            logit_scale=config.d_model**-0.5,
            layer_norm_eps=config.norm_epsilon,
            max_position_embeddings=config.sequence_length,
            rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
            use_qk_norm=False,
            attention_bias=False,
            tie_word_embeddings=True,
            use_cache=False,
            bos_token_id=None,
            eos_token_id=None,
            pad_token_id=None,  # a padding id would keep its row of the embedding from learning
        )
    )
    model.model.norm.weight.requires_grad_(False)
    return model.train()


def load_weights(model: CohereForCausalLM, weights: dict[str, np.ndarray], config: ModelConfig) -> None:
    """Copy Palmetto's stacked weights (`blocks.w_q` [L, D, H, Q], ...) into the model; `Linear` is [out, in]."""
    state = {"model.embed_tokens.weight": weights["embedding"], "lm_head.weight": weights["embedding"]}
    state["model.norm.weight"] = np.ones(config.d_model, np.float32)
    names = {
        "w_q": "self_attn.q_proj",
        "w_k": "self_attn.k_proj",
        "w_v": "self_attn.v_proj",
        "w_o": "self_attn.o_proj",
        "w_gate": "mlp.gate_proj",
        "w_up": "mlp.up_proj",
        "w_down": "mlp.down_proj",
    }
    for layer in range(config.n_layers):
        prefix = f"model.layers.{layer}"
        state[f"{prefix}.input_layernorm.weight"] = weights["blocks.norm_scale"][layer]
        for ours, theirs in names.items():
            kernel = weights[f"blocks.{ours}"][layer]
            ins = config.n_heads * config.head_dim if ours == "w_o" else kernel.shape[0]
            state[f"{prefix}.{theirs}.weight"] = kernel.reshape(ins, -1).T
    model.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in state.items()})


def loss_of(
    model: CohereForCausalLM, tokens: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the training loss and its cross-entropy. One log-softmax serves both terms: log Z = x[t] - log p[t]."""
    logits = model(tokens, use_cache=False).logits.float()
    log_p = torch.log_softmax(logits, dim=-1).gather(-1, targets[..., None])
    log_z = logits.gather(-1, targets[..., None]) - log_p
    entropy = -log_p.mean()
    return entropy + Z_LOSS_WEIGHT * log_z.square().mean(), entropy.detach()


def adafactor(
    parameters: Tensors,
    slopes: Tensors,
    momentum: Tensors,
    second: Tensors,
    now: dict[str, torch.Tensor],
    config: OptimizerConfig,
) -> None:
    """Make one update in place: the seven steps of `palmetto.training.optimizer`, a tensor being one layer's."""
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(slopes)))
    clip = torch.clamp(config.clip_global_norm / norm.clamp_min(torch.finfo(torch.float32).tiny), max=1.0)
    # The clip and the root of (1 - beta2) go into one pass over the gradients.
    root = (1.0 - now["beta2"]).sqrt()
    torch._foreach_mul_(slopes, clip * root)
    torch._foreach_mul_(second, now["beta2"])
    torch._foreach_addcmul_(second, slopes, slopes)
    torch._foreach_add_(second, (1.0 - now["beta2"]) * config.epsilon)
    torch._foreach_div_(slopes, torch._foreach_sqrt(second))
    factors = []
    for p, size, length in zip(
        parameters, torch._foreach_norm(slopes), torch._foreach_norm(parameters), strict=True
    ):
        sides = math.sqrt(p.numel())
        bound = torch.clamp(size / (sides * root * config.clip_update_rms), min=1.0)
        scale = torch.clamp(length / sides, min=config.minimum_parameter_rms)
        factors.append(now["learning_rate"] * scale / (bound * root))
    torch._foreach_mul_(slopes, factors)
    torch._foreach_lerp_(momentum, slopes, 1.0 - config.beta1)
    torch._foreach_mul_(parameters, 1.0 - now["decay"])
    torch._foreach_sub_(parameters, momentum)


class TorchTrainer:
    """Trains the peer; `step` returns when the update is made."""

    def __init__(
        self,
        config: ModelConfig,
        optimizer: OptimizerConfig,
        weights: dict[str, np.ndarray],
        *,
        bfloat16: bool,
        compiled: bool,
        deterministic: bool,
    ) -> None:
        torch.set_num_threads(int(os.environ["NPROC"]))
        torch.use_deterministic_algorithms(deterministic)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._type = torch.bfloat16 if bfloat16 else torch.float32
        self._optimizer = optimizer
        model = cohere(config)
        load_weights(model, weights, config)
        self._model = model.to(self.device)
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self._momentum = [torch.zeros_like(p) for p in self._parameters]
        self._second = [torch.zeros_like(p) for p in self._parameters]
        self._updates = 0
        self._loss, self._update = (
            (torch.compile(loss_of), torch.compile(adafactor)) if compiled else (loss_of, adafactor)
        )

    def step(self, records: np.ndarray) -> float:
        """Make one update from records [B, S + 1]; return the cross-entropy before it."""
        tokens = torch.from_numpy(records).long().to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._type is torch.bfloat16):
            loss, entropy = self._loss(self._model, tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        with torch.no_grad():
            slopes = [p.grad for p in self._parameters]
            self._update(
                self._parameters, slopes, self._momentum, self._second, self._constants(), self._optimizer
            )
        self._model.zero_grad(set_to_none=True)
        return float(entropy)

    def _constants(self) -> dict[str, torch.Tensor]:
        """Return this update's constants as tensors: as numbers they would compile the update anew each time."""
        done, schedule = self._updates, self._optimizer.learning_rate
        self._updates += 1
        rate = schedule.peak * math.sqrt(schedule.plateau_steps / max(done + 1, schedule.plateau_steps))
        numbers = {
            "learning_rate": rate,
            "decay": rate**self._optimizer.weight_decay_exponent,
            "beta2": 1.0 - (done + 1) ** -self._optimizer.beta2_exponent,
        }
        return {name: torch.tensor(number, device=self.device) for name, number in numbers.items()}

    def peak(self) -> float:
        """Return the best FLOP/s of several products in this trainer's type: what this library can reach here."""
        size = 2048 if self.device.type == "cpu" else 8192
        operand = torch.ones((size, size), dtype=self._type, device=self.device)
        best = math.inf
        for _ in range(25):
            start = time.perf_counter()
            operand @ operand
            if self.device.type == "cuda":
                torch.cuda.synchronize()
            best = min(best, time.perf_counter() - start)
        return 2 * size**3 / best

    def device_memory(self) -> int | None:
        """Return the most bytes held on an accelerator; None on a CPU."""
        return torch.cuda.max_memory_allocated() if self.device.type == "cuda" else None
