"""Why a query scores one key higher than another, as a document: what wrote the difference."""

import math
from collections.abc import Iterator, Sequence

from attn_cli.answers.contrast import (
    BiasType,
    Component,
    ContrastSide,
    KeyContrast,
    PairOfKeys,
)
from attn_cli.grid import Sides
from attn_cli.record import record
from attn_cli.show.explanation.document import (
    Block,
    Document,
    Equation,
    Formula,
    Heading,
    Operand,
    Outside,
    Paragraph,
    Remainder,
    Row,
    Table,
    TableColumn,
    Tone,
    Word,
    Words,
    symbols,
    words,
)
from attn_cli.show.explanation.figures import Column, Figure, Ledger
from attn_cli.show.explanation.labels import ROUNDING, token_name
from attn_cli.show.explanation.sections.board import ratio
from attn_cli.vocabulary import ComponentType, Kind

_BIASES = {
    BiasType.POSITION: words("position bias", "viés de posição"),
    BiasType.CONTENT_TO_POSITION: words("query with distance", "consulta com distância"),
    BiasType.POSITION_TO_CONTENT: words("key with distance", "chave com distância"),
}
_SIDES: dict[Kind, Word] = {
    Kind.SELF: "",
    Kind.ENCODER: words("encoder ", " do codificador"),
    Kind.DECODER: words("decoder ", " do decodificador"),
    Kind.CROSS: words("cross ", " da atenção cruzada"),
}
_WRITERS = {
    ComponentType.EMBEDDING: words("token embedding", "embedding do token"),
    ComponentType.POSITION: words("position embedding", "embedding de posição"),
    ComponentType.SEGMENT: words("segment embedding", "embedding de segmento"),
    ComponentType.CONSTANT: words("constant (biases, shifts)", "constante (vieses, deslocamentos)"),
}


def contrast_page(contrast: KeyContrast, sides: Sides, model: str, *, digits: int, most: int) -> Document:
    """The difference of two scores, split by what wrote the keys' streams and the query's."""
    page = _Page(contrast, sides, model, Ledger(digits), most)
    blocks = list(page.blocks())
    return Document(blocks, page.ledger.settle())


