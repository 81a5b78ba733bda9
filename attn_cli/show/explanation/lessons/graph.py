"""Attention as a graph: the lesson about nodes, edges and messages."""

import math
from collections.abc import Iterator

from attn_cli.answers.lessons.graph import STRONG, Agreement, Degrees, GraphStudy
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
    Words,
    symbols,
    words,
)
from attn_cli.show.explanation.figures import Figure, Ledger
from attn_cli.show.explanation.labels import ROUNDING, rest_label, token_label, token_name
from attn_cli.show.explanation.lessons.ending import Base, command, to_check
from attn_cli.show.explanation.lessons.listing import listing
from attn_cli.show.explanation.phrases import Phrase
from attn_cli.show.explanation.quantities import in_scientific_notation, plural

_KEYS = 6  # listed in a table
_NOTHING = words("", "")
_CONTEXTS = (
    Phrase("are exactly the layer's own", "são exatamente os da própria camada"),
    Phrase(
        "differ from the layer's own by at most {difference} (largest number: {largest})",
        "diferem dos da própria camada em no máximo {difference} (maior número: {largest})",
    ),
)
_OUTPUTS = (
    Phrase("give exactly the layer's output", "dão exatamente a saída da camada"),
    Phrase(
        "differ from the layer's output by at most {difference} (largest number: {largest})",
        "diferem da saída da camada em no máximo {difference} (maior número: {largest})",
    ),
)


def blocks(study: GraphStudy, ledger: Ledger, sides: Sides, base: Base) -> Iterator[Block]:
    """The lesson in reading order."""
    title = words("What does attention look like as a graph?", "Como é a atenção vista como um grafo?")
    yield Heading(title, 1)
    yield from _graph(study)
    yield from _messages(study, ledger, sides)
    yield from _agreements(study, ledger)
    if study.degrees is not None:
        yield from _degrees(study, study.degrees, ledger, sides)
    yield from _layers(study, sides)
    yield from _checks(study, ledger, sides)
    layer, head = study.place
    yield command(
        words("Next, every edge of this head:", "Em seguida, todas as arestas desta cabeça:"),
        "inspect",
        base,
        "-l",
        str(layer),
        "-H",
        str(head),
        "-s",
        "weights",
    )


def _graph(study: GraphStudy) -> Iterator[Block]:
    nodes = words("Each token is a node.", "Cada token é um nó.")
    if study.is_cross:
        nodes = words(
            "The {queries} and {keys} tokens of the two texts are the nodes.",
            "Os {queries} e {keys} tokens dos dois textos são os nós.",
            queries=study.queries,
            keys=study.keys,
        )
    yield Paragraph(
        words(
            "{nodes} An edge leads from key j to query i where the mask lets i look at j, and its weight is"
            " α_ij. The heads of layer {layer} of {model} ({heads}) have the same edges, each with weights"
            " of its own. {counted}",
            "{nodes} Uma aresta vai da chave j à consulta i sempre que a máscara deixa i olhar para j, e"
            " o seu peso é α_ij. As cabeças da camada {layer} do modelo {model} ({heads}) têm as mesmas"
            " arestas, cada uma com os seus próprios pesos. {counted}",
            nodes=nodes,
            heads=study.heads,
            layer=str(study.place[0]),
            model=Outside(study.model),
            counted=_counted(study),
        )
    )
    if study.edges == study.formula_edges:
        yield _edges(study)


def _counted(study: GraphStudy) -> Words:
    if study.edges == study.formula_edges:
        return words("Counted in the mask, the edges are", "Contadas pela máscara, as arestas são")
    return words(
        "Counted in the mask, {edges} of the {pairs} pairs are edges{window}.",
        "Pela máscara, {edges} dos {pairs} pares são arestas{window}.",
        edges=study.edges,
        pairs=study.queries * study.keys,
        window=_NOTHING
        if study.window is None
        else words(
            ", because a window hides keys more than {reach} back",
            ", porque uma janela esconde as chaves a uma distância maior que {reach} para trás",
            reach=study.window.reach,
        ),
    )


def _edges(study: GraphStudy) -> Equation:
    if study.is_causal:
        return Equation(
            symbols(
                "T·(T + 1) ÷ 2 = {tokens} × {more} ÷ 2 = {edges}",
                tokens=study.queries,
                more=study.queries + 1,
                edges=study.edges,
            ),
            r"\frac{{T (T + 1)}}{{2}} = \frac{{{tokens} \times {more}}}{{2}} = {edges}",
        )
    return Equation(
        symbols(
            "T·S = {queries} × {keys} = {edges}", queries=study.queries, keys=study.keys, edges=study.edges
        ),
        r"T S = {queries} \times {keys} = {edges}",
    )


