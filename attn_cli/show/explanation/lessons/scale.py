"""The lesson on the scale: why scores are divided by √d_k."""

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from attn_cli.answers.lessons.scale import RANDOM_KEYS, RANDOM_QUERIES, SEED, ScaleStudy, Scaling
from attn_cli.grid import Sides
from attn_cli.record import record
from attn_cli.show.explanation.document import (
    Block,
    Equation,
    Heading,
    Operand,
    Outside,
    Paragraph,
    Remainder,
    Row,
    Table,
    TableColumn,
    Tone,
    Words,
    symbols,
    words,
)
from attn_cli.show.explanation.figures import Column, Figure, Ledger
from attn_cli.show.explanation.labels import ROUNDING, rest_label, token_label, token_name
from attn_cli.show.explanation.lessons.ending import Base, go_on, to_check
from attn_cli.show.explanation.lessons.listing import Listing, listing

_SATURATED = 0.99  # a row whose largest weight is above
_SPREAD_DECIMALS = 2  # of standard deviations and variances
_SIMILAR = 0.1  # a spread that differs by less is called about the same


def blocks(study: ScaleStudy, ledger: Ledger, sides: Sides, base: Base) -> Iterator[Block]:
    """The lesson as a document."""
    figures = _figures(study, ledger)
    yield Heading(words("Why are scores divided by √d_k?", "Por que os escores são divididos por √d_k?"), 1)
    yield from _scale(study, figures)
    yield from _row(study, figures, sides)
    yield from _saturation(study, figures, ledger)
    yield from _variance(study, ledger)
    yield from _checks(study, figures, ledger, sides)
    yield go_on(
        words(
            "Every step of this row, from the projections to the output:",
            "Todos os passos desta linha, das projeções até a saída:",
        ),
        base,
        study.place,
        study.query,
    )


@record(frozen=True, slots=True, eq=False)
class _ScaledRow:
    """The figures of the row with one scale, in the order of the listed keys; a sink is the last."""

    scaling: Scaling
    factor: Figure
    logits: Sequence[Figure]
    weights: Sequence[Figure]
    rest: Figure | None  # the weight of keys that are not listed
    total: Figure
    entropy: Figure
    largest: Figure
    sensitivity: Figure


@record(frozen=True, slots=True, eq=False)
class _Figures:
    """All figures of the row."""

    listing: Listing
    root: Figure  # 1/√d_k
    dots: Sequence[Figure]  # of the listed keys
    bias: Sequence[Figure] | None
    softcap: Figure | None
    columns: Sequence[_ScaledRow]

    @property
    def is_plain(self) -> bool:
        """Whether a logit is q·k with a scale and nothing else."""
        return self.bias is None and self.softcap is None

    @property
    def unscaled(self) -> _ScaledRow:
        """The row without a scale."""
        return self.columns[0]

    @property
    def scaled(self) -> _ScaledRow:
        """The row with the model's scale, or with 1/√d_k if the model has none."""
        own = [column for column in self.columns if column.scaling.is_of_model]
        return own[0] if own[0] is not self.columns[0] else self.columns[-1]


def _figures(study: ScaleStudy, ledger: Ledger) -> _Figures:
    shown = listing(study.visible, *(scaling.row.weights for scaling in study.scalings))
    root = ledger.result(study.root, lambda: 1 / math.sqrt(study.size), ())
    of_dots, of_bias = ledger.column(), ledger.column()
    dots = [ledger.given(study.dots[key], of_dots) for key in shown.keys]
    bias = None if study.bias is None else [ledger.given(study.bias[key], of_bias) for key in shown.keys]
    softcap = None if study.softcap is None else ledger.given(study.softcap, ledger.column(0))
    start = _Figures(shown, root, dots, bias, softcap, ())
    columns = [_column(scaling, study, start, ledger) for scaling in study.scalings]
    return _Figures(shown, root, dots, bias, softcap, columns)


