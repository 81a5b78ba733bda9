"""Attention beside a recurrent network's: the lesson about scores and distances."""

from collections.abc import Iterator, Sequence

import numpy as np

from attn_cli.answers.lessons.recurrence import FADE, RecurrenceStudy
from attn_cli.answers.lessons.windows import Origin
from attn_cli.grid import Sides
from attn_cli.show.explanation.document import (
    Block,
    Equation,
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
from attn_cli.show.explanation.figures import Figure, Ledger
from attn_cli.show.explanation.labels import ROUNDING, rest_label, token_label, token_name
from attn_cli.show.explanation.lessons.ending import Base, go_on, to_check
from attn_cli.show.explanation.lessons.listing import Listing, listing
from attn_cli.show.explanation.phrases import Phrase
from attn_cli.show.explanation.quantities import plural
from attn_cli.vocabulary import Lesson

_FEATURES = 4  # listed of the additive score
_KEY = words("key", "chave")


def blocks(study: RecurrenceStudy, ledger: Ledger, sides: Sides, base: Base) -> Iterator[Block]:
    """The lesson in reading order."""
    title = words(
        "How does attention differ from a recurrent network?",
        "Em que a atenção difere de uma rede recorrente?",
    )
    yield Heading(title, 1)
    listed = listing(study.visible, study.weights, always=(study.key,))
    yield from _scores(study, ledger, sides, listed)
    yield from _cost(study)
    if study.longest_path:
        yield from _distances(study, ledger, sides, listed)
        yield from _paths(study)
    yield from _checks(study, ledger, sides)
    yield go_on(
        words("Next, attention as a graph:", "Em seguida, a atenção como um grafo:"),
        base,
        study.place,
        study.query,
        "--lesson",
        Lesson.GRAPH.value,
    )


def _scores(study: RecurrenceStudy, ledger: Ledger, sides: Sides, listed: Listing) -> Iterator[Block]:
    yield Paragraph(
        words(
            "A recurrent network reads token by token. Bahdanau, Cho and Bengio (2014, arXiv:1409.0473)"
            " let one that translates look with attention: at each word that its decoder writes, it looks at"
            " all states of the encoder. A small network scores each pair, where a transformer takes a dot"
            " product. Here both score the same vectors: query {query} and the"
            " keys of head {head} of {model}, D = {size}. W, U (D × D) and v (D) are random numbers from"
            " N(0, 1/D), seed {seed}: the additive row is not trained.",
            "Uma rede recorrente lê token por token. Bahdanau, Cho e Bengio (2014, arXiv:1409.0473)"
            " deram atenção a uma rede que traduz: a cada palavra que o decodificador escreve, ele olha para"
            " todos os estados do codificador. Uma pequena rede calcula o escore de cada par; um transformer"
            " usa, em vez dela, um produto escalar. Aqui os dois"
            " avaliam os mesmos vetores: a consulta {query} e as chaves da cabeça {head} do modelo"
            " {model}, D = {size}. W, U (D × D) e v (D) são números aleatórios de N(0, 1/D), semente"
            " {seed}: a linha aditiva não foi treinada.",
            query=token_name(sides.queries, study.query),
            head="{}.{}".format(*study.place),
            model=Outside(study.model),
            size=study.size,
            seed=str(study.seed),
        )
    )
    yield Formula(
        words("additive: e = v · tanh(W q + U k)", "aditivo: e = v · tanh(W q + U k)"),
        r"e_{ij} = v^\top \tanh(W q_i + U k_j)",
    )
    columns = (
        TableColumn(_KEY, is_number=False),
        TableColumn(words("logit", "logit"), is_optional=True),
        TableColumn(words("weight", "peso")),
        TableColumn(words("additive e", "e aditivo"), is_optional=True),
        TableColumn(words("weight of e", "peso de e")),
    )
    yield Table(columns, list(_score_rows(study, ledger, sides, listed)))
    yield Paragraph(_said_of_logits(study))


def _said_of_logits(study: RecurrenceStudy) -> Words:
    nothing = words("", "")
    return words(
        "The logit is q·k × scale{softcap}{bias}. Both rows have the same mask and the same softmax.{sink}",
        "O logit é q·k × escala{softcap}{bias}. As duas linhas têm a mesma máscara e a mesma softmax.{sink}",
        softcap=words(", soft-capped", ", com limite suave") if study.has_softcap else nothing,
        bias=words(", plus a position bias", ", mais um viés de posição") if study.has_bias else nothing,
        sink=words(
            " A learned sink takes what is missing from the sum of the first.",
            " Um sumidouro aprendido (sink) fica com o que falta na soma da primeira.",
        )
        if study.has_sink
        else nothing,
    )


def _score_rows(study: RecurrenceStudy, ledger: Ledger, sides: Sides, listed: Listing) -> Iterator[Row]:
    logits, scores = ledger.column(), ledger.column()
    shares = ledger.column(), ledger.column()
    terms: tuple[list[Figure], list[Figure]] = ([], [])
    weights = (study.weights, study.additive_weights)
    for key in listed.keys:
        for column, of_row, values in zip(shares, terms, weights, strict=True):
            of_row.append(ledger.given(values[key], column))
        logit = ledger.given(study.logits[key], logits)
        score = ledger.given(study.additive[key], scores)
        yield Row(
            (token_label(sides.keys, key), logit, terms[0][-1], score, terms[1][-1]),
            Tone.CHOSEN if key == study.key else Tone.PLAIN,
        )
    if listed.rest:
        for column, of_row, values in zip(shares, terms, weights, strict=True):
            of_row.append(ledger.given(values[list(listed.rest)].sum(), column))
        name = rest_label(len(listed.rest))
        yield Row((name, None, terms[0][-1], None, terms[1][-1]), Tone.QUIET)
    totals = [
        ledger.total(values.sum(), of_row, column)
        for column, of_row, values in zip(shares, terms, weights, strict=True)
    ]
    yield Row((ROUNDING, None, Remainder(totals[0]), None, Remainder(totals[1])), Tone.QUIET)
    yield Row((words("sum", "soma"), None, totals[0], None, totals[1]), Tone.TOTAL)


def _cost(study: RecurrenceStudy) -> Iterator[Block]:
    size, queries, keys = study.size, study.queries, study.keys
    additive = study.additive_products + study.additive_pairs
    yield Heading(words("What a score costs", "Quanto custa um escore"))
    yield Equation(
        words(
            "q·k: 2·D·T·S = 2 × {size} × {queries} × {keys} = {product} operations",
            "q·k: 2·D·T·S = 2 × {size} × {queries} × {keys} = {product} operações",
            size=size,
            queries=queries,
            keys=keys,
            product=study.dot_operations,
        )
    )
    yield Equation(
        words(
            "additive: 2·D²·(T + S) + 4·D·T·S = 2 × {square} × {both} + 4 × {size} × {queries} × {keys} ="
            " {total} operations",
            "aditivo: 2·D²·(T + S) + 4·D·T·S = 2 × {square} × {both} + 4 × {size} × {queries} × {keys} ="
            " {total} operações",
            square=size**2,
            both=queries + keys,
            size=size,
            queries=queries,
            keys=keys,
            total=additive,
        )
    )
    yield Paragraph(
        words(
            "For one head: W q and U k are computed once per token; each pair then takes D sums, D tanh"
            " and the product with v. In long texts that is twice the dot product, which is also a single"
            " matrix product and keeps no T·S·D numbers: that is why Vaswani et al. (2017), section"
            " 3.2.1, preferred it.",
            "Para uma cabeça: W q e U k são calculados uma vez por token; cada par exige depois D somas,"
            " D tanh e o produto por v. Em textos longos, isso é o dobro do produto escalar, que além"
            " disso é um único produto de matrizes e não guarda T·S·D números: por isso ele foi preferido"
            " em Vaswani et al. (2017), seção 3.2.1.",
        )
    )


def _distances(study: RecurrenceStudy, ledger: Ledger, sides: Sides, listed: Listing) -> Iterator[Block]:
    yield Heading(words("How far apart two tokens are", "A que distância estão dois tokens"))
    columns = (
        TableColumn(_KEY, is_number=False),
        TableColumn(words("recurrent steps", "passos recorrentes")),
        TableColumn(words("in attention", "na atenção"), is_optional=True),
        TableColumn(_faded_heading(ledger)),
        TableColumn(words("weight", "peso"), is_optional=True),
    )
    yield Table(columns, [_distance_row(study, ledger, sides, key) for key in _few(listed.keys, study.key)])
    yield Paragraph(
        words(
            "{path} Attention links every pair that the mask allows in one step{causal}. {fade}^n is what is"
            " left of a signal that keeps {fade} of itself at each step: an illustration, because trained"
            " networks differ, and gates (LSTM, GRU) were made to keep more. In attention nothing fades on"
            " the way: the weight is what the scores make it.{hidden}",
            "{path} A atenção liga num único passo cada par que a máscara permite{causal}. {fade}^n é o"
            " que resta de um sinal que conserva {fade} de si a cada passo: uma ilustração, pois redes"
            " treinadas são diferentes, e as portas (LSTM, GRU) foram criadas para conservar mais. Na"
            " atenção, nada se perde no caminho: o peso é o que os escores fazem dele.{hidden}",
            path=_path(study),
            causal=words(", but only backwards", ", mas só para trás") if study.is_causal else "",
            fade=ledger.given(FADE, ledger.column(1)),
            hidden=_hidden(study, sides),
        )
    )


def _few(keys: Sequence[int], chosen: int) -> Sequence[int]:
    """The nearest and the farthest of the keys, one between them, and the chosen one."""
    shown = {keys[0], keys[len(keys) // 2], keys[-1], *({chosen} & set(keys))}
    return sorted(shown)


def _path(study: RecurrenceStudy) -> Word:
    if study.is_cross:
        return words(
            "A recurrent network without attention carries token j of S through the encoder, one step into"
            " the decoder, and on to query i: n = S - j + i steps (Sutskever et al. 2014, arXiv:1409.3215).",
            "Uma rede recorrente sem atenção leva o token j de S pelo codificador, um passo até o"
            " decodificador, e segue até a consulta i: n = S - j + i passos (Sutskever et al. 2014,"
            " arXiv:1409.3215).",
        )
    return words(
        "In a recurrent network, what is known of token j reaches token i after n = |i - j|"
        " steps{directions}.",
        "Numa rede recorrente, o que se sabe do token j chega ao token i depois de n = |i - j|"
        " passos{directions}.",
        directions=""
        if study.is_causal
        else words(", if it reads in both directions", ", se ela lê nos dois sentidos"),
    )


def _hidden(study: RecurrenceStudy, sides: Sides) -> Word:
    if study.key in study.visible:
        return ""
    return words(
        " The mask hides key {key} from this query.",
        " A máscara esconde a chave {key} desta consulta.",
        key=token_name(sides.keys, study.key),
    )


def _faded_heading(ledger: Ledger) -> Words:
    return symbols("{fade}^n", fade=ledger.given(FADE, ledger.column(1)))


def _distance_row(study: RecurrenceStudy, ledger: Ledger, sides: Sides, key: int) -> Row:
    steps = study.steps(key)
    faded = ledger.result(FADE**steps, lambda: FADE**steps, ())
    weight = ledger.given(study.weights[key])
    return Row(
        (token_label(sides.keys, key), steps, 1, faded, weight),
        Tone.CHOSEN if key == study.key else Tone.PLAIN,
    )


def _paths(study: RecurrenceStudy) -> Iterator[Block]:
    """Table 1 of Vaswani et al. 2017, with the numbers of this text."""
    yield Heading(words("A whole layer", "Uma camada inteira"))
    columns = (
        TableColumn(words("layer", "camada"), is_number=False),
        TableColumn(words("operations", "operações"), is_optional=True),
        TableColumn(words("in sequence", "em sequência")),
        TableColumn(words("longest path", "caminho máximo")),
    )
    rows = [
        Row(
            (
                words("attention", "atenção"),
                study.queries * study.keys * study.width,
                1,
                min(1, study.longest_path),
            ),
            Tone.CHOSEN,
        ),
        Row(
            (
                words("recurrent", "recorrente"),
                study.recurrent_operations,
                study.sequential,
                study.longest_path,
            )
        ),
    ]
    window = study.window
    if window is not None:
        name = words("window of {tokens}", "janela de {tokens}", tokens=window.tokens)
        rows.append(Row((name, study.windowed_operations, 1, study.longest_windowed)))
    yield Table(columns, rows)
    yield Paragraph(
        words(
            "After table 1 of Vaswani et al. (2017), with d = H·D = {heads} × {size} = {width}: attention"
            " {pairs}·d, recurrent {tokens}·d²{windowed}; without constant factors and without the"
            " projections, as in the paper. {equal} In sequence: steps that must wait for one"
            " another.{reach}",
            "Segundo a tabela 1 de Vaswani et al. (2017), com d = H·D = {heads} × {size} = {width}: atenção"
            " {pairs}·d, recorrente {tokens}·d²{windowed}; sem os fatores constantes e sem as projeções,"
            " como no artigo. {equal} Em sequência: passos que precisam esperar uns pelos outros.{reach}",
            heads=study.heads,
            size=study.size,
            width=study.width,
            pairs="T·S" if study.is_cross else "T²",
            tokens="(T + S)" if study.is_cross else "T",
            equal=_crossing(study),
            windowed="" if window is None else words(", window r·T·d", ", janela r·T·d"),
            reach="" if window is None else _reach(study),
        )
    )


def _crossing(study: RecurrenceStudy) -> Words:
    """Where attention and a recurrent layer take as many operations."""
    if study.is_cross:
        return words(
            "They are equal where T·S ÷ (T + S) = d = {width}.",
            "Eles são iguais quando T·S ÷ (T + S) = d = {width}.",
            width=study.width,
        )
    return words(
        "They are equal at T = d = {width} tokens; a longer text costs attention more.",
        "Eles são iguais com T = d = {width} tokens; um texto mais longo custa mais à atenção.",
        width=study.width,
    )


def _reach(study: RecurrenceStudy) -> Word:
    window = study.window
    assert window is not None, "checked by the caller"
    origin = {
        Origin.LAYER: Phrase("of this layer", "desta camada"),
        Origin.MODEL: Phrase("of other layers of this model", "de outras camadas deste modelo"),
        Origin.CONFIGURATION: Phrase(
            "named in this model's configuration", "que consta da configuração deste modelo"
        ),
        Origin.EXAMPLE: Phrase("taken as an example", "tomada como exemplo"),
    }[window.origin]
    if not window.reach:
        return words(
            " A window of one token ({origin}) sees no other token: no path leads anywhere.",
            " Uma janela de um token ({origin}) não vê nenhum outro: nenhum caminho leva a outro token.",
            origin=origin,
        )
    return words(
        " The window ({origin}) reaches {reach} back in one layer, so {longest} back takes {longest} ÷"
        " {reach}, rounded up: {layers}.",
        " A janela ({origin}) recua {reach} numa camada; para recuar {longest}, é preciso {longest} ÷"
        " {reach}, arredondado para cima: {layers}.",
        origin=origin,
        reach=window.reach,
        longest=study.longest_path,
        layers=plural(study.longest_windowed, Phrase("layer", "camada"), Phrase("layers", "camadas")),
    )


def _checks(study: RecurrenceStudy, ledger: Ledger, sides: Sides) -> Iterator[Block]:
    yield to_check()
    terms = study.terms
    yield Paragraph(
        words(
            "The additive score of key {key}, with a = W q and b = U k; a product is v·tanh(a + b):",
            "O escore aditivo da chave {key}, com a = W q e b = U k; um produto é v·tanh(a + b):",
            key=token_name(sides.keys, study.key),
        )
    )
    order = np.argsort(-np.abs(terms.v * terms.tanh), kind="stable")
    chosen = order if len(order) <= _FEATURES + 1 else order[:_FEATURES]
    sums, factors, products = ledger.column(), ledger.column(), ledger.column()
    figures, rows = list[Figure](), list[Row]()
    for feature in chosen:
        a, b = (ledger.given(values[feature], sums) for values in (terms.of_query, terms.of_key))
        v = ledger.given(terms.v[feature], factors)
        product = float(terms.v[feature] * terms.tanh[feature])
        figures.append(ledger.result(product, _additive, (v, a, b), products))
        rows.append(Row((int(feature), a, b, v, figures[-1])))
    others = terms.v * terms.tanh
    if len(chosen) < len(order):
        rest = float(others.sum() - others[chosen].sum())
        figures.append(ledger.given(rest, products))
        name = words("the other {count}", "as outras {count}", count=len(order) - len(chosen))
        rows.append(Row((name, None, None, None, figures[-1]), Tone.QUIET))
    total = ledger.total(terms.score, figures, products)
    rows.append(Row((ROUNDING, None, None, None, Remainder(total)), Tone.QUIET))
    rows.append(Row((symbols("e"), None, None, None, total), Tone.TOTAL))
    columns = (
        TableColumn(words("feature", "componente"), is_number=False),
        TableColumn(symbols("a")),
        TableColumn(symbols("b")),
        TableColumn(symbols("v")),
        TableColumn(words("product", "produto")),
    )
    yield Table(columns, rows)


def _additive(v: float, a: float, b: float) -> float:
    return v * float(np.tanh(a + b))
