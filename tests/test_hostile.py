"""Files from strangers: nothing in them runs, nothing is written outside, what is wrong is a UserError."""

import hashlib
import io
import json
import os
import pickle
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save

from rpgan.arguments import parse_assignments
from rpgan.checkpoint import LOADERS, describe, load_card, load_generator
from rpgan.config import DataConfig, GanConfig
from rpgan.convert import convert, read_arguments, read_tensors
from rpgan.datasets import load_dataset
from rpgan.datasets.mnist import read_idx
from rpgan.errors import UserError
from rpgan.metrics.features import load_extractor
from rpgan.overrides import flatten, from_dict, override, to_dict
from rpgan.references import load_reference, measure, save_reference
from rpgan.sweep import plan, read_sweep

NOTHING_HAPPENS = "the documented error, or a valid object; nothing runs, nothing is written"
RUNS = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "socket.connect",
    "ctypes.dlopen",
)
CHANGES = (
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.chmod",
    "shutil.move",
)
watching: list[tuple[Path, list[str]]] = []  # the folder that may be written to, and what was done elsewhere


def _watch(event: str, args: tuple) -> None:
    if not watching:
        return
    allowed, seen = watching[0]
    writes = event in CHANGES
    if event == "open" and isinstance(args[0], str | bytes | Path):
        writes = isinstance(args[2], int) and bool(args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    target = os.path.realpath(os.fsdecode(args[0])) if writes else ""
    inside = target.startswith(os.path.realpath(allowed)) or "__pycache__" in target  # Python's own
    if event in RUNS or (writes and not inside):
        seen.append(f"{event} {args[:1]}")


sys.addaudithook(_watch)


@contextmanager
def watched(folder: Path) -> Iterator[None]:
    """Sees every process, connection and write outside a folder that Python is asked for."""
    seen: list[str] = []
    watching.append((folder, seen))
    try:
        yield
    finally:
        watching.clear()
    assert not seen, seen


def survives(use: Callable[[], object], folder: Path) -> bool:
    """Uses hostile input; returns whether it was refused, in one line. Any other exception fails the test."""
    with watched(folder):
        try:
            use()
        except UserError as error:
            assert str(error) and "\n" not in str(error), repr(str(error)[:300])
            return True
    return False


def fuzz(strategy: st.SearchStrategy, use: Callable[[Any], object], folder: Path, n: int) -> int:
    """Tries n inputs, always the same; returns how many were refused."""
    refused = []

    @settings(max_examples=n, deadline=None, database=None, derandomize=True)
    @given(strategy)
    def one(value: Any) -> None:
        refused.append(survives(lambda: use(value), folder))

    one()
    assert len(refused) >= n / 2, f"only {len(refused)} of {n} inputs are there"
    fuzz.tried = len(refused)
    return sum(refused)


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """Data and builds of a test go to its own folder."""
    monkeypatch.setenv("RPGAN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("RPGAN_BUILD", str(tmp_path / "build"))


# Made-up values: of JSON, and such as are near to what is right

EXTREME = [
    0,
    -1,
    2**31,
    2**63,
    10**30,
    10**400,
    1e308,
    -0.5,
    float("nan"),
    float("inf"),
    True,
    None,
    "",
    "x",
    [],
    {},
]
STRANGE = [
    "../../x",
    "/etc/passwd",
    "a\nb",
    "\x00",
    "\ud800",
    "__class__",
    "!!python/name:os.system",
    "x" * 10_000,
]
scalars = st.one_of(
    st.sampled_from(EXTREME + STRANGE), st.integers(), st.floats(), st.text(max_size=8), st.booleans()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def altered(document: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A nested document with some leaves replaced, left out or added."""
    paths = sorted(".".join(path) for path in _paths(document))
    one = st.tuples(st.sampled_from(paths), st.sampled_from(["set", "drop", "into"]), values)
    return st.lists(one, min_size=1, max_size=3).map(lambda changes: _changed(document, changes))


def _paths(document: dict[str, Any], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in document.items():
        yield (*prefix, key)
        if isinstance(value, dict):
            yield from _paths(value, (*prefix, key))


def _changed(document: dict[str, Any], changes: list[tuple[str, str, Any]]) -> dict[str, Any]:
    copy = json.loads(json.dumps(document))
    for path, what, value in changes:
        *folders, last = path.split(".")
        place = copy
        for name in folders:
            place = place.get(name) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            continue
        if what == "drop":
            place.pop(last, None)
        elif what == "into" and isinstance(place.get(last), list) and place[last]:
            place[last] = [*place[last][:-1], value]
        else:
            place[last] = value
    return copy


def flipped(content: bytes) -> st.SearchStrategy[bytes]:
    """A file with some bytes replaced, inserted or cut off; often near its beginning or end."""
    most = len(content) - 1
    place = st.one_of(
        st.integers(0, most), st.integers(0, min(most, 200)), st.integers(max(0, most - 200), most)
    )
    edit = st.tuples(
        place, st.sampled_from(["put", "put", "put", "insert", "cut"]), st.binary(min_size=1, max_size=4)
    )
    return st.lists(edit, min_size=1, max_size=4).map(lambda edits: _edited(content, edits))


def _edited(content: bytes, edits: list[tuple[int, str, bytes]]) -> bytes:
    for place, what, new in edits:
        rest = {"put": content[place + len(new) :], "insert": content[place:], "cut": b""}[what]
        content = content[:place] + (b"" if what == "cut" else new) + rest
    return content


def text_of(document: Any) -> str:
    return json.dumps(document, default=str)


# Checkpoints


def put(directory: Path, card: Any, weights: bytes | None = None) -> Path:
    """Writes a checkpoint whose card fits its weights, as a stranger would."""
    if weights is not None:
        (directory / "weights.safetensors").write_bytes(weights)
        card = card | {"sha256": hashlib.sha256(weights).hexdigest()}
    (directory / "card.json").write_text(text_of(card), encoding="utf-8", errors="surrogatepass")
    return directory


def load_all(directory: Path) -> None:
    """Everything that reads a checkpoint; where its card may be read, as the kind that it says it is."""
    kind = type(from_dict(load_card(directory)["config"]))
    try:
        describe(str(directory))
    finally:
        LOADERS[kind](directory)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.tried("hostile", "cards with made-up or altered entries, with fitting weights", NOTHING_HAPPENS)
def test_altered_cards(saved, record_property):
    card = load_card(saved)
    refused = fuzz(altered(card) | values, lambda c: load_all(put(saved, c)), saved, 500)
    record_property("cases", fuzz.tried)
    assert refused > 250


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.tried("hostile", "cards whose bytes are altered", NOTHING_HAPPENS)
def test_altered_bytes_of_cards(saved, record_property):
    path = saved / "card.json"

    def use(content: bytes) -> None:
        path.write_bytes(content)
        load_all(saved)

    fuzz(flipped(path.read_bytes()) | st.binary(max_size=60), use, saved, 500)
    record_property("cases", fuzz.tried)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.tried(
    "hostile", "weights whose bytes are altered, under a card that vouches for them", NOTHING_HAPPENS
)
def test_altered_weights(saved, record_property):
    card, content = load_card(saved), (saved / "weights.safetensors").read_bytes()
    length = 8 + struct.unpack("<Q", content[:8])[0]
    header = flipped(content[:length]).map(lambda new: new + content[length:])
    whole = flipped(content) | header | st.binary(max_size=60)
    fuzz(whole, lambda weights: load_all(put(saved, card, weights)), saved, 500)
    record_property("cases", fuzz.tried)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.tried(
    "hostile", "tensors of other names, types and shapes than the card's network has", NOTHING_HAPPENS
)
def test_other_tensors(saved, generator, record_property):
    card, state = load_card(saved), generator.state_dict()
    dtypes = [torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.bool, torch.uint8, torch.int64]
    shapes = st.lists(st.integers(0, 6), max_size=4)
    tensors = st.builds(lambda shape, dtype: torch.zeros(shape).to(dtype), shapes, st.sampled_from(dtypes))
    names = st.sampled_from([*state, "buckets.0.table", "buckets.0.instances.9.weight", "../x", ""])
    changes = st.dictionaries(names, tensors | st.none(), min_size=1, max_size=4)

    def use(changed: dict[str, torch.Tensor | None]) -> None:
        kept = {k: v.clone() for k, v in (state | changed).items() if v is not None}
        load_all(put(saved, card, save(kept)))

    assert fuzz(changes, use, saved, 300) > 250
    record_property("cases", fuzz.tried)


BOMBS: dict[str, dict[str, Any]] = {
    "instances": {"bucket_sizes": [10**12, 2, 3, 2, 4]},
    "widths": {"widths": [10**9, 4, 4, 4]},
    "latent": {"latent_dim": 10**15},
    "images": {"image_shape": [3, 10**9, 10**9]},
    "layers": {"widths": [4] * 10**6, "bucket_sizes": [1] * (10**6 + 1)},
    "fully connected": {"architecture": "fc", "widths": [10**9] * 4},
}


@pytest.mark.tried("hostile", "cards of gigantic networks", "refused before memory is taken")
@pytest.mark.parametrize("changes", BOMBS.values(), ids=BOMBS)
@pytest.mark.timeout(60)
def test_gigantic_networks_take_no_memory(changes, saved):
    card = load_card(saved)
    card["config"]["generator"] |= changes
    assert survives(lambda: load_generator(put(saved, card)), saved)


@pytest.mark.tried("hostile", "cards nested a hundred thousand deep", "the documented error")
@pytest.mark.parametrize("opening", ["[", '{"config": '])
def test_deep_cards(opening, saved):
    (saved / "card.json").write_text(opening * 100_000)
    assert survives(lambda: load_card(saved), saved)
    deep: dict[str, Any] = {}
    for _ in range(900):
        deep = {"x": deep}
    assert survives(lambda: from_dict(deep), saved)


# The converter


class Payload:
    """Runs code when it is unpickled, where unpickling is not restricted."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple:
        return self.call


PAYLOADS: dict[str, Callable[[Path], Payload]] = {
    "a command": lambda witness: Payload(os.system, f"touch {witness}"),
    "a file": lambda witness: Payload(Path.touch, witness),
    "eval": lambda witness: Payload(eval, f"open({str(witness)!r}, 'w')"),
    "open": lambda witness: Payload(open, str(witness), "w"),
    "an import": lambda witness: Payload(__import__, "antigravity"),
    "torch.load": lambda witness: Payload(torch.load, io.BytesIO(pickle.dumps(Payload(Path.touch, witness)))),
}


@pytest.mark.tried(
    "hostile", "pickled code in a released checkpoint and in a training's state", "it is not executed"
)
@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
@pytest.mark.parametrize(
    "wrap", [lambda p: p, lambda p: {"model.0.weight": p}, lambda p: {"x": [torch.ones(2), p]}]
)
def test_pickled_code_is_not_executed(payload, wrap, tmp_path):
    witness, source, params = tmp_path / "executed", tmp_path / "g.pt", tmp_path / "params.json"
    params.write_text('{"model": "sn_resnet32"}')
    torch.save(wrap(payload(witness)), source)
    assert survives(lambda: convert(source, params, tmp_path / "out"), tmp_path / "nowhere")
    source.write_bytes(pickle.dumps(wrap(payload(witness)), protocol=2))
    assert survives(lambda: convert(source, params, tmp_path / "out"), tmp_path / "nowhere")
    assert not witness.exists() and not (tmp_path / "out").exists() and "antigravity" not in sys.modules


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.tried("hostile", "released checkpoints whose bytes are altered", NOTHING_HAPPENS)
def test_altered_released_checkpoints(tmp_path, record_property):
    source, cases = tmp_path / "g.pt", 0
    for new in (True, False):
        torch.save(
            {"a.weight": torch.ones(3, 2), "a.bias": torch.ones(3)},
            source,
            _use_new_zipfile_serialization=new,
        )

        def use(content: bytes) -> None:
            source.write_bytes(content)
            read_tensors(source)

        fuzz(flipped(source.read_bytes()) | st.binary(max_size=60), use, tmp_path, 300)
        cases += fuzz.tried
    record_property("cases", cases)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.tried("hostile", "`params.json` with made-up or altered entries", NOTHING_HAPPENS)
def test_altered_arguments(tmp_path, record_property):
    source, params = tmp_path / "g.pt", tmp_path / "params.json"
    torch.save({"model.0.blocks.0.weight": torch.ones(3, 2), "const_noise": torch.ones(1, 2)}, source)
    usual = {
        "model": "sn_resnet32",
        "generator_leak": 0.0,
        "num_blocks": [2, 2],
        "image_channels": 3,
        "latent_dim": 2,
    }
    usual |= {"data": "cifar10", "steps": 9, "loss": "hinge", "betas": [0.5, 0.9], "batch": 4, "seed": 1}

    def use(document: Any) -> None:
        params.write_text(text_of(document), encoding="utf-8", errors="surrogatepass")
        read_arguments(params)
        convert(source, params, tmp_path / "out")

    assert fuzz(altered(usual) | values, use, tmp_path, 500) > 250
    record_property("cases", fuzz.tried)
    assert not (tmp_path / "out").exists()


# Configs, YAML, assignments


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.tried("hostile", "configs with made-up or altered entries", NOTHING_HAPPENS)
def test_altered_configs(tmp_path, record_property):
    usual = json.loads(json.dumps(to_dict(GanConfig("x"))))
    refused = fuzz(altered(usual) | values, from_dict, tmp_path, 1_000)
    record_property("cases", fuzz.tried)
    assert refused > 250


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.tried("hostile", "values of settings, as `--set` and notebooks give them", NOTHING_HAPPENS)
def test_made_up_settings(tmp_path, record_property):
    keys = st.sampled_from(sorted(flatten(GanConfig("x")))) | st.text(max_size=8)
    changes = st.dictionaries(keys, values, min_size=1, max_size=2)
    fuzz(changes, lambda c: override(GanConfig("x"), c), tmp_path, 700)
    cases = fuzz.tried
    fuzz(
        st.text(max_size=40),
        lambda text: parse_assignments([f"a.b={text}", text][:1], "a.b=1"),
        tmp_path,
        300,
    )
    record_property("cases", cases + fuzz.tried)


POINT = {"experiment": "mnist-rpgan", "train.steps": 3, "generator.bucket_sizes": [2, 2, 2, 2, 1], "seed": 1}
yaml_texts = st.one_of(
    st.lists(altered(POINT) | values, max_size=3).map(lambda p: yaml.safe_dump(p) if _dumps(p) else "[]"),
    st.text(alphabet="[]{}:,-*&!|>%@'\"# \nabc019.~<=?", max_size=60),
    flipped(yaml.safe_dump([POINT]).encode()).map(lambda b: b.decode("latin-1")),
)


def _dumps(document: Any) -> bool:
    try:
        yaml.safe_dump(document)
    except (yaml.YAMLError, UnicodeError):
        return False
    return True


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.tried("hostile", "YAML files of sweeps, altered or made up", NOTHING_HAPPENS)
def test_made_up_yaml(tmp_path, record_property):
    path, runs = tmp_path / "points.yml", tmp_path / "build"

    def use(text: str) -> None:
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        for trial in plan(read_sweep(path), "smoke"):
            assert runs in trial.directory.resolve().parents, trial.directory

    assert fuzz(yaml_texts, use, tmp_path, 500) > 120
    record_property("cases", fuzz.tried)


DANGEROUS = {
    "a command": "!!python/object/apply:os.system ['touch executed']",
    "a class": "!!python/object/new:subprocess.Popen [['touch', 'executed']]",
    "a name": "[{experiment: !!python/name:os.system}]",
    "another folder": "[{experiment: mnist-rpgan, name: ../../../executed}]",
    "an absolute folder": "[{experiment: mnist-rpgan, name: /tmp/executed}]",
    "a number without end": "[{experiment: mnist-rpgan, seed: " + "9" * 10_000 + "}]",
    "no date": "[{experiment: mnist-rpgan, seed: 2001-99-99}]",
    "a loop": "&a [*a]",
    "a bomb": "\n".join(
        [f"- &a{i} [{', '.join([f'*a{i - 1}'] * 9 if i else ['x'] * 9)}]" for i in range(12)]
    ),
    "depth": "[" * 50_000,
}


@pytest.mark.tried(
    "hostile", "YAML that runs code, leads outside, refers to itself or grows", "the documented error"
)
@pytest.mark.parametrize("text", DANGEROUS.values(), ids=DANGEROUS)
@pytest.mark.timeout(60)
def test_dangerous_yaml(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "points.yml").write_text(text)
    assert survives(lambda: plan(read_sweep(tmp_path / "points.yml"), "smoke"), tmp_path / "nowhere")
    assert [path.name for path in tmp_path.iterdir()] == ["points.yml"]


# Images and archives


def image_bytes(kind: str) -> bytes:
    content = io.BytesIO()
    Image.effect_noise((12, 12), 50).convert("RGB").save(content, kind)
    return content.getvalue()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.tried("hostile", "PNG, JPEG, BMP and WebP images whose bytes are altered", NOTHING_HAPPENS)
def test_altered_images(tmp_path, record_property):
    folder, cases = tmp_path / "set", 0
    folder.mkdir()
    for kind in ("png", "jpeg", "bmp", "webp"):

        def use(content: bytes, path: Path = folder / f"1.{kind}") -> None:
            path.write_bytes(content)
            load_dataset(DataConfig("folder", str(folder)), (3, 8, 8), "train")

        fuzz(flipped(image_bytes(kind)), use, tmp_path, 150)
        (folder / f"1.{kind}").unlink()
        cases += fuzz.tried
    record_property("cases", cases)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.tried("hostile", "zips whose bytes are altered", NOTHING_HAPPENS)
def test_altered_zips(tmp_path, record_property):
    path, cases = tmp_path / "set.zip", 0

    def use(content: bytes) -> None:
        path.write_bytes(content)
        load_dataset(DataConfig("folder", str(path)), (3, 8, 8), "train")

    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(path, "w", method) as archive:
            for name in ("train/ä/1.png", "train/b/2.png"):
                archive.writestr(name, image_bytes("png"))
        fuzz(flipped(path.read_bytes()) | st.binary(max_size=60), use, tmp_path, 200)
        cases += fuzz.tried
    record_property("cases", cases)


def eps() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (4, 4)).save(content, "EPS")
    return content.getvalue()


def png_with(exif: bytes) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (4, 4)).save(content, "PNG", exif=exif)
    return content.getvalue()


def zip_of(content: bytes, method: int = zipfile.ZIP_STORED, name: str = "1.png") -> bytearray:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        archive.writestr(name, content)
    return bytearray(packed.getvalue())


def without_encoding() -> bytes:
    return bytes(zip_of(b"", name="ä.png")).replace("ä".encode(), b"\xff\xff")


def of_the_future() -> bytes:
    archive = zip_of(b"")
    archive[archive.rindex(b"PK\1\2") + 6] = 99  # the version that is needed to extract
    return bytes(archive)


def cut(method: int) -> bytes:
    archive = zip_of(image_bytes("png"), method)
    archive[60:80] = bytes(20)
    return bytes(archive)


@pytest.mark.tried(
    "hostile", "PostScript, broken metadata and broken archives called images", NOTHING_HAPPENS
)
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("1.png", eps()),
        ("1.png", png_with(b"II*\0")),
        ("set.zip", without_encoding()),
        ("set.zip", of_the_future()),
        ("set.zip", cut(zipfile.ZIP_BZIP2)),
        ("set.zip", cut(zipfile.ZIP_LZMA)),
    ],
    ids=["eps", "exif", "encoding", "version", "bz2", "lzma"],
)
def test_what_only_looks_like_images_is_refused(name, content, tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / name).write_bytes(content)
    path = folder / name if name.endswith(".zip") else folder
    assert survives(lambda: load_dataset(DataConfig("folder", str(path)), (3, 8, 8), "train"), tmp_path)