def _column(scaling: Scaling, study: ScaleStudy, figures: _Figures, ledger: Ledger) -> _ScaledRow:
    row, shown = scaling.row, figures.listing
    factor = figures.root if scaling.is_root else ledger.given(scaling.factor)
    logits = _logits(scaling, study, figures, factor, ledger)
    shares = [row.weights[key] for key in shown.keys]
    if row.sink is not None and row.sink_logit is not None:
        logits, shares = [*logits, ledger.given(row.sink_logit, logits[0].column)], [*shares, row.sink]
    of_weights = ledger.column()
    if shown.is_whole:
        weights = [
            ledger.result(share, _share(number), logits, of_weights) for number, share in enumerate(shares)
        ]
        rest = None
    else:
        weights = [ledger.given(share, of_weights) for share in shares]
        rest = ledger.given(sum(row.weights[key] for key in shown.rest), of_weights)
    terms = weights if rest is None else [*weights, rest]
    of_entropy = _coarser(ledger, 1)
    entropy = ledger.given(row.entropy, of_entropy)
    if rest is None:
        entropy = ledger.result(row.entropy, _entropy, weights, of_entropy)
    largest = max(weights, key=lambda figure: figure.value)
    sensitivity = ledger.given(row.sensitivity, of_entropy)
    if rest is None:
        sensitivity = ledger.result(row.sensitivity, _sensitivity, weights, of_entropy)
    total = ledger.total(float(row.shares.sum()), terms, of_weights)
    return _ScaledRow(scaling, factor, logits, weights, rest, total, entropy, largest, sensitivity)


def _coarser(ledger: Ledger, fewer: int) -> Column:
    """A column with fewer decimals, for what is computed from many numbers: these then need no more."""
    return ledger.column(max(1, ledger.column().least - fewer))


def _logits(
    scaling: Scaling, study: ScaleStudy, figures: _Figures, factor: Figure, ledger: Ledger
) -> list[Figure]:
    """The logits of the listed keys, each computed from q·k, the bias and the soft cap that are printed."""
    if scaling.factor == 1 and figures.is_plain:
        return list(figures.dots)
    column, formula = ledger.column(), _logit(study, scaling)
    made = []
    for number, key in enumerate(figures.listing.keys):
        bias = None if figures.bias is None else figures.bias[number]
        given = (None if scaling.is_root else factor, figures.softcap, bias)
        operands = (figures.dots[number], *(one for one in given if one is not None))
        made.append(ledger.result(scaling.row.logits[key], formula, operands, column))
    return made


def _logit(study: ScaleStudy, scaling: Scaling) -> Callable[..., float]:
    """From q·k, with the factor unless it is 1/√d_k, the soft cap and the bias, if any, to the logit."""

    def logit(dot: float, *rest: float) -> float:
        given = iter(rest)
        score = dot * (study.root if scaling.is_root else next(given))
        if study.softcap is not None:
            softcap = next(given)
            score = softcap * math.tanh(score / softcap)
        return score + next(given, 0.0)

    return logit


def _share(number: int) -> Callable[..., float]:
    def share(*logits: float) -> float:
        powers = [math.exp(logit - max(logits)) for logit in logits]
        return powers[number] / sum(powers)

    return share


def _entropy(*shares: float) -> float:
    return -sum(share * math.log(share) for share in shares if share > 0)


def _sensitivity(*shares: float) -> float:
    return 1 - sum(share**2 for share in shares)


def _scale(study: ScaleStudy, figures: _Figures) -> Iterator[Block]:
    """What the head multiplies q·k by."""
    layer, head = study.place
    yield Paragraph(
        words(
            "Head {head} of {model} compares queries and keys of d_k = {size} numbers each.",
            "A cabeça {head} do modelo {model} compara consultas e chaves de d_k = {size} números cada.",
            head=f"{layer}.{head}",
            model=Outside(study.model),
            size=study.size,
        )
    )
    yield Equation(
        symbols("1/√d_k = 1 ÷ √{size} = {root}", size=study.size, root=figures.root),
        r"\frac{{1}}{{\sqrt{{d_k}}}} = \frac{{1}}{{\sqrt{{{size}}}}} = {root}",
        figures.root,
    )
    yield Paragraph(_own_scale(figures))


