"""Checkpoints: what is loaded is what was saved, and what is broken says so."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save

from rpgan import checkpoint
from rpgan.checkpoint import (
    export_checkpoint,
    find,
    load_card,
    load_classifier,
    load_config,
    load_generator,
    names,
    satisfies,
    save_checkpoint,
)
from rpgan.config import ClassifierConfig
from rpgan.errors import UserError
from rpgan.models.classifier import build_classifier
from rpgan.models.generator import render
from rpgan.overrides import to_dict
from rpgan.places import COMMITTED


@pytest.fixture
def routes(generator, rng):
    return generator.sample_paths(9, rng)


def edit_card(directory: Path, **changes: object) -> None:
    path = directory / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_the_card_says_what_the_weights_are(saved, generator, tiny):
    card, weights = load_card(saved), (saved / "weights.safetensors").read_bytes()
    assert card["config"] == json.loads(json.dumps(to_dict(tiny))) and load_config(saved) == tiny
    assert card["sha256"] == hashlib.sha256(weights).hexdigest()
    assert card["storage"] == {"dtype": "float32", "first_bucket": "instances", "bytes": len(weights)}
    assert card["parameters"] == sum(p.numel() for p in generator.parameters())
    assert (card["steps"], card["data"], card["format"]) == (7, "none", 1)


def test_float32_is_exact_and_eval(saved, generator, routes):
    loaded = load_generator(saved)
    assert not any(m.training for m in loaded.modules())
    assert torch.equal(render(loaded, routes), render(generator, routes))


def test_float16_halves_the_file_and_keeps_the_statistics(tmp_path, saved, generator, tiny, routes):
    norm = generator.links[-2][1]
    norm.running_var.fill_(1e6)  # more than float16 can hold
    save_checkpoint(tmp_path / "half", generator, tiny, {}, "float16")
    ratio = load_card(tmp_path / "half")["storage"]["bytes"] / load_card(saved)["storage"]["bytes"]
    loaded = load_generator(tmp_path / "half")
    assert ratio < 0.7 and loaded.links[-2][1].running_var[0] == 1e6
    assert {v.dtype for v in loaded.state_dict().values() if v.is_floating_point()} == {torch.float32}
    torch.testing.assert_close(render(loaded, routes), render(generator, routes), rtol=0, atol=0.02)


def test_weights_beyond_float16_are_refused(tmp_path, generator, tiny):
    torch.nn.init.constant_(generator.buckets[1].instances[0].conv1.weight, 1e6)
    with pytest.raises(UserError, match="take dtype float32"):
        save_checkpoint(tmp_path / "half", generator, tiny, {}, "float16")
    assert not (tmp_path / "half").exists()


def test_a_table_replaces_the_first_bucket_and_shrinks_the_file(tmp_path, saved, generator, tiny, routes):
    save_checkpoint(tmp_path / "table", generator, tiny, {}, first_bucket="table")
    stored = load_file(tmp_path / "table" / "weights.safetensors")
    assert stored["buckets.0.table"].shape == (3, 6 * 16)
    assert not [key for key in stored if key.startswith("buckets.0.instances")]
    loaded = load_generator(tmp_path / "table")
    torch.testing.assert_close(render(loaded, routes), render(generator, routes))
    assert load_card(tmp_path / "table")["parameters"] == load_card(saved)["parameters"]


def test_a_table_needs_a_constant_latent(tmp_path, tiny):
    from rpgan.models.generator import build_generator

    config = replace(tiny, generator=replace(tiny.generator, latent="gaussian"))
    with pytest.raises(UserError, match="needs a constant Z"):
        save_checkpoint(tmp_path / "x", build_generator(config.generator), config, {}, first_bucket="table")
    classifier = ClassifierConfig("c", widths=(4, 4), hidden=5)
    with pytest.raises(UserError, match="needs a constant Z"):
        save_checkpoint(tmp_path / "x", build_classifier(classifier), classifier, {}, first_bucket="table")


@pytest.mark.parametrize("storage", [("float64", "instances"), ("float16", "rows")])
def test_unknown_storage_is_refused(tmp_path, generator, tiny, storage):
    with pytest.raises(UserError, match="expected float32 or float16, instances or table"):
        save_checkpoint(tmp_path / "x", generator, tiny, {}, *storage)


def test_an_export_keeps_the_card(saved, tmp_path, generator, routes):
    export_checkpoint(saved, tmp_path / "small", first_bucket="table")
    card = load_card(tmp_path / "small")
    assert card["steps"] == 7 and card["storage"]["dtype"] == "float16"
    torch.testing.assert_close(
        render(load_generator(tmp_path / "small"), routes), render(generator, routes), rtol=0, atol=0.02
    )


def test_a_classifier_is_not_a_generator(tmp_path, saved):
    config = ClassifierConfig("c", widths=(4, 4), hidden=5)
    save_checkpoint(tmp_path / "c", build_classifier(config), config, {})
    assert load_classifier(tmp_path / "c").hidden.out_features == 5
    with pytest.raises(UserError, match="is a classifier; expected a generator"):
        load_generator(tmp_path / "c")
    with pytest.raises(UserError, match="is a generator; expected a classifier"):
        load_classifier(saved)


@pytest.mark.tried(
    "fault", "a checkpoint with a flipped bit, cut off, or without weights", "one line that names the file"
)
def test_damaged_weights_are_noticed(saved):
    weights = saved / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UserError, match="is damaged or not the card's"):
        load_generator(saved)
    weights.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="is damaged or not the card's"):
        load_generator(saved)
    weights.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        load_generator(saved)


def test_files_that_fit_each_other_but_not_us_are_noticed(saved):
    for content, message in (
        (b"no tensors", "not a safetensors file"),
        (save({"a": torch.ones(2)}), "do not fit"),
    ):
        (saved / "weights.safetensors").write_bytes(content)
        edit_card(saved, sha256=hashlib.sha256(content).hexdigest())
        with pytest.raises(UserError, match=message):
            load_generator(saved)


@pytest.mark.parametrize(
    "text", ["", "{", "[1, 2]", "{}", '{"format": 2, "config": {}}', '{"format": 1, "config": 3}', "\udce9"]
)
def test_a_foreign_card_is_refused(saved, text):
    (saved / "card.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match="card"):
        load_generator(saved)


def test_a_card_with_another_config_is_refused(saved, tiny):
    edit_card(saved, config={"kind": "gan"})
    with pytest.raises(UserError, match="config has no name"):
        load_generator(saved)
    wider = replace(tiny, generator=replace(tiny.generator, widths=(6, 4, 4, 8)))
    edit_card(saved, config=to_dict(wider))
    with pytest.raises(UserError, match="do not fit"):
        load_generator(saved)


def test_an_unknown_name_lists_the_known_ones(tmp_path, monkeypatch, generator, tiny):
    monkeypatch.setenv("RPGAN_DATA", str(tmp_path))
    save_checkpoint(tmp_path / "checkpoints" / "mine", generator, tiny, {})
    assert "mine" in names() and load_config("mine") == tiny
    with pytest.raises(UserError, match=r"no checkpoint 'yours'; expected .*mine"):
        load_generator("yours")


def test_only_the_same_config_satisfies(saved, tiny):
    assert satisfies(saved, tiny)
    assert not satisfies(saved, replace(tiny, seed=1)) and not satisfies(saved / "none", tiny)


@pytest.mark.parametrize("name", ["write_text", "write_bytes", "rename"])
@pytest.mark.tried(
    "fault", "a checkpoint that fails while it is written", "the old one stays, nothing beside it"
)
def test_a_crash_leaves_the_old_checkpoint_whole(saved, generator, tiny, monkeypatch, name):
    before = {path.name: path.read_bytes() for path in saved.iterdir()}

    def crash(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, name, crash)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(saved, generator, replace(tiny, seed=5), {})
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    assert [path.name for path in saved.parent.iterdir()] == ["saved"]


def test_a_failed_exchange_is_undone(saved, generator, tiny, monkeypatch):
    rename = Path.rename

    def fail_to_arrive(self: Path, target: Path) -> Path:
        if ".old" not in self.name and target == saved:
            raise OSError("busy")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_to_arrive)
    with pytest.raises(OSError, match="busy"):
        save_checkpoint(saved, generator, replace(tiny, seed=5), {})
    assert load_config(saved) == tiny and [path.name for path in saved.parent.iterdir()] == ["saved"]


def test_saving_again_replaces_the_directory(saved, generator, tiny):
    save_checkpoint(saved, generator, replace(tiny, seed=5), {})
    assert load_config(saved).seed == 5
    assert sorted(path.name for path in saved.iterdir()) == ["card.json", "weights.safetensors"]
    assert [path.name for path in saved.parent.iterdir()] == ["saved"]


def test_a_folder_that_is_no_checkpoint_is_left_alone(saved, tmp_path, monkeypatch):
    """Whoever forgets the name of a checkpoint must not lose all of them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "cloned" / ".git").mkdir(parents=True)
    for place in (saved.parent, Path("."), tmp_path / "file", tmp_path / "cloned"):
        with pytest.raises(UserError, match=r"is there and is no checkpoint; expected a new"):
            export_checkpoint(saved, place)
    assert load_card(saved)["steps"] == 7 and (tmp_path / "cloned" / ".git").is_dir()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cloned", "file", "saved"]


def test_format_is_one():
    assert checkpoint.FORMAT == 1, "another format needs a way to read the committed checkpoints"


def test_a_word_is_a_committed_name_first_and_a_run_stands_for_its_best(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(saved, tmp_path / "mnist-rpgan")
    shutil.copytree(saved, tmp_path / "run" / "best")
    assert find("mnist-rpgan") == COMMITTED / "checkpoints" / "mnist-rpgan"
    assert find("./mnist-rpgan") == Path("mnist-rpgan")
    assert find("run").samefile(tmp_path / "run" / "best")
    assert find(tmp_path / "mnist-rpgan") == tmp_path / "mnist-rpgan"
