"""Palmetto as a model of `lm_eval`: a thin adapter over the engine's token interface.

Registered as `palmetto`; `python -m palmetto.evaluation` is lm_eval's own command line with it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model
from lm_eval.models.utils import normalize_gen_kwargs
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from palmetto.common.errors import PalmettoError
from palmetto.common.progress import Reporter, Silent
from palmetto.evaluation.encoding import encode_requests, move_blanks, split_tokens
from palmetto.evaluation.ports import TextTokenizer, TokenEngine
from palmetto.inference.types import Sampling, Score, ScoreRequest
from palmetto.tokenizer.places import tokenizer_of_model
from palmetto.tokenizer.tokenizer import Tokenizer

_KNOWN_GENERATION = {"until", "do_sample", "max_gen_toks", "temperature", "top_k", "top_p"}


@register_model("palmetto")
class PalmettoLM(TemplateLM):
    """A Palmetto model that answers lm_eval's requests.

    Attributes:
        truncated: requests so far whose context was cut on the left to fit the model.
        reporter: shown the progress of scoring and generating; may be replaced between calls.
    """

    def __init__(
        self,
        engine: TokenEngine | None = None,
        tokenizer: TextTokenizer | None = None,
        *,
        path: str | Path | None = None,
        seed: int = 0,
        reporter: Reporter | None = None,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
        device: str | None = None,
    ) -> None:
        """Take an engine and its tokenizer, or load both.

        Args:
            engine: scores and generates tokens.
            tokenizer: the tokenizer the model was trained with.
            path: instead of both, a study's model folder, such as `studies/starter/models/palm_5m`; the
                tokenizer is the one inside it, or the study's.
            seed: seed of sampled generations.
            reporter: told how far the work is.
            batch_size: part of lm_eval's interface, without effect: the engine batches by length itself.
            max_batch_size: as `batch_size`.
            device: part of lm_eval's interface, without effect: JAX chooses (`JAX_PLATFORMS`).

        Raises:
            PalmettoError: neither or both ways are given, or the folder holds no model or tokenizer.
        """
        super().__init__()
        if path is not None and engine is None and tokenizer is None:
            engine, tokenizer = load_model(Path(path))
        elif path is not None or engine is None or tokenizer is None:
            raise PalmettoError(
                "lm_eval model palmetto: give path=STUDY/models/SIZE, or an engine and a tokenizer."
            )
        self.engine, self.tokenizer = engine, tokenizer
        self.reporter: Reporter = reporter or Silent()
        self.seed = seed
        self.truncated = 0

    @property
    def eot_token_id(self) -> int:
        """The end-of-document token, which also stands for an empty context."""
        return self.tokenizer.eod_id

    @property
    def max_length(self) -> int:
        """Tokens the model can take."""
        return self.engine.max_length

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        """Return the token ids of a string; there are no special tokens to add."""
        del add_special_tokens, kwargs
        return self.tokenizer.encode(string)

    def _encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        context, continuation = move_blanks(context, continuation)
        return split_tokens(self.tok_encode(context), self.tok_encode(context + continuation))

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Return (natural-log probability, whether greedy decoding gives it) of each (context, continuation).

        All requests go to the engine in one call, which computes shared prefixes once. A continuation without
        tokens has probability 1.
        """
        del disable_tqdm
        encoded = encode_requests(self.tokenizer, [request.args for request in requests])
        asked = [request for request in encoded if request is not None]
        scores = iter(self._score(asked, "score"))
        return [(0.0, True) if request is None else _answer(next(scores)) for request in encoded]

    def _loglikelihood_tokens(
        self, requests: list[tuple[tuple[str, str], list[int], list[int]]], **kwargs: Any
    ) -> list[tuple[float, bool]]:
        del kwargs
        asked = [ScoreRequest(tuple(context), tuple(continuation)) for _, context, continuation in requests]
        return [_answer(score) for score in self._score(asked, "score")]

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Return the natural-log probability of every text, in windows of the model's length.

        The first window begins with the end-of-document token; every token is predicted once, and the last
        window is filled up with context on its left.
        """
        del disable_tqdm
        texts = [request.args[0] for request in requests]
        windows: list[ScoreRequest] = []
        owners: list[int] = []
        for owner, tokens in enumerate(self.tokenizer.encode_batch(texts)):
            pairs = get_rolling_token_windows(tokens, self.eot_token_id, self.max_length, 1)
            for context, continuation in map(make_disjoint_window, pairs):
                windows.append(ScoreRequest(tuple(context), tuple(continuation)))
                owners.append(owner)
        totals = [0.0] * len(texts)
        for owner, score in zip(owners, self._score(windows, "score texts"), strict=True):
            totals[owner] += score.log_prob
        return totals

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Continue every context until a stop string, the end of the document, or `max_gen_toks` tokens.

        Raises:
            PalmettoError: the request has a generation argument that the engine does not know.
        """
        del disable_tqdm
        groups: dict[Sampling, list[int]] = {}
        stops: list[list[str]] = []
        for number, request in enumerate(requests):
            sampling, until = self._sampling(request.args[1])
            groups.setdefault(sampling, []).append(number)
            stops.append(until)
        answers = [""] * len(requests)
        for sampling, numbers in groups.items():
            prompts = self._prompts([requests[number].args[0] for number in numbers], sampling.max_new_tokens)
            texts = map(
                self.tokenizer.decode, self.engine.generate(prompts, sampling, reporter=self.reporter)
            )
            for number, text in zip(numbers, texts, strict=True):
                answers[number] = cut_at_stop(text, stops[number])
        return answers

    def _score(self, requests: Sequence[ScoreRequest], description: str) -> list[Score]:
        scores = self.engine.score(requests, reporter=self.reporter, description=description)
        self.truncated += sum(score.truncated > 0 for score in scores)
        return scores

    def _sampling(self, arguments: dict[str, Any]) -> tuple[Sampling, list[str]]:
        known = dict(normalize_gen_kwargs(arguments))
        if unknown := sorted(set(known) - _KNOWN_GENERATION):
            raise PalmettoError(
                f"generation arguments {', '.join(unknown)} are not known to the palmetto model; it takes "
                f"{', '.join(sorted(_KNOWN_GENERATION))}."
            )
        sampling = Sampling(
            max_new_tokens=min(known["max_gen_toks"], self.max_length - 1),
            temperature=float(known.get("temperature", 1.0 if known["do_sample"] else 0.0)),
            top_k=int(known.get("top_k", 0)),
            top_p=float(known.get("top_p", 1.0)),
            seed=self.seed,
        )
        return sampling, known["until"]

    def _prompts(self, contexts: Sequence[str], new_tokens: int) -> list[list[int]]:
        room = self.max_length - new_tokens
        prompts = []
        for tokens in self.tokenizer.encode_batch(contexts):
            self.truncated += len(tokens) > room
            prompts.append(tokens[-room:] or [self.eot_token_id])
        return prompts


def cut_at_stop(text: str, stops: Sequence[str]) -> str:
    """Return `text` up to the first of the stop strings in it."""
    return text[: min((text.find(stop) for stop in stops if stop and stop in text), default=len(text))]


def load_model(folder: Path) -> tuple[TokenEngine, TextTokenizer]:
    """Load the engine and the tokenizer of `STUDY/models/SIZE`; generation ends with the document.

    Raises:
        PalmettoError: there is no model, or no tokenizer in the folder or in its study.
    """
    from palmetto.inference.engine import Engine

    tokenizer = Tokenizer.load(tokenizer_of_model(folder))
    return Engine.load(folder, stop_token=tokenizer.eod_id), tokenizer


def _answer(score: Score) -> tuple[float, bool]:
    return score.log_prob, score.greedy