def _own_scale(figures: _Figures) -> Words:
    own = next(column for column in figures.columns if column.scaling.is_of_model)
    if own.scaling.is_root:
        return words(
            "It multiplies every dot product q·k by this number before the softmax.",
            "Ela multiplica cada produto escalar q·k por esse número antes da softmax.",
        )
    if own.scaling.factor == 1:
        return words(
            "This model does not do so: it has no scale. The lesson shows what 1/√d_k would change.",
            "Este modelo não faz isso: não tem escala. A lição mostra o que 1/√d_k mudaria.",
        )
    return words(
        "This model's own scale is {scale} instead; the lesson shows both.",
        "A escala deste modelo, porém, é {scale}; a lição mostra as duas.",
        scale=own.factor,
    )


def _row(study: ScaleStudy, figures: _Figures, sides: Sides) -> Iterator[Block]:
    """The row with each scale."""
    yield Paragraph(
        words(
            "The row of the query {query}, with the same q·k and different scales:",
            "A linha da consulta {query}, com os mesmos q·k e escalas diferentes:",
            query=token_name(sides.queries, study.query),
        )
    )
    if not figures.is_plain:
        yield Paragraph(_kept(figures))
    shown = figures.listing
    rows = [_key_row(figures, number, token_label(sides.keys, key)) for number, key in enumerate(shown.keys)]
    if figures.unscaled.scaling.row.sink is not None:
        rows.append(_sink_row(figures))
    if shown.rest:
        rows.append(
            _summed(figures, rest_label(len(shown.rest)), [column.rest for column in figures.columns])
        )
    totals = [column.total for column in figures.columns]
    rounding = [Remainder(total) for total in totals]
    rows.append(_summed(figures, ROUNDING, rounding, Tone.QUIET))
    rows.append(_summed(figures, words("sum", "soma"), totals, Tone.TOTAL))
    yield Table(_headings(study, figures), rows)


def _kept(figures: _Figures) -> Words:
    """What else a logit has, whatever the scale."""
    if figures.softcap is None:
        return words(
            "A logit is q·k with the scale, plus the model's position bias, which stays as it is.",
            "Um logit é q·k com a escala, mais o viés de posição do modelo, que não muda com ela.",
        )
    return words(
        "A logit is c·tanh(q·k with the scale ÷ c), with the soft cap c = {softcap}.",
        "Um logit é c·tanh(q·k com a escala ÷ c), com o limite suave c = {softcap}.",
        softcap=figures.softcap,
    )


def _headings(study: ScaleStudy, figures: _Figures) -> list[TableColumn]:
    columns = [TableColumn(words("key", "chave"), is_number=False), TableColumn(symbols("q·k"))]
    if figures.bias is not None:
        columns.append(TableColumn(words("bias", "viés"), is_optional=True))
    for column in figures.columns:
        if not _is_dot(figures, column):
            heading = words("logit, {scale}", "logit, {scale}", scale=_scale_name(study, column))
            plain = symbols("q·k {scale}", scale=_scale_name(study, column))
            columns.append(TableColumn(plain if figures.is_plain else heading, is_optional=True))
        columns.append(TableColumn(words("weight", "peso")))
    return columns


def _is_dot(figures: _Figures, column: _ScaledRow) -> bool:
    """Whether the logits of the column are the dot products, which have a column already."""
    return figures.is_plain and column.scaling.factor == 1


def _scale_name(study: ScaleStudy, column: _ScaledRow) -> Words:
    if column.scaling.factor == 1:
        return words("no scale", "sem escala")
    if column.scaling.is_root:
        return symbols("÷ √{size}", size=study.size)
    return symbols("× {factor}", factor=column.factor)


def _key_row(figures: _Figures, number: int, label: Words) -> Row:
    cells: list[Words | Figure | None] = [label, figures.dots[number]]
    if figures.bias is not None:
        cells.append(figures.bias[number])
    for column in figures.columns:
        if not _is_dot(figures, column):
            cells.append(column.logits[number])
        cells.append(column.weights[number])
    return Row(cells)


def _sink_row(figures: _Figures) -> Row:
    """A learned sink: its logit has no q·k, and no scale."""
    cells: list[Words | Figure | None] = [words("learned sink", "sumidouro aprendido")]
    cells.append(figures.unscaled.logits[-1] if figures.is_plain else None)
    if figures.bias is not None:
        cells.append(None)
    for column in figures.columns:
        if not _is_dot(figures, column):
            cells.append(column.logits[-1])
        cells.append(column.weights[-1])
    return Row(cells)


