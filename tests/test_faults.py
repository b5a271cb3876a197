"""Faults: what is killed goes on, what is full, read-only or damaged is one line, nothing is half there."""

import errno
import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image

from rpgan import cli
from rpgan.checkpoint import load_generator
from rpgan.config import DataConfig, GanConfig
from rpgan.datasets import load_dataset
from rpgan.errors import UserError
from rpgan.evaluate import Evaluation, save_json
from rpgan.files import exchange, replacing
from rpgan.images import save_png
from rpgan.overrides import override, to_dict
from rpgan.results import read_results, save
from rpgan.samples import write_grid, write_samples
from rpgan.sweep import Point, Sweep, plan
from rpgan.sweep.trial import read_row
from rpgan.training import train
from rpgan.training.recovery import alone, tidy, trim_log

SCRIPT = Path(__file__).with_name("fault_script.py")
GAN: GanConfig = override(
    GanConfig("killed", DataConfig("mnist-5k")),
    {
        "generator.image_shape": [1, 32, 32],
        "generator.widths": [4, 4, 4, 4],
        "generator.bucket_sizes": [4, 3, 2, 4, 1],
        "discriminator.widths": [4, 4],
        "train.steps": 42,
        "train.d_steps": 1,
        "train.ema": 0.9,
        "train.batch_size": 2,
        "train.evaluate_every": 4,
        "train.evaluate_n": 8,
        "train.save_every": 3,
        "train.precision": "float32",
    },
)
SWEEP = {
    "train.steps": 15,
    "train.evaluate_every": 4,
    "train.save_every": 3,
    "train.evaluate_n": 8,
    "generator.bucket_sizes": [2, 2, 2, 2, 1],
    "train.precision": "float32",
}
STEPS = {"train.steps": 2, "train.evaluate_every": 1, "train.save_every": 1}


