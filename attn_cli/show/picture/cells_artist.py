"""A matplotlib artist for a matrix of cells: each is a rectangle of one colour, with sharp edges.

matplotlib's `AxesImage` resamples, which takes 3 ms per image; cells only need to be repeated. Import this
module late: it imports matplotlib.
"""

from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.transforms import Affine2D

from attn_cli.show.picture.marks import INCH, Image

_SHARP, _MOST = 300, 3000  # pixels per inch, and along a side of an image

if TYPE_CHECKING:
    from matplotlib.backend_bases import RendererBase


class CellsArtist(Artist):
    """An `Image` at its box, in data coordinates of the axes."""

    def __init__(self, image: Image) -> None:
        super().__init__()
        self._image = image

    def draw(self, renderer: "RendererBase") -> None:
        """Draw as many pixels as the box has, or in a format that stretches images as many as are sharp."""
        box, colours = self._image.box, self._image.colours[::-1]  # the renderer's first row is the bottom
        corners = self.get_transform().transform([(box.x, box.bottom), (box.right, box.y)])
        (left, bottom), (right, top) = corners
        context = renderer.new_gc()
        if renderer.option_scale_image():
            stretch = Affine2D().scale(right - left, top - bottom)
            sharp = _magnified(colours, top - bottom, right - left)
            renderer.draw_image(context, left, bottom, sharp, stretch)
        else:
            (left, bottom), (right, top) = np.rint(corners).astype(int)
            rows = _repeated(top - bottom, len(colours))
            columns = _repeated(right - left, colours.shape[1])
            renderer.draw_image(context, left, bottom, colours.take(rows, axis=0).take(columns, axis=1))
        context.restore()


def _magnified(colours: npt.NDArray[np.uint8], high: float, wide: float) -> npt.NDArray[np.uint8]:
    """Several pixels for each cell, about `_SHARP` per inch: viewers blur the edges of those they enlarge."""
    rows, columns = (
        max(1, ceil(min(_MOST, points / INCH * _SHARP) / cells))
        for points, cells in zip((high, wide), colours.shape[:2], strict=True)
    )
    return colours.repeat(rows, axis=0).repeat(columns, axis=1)


def _repeated(pixels: int, cells: int) -> npt.NDArray[np.int64]:
    """The cell that each pixel shows."""
    return np.arange(pixels) * cells // max(pixels, 1)
