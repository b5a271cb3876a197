import dataclasses
import re
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_notebook

from rpgan.book import build, claims, costs, notebooks, pages, quotes, receipts, trained, tried
from rpgan.config import GanConfig, InversionConfig
from rpgan.errors import UserError
from rpgan.ledger import VERDICTS, Claim, Ledger, load_ledger
from rpgan.overrides import flatten
from rpgan.places import CHECKOUT
from rpgan.results import Measured

CLAIM = Claim("a-claim", "E1", "Table 1", "so it is", 2, "01_x/n", {"within": 0}, scale="any")
LEDGER = Ledger(
    {"01_x": "1. X", "02_y": "2. Y"}, (CLAIM, dataclasses.replace(CLAIM, id="b", result="02_y/n"))
)
RESULTS = {"01_x/n": Measured(2, n=7, interval=(1.5, 2.5), changed={"rate": 3})}


def toc_files() -> list[str]:
    toc = yaml.safe_load((CHECKOUT / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(entry["file"] for part in toc["parts"] for entry in part["chapters"])]


@pytest.mark.parametrize("file", toc_files())
def test_every_entry_of_the_contents_exists(file: str) -> None:
    assert any((CHECKOUT / file).with_suffix(suffix).exists() for suffix in (".md", ".ipynb"))


def test_every_page_and_notebook_is_in_the_contents() -> None:
    there = {f"notebooks/{path.stem}" for path in notebooks.chapters()}
    there |= {f"book/{path.stem}" for path in (CHECKOUT / "book").glob("*.md")}
    assert there <= set(toc_files())


def test_config_is_off_line_and_launch_links_appear_with_an_address_only() -> None:
    config = yaml.safe_load((CHECKOUT / "_config.yml").read_text(encoding="utf-8"))
    assert config["execute"]["execute_notebooks"] == "off"
    assert "sphinx_thebe" not in config["sphinx"]["config"]["extensions"]
    assert "launch_buttons" not in config, "they are drawn where there is an address"


def test_pages_quote_chapters_and_switches_that_exist() -> None:
    ledger = load_ledger(CHECKOUT / "book" / "claims.yml")
    judged = {claim.result for claim in ledger.claims}
    code = [*(CHECKOUT / "rpgan" / "analysis").glob("*.py"), *(CHECKOUT / "notebooks").glob("*.ipynb")]
    written = "".join(path.read_text(encoding="utf-8") for path in code)
    for path in (CHECKOUT / "book").glob("*.md"):
        text = path.read_text(encoding="utf-8")
        quotes.quote(text, ledger, {})  # questions are ones
        for quote in {match["key"] for match in quotes.QUOTE.finditer(text)} - judged:
            chapter, _, key = quote.partition("/")
            assert chapter in ledger.chapters and re.search(rf'"{key}\\?"', written), f"{path.name}: {quote}"
    text = (CHECKOUT / "book" / "errata.md").read_text(encoding="utf-8")
    switches = re.findall(r"`((?:train|loss|generator|data)\.\w+)`", text)
    known = flatten(GanConfig("x")).keys() | flatten(InversionConfig("x")).keys()
    assert switches and set(switches) <= known


def test_the_ledger_page_shows_value_verdict_and_link() -> None:
    text = claims.claims_tables(LEDGER, RESULTS, {"01_x"})
    assert "[so it is]{#a-claim}" in text
    assert "2 [1.5, 2.5] (n = 7; rate = 3), *book*, cpu, seed 0" in text
    assert "../notebooks/01_x.ipynb" in text and "../notebooks/02_y.ipynb" not in text
    assert text.count(".verdict-reproduced") == text.count(".verdict-not-attempted") == 1


def test_a_row_about_an_order_tells_of_its_draws() -> None:
    claim = dataclasses.replace(CLAIM, rule={"largest": [2]})
    assert claims.draws_note(claim, Measured([1, 2])) == "point estimates"
    drawn = Measured([1, 2], orders={"1 2": 1_200, "2 1": 300})
    assert claims.draws_note(claim, drawn) == "holds in 80 % of 1,500 draws"
    assert claims.draws_note(CLAIM, Measured(2)) == ""
    weaker = dataclasses.replace(CLAIM, rule={"within": 0.1}, order={"largest": [2]})
    assert claims.draws_note(weaker, drawn) == "same order in 80 % of 1,500 draws"


def test_counts_are_of_the_papers_statements_and_others_stand_apart() -> None:
    other = dataclasses.replace(CLAIM, id="c", rule={"less": 1}, where="beyond the paper", source="beyond")
    ledger = dataclasses.replace(LEDGER, claims=(*LEDGER.claims, other))
    rows = claims.summary(ledger, RESULTS).split("* - ")[2:]
    counts = [re.findall(r"  - (\S+)", row) for row in rows]

    def row(*outcomes: str) -> list[str]:
        return ["1" if outcome in outcomes else "–" for outcome in VERDICTS]

    good, bad, absent = "reproduced", "not reproduced", "not attempted at this budget"
    assert counts == [row(good), row(absent), row(good, absent), row(), row(bad)]
    assert len({claims.slug(outcome) for outcome in VERDICTS}) == len(VERDICTS)


def test_a_chapter_links_back_to_its_claims_only() -> None:
    text = claims.back_links("01_x", LEDGER, RESULTS)
    assert "<a-claim>" in text and "<b>" not in text
    assert claims.back_links("03_z", LEDGER, RESULTS) == ""
    other = dataclasses.replace(CLAIM, where="beyond the paper", source="beyond")
    assert "*(beyond the paper)*" in claims.back_links("01_x", Ledger(LEDGER.chapters, (other,)), RESULTS)


def test_quotes_are_values_or_say_that_nothing_was_run() -> None:
    assert quotes.quote("{{ 01_x/n }} and {{02_y/n}}", LEDGER, RESULTS) == "2 [1.5, 2.5] and *(not run)*"
    long = {"01_x/n": Measured([0.77963, 1.0], interval=(0.12345, 1234.5))}
    assert quotes.quote("{{ 01_x/n }}", LEDGER, long) == "0.78, 1 [0.123, 1,234]"
    with pytest.raises(UserError, match="quotes no chapter"):
        quotes.quote("{{ 09_q/n }}", LEDGER, RESULTS)


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (Measured(0.8, interval=(0.7, 0.9)), "better"),
        (Measured(0.8, interval=(0.7, 1.1)), "open"),
        (Measured(1.2, interval=(1.1, 1.4)), "worse, by far"),
        (Measured(1.0), "open"),
        (Measured(1), "open"),
        (Measured([1.1, 2]), "worse, by far"),
        (Measured([0.9, 2]), "open"),
    ],
)
def test_an_answer_is_given_where_the_whole_interval_supports_it(measured: Measured, expected: str) -> None:
    text = "so: {{ 01_x/n ? 1: better / open / worse, by far }}."
    assert quotes.quote(text, LEDGER, {"01_x/n": measured}) == f"so: {expected}."
    assert quotes.quote(text, LEDGER, {}) == f"so: {quotes.MISSING}."


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        (None, "2"),
        ({"1 3 2": 96, "1 2 3": 4}, "2"),
        ({"1 3 2": 40, "2 3 1": 5, "1 2 3": 50, "3 1 2": 5}, "3 or 2"),
    ],
)
def test_the_largest_are_those_that_draws_put_first(orders: dict[str, int] | None, expected: str) -> None:
    measured = Measured([0.1, 12.0, 9.0], orders=orders)
    assert quotes.quote("bucket {{01_x/n ?largest}}", LEDGER, {"01_x/n": measured}) == f"bucket {expected}"