def killed(tmp_path: Path, kind: str, kills: int, share: float, **job: object) -> dict:
    """Has a job killed again and again; returns the report."""
    job |= {"kind": kind, "kills": kills, "share": share, "seed": 20, "home": str(tmp_path / "attempts")}
    (tmp_path / "job.json").write_text(json.dumps(job))
    command = [sys.executable, str(SCRIPT), str(tmp_path / "job.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


# Kills


def test_a_killed_training_goes_on(tmp_path: Path) -> None:
    assert killed(tmp_path, "training", 2, 0.6, config=to_dict(GAN))["kills"] == 2


LOSES_LITTLE = (
    "at most the steps since the last save are lost; the end is that of an unbroken run, bit for bit"
)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.tried("fault", "`kill -9` at random moments of a training", LOSES_LITTLE)
def test_a_training_survives_many_kills(tmp_path: Path, record_property) -> None:
    report = killed(tmp_path, "training", 20, 0.5, config=to_dict(GAN))
    record_property("cases", report["kills"])
    assert report["kills"] == 20 and report["finished"] > 1


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.tried("fault", "`kill -9` at random moments of a sweep", LOSES_LITTLE)
def test_a_sweep_survives_many_kills(tmp_path: Path, record_property) -> None:
    report = killed(tmp_path, "sweep", 20, 0.5, changes=SWEEP)
    record_property("cases", report["kills"])
    assert report["kills"] == 20


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.tried(
    "fault",
    "`kill -9` at random moments of `rpgan book`",
    "the book is whole or absent; the same command makes it",
)
def test_a_book_survives_many_kills(tmp_path: Path, record_property) -> None:
    report = killed(tmp_path, "book", 20, 0.9, root=str(small_book(tmp_path / "root")))
    record_property("cases", report["kills"])
    assert report["kills"] == 20


def small_book(root: Path) -> Path:
    """A checkout of one notebook and one page."""
    for name in ("book", "notebooks"):
        (root / name).mkdir(parents=True)
    cells = [
        new_markdown_cell("# X"),
        new_code_cell('profile: str = "book"', metadata={"tags": ["parameters"]}),
        new_code_cell(
            "from types import SimpleNamespace\n"
            "from rpgan.chapter import write_results\n"
            "from rpgan.results import Result\n"
            "print('forty', 'two', sep='-')\n"
            "run = SimpleNamespace(chapter='01_x', profile=profile, seed=0, device='cpu', changed={})\n"
            "write_results(run, {'n': Result(42)})"
        ),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), root / "notebooks" / "01_x.ipynb")
    (root / "book" / "claims.yml").write_text("chapters: {01_x: X}\nclaims: []\n")
    (root / "book" / "ledger.md").write_text("# L\n\nText.\n")
    (root / "book" / "environment.md").write_text("# E\n\nText.\n")
    chapters = [{"file": "notebooks/01_x"}, {"file": "book/environment"}]
    toc = {"format": "jb-book", "root": "book/ledger", "chapters": chapters}
    (root / "_toc.yml").write_text(yaml.safe_dump(toc))
    (root / "_config.yml").write_text("title: T\nexecute: {execute_notebooks: 'off'}\n")
    return root


def test_an_exchange_that_was_killed_is_undone_and_leftovers_go(tmp_path, saved):
    saved.rename(tmp_path / ".best.old")
    (tmp_path / ".last.17").mkdir()
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / ".000003.png.1.part").touch()
    tidy(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best", "samples"]
    assert load_generator(tmp_path / "best") and not list((tmp_path / "samples").iterdir())


def test_a_new_book_takes_the_place_of_the_old_one(tmp_path):
    for name in ("html", "built"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    exchange(tmp_path / "built", tmp_path / "html")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["html", "html/built"]


def test_a_second_process_waits_until_a_run_is_free(tmp_path, capsys):
    order = []

    def second() -> None:
        with alone(tmp_path / "run"):
            order.append("second")

    with alone(tmp_path / "run"):
        other = threading.Thread(target=second)
        other.start()
        told = ""
        while "waiting" not in told:
            told += capsys.readouterr().out
            time.sleep(0.01)
        order.append("first")
    other.join()
    assert order == ["first", "second"] and str(tmp_path / "run") in told


# Disks


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file can grow beyond so many bytes: writing more fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


readonly: list[Path] = []  # below which nothing may be written


def _refuse(event: str, args: tuple) -> None:
    writes = event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree")
    if event == "open" and isinstance(args[0], str | Path):
        writes = isinstance(args[2], int) and bool(args[2] & 3)
    if readonly and writes and str(args[0]).startswith(str(readonly[0])):
        raise OSError(errno.EROFS, "Read-only file system", str(args[0]))


sys.addaudithook(_refuse)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Refuses every write below a folder, for the superuser as well."""
    readonly.append(folder)
    try:
        yield
    finally:
        readonly.clear()


WRITERS = {
    "a training": ["train", "mnist-rpgan", "--profile", "smoke", "--out", "OUT/run"],
    "samples, npz": ["sample", "SAVED", "--n", "64", "--out", "OUT/x.npz"],
    "samples, png": ["sample", "SAVED", "--n", "64", "--out", "OUT/x.png"],
    "a grid": ["grid", "SAVED", "--n", "2", "--out", "OUT/x.png"],
    "an export": ["export", "SAVED", "OUT/x"],
    "an evaluation": ["evaluate", "SAVED", "--n", "4", "--extractor", "pixels", "--json", "OUT/x.json"],
}
SIZES = {"a training": (100, 5_000, 40_000), "an evaluation": (10, 100), "a grid": (100, 5_000)}


def call(monkeypatch, capsys, arguments: list[str], out: Path, saved: Path) -> tuple[int, str]:
    monkeypatch.chdir(out.parent)
    monkeypatch.setenv("RPGAN_DATA", str(out.parent / "data"))
    monkeypatch.setenv("RPGAN_BUILD", str(out.parent / "build"))
    given = [a.replace("OUT", str(out)).replace("SAVED", str(saved)) for a in arguments]
    monkeypatch.setattr(sys, "argv", ["rpgan", *given])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return stopped.value.code or 0, capsys.readouterr().err


@pytest.mark.tried(
    "fault",
    "a disk that is full after some bytes: training, samples, grids, exports, evaluations",
    "one line; no file is half there",
)
@pytest.mark.parametrize(
    ("what", "size"), [(what, size) for what in WRITERS for size in SIZES.get(what, (100, 1_000))]
)
def test_a_full_disk_is_one_line(what, size, tmp_path, saved, monkeypatch, capsys):
    out = tmp_path / "out"
    with disk_of(size):
        status, err = call(monkeypatch, capsys, WRITERS[what], out, saved)
    assert status == 2 and err.count("\n") == 1 and "the space on the disk" in err, err
    assert {path.name for path in out.rglob(".*")} <= {".lock"}
    whole = {".lock", "config.json", "log.jsonl", "000003.png"}
    left = [path.name for path in out.rglob("*") if path.is_file() and "tfevents" not in path.name]
    assert set(left) <= whole if what == "a training" else not left


@pytest.mark.tried(
    "fault",
    "a read-only folder: training, samples, grids, exports, evaluations",
    "one line; nothing is written",
)
@pytest.mark.parametrize("what", WRITERS)
def test_a_read_only_folder_is_one_line(what, tmp_path, saved, monkeypatch, capsys):
    out = tmp_path / "out"
    out.mkdir()
    with read_only(out):
        status, err = call(monkeypatch, capsys, WRITERS[what], out, saved)
    assert status == 2 and err.count("\n") == 1 and "Read-only file system" in err, err
    assert not list(out.iterdir())


@pytest.mark.tried(
    "fault", "a write that fails half-way, for every kind of file", "the old file stays, nothing beside it"
)
@pytest.mark.parametrize(
    "write",
    [
        lambda path, saved: save(path, {"x": list(range(1000))}),
        lambda path, saved: save_png(torch.randint(0, 255, (3, 64, 64), dtype=torch.uint8), path),
        lambda path, saved: save_json(Evaluation("x" * 500, [], {}, 1.0), path),
        lambda path, saved: write_samples(saved, 9, 0, path.with_suffix(".npz")),
        lambda path, saved: write_grid(saved, 2, 0, path.with_suffix(".png")),
    ],
    ids=["json", "png", "evaluation", "samples", "grid"],
)
def test_a_failed_write_leaves_the_old_file(write, tmp_path, saved):
    (tmp_path / "out").mkdir()
    old = [tmp_path / "out" / f"x{suffix}" for suffix in ("", ".npz", ".png")]
    for path in old:
        path.write_text("old")
    with disk_of(200), pytest.raises(OSError, match="too large"):
        write(old[0], saved)
    assert sorted((tmp_path / "out").iterdir()) == old and {path.read_text() for path in old} == {"old"}


def test_what_is_written_aside_arrives_or_is_gone(tmp_path):
    with replacing(tmp_path / "new" / "x") as aside:
        aside.write_text("whole")
        assert aside.name.startswith(".") and not (tmp_path / "new" / "x").exists()
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "new" / "x") as aside:
        aside.write_text("half")
        _ = 1 / 0
    assert [path.read_text() for path in (tmp_path / "new").iterdir()] == ["whole"]


# Damaged files of a run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run."""
    directory = tmp_path_factory.mktemp("finished") / "run"
    train(override(GAN, STEPS), directory, device="cpu")
    return directory


FLIPS = 24


@pytest.mark.tried("fault", "a bit flipped in the state of a training", "one line that names the file")
def test_a_flipped_bit_in_a_state_is_noticed(finished, record_property):
    path, config = finished / "state.pt", override(GAN, STEPS | {"train.steps": 3})
    whole, places = path.read_bytes(), np.random.default_rng(0)
    seen = 0
    for place in places.integers(0, len(whole), FLIPS):
        content = bytearray(whole)
        content[place] ^= 1 << int(places.integers(8))
        path.write_bytes(content)
        # What zip does not check are its own dates, flags and padding: then the state is the same.
        try:
            train(config, finished, device="cpu")
        except UserError as error:
            seen += 1
            assert "state.pt cannot be resumed" in str(error) and "\n" not in str(error)
        else:
            assert torch.load(path, weights_only=True)["step"] == 3
    path.write_bytes(whole)
    record_property("cases", FLIPS)
    assert seen > FLIPS / 2


@pytest.mark.tried("fault", "a state of a training cut off", "one line that names the file")
@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_cut_state_is_noticed(finished, part):
    path, whole = finished / "state.pt", (finished / "state.pt").read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    try:
        with pytest.raises(UserError, match=r"state\.pt cannot be resumed .*; delete it"):
            train(override(GAN, STEPS | {"train.steps": 4}), finished, device="cpu")
    finally:
        path.write_bytes(whole)


@pytest.mark.tried("fault", "a damaged line in a training's log", "the line is dropped")
@pytest.mark.parametrize(
    "line", [b"\n", b"[]\n", b"3\n", b'{"stfp": 3}\n', b'{"step": "x"}\n', b"\xff\xfe\n", b'{"step": 3']
)
def test_a_damaged_line_of_the_log_is_dropped(line, tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"step": 1}\n' + line)
    trim_log(path, 2)
    assert path.read_bytes() == b'{"step": 1}\n'


@pytest.mark.tried("fault", "a damaged file of results or of a sweep", "one line that names the file")
@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "3", '{"results": 3}', "[" * 100_000, "\x00"])
def test_damaged_results_are_named(text, tmp_path, monkeypatch):
    monkeypatch.setenv("RPGAN_BUILD", str(tmp_path))
    save(tmp_path / "results" / "smoke" / "01_x.json", {})
    (tmp_path / "results" / "smoke" / "01_x.json").write_text(text)
    with pytest.raises(UserError, match=r"01_x\.json holds no results"):
        read_results("smoke")
    (trial,) = plan(Sweep("x", "", (Point("mnist-rpgan", {}),), {}), "smoke")
    trial.directory.mkdir(parents=True)
    (trial.directory / "result.json").write_text(text)
    with pytest.raises(UserError, match=r"result\.json is damaged"):
        read_row(trial)