def _messages(study: GraphStudy, ledger: Ledger, sides: Sides) -> Iterator[Block]:
    yield Heading(words("One step of message passing", "Uma etapa da passagem de mensagens"))
    yield Formula(
        words("message m_ij = α_ij v_j;  a_i = Σ_j m_ij", "mensagem m_ij = α_ij v_j;  a_i = Σ_j m_ij"),
        r"m_{ij} = \alpha_{ij} v_j, \qquad a_i = \sum_j m_{ij}",
    )
    yield Paragraph(
        words(
            "Every key sends its value, every edge multiplies it by its weight, every query adds up what"
            " arrives (Gilmer et al. 2017, arXiv:1704.01212). A graph attention network (Veličković et al."
            " 2018, arXiv:1710.10903) does so on a given graph, with additive"
            " scores as in --lesson recurrence; here the mask is the graph. What arrives at"
            " {query} in head {head}, in feature {feature} of the values:",
            "Cada chave envia o seu valor, cada aresta o multiplica pelo seu peso, e cada consulta soma o"
            " que chega (Gilmer et al. 2017, arXiv:1704.01212). Uma rede de atenção em grafos (graph"
            " attention network; Veličković et al. 2018, arXiv:1710.10903) faz isso num grafo dado, com"
            " escores aditivos como em --lesson recurrence; aqui o grafo é a máscara. O que chega a {query}"
            " na cabeça {head}, na componente {feature} dos valores:",
            query=token_name(sides.queries, study.query),
            head="{}.{}".format(*study.place),
            feature=str(study.feature),
        )
    )
    yield _message_table(study, ledger, sides)


def _message_table(study: GraphStudy, ledger: Ledger, sides: Sides) -> Table:
    listed = listing(study.visible, study.weights, always=(study.key,))
    shares, values, messages = ledger.column(), ledger.column(), ledger.column()
    terms, rows = list[Figure](), list[Row]()
    for key in listed.keys:
        weight, value = ledger.given(study.weights[key], shares), ledger.given(study.sent[key], values)
        message = study.weights[key] * study.sent[key]
        terms.append(ledger.result(message, _times, (weight, value), messages))
        tone = Tone.CHOSEN if key == study.key else Tone.PLAIN
        rows.append(Row((token_label(sides.keys, key), weight, value, terms[-1]), tone))
    if listed.rest:
        rest = list(listed.rest)
        weight = ledger.given(study.weights[rest].sum(), shares)
        terms.append(ledger.given((study.weights[rest] * study.sent[rest]).sum(), messages))
        rows.append(Row((rest_label(len(rest)), weight, None, terms[-1]), Tone.QUIET))
    total = ledger.total(study.received, terms, messages)
    rows.append(Row((ROUNDING, None, None, Remainder(total)), Tone.QUIET))
    rows.append(Row((words("context", "contexto"), None, None, total), Tone.TOTAL))
    columns = (
        TableColumn(words("from key", "da chave"), is_number=False),
        TableColumn(symbols("α")),
        TableColumn(symbols("v")),
        TableColumn(symbols("α·v")),
    )
    return Table(columns, rows)


def _times(weight: float, value: float) -> float:
    return weight * value


def _agreements(study: GraphStudy, ledger: Ledger) -> Iterator[Block]:
    yield Heading(words("The messages are the layer", "As mensagens são a camada"))
    both = [study.context] if study.output is None else [study.context, study.output]
    yield Paragraph(
        words(
            "With the messages added up edge by edge, in float64, the contexts of this head ({compared})"
            " {agree}. {output}{rounding}",
            "Com as mensagens somadas aresta por aresta, em float64, os contextos desta cabeça"
            " ({compared}) {agree}. {output}{rounding}",
            compared=_compared(study.context),
            agree=_agree(study.context, ledger, _CONTEXTS),
            output=_output(study, ledger),
            rounding=words(" What is left is rounding.", " O que resta é arredondamento.")
            if any(one.difference for one in both)
            else _NOTHING,
        )
    )
    if study.degrees is None:
        yield Paragraph(
            words(
                "The text has too many pairs to list them all, so only the edges of this query were"
                " compared, and who sends most is left out.",
                "O texto tem pares demais para listar todos; por isso, só as arestas desta consulta foram"
                " comparadas, e não se mostra quem envia mais.",
            )
        )


def _compared(agreement: Agreement) -> Words:
    return words(
        "{rows}, {edges}",
        "{rows}, {edges}",
        rows=plural(agreement.rows, Phrase("query", "consulta"), Phrase("queries", "consultas")),
        edges=plural(agreement.edges, Phrase("edge", "aresta"), Phrase("edges", "arestas")),
    )


