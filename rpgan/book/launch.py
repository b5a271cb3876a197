"""Where a reader can run the notebooks: the repository's address, and links to Binder, Colab and code there.

`repository` in `_config.yml` is the one source. Where it is not set, the checkout's own remote on GitHub
serves for the book that is built there; committed files carry the address only where the source has it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rpgan.book.notebooks import chapters
from rpgan.book.receipts import git
from rpgan.errors import UserError
from rpgan.files import replacing

GITHUB = re.compile(r"(?:https://|ssh://git@|git@)github\.com[:/]([\w.-]+)/([\w.-]+?)(?:\.git)?/?")
COLAB_CELL = re.compile(r'repository, ref = "[^"\n]*", "[^"\n]*"')
LINKS = re.compile(r"^\[Open in Colab\]\(.*\n\n?", re.MULTILINE)
MARKED = re.compile(r"(<!-- launch -->\n).*?(<!-- /launch -->)", re.DOTALL)
BUTTONS = {
    "notebook_interface": "jupyterlab",
    "binderhub_url": "https://mybinder.org",
    "colab_url": "https://colab.research.google.com",
}


@dataclass(frozen=True)
class Repository:
    """A repository on GitHub, at a branch or tag."""

    owner: str
    name: str
    ref: str = "main"

    @property
    def url(self) -> str:
        return f"https://github.com/{self.owner}/{self.name}"

    def colab(self, path: str) -> str:
        return f"https://colab.research.google.com/github/{self.owner}/{self.name}/blob/{self.ref}/{path}"

    def binder(self, path: str) -> str:
        return f"https://mybinder.org/v2/gh/{self.owner}/{self.name}/{self.ref}?urlpath=lab/tree/{path}"

    def links(self, path: str) -> str:
        """Markdown links that open a notebook; plain words, so that no page loads another server's badge."""
        return f"[Open in Colab]({self.colab(path)}) · [Open in Binder]({self.binder(path)})"


def parse(url: str, ref: str = "main") -> Repository | None:
    """Returns the repository of a GitHub address (https or ssh); None for any other address."""
    match = GITHUB.fullmatch(url.strip())
    return Repository(match[1], match[2], ref) if match else None


def configured(config: Mapping[str, Any]) -> Repository | None:
    """Returns the repository that `_config.yml` names, None where it names none.

    Raises UserError for an address that is not GitHub's, which Binder and Colab links are made for.
    """
    entry = config.get("repository") or {}
    url, ref = entry.get("url") or "", entry.get("branch") or "main"
    if url and parse(url, ref) is None:
        raise UserError(
            f"repository.url {url!r} in _config.yml; expected https://github.com/OWNER/NAME or nothing"
        )
    return parse(url, ref)


def of_checkout(root: Path) -> Repository | None:
    """Returns the checkout's own remote and the branch or tag it is at; None where it has none on GitHub."""
    if not (root / ".git").exists():  # git itself would answer for a repository that this one lies in
        return None
    url = git(root, "remote", "get-url", "origin")
    ref = git(root, "describe", "--tags", "--exact-match") or git(root, "rev-parse", "--abbrev-ref", "HEAD")
    return parse(url, ref if ref and ref != "HEAD" else "main")


def code_link(module: str, root: Path) -> str:
    """Returns what ends the caption of a figure that a module draws: a link to it, or its name as code.

    The address is the launch buttons' own.
    """
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    repository = configured(config) or of_checkout(root)
    if repository is None:
        return f"Its code: `{module}`"
    return f"[Its code]({repository.url}/blob/{repository.ref}/{module.replace('.', '/')}.py)"


def with_launch_buttons(config: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """Returns the book's config with Binder and Colab buttons, or without any where there is no address.

    Colab's set-up cell holds the configured address only, so that its button needs that one. Raises UserError
    where the address is configured and the notebooks do not carry it.
    """
    stamped = configured(config)
    if stamped and (stale := _stamps(root, stamped)):
        names = ", ".join(path.name for path in stale)
        raise UserError(f"_config.yml names {stamped.url} at {stamped.ref}, {names} not: run rpgan stamp")
    repository = stamped or of_checkout(root)
    if repository is None:
        return {key: value for key, value in config.items() if key != "launch_buttons"}
    buttons = {name: value for name, value in BUTTONS.items() if stamped or name != "colab_url"}
    address = {"url": repository.url, "branch": repository.ref, "path_to_book": ""}
    return {**config, "repository": address, "launch_buttons": buttons}


def stamp(root: Path) -> list[Path]:
    """Writes the configured address into README and notebooks; returns the files that changed.

    An empty address takes the links out again.
    """
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    changed = _stamps(root, configured(config))
    for path, text in changed.items():
        with replacing(path) as aside:
            aside.write_text(text, encoding="utf-8")
    return list(changed)


def _stamps(root: Path, repository: Repository | None) -> dict[Path, str]:
    """README and notebooks that do not carry the address, and their text with it."""
    changed = {}
    for path in [root / "README.md", *chapters(root)]:
        before = path.read_text(encoding="utf-8")
        stamped = _readme if path.suffix == ".md" else _notebook
        after = stamped(before, repository, path.relative_to(root).as_posix())
        if after != before:
            changed[path] = after
    return changed


def _readme(text: str, repository: Repository | None, path: str) -> str:
    links = f"{repository.links('notebooks/01_model.ipynb')}\n" if repository else ""
    return MARKED.sub(lambda match: match[1] + links + match[2], text)


def _notebook(text: str, repository: Repository | None, path: str) -> str:
    document = json.loads(text)
    url, ref = (repository.url, repository.ref) if repository else ("", "main")
    for number, cell in enumerate(document["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            source = COLAB_CELL.sub(f'repository, ref = "{url}", "{ref}"', source)
        elif number == 0:
            source = _titled(LINKS.sub("", source), repository.links(path) if repository else "")
        cell["source"] = source.splitlines(keepends=True)
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _titled(source: str, links: str) -> str:
    title, _, rest = source.partition("\n")
    return f"{title}\n\n{links}\n\n{rest.lstrip()}" if links else source
