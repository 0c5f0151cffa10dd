"""An exported folder: Cohere's names and shapes, the weights to the bit, whole or absent, and what is refused."""

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
from export_models import SMALL, make_model, tokenizer_model, weights

from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json, sha256_bytes, sha256_file, write_json
from palmetto.common.progress import Silent
from palmetto.export import export
from palmetto.export.export import export_model
from palmetto.export.shards import Shards
from palmetto.model.config import ModelConfig
from palmetto.model.spec import named_parameters
from palmetto.training import checkpoints

SQUARE = replace(SMALL, name="square", n_heads=2)  # heads x head size == d_model, unlike SMALL


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def exported(model: Path) -> Path:
    """Cut into several files."""
    export_model(model, model.parent / "exported", Silent(), max_shard_bytes=9000)
    return model.parent / "exported"


def read_tensors(folder: Path) -> dict[str, np.ndarray]:
    """Read every safetensors file by its description, with nothing of the writer's."""
    found: dict[str, np.ndarray] = {}
    for path in sorted(folder.glob("*.safetensors")):
        data = path.read_bytes()
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        assert header.pop("__metadata__") == {"format": "pt"}
        ends = [0]
        for name, facts in header.items():
            start, end = facts["data_offsets"]
            assert start == ends[-1]
            ends.append(end)
            kind = {"F32": "<f4", "BF16": "<u2"}[facts["dtype"]]
            values = np.frombuffer(data[8 + length :][start:end], kind)
            assert name not in found
            found[name] = values.reshape(facts["shape"])
        assert 8 + length + ends[-1] == len(data)
    return found


def expected_tensors(config: ModelConfig) -> dict[str, np.ndarray]:
    """Cohere's tensors written out weight by weight: a kernel of PyTorch is (outputs, inputs)."""
    tree = jax.tree.map(np.asarray, weights(config))
    blocks, D, HQ = tree.blocks, config.d_model, config.n_heads * config.head_dim
    tensors = {"model.embed_tokens.weight": tree.embedding, "model.norm.weight": np.ones(D, np.float32)}
    for layer in range(config.n_layers):
        prefix = f"model.layers.{layer}"
        tensors |= {
            f"{prefix}.input_layernorm.weight": blocks.norm_scale[layer],
            f"{prefix}.self_attn.q_proj.weight": np.einsum("dhq->hqd", blocks.w_q[layer]).reshape(HQ, D),
            f"{prefix}.self_attn.k_proj.weight": np.einsum("dq->qd", blocks.w_k[layer]),
            f"{prefix}.self_attn.v_proj.weight": np.einsum("dq->qd", blocks.w_v[layer]),
            f"{prefix}.self_attn.o_proj.weight": np.einsum("hqd->dhq", blocks.w_o[layer]).reshape(D, HQ),
            f"{prefix}.mlp.gate_proj.weight": np.einsum("df->fd", blocks.w_gate[layer]),
            f"{prefix}.mlp.up_proj.weight": np.einsum("df->fd", blocks.w_up[layer]),
            f"{prefix}.mlp.down_proj.weight": np.einsum("fd->df", blocks.w_down[layer]),
        }
    return tensors


def assert_equal_tensors(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


@pytest.mark.parametrize("config", [SMALL, SQUARE], ids=["heads-differ", "heads-equal"])
def test_every_weight_is_exported_to_the_bit(tmp_path: Path, config: ModelConfig) -> None:
    """Oracle: the transposes written out in NumPy."""
    folder = make_model(tmp_path, config)
    export_model(folder, tmp_path / "out", Silent())
    assert_equal_tensors(read_tensors(tmp_path / "out"), expected_tensors(config))


@pytest.mark.parametrize("axes", [(), (0,)], ids=["layers-in-one-piece", "a-piece-a-layer"])
def test_it_does_not_matter_how_the_checkpoint_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, axes: tuple[int, ...]
) -> None:
    save = ocp.args.StandardSave

    def cut(tree: Any, save_args: Any = None) -> Any:
        del save_args
        chosen = jax.tree.map(lambda leaf: ocp.SaveArgs(shard_axes=axes if leaf.ndim > 2 else ()), tree)
        return save(tree, save_args=chosen)

    monkeypatch.setattr(checkpoints.ocp.args, "StandardSave", cut)
    folder = make_model(tmp_path)
    stored = export.StoredWeights(folder / "checkpoints")
    assert (stored.held_bytes("blocks.w_gate", (3, 16, 64)) == 0) == bool(axes)
    export_model(folder, tmp_path / "out", Silent())
    assert_equal_tensors(read_tensors(tmp_path / "out"), expected_tensors(SMALL))