def _summed(
    figures: _Figures,
    label: Words,
    weights: Sequence[Figure | Remainder | None],
    tone: Tone = Tone.QUIET,
) -> Row:
    cells: list[Words | Figure | Remainder | None] = [label, None]
    if figures.bias is not None:
        cells.append(None)
    for column, weight in zip(figures.columns, weights, strict=True):
        if not _is_dot(figures, column):
            cells.append(None)
        cells.append(weight)
    return Row(cells, tone)


def _saturation(study: ScaleStudy, figures: _Figures, ledger: Ledger) -> Iterator[Block]:
    """How spread the row is, and what the softmax passes back, with each scale."""
    yield Paragraph(
        words(
            "H = -Σ p ln p is the entropy of the weights p; e^H equally weighted keys would have the same. "
            "1 - Σp² is the trace of the softmax's Jacobian, diag(p) - ppᵀ: how far small changes of the "
            "logits move their own weights. Where one p is near 1, it is near 0: the softmax is saturated, "
            "and in training almost no gradient passes through it.{always}",
            "H = -Σ p ln p é a entropia dos pesos p; e^H chaves de mesmo peso teriam a mesma entropia. "
            "1 - Σp² é o traço da jacobiana da softmax, diag(p) - ppᵀ: quanto pequenas mudanças dos logits "
            "movem os seus próprios pesos. Onde um p está perto de 1, ele está perto de 0: a softmax está "
            "saturada, e no treinamento quase nenhum gradiente passa por ela.{always}",
            always=_always(study),
        )
    )
    rows = []
    for column in figures.columns:
        spread = ledger.result(
            math.exp(column.entropy.value), math.exp, (column.entropy,), _coarser(ledger, 2)
        )
        tone = Tone.CHOSEN if column.scaling.is_of_model else Tone.PLAIN
        name = _scale_name(study, column)
        rows.append(Row([name, column.entropy, spread, column.largest, column.sensitivity], tone))
    headings = [TableColumn(words("scale", "escala"), is_number=False)]
    headings += [TableColumn(one) for one in (words("H (nats)", "H (nats)"), symbols("e^H"))]
    headings += [TableColumn(one) for one in (words("largest p", "maior p"), symbols("1 - Σp²"))]
    yield Table(headings, rows)
    yield Paragraph(_verdict(study, figures))


def _verdict(study: ScaleStudy, figures: _Figures) -> Words:
    """What the scale does to this row."""
    without, with_ = figures.unscaled, figures.scaled
    if len(figures.columns) == 1:
        return words("With d_k = 1 the scale is 1.", "Com d_k = 1 a escala é 1.")
    if len(study.visible) == 1 and without.scaling.row.sink is None:
        return words(
            "This query sees a single key: its weight is 1 whatever the score. Try a query that sees more.",
            "Esta consulta vê uma única chave: o peso é 1 seja qual for o escore. Tente uma que veja mais.",
        )
    if _is_same(without.sensitivity, with_.sensitivity):
        return _unchanged(with_)
    rises = with_.sensitivity.value > without.sensitivity.value
    return _changed(study, without, with_, rises=rises)


def _always(study: ScaleStudy) -> Words:
    """That a smaller scale cannot lower the trace, where that is so."""
    if not study.is_monotone:
        return words("", "")
    return words(" A smaller scale never lowers it.", " Uma escala menor nunca o diminui.")


def _is_same(one: Figure, other: Figure) -> bool:
    """Whether two figures of equally many decimals are printed alike."""
    digits = min(one.column.least, other.column.least)
    return f"{one.value:.{digits}f}" == f"{other.value:.{digits}f}"


def _unchanged(row: _ScaledRow) -> Words:
    if row.largest.value > _SATURATED:
        return words(
            "This row shows nothing of it: one logit is so far above the others that the softmax is"
            " saturated even with the scale. A row whose largest weight is near 0.6 shows more.",
            "Esta linha não mostra nada disso: um logit está tão acima dos outros que a softmax está"
            " saturada mesmo com a escala. Uma linha cujo maior peso é perto de 0,6 mostra mais.",
        )
    return words(
        "To the digits printed, 1 - Σp² is the same with the scale and without: {after}.",
        "Nos dígitos impressos, 1 - Σp² é igual com a escala e sem ela: {after}.",
        after=row.sensitivity,
    )


