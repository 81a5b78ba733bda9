"""The title of an explanation, and the sentence that says what happened."""

from collections.abc import Iterator

import numpy as np

from attn_cli.answers.weight import Explanation
from attn_cli.show.explanation.document import Block, Heading, Paragraph, Word, Words, words
from attn_cli.show.explanation.sections.board import Board, ratio
from attn_cli.vocabulary import Kind


def opening(board: Board) -> Iterator[Block]:
    """The question, and which head it is about."""
    explanation = board.explanation
    weight = board.ledger.given(explanation.softmax.weights[explanation.key])
    values: dict[str, Word] = {"query": board.query, "key": board.key, "weight": weight}
    if explanation.is_hidden:
        title = words("Why does {query} not look at {key}?", "Por que {query} não olha para {key}?", **values)
    else:
        title = words(
            "Why does {query} look at {key} with weight {weight}?",
            "Por que {query} olha para {key} com peso {weight}?",
            **values,
        )
    yield Heading(title, level=1)
    yield Paragraph(
        words(
            "{head} of {model}. Each result follows from the digits printed above it; what rounding leaves"
            " over is printed too. Numbers of other tokens come about in the same way.",
            "{head} do modelo {model}. Cada resultado decorre dos dígitos impressos acima dele; o que sobra"
            " do arredondamento também é impresso. Os números de outros tokens surgem do mesmo modo.",
            head=_head(explanation),
            model=board.model_name,
        )
    )


def _head(explanation: Explanation) -> Words:
    """The head, with its kind in an encoder-decoder model."""
    place: dict[str, Word] = {"head": f"{explanation.layer}.{explanation.head}"}
    if explanation.kind is Kind.ENCODER:
        return words("Head {head} of the encoder", "Cabeça {head} do codificador", **place)
    if explanation.kind is Kind.DECODER:
        return words("Head {head} of the decoder", "Cabeça {head} do decodificador", **place)
    if explanation.kind is Kind.CROSS:
        return words("Cross-attention head {head}", "Cabeça {head} da atenção cruzada", **place)
    return words("Head {head}", "Cabeça {head}", **place)


def closing(board: Board) -> Iterator[Block]:
    """One sentence that says what happened."""
    yield Heading(words("5. In one sentence", "5. Em uma frase"))
    yield Paragraph(_sentence(board))


def _sentence(board: Board) -> Words:
    explanation = board.explanation
    softmax = explanation.softmax
    if not softmax.mask.any():
        return words(
            "{query} may look at no key, so this head writes nothing for it.",
            "{query} não pode olhar para nenhuma chave, então esta cabeça não escreve nada para esse token.",
            query=board.query,
        )
    if explanation.is_hidden:
        best = int(softmax.weights.argmax())
        return words(
            "{query} gives {key} no weight because the mask hides it; its largest weight, {weight}, goes"
            " to {best}.",
            "{query} não dá nenhum peso a {key} porque a máscara esconde essa chave; o maior peso,"
            " {weight}, vai para {best}.",
            query=board.query,
            key=board.key,
            weight=board.ledger.given(softmax.weights[best]),
            best=board.key_at(best),
        )
    return _compared(board)


def _compared(board: Board) -> Words:
    """The key beside the best other key: how much more weight, and why."""
    explanation = board.explanation
    softmax, key = explanation.softmax, explanation.key
    weight = board.ledger.given(softmax.weights[key])
    others = np.flatnonzero(softmax.mask)
    others = others[others != key]
    values: dict[str, Word] = {"query": board.query, "key": board.key, "weight": weight}
    if not others.size:
        return words(
            "{query} puts {weight} of its weight on {key}, the only key it may look at.",
            "{query} põe {weight} do seu peso em {key}, a única chave para a qual pode olhar.",
            **values,
        )
    rival = int(others[softmax.weights[others].argmax()])
    values |= {"rival": board.key_at(rival)}
    if softmax.logits is None:
        return words(
            "{query} puts {weight} of its weight on {key}; of the other keys, {rival} gets the most.",
            "{query} põe {weight} do seu peso em {key}; das outras chaves, {rival} recebe o maior peso.",
            **values,
        )
    own, other = (board.ledger.given(softmax.logits[one], board.logits) for one in (key, rival))
    values |= {"own": own, "other": other}
    if softmax.weights[key] == softmax.weights[rival]:
        return words(
            "{query} puts {weight} of its weight on {key}, as much as on {rival}: both have the logit {own}.",
            "{query} põe {weight} do seu peso em {key}, tanto quanto em {rival}: ambas têm o logit {own}.",
            **values,
        )
    if own.value >= other.value:
        return words(
            "{query} puts {weight} of its weight on {key}: its logit {own} is above the {other} of"
            " {rival}, the next best, which gives it {times} times as much weight.",
            "{query} põe {weight} do seu peso em {key}: o logit {own} está acima de {other}, o de"
            " {rival}, a segunda colocada, o que lhe dá {times} vezes o peso dela.",
            times=ratio(board.ledger, own, other),
            **values,
        )
    return words(
        "{query} puts only {weight} of its weight on {key}: its logit {own} is below the {other} of {rival},"
        " which has {times} times as much weight.",
        "{query} põe só {weight} do seu peso em {key}: o logit {own} está abaixo de {other}, o de"
        " {rival}, que recebe {times} vezes o peso dela.",
        times=ratio(board.ledger, other, own),
        **values,
    )
