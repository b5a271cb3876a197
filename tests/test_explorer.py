"""The path explorer's engine in headless Chromium, on generators of every shape that it can be given."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from rpgan.book import explorer
from rpgan.book.launch import code_link
from rpgan.checkpoint import load_card
from rpgan.config import GanConfig, GeneratorConfig
from rpgan.errors import UserError
from rpgan.images import to_uint8
from rpgan.models.generator import RandomPathGenerator, build_generator, render
from rpgan.places import CHECKOUT
from rpgan.presets import resolve

STATIC = CHECKOUT / "book" / "_static"
KEY = "0badc0de"  # of a model in the page's address
SMALL = GeneratorConfig(image_shape=(3, 32, 32), widths=(6,) * 4, bucket_sizes=(3, 2, 3, 2, 4), latent_dim=8)
SHAPES = {
    "equal widths": SMALL,
    "other widths, grey, one instance": replace(
        SMALL, image_shape=(1, 32, 32), widths=(6, 4, 8, 5), bucket_sizes=(3, 2, 3, 2, 1)
    ),
    "linear without the last ReLU": replace(SMALL, leak=1.0, last_relu=False),
    "leaky, 64 pixels": replace(
        SMALL, leak=0.2, image_shape=(3, 64, 64), widths=(4,) * 5, bucket_sizes=(2,) * 6
    ),
}


def seasoned(config: GeneratorConfig) -> RandomPathGenerator:
    """A generator whose BatchNorm has statistics of its own activations and an affine map of its own."""
    generator = build_generator(config, seed=1)
    norm = next(m for m in generator.modules() if isinstance(m, nn.BatchNorm2d))
    with torch.no_grad():
        nn.init.normal_(norm.weight, 1.0, 0.3, generator=torch.Generator().manual_seed(2))
        nn.init.normal_(norm.bias, 0.0, 0.3, generator=torch.Generator().manual_seed(3))
        for seed in range(30):
            generator(generator.sample_paths(16, torch.Generator().manual_seed(seed)))
        for parameter in generator.parameters():
            parameter.copy_(parameter.half())
    return generator.eval()


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Any:
    """An empty page beside which a model's script can be put."""
    (tmp_path / "page.html").write_text("<!doctype html><title>Engine</title>")
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    yield page
    page.close()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_engine_agrees_with_pytorch_within_one_level(page: Any, shape: str, rng: torch.Generator) -> None:
    config = SHAPES[shape]
    generator = seasoned(config)
    paths = generator.sample_paths(20, rng)
    page.add_script_tag(content=explorer.model_script(generator, config, paths[0], KEY))
    page.add_script_tag(content=(STATIC / "explorer-engine.js").read_text(encoding="utf-8"))
    levels = page.evaluate(
        "paths => { const e = RpganEngine.prepare(RPGAN_MODEL); return paths.map(p => [...e.levels(p)]); }",
        paths.tolist(),
    )
    expected = to_uint8(render(generator, paths)).int()
    assert expected.float().std() > 10, "the images are blank, agreement would mean nothing"
    assert (torch.tensor(levels).view(expected.shape) - expected).abs().max() <= 1


def test_the_script_stays_small() -> None:
    config = resolve(explorer.EXPLORED, "book")
    assert isinstance(config, GanConfig)
    generator = build_generator(config.generator).eval()
    script = explorer.model_script(generator, config.generator, explorer.first_path(generator), KEY)
    assert len(script) < 1.5e6


def test_the_model_is_json_after_the_assignment(generator: RandomPathGenerator, tiny: GanConfig) -> None:
    script = explorer.model_script(generator, tiny.generator, torch.tensor([2, 1, 0, 1, 3]), KEY)
    head, _, tail = script.partition(" = ")
    document = json.loads(tail.rstrip(";\n"))
    assert head == "window.RPGAN_MODEL" and document["start"] == [2, 1, 0, 1, 3]
    assert document["bucketSizes"] == list(generator.bucket_sizes)


