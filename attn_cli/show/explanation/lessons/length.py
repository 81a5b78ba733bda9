"""What does N² cost? The lesson about operations and bytes."""

import math
from collections.abc import Iterator, Sequence

from attn_cli.answers.lessons.length import BYTES, SOFTMAX, LayerSize, LengthStudy, TextLength
from attn_cli.answers.lessons.windows import Origin
from attn_cli.grid import Sides
from attn_cli.show.explanation.document import (
    Block,
    Cell,
    Equation,
    Heading,
    Outside,
    Paragraph,
    Row,
    Table,
    TableColumn,
    Tone,
    Word,
    symbols,
    words,
)
from attn_cli.show.explanation.figures import Ledger
from attn_cli.show.explanation.lessons.ending import Base, go_on, to_check
from attn_cli.show.explanation.phrases import Phrase
from attn_cli.show.explanation.quantities import BYTES as OF_BYTES
from attn_cli.show.explanation.quantities import (
    COUNTS,
    SECONDS,
    Quantity,
    computed,
    derived,
    estimate,
    plural,
    quantity,
)
from attn_cli.vocabulary import Kind, Lesson

_TOKENS = words("tokens", "tokens")
_SHARE, _NEARLY_ALL = 99.9, 99.95  # per cent: what would be printed as 100.0 is said to be above the former
_WHOLE = 1000  # from here on, a number of tokens is printed without decimals


def blocks(study: LengthStudy, ledger: Ledger, _sides: Sides, base: Base) -> Iterator[Block]:
    """The lesson in reading order."""
    yield Heading(words("What does N² cost?", "Quanto custa o N²?"), 1)
    yield from _question(study)
    yield from _one_layer(study)
    yield from _operations(study, ledger)
    yield from _bytes(study, ledger)
    speed, blocks_of_speed = _speed(study, ledger)
    yield from blocks_of_speed
    yield from _seconds(study, ledger, speed)
    yield from _checks(study)
    yield go_on(
        words("Next, what a recurrent network does:", "Em seguida, o que faz uma rede recorrente:"),
        base,
        study.place,
        study.query,
        "--lesson",
        Lesson.RECURRENCE.value,
    )


def _question(study: LengthStudy) -> Iterator[Block]:
    layer, text = study.layer, study.text
    shared = words("", "")
    if layer.kv_heads < layer.heads:
        shared = words(
            ", which share {heads}", ", que compartilham {heads}", heads=_key_heads(layer.kv_heads)
        )
    yield Paragraph(
        words(
            "Attention compares every query with every key, so each head has a matrix of T × S numbers."
            " {model} has {layers} of {heads}{shared}; a query has D = {size} features. {text}",
            "A atenção compara cada consulta com cada chave; por isso, cada cabeça tem uma matriz de T ×"
            " S números. O modelo {model} tem {layers} com {heads}{shared}; uma consulta tem D = {size}"
            " componentes. {text}",
            model=Outside(study.model),
            layers=_layers(study),
            heads=plural(layer.heads, Phrase("head", "cabeça"), Phrase("heads", "cabeças")),
            shared=shared,
            size=layer.size,
            text=_text(study, text),
        )
    )


def _layers(study: LengthStudy) -> Word:
    count = study.layer.layers
    if study.is_cross:
        one = Phrase("layer of cross-attention", "camada de atenção cruzada")
        return plural(count, one, Phrase("layers of cross-attention", "camadas de atenção cruzada"))
    if study.kind is Kind.SELF:
        return plural(count, Phrase("layer", "camada"), Phrase("layers", "camadas"))
    if study.kind is Kind.DECODER:
        one = Phrase("decoder layer", "camada de decodificador")
        return plural(count, one, Phrase("decoder layers", "camadas de decodificador"))
    one = Phrase("encoder layer", "camada de codificador")
    return plural(count, one, Phrase("encoder layers", "camadas de codificador"))


def _key_heads(count: int) -> Word:
    one = Phrase("key/value head", "cabeça de chave/valor")
    return plural(count, one, Phrase("key/value heads", "cabeças de chave/valor"))


