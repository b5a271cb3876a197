"""The built book in headless Chromium: nothing breaks, nothing comes from elsewhere, pictures are described.

These tests read `_build/html-smoke`, which `make test` builds after the other tests; their marker is `pages`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from axe_playwright_python.sync_playwright import Axe

from rpgan.book import explorer
from rpgan.checkpoint import load_card, load_generator
from rpgan.images import to_uint8
from rpgan.models.generator import render
from rpgan.places import build_root

pytestmark = pytest.mark.pages

HTML = build_root() / "html-smoke"
MADE = ("book/*.html", "notebooks/*.html", "search.html", "genindex.html")
PAGES = sorted(path.relative_to(HTML).as_posix() for made in MADE for path in HTML.glob(made))
# All of an article but the bibliography, to whose entries docutils gives a role that is deprecated now.
JUDGED = {"include": ["article"], "exclude": [".citation-list"]}
# What the guidelines demand, and headings that skip no level.
AXE = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "rules": {"heading-order": {"enabled": True}},
}
VIEWS = {"desktop-light": (1280, "light"), "phone-dark": (390, "dark")}
PROBE = """() => ({
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    undescribed: [...document.querySelectorAll("img")]
        .filter(i => !i.alt || /\\.(png|svg)$/.test(i.alt)).map(i => i.src),
    rawFormulas: [...document.querySelectorAll(".math")]
        .filter(m => !m.querySelector("mjx-container")).length,
    links: [...document.querySelectorAll("article a[href]")].map(a => a.getAttribute("href")),
})"""


def visit(browser: Any, name: str, width: int, scheme: str) -> tuple[dict[str, Any], list[str]]:
    """Opens a page from its file; returns what the probe sees and everything that went wrong."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    wrong: list[str] = []
    local = ("file:", "data:", "blob:")
    page.on("request", lambda r: None if r.url.startswith(local) else wrong.append(f"request {r.url}"))
    page.on("requestfailed", lambda r: wrong.append(f"failed {r.url}"))
    page.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: wrong.append(str(e)))
    page.goto((HTML / name).as_uri(), wait_until="load")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.math')].every(m => m.querySelector('mjx-container'))",
        timeout=10_000,
    )
    seen = page.evaluate(PROBE)
    page.close()
    return seen, wrong


def test_there_is_a_book() -> None:
    assert len(PAGES) >= 8, f"{len(PAGES)} pages in {HTML}; build it by rpgan book --profile smoke"


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole(browser: Any, name: str, view: str) -> None:
    seen, wrong = visit(browser, name, *VIEWS[view])
    assert wrong == []
    assert seen["undescribed"] == [] and seen["rawFormulas"] == 0
    assert seen["overflow"] <= 0, f"{name} is {seen['overflow']} pixels wider than the {view} screen"


@pytest.mark.parametrize("name", PAGES)
def test_links_inside_the_book_lead_somewhere(browser: Any, name: str) -> None:
    seen, _ = visit(browser, name, *VIEWS["desktop-light"])
    for link in seen["links"]:
        path, _, anchor = link.partition("#")
        if "://" in path or path.startswith("mailto:"):
            continue
        target = (HTML / name).parent / path if path else HTML / name
        assert target.exists(), f"{name} links to {link}"
        if anchor and target.suffix == ".html":
            assert anchor_in(target, anchor), f"{name} links to {link}, where nothing has that id"


def anchor_in(path: Path, anchor: str) -> bool:
    """Whether an element of the page has the id."""
    return f'id="{anchor}"' in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", [name for name in PAGES if name != "search.html"])  # no article of ours
def test_a_page_is_accessible(browser: Any, name: str, view: str) -> None:
    width, scheme = VIEWS[view]
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto((HTML / name).as_uri(), wait_until="load")
    found = Axe().run(page, JUDGED, AXE).response["violations"]
    told = [f"{v['id']}: {v['help']}: {node['html'][:200]}" for v in found for node in v["nodes"]]
    page.close()
    assert told == []


def test_the_search_finds_the_pages_of_a_word(browser: Any) -> None:
    page = browser.new_page()
    page.goto(f"{(HTML / 'search.html').as_uri()}?q=wasserstein", wait_until="load")
    page.wait_for_selector("#search-results li a", timeout=10_000)
    found = page.locator("#search-results li a").evaluate_all(
        "links => links.map(a => a.getAttribute('href'))"
    )
    page.close()
    assert any(link.startswith("notebooks/10_wasserstein.html") for link in found)


