"""The built report: self-contained, escaped, complete, equal bytes for equal inputs."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fake_study import HOSTILE, make_study, write

from palmetto.common.errors import PalmettoError
from palmetto.common.progress import Silent
from palmetto.report.build import build_report

MODEL_CARD_ROWS = (
    "Model Architecture",
    "Input(s)",
    "Output(s)",
    "Application",
    "Known Caveats",
    "System Description",
    "Upstream Dependencies",
    "Downstream Dependencies",
    "Hardware & Software: Training",
    "Hardware & Software: Deployment",
    "Compute Requirements",
    "Model Initialization",
    "Model Status",
    "Model Stats",
    "Training Dataset",
    "Evaluation Dataset",
    "Fine-tuning Dataset",
    "Benchmark Information",
    "Evaluation Results",
    "Sensitive Use",
    "Known Limitations",
    "Ethical Considerations & Risks",
)


class Page(HTMLParser):
    """Collects what the tests ask about: elements, headings, ids, addresses, handlers, balance of tags."""

    VOID = ("meta", "link", "input", "br", "img", "hr")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.headings: list[int] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attrs)
        self.ids += [found["id"]] if found.get("id") else []
        self.headings += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        self.handlers += [name for name in found if name.startswith("on")]
        if found.get("role") == "img":
            self.images.append(found)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def build(study: Path, out: Path) -> Path:
    out.mkdir()
    build_report(study, out, Silent())
    return out


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    return build(make_study(folder / "starter"), folder / "out")


@pytest.fixture(scope="module")
def page(report: Path) -> Page:
    return Page((report / "index.html").read_text())


def test_equal_inputs_give_equal_bytes(report: Path, tmp_path: Path) -> None:
    again = build(make_study(tmp_path / "starter"), tmp_path / "out")
    names = sorted(str(path.relative_to(report)) for path in report.rglob("*") if path.is_file())
    assert names == sorted(str(path.relative_to(again)) for path in again.rglob("*") if path.is_file())
    for name in names:
        assert (report / name).read_bytes() == (again / name).read_bytes(), name


def test_text_of_documents_is_inert(report: Path, page: Page) -> None:
    text = (report / "index.html").read_text()
    assert HOSTILE not in text
    assert "&lt;/script&gt;&lt;script&gt;window.hacked = 1" in text
    assert page.tags.count("script") == 3 and "img" not in page.tags
    assert page.handlers == []


def test_a_hostile_title_cannot_end_the_script_of_the_figures(tmp_path: Path) -> None:
    study = make_study(tmp_path / "starter", steps=2)
    for path in study.glob("models/*/results/cloze/*-shot.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"title": HOSTILE}))
    out = build(study, tmp_path / "out")
    assert HOSTILE not in (out / "index.html").read_text()
    assert Page((out / "index.html").read_text()).tags.count("script") == 3
    assert "<script" not in (out / "model_card.md").read_text().replace("\\<script", "")


def test_the_page_is_well_formed_and_asks_for_nothing_outside(report: Path, page: Page) -> None:
    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)
    outside = [a for a in page.addresses if not a.startswith(("#", "data:")) and not (report / a).is_file()]
    assert outside == []
    assert {a[1:] for a in page.addresses if a.startswith("#")} <= set(page.ids)


def test_headings_go_down_one_level_at_a_time(page: Page) -> None:
    assert page.headings[0] == 1 and page.headings.count(1) == 1
    assert all(b <= a + 1 for a, b in zip(page.headings, page.headings[1:], strict=False))


def test_every_figure_says_in_words_what_it_shows(page: Page) -> None:
    assert len(page.images) >= 20
    assert all(image["aria-label"] for image in page.images)


def test_every_figure_has_its_csv(report: Path) -> None:
    figures = re.findall(r'<figure id="figure-([^"]+)"', (report / "index.html").read_text())
    assert {f"{name}.csv" for name in figures} == {path.name for path in (report / "figures").iterdir()}


def test_the_model_card_has_every_row_of_appendix_e(report: Path) -> None:
    headings = re.findall(r"^### (.+)$", (report / "model_card.md").read_text(), flags=re.MULTILINE)
    assert tuple(headings) == MODEL_CARD_ROWS


def test_the_model_card_is_filled_from_measured_values(report: Path) -> None:
    text = (report / "model_card.md").read_text()
    assert "4,920,576" in text and "2.170 [2.135, 2.204]" in text and "37.1% \\[34.3%, 39.9%\\]" in text


def test_the_datasheet_has_gebrus_sections_and_the_counts(report: Path) -> None:
    text = (report / "datasheet.md").read_text()
    headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    expected = ["Motivation", "Composition", "Collection process", "Preprocessing and cleaning", "Uses"]
    assert headings == [*expected, "Distribution", "Maintenance", "Languages"]
    assert "Exact duplicates are dropped (17)" in text and "test/bad_coding.py: not UTF-8" in text


def test_a_study_that_has_just_begun_says_what_is_missing(tmp_path: Path) -> None:
    write(tmp_path / "new" / "study.json", {"format": 1, "palmetto": "0.1.0", "recipe": "starter"})
    out = build(tmp_path / "new", tmp_path / "out")
    text = (out / "index.html").read_text()
    for sentence in (
        "No model has been trained yet.",
        "No task has been evaluated yet.",
        "No samples have been drawn",
    ):
        assert sentence in text
    assert "The corpus has not been made yet." in (out / "datasheet.md").read_text()
    assert "No model has been trained yet." in (out / "model_card.md").read_text()


@pytest.mark.parametrize(
    "part",
    [
        "documents",
        "tokenizer",
        "corpus",
        "analyses/scaling.json",
        "analyses/contamination.json",
        "models/palm_5m/summary.json",
        "models/palm_5m/metrics.jsonl",
        "models/palm_5m/results",
        "models/palm_800k/analyses",
    ],
)
def test_a_missing_stage_leaves_the_rest_of_the_page(tmp_path: Path, part: str) -> None:
    study = make_study(tmp_path / "starter", steps=2)
    path = study / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    text = (build(study, tmp_path / "out") / "index.html").read_text()
    assert "palm_160k" in text and Page(text).open == []


def test_spans_of_which_none_were_found_leave_a_gap(tmp_path: Path) -> None:
    study = make_study(tmp_path / "starter", steps=2)
    for path in study.glob("models/*/analyses/memorisation.json"):
        value = json.loads(path.read_text())
        value["by_repetition"][2] |= {"spans": 0, "matches": 0, "rate": None, "ci_low": None, "ci_high": None}
        path.write_text(json.dumps(value))
    assert "0 spans" in (build(study, tmp_path / "out") / "index.html").read_text()


def test_a_damaged_file_stops_the_build_and_is_named(tmp_path: Path) -> None:
    study = make_study(tmp_path / "starter", steps=2)
    (study / "analyses" / "scaling.json").write_text('{"format": 1}')
    with pytest.raises(PalmettoError, match=r"scaling\.json lacks the field 'sizes'"):
        build(study, tmp_path / "out")
