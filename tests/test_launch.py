"""Launch links come from one address, and the Colab cell does what it says."""

import importlib.util
import json
import subprocess
import sys
import types
from pathlib import Path

import pytest
import yaml

from rpgan.book import launch, receipts
from rpgan.book.launch import Repository
from rpgan.errors import UserError
from rpgan.places import CHECKOUT

HERE = Repository("someone", "rpgan", "v1.0")
ADDRESSES = [
    "https://github.com/someone/rpgan",
    "https://github.com/someone/rpgan.git",
    "https://github.com/someone/rpgan/",
    "git@github.com:someone/rpgan.git",
    "ssh://git@github.com/someone/rpgan.git",
]


@pytest.mark.parametrize("url", ADDRESSES)
def test_every_form_of_an_address_is_the_same_repository(url):
    assert launch.parse(url, "v1.0") == HERE


@pytest.mark.parametrize("url", ["", "https://example.org/a/b", "https://github.com/a", "../somewhere"])
def test_other_addresses_are_none(url):
    assert launch.parse(url) is None


def test_an_address_elsewhere_is_refused_where_it_was_written_by_hand():
    assert launch.configured({"repository": {"url": ""}}) is None
    with pytest.raises(UserError, match=r"expected https://github\.com/OWNER/NAME"):
        launch.configured({"repository": {"url": "https://example.org/a/b"}})


@pytest.fixture
def checkout(tmp_path):
    """A git checkout with a README, one notebook and a `_config.yml` of a given address."""
    cells = json.loads((CHECKOUT / "notebooks" / "01_model.ipynb").read_text(encoding="utf-8"))
    (tmp_path / "notebooks").mkdir()
    notebook = json.dumps(cells, indent=1, ensure_ascii=False) + "\n"
    (tmp_path / "notebooks" / "01_model.ipynb").write_text(notebook, encoding="utf-8")
    (tmp_path / "README.md").write_text("# Title\n\n<!-- launch -->\n<!-- /launch -->\n", encoding="utf-8")
    configure(tmp_path, "")
    launch.stamp(tmp_path)  # the notebook comes from a checkout that may carry an address of its own
    git(tmp_path, "init", "-q", "-b", "topic")
    return tmp_path


def configure(root: Path, url: str, branch: str = "main") -> None:
    text = yaml.safe_dump({"repository": {"url": url, "branch": branch}})
    (root / "_config.yml").write_text(text, encoding="utf-8")


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, "-C", str(root), *arguments], check=True, capture_output=True)


def test_without_any_address_no_buttons_are_drawn(checkout):
    assert "launch_buttons" not in launch.with_launch_buttons({"launch_buttons": {"a": "b"}}, checkout)


def test_the_checkouts_own_remote_serves_where_nothing_is_configured(checkout):
    git(checkout, "commit", "-q", "--allow-empty", "-m", "first")
    git(checkout, "remote", "add", "origin", "git@github.com:someone/rpgan.git")
    config = launch.with_launch_buttons({}, checkout)
    assert config["repository"] == {"url": HERE.url, "branch": "topic", "path_to_book": ""}
    assert set(config["launch_buttons"]) == {"notebook_interface", "binderhub_url"}, (
        "its cells are not stamped"
    )
    git(checkout, "tag", "v1.0")
    assert launch.of_checkout(checkout) == HERE
    configured = {"repository": {"url": "https://github.com/another/name", "branch": "main"}}
    with pytest.raises(UserError, match=r"README\.md, 01_model\.ipynb not: run rpgan stamp"):
        launch.with_launch_buttons(configured, checkout)
    configure(checkout, "https://github.com/another/name")
    launch.stamp(checkout)
    stamped = launch.with_launch_buttons(configured, checkout)
    assert stamped["repository"]["url"].endswith("another/name") and "colab_url" in stamped["launch_buttons"]


def test_a_copy_inside_another_repository_does_not_take_its_address(checkout):
    git(checkout, "remote", "add", "origin", "git@github.com:someone/dotfiles.git")
    (checkout / "unzipped").mkdir()
    assert launch.of_checkout(checkout / "unzipped") is None


def test_a_module_is_linked_at_the_address_or_named_where_there_is_none(checkout):
    assert launch.code_link("rpgan.book.trained", checkout) == "Its code: `rpgan.book.trained`"
    configure(checkout, HERE.url, "v1.0")
    link = f"[Its code]({HERE.url}/blob/v1.0/rpgan/book/trained.py)"
    assert launch.code_link("rpgan.book.trained", checkout) == link


