"""Procedural sprites: RGB images whose seven factors are known, drawn when they are asked for."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from rpgan.config import DataConfig
from rpgan.errors import UserError
from rpgan.images import hue_to_rgb

Distance = Callable[[Tensor, Tensor], Tensor]


def _grid(start: float, stop: float, n: int) -> tuple[float, ...]:
    return tuple(start + (stop - start) * i / (n - 1) for i in range(n))


# Values of every factor. Cardinalities are powers of two, so that an index is a string of bits.
# No shape looks the same after less than 180 degrees, so that rotations can be told apart.
FACTORS: dict[str, tuple[str, ...] | tuple[float, ...]] = {
    "shape": ("ellipse", "rectangle", "triangle", "heart"),
    "object_hue": tuple(i / 16 for i in range(16)),  # turns
    "background_hue": tuple(i / 16 for i in range(16)),  # turns
    "x": _grid(0.31, 0.69, 16),  # of the centroid, in widths from the left
    "y": _grid(0.31, 0.69, 16),  # of the centroid, in heights from the top
    "scale": _grid(0.17, 0.29, 8),  # radius of the circle around the shape, in widths
    "rotation": _grid(-45.0, 45.0, 16),  # degrees, anticlockwise
}
CARDINALITIES = tuple(len(values) for values in FACTORS.values())
COMBINATIONS = math.prod(CARDINALITIES)
SPLITS = {"train": range(0, 2**20), "test": range(2**20, 2**20 + 2**16)}
CHUNK = 512  # images drawn at once, which bounds the memory


@dataclass(frozen=True)
class Sprites:
    """A range of the sprites' indices as a dataset; labels are the factor indices (n, 7)."""

    indices: range
    size: int
    provenance: str
    class_names: tuple[str, ...] = tuple(FACTORS)

    def all_labels(self) -> Tensor:
        return factors_of(torch.arange(self.indices.start, self.indices.stop))

    def __len__(self) -> int:
        return len(self.indices)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        factors = factors_of(torch.tensor([self.indices[i] for i in indices], dtype=torch.int64))
        return render_sprites(factors, self.size), factors


def load_sprites(data: DataConfig, image_shape: tuple[int, ...], split: str) -> Sprites:
    """Loads 1,048,576 training or 65,536 other test sprites; UserError but for squares of 3 channels."""
    channels, height, width = image_shape
    if channels != 3 or height != width:
        raise UserError(f"image_shape = {image_shape} for sprites; expected 3 channels and a square")
    indices = SPLITS[split]
    return Sprites(indices, width, f"procedural sprites, {split} split: {len(indices):,} images")


def factors_of(indices: Int[Tensor, " n"]) -> Int[Tensor, "n 7"]:
    """Returns the factor indices of sprites: a bijection of the COMBINATIONS indices that looks random.

    Each round, an odd multiple modulo a power of two and a shift, can be undone, hence so can all of them.
    Raises UserError for an index outside.
    """
    bits = COMBINATIONS.bit_length() - 1
    if indices.numel() and (indices.min() < 0 or indices.max() >= COMBINATIONS):
        got = f"sprite indices from {int(indices.min())} to {int(indices.max())}"
        raise UserError(f"{got}; expected 0 to {COMBINATIONS - 1}")
    code = indices.to(torch.int64)
    for odd, shift in ((0x1B873B5, 13), (0x0C2B2AF, 11), (0x17D4EB3, 14)):
        code = (code * odd + 0x9E3779) % 2**bits
        code = code ^ (code >> shift)
    columns = []
    for cardinality in CARDINALITIES:
        columns.append(code % cardinality)
        code = code // cardinality
    return torch.stack(columns, dim=1)