def test_a_wide_embedding_is_exported_in_blocks_of_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palmetto.export.stored._BLOCK_BYTES", 7 * 4 * SMALL.d_model)
    export_model(make_model(tmp_path), tmp_path / "out", Silent())
    assert_equal_tensors(read_tensors(tmp_path / "out"), expected_tensors(SMALL))


def test_bfloat16_is_the_nearest_to_the_trained_weight(model: Path, tmp_path: Path) -> None:
    """Oracle: rounding to nearest, ties to even, on the bits of the float32."""
    export_model(model, tmp_path / "out", Silent(), "bfloat16")
    found = read_tensors(tmp_path / "out")
    for name, values in expected_tensors(SMALL).items():
        bits = np.ascontiguousarray(values).view(np.uint32).astype(np.uint64)
        nearest = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        np.testing.assert_array_equal(found[name], nearest, err_msg=name)
    assert read_json(tmp_path / "out" / "config.json")["dtype"] == "bfloat16"


def test_files_stay_below_the_size_asked_for(exported: Path) -> None:
    for path in exported.glob("*.safetensors"):
        data = path.read_bytes()
        length = int.from_bytes(data[:8], "little")
        assert len(data) - 8 - length <= 9000 or len(json.loads(data[8 : 8 + length])) == 2


def test_the_index_says_where_every_tensor_is(exported: Path) -> None:
    index = read_json(exported / "model.safetensors.index.json")
    names = sorted(path.name for path in exported.glob("*.safetensors"))
    assert len(names) > 2
    assert names == [f"model-{n:05d}-of-{len(names):05d}.safetensors" for n in range(1, len(names) + 1)]
    assert index["metadata"]["total_size"] == sum(values.nbytes for values in read_tensors(exported).values())
    assert index["weight_map"].keys() == expected_tensors(SMALL).keys()
    for tensor, name in index["weight_map"].items():
        assert f'"{tensor}"'.encode() in (exported / name).read_bytes()


def test_the_config_says_everything_that_coheres_defaults_would_get_wrong(exported: Path) -> None:
    config = read_json(exported / "config.json")
    assert config == {
        "architectures": ["CohereForCausalLM"],
        "model_type": "cohere",
        "vocab_size": 400,
        "hidden_size": 16,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 3,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "hidden_act": "silu",
        "max_position_embeddings": 32,
        "layer_norm_eps": 1e-6,
        "logit_scale": 0.25,
        "rope_theta": 10_000.0,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
        "tie_word_embeddings": True,
        "use_qk_norm": False,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "use_cache": True,
        "bos_token_id": 1,
        "eos_token_id": 1,
        "pad_token_id": None,
        "dtype": "float32",
        "torch_dtype": "float32",
    }


def test_provenance_names_the_weights_the_tokenizer_and_every_file(model: Path, exported: Path) -> None:
    """Oracle: the hash of all weights' bytes, made in memory."""
    said = read_json(exported / "palmetto.json")
    everything = b"".join(np.asarray(leaf).tobytes() for leaf in named_parameters(weights(SMALL)).values())
    assert said["parameters_sha256"] == hashlib.sha256(everything).hexdigest()
    assert said["tokenizer_sha256"] == sha256_bytes(tokenizer_model())
    assert said["checkpoint_sha256"] == read_json(model / "checkpoints/00000007/manifest.json")["sha256"]
    assert (said["step"], said["model_folder_config"]) == (7, read_json(model / "config.json"))
    assert said["files"] == {
        path.name: sha256_file(path) for path in exported.iterdir() if path.name != "palmetto.json"
    }


def test_two_exports_are_the_same_bytes(model: Path, exported: Path, tmp_path: Path) -> None:
    export_model(model, tmp_path / "again", Silent(), max_shard_bytes=9000)
    for path in exported.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


