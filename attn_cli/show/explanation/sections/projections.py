"""Section 1: from the layer's input to the query and the key."""

import math
from collections.abc import Iterator

import numpy as np

from attn_cli.answers.weight import MatrixRows, OpenedNorm, OpenedTurn, Projection
from attn_cli.show.explanation.document import (
    Block,
    Equation,
    Formula,
    Heading,
    Operand,
    Outside,
    Paragraph,
    Word,
    Words,
    symbols,
    words,
)
from attn_cli.show.explanation.figures import Column, Figure
from attn_cli.show.explanation.quantities import features
from attn_cli.show.explanation.sections.board import Board, Factor, Steps, SumOfProducts, sum_of_products
from attn_cli.show.explanation.sections.matrices import (
    SMALL,
    SYMBOLS,
    every_key,
    inputs_table,
    is_whole,
    projection_matrix,
)
from attn_cli.show.explanation.sections.reasons import reason
from attn_cli.vocabulary import Kind, Step

_FEATURES = words("feature of x", "componente de x")


def blocks(board: Board) -> Iterator[Block]:
    """How the query and the key come from the layer's input, for the feature that matters most."""
    explanation = board.explanation
    yield Heading(words("1. The query and the key", "1. A consulta e a chave"))
    if not explanation.projections:
        why = reason(explanation.absent, Step.INPUT)
        yield Paragraph(
            words(
                "How they come from the layer's input is not known here{why}.",
                "Não se sabe aqui como elas vêm da entrada da camada{why}.",
                why="" if why is None else symbols(": {why}", why=why),
            )
        )
        return
    query, key = explanation.projections[Step.QUERIES], explanation.projections[Step.KEYS]
    q, k = ("" if one.bias is None else " + b" for one in (query, key))
    yield Formula(symbols(f"q = W^Q x{q},  k = W^K x{k}"), rf"q = W^Q x{q}, \qquad k = W^K x{k}")
    yield Paragraph(
        words(
            "The layer receives a vector x of {width} numbers for each token{norm}. W^Q turns the x of"
            " {query} into a query of {size}, and W^K turns the x of {key} into a key of the same size.",
            "A camada recebe um vetor x de {width} números para cada token{norm}. W^Q transforma o x de"
            " {query} em uma consulta de {size}, e W^K transforma o x de {key} em uma chave do mesmo"
            " tamanho.",
            width=len(query.input),
            size=features(len(query.final)),
            query=board.query,
            key=board.key,
            norm=_of_input(board),
        )
    )
    for projection in (query, key):
        yield from _place(projection)
    if is_whole(board, key):
        yield from inputs_table(board, key)
    feature = leading_feature(board)
    yield Paragraph(
        words(
            "The product of feature {feature} is the largest term of q·k below, in absolute value; this"
            " is how its two factors come about.",
            "O produto da componente {feature} é a maior parcela, em módulo, do q·k abaixo; é assim que"
            " surgem os seus dois fatores.",
            feature=str(feature),
        )
    )
    yield from feature_blocks(board, query, feature, board.queries)
    yield from feature_blocks(board, key, feature, board.keys)


def _of_input(board: Board) -> Word:
    """What x is, where that is known."""
    explanation = board.explanation
    if explanation.kind is Kind.CROSS:
        return words(
            ": for the query it comes from the decoder, for the keys and values it is the encoder's output",
            ": para a consulta ele vem do decodificador, para as chaves e os valores é a saída do"
            " codificador",
        )
    if explanation.is_normed is None:
        return ""
    if explanation.is_normed:
        return words(
            ", its residual stream after the norm before the attention",
            ", o fluxo residual dele depois da norma que antecede a atenção",
        )
    return words(", its residual stream", ", o fluxo residual dele")


def leading_feature(board: Board) -> int:
    """The feature whose product is the largest part of q·k."""
    scores = board.explanation.scores
    assert scores is not None, "projections are known only with the scores"
    return int(np.abs(scores.query.astype(np.float64) * scores.keys[board.explanation.key]).argmax())