def _text(study: LengthStudy, text: TextLength) -> Word:
    if study.is_cross:
        return words(
            "The texts have T = {queries} and S = {keys} tokens.",
            "Os textos têm T = {queries} e S = {keys} tokens.",
            queries=text.queries,
            keys=text.keys,
        )
    return words(
        "This text has {tokens}: T = S = {count}.",
        "Este texto tem {tokens}: T = S = {count}.",
        tokens=plural(text.keys, Phrase("token", "token"), Phrase("tokens", "tokens")),
        count=text.keys,
    )


def _one_layer(study: LengthStudy) -> Iterator[Block]:
    layer, text = study.layer, study.text
    pairs = (text.queries, text.keys)
    value = "D" if layer.size == layer.value_size else "E"
    yield Heading(words("This text, one layer", "Este texto, uma camada"))
    yield _product(words("scores: 2·T·S·D·H", "escores: 2·T·S·D·H"), (2, *pairs, layer.size, layer.heads))
    yield _product(symbols(f"softmax: {SOFTMAX}·T·S·H"), (SOFTMAX, *pairs, layer.heads))
    yield _product(
        words(f"context: 2·T·S·{value}·H", f"contexto: 2·T·S·{value}·H"),
        (2, *pairs, layer.value_size, layer.heads),
    )
    yield _sum(layer, text)
    yield _product(
        words(f"the matrices in bytes: {BYTES}·T·S·H", f"as matrizes em bytes: {BYTES}·T·S·H"),
        (BYTES, *pairs, layer.heads),
    )
    yield Paragraph(
        words(
            "An operation is one multiplication or addition; the softmax takes {softmax} per score (compare,"
            " subtract, exp, add, divide). A number in float32 has {bytes} bytes.{wide}{hidden}",
            "Uma operação é uma multiplicação ou uma soma; a softmax precisa de {softmax} por escore"
            " (comparar, subtrair, exp, somar, dividir). Um número em float32 tem {bytes}"
            " bytes.{wide}{hidden}",
            softmax=SOFTMAX,
            bytes=BYTES,
            wide=_wide(layer),
            hidden=_hidden(study, text),
        )
    )


def _sum(layer: LayerSize, text: TextLength) -> Equation:
    total = text.pairs * layer.per_pair
    return Equation(
        words(
            "total: {formula} = {per_pair} operations per pair; {per_pair} × {pairs} pairs = {total}{whole}",
            "total: {formula} = {per_pair} operações por par; {per_pair} × {pairs} pares = {total}{whole}",
            formula=_per_pair(layer),
            per_pair=layer.per_pair,
            pairs=text.pairs,
            total=total,
            whole=_of_all_layers(layer, total),
        )
    )


def _product(formula: Word, factors: Sequence[int]) -> Equation:
    """A formula with its name, then its factors and their product, all of them whole."""
    numbers = {f"factor{index}": factor for index, factor in enumerate(factors)}
    shown = " × ".join(f"{{{name}}}" for name in numbers)
    product = math.prod(factors)
    return Equation(
        symbols(f"{{formula}} = {shown} = {{product}}", formula=formula, product=product, **numbers)
    )


def _per_pair(layer: LayerSize) -> Word:
    """The formula of the operations per pair."""
    value = "D" if layer.size == layer.value_size else "E"
    return symbols(f"(2·D + {SOFTMAX} + 2·{value})·H")


def _of_all_layers(layer: LayerSize, total: int) -> Word:
    if layer.layers == 1:
        return ""
    whole = total * layer.layers
    return words(
        "; × {layers} layers = {whole}", "; × {layers} camadas = {whole}", layers=layer.layers, whole=whole
    )


def _wide(layer: LayerSize) -> Word:
    if layer.size == layer.value_size:
        return ""
    return words(
        " Values have E = {size} features.", " Os valores têm E = {size} componentes.", size=layer.value_size
    )


def _hidden(study: LengthStudy, text: TextLength) -> Word:
    if not study.is_causal:
        return ""
    return words(
        " The causal mask hides later keys: T·(T + 1) ÷ 2 = {visible} of {pairs} pairs are left. A"
        " program that skips the hidden ones does about half of this, which still grows with N².",
        " A máscara causal esconde as chaves posteriores: restam T·(T + 1) ÷ 2 = {visible} de {pairs}"
        " pares. Um programa que pula os escondidos faz cerca da metade disso, o que ainda cresce com N².",
        visible=study.visible(text),
        pairs=text.pairs,
    )


