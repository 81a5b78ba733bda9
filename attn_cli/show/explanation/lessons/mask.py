"""The lesson on the mask: what it does to scores, and why hidden keys get -inf and not 0."""

import math
import operator
from collections import Counter
from collections.abc import Iterator, Sequence

from attn_cli.answers.lessons.mask import Imagined, MaskStudy
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
from attn_cli.show.explanation.phrases import Phrase

_LITTLE = 0.01  # of the row: with less for hidden keys, a logit of 0 hides them after all
_LEAST = 1e-6  # below this, hidden keys leave nothing to divide by
_REASONS = {
    "causal": words("later", "posterior"),
    "window": words("before window", "antes da janela"),
    "nearby": words("too far", "longe demais"),
    "padding": words("padding", "preenchimento"),
    "other": words("yes", "sim"),
}
_RULES = {
    "causal": Phrase("the causal mask hides {count}", "a máscara causal esconde {count}"),
    "window": Phrase("the sliding window hides {count}", "a janela deslizante esconde {count}"),
    "nearby": Phrase("the window to both sides hides {count}", "a janela dos dois lados esconde {count}"),
    "padding": Phrase("the padding mask hides {count}", "a máscara de preenchimento esconde {count}"),
    "other": Phrase("the model's mask hides {count}", "a máscara do modelo esconde {count}"),
}
_PURPOSES = {
    "causal": words(
        "A language model learns to predict each token from those before it. With the causal mask, one pass"
        " over a text trains the predictions of all its tokens at once; without it, each could simply look"
        " at its answer.",
        "Um modelo de linguagem aprende a prever cada token a partir dos anteriores. Com a máscara causal,"
        " uma só passagem por um texto treina de uma vez as previsões de todos os tokens; sem ela, bastaria"
        " a cada uma olhar a resposta.",
    ),
    "window": words(
        "A sliding window bounds the cost of long texts; what lies further back arrives through other"
        " layers.",
        "A janela deslizante limita o custo de textos longos; o que está mais atrás chega por outras"
        " camadas.",
    ),
    "padding": words(
        "Padding fills up the shorter texts of a batch; it must not change what the model computes.",
        "O preenchimento completa os textos mais curtos de um lote; ele não pode mudar o que o modelo"
        " calcula.",
    ),
}


def blocks(study: MaskStudy, ledger: Ledger, sides: Sides, base: Base) -> Iterator[Block]:
    """The lesson as a document."""
    figures = _figures(study, ledger)
    yield Heading(words("What does a mask do to scores?", "O que uma máscara faz com os escores?"), 1)
    yield from _question(study, sides)
    yield _table(study, figures, sides)
    yield from _infinity(study, figures)
    yield from _zero(study, figures, ledger)
    yield from _checks(study, figures, ledger, sides)
    named = [argument for argument in base if argument != "--no-causal"]
    more = ("--causal", "--lesson", "mask") if study.imagined is Imagined.CAUSAL else ()
    yield go_on(_next(study), named, study.place, study.query, *more)


@record(frozen=True, slots=True, eq=False)
class _Weights:
    """The weights of the listed keys under one treatment of the mask."""

    listed: Sequence[Figure]
    rest: Sequence[Figure]  # the visible, and the hidden, of the keys that are not listed
    sink: Sequence[Figure]  # one, or none
    total: Figure
    of_hidden: Figure  # the sum over hidden keys


@record(frozen=True, slots=True, eq=False)
class _Figures:
    """All figures of the lesson's table."""

    listing: Listing
    rest: Sequence[tuple[bool, Sequence[int]]]  # whether these keys that are not listed are hidden
    logits: Sequence[Figure]
    open: _Weights
    masked: _Weights
    zeros: _Weights
    zeroed: _Weights

    @property
    def treatments(self) -> tuple[_Weights, ...]:
        """In the order of the table."""
        return self.open, self.masked, self.zeros, self.zeroed


