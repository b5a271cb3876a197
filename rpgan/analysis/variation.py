"""What one bucket is responsible for: the same path with one entry varied (section 4.1, figures 2–5)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from rpgan import paths as path
from rpgan.images import all_distinct, to_uint8
from rpgan.metrics.diversity import LayerDiversity, layer_diversity, sum_table
from rpgan.models.generator import RandomPathGenerator, render


@dataclass(frozen=True)
class VariationGrid:
    """One image and, for every bucket of several instances, the images of its alternatives."""

    path: Tensor  # int64 (n_buckets,)
    original: Tensor  # uint8 (c, h, w)
    rows: dict[int, Tensor]  # bucket → uint8 (k, c, h, w)
    instances: dict[int, Tensor]  # bucket → int64 (k,), the instance behind each image


def variation_grid(
    generator: RandomPathGenerator, route: Int64[Tensor, " n_buckets"], n: int, rng: torch.Generator
) -> VariationGrid:
    """Varies each bucket of one path over n distinct other instances, or over all there are (E1–E4).

    All images come from one call, so that the beginnings that they share are computed once. Raises UserError
    where no bucket has another instance, as in a standard GAN.
    """
    sizes = generator.bucket_sizes
    instances = {b: path.alternatives(route, b, sizes[b], n, rng) for b in path.varied(sizes)}
    routes = [route[None], *(path.vary(route, b, chosen) for b, chosen in instances.items())]
    original, *rows = to_uint8(render(generator, torch.cat(routes))).split([len(r) for r in routes])
    return VariationGrid(route, original[0], dict(zip(instances, rows, strict=True)), instances)


def variation_grids(
    generator: RandomPathGenerator, n_grids: int, n: int, rng: torch.Generator
) -> list[VariationGrid]:
    """Varies random paths, a grid each, as `variation_grid` does."""
    return [variation_grid(generator, route, n, rng) for route in generator.sample_paths(n_grids, rng)]


def rows_differ(grid: VariationGrid) -> bool:
    """Whether every bucket changes the image: no two images of a row, nor one and the original, are equal."""
    return all(all_distinct(torch.cat([grid.original[None], row])) for row in grid.rows.values())


def varied_groups(
    generator: RandomPathGenerator, n_routes: int, n: int, rng: torch.Generator
) -> dict[int, UInt8[Tensor, "routes k c h w"]]:
    """Images of n distinct instances of each bucket around the same random routes, as D takes them (E6, E7).

    A bucket of fewer than n instances gives all it has; one of a single instance is left out. Raises
    UserError where that leaves none.
    """
    sizes = generator.bucket_sizes
    routes = generator.sample_paths(n_routes, rng)
    groups = {}
    for bucket in path.varied(sizes):
        chosen = [torch.randperm(sizes[bucket], generator=rng)[:n] for _ in routes]
        varied = [path.vary(route, bucket, c) for route, c in zip(routes, chosen, strict=True)]
        images = to_uint8(render(generator, torch.cat(varied)))
        groups[bucket] = images.unflatten(0, (n_routes, -1))
    return groups


def bucket_diversity(
    generator: RandomPathGenerator,
    distances: Mapping[str, Callable[[Tensor], Tensor]],
    n_routes: int,
    rng: torch.Generator,
) -> dict[str, LayerDiversity]:
    """Layer diversity of every bucket by each distance, from the same four images a route (eq. 1)."""
    groups, n_buckets = varied_groups(generator, n_routes, 4, rng), len(generator.buckets)
    tables = {
        name: sum_table({bucket: d(images) for bucket, images in groups.items()}, n_buckets)
        for name, d in distances.items()
    }
    return {name: layer_diversity(table, generator.bucket_sizes, rng) for name, table in tables.items()}
