"""Projection and discontinuity of PaLM section 6.2; the oracle is the paper's printed figures."""

import numpy as np
import pytest
from analysis_fakes import write_result, write_summary

from palmetto.analysis.config import ScalingConfig
from palmetto.analysis.scaling import discontinuity, project, scaling
from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json, write_json

CONFIG = ScalingConfig(n_samples=500)


def test_logical_sequence_of_the_paper():
    assert project([13.0, 25.0, 87.0]) == 37
    assert discontinuity([13.0, 25.0, 87.0]) == 50


def test_fewer_than_three_sizes_have_no_projection():
    assert project([13.0, 25.0]) is None
    assert discontinuity([13.0]) is None


def test_more_than_three_sizes_use_the_last_three():
    assert discontinuity([99.0, 13.0, 25.0, 87.0]) == 50


def scores(right, n=100):
    return {f"item-{i:03d}": float(i < right) for i in range(n)}


def family(tmp_path, tasks, bits=(2.5, 2.3, 2.0)):
    """Write one model a column of `tasks` ({(task, shots): rights of each size}) and return the family."""
    models = []
    for size, value in enumerate(bits):
        folder = tmp_path / f"size{size}"
        for (task, shots), rights in tasks.items():
            write_result(folder, task, shots, scores(rights[size]))
        write_summary(folder, value)
        models.append((f"size{size}", 10 ** (size + 1), folder))
    return models


def test_the_file_gives_the_papers_figures(tmp_path):
    models = family(tmp_path, {("logical_sequence", 5): (13, 25, 87)})
    report = scaling(models, ["logical_sequence"], CONFIG, tmp_path / "scaling.json")
    assert report == read_json(tmp_path / "scaling.json")
    (row,) = report["tasks"]
    assert row["scores"] == [0.13, 0.25, 0.87]
    assert row["projection"] == pytest.approx(0.37)
    assert row["discontinuity"] == pytest.approx(50)
    assert row["discontinuity_ci"][0] < 50 < row["discontinuity_ci"][1]
    assert (row["shots"], row["chance"], row["preferred_metric"]) == (5, 0.25, "acc")
    assert (report["share_over_10_points"], report["share_over_20_points"]) == (1.0, 1.0)


def test_the_interval_is_that_of_resampling_items_and_recomputing_all_scores(tmp_path):
    # oracle: the definition, spelt out; both are percentile bootstraps, so they agree within sampling noise
    models = family(tmp_path, {("quiz", 0): (20, 45, 60)})
    config = ScalingConfig(n_samples=4000)
    (row,) = scaling(models, ["quiz"], config, tmp_path / "scaling.json")["tasks"]
    columns = np.array([list(scores(right).values()) for right in (20, 45, 60)])
    random = np.random.default_rng(9)
    found = []
    for _ in range(4000):
        s1, s2, s3 = columns[:, random.integers(0, 100, 100)].mean(axis=1)
        found.append(100 * (s3 - (s2 + (s2 - s1))))
    assert row["discontinuity_ci"] == pytest.approx(list(np.quantile(found, [0.025, 0.975])), abs=1.5)


def test_neighbours_and_the_extremes_are_compared_over_the_same_items(tmp_path):
    models = family(tmp_path, {("quiz", 0): (20, 20, 60)})
    (row,) = scaling(models, ["quiz"], CONFIG, tmp_path / "scaling.json")["tasks"]
    pairs = [(pair["small"], pair["large"]) for pair in row["paired"]]
    assert pairs == [("size0", "size1"), ("size1", "size2"), ("size0", "size2")]
    assert [pair["difference"] for pair in row["paired"]] == pytest.approx([0, 0.4, 0.4])
    assert row["paired"][0]["p_value"] == 1.0
    assert row["paired"][2]["ci_low"] > 0.25
    assert row["paired"][2]["p_value"] < 0.01


def test_shares_count_tasks_above_ten_and_twenty_points(tmp_path):
    tasks = {("a", 0): (10, 20, 55), ("a", 1): (10, 20, 45), ("b", 0): (10, 20, 30), ("b", 1): (20, 30, 20)}
    report = scaling(family(tmp_path, tasks), ["b", "a"], CONFIG, tmp_path / "scaling.json")
    assert (report["share_over_10_points"], report["share_over_20_points"]) == (0.5, 0.25)
    assert [(row["task"], row["shots"]) for row in report["tasks"]] == [
        ("b", 0),
        ("b", 1),
        ("a", 0),
        ("a", 1),
    ]