@record(frozen=True, slots=True, eq=False)
class _Page:
    """One contrast on its way to the page."""

    contrast: KeyContrast
    sides: Sides
    model: str
    ledger: Ledger
    most: int

    def blocks(self) -> Iterator[Block]:
        """The scores, both splits, what comes after the score, and a sentence."""
        scores = self.ledger.column()
        yield from self._opening(scores)
        yield Heading(words("1. What wrote the keys", "1. O que escreveu as chaves"))
        yield Paragraph(
            words(
                "The difference, split by what wrote into the residual streams of the two keys, with the"
                " query as it is:",
                "A diferença, dividida segundo o que escreveu no fluxo residual das duas chaves, com a"
                " consulta inalterada:",
            )
        )
        yield self._table(self.contrast.keys_side, scores)
        yield Heading(words("2. What wrote the query", "2. O que escreveu a consulta"))
        yield Paragraph(
            words(
                "The same difference, split by what wrote into the residual stream of the query, with the"
                " keys as they are:",
                "A mesma diferença, dividida segundo o que escreveu no fluxo residual da consulta, com as"
                " chaves inalteradas:",
            )
        )
        yield self._table(self.contrast.query_side, scores)
        yield from self._afterwards()
        yield Heading(words("In one sentence", "Em uma frase"))
        yield Paragraph(self._sentence())

    def _names(self) -> dict[str, Word]:
        contrast = self.contrast
        return {
            "query": token_name(self.sides.queries, contrast.query),
            "key": token_name(self.sides.keys, contrast.key),
            "other": token_name(self.sides.keys, contrast.other),
        }

    def _opening(self, column: Column) -> Iterator[Block]:
        contrast, ledger = self.contrast, self.ledger
        yield Heading(
            words(
                "Why does {query} score {key} higher than {other}?"
                if contrast.scores.difference >= 0
                else "Why does {query} score {key} lower than {other}?",
                "Por que {query} dá a {key} um escore maior do que a {other}?"
                if contrast.scores.difference >= 0
                else "Por que {query} dá a {key} um escore menor do que a {other}?",
                **self._names(),
            ),
            level=1,
        )
        own, other = ledger.given(contrast.scores.key, column), ledger.given(contrast.scores.other, column)
        difference = ledger.difference(contrast.scores.difference, own, other)
        yield Paragraph(
            words(
                "Head {layer}.{head} of {model}. The scores are s = λ q·k, with the scale λ; the key's"
                " less the other's:",
                "Cabeça {layer}.{head} do modelo {model}. Os escores são s = λ q·k, com a escala λ; o da"
                " chave menos o da outra:",
                layer=str(contrast.layer),
                head=str(contrast.head),
                model=Outside(self.model),
            )
        )
        yield Formula(
            symbols("s_a - s_b = λ q·(k_a - k_b)"),
            r"s_a - s_b = \lambda \, q \cdot (k_a - k_b)",
        )
        yield Equation(
            symbols("{own} - {other} = {difference}", own=own, other=Operand(other), difference=difference),
            closes=difference,
        )
        yield Paragraph(
            words(
                "Queries and keys are linear in the residual stream once the norms on the way are frozen:"
                " held at the mean and the size that they measured on the whole stream. With frozen norms"
                " each part of the stream contributes for itself, and the parts add up.",
                "Consultas e chaves são lineares no fluxo residual quando as normalizações no caminho"
                " ficam congeladas, isto é, fixas na média e no tamanho que mediram no fluxo inteiro. Com"
                " as normalizações congeladas, cada parte do fluxo contribui por si, e as partes se"
                " somam.",
            )
        )

    def _table(self, side: ContrastSide, column: Column) -> Table:
        """The contributions by size, the rest as one line, and what rounding leaves."""
        ledger, contrast, gaps = self.ledger, self.contrast, self.ledger.column()
        ordered = side.by_size
        listed = ordered if len(ordered) <= self.most + 1 else ordered[: self.most]
        lines = [(_writer(one.component, contrast.kind), one.to_key, one.to_other) for one in listed]
        others = ordered[len(listed) :]
        if others:
            name = words("the other {count} parts", "as outras {count} partes", count=len(others))
            lines.append((name, sum(one.to_key for one in others), sum(one.to_other for one in others)))
        rows, terms = list[Row](), list[tuple[Figure, Figure, Figure]]()
        for number, (name, to_key, to_other) in enumerate(lines):
            own, other = ledger.given(to_key, column), ledger.given(to_other, column)
            gap = ledger.difference(to_key - to_other, own, other, gaps)
            terms.append((own, other, gap))
            rows.append(Row((name, own, other, gap), Tone.QUIET if number >= len(listed) else Tone.PLAIN))
        totals = [
            ledger.total(value, [term[place] for term in terms], of_place)
            for place, (value, of_place) in enumerate(
                (
                    (contrast.scores.key, column),
                    (contrast.scores.other, column),
                    (contrast.scores.difference, gaps),
                )
            )
        ]
        rows.append(Row((ROUNDING, *map(Remainder, totals)), Tone.QUIET))
        rows.append(Row((words("score", "escore"), *totals), Tone.TOTAL))
        keys = (contrast.key, contrast.other)
        heads = [TableColumn(words("written by", "escrito por"), is_number=False)]
        heads += [TableColumn(token_name(self.sides.keys, place)) for place in keys]
        return Table([*heads, TableColumn(words("difference", "diferença"))], rows)

    def _afterwards(self) -> Iterator[Block]:
        """The soft cap, the position biases, the mask and the ratio of the weights."""
        contrast = self.contrast
        yield Heading(words("3. After the score", "3. Depois do escore"))
        rows = list[Row]()
        if contrast.capped is not None:
            rows.append(self._pair(words("after the soft cap", "depois do limite suave"), contrast.capped))
        rows += [self._pair(_BIASES[term.type], term.values) for term in contrast.biases]
        logits = (contrast.logits.key, contrast.logits.other)
        if not all(map(math.isfinite, logits)):
            if rows:
                yield self._columns(rows)
            hidden = [
                place
                for place, one in zip((contrast.key, contrast.other), logits, strict=True)
                if one == -math.inf
            ]
            listed = symbols(
                ", ".join(f"{{k{place}}}" for place in hidden),
                **{f"k{place}": token_name(self.sides.keys, place) for place in hidden},
            )
            yield Paragraph(
                words(
                    "The mask hides {keys}. A hidden key gets no weight, whatever its score.",
                    "A máscara esconde {keys}. Uma chave escondida não recebe peso, qualquer que seja o"
                    " seu escore.",
                    keys=listed,
                )
            )
            return
        rows.append(self._pair(symbols("logit"), contrast.logits))
        yield self._columns(rows)
        yield Paragraph(self._weights())

    def _weights(self) -> Words:
        """How many times the weight of one key is that of the other, the heavier one first."""
        contrast, ledger, column = self.contrast, self.ledger, self.ledger.column()
        own, other = (ledger.given(one, column) for one in (contrast.logits.key, contrast.logits.other))
        names = self._names()
        if own.value < other.value:
            own, other = other, own
            names["key"], names["other"] = names["other"], names["key"]
        return words(
            "The weight of {key} is {times} times that of {other}.",
            "O peso de {key} é {times} vezes o de {other}.",
            times=ratio(ledger, own, other),
            **names,
        )

    def _pair(self, name: Words, values: PairOfKeys) -> Row:
        ledger, column = self.ledger, self.ledger.column()
        own, other = ledger.given(values.key, column), ledger.given(values.other, column)
        return Row((name, own, other, ledger.difference(values.difference, own, other)))

    def _columns(self, rows: Sequence[Row]) -> Table:
        keys = (self.contrast.key, self.contrast.other)
        heads = [TableColumn(symbols(""), is_number=False)]
        heads += [TableColumn(token_name(self.sides.keys, place)) for place in keys]
        return Table([*heads, TableColumn(words("difference", "diferença"))], rows)

    def _sentence(self) -> Words:
        """The parts that matter most on either side, for and against the key with the higher score."""
        contrast = self.contrast
        names = self._names()
        return words(
            "On the keys' side, {keys}. On the query's side, {query_side}.",
            "Do lado das chaves, {keys}. Do lado da consulta, {query_side}.",
            keys=self._for_and_against(contrast.keys_side, names["key" if self._is_above else "other"]),
            query_side=self._for_and_against(
                contrast.query_side, names["key" if self._is_above else "other"]
            ),
        )

    @property
    def _is_above(self) -> bool:
        return self.contrast.scores.difference >= 0

    def _for_and_against(self, side: ContrastSide, winner: Word) -> Words:
        """What favours the key with the higher score most, and what works against it most."""
        ledger, kind = self.ledger, self.contrast.kind
        ordered = sorted(side.contributions, key=lambda one: one.value, reverse=self._is_above)
        best, worst = ordered[0], ordered[-1]
        values: dict[str, Word] = {
            "part": _writer(best.component, kind),
            "value": ledger.given(best.value),
            "winner": winner,
        }
        if worst.value == 0 or (worst.value > 0) == self._is_above:
            return words(
                "{part} ({value}) favours {winner} most",
                "{part} ({value}) é o que mais favorece {winner}",
                **values,
            )
        return words(
            "{part} ({value}) favours {winner} most, and {other} ({against}) works against it most",
            "{part} ({value}) é o que mais favorece {winner}, e {other} ({against}) é o que mais o contraria",
            other=_writer(worst.component, kind),
            against=ledger.given(worst.value),
            **values,
        )


def _writer(component: Component, kind: Kind) -> Words:
    """The name of what wrote a part, with its side of an encoder-decoder model."""
    if component.type in _WRITERS:
        return _WRITERS[component.type]
    values: dict[str, Word] = {
        "layer": str(component.layer),
        "head": str(component.head),
        "side": "" if kind is Kind.SELF else _SIDES[component.kind],
    }
    if component.type is ComponentType.HEAD:
        return words("{side}head {layer}.{head}", "cabeça {layer}.{head}{side}", **values)
    if component.type is ComponentType.OUTPUT_BIAS:
        return words("{side}bias of W^O of layer {layer}", "viés de W^O da camada {layer}{side}", **values)
    return words("{side}feed-forward of layer {layer}", "feed-forward da camada {layer}{side}", **values)
