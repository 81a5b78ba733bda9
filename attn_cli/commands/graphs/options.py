"""How graphs are asked for: what their edges are, how many are kept, and the schema of a .json file."""

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attn_cli.answers.graph import EdgeMeasure
from attn_cli.errors import UsageError
from attn_cli.help.command import Topic
from attn_cli.record import record
from attn_cli.show.graph.files import GRAPHS, JSON_GRAPHS, GraphSchema

if TYPE_CHECKING:
    from attn_cli.show.graph.content import GraphContent
    from attn_cli.show.writers import FileKind

_KEPT = 0.9
_JSON = ".json"


@record(frozen=True, kw_only=True)
class GraphOptions:
    """The edges of a graph, how many are kept, and how it is written."""

    topic = Topic.OUTPUT
    graph: Annotated[
        EdgeMeasure | None,
        typer.Option(
            "--graph",
            metavar="MEASURE",
            help="Edges of a graph (.graphml, .dot): effects, of heads at the keys that the predicting row "
            "looks at; weights of all rows; or norms, of what heads write with these.",
            show_default="effects",
        ),
    ] = None
    keep: Annotated[
        float | None,
        typer.Option(
            "--keep",
            metavar="SHARE",
            help="Keep the strongest edges of heads that together hold this share of the whole, up to 1.",
            show_default=f"{_KEPT}",
        ),
    ] = None
    schema: Annotated[
        GraphSchema | None,
        typer.Option(
            "--schema",
            metavar="NAME",
            help="Let .json hold a graph too, in this schema: node-link for networkx, or neuronpedia for its "
            "viewer of attribution graphs.",
            show_default=False,
        ),
    ] = None

    @property
    def measure(self) -> EdgeMeasure:
        """What the edges are weighted by."""
        return self.graph or EdgeMeasure.EFFECTS

    @property
    def share(self) -> float:
        """The share of the whole that is kept."""
        return _KEPT if self.keep is None else self.keep

    def kinds(self, targets: Mapping[Path, str]) -> "dict[FileKind[GraphContent], dict[Path, str]]":
        """The files that hold a graph, by their kind."""
        of_json = [] if self.schema is None else [JSON_GRAPHS[self.schema]]
        kinds = [GRAPHS, *of_json]
        found = {kind: {path: suffix for path, suffix in targets.items() if suffix in kind} for kind in kinds}
        return {kind: files for kind, files in found.items() if files}

    def others(self, targets: Mapping[Path, str]) -> dict[Path, str]:
        """The files that hold no graph."""
        of_graphs = {path for files in self.kinds(targets).values() for path in files}
        return {path: suffix for path, suffix in targets.items() if path not in of_graphs}

    def given(self, targets: Mapping[Path, str]) -> dict[str, object]:
        """The options that are typed, and the files that hold a graph, as they are typed."""
        named: dict[str, object] = {"--graph": self.graph, "--keep": self.keep, "--schema": self.schema}
        files = {f"-o {path}": path for each in self.kinds(targets).values() for path in each}
        return {**named, **files}

    def is_of_rows(self, targets: Mapping[Path, str]) -> bool:
        """Whether a graph of all rows is written, of weights or norms."""
        return self.measure is not EdgeMeasure.EFFECTS and bool(self.kinds(targets))

    def is_of_effects(self, targets: Mapping[Path, str]) -> bool:
        """Whether a graph of effects is written."""
        return self.measure is EdgeMeasure.EFFECTS and bool(self.kinds(targets))

    def check(self, targets: Mapping[Path, str]) -> None:
        """Check that there is a graph for the options, and that they fit together.

        Raises:
            UsageError: they do not.
        """
        if self.schema is not None and _JSON not in targets.values():
            raise UsageError("--schema applies only to a .json file", "-o graph.json, or leave it out")
        if not self.kinds(targets):
            for option, value in {"--graph": self.graph, "--keep": self.keep}.items():
                if value is not None:
                    files = "-o graph.graphml or graph.dot, or --schema node-link -o graph.json"
                    raise UsageError(f"{option} applies only to a graph, and no file holds one", files)
        if self.keep is not None and not (isfinite(self.keep) and 0 < self.keep <= 1):
            raise UsageError(f"--keep is a share above 0 and up to 1, not {self.keep:g}", "--keep 0.9")
        if self.schema is GraphSchema.NEURONPEDIA and self.measure is not EdgeMeasure.EFFECTS:
            problem = f"the schema of neuronpedia holds effects on a prediction, not {self.measure}"
            raise UsageError(problem, "--schema node-link, or leave out --graph")
