"""Section 2: from the query and the key to the logit."""

import math
from collections.abc import Iterator

import numpy as np

from attn_cli.answers.weight import Explanation, RowScores
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
from attn_cli.show.explanation.figures import Column, Figure, Ledger
from attn_cli.show.explanation.phrases import Phrase
from attn_cli.show.explanation.quantities import features, plural
from attn_cli.show.explanation.sections.board import Board, Factor, Steps, sum_of_products
from attn_cli.show.explanation.sections.matrices import every_dot, is_root, is_whole
from attn_cli.show.explanation.sections.position_bias import bias_blocks
from attn_cli.show.explanation.sections.reasons import reason
from attn_cli.vocabulary import Step

_FEATURE = words("feature", "componente")


def blocks(board: Board) -> Iterator[Block]:
    """The dot product, the scale, the soft cap, the position bias and the mask."""
    explanation = board.explanation
    yield Heading(words("2. The score", "2. O escore"))
    scores = explanation.scores
    if scores is None:
        yield from _unknown(explanation)
        return
    yield from _shared_key(explanation)
    key = explanation.projections.get(Step.KEYS)
    is_small = key is not None and is_whole(board, key)
    product = sum_of_products(
        board.ledger,
        (
            Factor(scores.query, board.queries, words("query", "consulta")),
            Factor(scores.keys[explanation.key], board.keys, words("key", "chave")),
        ),
        (symbols("q·k"), float(scores.dots[explanation.key]), board.ledger.column()),
        most=len(scores.query) if is_small else board.most,
        names=(_FEATURE, str),
        rest=lambda count: words("the other {count}", "as outras {count}", count=count),
    )
    yield product.table
    figure = yield from _scaled(board, scores, product.total)
    if is_small:
        yield from every_dot(board, scores, product.total.column, figure.column)
    figure = yield from _capped(board, scores, figure)
    figure = yield from _biased(board, scores, figure)
    yield _mask_sentence(board)
    if not explanation.is_hidden:
        yield Equation(symbols("logit = {logit}", logit=figure))


def _unknown(explanation: Explanation) -> Iterator[Block]:
    yield Paragraph(
        words(
            "The dot product is not known here: {why}.",
            "O produto escalar não é conhecido aqui: {why}.",
            why=reason(explanation.absent, Step.SCORES) or "",
        )
    )


def _shared_key(explanation: Explanation) -> Iterator[Block]:
    """In grouped-query attention: which heads share the key."""
    groups = explanation.kv_heads
    if groups is None or groups == explanation.heads:
        return
    size = explanation.heads // groups
    first = explanation.kv_head * size
    yield Paragraph(
        words(
            "Grouped-query attention (GQA): heads {first} to {last} share the keys and values of"
            " key/value head {head}.",
            "Atenção com consultas agrupadas (GQA): as cabeças {first} a {last} compartilham as chaves e"
            " os valores da cabeça de chave/valor {head}.",
            first=str(first),
            last=str(first + size - 1),
            head=str(explanation.kv_head),
        )
    )


def _scaled(board: Board, scores: RowScores, dot: Figure) -> Steps:
    """q·k × scale, as a division by √D where it is one."""
    key, size = board.explanation.key, len(scores.query)
    value = float(scores.scores[key])
    is_last = scores.softcap is None and scores.bias is None
    column = board.logits if is_last else board.ledger.column()
    if is_root(scores):
        figure = board.ledger.result(value, lambda one: one / math.sqrt(size), (dot,), column)
        root = board.ledger.given(math.sqrt(size))
        _close_with(board.ledger, root, dot, size, column)
        yield Paragraph(
            words(
                "The score is q·k ÷ √d_k, with d_k = {features} and √{size} = {root}:",
                "O escore é q·k ÷ √d_k, com d_k = {features} e √{size} = {root}:",
                features=features(size),
                size=str(size),
                root=root,
            )
        )
        yield Equation(
            symbols("{dot} ÷ √{size} = {score}", dot=dot, size=str(size), score=figure),
            r"s = {dot} \div \sqrt{{{size}}} = {score}",
            figure,
        )
        return figure
    scale = board.ledger.given(scores.scale, board.scale)
    figure = board.ledger.result(value, lambda one, by: one * by, (dot, scale), column)
    yield Paragraph(_of_scale(scores, size))
    yield Equation(
        symbols("{dot} × {scale} = {score}", dot=dot, scale=scale, score=figure),
        r"s = {dot} \times {scale} = {score}",
        figure,
    )
    return figure


def _close_with(ledger: Ledger, root: Figure, dot: Figure, size: int, column: Column) -> None:
    """Give the root enough decimals that dividing by the printed one makes no difference to the score."""

    def difference(one: float, by: float) -> float:
        return 4 * (one / by - one / math.sqrt(size))  # a quarter of what the score may be off by

    ledger.result(0.0, difference, (dot, root), column)


def _of_scale(scores: RowScores, size: int) -> Words:
    name: Word = ""
    if scores.scale_name:
        given = Outside(scores.scale_name)
        name = words(" (set by {name})", " (definida por {name})", name=given)
    if scores.scale == 1:
        return words(
            "This model does not divide by √{size}: its scale is 1{name}.",
            "Este modelo não divide por √{size}: sua escala é 1{name}.",
            size=str(size),
            name=name,
        )
    return words(
        "This model multiplies q·k by a scale of its own{name} instead of 1/√{size}:",
        "Este modelo multiplica q·k por uma escala própria{name} em vez de 1/√{size}:",
        size=str(size),
        name=name,
    )


