"""The model card: what the model was trained on, for how long, how well it predicts, what its heads do."""

from collections.abc import Iterable, Iterator, Sequence

from attn_cli.safe_text import printable
from attn_cli.training.corpus import TextFile
from attn_cli.training.measure import HeadReport, Surprise
from attn_cli.training.result import TrainingResult
from attn_cli.training.run import Run
from attn_cli.training.tokenizer import START_PIECE
from attn_cli.vocabulary import Pattern

_MARKUP = str.maketrans(dict.fromkeys("|`<>*[]", "?"))


def text(run: Run, outcome: TrainingResult) -> str:
    """The `README.md` of the model in Markdown."""
    return "\n".join(
        [
            f"# {_plain(outcome.name)}",
            "",
            *_what(run, outcome),
            "",
            "## Trained on",
            "",
            *_trained(run, outcome),
            "",
            "## Held-out text",
            "",
            *_losses(outcome.surprise),
            "",
            "## What its heads do",
            "",
            *_heads(outcome.heads),
            "",
        ]
    )


def _what(run: Run, outcome: TrainingResult) -> Iterator[str]:
    recipe = run.order.recipe
    yield (
        f"A language model in the GPT-2 layout, trained by `attn train`: {recipe.layers} layers × "
        f"{recipe.heads} heads of {recipe.width // recipe.heads} features, width {recipe.width}, context "
        f"{recipe.context}, {outcome.vocabulary:,} byte-level BPE pieces, {outcome.parameters:,} "
        f"parameters, stored as {run.order.store}. Every text begins with `{START_PIECE}`; "
        f"positions are fixed sinusoids."
    )


def _trained(run: Run, outcome: TrainingResult) -> Iterator[str]:
    recipe, mark = run.order.recipe, outcome.mark
    _, length = recipe.rows_at(0.0)
    yield from _table(("text", "characters", "sha256"), (_row(text) for text in run.texts))
    yield ""
    yield (
        f"{mark.step:,} steps, {mark.tokens:,} tokens, in {mark.seconds / 60:.1f} minutes: rows of {length} "
        f"tokens at first, of {recipe.context} at the end. AdamW, learning rate {recipe.rate:g} with "
        f"warm-up and cosine decay, seed {recipe.seed}, matrix products in {recipe.products}."
    )
    if recipe.repeats:
        yield ""
        yield (
            f"In {recipe.repeats:.0%} of the rows a passage occurs twice, so that induction heads form "
            "early: the model repeats what it has read more readily than one trained on the text alone."
        )
    if run.held_out_text is not None:
        yield ""
        yield from _table(("held out", "characters", "sha256"), [_row(run.held_out_text)])


def _losses(surprise: Surprise) -> Iterator[str]:
    rows = [(who, f"{bits:.3f}") for who, bits in surprise.guesses]
    yield from _table(("prediction", "bits per character"), rows)
    yield ""
    yield (
        f"Over {surprise.characters:,} characters, {surprise.tokens:,} tokens, {surprise.nats:.3f} nats per "
        "token; except at the start, each is predicted from at least half a context. The bigrams are "
        "interpolated as in Witten and Bell 1991."
    )


def _heads(heads: Sequence[HeadReport]) -> Iterator[str]:
    columns = ("head", "known for", *Pattern)
    yield from _table(columns, (_scores(head) for head in heads))
    yield ""
    yield (
        "The mean weight, 0 to 1, that a row puts on the tokens of the pattern (`broad`: its entropy as a "
        "fraction of the maximum). Induction and duplicate-token are measured on random tokens that occur "
        "twice, the rest on held-out text; `attn.json` has every pattern on held-out text, on held-out text "
        "that occurs twice, and on random tokens."
    )


def _scores(head: HeadReport) -> tuple[str, ...]:
    return (
        f"{head.layer}.{head.head}",
        head.pattern or "",
        *(f"{head.shown[pattern]:.2f}" if pattern in head.shown else "-" for pattern in Pattern),
    )


def _row(text: TextFile) -> tuple[str, ...]:
    return (_plain(text.name), f"{text.characters:,}", f"`{text.sha256}`")


def _plain(name: str) -> str:
    """An external name as text without Markdown markup."""
    return printable(name).translate(_MARKUP)


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in (names, ["---"] * len(names), *rows):
        yield f"| {' | '.join(row)} |"
