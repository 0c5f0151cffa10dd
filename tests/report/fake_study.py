"""Makes a synthetic study folder whose files have the true schemas; the numbers are invented."""

import json
import math
import random
from pathlib import Path
from typing import Any

HASH = "3f9a1c" + "0" * 58
SIZES = {
    "palm_160k": (163_136, 2, 32, 2, 16),
    "palm_800k": (801_888, 3, 96, 3, 32),
    "palm_5m": (4_920_576, 4, 256, 4, 64),
}
TASKS = {
    "cloze": ("Last-word cloze", "acc", 0.021, (0.02, 0.05, 0.11)),
    "continuation": ("True continuation among four", "acc_norm", 0.25, (0.281, 0.332, 0.371)),
    "copy": ("Copying a repeated pattern", "acc", 0.05, (0.052, 0.049, 0.231)),
}
SHOTS = (0, 1, 5)
STEPS = 200
HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
"""Text that a document may hold and that must stay inert on the page."""


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


def write_lines(path: Path, rows: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def make_study(folder: Path, *, sizes: tuple[str, ...] = tuple(SIZES), steps: int = STEPS) -> Path:
    """Write a whole study into `folder` and return it."""
    _study_json(folder)
    _corpus(folder)
    for index, name in enumerate(sizes):
        _size(folder, name, index, steps)
    _scaling(folder, sizes)
    _contamination(folder, sizes)
    return folder


def _study_json(folder: Path) -> None:
    hardware: dict[str, Any] = {"platform": "cpu", "device_kind": "cpu", "devices": 1, "threads": 2}
    hardware |= {"cpu": "Generic Processor @ 2.60GHz", "memory_bytes": 25_276_502_016}
    stages = {"documents": 6.1, "tokenizer": 9.8, "corpus": 14.2, "tasks": 3.3, "train palm_160k": 18.4}
    stages |= {"train palm_800k": 61.0, "train palm_5m": 238.7, "evaluate": 131.2, "analyze": 44.0}
    write(
        folder / "study.json",
        {
            "format": 1,
            "palmetto": "0.1.0",
            "recipe": "starter",
            "config": {"seed": 0, "corpus": {"text": [], "heldout_fraction": 0.05}, "sizes": list(SIZES)},
            "versions": {
                "python": "3.11.7",
                "jax": "0.10.2",
                "numpy": "2.4.6",
                "optax": "0.2.6",
                "lm_eval": "0.4.13",
            },
            "hardware": hardware,
            "energy": {
                "watts": 30.0,
                "watts_source": "15 W per busy core, an assumption; not measured",
                "pue": 1.0,
                "kg_co2e_per_kwh": 0.48,
                "grid_source": "world average, 2023",
            },
            "stages": [{"name": name, "key": HASH, "timing": {"seconds": s}} for name, s in stages.items()],
        },
    )


def _corpus(folder: Path) -> None:
    counts = {"files_seen": 1722, "skipped_unreadable": 3, "empty": 41, "duplicates": 17}
    counts |= {"train_documents": 1578, "heldout_documents": 83}
    counts |= {"train_bytes": 21_440_118, "heldout_bytes": 1_104_823}
    write(
        folder / "documents" / "manifest.json",
        {
            "format": 1,
            "input": {
                "kind": "standard library",
                "python": "3.11.7",
                "paths": ["/usr/lib/python3.11/" + "a_very_long_folder_name/" * 6],
                "licence": "Python Software Foundation License 2",
            },
            "counts": counts,
            "skipped": [{"path": "test/bad_coding.py", "reason": "not UTF-8"}],
            "corpus_hash": HASH,
            "documents_sha256": {"train": HASH, "heldout": HASH},
            "sources": {"test": 11_200_000, "idlelib": 1_100_000, "asyncio": 620_000, "email": 410_000},
            "suffixes": {
                ".py": {"documents": 1650, "bytes": 22_000_000},
                ".txt": {"documents": 11, "bytes": 544_941},
            },
        },
    )
    write(
        folder / "tokenizer" / "manifest.json",
        {
            "format": 1,
            "vocab_size": 4096,
            "model_type": "bpe",
            "sha256": HASH,
            "training_documents": 610,
            "training_bytes": 8_000_000,
            "bytes_per_token": 3.41,
            "flags": {"byte_fallback": True, "split_digits": True},
        },
    )
    write(
        folder / "corpus" / "manifest.json",
        {
            "format": 1,
            "sequence_length": 256,
            "record_length": 257,
            "dtype": "uint16",
            "train_records": 25_113,
            "train_tokens": 6_454_041,
            "heldout_records": 1_290,
            "heldout_tokens": 331_530,
            "heldout_bytes": 1_104_823,
            "tokenizer_sha256": HASH,
            "corpus_hash": HASH,
            "bytes_per_token": 3.32,
            "sha256": {"train.tokens": HASH},
        },
    )


def _size(folder: Path, name: str, index: int, steps: int) -> None:
    parameters, layers, d, heads, q = SIZES[name]
    flops = 6 * parameters + 12 * layers * heads * q * 256
    model = folder / "models" / name
    rng = random.Random(index)
    shape: dict[str, Any] = {"n_layers": layers, "d_model": d, "n_heads": heads}
    shape |= {"head_dim": q, "d_ff": 4 * d}
    shape |= {"vocab_size": 4096, "sequence_length": 256, "norm": "layernorm"}
    write(
        model / "config.json",
        {
            "format": 1,
            "name": name,
            "model": shape,
            "training": {
                "steps": steps,
                "batch": {"sequences": 8},
                "seed": 0,
                "z_loss": 1e-4,
                "optimizer": {"beta1": 0.9, "beta2_exponent": 0.8, "clip_norm": 1.0},
                "schedule": {"peak": 0.01, "constant_steps": 30},
            },
            "tokenizer_sha256": HASH,
            "corpus_hash": HASH,
        },
    )
    tokens, seconds = steps * 2048, (18.4, 61.0, 238.7)[index]
    bits = (2.47, 2.30, 2.17)[index]
    write(
        model / "summary.json",
        {
            "name": name,
            "parameters": parameters,
            "flops_per_token": float(flops),
            "steps": steps,
            "tokens": tokens,
            "model_flops": float(flops) * tokens,
            "final_loss": bits * 2.3,
            "heldout": {
                "bits_per_byte": bits,
                "ci_low": bits - 0.035,
                "ci_high": bits + 0.034,
                "tokens": 331_530,
                "bytes": 1_104_823,
                "documents": 83,
            },
            "batches": {"first": 0, "count": steps, "skipped": 0},
            "parameters_sha256": HASH,
            "timing": {
                "seconds": seconds,
                "tokens_per_second": tokens / seconds,
                "mfu": 0.21 + 0.05 * index,
                "mfu_causal": 0.2 + 0.05 * index,
                "peak_flops_per_second": 1.1e11,
                "peak_flops_source": "measured: float32 matmul of 1024 x 1024",
                "peak_memory_bytes": 1.3e9 + 4e8 * index,
            },
        },
    )
    rows = []
    for step in range(1, steps + 1):
        loss = (
            bits * 2.3
            + 3.2 * math.exp(-step / (28 - 6 * index))
            + 0.06 * math.sin(step * 1.7)
            + rng.gauss(0, 0.03)
        )
        row: dict[str, Any] = {
            "step": step,
            "batch": step - 1,
            "tokens": step * 2048,
            "loss": loss,
            "z_loss": 0.006,
            "grad_norm": 0.4 + 2.5 * math.exp(-step / 12) + rng.random() * 0.1,
            "learning_rate": 0.01 if step < 30 else 0.01 * math.sqrt(30 / step),
            "param_norm": 300.0,
            "timing": {"seconds": 0.2, "tokens_per_second": 9000.0, "mfu": 0.25},
        }
        if step % 25 == 0 or step == steps:
            row["heldout_bits_per_byte"] = bits + 1.3 * math.exp(-step / 45)
            row["few_shot"] = {"continuation_acc_norm": 0.25 + (0.03 + 0.05 * index) * step / steps}
        rows.append(row)
    write_lines(model / "metrics.jsonl", rows)
    for task, (title, metric, chance, scores) in TASKS.items():
        for shots in SHOTS:
            score = scores[index] + 0.004 * shots * index
            write(
                model / "results" / task / f"{shots}-shot.json",
                {
                    "format": 1,
                    "task": task,
                    "title": title,
                    "shots": shots,
                    "model": name,
                    "preferred_metric": metric,
                    "score": score,
                    "ci_low": max(0.0, score - 0.028),
                    "ci_high": score + 0.028,
                    "confidence": 0.95,
                    "chance": chance,
                    "chance_rule": "one of four choices"
                    if chance == 0.25
                    else "the most frequent target word",
                    "n_items": 1000,
                    "metrics": {metric: score},
                    "truncated_prompts": 2 if shots == 5 else 0,
                    "versions": {"lm_eval": "0.4.13"},
                    "tasks_hash": HASH,
                    "timing": {"seconds": 9.0},
                },
            )
            write_lines(
                model / "results" / task / f"{shots}-shot.samples.jsonl",
                [
                    {
                        "id": f"{task}-0",
                        "question": f"def close(self):\n    {HOSTILE}\n    self.file.",
                        "target": "close()",
                        "score": index % 2,
                        "prediction": "close()" if index % 2 else "flush()",
                    }
                ],
            )
    write(model / "analyses" / "memorisation.json", _memorisation(index))
    write(
        model / "analyses" / "samples.json",
        {
            "format": 1,
            "prompts": [
                {
                    "prompt": prompt,
                    "completions": [f"{body}\n    return {'x' * 90}  # {HOSTILE}", f"{body} # another"],
                    "sampling": {"temperature": 0.8, "top_k": 40, "max_new_tokens": 64, "seed": 0},
                }
                for prompt, body in (
                    ("def ", f"f{index}(self, value):\n    pass"),
                    ("import ", "os\nimport sys"),
                )
            ],
        },
    )


def _rate(spans: int, matches: int) -> dict[str, Any]:
    rate = matches / spans
    spread = 1.96 * math.sqrt(max(rate * (1 - rate), 1e-4) / spans)
    return {
        "spans": spans,
        "matches": matches,
        "rate": rate,
        "matched_tokens": 3.1 + rate * 40,
        "ci_low": max(0.0, rate - spread),
        "ci_high": min(1.0, rate + spread),
    }


def _memorisation(index: int) -> dict[str, Any]:
    groups = (("1", 1, 1, 900, 2), ("2-4", 2, 4, 300, 6), ("5-20", 5, 20, 80, 9), (">20", 21, None, 25, 8))
    return {
        "format": 1,
        "prompt_tokens": 50,
        "generated_tokens": 50,
        "train": _rate(1305, 9 + 14 * index),
        "heldout": _rate(900, 1 + 2 * index),
        "by_repetition": [
            {"repetitions": name, "low": low, "high": high, **_rate(spans, matches * (index + 1) // 2)}
            for name, low, high, spans, matches in groups
        ],
        "examples": [
            {
                "prompt": f"# Licensed to the public under a long licence {HOSTILE}\n" * 3,
                "truth": "THE SOFTWARE IS PROVIDED AS IS\nWITHOUT WARRANTY",
                "generated": "THE SOFTWARE IS PROVIDED AS IS\nWITHOUT WARRANTY",
                "repetitions": 31,
                "exact": True,
            }
        ],
    }


def _scaling(folder: Path, sizes: tuple[str, ...]) -> None:
    tasks = []
    for task, (title, metric, chance, all_scores) in TASKS.items():
        for shots in SHOTS:
            scores = [all_scores[i] + 0.004 * shots * i for i in range(len(sizes))]
            projection = 2 * scores[1] - scores[0] if len(sizes) > 2 else None
            jump = None if projection is None else 100 * (scores[2] - projection)
            paired = [
                {
                    "small": sizes[i],
                    "large": sizes[j],
                    "difference": scores[j] - scores[i],
                    "ci_low": scores[j] - scores[i] - 0.035,
                    "ci_high": scores[j] - scores[i] + 0.035,
                    "p_value": 0.0004 if scores[j] - scores[i] > 0.035 else 0.31,
                }
                for i in range(len(sizes))
                for j in range(i + 1, len(sizes))
            ]
            tasks.append(
                {
                    "task": task,
                    "title": title,
                    "shots": shots,
                    "preferred_metric": metric,
                    "chance": chance,
                    "scores": scores,
                    "ci": [[max(0.0, score - 0.028), score + 0.028] for score in scores],
                    "projection": projection,
                    "discontinuity": jump,
                    "discontinuity_ci": None if jump is None else [jump - 5.5, jump + 5.6],
                    "paired": paired,
                }
            )
    bits = [2.47, 2.30, 2.17][: len(sizes)]
    write(
        folder / "analyses" / "scaling.json",
        {
            "format": 1,
            "sizes": [{"name": name, "parameters": SIZES[name][0]} for name in sizes],
            "tasks": tasks,
            "bits_per_byte": {
                "values": bits,
                "ci": [[value - 0.035, value + 0.034] for value in bits],
                "projection": 2.13 if len(sizes) > 2 else None,
                "discontinuity": 0.04 if len(sizes) > 2 else None,
            },
            "share_over_10_points": 1 / 3,
            "share_over_20_points": 0.0,
        },
    )


def _contamination(folder: Path, sizes: tuple[str, ...]) -> None:
    tasks = []
    for number, (task, (_, _, _, scores)) in enumerate(TASKS.items()):
        none_clean = number == 2
        by_model = [
            {
                "model": name,
                "shots": shots,
                "full": scores[i],
                "clean": None if none_clean else scores[i] - 0.006,
                "delta": None if none_clean else -0.006,
            }
            for i, name in enumerate(sizes)
            for shots in SHOTS
        ]
        counts = {"items": 1000, "too_short": 12, "contaminated": 988 if none_clean else 141 + 60 * number}
        clean = 1000 - counts["too_short"] - counts["contaminated"]
        tasks.append(
            {
                "task": task,
                **counts,
                "clean": clean,
                "clean_share": clean / 1000,
                "parts": {"question": 130, "target": 11},
                "by_model": by_model,
            }
        )
    write(
        folder / "analyses" / "contamination.json", {"format": 1, "rule": "70 % of 8-grams", "tasks": tasks}
    )