def _length(study: LengthStudy, length: TextLength) -> tuple[Cell, Tone]:
    """The first cell of a row, and its tone."""
    tone = Tone.CHOSEN if length == study.text else Tone.PLAIN
    if length.queries != length.keys:
        return symbols("{queries} × {keys}", queries=length.queries, keys=length.keys), tone
    return length.keys, tone


def _operations(study: LengthStudy, ledger: Ledger) -> Iterator[Block]:
    """What grows with the square, beside what grows with the length."""
    yield Heading(
        words("Longer texts: operations of all layers", "Textos mais longos: operações de todas as camadas")
    )
    columns = [TableColumn(_TOKENS), TableColumn(words("T × S", "T × S"))]
    if study.products is not None:
        columns.append(TableColumn(words("projections", "projeções"), is_optional=True))
        if study.products.feed_forward:
            columns.append(TableColumn(words("feed-forward", "feed-forward"), is_optional=True))
        columns.append(TableColumn(words("share of T × S", "fração de T × S"), is_optional=True))
    rows = [Row(*_operations_row(study, ledger, length)) for length in study.lengths]
    yield Table(columns, rows)
    yield from _crossing(study, ledger)


def _operations_row(study: LengthStudy, ledger: Ledger, length: TextLength) -> tuple[Sequence[Cell], Tone]:
    name, tone = _length(study, length)
    quadratic = quantity(ledger, COUNTS, study.operations(length.pairs))
    if study.products is None:
        return (name, quadratic.word), tone
    parts = [quantity(ledger, COUNTS, study.projections(length))]
    if study.products.feed_forward:
        parts.append(quantity(ledger, COUNTS, study.feed_forward(length)))
    share = _share(ledger, quadratic, parts)
    return (name, quadratic.word, *(part.word for part in parts), share), tone


def _share(ledger: Ledger, part: Quantity, others: Sequence[Quantity]) -> Word:
    """A percentage of all of them."""

    def percent(one: float, *rest: float) -> float:
        return 100 * one / (one + sum(rest))

    known = [part, *others]
    value = percent(*(one.value for one in known))
    if value > _NEARLY_ALL:
        return symbols("> {share}%", share=ledger.given(_SHARE, ledger.column(1)))
    return symbols("{share}%", share=computed(ledger, value, percent, known, ledger.column(1)))


def _crossing(study: LengthStudy, ledger: Ledger) -> Iterator[Block]:
    products, crossing, layer = study.products, study.crossing, study.layer
    if products is None or crossing is None:
        yield Paragraph(
            words(
                "T × S grows with the square of the length. What the projections and the feed-forward block"
                " of this model cost is not known here, because transformers computes them; both grow with"
                " the length itself.",
                "T × S cresce com o quadrado do comprimento. Não se sabe aqui quanto custam as projeções"
                " e o bloco feed-forward deste modelo, porque quem os calcula é a biblioteca"
                " transformers; os dois custos crescem com o próprio comprimento.",
            )
        )
        return
    weights = products.projections + products.feed_forward
    yield Paragraph(
        words(
            "T × S grows with the square of the length. What multiplies tokens with weights grows with the"
            " length: {projections} numbers in W^Q, W^K, W^V and W^O of a layer{feed_forward}, two"
            " operations each. They cost the same at",
            "T × S cresce com o quadrado do comprimento. O que multiplica tokens por pesos cresce com o"
            " comprimento: {projections} números em W^Q, W^K, W^V e W^O de uma camada{feed_forward}, duas"
            " operações para cada um. Os dois custos se igualam com",
            projections=products.projections,
            feed_forward=_feed_forward(study),
        )
    )
    yield Equation(
        words(
            "n = 2 × {weights} ÷ {per_pair} = {crossing} tokens",
            "n = 2 × {weights} ÷ {per_pair} = {crossing} tokens",
            weights=weights,
            per_pair=layer.per_pair,
            crossing=round(crossing)
            if crossing >= _WHOLE
            else ledger.result(crossing, lambda: crossing, (), ledger.column(1)),
        )
    )