def _figures(study: MaskStudy, ledger: Ledger) -> _Figures:
    shown = listing(
        range(study.hidden.size), study.open.weights, study.masked.weights, always=_examples(study)
    )
    parts = [(hidden, [key for key in shown.rest if study.hidden[key] == hidden]) for hidden in (False, True)]
    rest = [(hidden, keys) for hidden, keys in parts if keys]
    column = ledger.column()

    def made(weights: Matrix, sink: float | None) -> _Weights:
        return _treatment(study, ledger, shown, rest, weights, sink)

    return _Figures(
        shown,
        rest,
        [ledger.given(study.open.logits[key], column) for key in shown.keys],
        open=made(study.open.weights, study.open.sink),
        masked=made(study.masked.weights, study.masked.sink),
        zeros=made(study.zeros.weights, study.zeros.sink),
        zeroed=made(study.zeroed, study.open.sink),
    )


def _treatment(
    study: MaskStudy,
    ledger: Ledger,
    shown: Listing,
    rest: Sequence[tuple[bool, Sequence[int]]],
    weights: Matrix,
    sink: float | None,
) -> _Weights:
    column = ledger.column()
    listed = [ledger.given(weights[key], column) for key in shown.keys]
    sums = [ledger.given(weights[keys].sum(), column) for _, keys in rest]
    of_sink = [] if sink is None else [ledger.given(sink, column)]
    hidden = [one for one, key in zip(listed, shown.keys, strict=True) if study.hidden[key]]
    hidden += [one for one, (is_hidden, _) in zip(sums, rest, strict=True) if is_hidden]
    total = ledger.total(weights.sum() + (sink or 0.0), [*listed, *sums, *of_sink], column)
    of_hidden = ledger.total(weights[study.hidden].sum(), hidden, column)
    return _Weights(listed, sums, of_sink, total, of_hidden)


def _examples(study: MaskStudy) -> list[int]:
    """Keys that are listed whatever their weight: the largest that may be looked at, and of the hidden."""
    weights = study.open.weights
    groups = [[key for key in range(weights.size) if study.hidden[key] == hidden] for hidden in (False, True)]
    return [key for group in groups for key in sorted(group, key=lambda key: -weights[key])[:3]]


def _question(study: MaskStudy, sides: Sides) -> Iterator[Block]:
    """Which row, which mask, and why it hides what it hides."""
    layer, head = study.place
    values: dict[str, Word] = {"head": f"{layer}.{head}", "model": Outside(study.model)}
    if study.imagined is Imagined.CAUSAL:
        yield Paragraph(
            words(
                "Head {head} of {model} may look at every token. As a what-if, the lesson puts the causal "
                "mask of a language model on its scores.",
                "A cabeça {head} do modelo {model} pode olhar para todos os tokens. Como hipótese, a lição "
                "aplica aos escores dela a máscara causal de um modelo de linguagem.",
                **values,
            )
        )
    elif study.imagined is Imagined.PADDING:
        yield Paragraph(
            words(
                "Head {head} of {model} may look at every token of the other text. As a what-if, the lesson "
                "hides the last tokens as if they were padding.",
                "A cabeça {head} do modelo {model} pode olhar para todos os tokens do outro texto. Como "
                "hipótese, a lição esconde os últimos tokens como se fossem preenchimento.",
                **values,
            )
        )
    if study.query != study.asked:
        yield Paragraph(
            words(
                "The mask hides no key from the query {asked}; the lesson takes {query} instead.",
                "A máscara não esconde nenhuma chave da consulta {asked}; por isso a lição usa {query}.",
                asked=token_name(sides.queries, study.asked),
                query=token_name(sides.queries, study.query),
            )
        )
    yield Paragraph(_what_is_hidden(study, sides))