NAMES = st.lists(
    st.sampled_from(["..", ".", "", "a", "C:", "~", "\\", "..\\x", "%2e%2e", "a\x00b"]), max_size=4
)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.tried("hostile", "zips with made-up names of entries", "read in place: nothing is unpacked")
def test_made_up_names_in_zips(tmp_path, record_property):
    path, png = tmp_path / "set.zip", image_bytes("png")

    def use(parts: list[str]) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("/".join([*parts, "1.png"]), png)
        dataset = load_dataset(DataConfig("folder", str(path)), (3, 8, 8), "train")
        assert ".." not in parts and dataset.__getitems__([0])[0].shape == (1, 3, 8, 8)

    assert fuzz(NAMES, use, tmp_path, 200) > 20
    record_property("cases", fuzz.tried)
    assert {p.name for p in tmp_path.iterdir()} == {"set.zip", "data"}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.tried("hostile", "IDX files and archives of arrays whose bytes are altered", NOTHING_HAPPENS)
def test_altered_arrays(tmp_path, record_property):
    path, cases = tmp_path / "x.npz", 0
    images = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    save_reference(measure([images], {"pixels": load_extractor("pixels")}, "five images"), path)
    idx = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2, 28, 28) + bytes(2 * 28 * 28)
    readers: list[tuple[bytes, Callable[[Path], object]]] = [
        (path.read_bytes(), load_reference),
        (idx, lambda path: read_idx(path, 3)),
    ]
    for content, read in readers:

        def use(new: bytes, read: Callable[[Path], object] = read) -> None:
            path.write_bytes(new)
            read(path)

        fuzz(flipped(content) | st.binary(max_size=60), use, tmp_path, 300)
        cases += fuzz.tried
    record_property("cases", cases)


def test_the_watch_sees_what_it_should(tmp_path):
    with pytest.raises(AssertionError, match="system"), watched(tmp_path):
        os.system("true")
    with pytest.raises(AssertionError, match="open"), watched(tmp_path / "in"):
        (tmp_path / "out").write_text("x")
    with watched(tmp_path):
        (tmp_path / "in").write_text("x")
