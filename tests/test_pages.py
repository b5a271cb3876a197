"""The built book in headless Chromium: nothing breaks, nothing comes from elsewhere, pictures are described.

These tests read `_build/html`, which `make test` builds after the other tests; their marker is `pages`.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rpgan.results import build_root

pytestmark = pytest.mark.pages

HTML = build_root() / "html"
PAGES = sorted(
    path.relative_to(HTML).as_posix()
    for folder in ("book", "notebooks")
    for path in HTML.glob(f"{folder}/*.html")
)
VIEWS = {"desktop-light": (1280, "light"), "phone-dark": (390, "dark")}
PROBE = """() => ({
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    undescribed: [...document.querySelectorAll("img")]
        .filter(i => !i.alt || /\\.(png|svg)$/.test(i.alt)).map(i => i.src),
    rawFormulas: [...document.querySelectorAll(".math")]
        .filter(m => !m.querySelector("mjx-container")).length,
    ids: [...document.querySelectorAll("[id]")].map(e => e.id),
    links: [...document.querySelectorAll("article a[href]")].map(a => a.getAttribute("href")),
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The system's Chromium; without one a skip that says so, on CI a failure."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        stop = pytest.fail if os.environ.get("CI") else pytest.skip
        stop("no Chromium on this system; install the package chromium")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])


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