def _what_is_hidden(study: MaskStudy, sides: Sides) -> Words:
    counts = Counter(reason.cause for reason in study.reasons if reason is not None)
    rules = [Words(_RULES[reason], {"count": count}) for reason, count in counts.items()]
    purposes = [_PURPOSES[reason] for reason in counts if reason in _PURPOSES]
    values: dict[str, Word] = {f"rule{number}": rule for number, rule in enumerate(rules)}
    values |= {f"purpose{number}": purpose for number, purpose in enumerate(purposes)}
    listed = ", ".join(f"{{rule{number}}}" for number in range(len(rules)))
    reasons = "".join(f" {{purpose{number}}}" for number in range(len(purposes)))
    layer, head = study.place
    own = study.imagined is None
    return words(
        f"{'In head {head} of {model}, the' if own else 'The'} query {{query}} may not look at {{hidden}} of "
        f"{{keys}} keys: {listed}.{reasons}",
        f"{'Na cabeça {head} do modelo {model}, a' if own else 'A'} consulta {{query}} não pode olhar para "
        f"{{hidden}} de {{keys}} chaves: {listed}.{reasons}",
        head=f"{layer}.{head}",
        model=Outside(study.model),
        query=token_name(sides.queries, study.query),
        hidden=int(study.hidden.sum()),
        keys=int(study.hidden.size),
        **values,
    )


def _table(study: MaskStudy, figures: _Figures, sides: Sides) -> Table:
    rows = []
    for number, key in enumerate(figures.listing.keys):
        reason = study.reasons[key]
        hidden = None if reason is None else _REASONS[reason.cause]
        weights = [treatment.listed[number] for treatment in figures.treatments]
        tone = Tone.PLAIN if reason is None else Tone.QUIET
        rows.append(Row([token_label(sides.keys, key), figures.logits[number], hidden, *weights], tone))
    for number, (is_hidden, keys) in enumerate(figures.rest):
        hidden = words("yes", "sim") if is_hidden else None
        weights = [treatment.rest[number] for treatment in figures.treatments]
        rows.append(Row([rest_label(len(keys)), None, hidden, *weights], Tone.QUIET))
    if figures.open.sink:
        weights = [treatment.sink[0] for treatment in figures.treatments]
        rows.append(Row([words("learned sink", "sumidouro aprendido"), None, None, *weights], Tone.QUIET))
    rows += _sums([treatment.total for treatment in figures.treatments], words("sum", "soma"))
    rows += _sums([each.of_hidden for each in figures.treatments], words("hidden keys", "chaves escondidas"))
    return Table(
        [
            TableColumn(words("key", "chave"), is_number=False),
            TableColumn(words("logit", "logit")),
            TableColumn(words("hidden", "escondida"), is_number=False, is_optional=True),
            TableColumn(words("no mask", "sem máscara")),
            TableColumn(words("−∞", "−∞")),
            TableColumn(words("0 instead", "0 no lugar"), is_optional=True),
            TableColumn(words("zeroed after", "zerado depois"), is_optional=True),
        ],
        rows,
    )


def _sums(totals: Sequence[Figure], label: Words) -> Iterator[Row]:
    """A row of sums, after what rounding left of them."""
    rounding = [Remainder(total) for total in totals]
    yield Row([ROUNDING, None, None, *rounding], Tone.QUIET)
    yield Row([label, None, None, *totals], Tone.TOTAL)


def _infinity(study: MaskStudy, figures: _Figures) -> Iterator[Block]:
    """What -inf does."""
    if study.hidden.all():
        yield Paragraph(
            words(
                "Every key is hidden: all the exponentials are exp(−∞) = 0, and so is their sum. attn gives "
                "such a row weights of 0.",
                "Todas as chaves estão escondidas: todas as exponenciais são exp(−∞) = 0, e a soma delas"
                " também. A uma linha assim, o attn atribui pesos 0.",
            )
        )
        return
    yield Paragraph(_effect(study, figures))