def _feed_forward(study: LengthStudy) -> Word:
    products = study.products
    assert products is not None, "checked by the caller"
    if not products.feed_forward:
        return words(" (it has no feed-forward block)", " (ela não tem bloco feed-forward)")
    return words(
        " and {matrices} × {width} × {inner} = {count} in its feed-forward block",
        " e {matrices} × {width} × {inner} = {count} no seu bloco feed-forward",
        matrices=products.matrices,
        width=products.width,
        inner=products.inner,
        count=products.feed_forward,
    )


def _bytes(study: LengthStudy, ledger: Ledger) -> Iterator[Block]:
    yield Heading(words("Longer texts: bytes", "Textos mais longos: bytes"))
    columns = (
        TableColumn(_TOKENS),
        TableColumn(words("T × S, 1 layer", "T × S, 1 camada")),
        TableColumn(words("all layers", "todas"), is_optional=True),
        TableColumn(words("K and V", "K e V")),
    )
    yield Table(columns, [_bytes_row(study, ledger, length) for length in study.lengths])
    sizes = (BYTES, study.layer.layers, study.layer.kv_heads)
    text, product = study.text.keys, study.bytes_of_cache(study.text)
    yield Paragraph(
        words(
            "T × S: the matrices of all heads in float32 (float16: half). Keys and values of all layers,"
            " {cache}, grow with the length: {bytes} × {layers} × {heads} × {per_token} × {tokens} ="
            " {product} bytes here.",
            "T × S: as matrizes de todas as cabeças em float32 (em float16, a metade). As chaves e os"
            " valores de todas as camadas, {cache}, crescem com o comprimento: {bytes} × {layers} ×"
            " {heads} × {per_token} × {tokens} = {product} bytes aqui.",
            cache=_cache(study),
            bytes=sizes[0],
            layers=sizes[1],
            heads=sizes[2],
            per_token=study.layer.size + study.layer.value_size,
            tokens=text,
            product=product,
        )
    )


def _cache(study: LengthStudy) -> Word:
    if study.is_cross:
        return words(
            "computed once from the encoder's text", "calculados uma só vez a partir do texto do codificador"
        )
    if study.products is None:
        return words(
            "as the heads read them (a cache may keep fewer numbers)",
            "como as cabeças os leem (um cache pode guardar menos números)",
        )
    if study.is_causal:
        return words("the KV cache while text is generated", "o cache KV enquanto se gera texto")
    return words(
        "which a model that reads its text at once need not keep",
        "que um modelo que lê o texto de uma vez não precisa guardar",
    )


def _bytes_row(study: LengthStudy, ledger: Ledger, length: TextLength) -> Row:
    name, tone = _length(study, length)
    one = study.bytes_of_matrix(length)
    sizes = (one, one * study.layer.layers, study.bytes_of_cache(length))
    return Row((name, *(quantity(ledger, OF_BYTES, size).word for size in sizes)), tone)


def _speed(study: LengthStudy, ledger: Ledger) -> tuple[Quantity, Sequence[Block]]:
    """The measured speed, and what is said of it."""
    measured = study.measured
    operations = Quantity(measured.operations, measured.operations, None)
    seconds = quantity(ledger, SECONDS, measured.seconds)
    speed = derived(ledger, COUNTS, measured.speed, lambda count, time: count / time, (operations, seconds))
    said = words(
        "Measured just now, the fastest of a few runs: one layer of this size over {tokens} random tokens,"
        " every step as attn computes it ({library}, {device}), takes {seconds}.",
        "Medido agora (a mais rápida de algumas execuções): uma camada deste tamanho com {tokens} tokens"
        " aleatórios, com cada etapa como o attn a calcula ({library}, {device}), leva {seconds}.",
        tokens=measured.tokens,
        library="NumPy" if measured.library == "numpy" else "PyTorch",
        device=measured.device,
        seconds=seconds.word,
    )
    equation = words(
        "{operations} operations ÷ {seconds} = {speed} per second",
        "{operations} operações ÷ {seconds} = {speed} por segundo",
        operations=measured.operations,
        seconds=seconds.word,
        speed=speed.word,
    )
    expected = words(
        "The times below are calculated from this speed, not measured: expect a factor of 2 to 3, because"
        " long texts no longer fit into the caches.{pairs}",
        "Os tempos abaixo são calculados a partir desta velocidade, não medidos: conte com um fator de 2 a"
        " 3, porque textos longos já não cabem nos caches.{pairs}",
        pairs=_counted_pairs(study),
    )
    heading = Heading(words("Seconds on this machine", "Segundos nesta máquina"))
    return speed, (heading, Paragraph(said), Equation(equation), Paragraph(expected))