def _changed(study: ScaleStudy, without: _ScaledRow, with_: _ScaledRow, *, rises: bool) -> Words:
    """From which value to which the scale moves the trace, or would move it."""
    values = {"before": without.sensitivity, "after": with_.sensitivity}
    if not study.has_scale:
        verb = words("would raise", "aumentaria") if rises else words("would lower", "diminuiria")
        return words(
            "Here 1/√d_k {verb} 1 - Σp² from {before} to {after}. A model without a scale has to keep q·k"
            " small by its weights: T5 has the factor in the initial values of W^Q (Raffel et al. 2019,"
            " arXiv:1910.10683).",
            "Aqui 1/√d_k {verb} 1 - Σp² de {before} para {after}. Um modelo sem escala precisa manter q·k"
            " pequeno pelos seus pesos: o T5 tem o fator nos valores iniciais de W^Q (Raffel et al. 2019,"
            " arXiv:1910.10683).",
            verb=verb,
            **values,
        )
    verb = words("raises", "aumenta") if rises else words("lowers", "diminui")
    return words(
        "Here the scale {verb} 1 - Σp² from {before} to {after}.",
        "Aqui a escala {verb} 1 - Σp² de {before} para {after}.",
        verb=verb,
        **values,
    )


def _variance(study: ScaleStudy, ledger: Ledger) -> Iterator[Block]:
    """Why the divisor is √d_k: random vectors, and the spread of this head."""
    yield Heading(words("Why the square root of d_k", "Por que a raiz quadrada de d_k"))
    yield Paragraph(
        words(
            "q·k is a sum of d_k products. If the numbers in q and k are independent, with mean 0 and "
            "variance 1, each product has variance 1, so the sum has variance d_k and standard deviation "
            "√d_k (Vaswani et al. 2017, section 3.2.1, footnote 4). On random vectors ({queries} queries of "
            "{keys} keys each, seed {seed}), with means over the queries:",
            "q·k é uma soma de d_k produtos. Se os números de q e k são independentes, com média 0 e "
            "variância 1, cada produto tem variância 1; logo, a soma tem variância d_k e desvio padrão √d_k "
            "(Vaswani et al. 2017, seção 3.2.1, nota 4). Com vetores aleatórios ({queries} consultas de "
            "{keys} chaves cada, semente {seed}) e com médias sobre as consultas:",
            queries=RANDOM_QUERIES,
            keys=RANDOM_KEYS,
            seed=SEED,
        )
    )
    yield _random_table(study, ledger)
    if study.pairs > 1:
        yield Paragraph(_spread(study, ledger))


def _spread(study: ScaleStudy, ledger: Ledger) -> Words:
    """How widely q·k of this head spreads, beside what the assumption says."""
    column = ledger.column(_SPREAD_DECIMALS)
    root = ledger.result(math.sqrt(study.size), lambda: math.sqrt(study.size), (), column)
    deviation = ledger.given(study.deviation, column)
    times = ledger.result(
        study.deviation / math.sqrt(study.size), operator.truediv, (deviation, root), ledger.column(1)
    )
    return words(
        "In this head, over the {pairs} pairs that the mask allows, q·k has standard deviation"
        " {deviation}, and √{size} = {root}: {times} times as much. {follows}",
        "Nesta cabeça, nos {pairs} pares que a máscara permite, q·k tem desvio padrão {deviation}, e"
        " √{size} = {root}: {times} vezes isso. {follows}",
        pairs=study.pairs,
        deviation=deviation,
        size=study.size,
        root=root,
        times=times,
        follows=_follows(times.value),
    )


def _follows(times: float) -> Words:
    """What the spread of a head says of the assumption."""
    if times > 1 + _SIMILAR:
        return words(
            "Its vectors are not independent with variance 1: divided by √d_k, its scores still differ more"
            " than the assumption predicts, and its softmax is sharper.",
            "Os vetores dela não são independentes com variância 1: divididos por √d_k, os escores ainda"
            " diferem mais do que a hipótese prevê, e a softmax é mais aguda.",
        )
    if times < 1 - _SIMILAR:
        return words(
            "Its vectors are not independent with variance 1: divided by √d_k, its scores differ less than"
            " the assumption predicts, and its softmax is flatter.",
            "Os vetores dela não são independentes com variância 1: divididos por √d_k, os escores diferem"
            " menos do que a hipótese prevê, e a softmax é mais plana.",
        )
    return words("That is about what the assumption says.", "É quase o que a hipótese prevê.")