@pytest.mark.parametrize(
    "config",
    [
        GeneratorConfig("fc", (1, 8, 8), (4,), (2, 2), latent_dim=4),
        replace(SMALL, latent="gaussian", bucket_sizes=(1,) * 5),
    ],
)
def test_other_generators_are_refused(config: GeneratorConfig) -> None:
    with pytest.raises(UserError, match="expects sn-resnet with a constant Z"):
        explorer.model_script(build_generator(config), config, torch.zeros(5, dtype=torch.int64), KEY)


def test_weights_beyond_half_precision_are_refused(generator: RandomPathGenerator, tiny: GanConfig) -> None:
    with torch.no_grad():
        next(generator.buckets[1].parameters()).fill_(1e6)
    with pytest.raises(UserError, match="beyond the range of float16"):
        explorer.model_script(generator, tiny.generator, torch.zeros(5, dtype=torch.int64), KEY)


def test_a_checkpoint_becomes_a_page(saved: Path, tmp_path: Path) -> None:
    text = explorer.write_explorer(tmp_path / "book", saved)
    assert (tmp_path / "book" / explorer.GRID).exists()
    script = (tmp_path / "book" / "_static" / explorer.MODEL_SCRIPT).read_text(encoding="utf-8")
    assert f'"key": "{load_card(saved)["sha256"][:8]}"' in script
    assert all(f'src="../_static/{name}"' in text for name in explorer.SCRIPTS)
    assert f"make of it. {code_link('rpgan.book.explorer', CHECKOUT)}\n" in text
    assert "`tiny` (none; step 7 of 90,000), with 144 paths" in text
    assert ":alt: Rows of generated images" in text


SEEN = """() => ({
    hash: location.hash,
    status: document.querySelector(".explorer-status").textContent,
    entries: history.length,
    ...window.told,
})"""
# Counts what is asked of the history, and can refuse it as Safari does.
HISTORY = """window.told = {pushState: 0, replaceState: 0};
for (const how of Object.keys(told)) {
    const original = history[how];
    history[how] = (...given) => {
        told[how] += 1;
        if (window.refusing) throw new DOMException("100 times per 30 seconds", "SecurityError");
        original.apply(history, given);
    };
}"""


@pytest.fixture
def explored(browser: Any, tmp_path: Path) -> Any:
    """The explorer of a small generator as a page from a file, which must not report an error."""
    generator = build_generator(SMALL, seed=1).eval()
    script = explorer.model_script(generator, SMALL, torch.tensor([2, 1, 0, 1, 3]), KEY)
    (tmp_path / explorer.MODEL_SCRIPT).write_text(script, encoding="utf-8")
    ours = [tmp_path / explorer.MODEL_SCRIPT, *(STATIC / name for name in explorer.SCRIPTS[1:])]
    scripts = "".join(f'<script defer src="{path.as_uri()}"></script>' for path in ours)
    body = f'<h2 id="use">Use</h2><div id="explorer" hidden></div>{scripts}'
    (tmp_path / "page.html").write_text(f"<!doctype html><title>Explorer</title>{body}", encoding="utf-8")
    page, wrong = browser.new_page(), list[str]()
    page.add_init_script(HISTORY)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto((tmp_path / "page.html").as_uri())
    yield page
    page.close()
    assert wrong == []


def test_a_drag_writes_the_address_once_where_it_ends(explored: Any) -> None:
    before = explored.evaluate(SEEN)
    box = explored.locator("#explorer-bucket-5").bounding_box()
    y, left, right = box["y"] + box["height"] / 2, box["x"] + 4, box["x"] + box["width"] - 4
    explored.mouse.move(right, y)
    explored.mouse.down()
    for x in (left, right, left):
        explored.mouse.move(x, y, steps=8)
    during = explored.evaluate(SEEN)
    assert during["status"].startswith("Path 2, 1, 0, 1, 0,") and during["hash"] == before["hash"]
    explored.mouse.up()
    after = explored.evaluate(SEEN)
    assert after["hash"] == f"#p=2.1.0.1.0&v=1&m={KEY}"
    assert after["replaceState"] == before["replaceState"] + 1 and after["entries"] == before["entries"]