def feature_blocks(board: Board, projection: Projection, feature: int, column: Column) -> Iterator[Block]:
    """One feature of a query, a key or a value: x·W, bias, norm and turn."""
    turn = projection.turn
    if turn is not None and turn.rotary.pair_of(feature) is None:
        turn = None  # RoPE leaves this feature as it is
    name = symbols(f"{SYMBOLS[projection.step][0]}[{feature}]")
    before_turn = column if turn is None else board.ledger.column()
    before_norm = before_turn if projection.norm is None else board.ledger.column()
    yield Paragraph(_title(board, projection))
    if board.has_matrices:
        yield from projection_matrix(board, projection, feature, before_norm)
    plain = _product(board, projection, feature, _plain_name(projection, turn, name), before_norm)
    yield plain.table
    figure = plain.total
    if projection.norm is not None:
        figure = yield from _normed(board, projection, feature, figure, before_turn)
    if turn is not None:
        yield from _turned(board, projection, turn, feature, figure, column)
    if is_whole(board, projection) and projection.step is not Step.QUERIES:
        yield from every_key(board, projection, column)


def _plain_name(projection: Projection, turn: OpenedTurn | None, name: Words) -> Words:
    """The name of a feature that is only projected so far."""
    if projection.norm is not None:
        return words("{name} before QK-norm", "{name} antes da QK-norm", name=name)
    return name if turn is None else words("{name} before RoPE", "{name} antes do RoPE", name=name)


def _title(board: Board, projection: Projection) -> Words:
    if projection.step is Step.QUERIES:
        return words("The query of {token}:", "A consulta de {token}:", token=board.query)
    if projection.step is Step.KEYS:
        return words("The key of {token}:", "A chave de {token}:", token=board.key)
    return words("The value of {token}:", "O valor de {token}:", token=board.key_at(projection.position))


def _product(
    board: Board, projection: Projection, feature: int, name: Words, column: Column
) -> SumOfProducts:
    _, letter = SYMBOLS[projection.step]
    x, matrix = board.columns_of(projection)
    added = []
    if projection.bias is not None:
        added.append((symbols("b"), float(projection.bias[feature])))
    return sum_of_products(
        board.ledger,
        (
            Factor(projection.input, x, symbols("x")),
            Factor(projection.weight[feature], matrix, symbols(f"W^{letter}")),
        ),
        (name, float(projection.plain[feature]), column),
        most=len(projection.input) if len(projection.input) <= SMALL else board.most,
        names=(_FEATURES, str),
        rest=lambda count: words("the other {count}", "as outras {count}", count=count),
        added=added,
        are_printed=board.has_matrices,
    )


def _normed(board: Board, projection: Projection, feature: int, before: Figure, column: Column) -> Steps:
    """QK-norm of the feature."""
    norm, ledger = projection.norm, board.ledger
    assert norm is not None, "checked by the caller"
    assert projection.normed is not None, "checked by the caller"
    yield Paragraph(_of_norm(norm))
    divisor, gain = ledger.given(norm.divisor), ledger.given(norm.gain[feature])
    mean = None if norm.mean is None else ledger.given(norm.mean)
    shift = None if norm.shift is None else ledger.given(norm.shift[feature])
    operands = [one for one in (before, divisor, gain, mean, shift) if one is not None]

    def formula(*values: float) -> float:
        given = iter(values)
        plain, by, times = next(given), next(given), next(given)
        less = next(given) if mean is not None else 0.0
        return (plain - less) / by * times + (next(given) if shift is not None else 0.0)

    figure = ledger.result(projection.normed[feature], formula, operands, column)
    start = "({before} - {mean})" if mean is not None else "{before}"
    end = " + {shift}" if shift is not None else ""
    values: dict[str, Word] = {"before": before, "divisor": divisor, "gain": Operand(gain), "result": figure}
    values |= {} if mean is None else {"mean": Operand(mean)}
    values |= {} if shift is None else {"shift": Operand(shift)}
    yield Equation(
        symbols(f"{start} ÷ {{divisor}} × {{gain}}{end} = {{result}}", **values),
        closes=figure,
    )
    return figure


