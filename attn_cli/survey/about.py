"""What the results of a survey say before their rows: the model, what was read, and what was not."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from attn_cli.models.source import Source
from attn_cli.reading.document import describe_source
from attn_cli.survey.records import Layout, SurveyRequest
from attn_cli.survey.results import metric_rows
from attn_cli.survey.running.run import Surveyed
from attn_cli.vocabulary import Metric

INTERVAL = "95 %, Student's t over documents; of shares of documents, Wilson's"
"""How `low` and `high` are made."""

_SINK = 0.3  # the mean weight beyond which the first token is a sink (Gu et al. 2024, arXiv:2410.10781)


def about(
    source: Source,
    layout: Layout,
    request: SurveyRequest,
    files: Sequence[Path],
    surveyed: Surveyed,
) -> dict[str, Any]:
    """The fields of the JSON object, but for its rows and patterns."""
    return {
        **describe_source(source),
        "text": "",
        "pair": None,
        "tokens": [],
        "corpus": _corpus(request, files, surveyed),
        "interval": INTERVAL,
        "sink_share": _sink_share(surveyed, layout),
        "unread": [asdict(one) for one in surveyed.unread],
    }


def _corpus(request: SurveyRequest, files: Sequence[Path], surveyed: Surveyed) -> dict[str, Any]:
    return {
        "files": list(map(str, files)),
        "documents": surveyed.documents,
        "unread": surveyed.unread_count,
        "reasons": dict(surveyed.reasons),
        "tokens": surveyed.tokens,
        "window": request.window,
        "stride": request.stride,
        "rows": request.rows,
        "on": request.on,
    }


def _sink_share(surveyed: Surveyed, layout: Layout) -> float | None:
    """The share of heads that give the first token more than 0.3 on average; None: no row was measured."""
    if Metric.FIRST not in layout.metrics:
        return None
    rows = metric_rows(surveyed.totals, [Metric.FIRST])
    means = [row.mean for row in rows if row.mean is not None]
    return sum(mean > _SINK for mean in means) / len(means) if means else None