# Images


@pytest.mark.tried(
    "fault", "images of mixed sizes and channels in one folder", "all are read, cropped and converted"
)
def test_mixed_images_are_one_set(tmp_path, monkeypatch):
    monkeypatch.setenv("RPGAN_DATA", str(tmp_path / "data"))
    (tmp_path / "set").mkdir()
    for i, (mode, size) in enumerate(
        [("L", (8, 8)), ("RGB", (9, 30)), ("RGBA", (64, 7)), ("P", (1, 1)), ("1", (5, 5))]
    ):
        Image.new(mode, size).save(tmp_path / "set" / f"{i}.png")
    dataset = load_dataset(DataConfig("folder", str(tmp_path / "set")), (3, 16, 16), "train")
    assert dataset.__getitems__(list(range(5)))[0].shape == (5, 3, 16, 16)


@pytest.mark.tried("fault", "images, and a read-only data root", "decoded into memory, nothing is written")
def test_images_need_no_place_for_a_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RPGAN_DATA", str(tmp_path / "data"))
    (tmp_path / "set").mkdir()
    Image.new("RGB", (8, 8), "red").save(tmp_path / "set" / "1.png")
    with read_only(tmp_path / "data"):
        dataset = load_dataset(DataConfig("folder", str(tmp_path / "set")), (3, 8, 8), "train")
    assert dataset.__getitems__([0])[0][0, :, 0, 0].tolist() == [255, 0, 0]
    assert not (tmp_path / "data").exists()


@pytest.mark.tried("fault", "channels that no image has", "one line that names them")
@pytest.mark.parametrize("channels", [2, 4, 5])
def test_wrong_channels_are_named(channels, tmp_path):
    config = override(GAN, {"generator.image_shape": [channels, 32, 32]})
    with pytest.raises(UserError, match=r"image_shape = .*; expected .*1 or 3 channels"):
        train(config, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


@pytest.mark.tried(
    "fault", "NaN in the gradients, but not in the losses", "one line; the last good state stays"
)
def test_nan_gradients_stop_the_run(tmp_path, monkeypatch):
    from rpgan.training.gan import GanTask

    update = GanTask.update

    def poisoned(self, step, images, labels):
        if step == 1:
            self.raw.latent.register_hook(lambda gradient: gradient * torch.nan)
        return update(self, step, images, labels)

    monkeypatch.setattr(GanTask, "update", poisoned)
    with pytest.raises(UserError, match=r"generator, ema not finite in steps 2 to 2; .*lower the rates"):
        train(override(GAN, STEPS), tmp_path, device="cpu")
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 1
