"""Layer diversity in several measures at once, and what a chapter reports of it (section 4.1, figure 6)."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from rpgan.errors import UserError
from rpgan.intervals import SURE, count_orders
from rpgan.metrics.agreement import Profile, rank_agreement
from rpgan.metrics.color import color_distances
from rpgan.metrics.diversity import LayerDiversity, layer_diversity, sum_table
from rpgan.metrics.edges import edge_map
from rpgan.metrics.features import CLASSIFIERS, load_extractor
from rpgan.metrics.perceptual import FeatureDistance, load_lpips
from rpgan.metrics.tone import Share, inversions, tonal_changes
from rpgan.results import Result

Form = tuple[LayerDiversity, str]  # a diversity, and in which form it ranks: mean or ratio_mean
# uint8 groups (g, k, c, h, w) -> symmetric (g, k, k), one or more by name
Measure = Callable[[Tensor], dict[str, Tensor]]
CHANNELS = ("red", "green", "blue")
FORMS = {  # of LayerDiversity, one number a bucket, and how their keys end
    "ratio_mean": "",
    "ratio_std": "_std",
    "ratio": "_robust",
    "ratio_low": "_robust_low",
    "ratio_high": "_robust_high",
    "share": "_share",
    "mean": "_absolute",
}


KINDS = ("rpgan", "gan", "dcgan")  # of generators, which the family leaves out


def family(experiment: str) -> str:
    """Returns what an experiment's results are filed under: `cifar10` of `cifar10-rpgan` and -dcgan.

    Any other has its own name.
    """
    data, _, kind = experiment.rpartition("-")
    return (data if kind in KINDS else experiment).replace("-", "_")


def families(experiments: Iterable[str]) -> dict[str, str]:
    """Returns the family of each, but of a second one of the same data set the whole name."""
    filed: dict[str, str] = {}
    for name in experiments:
        short = family(name)
        filed[name] = name.replace("-", "_") if short in filed.values() else short
    return filed


def own_classifier(data: str) -> str:
    """Returns the features of a classifier of a data set, or of ImageNet where there is none."""
    return CLASSIFIERS.get(data, "efficientnet-lite0")


def load_measures(names: Iterable[str], data: str, device: str = "cpu") -> list[Measure]:
    """Loads measures by name: color, edges, tone, inversion, lpips-alex, lpips-vgg, or an extractor's.

    "own" stands for the `own_classifier` of the data. Features are measured by their distance, under the
    extractor's name, and by its square, with a ² behind it. Raises UserError for what is unknown or has no
    weights here.
    """
    resolved = [own_classifier(data) if name == "own" else name for name in names]
    return [_load(name, device) for name in dict.fromkeys(resolved)]


def semantic_name(name: str, data: str) -> str:
    """Returns the column that stands for the paper's LPIPS, itself a squared distance of features."""
    resolved = own_classifier(data) if name == "own" else name
    return resolved if resolved.startswith("lpips-") else f"{resolved}²"


def kinds_of_change(name: str, data: str) -> dict[str, str]:
    """Returns the columns that stand for semantic, pixel, colour and edge changes, by kind."""
    semantic = semantic_name(name, data)
    return {"semantic": semantic, "pixel": "pixels²", "color": "color", "edges": "edges"}


def _load(name: str, device: str) -> Measure:
    if name in MEASURES:
        return MEASURES[name]
    if name.startswith("lpips-"):
        lpips = load_lpips(name.removeprefix("lpips-"), device)
        return lambda groups: {name: lpips(groups)}
    distance = FeatureDistance(load_extractor(name, device))
    return lambda groups: {name: (d := distance(groups)), f"{name}²": d**2}


def _color(groups: UInt8[Tensor, "g k c h w"]) -> dict[str, Tensor]:
    distances = color_distances(groups)
    channels = dict(zip(CHANNELS, distances.unbind(-1), strict=False)) if distances.shape[-1] == 3 else {}
    return {"color": distances.mean(-1), **channels}


def _edges(groups: UInt8[Tensor, "g k c h w"]) -> dict[str, Tensor]:
    return {"edges": FeatureDistance(edge_map, squared=True)(groups) / 2}


def _tone(groups: UInt8[Tensor, "g k c h w"]) -> dict[str, Tensor]:
    return dict(zip(("change", "tone"), tonal_changes(groups), strict=True))


def _inversion(groups: UInt8[Tensor, "g k c h w"]) -> dict[str, Tensor]:
    inverted = inversions(groups)
    return {"inverted": inverted, "pairs": (1 - torch.eye(inverted.shape[-1])).expand_as(inverted)}


MEASURES: dict[str, Measure] = {"color": _color, "edges": _edges, "tone": _tone, "inversion": _inversion}


def pair_sum_tables(
    groups: Mapping[int, UInt8[Tensor, "routes k c h w"]], n_buckets: int, measures: Sequence[Measure]
) -> dict[str, Float[Tensor, "routes n_buckets"]]:
    """Pair sums S of every column that the measures have, from the same images (eq. 1)."""
    found = {
        bucket: {name: d for measure in measures for name, d in measure(images).items()}
        for bucket, images in groups.items()
    }
    names = next(iter(found.values()))
    return {name: sum_table({b: d[name] for b, d in found.items()}, n_buckets) for name in names}


