"""The input of views: a labelled matrix, and the steps of one head."""

import dataclasses

import numpy as np
import pytest

from attn_cli.grid import Grid, Head
from attn_cli.vocabulary import Kind


def test_a_grid_cannot_be_changed() -> None:
    grid = Grid("", np.zeros((1, 1)), ("a",), ("b",), np.ones((1, 1), dtype=bool), (0.0, 1.0))
    with pytest.raises(dataclasses.FrozenInstanceError):
        grid.title = "other"  # type: ignore[misc]


def test_a_head_is_named_as_a_person_selects_it() -> None:
    head = Head(Kind.SELF, layer=2, head=11, kv_head=5, scale=0.125, queries=(0,), keys=(0,), steps={})
    assert head.name == "2.11"
