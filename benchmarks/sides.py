"""The ways to train that `train.py` compares, and what each process starts with."""

import os
from dataclasses import dataclass

from palmetto.training.environment import LARGE_PAGES


@dataclass(frozen=True)
class Side:
    """One way to train."""

    name: str
    """As the table and `--sides` call it."""

    bfloat16: bool
    """Products in bfloat16; weights and optimizer stay float32."""

    compiled: bool = False
    """PyTorch: model and update through `torch.compile`."""

    deterministic: bool = False
    """On a GPU: only algorithms whose results repeat. On a CPU all are."""

    @property
    def torch(self) -> bool:
        """Whether PyTorch trains it."""
        return self.name.startswith("torch")

    def environment(self) -> dict[str, str]:
        """Return the variables its process starts with, beside the benchmark's own."""
        if self.deterministic:
            return {
                "XLA_FLAGS": "--xla_gpu_deterministic_ops=true",
                "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
            }
        # As Palmetto's commands and PyTorch's users start them; one set outside holds for both.
        return {} if self.torch or "GLIBC_TUNABLES" in os.environ else {"GLIBC_TUNABLES": LARGE_PAGES}


ON_CPU = (
    Side("palmetto", bfloat16=False),
    Side("torch-eager", bfloat16=False),
    Side("torch-compiled", bfloat16=False, compiled=True),
    Side("palmetto-bf16", bfloat16=True),
    Side("torch-eager-bf16", bfloat16=True),
    Side("torch-compiled-bf16", bfloat16=True, compiled=True),
)
ON_GPU = (
    Side("palmetto-bf16", bfloat16=True),
    Side("palmetto-bf16-deterministic", bfloat16=True, deterministic=True),
    Side("torch-eager-bf16", bfloat16=True),
    Side("torch-compiled-bf16", bfloat16=True, compiled=True),
    Side("torch-compiled-bf16-deterministic", bfloat16=True, compiled=True, deterministic=True),
)