def test_fewer_bits_than_projected_are_a_positive_discontinuity(tmp_path):
    models = family(tmp_path, {("quiz", 0): (1, 2, 3)}, bits=(2.5, 2.3, 2.0))
    bits = scaling(models, ["quiz"], CONFIG, tmp_path / "scaling.json")["bits_per_byte"]
    assert bits["values"] == [2.5, 2.3, 2.0]
    assert bits["projection"] == pytest.approx(2.1)
    assert bits["discontinuity"] == pytest.approx(0.1)


def test_bits_saved_are_paired_over_documents(tmp_path):
    models = family(tmp_path, {("quiz", 0): (1, 2, 3)}, bits=(2.5, 2.3, 2.0))
    bits = scaling(models, ["quiz"], CONFIG, tmp_path / "scaling.json")["bits_per_byte"]
    ends = bits["paired"][-1]
    assert (ends["small"], ends["large"]) == ("size0", "size2")
    assert ends["difference"] == pytest.approx(0.5)
    # Every document saves a fifth of its own bits, 0.8 to 1.1 of the mean, so no draw can give less or more.
    assert 0.4 - 1e-9 <= ends["ci_low"] < ends["difference"] < ends["ci_high"] <= 0.55 + 1e-9


def test_sizes_measured_on_other_documents_are_refused(tmp_path):
    models = family(tmp_path, {("quiz", 0): (1, 2, 3)})
    path = models[-1][2] / "summary.json"
    summary = read_json(path)
    summary["heldout"]["document_bytes"] = [1, 2, 3]
    write_json(path, summary)
    with pytest.raises(PalmettoError, match="different held-out documents"):
        scaling(models, ["quiz"], CONFIG, tmp_path / "scaling.json")


def test_sizes_are_ordered_by_parameters(tmp_path):
    models = family(tmp_path, {("quiz", 0): (10, 20, 30)})
    report = scaling(models[::-1], ["quiz"], CONFIG, tmp_path / "scaling.json")
    assert [size["parameters"] for size in report["sizes"]] == [10, 100, 1000]
    assert report["tasks"][0]["scores"] == [0.1, 0.2, 0.3]


def test_two_sizes_are_compared_without_a_projection(tmp_path):
    models = family(tmp_path, {("quiz", 0): (10, 20)}, bits=(2.5, 2.3))
    report = scaling(models, ["quiz"], CONFIG, tmp_path / "scaling.json")
    (row,) = report["tasks"]
    assert (row["projection"], row["discontinuity"], row["discontinuity_ci"]) == (None, None, None)
    assert len(row["paired"]) == 1
    assert report["share_over_10_points"] is None


def test_other_items_in_one_size_are_an_error(tmp_path):
    models = family(tmp_path, {("quiz", 0): (10, 20, 30)})
    write_result(models[1][2], "quiz", 0, scores(20, n=99))
    with pytest.raises(PalmettoError, match="not the same items"):
        scaling(models, ["quiz"], CONFIG, tmp_path / "scaling.json")


def test_a_missing_number_of_shots_in_one_size_is_an_error(tmp_path):
    models = family(tmp_path, {("quiz", 0): (10, 20, 30)})
    write_result(models[2][2], "quiz", 5, scores(20))
    with pytest.raises(PalmettoError, match="quiz with 5 shots"):
        scaling(models, ["quiz"], CONFIG, tmp_path / "scaling.json")


def test_samples_of_another_run_than_the_score_are_an_error(tmp_path):
    models = family(tmp_path, {("quiz", 0): (10, 20, 30)})
    write_result(models[1][2], "quiz", 0, scores(20), score=0.7)
    with pytest.raises(PalmettoError, match="not of one run"):
        scaling(models, ["quiz"], CONFIG, tmp_path / "scaling.json")


def test_a_model_without_results_is_an_error(tmp_path):
    with pytest.raises(PalmettoError, match="holds no results"):
        scaling([("size0", 10, tmp_path)], ["quiz"], CONFIG, tmp_path / "scaling.json")
