"""What the table of a sweep says of one training."""

from dataclasses import dataclass
from typing import Any

from rpgan.config import GeneratorConfig
from rpgan.errors import choose
from rpgan.presets import resolve_gan


@dataclass(frozen=True)
class Row:
    """A finished training and its scores; the module `rpgan.sweep` explains the fields."""

    experiment: str
    overrides: dict[str, Any]
    digest: str
    seed: int
    steps: int
    parameters: int
    seconds: float
    step_seconds: float
    selected: dict[str, Any]
    final: list[dict[str, Any]]
    curve: dict[str, Any]
    prd: dict[str, dict[str, list[float]]]
    diversity: dict[str, dict[str, list[float | None]]]
    damage: dict[str, list[float]]
    data: str
    machine: dict[str, Any]
    versions: dict[str, str]

    @property
    def scores(self) -> list[str]:
        """Names of the final scores: distances first, of these the one that selected the checkpoint last."""
        names = [score["name"] for score in self.final]
        distances = [name for name in names if _is_distance(name)]
        independent = [name for name in distances if name != self.selected["name"]]
        return list(dict.fromkeys([*independent, *distances, *names]))

    @property
    def distances(self) -> list[str]:
        """Those of the final scores that are Fréchet distances, in the same order."""
        return [name for name in self.scores if _is_distance(name)]

    @property
    def semantic(self) -> str:
        """Name of the change in features to conclude from: in those that chose no checkpoint, if any."""
        chose = f"{self.selected['name'].removeprefix('frechet_')}²"
        features = [name for name in self.diversity or self.damage if name != "color"]
        return next((name for name in features if name != chose), chose)

    def score(self, name: str) -> float:
        """Returns a final score, e.g. "frechet_cifar10-cnn"; raises UserError with the names there are."""
        values = {score["name"]: float(score["value"]) for score in self.final}
        return choose(values, name, "no final score")

    def network(self, profile: str) -> GeneratorConfig:
        """Returns the generator that was trained, under the profile of the sweep."""
        return resolve_gan(self.experiment, profile, self.overrides).generator


def _is_distance(score: str) -> bool:
    return score == "fid" or score.startswith("frechet")