def _output(study: GraphStudy, ledger: Ledger) -> Words:
    if study.output is None:
        return words("W^O of this layer is not known.", "A matriz W^O desta camada não é conhecida.")
    return words(
        "All heads together, with W^O{bias} ({compared}), {agree}.",
        "Todas as cabeças juntas, com W^O{bias} ({compared}), {agree}.",
        bias=words(" and its bias", " e o seu viés") if study.has_bias else _NOTHING,
        compared=_compared(study.output),
        agree=_agree(study.output, ledger, _OUTPUTS),
    )


def _agree(agreement: Agreement, ledger: Ledger, named: tuple[Phrase, Phrase]) -> Words:
    """That two results are the same, or by how much they differ."""
    same, other = named
    if not agreement.difference:
        return Words(same)
    return Words(
        other,
        {
            "difference": in_scientific_notation(ledger, agreement.difference),
            "largest": ledger.given(agreement.largest),
        },
    )


def _degrees(study: GraphStudy, degrees: Degrees, ledger: Ledger, sides: Sides) -> Iterator[Block]:
    yield Heading(words("Who sends, who receives", "Quem envia, quem recebe"))
    yield _degree_table(study, degrees, ledger, sides)
    of_sink = _NOTHING
    if study.sink is not None:
        of_sink = words(
            " A learned sink takes {sink} of all rows together; it sends nothing.",
            " Um sumidouro aprendido (sink) fica com {sink} de todas as linhas juntas; ele não envia nada.",
            sink=ledger.given(degrees.of_sink),
        )
    receives = words(
        " Received: the edges of the token's row with a weight above {strong} (strong), and e^H, the"
        " number of edges of equal weight with the same entropy H.",
        " Recebidas: as arestas da linha do token com peso acima de {strong} (fortes) e e^H, o número de"
        " arestas de mesmo peso com a mesma entropia H.",
        strong=ledger.given(STRONG, ledger.column(1)),
    )
    yield Paragraph(
        words(
            "Sent: Σ_i α_ij, the sum of the key's column; each query gives out"
            " 1.{early}{sink}{receives}{strongest}",
            "Enviado: Σ_i α_ij, a soma da coluna da chave; cada consulta distribui"
            " 1.{early}{sink}{receives}{strongest}",
            early=_early(study),
            sink=of_sink,
            receives=_NOTHING if study.is_cross else receives,
            strongest=_strongest(study, degrees, ledger, sides),
        )
    )


def _early(study: GraphStudy) -> Words:
    """Why early tokens send more where later ones cannot be seen from before."""
    if not study.is_causal:
        return _NOTHING
    return words(
        " Early tokens are seen by more queries and so can send more.",
        " Os primeiros tokens são vistos por mais consultas e por isso podem enviar mais.",
    )


def _degree_table(study: GraphStudy, degrees: Degrees, ledger: Ledger, sides: Sides) -> Table:
    order = sorted(range(study.keys), key=lambda key: -degrees.sent[key])
    listed = order if study.keys <= _KEYS + 1 else order[:_KEYS]
    sent, effective = ledger.column(), ledger.column(2)
    terms, rows = list[Figure](), list[Row]()
    for key in listed:
        terms.append(ledger.given(degrees.sent[key], sent))
        received = (
            ()
            if study.is_cross
            else (
                int(degrees.strong[key]),
                ledger.given(degrees.effective[key], effective),
            )
        )
        tone = Tone.CHOSEN if key == study.key else Tone.PLAIN
        seen = int(degrees.seen[key])
        rows.append(Row((token_label(sides.keys, key), terms[-1], seen, *received), tone))
    blank = (None,) if study.is_cross else (None, None, None)
    rest = order[len(listed) :]
    if rest:
        terms.append(ledger.given(degrees.sent[rest].sum(), sent))
        rows.append(Row((rest_label(len(rest)), terms[-1], *blank), Tone.QUIET))
    total = ledger.total(degrees.sent.sum(), terms, sent)
    rows.append(Row((ROUNDING, Remainder(total), *blank), Tone.QUIET))
    rows.append(Row((words("sum", "soma"), total, *blank), Tone.TOTAL))
    columns = [
        TableColumn(words("token", "token"), is_number=False),
        TableColumn(words("sent Σα", "enviado Σα")),
        TableColumn(words("seen by", "visto por"), is_optional=True),
    ]
    if not study.is_cross:
        columns.append(TableColumn(words("strong received", "fortes recebidas"), is_optional=True))
        columns.append(TableColumn(words("e^H received", "e^H recebido"), is_optional=True))
    return Table(columns, rows)


