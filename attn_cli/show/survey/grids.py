"""The numbers of a survey as layer × head maps: means, and how far the mean of all documents may be off."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from attn_cli.grid import Grid
from attn_cli.show.grids import metric_grid
from attn_cli.vocabulary import Metric

Numbers = Mapping[tuple[int, int], float | None]


def mean_grid(metric: Metric, places: Sequence[tuple[int, int]], means: Numbers) -> Grid:
    """The mean of a metric over documents."""
    grid = metric_grid(metric, places, means)
    return replace(grid, title=f"mean {grid.title}", unit=f"mean {grid.unit}")


def interval_grid(metric: Metric, places: Sequence[tuple[int, int]], halves: Numbers) -> Grid:
    """Half of the 95 % interval of that mean, on a scale of its own."""
    grid = metric_grid(metric, places, halves)
    return replace(
        grid,
        title=f"± 95 % of mean {grid.title}",
        unit=f"half of the 95 % interval of {grid.unit}",
        limits=(0.0, max(grid.limits)),
    )
