"""The path explorer in a live notebook: a list of instances for each bucket and the image of their path."""

from io import BytesIO
from typing import Any

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from rpgan.analysis.variation import variation_grid
from rpgan.images import to_uint8
from rpgan.models.generator import RandomPathGenerator, render
from rpgan.paths import check

SIDE = 256  # least side of the picture in pixels
N_STATIC = 8  # other instances a bucket in the grid that stands in for the widget


def explore(
    generator: RandomPathGenerator, rng: torch.Generator, start: Int64[Tensor, " n_buckets"] | None = None
) -> Any:
    """Shows the image of a path that can be changed bucket by bucket, beginning with `start` or a random one.

    Returns an ipywidgets box whose `path` is the tensor that is shown. Without ipywidgets (extra `widgets`)
    it returns the variation grid of that path as a matplotlib figure. Raises UserError for what is no path.
    """
    start = generator.sample_paths(1, rng)[0] if start is None else start
    check(start[None], generator.bucket_sizes)
    try:
        import ipywidgets
    except ImportError:
        return static_grid(generator, start, rng)
    return _box(ipywidgets, generator, start, rng)


def static_grid(generator: RandomPathGenerator, start: Tensor, rng: torch.Generator) -> Any:
    """Draws a path and other instances of each of its buckets, a row a bucket."""
    from rpgan import plotting

    with plotting.plt.rc_context(plotting.LOOK):
        figure, (ax,) = plotting.figure_of(1, width=6.4, ratio=0.5)
        plotting.draw_variation(ax, variation_grid(generator, start, N_STATIC, rng))
    plotting.plt.close(figure)  # the notebook shows what is returned, and would show it twice
    return figure


def _box(ipywidgets: Any, generator: RandomPathGenerator, start: Tensor, rng: torch.Generator) -> Any:
    choices = [
        ipywidgets.Dropdown(
            options=range(size), value=instance, description=f"bucket {bucket + 1}", disabled=size == 1
        )
        for bucket, (size, instance) in enumerate(zip(generator.bucket_sizes, start.tolist(), strict=True))
    ]
    picture, label = ipywidgets.Image(format="png"), ipywidgets.Label()
    button = ipywidgets.Button(description="Random path")
    box = ipywidgets.HBox([picture, ipywidgets.VBox([*choices, button, label])])

    def show(_: Any = None) -> None:
        box.path = torch.tensor([choice.value for choice in choices])
        picture.value = png(to_uint8(render(generator, box.path[None]))[0])
        label.value = f"The image of the path {', '.join(map(str, box.path.tolist()))}"

    def draw(_: Any) -> None:
        for choice, instance in zip(choices, generator.sample_paths(1, rng)[0].tolist(), strict=True):
            choice.value = instance

    for choice in choices:
        choice.observe(show, names="value")
    button.on_click(draw)
    show()
    return box


def png(image: UInt8[Tensor, "c h w"]) -> bytes:
    """Returns an image as PNG, every pixel repeated until the side is at least `SIDE`."""
    from PIL import Image

    factor = -(-SIDE // image.shape[-1])
    large = image.repeat_interleave(factor, 1).repeat_interleave(factor, 2).permute(1, 2, 0).numpy()
    stream = BytesIO()
    Image.fromarray(large.squeeze()).save(stream, format="PNG")
    return stream.getvalue()
