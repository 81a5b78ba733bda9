"""Section 3: from the logits of the row to its weights."""

import math
from collections.abc import Iterator

import numpy as np

from attn_cli.answers.weight import RowPowers, RowSoftmax
from attn_cli.record import record
from attn_cli.show.explanation.document import (
    Bar,
    Block,
    Formula,
    Heading,
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
from attn_cli.show.explanation.figures import Figure
from attn_cli.show.explanation.labels import ROUNDING, token_label
from attn_cli.show.explanation.phrases import Phrase
from attn_cli.show.explanation.quantities import plural
from attn_cli.show.explanation.sections.board import Board, listed_keys, not_listed


def blocks(board: Board) -> Iterator[Block]:
    """The exponentials of the row, their total and the weights."""
    softmax = board.explanation.softmax
    yield Heading(words("3. The softmax of the row", "3. A softmax da linha"))
    if softmax.powers is None:
        yield from _weights_alone(board, softmax)
        return
    if not softmax.mask.any() and softmax.sink_logit is None:
        yield Paragraph(
            words(
                "This query may look at no key, so the whole row is zeros.",
                "Esta consulta não pode olhar para nenhuma chave, então a linha inteira é de zeros.",
            )
        )
        return
    yield Formula(
        words("weight = exp(logit - largest) ÷ total", "peso = exp(logit - maior) ÷ total"),
        r"\alpha_j = \frac{e^{s_j - \max}}{\sum_i e^{s_i - \max}}",
    )
    largest = board.ledger.given(softmax.powers.largest, board.logits)
    yield Paragraph(
        words(
            "The largest logit of the row is {largest}. It is subtracted from each, which changes no weight"
            " and keeps the exponentials at 1 or below; each is then divided by their total.",
            "O maior logit da linha é {largest}. Ele é subtraído de cada um, o que não muda nenhum peso e"
            " mantém as exponenciais em no máximo 1; cada uma é então dividida pelo total delas.",
            largest=largest,
        )
    )
    yield _table(board, softmax, softmax.powers, largest)
    hidden = int(np.count_nonzero(~softmax.mask))
    if hidden:
        yield Paragraph(
            words(
                "The mask hides {keys}: exp(-∞) = 0, so a hidden key has weight 0.",
                "A máscara esconde {keys}: exp(-∞) = 0, por isso uma chave escondida tem peso 0.",
                keys=plural(hidden, Phrase("key", "chave"), Phrase("keys", "chaves")),
            )
        )


def _table(board: Board, softmax: RowSoftmax, powers: RowPowers, largest: Figure) -> Table:
    lines = _lines(board, softmax, powers, largest)
    ledger = board.ledger
    total = ledger.total(powers.total, [line.power for line in lines])
    shares = [ledger.result(line.share, _divided, (line.power, total), board.weights) for line in lines]
    whole = ledger.total(sum(line.share for line in lines), shares, board.weights)
    rows = [
        Row(
            (
                line.name,
                line.logit,
                line.power,
                Remainder(line.power),
                share,
                Remainder(share),
                Bar(line.share),
            ),
            line.tone,
        )
        for line, share in zip(lines, shares, strict=True)
    ]
    rows.append(Row((ROUNDING, None, Remainder(total), None, Remainder(whole), None, None), Tone.QUIET))
    rows.append(Row((words("total", "total"), None, total, None, whole, None, None), Tone.TOTAL))
    heads = (
        TableColumn(words("key", "chave"), is_number=False),
        TableColumn(words("logit", "logit")),
        TableColumn(symbols("exp")),
        TableColumn(ROUNDING, is_rounding=True),
        TableColumn(words("weight", "peso")),
        TableColumn(ROUNDING, is_rounding=True),
        TableColumn(symbols(""), is_number=False, is_optional=True),
    )
    return Table(heads, rows)


@record(frozen=True, slots=True, eq=False)
class _Line:
    """A key, the rest of the keys, or the sink."""

    name: Words
    logit: Figure | None
    power: Figure
    share: float
    tone: Tone = Tone.PLAIN


def _lines(board: Board, softmax: RowSoftmax, powers: RowPowers, largest: Figure) -> list[_Line]:
    ledger, column = board.ledger, board.ledger.column()
    keys, logits = listed_keys(board.explanation, board.most), softmax.logits
    assert logits is not None, "powers are those of logits"

    def line(name: Words, logit: float, power: float, share: float, tone: Tone) -> _Line:
        own = ledger.given(logit, board.logits)
        return _Line(name, own, ledger.result(power, _exponential, (own, largest), column), share, tone)

    lines = [
        line(
            token_label(board.sides.keys, key),
            logits[key],
            powers.powers[key],
            float(softmax.weights[key]),
            Tone.CHOSEN if key == board.explanation.key else Tone.PLAIN,
        )
        for key in keys
    ]
    others = not_listed(len(softmax.mask), [*keys, *np.flatnonzero(~softmax.mask)])
    if others.size:
        name = _others(int(others.size))
        rest = ledger.given(powers.powers[others].sum(dtype=np.float64), column)
        share = float(softmax.weights[others].sum(dtype=np.float64))
        lines.append(_Line(name, None, rest, share, Tone.QUIET))
    if softmax.sink_logit is not None:
        assert powers.of_sink is not None, "a sink has a power"
        assert softmax.sink_weight is not None, "and takes weight"
        name = words("the learned sink", "o sumidouro aprendido")
        lines.append(line(name, softmax.sink_logit, float(powers.of_sink), softmax.sink_weight, Tone.PLAIN))
    return lines


def _others(count: int) -> Words:
    """The line of the keys that are not listed."""
    if count == 1:
        return words("the other key", "a outra chave")
    return words("the other {count} keys", "as outras {count} chaves", count=count)


def _exponential(logit: float, largest: float) -> float:
    return math.exp(logit - largest)


def _divided(power: float, total: float) -> float:
    return power / total


def _weights_alone(board: Board, softmax: RowSoftmax) -> Iterator[Block]:
    """The weights where the logits were not observed."""
    weights = board.ledger.column()
    rows = [
        Row(
            (
                token_label(board.sides.keys, key),
                board.ledger.given(softmax.weights[key], weights),
                Bar(float(softmax.weights[key])),
            ),
            Tone.CHOSEN if key == board.explanation.key else Tone.PLAIN,
        )
        for key in listed_keys(board.explanation, board.most)
    ]
    yield Paragraph(
        words(
            "Only the weights of this row are known:",
            "Só se conhecem os pesos desta linha:",
        )
    )
    yield Table(
        (
            TableColumn(words("key", "chave"), is_number=False),
            TableColumn(words("weight", "peso")),
            TableColumn(symbols(""), is_number=False, is_optional=True),
        ),
        rows,
    )