def _strongest(study: GraphStudy, degrees: Degrees, ledger: Ledger, sides: Sides) -> Words:
    """The heaviest edges as a list."""
    if not degrees.strongest:
        return _NOTHING
    column = ledger.column(2)
    named = {
        f"edge{index}": words(
            "{key} → {query} {weight}",
            "{key} → {query} {weight}",
            key=token_name(sides.keys, edge.key),
            query=token_name(sides.queries, edge.query),
            weight=ledger.given(edge.weight, column),
        )
        for index, edge in enumerate(degrees.strongest)
    }
    others = _NOTHING if study.is_cross else words(" between different tokens", " entre tokens diferentes")
    edges = symbols("; ".join(f"{{{name}}}" for name in named), **named)
    return words(
        " The strongest edges{others}: {edges}.",
        " As arestas mais fortes{others}: {edges}.",
        others=others,
        edges=edges,
    )


def _layers(study: GraphStudy, sides: Sides) -> Iterator[Block]:
    """What several layers reach."""
    if study.is_cross:
        yield Paragraph(
            words(
                "These edges lead from one text to the other, so no second hop follows them: self-attention"
                " carries on what arrives.",
                "Estas arestas vão de um texto ao outro, e nenhum segundo salto as segue: a autoatenção leva"
                " adiante o que chega.",
            )
        )
        return
    layers = plural(study.layers, Phrase("layer", "camada"), Phrase("layers", "camadas"))
    yield Paragraph(
        words(
            "A layer is one hop, so k layers reach k hops; this model has {layers}.{reach}{paths}",
            "Uma camada é um salto; por isso, k camadas alcançam k saltos. Este modelo tem"
            " {layers}.{reach}{paths}",
            layers=layers,
            reach=_reach(study),
            paths=_paths(study, sides),
        )
    )


def _reach(study: GraphStudy) -> Words:
    if study.window is not None:
        reach = study.window.reach
        return words(
            " With the window of this layer in all of them, k layers reach k·{reach} tokens: {layers} ×"
            " {reach} = {total}.",
            " Com a janela desta camada em todas elas, k camadas alcançam k·{reach} tokens: {layers} ×"
            " {reach} = {total}.",
            reach=reach,
            layers=study.layers,
            total=study.layers * reach,
        )
    if study.edges != study.formula_edges:
        return _NOTHING
    if study.is_causal:
        return words(
            " One hop already reaches every earlier token, and none leads to a later one.",
            " Um salto já alcança todos os tokens anteriores, e nenhum leva a um posterior.",
        )
    return words(" One hop already reaches every token.", " Um salto já alcança todos os tokens.")


def _paths(study: GraphStudy, sides: Sides) -> Words:
    if not study.paths:
        return _NOTHING
    return words(
        " From {key} to {query}, two layers with this mask have {paths} of two edges.",
        " De {key} a {query}, duas camadas com esta máscara têm {paths} de duas arestas.",
        key=token_name(sides.keys, study.key),
        query=token_name(sides.queries, study.query),
        paths=plural(study.paths, Phrase("path", "caminho"), Phrase("paths", "caminhos")),
    )


def _checks(study: GraphStudy, ledger: Ledger, sides: Sides) -> Iterator[Block]:
    """The messages, and how many edges of equal weight the row amounts to."""
    yield to_check()
    entropy = ledger.given(study.entropy)
    effective = ledger.result(math.exp(study.entropy), math.exp, (entropy,), ledger.column(2))
    yield Paragraph(
        words(
            "Multiply α by v in each row of the messages and add them up: that is one number of the context."
            " The row of {query} has {edges} and the entropy H = -Σ α ln α = {entropy}{whole}{sink}; it is as"
            " spread out as this many edges of equal weight:",
            "Multiplique α por v em cada linha das mensagens e some os produtos: o resultado é um número do"
            " contexto. A linha de {query} tem {edges} e entropia H = -Σ α ln α = {entropy}{whole}{sink};"
            " ela está tão espalhada quanto o seguinte número de arestas de mesmo peso:",
            query=token_name(sides.queries, study.query),
            edges=plural(len(study.visible), Phrase("edge", "aresta"), Phrase("edges", "arestas")),
            entropy=entropy,
            whole=_NOTHING
            if listing(study.visible, study.weights).is_whole
            else words(
                " (of the whole row, also of the keys that are not listed)",
                " (da linha inteira, também das chaves que não estão na tabela)",
            ),
            sink=_NOTHING
            if study.sink is None
            else words(", with the sink as one more edge", ", com o sumidouro como mais uma aresta"),
        )
    )
    yield Equation(
        symbols("e^H = e^{entropy} = {effective}", entropy=entropy, effective=effective),
        r"e^H = e^{{{entropy}}} = {effective}",
        effective,
    )
