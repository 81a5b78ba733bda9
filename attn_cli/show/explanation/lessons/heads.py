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
    Operand,
    Outside,
    Paragraph,
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
from attn_cli.show.explanation.labels import token_label, token_name
from attn_cli.show.explanation.lessons.ending import Base, command, to_check
from attn_cli.show.explanation.lessons.listing import listing
from attn_cli.show.explanation.phrases import Phrase
from attn_cli.show.explanation.quantities import plural

_MOST_TERMS = 12  # heads whose scores are added up in one line
_SPREAD_DECIMALS = 2  # of standard deviations
_SIMILAR = 0.05  # spreads that differ by less are called alike
_NOTHING = words("", "")


def blocks(study: HeadsStudy, ledger: Ledger, sides: Sides, base: Base) -> Iterator[Block]:
    """The lesson as a document."""
    yield Heading(
        words(
            "What do several heads see that one of the same width does not?",
            "O que várias cabeças veem que uma só, da mesma largura, não vê?",
        ),
        1,
    )
    yield from _question(study, ledger, sides)
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


def _question(study: HeadsStudy, ledger: Ledger, sides: Sides) -> Iterator[Block]:
    layer, _ = study.place
    yield Paragraph(
        words(
            "Layer {layer} of {model} has {heads} heads of {size} numbers each. The query {query} has a row"
            " of weights in each of them. Beside them stands one head of full width, {wide} numbers: its q"
            " and k are those of all heads side by side{shared}, so its q·k is the sum of theirs. Its scores"
            " are the sum of the heads' scores ÷ √{heads}{scale}.{spread}",
            "A camada {layer} do modelo {model} tem {heads} cabeças de {size} números cada. A consulta"
            " {query} tem uma linha de pesos em cada uma. Ao lado delas, para comparar, há uma única cabeça"
            " de largura total, com {wide} números: seus q e k são os de todas as cabeças"
            " concatenados{shared}; logo, seu q·k é a soma dos q·k delas. Seus escores são a soma dos"
            " escores das cabeças ÷ √{heads}{scale}.{spread}",
            layer=layer,
            model=Outside(study.model),
            heads=study.heads,
            size=study.size,
            query=token_name(sides.queries, study.query),
            wide=study.heads * study.size,
            shared=_shared(study),
            scale=_wide_scale(study),
            spread=_spread(study, ledger),
        )
    )
    yield Paragraph(
        words(
            "The wide head was not trained as one: this shows how keys compete for a single row, not what a"
            " trained wide head would do.",
            "A cabeça única não foi treinada como tal: isto mostra como as chaves disputam uma só linha, não"
            " o que faria uma cabeça larga treinada.",
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


def _shared(study: HeadsStudy) -> Words:
    """With grouped queries, the keys of a group stand there once for each of its heads."""
    if study.sharing == 1:
        return _NOTHING
    return words(
        " (each group of {sharing} heads shares its keys, which are repeated)",
        " (cada grupo de {sharing} cabeças compartilha suas chaves, que se repetem)",
        sharing=study.sharing,
    )


def _wide_scale(study: HeadsStudy) -> Words:
    wide = study.heads * study.size
    if study.has_root:
        return words(
            ", which gives it 1/√{wide}, the scale of a head of that width",
            ", o que lhe dá 1/√{wide}, a escala de uma cabeça dessa largura",
            wide=wide,
        )
    return words(
        ", by which 1/√d_k shrinks for a head of that width",
        ", o fator pelo qual 1/√d_k diminui numa cabeça dessa largura",
    )


def _spread(study: HeadsStudy, ledger: Ledger) -> Words:
    """How widely the scores of the wide head spread, beside those of a single one."""
    if len(study.visible) == 1:
        return _NOTHING
    column = ledger.column(_SPREAD_DECIMALS)
    return words(
        " If the heads' scores were uncorrelated, its scores would spread over the keys of this row as"
        " widely as theirs, with a standard deviation of {one} (the root of their mean variance); here it is"
        " {wide}, because the heads {reason}.",
        " Se os escores das cabeças não fossem correlacionados, os dela se espalhariam pelas chaves desta"
        " linha tanto quanto os das cabeças, com desvio padrão {one} (a raiz da variância média); aqui ele é"
        " {wide}, porque as cabeças {reason}.",
        one=ledger.given(study.deviation, column),
        wide=ledger.given(study.wide_deviation, column),
        reason=_agreement(study),
    )


def _agreement(study: HeadsStudy) -> Words:
    ratio = study.wide_deviation / study.deviation if study.deviation else 1.0
    if ratio > 1 + _SIMILAR:
        return words("tend to prefer the same keys", "tendem a preferir as mesmas chaves")
    if ratio < 1 - _SIMILAR:
        return words("tend to prefer different keys", "tendem a preferir chaves diferentes")
    return words(
        "agree on some keys about as much as they differ on others",
        "concordam em algumas chaves quase tanto quanto divergem em outras",
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
    yield Paragraph(
        words(
            "H is the entropy of a row; distance is that from the wide head's row (Jensen-Shannon, 0: equal,"
            " 1: nothing in common). A softmax has one row of weights per query: each head can focus on a"
            " key of its own (different keys here: {count}), while the wide head has to divide a single row"
            " among them. {between}",
            "H é a entropia de uma linha; distância é a que a separa da linha da cabeça única"
            " (Jensen-Shannon, 0: iguais, 1: nada em comum). Uma softmax dá uma só linha de pesos por"
            " consulta: cada cabeça pode se concentrar numa chave própria (chaves diferentes aqui:"
            " {count}), enquanto a cabeça única tem de dividir uma só linha entre elas. {between}",
            count=len(favourites),
            between=_between(study, ledger, columns),
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


def _between(study: HeadsStudy, ledger: Ledger, columns: _Columns) -> Words:
    """The distances between the rows of the heads."""
    pairs = study.distances[:-1, :-1][np.triu_indices(study.heads, 1)]
    mean = ledger.given(float(pairs.mean()), columns.distance)
    if len(pairs) == 1:
        return words(
            "The distance between the two heads is {distance}.",
            "A distância entre as duas cabeças é {distance}.",
            distance=mean,
        )
    return words(
        "Between two heads the mean distance is {between}, from {nearest} to {farthest}.",
        "Entre duas cabeças a distância média é {between}, de {nearest} a {farthest}.",
        between=mean,
        nearest=ledger.given(float(pairs.min()), columns.distance),
        farthest=ledger.given(float(pairs.max()), columns.distance),
    )


def _costs(study: HeadsStudy) -> Iterator[Block]:
    """Operations and parameters, which are the same."""
    wide = study.heads * study.size
    yield Paragraph(_same_matrices(study))
    yield Equation(
        words(
            "multiplications for q·k with {named}: {heads} × {size} × {keys} = {wide} × {keys} = {all}",
            "multiplicações para q·k com {named}: {heads} × {size} × {keys} = {wide} × {keys} = {all}",
            named=plural(study.keys, Phrase("key", "chave"), Phrase("keys", "chaves")),
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


def _same_matrices(study: HeadsStudy) -> Words:
    values = {"heads": study.heads, "keys": study.keys}
    if study.sharing == 1:
        return words(
            "Neither costs more: both use the same W^Q, W^K, W^V and W^O, and as many multiplications. Only"
            " the exponentials differ, {heads} times {keys} in this row against {keys}.",
            "Nenhuma das duas formas custa mais: ambas usam as mesmas matrizes W^Q, W^K, W^V e W^O e o mesmo"
            " número de multiplicações. Só o número de exponenciais difere: {heads} vezes {keys} nesta"
            " linha, contra {keys}.",
            **values,
        )
    return words(
        "Both take as many multiplications for q·k, but the heads share keys and values: with as many"
        " features of its own, one wide head would need W^K and W^V {sharing} times as large. Of"
        " exponentials the heads take more, {heads} times {keys} in this row against {keys}.",
        "Ambas fazem o mesmo número de multiplicações para q·k, mas as cabeças compartilham chaves e"
        " valores: com tantas componentes próprias, uma cabeça larga precisaria de W^K e W^V {sharing} vezes"
        " maiores. De exponenciais, as cabeças calculam mais: {heads} vezes {keys} nesta linha, contra"
        " {keys}.",
        sharing=study.sharing,
        **values,
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
        operands: list[Word] = [terms[0], *map(Operand, terms[1:])]
        values = {f"term{number}": operand for number, operand in enumerate(operands)}
        added = " + ".join(f"{{{name}}}" for name in values)
        yield Paragraph(
            words(
                "Scores of the heads for {key}, and of the wide head:",
                "Os escores das cabeças para {key}, e o da cabeça única:",
                key=name,
            )
        )
        equation = f"{added} = {{total}}"
        yield Equation(symbols(equation, total=total, **values), equation, total)
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
