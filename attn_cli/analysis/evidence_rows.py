"""The rows of a text that are evidence for a pattern, because nothing simpler explains where they attend.

A token that followed an earlier copy may also be the previous token, and a copy may stand right before its
token: a head that looks one token back would pass for an induction or a duplicate-token head.
"""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from attn_cli.core.arrays import Booleans, Integers
from attn_cli.core.streaming.key_tokens import NO_KEY, Copies, KeyTokens
from attn_cli.vocabulary import Pattern

NEAR = 4  # tokens: a head that attends to its neighbours reaches as far
EvidenceRows: TypeAlias = Mapping[Pattern, Booleans]
"""(T,) for each pattern: the rows that are evidence."""


def find_evidence_rows(tokens: KeyTokens, visible_keys: Integers) -> EvidenceRows:
    """The rows that are evidence for each pattern; `visible_keys` (T,) is how many keys each may look at.

    `Pattern.rows` says which. Without ids the queries are other tokens than the keys, as in cross-attention,
    and all rows are evidence. A row must also be eligible for the metric of the pattern.
    """
    is_crowded = np.asarray(visible_keys) > NEAR
    if tokens.ids is None:
        return {Pattern.FIRST: np.ones(is_crowded.shape, bool), Pattern.BROAD: is_crowded}
    ids, copies = tokens.ids, tokens.copies
    special = np.zeros(ids.size, bool) if tokens.special is None else tokens.special
    places, is_text = np.arange(ids.size), ~special
    nearest = copies.back(places, np.ones_like(places))
    steps = np.where(nearest == NO_KEY, 0, places - nearest)  # to the nearest copy; 0: there is none
    is_second_later = is_text & (places > 1)
    return {
        Pattern.INDUCTION: is_text & (steps > NEAR + 1) & ~_follows_oddly(ids, special, copies),
        Pattern.DUPLICATE: is_text & (steps > NEAR) & (ids != ids[0]),
        Pattern.PREVIOUS: is_second_later & ~_before(special) & (steps != 1) & (steps != 2),  # noqa: PLR2004
        Pattern.CURRENT: is_text & (places > 0),
        Pattern.FIRST: is_second_later & (ids != ids[0]),
        Pattern.BROAD: is_text & is_crowded,
    }


def count_different(tokens: KeyTokens, rows: Booleans) -> int:
    """How many different tokens the rows (T,) have; without ids, how many rows."""
    # np.unique imports numpy.ma: 6 % of the start
    return int(rows.sum()) if tokens.ids is None else len(set(tokens.ids[rows].tolist()))


def _follows_oddly(ids: Integers, special: Booleans, copies: Copies) -> Booleans:
    """(T,) whether an earlier copy is followed by itself or by a special token."""
    odd = np.zeros(ids.size, bool)
    odd[:-1] = (ids[1:] == ids[:-1]) | special[1:]
    before = np.concatenate([[0], np.cumsum(odd[copies.order])])
    return np.asarray(before[copies.first + copies.before] > before[copies.first])


def _before(flags: Booleans) -> Booleans:
    """(T,) the flag of the token before; true for the first token, which has none."""
    return np.concatenate([[True], flags[:-1]])