def _random_table(study: ScaleStudy, ledger: Ledger) -> Table:
    columns = [ledger.column() for _ in range(6)]
    rows = []
    for one in study.random:
        root = math.sqrt(one.size)
        of_rows = [
            each for spread in (one.plain, one.scaled) for each in (spread.entropy, spread.sensitivity)
        ]
        values = [one.deviation, *of_rows]
        figures = [ledger.given(value, column) for value, column in zip(values, columns[1:], strict=True)]
        rows.append(
            Row([one.size, ledger.result(root, partial(math.sqrt, one.size), (), columns[0]), *figures])
        )
    divided = (symbols("H, ÷ √d_k"), symbols("1 - Σp², ÷ √d_k"))
    return Table(
        [
            TableColumn(symbols("d_k")),
            TableColumn(symbols("√d_k"), is_optional=True),
            TableColumn(words("std of q·k", "desvio q·k")),
            TableColumn(symbols("H"), is_optional=True),
            TableColumn(symbols("1 - Σp²")),
            TableColumn(divided[0], is_optional=True),
            TableColumn(divided[1]),
        ],
        rows,
    )


def _checks(study: ScaleStudy, figures: _Figures, ledger: Ledger, sides: Sides) -> Iterator[Block]:
    """Numbers that a reader can check."""
    yield to_check()
    yield from _variance_of_a_product(study, ledger)
    column = figures.scaled
    ranked = sorted(range(len(figures.listing.keys)), key=lambda one: -column.weights[one].value)
    if len(ranked) > 1:
        yield from _ratio(column, ranked[:2], figures, ledger, sides)
    if figures.listing.is_whole:
        yield Paragraph(
            words(
                "All keys are listed: every weight, entropy and 1 - Σp² can be recomputed from the logits.",
                "Todas as chaves estão na tabela: cada peso, entropia e 1 - Σp² pode ser recalculado a"
                " partir dos logits.",
            )
        )


def _variance_of_a_product(study: ScaleStudy, ledger: Ledger) -> Iterator[Block]:
    """The variance of q·k of the random vectors, divided by the number of products: near 1."""
    one = study.random[-1]
    deviation = ledger.given(one.deviation, ledger.column(_SPREAD_DECIMALS))
    variance = ledger.result(
        one.deviation**2 / one.size,
        lambda spread: spread**2 / one.size,
        (deviation,),
        ledger.column(_SPREAD_DECIMALS),
    )
    yield Equation(
        words(
            "variance of one product of the random vectors: {deviation} × {deviation} ÷ {size} = {variance}",
            "variância de um produto dos vetores aleatórios: {deviation} × {deviation} ÷ {size} = {variance}",
            deviation=deviation,
            size=one.size,
            variance=variance,
        ),
        closes=variance,
    )


def _ratio(
    column: _ScaledRow, ranked: Sequence[int], figures: _Figures, ledger: Ledger, sides: Sides
) -> Iterator[Block]:
    """Two weights differ by e to the difference of their logits."""
    first, second = ranked
    operands = (column.weights[first], column.logits[second], column.logits[first])
    found = ledger.result(column.weights[second].value, _from_other, operands, column.weights[second].column)
    yield Paragraph(
        words(
            "From the weight of {first} follows that of {second}, by the difference of their logits:",
            "Do peso de {first} obtém-se o de {second}, pela diferença dos logits:",
            first=token_name(sides.keys, figures.listing.keys[first]),
            second=token_name(sides.keys, figures.listing.keys[second]),
        )
    )
    yield Equation(
        symbols(
            "{p} × e^({a} - {b}) = {q}",
            p=operands[0],
            a=operands[1],
            b=Operand(operands[2]),
            q=found,
        ),
        r"{p} \times e^{{{a} - {b}}} = {q}",
        found,
    )


def _from_other(weight: float, logit: float, other: float) -> float:
    return weight * math.exp(logit - other)