def diversities(
    tables: Mapping[str, Float[Tensor, "routes n_buckets"]], bucket_sizes: Sequence[int], rng: torch.Generator
) -> dict[str, LayerDiversity]:
    """D of every bucket in every column, in all its forms; the bootstrap draws the same routes for all."""
    drawn = {}
    before = rng.get_state()
    for name, table in tables.items():
        rng.set_state(before)
        drawn[name] = layer_diversity(table, bucket_sizes, rng)
    return drawn


def by_kind(
    found: Mapping[str, LayerDiversity],
) -> tuple[dict[str, LayerDiversity], dict[str, LayerDiversity]]:
    """Splits columns into those of features and those of colour, the mean over channels last."""
    colors = [name for name in (*CHANNELS, "color") if name in found]
    return {n: d for n, d in found.items() if n not in colors}, {name: found[name] for name in colors}


def buckets_differ(table: Float[Tensor, "routes n_buckets"]) -> float:
    """Probability, were all buckets alike, of ranks within routes that differ as much (Friedman's test).

    1 where no route tells any two buckets apart. Raises UserError for fewer than three varied buckets.
    """
    from scipy.stats import friedmanchisquare

    varied = table[:, ~table.isnan().all(0)]
    if varied.shape[1] < 3:
        raise UserError(f"Friedman's test of {varied.shape[1]} buckets that vary; expected at least 3")
    if bool((varied == varied[:, :1]).all()):
        return 1.0
    return float(friedmanchisquare(*varied.mT.numpy()).pvalue)


def least_agreement(pairs: Iterable[tuple[Form, Form]], n_routes: int) -> Result | None:
    """Spearman's correlation, in [−1, 1], of two rankings of the buckets, for the pair that agrees least.

    The interval, of 95 %, is that pair's, over the bootstrap's draws of routes. A ranking in which all are
    equal agrees with none: 0. Buckets without a D are left out, and so are pairs in which fewer than two are
    left; None if all are.
    """
    found = []
    for pair in pairs:
        values = [getattr(d, form) for d, form in pair]
        both = values[0].isfinite() & values[1].isfinite()
        if both.sum() > 1:
            draws = [d.resampled[form] for d, form in pair]
            one, other = (Profile(v[both], drawn[:, both]) for v, drawn in zip(values, draws, strict=True))
            found.append(rank_agreement(one, other))
    if not found:
        return None
    least = min(found, key=lambda agreement: agreement.value)
    return Result(least.value, n_routes, interval=(least.low, least.high))


def results(prefix: str, found: LayerDiversity, n_routes: int, note: str) -> dict[str, Result]:
    """Returns what is reported of one column: the paper's D under the bare prefix, the other forms behind it.

    A form that is not finite, since bucket 1 never changes the image, is left out.
    """
    varied = ~found.mean.isnan()
    return {f"{prefix}_zero_denominators": Result(found.zero_denominators, n=n_routes)} | {
        prefix + ending: form_result(found, form, n_routes, note)
        for form, ending in FORMS.items()
        if getattr(found, form)[varied].isfinite().all()
    }


def form_result(found: LayerDiversity, form: str, n_routes: int, note: str) -> Result:
    """Returns one of FORMS for every bucket that has a D, with the orders of the buckets in the bootstrap."""
    varied = ~found.mean.isnan()
    draws = found.resampled.get(form)
    orders = None if draws is None else count_orders(draws[:, varied])
    return Result(getattr(found, form)[varied].tolist(), n_routes, note=note, orders=orders)


def model_results(
    family: str, found: Mapping[str, LayerDiversity], semantic: str, n_routes: int, ending: str = ""
) -> dict[str, Result]:
    """Returns what is reported of one generator: FAMILY_semantic, _inception where measured, and _color.

    `ending` is put behind these, before the form's own.
    """
    columns = {"semantic": semantic, "inception": "inception", "color": "color"}
    return {
        key: result
        for kind, name in columns.items()
        if name in found
        for key, result in results(f"{family}_{kind}{ending}", found[name], n_routes, name).items()
    }


def share_result(share: Share, bucket: int, n_routes: int) -> Result:
    """One bucket's share with its interval."""
    ends = float(share.low[bucket]), float(share.high[bucket])
    return Result(float(share.value[bucket]), n_routes, interval=ends)


def summary(experiment: str, found: Mapping[str, LayerDiversity], semantic: str) -> str:
    """Returns a sentence on the buckets that change each kind most and least, by their shares.

    Buckets that other routes might have put elsewhere are said to be so.
    """
    titles = {semantic: f"semantics ({semantic})", "color": "colour", "edges": "edges"}
    parts = []
    for name in (name for name in titles if name in found):
        share = found[name].share
        ends = [
            int(share.nan_to_num(nan).argsort(descending=d)[0]) + 1 for d, nan in ((True, -1), (False, 2))
        ]
        held = found[name].places_held([end - 1 for end in ends])
        sure = "" if held >= SURE else f" (both in {held:.0%} of the bootstrap's draws: not told)"
        parts.append(f"{titles[name]} most in bucket {ends[0]} and least in bucket {ends[1]}{sure}")
    return f"{experiment} changes {', '.join(parts)}."
