"""Section 4: from the weights and values to what the head writes, and the layer."""

from collections.abc import Iterator

import numpy as np

from attn_cli.answers.weight import RowOutput, Vector
from attn_cli.show.explanation.document import (
    Block,
    Formula,
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
    symbols,
    words,
)
from attn_cli.show.explanation.figures import Figure
from attn_cli.show.explanation.labels import ROUNDING, token_label
from attn_cli.show.explanation.quantities import features
from attn_cli.show.explanation.sections.board import Board, Factor, largest, not_listed, sum_of_products
from attn_cli.show.explanation.sections.matrices import output_matrix
from attn_cli.show.explanation.sections.projections import feature_blocks
from attn_cli.show.explanation.sections.reasons import reason
from attn_cli.vocabulary import Step

_HEADS = 8  # of a layer before the rest is summed up


def blocks(board: Board) -> Iterator[Block]:
    """The context, the head's slice of W^O, and the layer's output."""
    explanation = board.explanation
    yield Heading(words("4. What the head writes", "4. O que a cabeça escreve"))
    if explanation.context is None or explanation.values is None:
        yield Paragraph(
            words(
                "The values are not known here: {why}.",
                "Os valores não são conhecidos aqui: {why}.",
                why=reason(explanation.absent, Step.CONTEXT) or "",
            )
        )
        return
    yield Formula(words("a = Σ weight × value", "a = Σ peso × valor"), r"a = \sum_j \alpha_j v_j")
    feature = int(np.abs(explanation.context).argmax())
    yield Paragraph(
        words(
            "The values v, weighted and summed, are the context a of {size}. Feature {feature} is its"
            " largest in absolute value:",
            "Os valores v, ponderados e somados, formam o contexto, o vetor a, de {size}. A componente"
            " {feature} é a maior em módulo:",
            size=features(len(explanation.context)),
            feature=str(feature),
        )
    )
    yield from _values(board, explanation.values, explanation.context, feature)
    if explanation.output is None:
        yield Paragraph(
            words(
                "What the head writes through W^O is not known here: {why}.",
                "O que a cabeça escreve por meio de W^O não é conhecido aqui: {why}.",
                why=reason(explanation.absent, Step.OUTPUT) or "",
            )
        )
        return
    yield from _written(board, explanation.context, explanation.output)
    yield from _layer(board, explanation.output)


def _values(board: Board, values: Vector, context: Vector, feature: int) -> Iterator[Block]:
    """Σ weight × value for one feature of the context, and how the key's own value came about."""
    explanation = board.explanation
    weights = explanation.softmax.weights
    seen = np.flatnonzero(explanation.softmax.mask)
    column = board.ledger.column()
    projection = explanation.projections.get(Step.VALUES)
    if projection is not None:
        yield from feature_blocks(board, projection, feature, column)
    yield sum_of_products(
        board.ledger,
        (
            Factor(weights[seen], board.weights, words("weight", "peso")),
            Factor(values[seen, feature], column, symbols(f"v[{feature}]")),
        ),
        (symbols(f"a[{feature}]"), float(context[feature]), board.context),
        most=board.most,
        names=(words("key", "chave"), lambda one: token_label(board.sides.keys, int(seen[one]))),
        rest=lambda count: words("the other {count} keys", "as outras {count} chaves", count=count),
    ).table


def _written(board: Board, context: Vector, output: RowOutput) -> Iterator[Block]:
    """One feature of the head's output: a × its slice of W^O."""
    feature = int(np.abs(output.output).argmax())
    head, size = board.explanation.head, len(context)
    name = symbols(" ({name})", name=Outside(output.name)) if output.name else symbols("")
    yield Paragraph(
        words(
            "Columns {first} to {last} of W^O{name} turn the context into the {width} numbers that this"
            " head writes. The one at index {feature} is the largest in absolute value:",
            "As colunas {first} a {last} de W^O{name} transformam o contexto nos {width} números que esta"
            " cabeça escreve. O de índice {feature} é o maior em módulo:",
            first=str(head * size),
            last=str((head + 1) * size - 1),
            name=name,
            width=len(output.output),
            feature=str(feature),
        )
    )
    if board.has_matrices:
        yield from output_matrix(board, context, output, feature)
    yield sum_of_products(
        board.ledger,
        (
            Factor(context, board.context, symbols("a")),
            Factor(output.matrix[feature], board.output_matrix, symbols("W^O")),
        ),
        (symbols(f"o[{feature}]"), float(output.output[feature]), board.output),
        most=board.most,
        names=(words("feature of a", "componente de a"), str),
        rest=lambda count: words("the other {count}", "as outras {count}", count=count),
        are_printed=board.has_matrices,
    ).table