def test_a_history_that_refuses_leaves_the_page_at_work(explored: Any) -> None:
    explored.evaluate("window.refusing = true")
    explored.focus("#explorer-bucket-1")
    explored.keyboard.press("Home")
    explored.click("[name=explorer-vary][value='3']")
    explored.click(".explorer-row button:last-child")
    refused = explored.evaluate(SEEN)
    assert refused["status"].startswith("Path 0, 1, 2, 1, 3,") and refused["pushState"] == 1
    explored.evaluate("window.refusing = false")
    explored.click("[name=explorer-vary][value='2']")
    assert explored.evaluate(SEEN)["hash"] == f"#p=0.1.2.1.3&v=2&m={KEY}"


def test_only_another_state_makes_an_entry_to_go_back_to(explored: Any) -> None:
    before = explored.evaluate(SEEN)
    for _ in range(3):
        explored.click(".explorer-row button[aria-pressed=true]")
    assert explored.evaluate(SEEN) == before
    explored.click(".explorer-row button:first-child")
    after = explored.evaluate(SEEN)
    assert after["entries"] == before["entries"] + 1 and after["hash"] == f"#p=0.1.0.1.3&v=1&m={KEY}"
    explored.go_back()
    explored.wait_for_function(
        "was => document.querySelector('.explorer-status').textContent === was", arg=before["status"]
    )
    assert explored.evaluate(SEEN)["hash"] == before["hash"]


def opened_at(page: Any, fragment: str) -> dict[str, Any]:
    """Opens the page anew at an address; returns what is seen there."""
    address = f"{page.url.partition('#')[0]}#{fragment}"
    page.goto("about:blank")
    page.goto(address)
    return page.evaluate(SEEN)


MISFITS = {
    "p=39.39.39.39.39&v=2": ("2.1.0.1.3&v=2", "names no path of this model"),
    "p=1.1&v=1": ("2.1.0.1.3&v=1", "names no path of this model"),
    "p=0.1.2.1.0&v=9": ("0.1.2.1.0&v=1", "names no bucket that can be varied"),
    "p=0.1.2.1.0&v=3&m=deadbeef": ("0.1.2.1.0&v=3", "is of another model"),
    "p=9.9.9.9.9&v=3&m=": ("2.1.0.1.3&v=3", "is of another model and names no path of this model"),
    "v=x": ("2.1.0.1.3&v=1", "names no path of this model and names no bucket that can be varied"),
}


@pytest.mark.parametrize("fragment", MISFITS)
def test_an_address_that_does_not_fit_is_put_right_and_told(explored: Any, fragment: str) -> None:
    state, wrong = MISFITS[fragment]
    path, varied = state.split("&v=")
    shown = f"path {path.replace('.', ', ')} of this model, bucket {varied} varied"
    explored.evaluate("fragment => { location.hash = fragment; }", fragment)
    explored.wait_for_function(
        "() => document.querySelector('.explorer-status').textContent.startsWith('The')"
    )
    typed = explored.evaluate(SEEN)
    opened = opened_at(explored, fragment)
    for seen in (typed, opened):
        assert seen["status"] == f"The address {wrong}; shown instead: {shown}"
        assert seen["hash"] == f"#p={state}&m={KEY}"
    explored.click(".explorer-row button:last-child")
    assert explored.evaluate(SEEN)["status"].startswith("Path "), "the note is of the address alone"


@pytest.mark.parametrize("key", ["", f"&m={KEY}"])
def test_an_address_that_fits_is_taken_with_a_key_or_without(explored: Any, key: str) -> None:
    seen = opened_at(explored, f"p=0.1.2.1.0&v=3{key}")
    assert seen["hash"] == f"#p=0.1.2.1.0&v=3&m={KEY}"
    assert seen["status"] == "Path 0, 1, 2, 1, 0, one of 144"


def test_the_address_of_a_heading_stays(explored: Any) -> None:
    status = explored.evaluate(SEEN)["status"]
    there = opened_at(explored, "use")
    assert there["hash"] == "#use" and there["status"] == status