def _effect(study: MaskStudy, figures: _Figures) -> Words:
    """What the mask takes from the hidden keys and gives to the others."""
    rest = words(
        "With −∞ for a logit, exp(−∞) = 0: a hidden key gets weight 0 and adds nothing to the sum that the"
        " others are divided by, so the sum is smaller, the other weights grow, and the row still sums to"
        " 1.",
        "Com −∞ como logit, exp(−∞) = 0: uma chave escondida recebe peso 0 e nada acrescenta à soma pela"
        " qual as outras são divididas; a soma fica menor, os outros pesos crescem, e a linha continua"
        " somando 1.",
    )
    if study.hides_one:
        return words(
            "Without the mask, the hidden key would take {hidden} of the row. {rest}",
            "Sem a máscara, a chave escondida ficaria com {hidden} da linha. {rest}",
            hidden=figures.open.of_hidden,
            rest=rest,
        )
    return words(
        "Without the mask, the hidden keys would take {hidden} of the row. {rest}",
        "Sem a máscara, as chaves escondidas ficariam com {hidden} da linha. {rest}",
        hidden=figures.open.of_hidden,
        rest=rest,
    )


def _zero(study: MaskStudy, figures: _Figures, ledger: Ledger) -> Iterator[Block]:
    """Why 0 hides nothing, before the softmax or after it."""
    yield Paragraph(
        words(
            "{before} {after}",
            "{before} {after}",
            before=_zero_before(study, figures, ledger),
            after=_zero_after(figures),
        )
    )


def _zero_before(study: MaskStudy, figures: _Figures, ledger: Ledger) -> Words:
    """What hidden keys take with a logit of 0."""
    zeros = figures.zeros.of_hidden
    if zeros.value < _LITTLE:
        return words(
            "A logit of 0 is no mask: exp(0) = 1 is a term like any other. Here it happens to hide, because"
            " the largest logit is {largest}, and a hidden key gets only e^(-{largest}) of its weight; were"
            " all logits near 0, {count} of {keys} keys would take about {count}/{keys} of the row.",
            "Um logit 0 não é máscara: exp(0) = 1 é um termo como outro qualquer. Aqui ele por acaso"
            " esconde, porque o maior logit é {largest}, e uma chave escondida recebe só e^(-{largest}) do"
            " peso dele; se todos os logits fossem próximos de 0, {count} de {keys} chaves ficariam com"
            " cerca de {count}/{keys} da linha.",
            largest=_largest_logit(study, figures, ledger),
            count=int(study.hidden.sum()),
            keys=int(study.hidden.size),
        )
    if study.hides_one:
        return words(
            "A logit of 0 hides nothing: exp(0) = 1 is a term like any other, and here the hidden key would"
            " take {zeros}.",
            "Um logit 0 não esconde nada: exp(0) = 1 é um termo como outro qualquer, e aqui a chave"
            " escondida ficaria com {zeros}.",
            zeros=zeros,
        )
    return words(
        "A logit of 0 hides nothing: exp(0) = 1 is a term like any other, and here the hidden keys would"
        " take {zeros}.",
        "Um logit 0 não esconde nada: exp(0) = 1 é um termo como outro qualquer, e aqui as chaves escondidas"
        " ficariam com {zeros}.",
        zeros=zeros,
    )


def _largest_logit(study: MaskStudy, figures: _Figures, ledger: Ledger) -> Figure:
    """The largest logit of the row as the model has it; a learned sink's is one of them."""
    keys = enumerate(figures.listing.keys)
    logits = [figures.logits[number] for number, key in keys if not study.hidden[key]]
    if study.masked.sink_logit is not None:
        logits.append(ledger.given(study.masked.sink_logit))
    return max(logits, key=lambda logit: logit.value)