def test_stamping_twice_changes_nothing_more_and_an_empty_address_takes_it_back(checkout):
    before = {path: path.read_text() for path in (*checkout.glob("*.md"), *checkout.rglob("*.ipynb"))}
    assert launch.stamp(checkout) == []
    configure(checkout, HERE.url, "v1.0")
    assert len(launch.stamp(checkout)) == 2 and launch.stamp(checkout) == []
    readme = (checkout / "README.md").read_text()
    assert (
        HERE.colab("notebooks/01_model.ipynb") in readme and HERE.binder("notebooks/01_model.ipynb") in readme
    )
    cells = json.loads((checkout / "notebooks" / "01_model.ipynb").read_text())["cells"]
    assert cells[0]["source"][2].startswith(
        "[Open in Colab](https://colab.research.google.com/github/someone/"
    )
    assert any(f'repository, ref = "{HERE.url}", "v1.0"' in "".join(cell["source"]) for cell in cells)
    configure(checkout, "")
    launch.stamp(checkout)
    assert {path: path.read_text() for path in before} == before


def test_a_stamped_notebook_keeps_to_the_length_of_lines(checkout):
    configure(checkout, f"https://github.com/{'o' * 20}/{'n' * 20}", "b" * 20)
    launch.stamp(checkout)
    cells = json.loads((checkout / "notebooks" / "01_model.ipynb").read_text())["cells"]
    code = [line for cell in cells if cell["cell_type"] == "code" for line in cell["source"]]
    assert max(len(line.rstrip("\n")) for line in code) <= 110


def test_committed_files_carry_the_configured_address_and_links_lead_to_files_that_exist(tmp_path):
    copy = tmp_path / "copy"
    (copy / "notebooks").mkdir(parents=True)
    for path in ("README.md", "_config.yml", *(f"notebooks/{p.name}" for p in chapters())):
        (copy / path).write_text((CHECKOUT / path).read_text(encoding="utf-8"), encoding="utf-8")
    assert launch.stamp(copy) == [], "run `rpgan stamp` and commit what it changes"
    configure(copy, HERE.url)
    launch.stamp(copy)
    linked = {
        line.rsplit("/blob/main/", 1)[1].split(")")[0]
        for path in (copy / "README.md", *copy.glob("notebooks/*.ipynb"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if "[Open in Colab](" in line
    }
    assert linked == {f"notebooks/{path.name}" for path in chapters()}
    named = launch.configured(yaml.safe_load((CHECKOUT / "_config.yml").read_text(encoding="utf-8")))
    known = named and receipts.git(CHECKOUT, "rev-parse", "--verify", "--quiet", f"{named.ref}^{{commit}}")
    there = receipts.git(CHECKOUT, "ls-tree", "-r", "--name-only", known or "HEAD").splitlines()
    assert linked <= set(there), "commit the notebooks before their links are published"


def chapters() -> list[Path]:
    return sorted((CHECKOUT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def colab_cell(path: Path) -> str:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    (source,) = (s for s in ("".join(cell["source"]) for cell in cells) if "google.colab" in s)
    return source


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_on_colab_the_set_up_cell_fetches_and_installs_the_page_s_version(path, monkeypatch):
    source, called = colab_cell(path), []
    monkeypatch.setattr(subprocess, "run", lambda command, **options: called.append((command, options)))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "path", list(sys.path))
    exec(source, {})  # not on Colab: nothing happens
    assert not called
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    with pytest.raises(RuntimeError, match="names no repository"):
        exec(launch.COLAB_CELL.sub('repository, ref = "", "main"', source), {})
    exec(launch.COLAB_CELL.sub(f'repository, ref = "{HERE.url}", "v1.0"', source), {})
    clone, install = (command for command, _ in called)
    assert clone[:2] == ["git", "clone"] and {"v1.0", HERE.url, "/content/rpgan-book"} <= set(clone)
    assert install[1:4] == ["-m", "pip", "install"] and "/content/rpgan-book" in install
    assert not {"-c", "constraints.txt"} & set(install), "Colab's own torch must stay"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    exec(source, {})  # there already, as after a restart of the session
    assert len(called) == 2
    assert all(options == {"check": True} for _, options in called) and "/content/rpgan-book" in sys.path
