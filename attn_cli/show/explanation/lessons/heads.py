"""The lesson on heads: what several heads see that one of the same width does not."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from attn_cli.answers.lessons.heads import HeadsStudy
from attn_cli.answers.lessons.row import SoftmaxRow
from attn_cli.grid import Sides
from attn_cli.record import record
from attn_cli.show.explanation.document import (
    Block,
    Equation,
    Heading,
    Outside,
    Paragraph,
    Row,
    Table,
    TableColumn,
    Tone,
    Words,
    symbols,
    words,
)
from attn_cli.show.explanation.figures import Column, Figure, Ledger
from attn_cli.show.explanation.labels import token_label, token_name
from attn_cli.show.explanation.lessons.ending import Base, command, to_check
from attn_cli.show.explanation.lessons.listing import listing

_MOST_TERMS = 12  # heads whose scores are added up in one line


def blocks(study: HeadsStudy, ledger: Ledger, sides: Sides, base: Base) -> Iterator[Block]:
    """The lesson as a document."""
    yield Heading(
        words(
            "What do several heads see that one of the same width does not?",
            "O que várias cabeças veem que uma só, da mesma largura, não vê?",
        ),
        1,
    )
    yield from _question(study, sides)
    columns = _Columns(*(ledger.column() for _ in range(4)))
    yield _table(study, ledger, sides, columns)
    yield from _findings(study, ledger, columns)
    yield from _costs(study)
    yield from _checks(study, ledger, sides)
    layer, _ = study.place
    row = ("-l", str(layer), "--rows", str(study.query), "-s", "weights")
    sentence = words(
        "The same row in every head of the layer:", "A mesma linha em todas as cabeças da camada:"
    )
    yield command(sentence, "inspect", base, *row)


@record(frozen=True, slots=True, eq=False)
class _Columns:
    """The columns of the table of heads."""

    weight: Column
    entropy: Column
    wide: Column
    distance: Column


def _question(study: HeadsStudy, sides: Sides) -> Iterator[Block]:
    layer, _ = study.place
    yield Paragraph(
        words(
            "Layer {layer} of {model} has {heads} heads of {size} numbers each. The query {query} has a row"
            " of weights in each of them. Beside them stands one head of full width, {wide} numbers: its q"
            " and k are those of all heads side by side, so its q·k is the sum of theirs. Its scores are the"
            " sum of the heads' scores ÷ √{heads}, so that they spread as widely as those of a single head.",
            "A camada {layer} do modelo {model} tem {heads} cabeças de {size} números cada. A consulta"
            " {query} tem uma linha de pesos em cada uma. Ao lado delas, para comparar, há uma única"
            " cabeça de largura total, com {wide} números: seus q e k são os de todas as cabeças"
            " concatenados; logo, seu q·k é a soma dos q·k delas. Seus escores são a soma dos escores das"
            " cabeças ÷ √{heads}, para que se espalhem tanto quanto os de uma só cabeça.",
            layer=layer,
            model=Outside(study.model),
            heads=study.heads,
            size=study.size,
            query=token_name(sides.queries, study.query),
            wide=study.heads * study.size,
        )
    )
    if study.has_bias or study.has_sink or study.softcap is not None:
        yield Paragraph(
            words(
                "What else the layer puts on its scores is kept: mask and soft cap as they are, position"
                " bias and learned sink as the mean over the heads.",
                "O que mais a camada aplica aos escores é mantido: máscara e limite suave como são; viés"
                " de posição e sumidouro aprendido, como a média das cabeças.",
            )
        )


def _table(study: HeadsStudy, ledger: Ledger, sides: Sides, columns: _Columns) -> Table:
    """Where each head looks, and what the wide head leaves of it."""
    to_wide = study.distances[-1]
    shown = listing(range(study.heads), to_wide, always=(study.place[1],))
    rows = []
    for head in shown.keys:
        row, tone = study.rows[head], Tone.CHOSEN if head == study.place[1] else Tone.PLAIN
        best = int(row.shares.argmax())
        numbers = (row.largest, row.entropy, float(study.wide.shares[best]), float(to_wide[head]))
        cells = _given(ledger, columns, numbers)
        rows.append(Row([str(head), _looked_at(sides, best, row), *cells], tone))
    if shown.rest:
        rows.append(_means(study, ledger, columns, shown.rest))
    best = int(study.wide.shares.argmax())
    cells = _given(ledger, columns, (study.wide.largest, study.wide.entropy, study.wide.largest))
    label = words("one wide", "única")
    rows.append(Row([label, _looked_at(sides, best, study.wide), *cells, None], Tone.TOTAL))
    return Table(
        [
            TableColumn(words("head", "cabeça"), is_number=False),
            TableColumn(words("looks at", "olha para"), is_number=False),
            TableColumn(words("weight", "peso")),
            TableColumn(words("H (nats)", "H (nats)"), is_optional=True),
            TableColumn(words("wide head there", "peso na única")),
            TableColumn(words("distance", "distância"), is_optional=True),
        ],
        rows,
    )


def _given(ledger: Ledger, columns: _Columns, numbers: Sequence[float]) -> list[Figure]:
    order = (columns.weight, columns.entropy, columns.wide, columns.distance)
    return [ledger.given(number, column) for number, column in zip(numbers, order, strict=False)]


def _looked_at(sides: Sides, best: int, row: SoftmaxRow) -> Words:
    """The key with the largest weight, unless a sink takes more."""
    if best == row.weights.size:
        return words("learned sink", "sumidouro aprendido")
    return token_label(sides.keys, best)


def _means(study: HeadsStudy, ledger: Ledger, columns: _Columns, rest: Sequence[int]) -> Row:
    """The heads that are not listed, as means."""
    rows = [study.rows[head] for head in rest]
    numbers = (
        float(np.mean([row.largest for row in rows])),
        float(np.mean([row.entropy for row in rows])),
        float(np.mean([study.wide.shares[row.shares.argmax()] for row in rows])),
        float(np.mean([study.distances[-1, head] for head in rest])),
    )
    label = words("{count} more", "mais {count}", count=len(rest))
    return Row([label, words("(means)", "(médias)"), *_given(ledger, columns, numbers)], Tone.QUIET)


def _findings(study: HeadsStudy, ledger: Ledger, columns: _Columns) -> Iterator[Block]:
    """What the table shows."""
    favourites = {int(row.shares.argmax()) for row in study.rows}
    pairs = study.distances[:-1, :-1][np.triu_indices(study.heads, 1)]
    yield Paragraph(
        words(
            "H is the entropy of a row; distance is that from the wide head's row (Jensen-Shannon, 0:"
            " equal, 1: nothing in common). A softmax has one row of weights per query: each head can"
            " focus on a key of its own (different keys here: {count}), while the wide head has to divide"
            " a single row among them. Between two heads the mean distance is {between}, from {nearest}"
            " to {farthest}.",
            "H é a entropia de uma linha; distância é a que a separa da linha da cabeça única"
            " (Jensen-Shannon, 0: iguais, 1: nada em comum). Uma softmax dá uma só linha de pesos por"
            " consulta: cada cabeça pode se concentrar numa chave própria (chaves diferentes aqui:"
            " {count}), enquanto a cabeça única tem de dividir uma só linha entre elas. Entre duas"
            " cabeças, a distância média é {between}, de {nearest} a {farthest}.",
            count=len(favourites),
            between=ledger.given(float(pairs.mean()), columns.distance),
            nearest=ledger.given(float(pairs.min()), columns.distance),
            farthest=ledger.given(float(pairs.max()), columns.distance),
        )
    )
    yield Paragraph(
        words(
            "“Multi-head attention allows the model to jointly attend to information from different"
            " representation subspaces at different positions. With a single attention head, averaging"
            " inhibits this.” (Vaswani et al. 2017, section 3.2.2)",
            "“A atenção de múltiplas cabeças permite ao modelo prestar atenção, conjuntamente, a"
            " informações de diferentes subespaços de representação em diferentes posições. Com uma única"
            " cabeça de atenção, o cálculo da média inibe isso.” (Vaswani et al. 2017, seção 3.2.2,"
            " tradução nossa)",
        )
    )


def _costs(study: HeadsStudy) -> Iterator[Block]:
    """Operations and parameters, which are the same."""
    wide = study.heads * study.size
    yield Paragraph(
        words(
            "Neither costs more: both use the same W^Q, W^K, W^V and W^O, and as many multiplications. Only "
            "the exponentials differ, {heads} times {keys} in this row against {keys}.",
            "Nenhuma das duas formas custa mais: ambas usam as mesmas matrizes W^Q, W^K, W^V e W^O e o"
            " mesmo número de multiplicações. Só o número de exponenciais difere: {heads} vezes {keys}"
            " nesta linha, contra {keys}.",
            heads=study.heads,
            keys=study.keys,
        )
    )
    yield Equation(
        words(
            "multiplications for q·k with {keys} keys: {heads} × {size} × {keys} = {wide} × {keys} = {all}",
            "multiplicações para q·k com {keys} chaves: {heads} × {size} × {keys} = {wide} × {keys} = {all}",
            heads=study.heads,
            size=study.size,
            keys=study.keys,
            wide=wide,
            all=wide * study.keys,
        )
    )
    if study.width is not None:
        yield Equation(
            words(
                "parameters of W^Q: {width} × {heads} × {size} = {width} × {wide} = {all}",
                "parâmetros de W^Q: {width} × {heads} × {size} = {width} × {wide} = {all}",
                width=study.width,
                heads=study.heads,
                size=study.size,
                wide=wide,
                all=study.width * wide,
            )
        )


def _checks(study: HeadsStudy, ledger: Ledger, sides: Sides) -> Iterator[Block]:
    """The wide head's score for one key, from those of the heads."""
    yield to_check()
    column = ledger.column()
    terms = [ledger.given(score, column) for score in study.scores[:, study.key]]
    total = ledger.total(sum(term.value for term in terms), terms, column)
    root = math.sqrt(study.heads)
    score = ledger.result(float(study.wide_scores[study.key]), lambda summed: summed / root, (total,))
    name = token_name(sides.keys, study.key)
    if study.heads <= _MOST_TERMS:
        values = {f"term{number}": term for number, term in enumerate(terms)}
        added = " + ".join(f"({{term{number}}})" for number in range(len(terms)))
        yield Paragraph(
            words(
                "Scores of the heads for {key}, and of the wide head:",
                "Os escores das cabeças para {key}, e o da cabeça única:",
                key=name,
            )
        )
        yield Equation(symbols(f"{added} = {{total}}", total=total, **values), closes=total)
    else:
        yield Paragraph(
            words(
                "The scores of the {heads} heads for {key} add up to {total}; the wide head's score:",
                "Os escores das {heads} cabeças para {key} somam {total}; o escore da cabeça única:",
                heads=study.heads,
                key=name,
                total=total,
            )
        )
    yield Equation(
        symbols("{total} ÷ √{heads} = {score}", total=total, heads=study.heads, score=score),
        r"{total} \div \sqrt{{{heads}}} = {score}",
        score,
    )