def _of_norm(norm: OpenedNorm) -> Words:
    over: dict[str, Word] = {"features": norm.features}
    if norm.mean is None:
        return words(
            "QK-norm divides by the root mean square of the {features} features, then multiplies by a"
            " learned gain:",
            "A QK-norm divide pela raiz da média dos quadrados das {features} componentes e multiplica"
            " por um ganho aprendido:",
            **over,
        )
    return words(
        "QK-norm subtracts the mean of the {features} features, divides by their standard deviation and"
        " multiplies by a learned gain:",
        "A QK-norm subtrai a média das {features} componentes, divide pelo desvio padrão delas e"
        " multiplica por um ganho aprendido:",
        **over,
    )


def _turned(
    board: Board, projection: Projection, turn: OpenedTurn, feature: int, before: Figure, column: Column
) -> Iterator[Block]:
    """RoPE: the feature's pair turned by its angle."""
    ledger = board.ledger
    found = turn.rotary.pair_of(feature)
    assert found is not None, "checked by the caller"
    first, second, pair = found
    is_first = feature == first
    entering = projection.plain if projection.normed is None else projection.normed
    partner = second if is_first else first
    symbol, _ = SYMBOLS[projection.step]
    other = ledger.given(entering[partner])
    frequency = ledger.given(turn.frequencies[pair], board.frequency)
    position = projection.position
    angle = ledger.result(position * float(turn.frequencies[pair]), lambda one: position * one, (frequency,))
    gain = ledger.given(turn.rotary.gain)
    operands = (angle,) if turn.rotary.gain == 1 else (angle, gain)
    cosine = ledger.result(turn.cosine[pair], lambda one, by=1.0: math.cos(one) * by, operands)
    sine = ledger.result(turn.sine[pair], lambda one, by=1.0: math.sin(one) * by, operands)
    yield Paragraph(
        words(
            "RoPE rotates the pair of features {first} and {second} by position × {frequency} radians;"
            " the other feature of the pair is {symbol}[{partner}] before RoPE = {other}.",
            "O RoPE gira o par de componentes {first} e {second} de um ângulo de posição × {frequency}"
            " radianos; a outra componente do par é {symbol}[{partner}] antes do RoPE = {other}.",
            first=str(first),
            second=str(second),
            frequency=frequency,
            symbol=symbol,
            partner=str(partner),
            other=other,
        )
    )
    yield Equation(
        symbols("{position} × {frequency} = {angle}", position=position, frequency=frequency, angle=angle),
        closes=angle,
    )
    times = "" if turn.rotary.gain == 1 else "{gain} × "
    for name, figure in ((symbols("cos"), cosine), (words("sin", "sen"), sine)):
        values: dict[str, Word] = {"name": name, "angle": angle, "value": figure}
        if turn.rotary.gain != 1:
            values["gain"] = gain
        yield Equation(symbols(f"{times}{{name}} {{angle}} = {{value}}", **values), closes=figure)
    sign = -1.0 if is_first else 1.0
    figure = ledger.result(
        projection.final[feature],
        lambda own, across, cos, sin: own * cos + sign * across * sin,
        (before, other, cosine, sine),
        column,
    )
    between = "-" if is_first else "+"
    yield Equation(
        symbols(
            f"{{own}} × {{cosine}} {between} {{other}} × {{sine}} = {{result}}",
            own=before,
            cosine=Operand(cosine),
            other=Operand(other),
            sine=Operand(sine),
            result=figure,
        ),
        closes=figure,
    )


def _place(projection: Projection) -> Iterator[Block]:
    """Where the head's matrix stands in the file, where that is worth a sentence."""
    place: MatrixRows = projection.place
    if not place.name:
        return
    _, letter = SYMBOLS[projection.step]
    values: dict[str, Word] = {
        "letter": letter,
        "first": str(place.first),
        "last": str(place.last),
        "rows": place.rows,
        "name": Outside(place.name),
    }
    if place.is_fused:
        yield Paragraph(
            words(
                "W^{letter} of this head is cut out of one matrix for queries, keys and values: outputs"
                " {first} to {last} of the {rows} of {name}.",
                "A W^{letter} desta cabeça é um recorte de uma única matriz de consultas, chaves e"
                " valores: as saídas {first} a {last}, das {rows} de {name}.",
                **values,
            )
        )
    else:
        yield Paragraph(
            words(
                "W^{letter} of this head: outputs {first} to {last} of the {rows} of {name}.",
                "A W^{letter} desta cabeça: as saídas {first} a {last}, das {rows} de {name}.",
                **values,
            )
        )