def _zero_after(figures: _Figures) -> Words:
    """What weights that are set to 0 after the softmax come to."""
    total = figures.zeroed.total
    if round(total.value, total.column.least) >= 1:
        return words(
            "Weights zeroed after the softmax change little here, because the hidden keys have almost no"
            " weight without the mask either; in other rows they no longer sum to 1.",
            "Pesos zerados depois da softmax mudam pouco aqui, porque as chaves escondidas quase não têm"
            " peso mesmo sem a máscara; em outras linhas, eles deixam de somar 1.",
        )
    return words(
        "If the hidden weights are zeroed after the softmax, the row sums to {sum} only, and the hidden"
        " tokens still count in the sum that the others are divided by: what must stay unseen changes the"
        " result.",
        "Se os pesos escondidos são zerados depois da softmax, a linha soma só {sum}, e os tokens escondidos"
        " ainda contam na soma pela qual os outros são divididos: o que não devia ser visto muda o"
        " resultado.",
        sum=total,
    )


def _checks(study: MaskStudy, figures: _Figures, ledger: Ledger, sides: Sides) -> Iterator[Block]:
    """Numbers that a reader can check."""
    yield to_check()
    hidden, total = figures.open.of_hidden, figures.zeroed.total
    summed = ledger.result(total.value, _rest_of_one, (hidden,), total.column)
    yield Equation(
        words(
            "zeroed after: 1 - {hidden} = {sum}",
            "zerado depois: 1 - {hidden} = {sum}",
            hidden=hidden,
            sum=summed,
        ),
        closes=summed,
    )
    seen = [number for number, key in enumerate(figures.listing.keys) if not study.hidden[key]]
    if not seen or total.value < _LEAST:
        return
    best = max(seen, key=lambda number: figures.masked.listed[number].value)
    weight, result = figures.open.listed[best], figures.masked.listed[best]
    found = ledger.result(result.value, operator.truediv, (weight, total), result.column)
    yield Equation(
        words(
            "{key}: without the mask {weight}, so with it {weight} ÷ {total} = {found}",
            "{key}: sem a máscara {weight}; logo, com ela {weight} ÷ {total} = {found}",
            key=token_name(sides.keys, figures.listing.keys[best]),
            weight=weight,
            total=total,
            found=found,
        ),
        closes=found,
    )
    yield from _zero_check(study, figures, ledger, best)


def _zero_check(study: MaskStudy, figures: _Figures, ledger: Ledger, best: int) -> Iterator[Block]:
    """A logit of 0 beside another: the smaller weight follows from the larger."""
    unseen = next(number for number, key in enumerate(figures.listing.keys) if study.hidden[key])
    logit = figures.logits[best]
    pair = (figures.zeros.listed[best], figures.zeros.listed[unseen])
    larger, smaller = pair if logit.value > 0 else pair[::-1]
    found = ledger.result(smaller.value, _from_larger, (larger, logit), smaller.column)
    sign = "-" if logit.value > 0 else ""
    yield Equation(
        words(
            f"0 instead: {{larger}} × e^({sign}{{logit}}) = {{found}}",
            f"0 no lugar: {{larger}} × e^({sign}{{logit}}) = {{found}}",
            larger=larger,
            logit=logit,
            found=found,
        ),
        closes=found,
    )


def _rest_of_one(hidden: float) -> float:
    return 1 - hidden


def _from_larger(weight: float, logit: float) -> float:
    return weight * math.exp(-abs(logit))


def _next(study: MaskStudy) -> Words:
    if study.imagined is Imagined.CAUSAL:
        return words(
            "The model with a causal mask in every layer:", "O modelo com máscara causal em todas as camadas:"
        )
    if study.imagined is Imagined.PADDING:
        return words(
            "Every step of this row, as the model computes it (without the imagined mask):",
            "Todos os passos desta linha, como o modelo a calcula (sem a máscara imaginada):",
        )
    return words(
        "Every step of this row, the mask included:", "Todos os passos desta linha, inclusive a máscara:"
    )
