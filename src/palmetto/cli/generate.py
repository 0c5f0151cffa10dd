"""`palmetto generate`: continue a prompt with a trained model."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from palmetto.common.errors import PalmettoError
from palmetto.common.progress import Silent, Terminal


@dataclass(frozen=True)
class Generate:
    """Continue a prompt with a trained model."""

    model: tyro.conf.Positional[Path]
    """A model's folder, such as studies/starter/models/palm_5m."""

    prompt: tyro.conf.Positional[str]
    """Text to continue; may be empty."""

    samples: int = 3
    """Continuations to print."""

    max_new_tokens: int = 64
    """Upper bound of new tokens in each."""

    temperature: float = 0.8
    """Divides the logits; 0 is greedy decoding."""

    top_k: int = 40
    """Keep this many most probable tokens; 0 keeps all."""

    top_p: float = 1.0
    """Keep the smallest set of tokens whose probability reaches this."""

    seed: int = 0
    """Seed of the draws."""

    def run(self, terminal: Terminal) -> None:
        """Print the continuations."""
        from palmetto.evaluation.harness import load_model
        from palmetto.inference.types import Sampling

        if self.samples < 1 or self.max_new_tokens < 1:
            raise PalmettoError("--samples and --max-new-tokens must be at least 1.")
        engine, tokenizer = load_model(self.model)
        prompt = [tokenizer.eod_id, *tokenizer.encode(self.prompt)]
        sampling = Sampling(self.max_new_tokens, self.temperature, self.top_k, self.top_p, self.seed)
        for number, tokens in enumerate(
            engine.generate([prompt] * self.samples, sampling, Silent()), start=1
        ):
            terminal.say(f"--- sample {number} (seed {self.seed})")
            print(self.prompt + tokenizer.decode(tokens), flush=True)
