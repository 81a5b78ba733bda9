"""A matplotlib artist for a matrix of cells: each is a rectangle of one colour, with sharp edges.

matplotlib's `AxesImage` resamples, which takes 3 ms per image; cells only need to be repeated. Import this
module late: it imports matplotlib.
"""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.transforms import Affine2D

from attn_cli.show.picture.marks import Image

if TYPE_CHECKING:
    from matplotlib.backend_bases import RendererBase


class CellsArtist(Artist):
    """An `Image` at its box, in data coordinates of the axes."""

    def __init__(self, image: Image) -> None:
        super().__init__()
        self._image = image

    def draw(self, renderer: "RendererBase") -> None:
        """Draw one pixel per cell if the format can stretch images, else as many as the box has."""
        box, colours = self._image.box, self._image.colours[::-1]  # the renderer's first row is the bottom
        corners = self.get_transform().transform([(box.x, box.bottom), (box.right, box.y)])
        (left, bottom), (right, top) = corners
        context = renderer.new_gc()
        if renderer.option_scale_image():
            stretch = Affine2D().scale(right - left, top - bottom)
            renderer.draw_image(context, left, bottom, colours, stretch)
        else:
            (left, bottom), (right, top) = np.rint(corners).astype(int)
            rows = _repeated(top - bottom, len(colours))
            columns = _repeated(right - left, colours.shape[1])
            renderer.draw_image(context, left, bottom, colours.take(rows, axis=0).take(columns, axis=1))
        context.restore()


def _repeated(pixels: int, cells: int) -> npt.NDArray[np.int64]:
    """The cell that each pixel shows."""
    return np.arange(pixels) * cells // max(pixels, 1)