def _layer(board: Board, output: RowOutput) -> Iterator[Block]:
    """All heads together: their outputs and the bias of W^O are the layer's output."""
    feature = int(np.abs(output.output).argmax())
    yield Paragraph(_lengths_sentence(board, output))
    yield _heads_table(board, output, feature)


def _lengths_sentence(board: Board, output: RowOutput) -> Words:
    """How long what the head writes is, beside the stream and the other heads."""
    ledger = board.ledger
    others = output.outputs.sum(axis=0, dtype=np.float64) - output.output
    stream: Word = ""
    if output.stream is not None:
        length = ledger.given(_length(output.stream))
        stream = words(
            " (the residual stream at this token has length {length})",
            " (o fluxo residual neste token tem norma {length})",
            length=length,
        )
    beside: Word = ""
    if len(output.outputs) > 1:
        beside = words(
            "; the other heads together write {others}",
            "; as outras cabeças juntas escrevem {others}",
            others=ledger.given(_length(others)),
        )
    return words(
        "What this head writes has length {own}{stream}{beside}. All heads{bias} add up to the layer's"
        " output, number by number (lengths do not){changed}:",
        "O que esta cabeça escreve tem comprimento {own}{stream}{beside}. Todas as cabeças{bias} somam a"
        " saída da camada, número por número (os comprimentos não se somam){changed}:",
        changed=words(
            ", which this model normalizes or scales before it joins the residual stream",
            ", que este modelo normaliza ou escala antes de somá-la ao fluxo residual",
        )
        if output.is_changed
        else "",
        own=ledger.given(_length(output.output)),
        stream=stream,
        beside=beside,
        bias="" if output.bias is None else words(" and the bias of W^O", " e o viés de W^O"),
    )


def _heads_table(board: Board, output: RowOutput, feature: int) -> Table:
    ledger, head = board.ledger, board.explanation.head
    lengths = np.linalg.norm(output.outputs.astype(np.float64), axis=1)
    count = len(lengths)
    listed = list(range(count)) if count <= 2 * _HEADS else largest(lengths, _HEADS)
    if head not in listed:
        listed[-1] = head
    of_length, rows, terms = ledger.column(), list[Row](), list[Figure]()
    for one in listed:
        terms.append(ledger.given(output.outputs[one, feature], board.output))
        tone = Tone.CHOSEN if one == head else Tone.PLAIN
        name = words("head {number}", "cabeça {number}", number=str(one))
        rows.append(Row((name, ledger.given(lengths[one], of_length), terms[-1]), tone))
    if len(listed) < count:
        others = not_listed(count, listed)
        rest = output.outputs[others].sum(axis=0, dtype=np.float64)
        terms.append(ledger.given(rest[feature], board.output))
        name = words("the other {count}", "as outras {count}", count=len(others))
        rows.append(Row((name, ledger.given(_length(rest), of_length), terms[-1]), Tone.QUIET))
    if output.bias is not None:
        terms.append(ledger.given(output.bias[feature], board.output))
        name = words("bias of W^O", "viés de W^O")
        rows.append(Row((name, ledger.given(_length(output.bias), of_length), terms[-1])))
    total = ledger.total(output.result[feature], terms, board.output)
    rows.append(Row((ROUNDING, None, Remainder(total)), Tone.QUIET))
    length = ledger.given(_length(output.result), of_length)
    rows.append(Row((words("layer's output", "saída da camada"), length, total), Tone.TOTAL))
    heads = (
        TableColumn(symbols(""), is_number=False),
        TableColumn(words("length", "norma")),
        TableColumn(symbols(f"o[{feature}]")),
    )
    return Table(heads, rows)


def _length(vector: Vector) -> float:
    return float(np.linalg.norm(vector.astype(np.float64)))