def render_sprites(factors: Int[Tensor, "n 7"], size: int) -> UInt8[Tensor, "n 3 {size} {size}"]:
    """Draws sprites of size × size pixels, with anti-aliased edges.

    Raises UserError for factor indices outside FACTORS.
    """
    if factors.numel() and ((factors < 0).any() or (factors >= torch.tensor(CARDINALITIES)).any()):
        got = f"factor indices from {factors.amin(0).tolist()} to {factors.amax(0).tolist()}"
        raise UserError(f"{got}; expected 0 or more and below {CARDINALITIES}")
    if not len(factors):
        return torch.empty(0, 3, size, size, dtype=torch.uint8)
    return torch.cat([_draw(chunk, size) for chunk in torch.split(factors, CHUNK)])


def coverage(factors: Int[Tensor, "n 7"], size: int) -> Float[Tensor, "n {size} {size}"]:
    """Returns the share of every pixel, 0 to 1, that the object covers."""
    x, y = _values("x", factors)[:, None, None], _values("y", factors)[:, None, None]
    scale, rotation = _values("scale", factors)[:, None, None], _values("rotation", factors)[:, None, None]
    centres = (torch.arange(size) + 0.5) / size
    right, up = centres[None, None, :] - x, y - centres[None, :, None]
    cos, sin = torch.cos(rotation.deg2rad()), torch.sin(rotation.deg2rad())
    u, v = (cos * right + sin * up) / scale, (cos * up - sin * right) / scale
    shape = factors[:, 0, None, None]
    distance = torch.zeros_like(u)
    for i, name in enumerate(FACTORS["shape"]):
        distance = torch.where(shape == i, SHAPES[str(name)](u, v), distance)
    return (0.5 - distance * scale * size).clamp(0, 1)


def _draw(factors: Tensor, size: int) -> Tensor:
    # Light objects on dark ground: both hues can be read, also where they are the same.
    objects = 0.12 + 0.88 * hue_to_rgb(_values("object_hue", factors))
    grounds = 0.08 + 0.30 * hue_to_rgb(_values("background_hue", factors))
    mask = coverage(factors, size)[:, None]
    colors = grounds[..., None, None].lerp(objects[..., None, None], mask)
    return (colors * 255).round().to(torch.uint8)


def _values(name: str, factors: Tensor) -> Tensor:
    return torch.tensor(FACTORS[name])[factors[:, list(FACTORS).index(name)]]


# Signed distances, negative inside, of shapes within the unit circle, their centroid at 0; v points up.


def _ellipse(u: Tensor, v: Tensor) -> Tensor:
    """Half-axes 1 and 1/2; to first order, which is what an edge one pixel wide needs."""
    level = u**2 + 4 * v**2 - 1
    slope = 2 * torch.sqrt(u**2 + 16 * v**2)
    return level / slope.clamp(min=0.1)  # the slope vanishes at the centre only


def _box(u: Tensor, v: Tensor, half_width: float, half_height: float) -> Tensor:
    du, dv = u.abs() - half_width, v.abs() - half_height
    return torch.hypot(du.clamp(min=0), dv.clamp(min=0)) + torch.maximum(du, dv).clamp(max=0)


def _rectangle(u: Tensor, v: Tensor) -> Tensor:
    """Sides 2 : 1, the corners on the circle."""
    return _box(u, v, 2 / math.sqrt(5), 1 / math.sqrt(5))


def _triangle(u: Tensor, v: Tensor) -> Tensor:
    """Height 1.5, base 1.3, the apex up and on the circle."""
    side = (1.5 * u.abs() + 0.65 * (v - 1)) / math.hypot(1.5, 0.65)
    return torch.maximum(side, -0.5 - v)


def _heart(u: Tensor, v: Tensor) -> Tensor:
    """A square on its corner with a half disc on both upper sides."""
    side = 0.95
    v = v + 0.2215 * side  # from the centroid to the middle of the square
    square = _box((u + v) / math.sqrt(2), (v - u) / math.sqrt(2), side / 2, side / 2)
    middle = side / (2 * math.sqrt(2))
    return torch.minimum(square, torch.hypot(u.abs() - middle, v - middle) - side / 2)


SHAPES: dict[str, Distance] = {
    "ellipse": _ellipse,
    "rectangle": _rectangle,
    "triangle": _triangle,
    "heart": _heart,
}
