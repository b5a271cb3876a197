"""The command line: what it writes, and that a mistake is one line on stderr."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rpgan import cli
from rpgan.checkpoint import load_card, load_generator, save_checkpoint
from rpgan.cli import COMMANDS
from rpgan.images import to_uint8
from rpgan.models import draws
from rpgan.models.generator import render


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Calls `rpgan` with arguments in an empty folder; returns exit status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RPGAN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("RPGAN_BUILD", str(tmp_path / "build"))

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rpgan", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        return (stopped.value.code or 0, *capsys.readouterr())

    return call


def test_help_answers_without_torch():
    """In a fresh interpreter: the package, the command line and its help load nothing heavy."""
    program = (
        "import sys, rpgan, rpgan.cli\n"
        "sys.argv = ['rpgan', '--help']\n"
        "try: rpgan.cli.main()\n"
        "except SystemExit as stopped: assert not stopped.code, stopped.code\n"
        "heavy = {'torch', 'numpy', 'lightning_fabric', 'matplotlib', 'yaml'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert all(command in done.stdout for command in ("train", "sample", "models", "run", "book"))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run, command):
    status, out, err = run(command, "--help")
    assert status == 0 and "Usage: " in out and err == ""


def test_without_a_command_all_are_listed(run):
    assert run() == run("--help")
    assert run()[0] == 0 and all(f"\n  {command} " in run()[1] for command in COMMANDS)


def test_training_writes_a_checkpoint_and_goes_on_when_called_again(run):
    settings = [
        "--profile",
        "smoke",
        "--set",
        "train.precision=float32",
        "--set",
        "train.g_lr=1e-3",
        "--out",
        "run",
    ]
    for steps in (2, 3):
        status, out, err = run("train", "mnist-linear", *settings, "--set", f"train.steps={steps}")
        assert (status, err) == (0, "") and out.splitlines()[-1] == "best checkpoint: run/best"
    card = load_card(Path("run/last"))
    assert card["steps"] == 3 and card["config"]["train"]["g_lr"] == 1e-3


def test_samples_as_arrays(run, saved):
    status, out, _ = run("sample", saved, "--n", 5, "--seed", 3, "--out", "deep/er.npz")
    assert status == 0 and "5 images" in out and "er.npz" in out
    with np.load("deep/er.npz") as file:
        images, routes = file["images"], file["paths"]
    assert (images.dtype, images.shape) == (np.uint8, (5, 32, 32, 3))
    assert (routes.dtype, routes.shape) == (np.int64, (5, 5))
    expected = to_uint8(render(load_generator(saved), torch.from_numpy(routes)))
    assert np.array_equal(images, expected.permute(0, 2, 3, 1).numpy())


def test_samples_as_a_sheet(run, saved):
    assert run("sample", saved, "--n", 6, "--out", "six.png")[0] == 0
    with Image.open("six.png") as sheet:
        assert sheet.size == (2 + 2 * 34, 2 + 3 * 34) and sheet.mode == "RGB"


def test_a_grid_is_a_picture(run, saved):
    assert run("grid", saved, "--n", 2, "--out", "grid.png")[0] == 0
    with Image.open("grid.png") as grid:
        assert min(grid.size) > 100
    assert run("grid", saved, "--out", "grid.npz")[::2] == (
        2,
        "rpgan: --out grid.npz; expected a name that ends in .png\n",
    )


@pytest.mark.parametrize("command", ["sample", "grid", "evaluate"])
def test_a_seed_beyond_64_bits_is_refused(run, saved, command):
    status, _, err = run(command, saved, "--seed", 2**64)
    assert status == 2 and "seed" in err


def test_images_are_the_same_whatever_part_is_floats_at_a_time(generator, monkeypatch, rng):
    routes = generator.sample_paths(7, rng)
    whole = draws.images_of(generator, routes, None)
    monkeypatch.setattr(draws, "PART", 3)
    assert torch.equal(draws.images_of(generator, routes, None), whole)


def test_the_seed_decides_the_samples(run, saved):
    for seed, name in ((1, "a"), (1, "b"), (2, "c")):
        run("sample", saved, "--n", 4, "--seed", seed, "--out", f"{name}.png")
    a, b, c = (Path(f"{name}.png").read_bytes() for name in "abc")
    assert a == b != c


def test_models_are_listed_with_their_score(run, generator, tiny, tmp_path):
    score = {"name": "frechet_pixels", "value": 1.25, "n": 4000}
    save_checkpoint(
        tmp_path / "data" / "checkpoints" / "mine", generator, tiny, {"steps": 12_000, "scores": [score]}
    )
    save_checkpoint(tmp_path / "data" / "checkpoints" / "plain", generator, tiny, {})
    status, out, _ = run("models")
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert (
        status == 0 and "step 12,000" in lines["mine"] and "frechet_pixels 1.25 (n = 4,000)" in lines["mine"]
    )
    assert "plain" in lines


MISTAKES = {
    "no such command": (["trian"], "trian", "rpgan --help"),
    "no such option": (["train", "mnist-rpgan", "--fast"], "--fast", "rpgan train --help"),
    "nothing to train": (["train"], "experiment", "rpgan train --help"),
    "unknown experiment": (["train", "mnist"], "'mnist'", "expected one of mnist-rpgan"),
    "unknown profile": (["train", "mnist-rpgan", "--profile", "huge"], "'huge'", "smoke, book, paper"),
    "unknown setting": (
        ["train", "mnist-rpgan", "--set", "train.step=2"],
        "'train.step'",
        "did you mean train.steps",
    ),
    "setting without value": (
        ["train", "mnist-rpgan", "--set", "train.steps"],
        "train.steps",
        "expected key=value",
    ),
    "broken value": (
        ["train", "mnist-rpgan", "--set", "train.steps=["],
        "'['",
        "expected int",
    ),
    "wrong type": (["train", "mnist-rpgan", "--set", "train.steps=many"], "'many'", "expected int"),
    "out of range": (["train", "mnist-rpgan", "--set", "train.steps=0"], "= 0", "of at least 1"),
    "unknown device": (
        ["train", "mnist-rpgan", "--profile", "smoke", "--device", "tpu"],
        "'tpu'",
        "auto, cpu",
    ),
    "output is a file": (
        ["train", "mnist-rpgan", "--profile", "smoke", "--out", "file"],
        "file",
        "take another",
    ),
    "no such model": (["sample", "nothing"], "'nothing'", "card.json"),
    "unknown suffix": (["sample", "SAVED", "--out", "x.jpg"], "x.jpg", ".png or .npz"),
    "not a number": (["sample", "SAVED", "--n", "two"], "--n two", "rpgan sample --help"),
    "no images": (["sample", "SAVED", "--n", "0"], "--n 0", "rpgan sample --help"),
    "a folder that is a file": (["sample", "SAVED", "--out", "file/x.png"], "file", "check the path"),
    "no name for an export": (["export", "SAVED", "."], "is no checkpoint", "expected a new directory"),
    "memory of a classifier": (["memory", "mnist-cnn"], "mnist-cnn", "expected one of"),
    "a shard of nothing": (["sweep", "twins", "--shard", "x"], "--shard x", "expected I/K"),
    "a sweep and points": (["sweep", "twins", "--points", "file"], "twins", "expected"),
    "Ray's options without Ray": (
        ["sweep", "twins", "--gpus", "2", "--retries", "1"],
        "--gpus, --retries",
        "without --ray",
    ),
    "loaders of generated images": (
        ["train", "mnist-inversion", "--profile", "smoke", "--workers", "3", "--out", "run"],
        "workers is 3",
        "images of mnist-inversion are generated",
    ),
    "nothing to convert": (["convert", "a.pt", "a.json", "out"], "a.json", "expected"),
}


@pytest.mark.parametrize(("arguments", "got", "remedy"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_with_what_was_got_and_what_to_do(run, saved, arguments, got, remedy):
    Path("file").touch()
    status, out, err = run(*(saved if a == "SAVED" else a for a in arguments))
    assert status == 2 and out == ""
    assert err.startswith("rpgan: ") and err.count("\n") == 1 and err.endswith("\n")
    assert got.lower() in err.lower() and remedy in err
    assert sorted(p.name for p in Path.cwd().iterdir()) == ["file", "saved"]


def test_features_that_were_asked_for_and_are_not_there_are_a_failure(run, saved, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no-weights"))
    status, out, err = run("evaluate", saved, "--n", 4, "--extractor", "inception")
    assert status == 2 and "absent: inception: " in out
    assert err.startswith("rpgan: nothing was measured in inception; ") and err.count("\n") == 1
    assert run("evaluate", saved, "--n", 4, "--extractor", "pixels")[0] == 0


def test_an_interruption_says_how_to_go_on(run, monkeypatch):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rpgan.obtain.train", interrupt)
    status, _, err = run("train", "mnist-linear", "--profile", "smoke")
    assert status == 130 and err == "rpgan: interrupted; the same command again continues a training\n"


def test_too_much_for_the_memory_says_what_to_take_less_of(run, saved):
    status, _, err = run("sample", saved, "--n", 10**14, "--out", "x.npz")
    assert status == 2 and err.startswith("rpgan: there is not enough memory; take fewer images")


def test_our_own_mistakes_keep_their_traceback(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["rpgan", "models"])
    monkeypatch.setattr("rpgan.checkpoint.names", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "rpgan", "sample"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


def test_a_name_that_is_not_there_is_an_attribute_error():
    import rpgan

    assert rpgan.render is render
    with pytest.raises(AttributeError, match="no attribute 'GAN'"):
        _ = rpgan.GAN