def _capped(board: Board, scores: RowScores, score: Figure) -> Steps:
    """cap · tanh(score / cap)."""
    cap = scores.softcap
    if cap is None:
        return score
    column = board.logits if scores.bias is None else board.ledger.column()
    value = float(scores.capped[board.explanation.key])
    limit = board.ledger.given(cap)
    figure = board.ledger.result(
        value, lambda one, most: most * math.tanh(one / most), (score, limit), column
    )
    yield Paragraph(
        words(
            "A soft cap keeps the score between -{cap} and {cap}:",
            "Um limite suave (soft cap) mantém o escore entre -{cap} e {cap}:",
            cap=limit,
        )
    )
    yield Formula(words("cap × tanh(score ÷ cap)", "limite × tanh(escore ÷ limite)"), r"c \cdot \tanh(s / c)")
    yield Equation(
        symbols("{cap} × tanh({score} ÷ {cap}) = {capped}", cap=limit, score=score, capped=figure),
        r"{cap} \times \tanh({score} \div {cap}) = {capped}",
        figure,
    )
    return figure


def _biased(board: Board, scores: RowScores, before: Figure) -> Steps:
    """The position bias of the pair."""
    explanation = board.explanation
    if scores.bias is None:
        return before
    bias = yield from bias_blocks(board, scores.bias_terms, float(scores.bias[explanation.key]))
    value = float(scores.capped[explanation.key]) + float(scores.bias[explanation.key])
    if not explanation.is_hidden and explanation.softmax.logits is not None:
        value = float(explanation.softmax.logits[explanation.key])
    figure = board.ledger.total(value, (before, bias), board.logits)
    yield Equation(
        symbols("{before} + {bias} = {sum}", before=before, bias=Operand(bias), sum=figure),
        r"{before} + {bias} = {sum}",
        figure,
    )
    return figure


def _mask_sentence(board: Board) -> Paragraph:
    """Why the query may look at the key, or may not."""
    explanation = board.explanation
    if explanation.is_hidden:
        return Paragraph(
            words(
                "The mask hides this key: {why}. So its logit is -∞ and its weight 0.",
                "A máscara esconde esta chave: {why}. Por isso seu logit é -∞ e seu peso é 0.",
                why=_why(explanation),
            )
        )
    hidden = int(np.count_nonzero(~explanation.softmax.mask))
    if not hidden:
        return Paragraph(
            words(
                "The mask hides no key: this query may look at every one.",
                "A máscara não esconde nenhuma chave: esta consulta pode olhar para todas.",
            )
        )
    return Paragraph(
        words(
            "The mask lets this query look at {seen} of {all} keys, including this one{why}.",
            "A máscara deixa esta consulta olhar para {seen} de {all} chaves, inclusive esta{why}.",
            why=_rule(explanation),
            seen=len(explanation.softmax.mask) - hidden,
            all=len(explanation.softmax.mask),
        )
    )


def _rule(explanation: Explanation) -> Word:
    """What hides the other keys, where that is known."""
    rules = {
        frozenset({"causal"}): words(
            ": it is causal, so later keys are hidden",
            ": ela é causal, por isso as chaves posteriores ficam escondidas",
        ),
        frozenset({"causal", "window"}): words(
            ": it is causal and has a window, so later keys and those too far back are hidden",
            ": ela é causal e tem uma janela, por isso ficam escondidas as chaves posteriores e as muito"
            " anteriores",
        ),
        frozenset({"window"}): words(
            ": keys that are too far back are outside the window",
            ": as chaves muito anteriores ficam fora da janela",
        ),
        frozenset({"nearby"}): words(
            ": keys that are too far away are outside the window",
            ": as chaves muito distantes ficam fora da janela",
        ),
    }
    return rules.get(explanation.hides, "")


def _why(explanation: Explanation) -> Words:
    hidden = explanation.hidden
    places: dict[str, Word] = {"query": str(explanation.query), "key": str(explanation.key)}
    if hidden is None or hidden.cause == "other":
        return words("a rule of the model's own hides it", "uma regra própria do modelo a esconde")
    if hidden.cause == "causal":
        return words(
            "it comes after the query ({key} > {query}), and this attention is causal",
            "ela vem depois da consulta ({key} > {query}), e esta atenção é causal",
            **places,
        )
    if hidden.cause == "padding":
        return words("it is padding", "ela é preenchimento (padding)")
    distance = abs(explanation.query - explanation.key)
    if hidden.cause == "window":
        return words(
            "it is {distance} back, and the window holds only {window}, the query's own included",
            "ela está {distance} atrás, e a janela só abrange {window}, incluído o da própria consulta",
            distance=_tokens(distance),
            window=_tokens(hidden.positions or 0),
        )
    return words(
        "it is {distance} away, and the window reaches {reach} to either side",
        "ela está a {distance} de distância, e a janela alcança {reach} para cada lado",
        distance=_tokens(distance),
        reach=hidden.positions or 0,
    )


def _tokens(count: int) -> Word:
    return plural(count, Phrase("token", "token"), Phrase("tokens", "tokens"))
