"""Hugging Face's `CohereForCausalLM`, loaded from our export, is the model we trained.

Two tiny models go through `palmetto study` and `palmetto export`; transformers and lm_eval, which know nothing of
Palmetto, are the oracles for logits, greedy generations, tokens and scores.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interop_models import (
    MADE_TASKS,
    RECIPE,
    SIZES,
    TEXT_TASKS,
    Exported,
    add_text_tasks,
    finish,
    read_samples,
    read_scores,
    start_lm_eval,
)
from palmetto.inference.engine import Engine
from palmetto.inference.types import Sampling
from palmetto.model.forward import forward
from palmetto.tokenizer.tokenizer import Tokenizer
from palmetto.training.loading import load_parameters
from study_drill import Palmetto

torch = pytest.importorskip("torch", reason="needs the extra [interop]: torch and transformers")
transformers = pytest.importorskip("transformers", reason="needs the extra [interop]: torch and transformers")


@pytest.fixture(scope="session")
def study(palmetto: Palmetto, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("interop") / "study"
    done = palmetto.run("study", RECIPE, "--out", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session", params=SIZES)
def exported(palmetto: Palmetto, study: Path, request: pytest.FixtureRequest) -> Exported:
    model, folder = study / "models" / request.param, study / f"export-{request.param}"
    done = palmetto.run("export", model, folder, "--max-shard-size", "40KB")
    assert done.returncode == 0, done.stderr
    assert len(list(folder.glob("*.safetensors"))) > 2
    return Exported(study, model, folder)


@pytest.fixture(scope="session")
def cohere(exported: Exported) -> Any:
    model, report = transformers.AutoModelForCausalLM.from_pretrained(
        exported.folder, output_loading_info=True
    )
    assert type(model).__name__ == "CohereForCausalLM"
    assert not any(report.values()), report
    return model.eval()


@pytest.fixture(scope="session")
def both_tokenizers(exported: Exported) -> tuple[Tokenizer, Any]:
    return Tokenizer.load(exported.study / "tokenizer"), transformers.AutoTokenizer.from_pretrained(
        exported.folder
    )


def heldout_prompts(exported: Exported, tokenizer: Tokenizer, count: int) -> list[list[int]]:
    """Return prompts of 1 to 60 tokens of held-out text, each after `[eod]`."""
    questions = [
        line for path in sorted((exported.study / "tasks").glob("*.test.jsonl")) for line in path.open()
    ]
    tokens = tokenizer.encode("".join(questions))
    rng = np.random.default_rng(0)
    starts = rng.integers(0, len(tokens) - 60, count)
    lengths = rng.integers(0, 60, count)
    return [
        [tokenizer.eod_id, *tokens[start : start + length]]
        for start, length in zip(starts, lengths, strict=True)
    ]


def test_logits_agree_to_1e_5_of_the_largest(exported: Exported, cohere: Any) -> None:
    config, parameters = load_parameters(exported.model)
    tokens = np.random.default_rng(0).integers(0, config.vocab_size, (8, config.sequence_length))
    ours = np.asarray(forward(parameters, tokens.astype(np.int32), config), np.float64)
    with torch.no_grad():
        theirs = cohere(torch.tensor(tokens)).logits.double().numpy()
    distance = np.abs(ours - theirs).max() / np.abs(theirs).max()
    print(f"\n{config.name}: logits differ by {distance:.1e} of the largest, {np.abs(theirs).max():.2f}")
    assert distance < 1e-5


def test_greedy_generations_are_identical(
    exported: Exported, cohere: Any, both_tokenizers: tuple[Tokenizer, Any]
) -> None:
    ours, theirs = both_tokenizers
    prompts = heldout_prompts(exported, ours, count=200)
    engine = Engine.load(exported.model, stop_token=ours.eod_id)
    sampling = Sampling(max_new_tokens=32, temperature=0.0, top_k=0, top_p=1.0, seed=0)
    expected = engine.generate(prompts, sampling)
    padded = theirs.pad({"input_ids": prompts}, return_tensors="pt")
    generated = cohere.generate(**padded, max_new_tokens=32, do_sample=False).tolist()
    new = [row[padded["input_ids"].shape[1] :] for row in generated]
    cut = [row[: row.index(ours.eod_id)] if ours.eod_id in row else row for row in new]
    assert cut == expected
    kinds = {tuple(row) for row in expected}
    print(f"\n{len(kinds)} different generations for {len(prompts)} prompts")
    assert len(kinds) > 10


# fmt: off
PARTS = [
    "def ", "self", " ", "  ", "\n", "\n    ", "\t", "\r\n", "7", "2024", "3.14", "▁", "▁▁", "<0x0A>", "[eod]", "<unk>",
    "</s>", "é", "e\u0301", "漢字", "😀", "👩\u200d👩\u200d👧", "\x00", "\u2585", "\ufeff", "ﬁ", "return" * 3, "-" * 33,
    " " * 70,
]
# fmt: on


@settings(max_examples=2000, deadline=None)
@given(text=st.one_of(st.text(), st.lists(st.sampled_from(PARTS), max_size=16).map("".join)))
def test_tokens_are_equal_for_any_text(both_tokenizers: tuple[Tokenizer, Any], text: str) -> None:
    ours, theirs = both_tokenizers
    tokens = ours.encode(text)
    assert theirs.encode(text) == tokens
    assert theirs(text)["input_ids"] == tokens
    assert theirs.decode(tokens) == text == ours.decode(tokens)
    assert theirs.decode([*tokens, ours.eod_id], skip_special_tokens=True) == text


def test_tokens_are_equal_for_whole_files(both_tokenizers: tuple[Tokenizer, Any]) -> None:
    ours, theirs = both_tokenizers
    for path in sorted(Path(__file__).resolve().parent.glob("*.py")):
        text = path.read_text()
        assert theirs.encode(text) == ours.encode(text), path
        assert theirs.decode(theirs.encode(text)) == text


def test_lm_eval_gives_equal_scores(
    palmetto: Palmetto, exported: Exported, both_tokenizers: tuple[Tokenizer, Any], tmp_path: Path
) -> None:
    """`--model hf` on the export and `--model palmetto` on the model, each a process.

    Where a token reaches over the end of the question, lm_eval's own Hugging Face model cuts the tokens by their
    number and scores another split than the whole text's; Palmetto does not (`palmetto.evaluation.encoding`). Those
    requests are left out of the comparison, and tasks that have one are compared by request, not by score.
    """
    tasks = add_text_tasks(exported.study / "tasks", tmp_path / "tasks")
    hf, ours = tmp_path / "hf", tmp_path / "palmetto"
    processes = [
        start_lm_eval("hf", f"pretrained={exported.folder},dtype=float32", tasks, hf, palmetto.environment),
        start_lm_eval("palmetto", f"path={exported.model}", tasks, ours, palmetto.environment),
    ]
    for process in processes:
        finish(process)

    straddling = dict.fromkeys(MADE_TASKS, 0)
    compared = 0
    for task in MADE_TASKS:
        for one, other in zip(read_samples(hf, task), read_samples(ours, task), strict=True):
            assert one["arguments"] == other["arguments"]
            requests = [(request["arg_0"], request["arg_1"]) for request in one["arguments"].values()]
            answers = zip(requests, one["filtered_resps"], other["filtered_resps"], strict=True)
            for (context, continuation), theirs, mine in answers:
                if not splits_cleanly(both_tokenizers[0], context, continuation):
                    straddling[task] += 1
                    continue
                compared += 1
                assert float(mine[0]) == pytest.approx(float(theirs[0]), rel=1e-5)
                assert mine[1] == theirs[1]
    for one, other in zip(read_samples(hf, "greedy"), read_samples(ours, "greedy"), strict=True):
        assert one["filtered_resps"] == other["filtered_resps"]

    scores, expected = read_scores(ours), read_scores(hf)
    assert scores.keys() == expected.keys()
    whole = {*TEXT_TASKS, *(task for task in MADE_TASKS if not straddling[task])}
    print(f"\n{compared} log-probabilities equal; requests with a token over the boundary: {straddling}")
    print({name: (scores[name], expected[name]) for name in scores if name[0] in whole})
    assert {"cloze", "copying"} <= whole
    for name in scores:
        if name[0] in whole:
            assert scores[name] == pytest.approx(expected[name], rel=1e-5), name


def splits_cleanly(tokenizer: Tokenizer, context: str, continuation: str) -> bool:
    """Whether the tokens of the whole begin with the context's; white space between goes with the continuation."""
    head = context.rstrip()
    tokens = tokenizer.encode(head)
    return tokenizer.encode(context + continuation)[: len(tokens)] == tokens
