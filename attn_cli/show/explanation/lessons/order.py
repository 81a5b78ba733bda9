"""The lesson on order: what it means without positions."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from attn_cli.answers.lessons.order import Orders, OrderStudy
from attn_cli.grid import Matrix, Sides
from attn_cli.record import record
from attn_cli.show.explanation.document import (
    Block,
    Equation,
    Heading,
    Outside,
    Paragraph,
    Remainder,
    Row,
    Table,
    TableColumn,
    Tone,
    Word,
    Words,
    words,
)
from attn_cli.show.explanation.figures import Figure, Ledger
from attn_cli.show.explanation.labels import ROUNDING, rest_label, token_label, token_name
from attn_cli.show.explanation.lessons.ending import Base, go_on, to_check
from attn_cli.show.explanation.lessons.listing import Listing, listing
from attn_cli.vocabulary import Kind, OrderSource

_NAMES = {
    OrderSource.LEARNED: words("learned position embeddings", "embeddings de posição aprendidos"),
    OrderSource.SINUSOIDS: words("sinusoidal position embeddings", "embeddings de posição senoidais"),
    OrderSource.ROTARY: words("rotary positions (RoPE)", "posições rotatórias (RoPE)"),
    OrderSource.ALIBI: words("ALiBi's bias by distance", "viés por distância do ALiBi"),
    OrderSource.RELATIVE: words("learned bias by distance", "viés aprendido por distância"),
    OrderSource.CONTENT: words("DeBERTa's distance embeddings", "embeddings de distância do DeBERTa"),
    OrderSource.CAUSAL: words("causal mask", "máscara causal"),
    OrderSource.WINDOW: words("window of the mask", "janela da máscara"),
}
_LEAST, _MOST = 4, 9  # decimals of the difference that rounding leaves


def blocks(study: OrderStudy, ledger: Ledger, sides: Sides, base: Base) -> Iterator[Block]:
    """The lesson as a document."""
    figures = _figures(study, ledger)
    yield Heading(
        words("What does order mean without positions?", "O que significa a ordem sem posições?"), 1
    )
    yield Paragraph(_question(study, sides))
    yield _table(study, figures, sides)
    yield Paragraph(_reason(study, sides))
    yield from _sources(study, ledger)
    yield from _checks(study, figures, ledger, sides)
    sentence = words(
        "Every step of this row in the model as it is:", "Todos os passos desta linha no modelo como ele é:"
    )
    yield go_on(sentence, base, study.place, study.query)


@record(frozen=True, slots=True, eq=False)
class _InOrder:
    """The weights of the listed keys in one order of the tokens."""

    listed: Sequence[Figure]
    rest: Figure | None  # of keys that are not listed
    total: Figure


@record(frozen=True, slots=True, eq=False)
class _Figures:
    """All figures of the table of keys."""

    listing: Listing
    columns: Sequence[_InOrder]  # without positions: the text, its reverse; the model: likewise


def _figures(study: OrderStudy, ledger: Ledger) -> _Figures:
    rows = (study.without.text, study.without.reordered, study.whole.text, study.whole.reordered)
    shown = listing(
        range(len(study.places)), *rows, always=(_most_changed(study.whole), *(study.equals or ()))
    )
    return _Figures(shown, [_in_order(weights, shown, ledger) for weights in rows])


def _in_order(weights: Matrix, shown: Listing, ledger: Ledger) -> _InOrder:
    column = ledger.column()
    listed = [ledger.given(weights[key], column) for key in shown.keys]
    rest = None if shown.is_whole else ledger.given(weights[list(shown.rest)].sum(), column)
    total = ledger.total(weights.sum(), listed if rest is None else [*listed, rest], column)
    return _InOrder(listed, rest, total)


def _most_changed(orders: Orders) -> int:
    """The key whose weight changes most."""
    return int(np.abs(orders.text - orders.reordered).argmax())


def _question(study: OrderStudy, sides: Sides) -> Words:
    layer, head = study.place
    values: dict[str, Word] = {"head": f"{layer}.{head}", "model": Outside(study.model)}
    values |= {"query": token_name(sides.queries, study.query), "place": str(study.query_place)}
    if study.kind is Kind.CROSS:
        return words(
            "Attention compares vectors; nothing in the formula says which comes first. The lesson"
            " reverses the text that {query} looks at: its tokens in the opposite order, special tokens"
            " in their places. Below are the weights of this query in head {head} of {model}, on each"
            " token in both orders: first without anything that tells the encoder the order, then with"
            " the model as it is.",
            "A atenção compara vetores; nada na fórmula diz qual vem antes. A lição inverte o texto para"
            " o qual {query} olha: os tokens na ordem oposta, os especiais em seus lugares. Abaixo estão"
            " os pesos desta consulta na cabeça {head} do modelo {model}, sobre cada token nas duas"
            " ordens: primeiro sem nada que informe a ordem ao codificador; depois, com o modelo como ele"
            " é.",
            **values,
        )
    return words(
        "Attention compares vectors; nothing in the formula says which comes first. The lesson reverses"
        " the text: the tokens in the opposite order, special tokens in their places. The query {query}"
        " moves to position {place}. Below are its weights in head {head} of {model}, on each token in"
        " both orders: first without anything that tells the model the order, in any layer, then with the"
        " model as it is.",
        "A atenção compara vetores; nada na fórmula diz qual vem antes. A lição inverte o texto: os"
        " tokens na ordem oposta, os especiais em seus lugares. A consulta {query} vai para a posição"
        " {place}. Abaixo estão os pesos dela na cabeça {head} do modelo {model}, sobre cada token nas"
        " duas ordens: primeiro sem nada que informe a ordem ao modelo, em nenhuma camada; depois, com o"
        " modelo como ele é.",
        **values,
    )


def _table(study: OrderStudy, figures: _Figures, sides: Sides) -> Table:
    shown = figures.listing
    rows = []
    for number, key in enumerate(shown.keys):
        weights = [column.listed[number] for column in figures.columns]
        rows.append(Row([token_label(sides.keys, key), str(study.places[key]), *weights]))
    if shown.rest:
        weights_of_rest = [column.rest for column in figures.columns]
        rows.append(Row([rest_label(len(shown.rest)), None, *weights_of_rest], Tone.QUIET))
    totals = [column.total for column in figures.columns]
    rounding = [Remainder(total) for total in totals]
    rows.append(Row([ROUNDING, None, *rounding], Tone.QUIET))
    rows.append(Row([words("sum", "soma"), None, *totals], Tone.TOTAL))
    return Table(
        [
            TableColumn(words("key", "chave"), is_number=False),
            TableColumn(words("moves to", "vai para"), is_optional=True),
            TableColumn(words("no order", "sem ordem")),
            TableColumn(words("reverse", "inverso")),
            TableColumn(words("model", "modelo")),
            TableColumn(words("reverse", "inverso")),
        ],
        rows,
    )


def _reason(study: OrderStudy, sides: Sides) -> Words:
    """Why the weights are the same."""
    shared: dict[str, Word] = {"model": Outside(study.model), "sources": _listed(study.sources)}
    shared["equals"] = words("", "") if study.equals is None else _equals(*study.equals, sides)
    if not study.sources:
        return words(
            "A score needs only the two vectors, and a sum has no order: attention is permutation"
            " equivariant, and the tokens are a multiset.{equals} Nothing tells {model} the order up to this"
            " layer, so the weights of the model move with their tokens too.",
            "Um escore só precisa dos dois vetores, e uma soma não tem ordem: a atenção é equivariante a"
            " permutações, e os tokens são um multiconjunto.{equals} Nada informa a ordem ao modelo {model}"
            " até esta camada; por isso, também os pesos do modelo acompanham os tokens.",
            **shared,
        )
    return words(
        "A score needs only the two vectors, and a sum has no order: attention alone is permutation"
        " equivariant; to it the tokens are a multiset, and each weight moves with its tokens.{equals} A"
        " model has to be told the order. {model} is told by: {sources}.{causal} It was trained with them,"
        " so without them it is used outside its training.",
        "Um escore só precisa dos dois vetores, e uma soma não tem ordem: a atenção, por si só, é"
        " equivariante a permutações; para ela os tokens são um multiconjunto, e cada peso acompanha seus"
        " tokens.{equals} A ordem precisa ser informada ao modelo. O modelo {model} a recebe por meio de:"
        " {sources}.{causal} Ele foi treinado com isso; sem isso, é usado fora do seu treinamento.",
        causal=_haviv(study),
        **shared,
    )


def _equals(first: int, second: int, sides: Sides) -> Words:
    return words(
        " Equal tokens have equal weights then: {first} and {second}.",
        " Tokens iguais têm então pesos iguais: {first} e {second}.",
        first=token_name(sides.keys, first),
        second=token_name(sides.keys, second),
    )


def _haviv(study: OrderStudy) -> Words:
    if OrderSource.CAUSAL not in study.sources:
        return words("", "")
    return words(
        " A causal mask alone is enough to learn positions (Haviv et al. 2022, arXiv:2203.16634).",
        " Só a máscara causal já basta para aprender posições (Haviv et al. 2022, arXiv:2203.16634).",
    )


def _listed(sources: Sequence[OrderSource]) -> Words:
    values: dict[str, Word] = {f"source{number}": _NAMES[source] for number, source in enumerate(sources)}
    listed = ", ".join(f"{{{name}}}" for name in values)
    return words(listed, listed, **values)


def _sources(study: OrderStudy, ledger: Ledger) -> Iterator[Block]:
    """How much each source of order changes."""
    yield Paragraph(
        words(
            "The largest difference that the order makes to the weight of one token on another, over all"
            " queries and keys of the head:",
            "A maior diferença que a ordem causa no peso de um token sobre outro, entre todas as"
            " consultas e chaves da cabeça:",
        )
    )
    rows = [Row([words("nothing tells the order", "nada informa a ordem"), _rounding(study, ledger)])]
    column = ledger.column()
    for orders in study.alone:
        name = words("only: {source}", "só: {source}", source=_NAMES[orders.kept[0]])
        rows.append(Row([name, ledger.given(orders.difference, column)]))
    rows.append(
        Row([words("the model", "o modelo"), ledger.given(study.whole.difference, column)], Tone.TOTAL)
    )
    yield Table(
        [
            TableColumn(words("what tells the order", "o que informa a ordem"), is_number=False),
            TableColumn(words("largest difference", "maior diferença")),
        ],
        rows,
    )
    if not study.without.difference:
        return
    yield Paragraph(
        words(
            "What is left in the first line is rounding: the same sums, added in another order.",
            "O que resta na primeira linha é arredondamento: as mesmas somas, feitas em outra ordem.",
        )
    )


def _rounding(study: OrderStudy, ledger: Ledger) -> Figure:
    """The difference without positions, with as many decimals as it needs for its first digit."""
    difference = study.without.difference
    needed = _LEAST if difference == 0 else 1 - math.floor(math.log10(difference))
    return ledger.given(difference, ledger.column(min(_MOST, max(_LEAST, needed))))


def _checks(study: OrderStudy, figures: _Figures, ledger: Ledger, sides: Sides) -> Iterator[Block]:
    """The key whose weight changes most: how much, and where it moves."""
    yield to_check()
    key = _most_changed(study.whole)
    number = list(figures.listing.keys).index(key)
    one, other = (column.listed[number] for column in figures.columns[2:])
    name, digits = token_name(sides.keys, key), max(1, ledger.column().least - 1)
    found = ledger.result(abs(one.value - other.value), _apart, (one, other), ledger.column(digits))
    yield Equation(
        words(
            "{key}, model: |{one} - {other}| = {found}",
            "{key}, modelo: |{one} - {other}| = {found}",
            key=name,
            one=one,
            other=other,
            found=found,
        ),
        closes=found,
    )
    moved = [one for one in figures.listing.keys if study.places[one] != one]
    if study.mirrored is not None and moved:
        changes = np.abs(study.whole.text - study.whole.reordered)
        key = max(moved, key=lambda one: float(changes[one]))
        yield Equation(
            words(
                "{key} moves so that the old and the new position add up to {total}: {total} - {position} ="
                " {place}",
                "{key} se move de modo que a posição antiga e a nova somem {total}: {total} - {position} ="
                " {place}",
                key=token_name(sides.keys, key),
                total=study.mirrored,
                position=key,
                place=study.places[key],
            )
        )


def _apart(one: float, other: float) -> float:
    return abs(one - other)