def test_an_existing_folder_is_refused_and_left_alone(model: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(PalmettoError, match="already exists"):
        export_model(model, tmp_path / "out", Silent())
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_an_interrupted_export_leaves_no_folder_and_the_next_one_is_whole(
    model: Path, exported: Path, tmp_path: Path
) -> None:
    def stop(self: Shards) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shards, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            export_model(model, tmp_path / "out", Silent())
    assert not (tmp_path / "out").exists()
    export_model(model, tmp_path / "out", Silent(), max_shard_bytes=9000)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {path.name for path in exported.iterdir()}


def test_a_weight_that_was_not_written_is_an_error(tmp_path: Path) -> None:
    shards = Shards(tmp_path, export.cohere_tensors(SMALL), "float32", 10_000)
    shards.begin()
    with pytest.raises(RuntimeError, match=r"model.embed_tokens.weight.*model.norm.weight"):
        shards.finish()


def test_rmsnorm_cannot_be_expressed(tmp_path: Path) -> None:
    folder = make_model(tmp_path, replace(SMALL, norm="rmsnorm"))
    with pytest.raises(PalmettoError, match=r"model.norm is 'rmsnorm'.*cannot express"):
        export_model(folder, tmp_path / "out", Silent())
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_that_is_not_the_models_is_refused(tmp_path: Path) -> None:
    folder = make_model(tmp_path)
    stored = read_json(folder / "config.json")
    write_json(folder / "config.json", {**stored, "tokenizer_sha256": "0" * 64})
    with pytest.raises(PalmettoError, match="not the tokenizer that small was trained with"):
        export_model(folder, tmp_path / "out", Silent())


def test_a_tokenizer_with_more_tokens_than_rows_is_refused(tmp_path: Path) -> None:
    folder = make_model(tmp_path, replace(SMALL, vocab_size=399))
    with pytest.raises(PalmettoError, match="400 tokens, but small has 399 rows"):
        export_model(folder, tmp_path / "out", Silent())


def test_rows_without_a_token_are_allowed(tmp_path: Path) -> None:
    """An embedding may be padded to a round number of rows."""
    config = replace(SMALL, vocab_size=416)
    export_model(make_model(tmp_path, config), tmp_path / "out", Silent())
    assert_equal_tensors(read_tensors(tmp_path / "out"), expected_tensors(config))


@pytest.mark.parametrize("missing", ["config.json", "checkpoints/00000007/manifest.json"])
def test_a_folder_without_a_finished_model_is_refused(tmp_path: Path, missing: str) -> None:
    folder = make_model(tmp_path)
    (folder / missing).unlink()
    with pytest.raises(PalmettoError, match=r"no model|no finished checkpoint"):
        export_model(folder, tmp_path / "out", Silent())
    assert not (tmp_path / "out").exists()


def test_a_missing_tokenizer_is_named(tmp_path: Path) -> None:
    folder = make_model(tmp_path)
    (tmp_path / "tokenizer" / "tokenizer.model").unlink()
    with pytest.raises(PalmettoError, match=r"no tokenizer found.*put the tokenizer.model"):
        export_model(folder, tmp_path / "out", Silent())


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    folder = make_model(tmp_path)
    path = max((folder / "checkpoints").rglob("d/*"), key=lambda path: path.stat().st_size)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(PalmettoError, match="damaged"):
        export_model(folder, tmp_path / "out", Silent())
    assert not (tmp_path / "out").exists()


def test_a_config_of_another_shape_is_refused(tmp_path: Path) -> None:
    folder = make_model(tmp_path)
    stored = read_json(folder / "config.json")
    stored["model"]["n_heads"] = 2
    write_json(folder / "config.json", stored)
    with pytest.raises(
        PalmettoError, match=r"blocks.w_q has shape \(3, 16, 3, 8\), but config.json describes"
    ):
        export_model(folder, tmp_path / "out", Silent())


def test_a_disk_without_room_is_said_before_anything_is_written(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = export.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(export.shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(PalmettoError, match=r"1,000 bytes free, but the exported weights take"):
        export_model(model, tmp_path / "out", Silent())
    assert not (tmp_path / "out").exists()


def test_neither_torch_nor_transformers_is_imported(model: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from palmetto.cli.export import Export;"
        "from palmetto.common.progress import Terminal;"
        "Export(Path(sys.argv[1]), Path(sys.argv[2])).run(Terminal());"
        "print(sorted({'torch', 'transformers', 'tokenizers', 'safetensors'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(model), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines() == [f"The exported model is {tmp_path / 'out'}", "[]"]
