"""Which keys a table of a lesson lists."""

import numpy as np

from attn_cli.show.explanation.lessons.listing import listing


def test_eleven_keys_are_all_listed() -> None:
    shown = listing(range(11), np.zeros(11))
    assert (list(shown.keys), list(shown.rest), shown.is_whole) == (list(range(11)), [], True)


def test_of_twelve_the_eight_with_the_largest_weights_are() -> None:
    shown = listing(range(12), np.arange(12.0), np.zeros(12))
    assert (list(shown.keys), list(shown.rest)) == (list(range(4, 12)), [0, 1, 2, 3])


def test_any_of_the_weights_lists_a_key_and_some_are_listed_always() -> None:
    other = np.zeros(12)
    other[1] = 20.0
    shown = listing(range(12), np.arange(12.0), other, always=(0,))
    assert list(shown.keys) == [0, 1, 6, 7, 8, 9, 10, 11]
