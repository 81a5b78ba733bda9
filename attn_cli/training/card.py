"""The card of a trained model: what it was trained on, for how long, what it is worth, what its heads do."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from attn_cli.training.corpus import TextFile
from attn_cli.training.measure import HeadReport
from attn_cli.vocabulary import Pattern

if TYPE_CHECKING:
    from attn_cli.training.run import Order, Outcome


def text(order: "Order", texts: Sequence[TextFile], held_out: TextFile | None, outcome: "Outcome") -> str:
    """The `README.md` of the model in Markdown."""
    return "\n".join(
        [
            f"# {outcome.directory.name}",
            "",
            *_what(order, outcome),
            "",
            "## Trained on",
            "",
            *_trained(order, texts, held_out, outcome),
            "",
            "## Held-out text",
            "",
            *_losses(outcome),
            "",
            "## What its heads do",
            "",
            *_heads(outcome.heads),
            "",
        ]
    )


def _what(order: "Order", outcome: "Outcome") -> Iterator[str]:
    recipe = order.recipe
    yield (
        f"A language model in the GPT-2 layout, trained by `attn train`: {recipe.layers} layers × "
        f"{recipe.heads} heads of {recipe.width // recipe.heads} features, width {recipe.width}, context "
        f"{recipe.context}, {outcome.config['vocab_size']} byte-level BPE pieces, {outcome.parameters:,} "
        f"parameters, stored as {order.store}. Every text begins with `<s>`."
    )


def _trained(
    order: "Order", texts: Sequence[TextFile], held_out: TextFile | None, outcome: "Outcome"
) -> Iterator[str]:
    recipe = order.recipe
    yield from _table(("text", "characters", "sha256"), (_row(text) for text in texts))
    yield ""
    yield (
        f"{outcome.mark.step:,} steps of {recipe.batch} rows of {recipe.context} tokens, "
        f"{outcome.tokens:,} tokens in all, in {outcome.mark.seconds / 60:.1f} minutes. AdamW, "
        f"learning rate {recipe.rate:g} with warm-up and cosine decay, weight decay {recipe.decay:g}, "
        f"seed {recipe.seed}, products in {'bfloat16' if recipe.bfloat16 else 'float32'}."
    )
    if recipe.repeats:
        yield ""
        yield (
            f"In {recipe.repeats:.0%} of the rows a passage was made to stand twice, so that induction heads "
            "form early: it repeats what it has read more readily than the text alone would teach it."
        )
    if held_out is not None:
        yield ""
        yield from _table(("held out", "characters", "sha256"), [_row(held_out)])


def _losses(outcome: "Outcome") -> Iterator[str]:
    surprise = outcome.surprise
    rows = [
        ("this model", f"{surprise.model:.3f}"),
        ("bigrams of the same tokens", f"{surprise.bigram:.3f}"),
        ("gzip -9", f"{surprise.gzip:.3f}"),
    ]
    yield from _table(("guess", "bits a character"), rows)
    yield ""
    yield (
        f"Over {surprise.characters:,} characters, {surprise.tokens:,} tokens, {surprise.nats:.3f} nats a "
        "token; each is guessed from at least half a context, the first ones aside. The bigrams are "
        "interpolated as in Witten and Bell 1991."
    )


def _heads(heads: Sequence[HeadReport]) -> Iterator[str]:
    columns = ("head", "known for", *Pattern)
    yield from _table(columns, (_scores(head) for head in heads))
    yield ""
    yield (
        "The mean weight, 0 to 1, that a row puts on the tokens of the pattern (`broad`: its entropy as a "
        "share of the largest). Induction and duplicate token on random tokens that stand twice, the rest on "
        "held-out text; `attn.json` has every pattern on held-out text, on held-out text that stands "
        "twice, and on random tokens."
    )


def _scores(head: HeadReport) -> tuple[str, ...]:
    return (
        f"{head.layer}.{head.head}",
        head.pattern or "",
        *(f"{head.telling[pattern]:.2f}" for pattern in Pattern),
    )


def _row(text: TextFile) -> tuple[str, ...]:
    name = "".join(letter if letter.isprintable() and letter not in "|`<" else "?" for letter in text.name)
    return (f"`{name}`", f"{text.characters:,}", f"`{text.sha256}`")


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in (names, ["---"] * len(names), *rows):
        yield f"| {' | '.join(row)} |"
