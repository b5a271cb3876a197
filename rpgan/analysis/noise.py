"""What noise in a layer of a standard GAN damages, beside what its RPGAN shows (section 4.2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from rpgan.config import GanConfig
from rpgan.errors import UserError
from rpgan.images import to_uint8
from rpgan.metrics.color import color_change
from rpgan.metrics.features import Extractor, load_extractor
from rpgan.metrics.frechet import Jackknifed, Moments, frechet_distance, jackknifed
from rpgan.metrics.seeds import Spread, ratio_of_means
from rpgan.metrics.tone import pixel_change
from rpgan.models.draws import exchanged
from rpgan.models.generator import RandomPathGenerator, render
from rpgan.models.perturbed import Trials, equal_damage_alphas, perturbed_images
from rpgan.references import find_reference
from rpgan.results import Result

KINDS = ("total", "color", "semantic")


@dataclass(frozen=True)
class Ruler:
    """What images are measured with: features, and the real images of an experiment in them."""

    extractor: Extractor
    real: Moments
    about: str  # which real images

    @classmethod
    def load(cls, config: GanConfig, features: str, n: int, seed: int, device: str = "cpu") -> "Ruler":
        """Loads an extractor, and n real images or the reference file (see references.find_reference)."""
        network = load_extractor(features, device)
        shape = config.generator.image_shape
        reference = find_reference(config.data, shape, n, seed, {features: network})
        return cls(network, reference.moments_in(features), reference.about)

    def distance(self, features: Float[Tensor, "n d"]) -> float:
        """Fréchet distance to the real images, an FID only in the features "inception"."""
        return frechet_distance(self.real, Moments(features))

    def jackknifed(self, features: Float[Tensor, "draws k d"]) -> Jackknifed:
        """The same distance of all draws together, and what it is without each of some of them."""
        return jackknifed(Moments.grouped(features), self.real)


@dataclass(frozen=True)
class Damage:
    """What noise does in every layer at every level."""

    alphas: Tensor  # (layers, levels)
    changes: Mapping[str, Tensor]  # KINDS → float64 (layers, levels, draws), means over the images of a draw
    frechet: Tensor  # float64 (layers, levels), distance of all perturbed images to the real ones
    clean: float  # the same distance without noise, of as many images
    ratios: Tensor | None = None  # float64 (3, layers, levels), noisy over clean and its 95 % interval


def damage(
    generator: RandomPathGenerator,
    trials: Trials,
    alphas: Float[Tensor, "layers levels"],
    ruler: Ruler,
    with_ratios: bool = False,
) -> Damage:
    """Measures noise of several levels in each layer: total, in colours, in features, and from real images.

    The semantic change is the Euclidean distance of features, and the Fréchet distance is taken in them too,
    of the images of all draws at once: of a mixture of disturbed generators, not of each.
    """
    before = Observed.of(trials.clean.flatten(0, 1), ruler.extractor)
    by_draw = trials.clean.shape[:2]
    clean = ruler.jackknifed(before.features.unflatten(0, by_draw)) if with_ratios else None
    ratios = torch.zeros(3, *alphas.shape, dtype=torch.float64)
    changes = torch.zeros(len(KINDS), *alphas.shape, len(trials.seeds), dtype=torch.float64)
    frechet = torch.zeros(alphas.shape, dtype=torch.float64)
    for layer, row in enumerate(alphas.tolist()):
        for level, alpha in enumerate(row):
            images = perturbed_images(generator, layer, alpha, trials)
            after = Observed.of(images.flatten(0, 1), ruler.extractor)
            changes[:, layer, level] = before.apart(after).unflatten(1, by_draw).mean(-1)
            noisy = ruler.jackknifed(after.features.unflatten(0, by_draw)) if clean else None
            frechet[layer, level] = noisy.whole if noisy else ruler.distance(after.features)
            if clean and noisy:  # of the same latents, draw by draw
                ratio, ends = noisy.over(clean)
                ratios[:, layer, level] = torch.tensor([ratio, *ends])
    by_kind = dict(zip(KINDS, changes, strict=True))
    undisturbed = clean.whole if clean else ruler.distance(before.features)
    return Damage(alphas, by_kind, frechet, undisturbed, ratios if clean else None)


@dataclass(frozen=True)
class Observed:
    """Images with their features, which take the longest and are computed once."""

    images: Tensor  # uint8 (n, c, h, w)
    features: Tensor  # float32 (n, d)

    @classmethod
    def of(cls, images: Tensor, extractor: Extractor) -> "Observed":
        return cls(images, extractor(images))

    def __getitem__(self, rows: Tensor) -> "Observed":
        return Observed(self.images[rows], self.features[rows])

    def apart(self, other: "Observed") -> Float[Tensor, "kinds n"]:
        """Changes of every kind, image by image: root mean square, Hellinger distance, Euclidean distance."""
        semantic = (self.features.double() - other.features.double()).norm(dim=1)
        pair = (self.images, other.images)
        return torch.stack([pixel_change(*pair), color_change(*pair), semantic])


def exchange_changes(
    groups: Mapping[int, UInt8[Tensor, "routes k c h w"]], bucket_sizes: Sequence[int], extractor: Extractor
) -> dict[str, Float[Tensor, "buckets routes"]]:
    """The same changes between images that differ in the instance of one bucket only (section 4.1).

    `groups` has k distinct instances of each bucket around random routes, as variation.varied_groups gives
    them. Means over all pairs, times (m − 1)/m: what two independent draws from m instances would give.
    Raises UserError where a bucket is missing, since a layer without alternatives has no change to compare.
    """
    if missing := [bucket for bucket in range(len(bucket_sizes)) if bucket not in groups]:
        raise UserError(f"no images of buckets {missing}; expected several instances in every bucket")
    means = torch.stack(
        [_pair_means(groups[bucket], extractor) * (m - 1) / m for bucket, m in enumerate(bucket_sizes)],
        dim=1,
    )
    return dict(zip(KINDS, means, strict=True))


def _pair_means(
    images: UInt8[Tensor, "routes k c h w"], extractor: Extractor
) -> Float[Tensor, "kinds routes"]:
    n, k = images.shape[:2]
    seen, rows = Observed.of(images.flatten(0, 1), extractor), torch.arange(n * k).view(n, k)
    pairs = [seen[rows[:, i]].apart(seen[rows[:, j]]) for i, j in combinations(range(k), 2)]
    return torch.stack(pairs).mean(0)


@dataclass(frozen=True)
class Comparison:
    """Noise in a standard GAN beside exchanged instances in its RPGAN, which set how much noise there is."""

    factors: tuple[float, ...]  # total change by noise over that by an exchange; one of them is 1
    noise: Damage  # in every layer, at a level for each factor
    exchange: Mapping[str, Tensor]  # KINDS → float64 (buckets, routes)
    varied: Tensor  # float64 (sets, buckets), Fréchet distance of as many variations to the real images
    own: Tensor  # float64 (sets,), the same of sets of RPGAN's own samples
    images: int  # behind every Fréchet distance

    @property
    def equal(self) -> int:
        """The level at which noise changes images as much as an exchange does, in the mean over buckets."""
        return self.factors.index(1)

    @property
    def over_clean(self) -> Float[Tensor, "3 layers levels"]:
        """Fréchet distance under noise over that of the same generator without, and ends of its interval."""
        assert self.noise.ratios is not None  # `compare` asks for them
        return self.noise.ratios

    @property
    def over_own(self) -> Result:
        """Fréchet distance of RPGAN's variations over that of its own samples, mean over buckets.

        Each model is compared with itself: over the standard GAN's distance, the ratio would contain which of
        the two draws better. The 95 % interval takes sets of images for repetitions: of the mean over
        buckets, which differ from each other by more than chance, and of the samples.
        """
        varied, own = (Spread(tuple(d.tolist())) for d in (self.varied.mean(1), self.own))
        ratio, interval = ratio_of_means(varied, own)
        return Result(ratio, self.images, "", interval)

    @property
    def deviation_from_equal(self) -> float:
        """By how much of what was wanted, at most, the total change differs in any layer and level."""
        wanted = torch.tensor(self.factors, dtype=torch.float64) * self.exchange["total"].mean()
        return float((self.noise.changes["total"].mean(-1) / wanted - 1).abs().max())

    def _least(self, ratios: Float[Tensor, "3 cases"]) -> Result:
        value, low, high = ratios[:, ratios[0].argmin()].tolist()
        return Result(value, self.images, "", (low, high))

    def results(self, prefix: str = "") -> dict[str, Result]:
        """What the ledger needs, at equal damage, under keys that begin with the prefix."""
        return {
            f"{prefix}distance_over_clean": Result(self.over_clean[0, :, self.equal], self.images),
            f"{prefix}least_over_clean": self._least(self.over_clean[:, :, self.equal]),
            f"{prefix}least_over_clean_any_level": self._least(self.over_clean.flatten(1)),
            f"{prefix}variation_over_own": self.over_own,
        }


def compare(
    twin: RandomPathGenerator,
    trials: Trials,
    routed: RandomPathGenerator,
    groups: Mapping[int, UInt8[Tensor, "routes k c h w"]],
    ruler: Ruler,
    rng: torch.Generator,
    factors: tuple[float, ...] = (1.0,),
    sets: int = 4,
) -> Comparison:
    """Compares noise in a standard GAN with exchanged instances in RPGAN (`groups`, see exchange_changes).

    For each factor every layer gets noise that does this many times the total change of an exchange, in the
    mean over buckets. How far from the real images an exchange leads is seen from as many variations of each
    bucket, in some independent sets, beside as many of RPGAN's own samples.
    """
    exchange = exchange_changes(groups, routed.bucket_sizes, ruler.extractor)
    target = float(exchange["total"].mean())
    alphas = [equal_damage_alphas(twin, trials, factor * target, pixel_change) for factor in factors]
    found = damage(twin, trials, torch.stack(alphas, dim=1), ruler, with_ratios=True)
    n = trials.clean.flatten(0, 1).shape[0]
    far, near = distances_of_sets(routed, ruler, n, sets, rng)
    return Comparison(factors, found, exchange, far, near, n)


def images_needed(
    layers: int, n: int, routed: int, sets: int, factors: int, levels: int = 0
) -> dict[str, int]:
    """What `compare` makes with `routed` images a bucket, behind `damage` at some levels of its trials."""
    swept, compared = layers * levels, layers * factors
    of_routed = layers * routed + sets * (layers + 1) * n
    seen = (1 + swept if levels else 0) + 1 + compared  # the images without noise each time
    return {
        "images of the standard GAN": n * (1 + swept + compared),
        "more, each try in the search for equal damage": n * compared,
        "images of RPGAN": of_routed,
        "passes through the extractor": n * seen + of_routed,
    }


def distances_of_sets(
    generator: RandomPathGenerator, ruler: Ruler, n: int, sets: int, rng: torch.Generator
) -> tuple[Float[Tensor, "sets buckets"], Float[Tensor, " sets"]]:
    """Fréchet distances to the real images of n variations of each bucket, and of n samples, set by set."""

    def distance(routes: Tensor) -> float:
        return ruler.distance(ruler.extractor(to_uint8(render(generator, routes))))

    buckets = range(len(generator.buckets))
    varied = [[distance(exchanged(generator, b, n, rng)) for b in buckets] for _ in range(sets)]
    own = [distance(generator.sample_paths(n, rng)) for _ in range(sets)]
    return torch.tensor(varied, dtype=torch.float64), torch.tensor(own, dtype=torch.float64)
