"""Every chapter runs under the profile `paper`, made small: a run on a GPU must not die of a typo."""

import os
from pathlib import Path

import pytest

from rpgan import places, results
from rpgan.book import notebooks
from rpgan.ledger import load_ledger

LEDGER = places.CHECKOUT / "book" / "claims.yml"
# Results that small amounts cannot give: FIDs of 50,000 images, whole sweeps, factors that vary, times to a
# level that trainings start above; and another profile's model or sweep.
NEED_MORE = {
    *(f"03_diversity/trainings_{key}" for key in ("semantic", "semantic_share", "color", "color_share")),
    "03_diversity/trainings_semantic_last_by_instances",
    *(f"04_quality/fid_50k_{model}_{what}" for model in ("rpgan", "standard") for what in ("min", "mean")),
    *(f"04_quality/{key}" for key in ("learned_z_spread_ratio", "training_time_ratio", "data_ratio")),
    *(f"05_noise/trainings_{key}_rank_agreement_of_rpgans" for key in ("semantic", "color")),
    *(f"06_instances/{key}" for key in ("fid_50k", "distance", "rank_correlation")),
    "08_compression/fid_50k_linear",
    *(f"09_inversion/{data}_accuracy" for data in ("sprites", "mnist", "cifar10")),
    *(f"09_inversion/{data}_search_over_list" for data in ("sprites", "mnist")),
    *(
        f"09_inversion/sprites_{key}"
        for key in ("accuracy_later", "reconstruction_over_random", "edit_is_selective")
    ),
    *(f"11_responsibility/sprites_{key}" for key in ("position", "shape", "color", "color_lag")),
    "11_responsibility/sprites_last_geometry",
}


@pytest.fixture
def kernels_of_small_paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has IPython load `small_paper` in every kernel before the first cell."""
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-small.py").write_text("__import__('small_paper')\n")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), str(places.CHECKOUT)]))
    monkeypatch.setenv("RPGAN_BUILD", str(tmp_path / "_build"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there: a download fails at once


@pytest.mark.usefixtures("kernels_of_small_paper")
@pytest.mark.parametrize("path", notebooks.chapters(), ids=lambda path: path.stem)
def test_a_chapter_runs_to_its_end(path: Path) -> None:
    receipt = notebooks.run_notebook(path, "paper", {"device": "cpu"})
    assert receipt.device == "cpu"
    found = results.read_results("paper")
    assert found and all(key.startswith(path.stem) for key in found)
    judged = {claim.result for claim in load_ledger(LEDGER).claims if claim.chapter == path.stem}
    assert judged - found.keys() <= NEED_MORE, "a row whose result no run writes can never be judged"
