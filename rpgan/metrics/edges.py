"""Shape without tone: the edges of an image's luminance, whatever its brightness and contrast."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # weights of R, G and B (Rec. 601)
SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))
FLAT = 1e-3  # levels; rounding alone leaves less than this of a flat image


def luminance(images: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
    """Brightness in levels from 0 to 255; that of a grey image is its one channel."""
    if images.shape[1] == 1:
        return images[:, 0].float()
    return torch.einsum("nchw,c->nhw", images.float(), torch.tensor(LUMA, device=images.device))


def edge_map(images: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
    """Strength of the luminance's gradient (Sobel) at every inner pixel, scaled to unit length.

    A shift of brightness leaves it alone, and so does any gain: what is left is where edges are, and which
    of them are the stronger ones. A flat image has none, all zeros. Half the squared distance of two maps is
    1 − the cosine between them, in [0, 1].
    """
    across = torch.tensor(SOBEL, device=images.device)
    kernels = torch.stack([across, across.mT])[:, None]
    strength = F.conv2d(luminance(images)[:, None], kernels).norm(dim=1).flatten(1)
    strength = strength.masked_fill(strength < FLAT, 0)
    return F.normalize(strength, dim=1)
