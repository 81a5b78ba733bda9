"""What the position bias of one pair is made of, in a sentence and an equation."""

from attn_cli.answers.weight import BiasTerms
from attn_cli.show.explanation.document import Equation, Operand, Paragraph, Word, symbols, words
from attn_cli.show.explanation.sections.board import Board, Steps


def bias_blocks(board: Board, terms: BiasTerms | None, bias: float) -> Steps:
    """The bias, and where it comes from if that is known; ends in its figure."""
    if terms is not None and terms.slope is not None:
        return (yield from _alibi(board, terms.slope, bias))
    if terms is not None and terms.scale is not None:
        return (yield from _disentangled(board, terms, terms.scale, bias))
    if terms is not None:
        return (yield from _bucket(board, terms, bias))
    figure = board.ledger.given(bias)
    yield Paragraph(
        words(
            "The model adds {bias} for the positions of the two tokens:",
            "O modelo soma {bias} pelas posições dos dois tokens:",
            bias=figure,
        )
    )
    return figure


def _alibi(board: Board, slope: float, bias: float) -> Steps:
    """The head's slope times the position of the key."""
    key = board.explanation.key
    own = board.ledger.given(slope)
    figure = board.ledger.result(bias, lambda one: one * key, (own,))
    yield Paragraph(
        words(
            "ALiBi adds the head's slope {slope} times the position of the key; compared with the slope"
            " times the distance, this differs by a constant in each row, which changes no weight:",
            "O ALiBi soma a inclinação {slope} da cabeça vezes a posição da chave; em comparação com a"
            " distância vezes a inclinação, a diferença é uma constante em cada linha, o que não muda"
            " nenhum peso:",
            slope=own,
        )
    )
    yield Equation(
        symbols("{slope} × {key} = {bias}", slope=own, key=str(key), bias=figure),
        r"{slope} \times {key} = {bias}",
        figure,
    )
    return figure


def _bucket(board: Board, terms: BiasTerms, bias: float) -> Steps:
    """A learned number for the distance."""
    figure = board.ledger.given(bias)
    explanation = board.explanation
    yield Paragraph(
        words(
            "The distance from the query to the key is {distance}, which is in bucket {bucket} of"
            " {buckets}; for it this head has learned a bias of {bias}:",
            "A distância da consulta à chave é {distance}, que cai no intervalo (bucket) {bucket} de"
            " {buckets}; para ele esta cabeça aprendeu um viés de {bias}:",
            distance=str(explanation.key - explanation.query),
            bucket=str(terms.bucket),
            buckets=str(terms.buckets),
            bias=figure,
        )
    )
    return figure


def _disentangled(board: Board, terms: BiasTerms, scale: float, bias: float) -> Steps:
    """DeBERTa's terms: the query with the distance's key, and the key with the distance's query."""
    ledger = board.ledger
    content = None if terms.content_to_position is None else ledger.given(terms.content_to_position)
    position = None if terms.position_to_content is None else ledger.given(terms.position_to_content)
    factor = ledger.given(scale)
    parts = [one for one in (content, position) if one is not None]
    figure = ledger.result(bias, lambda by, *values: by * sum(values), (factor, *parts))
    values: dict[str, Word] = {"scale": factor, "bias": figure}
    values |= {} if content is None else {"content": content}
    values |= {} if position is None else {"position": Operand(position)}
    summed = (
        "({content} + {position})"
        if len(parts) > 1
        else "".join("{" + each + "}" for each in values if each in {"content", "position"})
    )
    explanation = board.explanation
    yield Paragraph(
        words(
            "DeBERTa adds products with embeddings of the distance, {distance} (row {row} of {rows}): query"
            " with distance (content to position), then key with distance (position to content), each where"
            " the model has it, times the scale of its scores:",
            "O DeBERTa soma produtos com embeddings da distância, {distance} (linha {row} de {rows}):"
            " consulta com distância (conteúdo para posição), depois chave com distância (posição para"
            " conteúdo), cada um se o modelo o tiver, vezes a escala dos seus escores:",
            distance=str(explanation.query - explanation.key),
            row=str(terms.bucket),
            rows=str(terms.buckets),
        )
    )
    yield Equation(symbols(f"{summed} × {{scale}} = {{bias}}", **values), closes=figure)
    return figure