@pytest.mark.parametrize("question", ["smallest", "1: less / more", "one: less / open / more", "", "1"])
def test_a_question_that_is_none_is_named(question: str) -> None:
    with pytest.raises(UserError, match="expected largest, or 1: less / open / more"):
        quotes.quote(f"{{{{ 01_x/n ? {question} }}}}", LEDGER, {})


@pytest.mark.parametrize("value", [True, "ten", [[1, 2], [3]]])
@pytest.mark.parametrize("question", ["largest", "1: less / open / more"])
def test_what_is_no_number_answers_no_question(value: object, question: str) -> None:
    with pytest.raises(UserError, match="expected a number or a list of them"):
        quotes.quote(f"{{{{ 01_x/n ? {question} }}}}", LEDGER, {"01_x/n": Measured(value)})


def test_only_known_parts_are_filled_in() -> None:
    assert pages.fill("a <!-- generated: b --> c", {"b": "B"}) == "a B c"
    with pytest.raises(UserError, match="nothing generates 'x'; there are b"):
        pages.fill("<!-- generated: x -->", {"b": "B"})


def test_every_generated_part_has_a_place() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (CHECKOUT / "book").glob("*.md"))
    wanted = {"summary", "claims", "executions", "environment", "explorer", "costs", "citation"}
    wanted |= {"cost_memory"}
    wanted |= costs.cost_parts(None).keys() | tried.parts([]).keys() | set(trained.PARTS)
    assert set(re.findall(r"<!-- generated: (\w+) -->", text)) == wanted


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of one notebook that was executed without a kernel."""
    monkeypatch.setenv("RPGAN_BUILD", str(tmp_path / "_build"))
    (tmp_path / "book").mkdir()
    (tmp_path / "notebooks").mkdir()
    document = {"chapters": LEDGER.chapters, "claims": [dataclasses.asdict(CLAIM)]}
    (tmp_path / "book" / "claims.yml").write_text(yaml.safe_dump(document))
    (tmp_path / "book" / "ledger.md").write_text("# L\n\n<!-- generated: claims -->\n")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/ledger\n")
    (tmp_path / "_config.yml").write_text("title: T\n")
    source = tmp_path / "notebooks" / "01_x.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1")]), source)
    sign(tmp_path, source, {})
    return tmp_path


def sign(root: Path, source: Path, parameters: dict) -> None:
    for profile in ("book", "smoke"):
        receipt = receipts.draft(source, profile, parameters, root)
        executed = receipts.executed_path(profile, source)
        executed.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(new_notebook(metadata={receipts.RECEIPT: dataclasses.asdict(receipt)}), executed)


def test_a_stage_is_fresh_and_has_the_paths_of_the_repository(root: Path) -> None:
    staged = build.stage("book", root)
    (staged / "left-over").touch()
    assert build.stage("book", root) == staged
    files = {path.relative_to(staged).as_posix() for path in staged.rglob("*") if path.is_file()}
    assert files == {"_toc.yml", "_config.yml", "book/claims.yml", "book/ledger.md", "notebooks/01_x.ipynb"}
    assert "so it is" in (staged / "book" / "ledger.md").read_text()
    assert "In the ledger" in (staged / "notebooks" / "01_x.ipynb").read_text()


def test_a_smoke_book_says_so(root: Path) -> None:
    assert "Smoke build" in (build.stage("smoke", root) / "_config.yml").read_text()
    assert "Smoke build" not in (build.stage("book", root) / "_config.yml").read_text()


def test_a_stale_or_altered_execution_is_not_published(root: Path) -> None:
    source = root / "notebooks" / "01_x.ipynb"
    sign(root, source, {"rate": 3})
    with pytest.raises(UserError, match=r"executed with \{'rate': 3\}"):
        build.stage("book", root)
    source.write_text(source.read_text() + "\n")
    with pytest.raises(UserError, match="changed since the execution; run: rpgan run 01_x --profile book"):
        build.stage("book", root)
    with pytest.raises(UserError, match="not executed under the profile paper"):
        build.stage("paper", root)