EXPLORER = HTML / "book" / "explorer.html"
LEVELS = """async hash => {
    const came = new Promise(done => addEventListener("hashchange", done, {once: true}));
    location.hash = hash;
    await came;
    const {width, height} = document.querySelector(".explorer-image");
    const copy = new OffscreenCanvas(width, height).getContext("2d", {willReadFrequently: true});
    copy.drawImage(document.querySelector(".explorer-image"), 0, 0);
    return [...copy.getImageData(0, 0, width, height).data];
}"""
STATE = """() => ({
    hash: location.hash,
    name: document.querySelector(".explorer-image").getAttribute("aria-label"),
    status: document.querySelector(".explorer-status").textContent,
    pressed: [...document.querySelectorAll(".explorer-row button")].findIndex(b => b.ariaPressed === "true"),
    n_thumbs: document.querySelectorAll(".explorer-row button").length,
    varied: document.querySelector("[name=explorer-vary]:checked").value,
})"""


@pytest.fixture
def explorer_page(browser: Any) -> Iterator[Any]:
    """The page in a browser without a network, which must not report an error."""
    context = browser.new_context(offline=True)
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: wrong.append(str(e)))
    page.goto(EXPLORER.as_uri(), wait_until="load")
    yield page
    context.close()
    assert wrong == []


def test_the_explorer_draws_what_pytorch_computes(explorer_page: Any, rng: torch.Generator) -> None:
    generator = load_generator(explorer.EXPLORED)
    paths = generator.sample_paths(24, rng)
    expected = to_uint8(render(generator, paths)).int().expand(-1, 3, -1, -1)
    for path, image in zip(paths, expected, strict=True):
        pixels = explorer_page.evaluate(LEVELS, f"p={explorer.dotted(path)}&v=2")
        drawn = torch.tensor(pixels).view(*image.shape[1:], 4).permute(2, 0, 1)
        assert (drawn[:3] - image).abs().max() <= 1, explorer.dotted(path)


def test_the_explorer_is_used_by_keyboard(explorer_page: Any) -> None:
    page, n = explorer_page, load_generator(explorer.EXPLORED).bucket_sizes
    page.focus("#explorer-bucket-1")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(STATE)["hash"].startswith("#p=1.")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "explorer-vary"
    page.keyboard.press("ArrowDown")
    state = page.evaluate(STATE)
    assert state["varied"] == "2" and state["n_thumbs"] == n[1] and "&v=2&m=" in state["hash"]
    page.focus(".explorer-row button[aria-pressed=true]")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    state = page.evaluate(STATE)
    assert state["pressed"] == 1 and state["hash"].startswith("#p=1.1.")
    assert state["name"].startswith("Generated image of the path 1, 1,") and "Path 1, 1," in state["status"]


def test_going_back_returns_to_the_path_that_the_page_began_with(explorer_page: Any) -> None:
    before = explorer_page.evaluate(STATE)
    explorer_page.click(".explorer-random")
    assert explorer_page.evaluate(STATE)["name"] != before["name"]
    explorer_page.go_back()
    explorer_page.wait_for_function(
        "name => document.querySelector('.explorer-image').ariaLabel === name", arg=before["name"]
    )


def test_the_address_holds_the_state_and_going_back_restores_it(explorer_page: Any) -> None:
    page, last = explorer_page, [size - 1 for size in load_generator(explorer.EXPLORED).bucket_sizes]
    key = load_card(explorer.EXPLORED)["sha256"][: explorer.KEY_DIGITS]
    address = f"#p={'.'.join(map(str, last))}&v=3&m={key}"
    page.goto("about:blank")
    page.goto(EXPLORER.as_uri() + address)
    before = page.evaluate(STATE)
    assert before["hash"] == address and before["varied"] == "3" and before["pressed"] == last[2]
    page.click(".explorer-random")
    assert page.evaluate(STATE)["hash"] != address
    page.go_back()
    page.wait_for_function(
        "name => document.querySelector('.explorer-image').ariaLabel === name", arg=before["name"]
    )
    page.evaluate("location.hash = 'p=99.x&v=77'")
    page.wait_for_function("address => location.hash === address", arg=address)
    after = page.evaluate(STATE)
    assert after["name"] == before["name"] and after["status"].startswith("The address names no path")


def test_without_scripts_and_on_paper_the_explorer_is_a_picture(browser: Any) -> None:
    for scripts, media in ((False, "screen"), (True, "screen"), (True, "print")):
        context = browser.new_context(java_script_enabled=scripts)
        page = context.new_page()
        page.emulate_media(media=media)
        page.goto(EXPLORER.as_uri(), wait_until="load")
        live = scripts and media == "screen"
        assert page.locator("#explorer").is_visible() is live
        assert page.locator("figure.explorer-static img").is_visible() is not live
        context.close()
