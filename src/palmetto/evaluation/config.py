"""What the evaluation room can be told."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MadeTasksConfig:
    """How tasks are made from held-out documents."""

    n_items: int = 1000
    """Test items a task; fewer when the held-out text holds no more."""

    min_items: int = 30
    """Fewer items than this are an error: no interval around their score would say anything."""

    n_exemplars: int = 5
    """Worked examples a task, from documents that no test item comes from; no more shots can be asked."""

    n_choices: int = 4
    """Choices of the continuation and copying tasks, the right one among them."""

    max_request_tokens: int = 512
    """The shares below are of the model's sequence length or of this, whichever is smaller."""

    question_share: float = 0.34
    """Share of those tokens that a question may take."""

    target_share: float = 0.16
    """Share of those tokens that an answer may take."""

    exemplars_share: float = 0.48
    """Share of those tokens that all exemplars together may take."""

    copy_words: int = 10
    """Length of the word list of a copying item (shorter where the token budget is)."""

    max_heldout_characters: int = 20_000_000
    """Of larger held-out text a seeded sample of documents of about this many characters is used."""

    seed: int = 0
    """Seed of the choice of documents, passages, distractors and words."""


@dataclass(frozen=True)
class EvaluationConfig:
    """How models take the tasks."""

    shots: tuple[int, ...] = (0, 1, 5)
    """Numbers of worked examples before the question."""

    confidence: float = 0.95
    """Coverage of the intervals around scores."""

    bootstrap_samples: int = 2000
    """Resamples behind each interval."""

    seed: int = 0
    """Seed of the resampling."""