def _counted_pairs(study: LengthStudy) -> Word:
    if not study.is_causal:
        return ""
    return words(
        " They count the T·(T + 1) ÷ 2 pairs that the causal mask leaves.",
        " Eles contam os T·(T + 1) ÷ 2 pares que a máscara causal deixa.",
    )


def _seconds(study: LengthStudy, ledger: Ledger, speed: Quantity) -> Iterator[Block]:
    columns = [
        TableColumn(_TOKENS),
        TableColumn(words("pairs", "pares"), is_optional=True),
        TableColumn(words("time", "tempo")),
    ]
    window = study.window
    if window is not None:
        columns.append(TableColumn(words("pairs in the window", "pares na janela"), is_optional=True))
        columns.append(TableColumn(words("in the window", "na janela")))
    yield Table(columns, [_seconds_row(study, ledger, speed, length) for length in study.lengths])
    if window is not None:
        yield Paragraph(
            words(
                "The window is {origin}; in every layer, a query would look at {keys} at most: the"
                " pairs grow with the length, not with its square. {kernels}",
                "A janela é {origin}; em cada camada, uma consulta olharia para no máximo {keys}:"
                " os pares crescem com o comprimento, não com o quadrado dele. {kernels}",
                origin=_origin(window.origin),
                keys=plural(window.tokens, Phrase("key", "chave"), Phrase("keys", "chaves")),
                kernels=_kernels(),
            )
        )
    else:
        yield Paragraph(
            words(
                "Between two texts there is no window. {kernels}",
                "Entre dois textos não há janela. {kernels}",
                kernels=_kernels(),
            )
        )


def _kernels() -> Word:
    return words(
        "Fused kernels (FlashAttention, arXiv:2205.14135) are faster and keep no T × S matrix, but the"
        " operations still grow with N².",
        "Kernels fundidos (FlashAttention, arXiv:2205.14135) são mais rápidos e não guardam a matriz T ×"
        " S, mas as operações continuam a crescer com N².",
    )


def _origin(origin: Origin) -> Word:
    if origin is Origin.LAYER:
        return words("this layer's own", "a desta camada")
    if origin is Origin.MODEL:
        return words("that of other layers of this model", "a de outras camadas deste modelo")
    if origin is Origin.CONFIGURATION:
        return words(
            "the one that this model's configuration names", "a que consta da configuração deste modelo"
        )
    return words("an example, because this model has none", "um exemplo, porque este modelo não tem nenhuma")


def _seconds_row(study: LengthStudy, ledger: Ledger, speed: Quantity, length: TextLength) -> Row:
    name, tone = _length(study, length)
    cells: list[Cell] = [name]
    counts = [study.visible(length)]
    if study.window is not None:
        counts.append(study.in_window(length))
    for pairs in counts:
        cells += [quantity(ledger, COUNTS, pairs).word, _duration(ledger, speed, study.operations(pairs))]
    return Row(cells, tone)


def _duration(ledger: Ledger, speed: Quantity, operations: int) -> Word:
    exact = Quantity(operations, operations, None)
    seconds = operations / speed.value
    return estimate(ledger, SECONDS, seconds, lambda count, pace: count / pace, (exact, speed)).word


def _checks(study: LengthStudy) -> Iterator[Block]:
    layer, length = study.layer, study.lengths[1]
    yield to_check()
    yield _product(
        words(
            "T × S of the second row: operations per pair × layers × T × S",
            "T × S da segunda linha: operações por par × camadas × T × S",
        ),
        (layer.per_pair, layer.layers, length.queries, length.keys),
    )
    yield Paragraph(
        words(
            "Doubling the length takes four times the operations and bytes of T × S, and twice those of"
            " the rest.",
            "Com o dobro do comprimento, as operações e os bytes de T × S quadruplicam, e os demais dobram.",
        )
    )
