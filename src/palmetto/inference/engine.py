"""The engine: a model's weights behind a token interface, `score` and `generate`.

Requests are cut into fixed-shape batches from the whole list, so results do not depend on how they are run.
"""

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from palmetto.common.errors import PalmettoError
from palmetto.common.progress import Reporter, Silent
from palmetto.inference.decoding import generate_batch
from palmetto.inference.packing import Group, fit, group_requests, pack, prefix_bucket, row_length
from palmetto.inference.scoring import Cache, prefix_cache, score_batch
from palmetto.inference.types import Sampling, Score, ScoreRequest
from palmetto.model.config import ModelConfig
from palmetto.model.spec import Parameters
from palmetto.training.loading import load_parameters

_PROMPT_MULTIPLE = 32


class Engine:
    """Scores and generates tokens with one model.

    Attributes:
        config: the model's shape.
        max_length: tokens the model can be fed at once.
    """

    def __init__(
        self,
        config: ModelConfig,
        parameters: Parameters,
        *,
        stop_token: int | None = None,
        batch_tokens: int = 2048,
        batch_prompts: int = 128,
    ) -> None:
        """Take weights as they are; compiled programs are shared between engines of equal config.

        Args:
            config: the model's shape.
            parameters: its weights.
            stop_token: generation ends before this token; None never stops.
            batch_tokens: slots of a scoring batch.
            batch_prompts: prompts of a generation batch.
        """
        self.config, self.max_length = config, config.sequence_length
        self._parameters, self._stop = parameters, stop_token
        self._batch_tokens, self._batch_prompts = batch_tokens, batch_prompts

    @classmethod
    def load(cls, model_folder: Path, *, stop_token: int | None = None) -> "Engine":
        """Load the newest checkpoint of `models/<size>`, verified.

        Raises:
            PalmettoError: the folder holds no finished model, or the checkpoint is damaged.
        """
        config, parameters = load_parameters(model_folder)
        return cls(config, parameters, stop_token=stop_token)

    def stopping_at(self, stop_token: int | None) -> "Engine":
        """Return an engine of the same weights that stops before `stop_token`, or never if that is None."""
        return Engine(
            self.config,
            self._parameters,
            stop_token=stop_token,
            batch_tokens=self._batch_tokens,
            batch_prompts=self._batch_prompts,
        )

    def score(
        self,
        requests: Sequence[ScoreRequest],
        reporter: Reporter | None = None,
        description: str = "score",
    ) -> list[Score]:
        """Score every request, in order. Context that does not fit is dropped on the left and counted.

        Raises:
            PalmettoError: a request has an empty context or continuation, or a continuation longer than the model.
        """
        if not requests:
            return []
        fitted, dropped = [], []
        for number, request in enumerate(requests):
            if not request.context or not request.continuation or len(request.continuation) > self.max_length:
                raise PalmettoError(
                    f"Score request {number} has {len(request.context)} context and {len(request.continuation)} "
                    f"continuation tokens; both need at least one and the continuation at most {self.max_length}."
                )
            short, excess = fit(request, self.max_length)
            fitted.append(short)
            dropped.append(excess)
        row = row_length(fitted, self.max_length)
        log_probs = np.zeros(len(requests), np.float64)
        greedy = np.ones(len(requests), bool)
        plan = [
            (group, pack(group, row, max(1, self._batch_tokens // row)))
            for group in group_requests(fitted, row)
        ]
        with (reporter or Silent()).bar(description, len(requests), "requests") as bar:
            for group, batches in plan:
                cache = self._prefix(group)
                for batch in batches:
                    values, right = score_batch(
                        self._parameters,
                        cache,
                        batch.tokens,
                        batch.positions,
                        batch.tree,
                        batch.branch,
                        batch.pair_slot,
                        batch.pair_target,
                        self.config,
                    )
                    used = batch.pair_request >= 0
                    owners = batch.pair_request[used]
                    np.add.at(log_probs, owners, np.asarray(values, np.float64)[used])
                    np.logical_and.at(greedy, owners, np.asarray(right)[used])
                    bar.advance(len(np.unique(owners)))
        return [
            Score(float(log_prob), bool(right), excess)
            for log_prob, right, excess in zip(log_probs, greedy, dropped, strict=True)
        ]

    def _prefix(self, group: Group) -> Cache:
        slots = prefix_bucket(len(group.prefix), self.max_length)
        if slots == 0:
            empty = jnp.zeros((self.config.n_layers, 0, self.config.head_dim), jnp.float32)
            return Cache(empty, empty, jnp.int32(0))
        tokens = np.zeros(slots, np.int32)
        tokens[: len(group.prefix)] = group.prefix
        return prefix_cache(self._parameters, tokens, jnp.int32(len(group.prefix)), self.config)

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, reporter: Reporter | None = None
    ) -> list[list[int]]:
        """Continue every prompt; returns the new tokens, cut before the stop token if the engine has one.

        A prompt's place in the list seeds its draws, so the same list and seed give the same tokens.

        Raises:
            PalmettoError: a prompt is empty, or does not fit together with its new tokens.
        """
        for number, prompt in enumerate(prompts):
            if not 0 < len(prompt) <= self.max_length - sampling.max_new_tokens:
                raise PalmettoError(
                    f"Prompt {number} has {len(prompt)} tokens; with max_new_tokens {sampling.max_new_tokens} it needs "
                    f"between 1 and {self.max_length - sampling.max_new_tokens}."
                )
        answers: list[list[int]] = []
        with (reporter or Silent()).bar("generate", len(prompts), "prompts") as bar:
            for start in range(0, len(prompts), self._batch_prompts):
                answers += self._generate(
                    prompts[start : start + self._batch_prompts], start, len(prompts), sampling
                )
                bar.advance(min(self._batch_prompts, len(prompts) - start))
        return answers

    def _generate(
        self, prompts: Sequence[Sequence[int]], start: int, total: int, sampling: Sampling
    ) -> list[list[int]]:
        rows = min(self._batch_prompts, total)
        longest = max(map(len, prompts))
        slots = -(-longest // _PROMPT_MULTIPLE) * _PROMPT_MULTIPLE
        tokens, lengths = np.zeros((rows, slots), np.int32), np.ones(rows, np.int32)
        for place, prompt in enumerate(prompts):
            tokens[place, : len(prompt)] = prompt
            lengths[place] = len(prompt)
        numbers = np.arange(start, start + rows, dtype=np.int32)
        new = np.asarray(generate_batch(self._parameters, tokens, lengths, numbers, sampling, self.config))
        return [self._cut(answer) for answer in jax.device_get(new)[: len(prompts)].tolist()]

    def _cut(self, tokens: list[int]) -> list[int]:
        if self._stop in tokens:
            return tokens[: tokens.index(self._stop)]
        return tokens
