"""The command lines that `same_bytes` runs in two installs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path

STEPS = (
    "input queries keys values scores bias mask logits weights context output".split()  # noqa: SIM905
)
METRICS = (
    "entropy largest distance current-token previous-token first-token special duplicate-token "  # noqa: SIM905
    "induction received".split()
)
DISTANCES = ("jensen-shannon", "cosine", "total-variation")
TABLES = (".json", ".npz", ".safetensors", ".csv")
PICTURES = (".png", ".svg", ".pdf")
COMMANDS = ("inspect", "heatmap", "heads", "compare", "tokens", "verify", "models", "train")
LONG, PART = "alice", "alice-part"
"""In the name of a text of thousands of tokens, and of its first few hundred, which every model can read."""
TARGET = "Das Tier ging nicht, weil es zu müde war."


@dataclass(frozen=True, slots=True)
class Line:
    """One command: its arguments, standard input, environment variables and existing files."""

    arguments: tuple[str, ...]
    stdin: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    is_process: bool = False

    @property
    def name(self) -> str:
        """A unique name for the line, usable as a folder name."""
        return sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def __str__(self) -> str:
        words = [f"'{word}'" if " " in word or not word else word for word in self.arguments]
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        return " ".join([*variables, "attn", *words])


@dataclass(frozen=True, slots=True)
class Model:
    """A model and its name in a command line."""

    options: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()  # of an encoder-decoder model
    takes_pair: bool = False
    is_bundled: bool = False

    @classmethod
    def of(cls, directory: Path, name: str) -> "Model":
        """The checkpoint in `directory`, called `name` in command lines."""
        config = json.loads((directory / "config.json").read_text("utf-8"))
        if config.get("is_encoder_decoder"):
            return cls(("-m", name, "--target", TARGET), ("encoder", "decoder", "cross"))
        return cls(("-m", name), takes_pair=config.get("model_type") == "bert")


def lines(directories: Mapping[str, Path], samples: Sequence[str]) -> list[Line]:
    """Every line: `directories` maps names to models, `samples` are paths of texts."""
    bundled = Model(is_bundled=True)
    models = [bundled, Model(("-m", "random"))]
    models += [Model.of(directory, name) for name, directory in directories.items()]
    every: list[Line] = []
    for model in models:
        for path in samples:
            source = ("--file", path)
            every += (
                _of_text(model, source)
                if LONG not in path
                else _of_long(model, source, _ROWS[path.count(PART)])
            )
        every += _of_model(model, next(path for path in samples if "pronoun" in path))
    every += _without_text(directories)
    every += list(_as_processes(next(path for path in samples if "pronoun" in path), directories))
    return list({line.name: line for line in every}.values())


def _line(*words: str | Sequence[str], **variables: str) -> Line:
    arguments = tuple(part for word in words for part in ([word] if isinstance(word, str) else word))
    return Line(arguments, environment=variables)


def _outputs(stem: str, suffixes: Sequence[str]) -> tuple[str, ...]:
    return tuple(word for suffix in suffixes for word in ("-o", stem + suffix))


def _of_text(model: Model, source: Sequence[str]) -> list[Line]:
    """The commands to run on every short text."""
    kinds: list[tuple[str, ...]] = [("--kind", kind) for kind in model.kinds] or [()]
    common = [
        *(
            line
            for kind in kinds
            for line in (
                _line("inspect", source, model.options, kind),
                _line("inspect", source, model.options, kind, "-l", "all", "-H", "all", "--json"),
                _line("inspect", source, model.options, kind, "-l", "0", "-H", "0-1", "--json", _steps()),
                _line("heads", source, model.options, kind),
                _line("heads", source, model.options, kind, "--json", "--top", "0"),
                _line("heads", source, model.options, kind, _outputs("heads", (".json", ".csv", ".npz"))),
            )
        ),
        _line("tokens", source, model.options),
        _line("tokens", source, model.options, "--json"),
        _line("compare", source, model.options, "-l", "0", "-H", "0-2"),
        _line("compare", source, model.options, "-l", "0", "-H", "0,1", "--json"),
        _line("heatmap", source, model.options, "-l", "0", "-H", "1", _outputs("one", (".svg",))),
        _line("inspect", source, model.options, "-l", "all"),
        _line("inspect", source, model.options, "-l", "0", "-H", "1", _outputs("data", TABLES)),
    ]
    return [line for line in common if _is_possible(line, model)]


def _of_model(model: Model, path: str) -> list[Line]:
    """The commands to run on one text for each model."""
    source = ("--file", path)
    chosen = (
        [model.options] if not model.kinds else [(*model.options, "--kind", kind) for kind in model.kinds]
    )
    every: list[Line] = []
    for options in chosen:
        every += _inspecting(source, options)
        every += _at_a_glance(source, options)
        every += _comparing(source, options)
        every += _drawing(source, options)
    if model.takes_pair:
        every += _with_pair(source, model.options)
    if model.options[:2] == ("-m", "random"):
        every += _of_random(source, model.options)
    else:
        every += [
            _line("verify", source, model.options),
            _line("verify", source, model.options, "--json"),
            _line("inspect", source, model.options, "-l", "0", "--verify"),
        ]
    if model.is_bundled:
        every += _appearance(source)
    return every


def _steps() -> tuple[str, ...]:
    return tuple(word for step in STEPS for word in ("-s", step))


def _inspecting(source: Sequence[str], options: Sequence[str]) -> list[Line]:
    one = ("-l", "0", "-H", "1")
    return [
        *(_line("inspect", source, options, one, "-s", step) for step in STEPS),
        *(_line("inspect", source, options, one, "-s", step, "--json") for step in STEPS),
        *(_line("inspect", source, options, one, *choice) for choice in _choices()),
        _line("inspect", source, options, one, _steps(), _outputs("steps", TABLES)),
        _line("inspect", source, options, one, "--dtype", "bfloat16", _steps(), "--json"),
        _line("inspect", source, options, one, "--dtype", "float64", _steps(), "--json"),
        _line("inspect", source, options, one, "--dtype", "float16"),
        _line("inspect", source, options, "--heads", "0.1,0.0"),
        _line("inspect", source, options, "-H", "-1"),
        _line("inspect", source, options, "-H", "0", "--json"),
        _line("inspect", source, options, "-l", "-1", "--top", "2"),
        _line("inspect", source, options, "--verify", "--json", one),
        _line("inspect", source, options, "-l", "all", "-H", "all", _outputs("every", TABLES)),
        _line("inspect", source, options, one, "--causal", "--json"),
        _line("inspect", source, options, one, "--no-causal"),
        _line("inspect", source, options, one, "-q"),
    ]


def _choices() -> list[tuple[str, ...]]:
    """Options that select parts of a table and format it."""
    return [
        ("--rows", "1-3"),
        ("--columns", "0,-1"),
        ("--rows", "-2", "--columns", "2-5", "--json"),
        ("--rows", "0,3", "--columns", "1", "-o", "part.csv", "-o", "part.npz"),
        ("--top", "3"),
        ("--top", "1", "--digits", "4"),
        ("--digits", "0"),
        ("--digits", "9"),
        ("--causal",),
    ]


def _at_a_glance(source: Sequence[str], options: Sequence[str]) -> list[Line]:
    return [
        *(_line("heads", source, options, "--metric", metric) for metric in METRICS),
        *(_line("heads", source, options, "--sort", metric) for metric in METRICS),
        *(_line("heads", source, options, "--where", condition) for condition in _CONDITIONS),
        _line("heads", source, options, "--where", "entropy<3", "--where", "layer>=0", "--sort", "-largest"),
        _line("heads", source, options, "--sort", "score", "--top", "3", "--digits", "4"),
        _line("heads", source, options, "-l", "0", "--json"),
        _line("heads", source, options, "--top", "0"),
        _line("heads", source, options, "--dtype", "float64", "--json"),
        _line("heads", source, options, _outputs("glance", (*PICTURES, ".json", ".csv", ".npz"))),
    ]


_CONDITIONS = (
    "entropy<1", "induction>=0.4", "pattern=induction", "layer>0", "largest<0.5", "pattern=broad", "head!=1",
)  # fmt: skip


def _comparing(source: Sequence[str], options: Sequence[str]) -> list[Line]:
    two, three = ("--heads", "0.0,0.1"), ("-l", "0", "-H", "0-2")
    return [
        *(_line("compare", source, options, three, "-d", distance) for distance in DISTANCES),
        *(_line("compare", source, options, three, "-d", distance, "--json") for distance in DISTANCES),
        _line("compare", source, options, two, "--rows", "1-4", "--columns", "0-2"),
        _line("compare", source, options, two, "--top", "2", "--digits", "3"),
        _line("compare", source, options, "-l", "0", "-H", "all"),
        _line("compare", source, options, three, _outputs("three", TABLES)),
        _line("compare", source, options, two, _outputs("two", (*PICTURES, *TABLES))),
    ]


def _drawing(source: Sequence[str], options: Sequence[str]) -> list[Line]:
    return [
        _line("heatmap", source, options, "-l", "0", "-H", "1", _outputs("one", PICTURES)),
        _line("heatmap", source, options, "-l", "0", "-H", "0-2", _outputs("several", PICTURES)),
        _line("heatmap", source, options, _outputs("grid", PICTURES)),
        _line(
            "heatmap", source, options, "-l", "0", "-H", "0", "-s", "scores", "-s", "mask", "-o", "steps.png"
        ),
        _line("heatmap", source, options, "-l", "0", "-H", "0", "--rows", "1-3", "-o", "part.svg"),
        _line("heatmap", source, options, "-H", "0", "--cmap", "magma", "--dpi", "72", "-o", "colours.png"),
    ]


def _with_pair(source: Sequence[str], options: Sequence[str]) -> list[Line]:
    pair = ("--pair", "It was tired, wasn't it?")
    return [
        _line("inspect", source, options, pair, "-l", "1", "-H", "2"),
        _line("inspect", source, options, pair, "--json"),
        _line("heads", source, options, pair),
        _line("tokens", source, options, pair),
        _line("compare", source, options, pair, "-l", "5", "-H", "all"),
        _line("verify", source, options, pair),
    ]


def _of_random(source: Sequence[str], options: Sequence[str]) -> list[Line]:
    return [
        _line("inspect", source, options, "--seed", "3"),
        _line("inspect", source, options, "--seed", "3", "--width", "96", "--heads", "8", "--json", _steps()),
        _line("inspect", source, options, "--causal", "--width", "32", "--heads", "2"),
        _line("inspect", source, options, "--width", "33", "--heads", "2"),
        _line("heads", source, options, "--heads", "8", "--json"),
        _line("verify", source, options),
    ]


def _appearance(source: Sequence[str]) -> list[Line]:
    """Terminal widths and colours."""
    shown = [
        ("inspect", *source),
        ("inspect", *source, "-l", "1"),
        ("heads", *source),
        ("compare", *source, "-l", "0", "-H", "0-2"),
        ("tokens", *source),
        ("models",),
        ("verify", *source),
    ]
    settings = [{"COLUMNS": width} for width in ("0", "20", "40", "160", "1000")]
    settings += [{"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}, {"FORCE_COLOR": "1", "COLORTERM": "truecolor"}]
    settings += [{"FORCE_COLOR": "1", "NO_COLOR": "1"}, {"FORCE_COLOR": "1", "TERM": "xterm-256color"}]
    helps = [Line(("--help",), environment={"COLUMNS": width}) for width in ("40", "160")]
    helps += [
        Line((name, "-h"), environment={"COLUMNS": width}) for name in COMMANDS for width in ("40", "160")
    ]
    return [*helps, *(Line(words, environment=setting) for words in shown for setting in settings)]


_ROWS = (("2000-2003", "1990-2003"), ("200-203", "190-203"))


def _of_long(model: Model, source: Sequence[str], part: tuple[str, str]) -> list[Line]:
    """A text of thousands of tokens: averaged, refused if too long for the model, or its first part."""
    options = model.options
    return [
        _line("tokens", source, options, "--json"),
        _line("inspect", source, options, "-l", "0", "-H", "0"),
        _line("inspect", source, options, "-l", "0", "-H", "0", "--rows", part[0], "--columns", part[1]),
        _line("inspect", source, options, "-l", "0", "-H", "0", "--rows", "100", "--json"),
        _line("inspect", source, options, "-l", "0", "-H", "0", "-s", "weights", "-o", "long.csv"),
        _line("inspect", source, options, "-l", "0", "-H", "0", "--top", "3"),
        _line("heatmap", source, options, "-l", "0", "-H", "0", _outputs("long", PICTURES)),
        _line("heads", source, options),
        _line("heads", source, options, "--json"),
        _line("heads", source, options, _outputs("heads", (".json", ".csv", ".npz"))),
        _line("compare", source, options, "-l", "0", "-H", "0,1"),
    ]


def _without_text(directories: Mapping[str, Path]) -> list[Line]:
    """Help, lists, and errors."""
    text = "The cat sat on the mat."
    taken = {"taken.json": "{}\n"}
    wrong = [
        ("inspect",), ("inspect", ""), ("inspect", text, "-l", "99"), ("inspect", text, "-H", "99"),
        ("inspect", text, "-l", "x"), ("inspect", text, "--heads", "0.99"),
        ("inspect", text, "--heads", "x"),
        ("inspect", text, "--rows", "99"), ("inspect", text, "--columns", "a"),
        ("inspect", text, "--nothing"),
        ("inspect", text, "more", "words"), ("inspect", text, "--top", "0"),
        ("inspect", text, "--digits", "12"),
        ("inspect", text, "-s", "nothing"), ("inspect", text, "-m", "no/such-model"),
        ("inspect", text, "-m", "./x"),
        ("inspect", text, "--file", "../../../samples/pronoun.txt"), ("inspect", "--file", "missing.txt"),
        ("inspect", text, "-o", "x.txt"), ("inspect", text, "-o", "no/x.json"),
        ("inspect", text, "-o", "x"),
        ("inspect", text, "-o", "x.json", "-o", "x.json"), ("inspect", text, "--dtype", "int8"),
        ("inspect", text, "--device", "cuda:7"), ("inspect", text, "--device", "tpu"),
        ("inspect", text, "--pair", "b"),
        ("inspect", text, "--target", "b"), ("inspect", text, "--kind", "cross"),
        ("inspect", text, "--kind", "odd"),
        ("inspect", text, "--revision", "main", "-m", "../../../samples"), ("inspect", text, "--seed", "3"),
        ("inspect", text, "--width", "32"), ("inspect", text, "-m", "random", "--heads", "0.1"),
        ("inspect", text, "-m", "random", "-l", "2"), ("heads", text, "--where", "entropy"), ("heads",),
        ("heads", text, "--where", "nothing>1"), ("heads", text, "--sort", "nothing"),
        ("heads", text, "--metric", "x"),
        ("heads", text, "--where", "induction>2", "--top", "0"), ("compare", text),
        ("compare", text, "--heads", "0.0"),
        ("compare", text, "--heads", "0.0,0.1", "-d", "euclid"), ("heatmap", text), ("heatmap",),
        ("heatmap", text, "-o", "a.gif"), ("heatmap", text, "-o", "a.png", "--cmap", "nothing"),
        ("heatmap", text, "-o", "a.png", "--dpi", "1"), ("tokens",), ("tokens", text, "-m", "missing"),
        ("nothing",), ("--nothing",), ("train",), ("train", "missing.txt", "-o", "x"), ("models", "extra"),
        ("verify", text, "-m", "random"), ("verify", text, "--kind", "cross"),
    ]  # fmt: skip
    served = [
        ("inspect", text), ("tokens", text),
        ("inspect", "the cat\u200b sat\x1b[31m [bold]on[/bold] <b>mat</b>"),
        ("inspect", text, "-l", "0", "-H", "0", "--rows", "0"), ("models",), ("models", "--json"),
        ("models", "-q"),
        ("models", "--families"), ("models", "--families", "--json"), ("inspect", "--json-schema"),
        ("--version",), ("--help",), ("-h",), (), *((name, "--help") for name in COMMANDS),
    ]  # fmt: skip
    every = [Line(words) for words in (*wrong, *served)]
    every += [
        Line(("inspect", text, "-o", "taken.json"), files=taken),
        Line(("inspect", text, "-o", "taken.json", "--force"), files=taken),
        Line(("heads", text, "-o", "taken.json"), files=taken),
        Line(("inspect", "-"), stdin="The cat sat on the mat.\n"),
        Line(("inspect", "-"), stdin=""),
        Line(("heads", "-", "--json"), stdin=f"{text} {text}"),
        Line(("inspect", text), environment={"ATTN_MODEL": "random"}),
        Line(("inspect", text), environment={"ATTN_DEVICE": "nothing"}),
        Line(("inspect", text), environment={"ATTN_MODEL": "missing"}),
    ]
    small = "--steps 3 --layers 1 --heads 2 --width 32 --vocabulary 300 --context 32 --batch 2 -q"
    every += [_line("train", "../../../samples/alice.txt", "-o", "trained", small.split())]
    if directories:
        every += [Line(("inspect", text, "-m", "org/cached")), Line(("tokens", text, "-m", "org/cached"))]
        every += [Line(("inspect", text, "-m", "org/cached", "--revision", "absent"))]
    return every


def _as_processes(path: str, directories: Mapping[str, Path]) -> Iterator[Line]:
    """Lines run as separate processes, with their own streams and exit status."""
    named: list[Sequence[str]] = [("-m", name) for name in list(directories)[:1]]
    words: list[tuple[str, ...]] = [
        ("--help",),
        ("inspect", "--help"),
        ("--version",),
        (),
        ("inspect",),
        ("nothing",),
    ]
    words += [("models", "--families"), ("tokens", "--file", path), ("heads", "--file", path)]
    words += [("inspect", "--file", path, *options) for options in ((), *named)]
    words += [("inspect", "--file", path, "--json", *options) for options in ((), *named)]
    words += [("inspect", "--file", path, "-o", "a.npz", "-o", "a.json"), ("inspect", "café 日本 🙂")]
    words += [("inspect", "a b", "-l", "99"), ("heatmap", "--file", path, "-o", "a.png")]
    yield from (Line(arguments, is_process=True) for arguments in words)
    yield Line(("inspect", "café 日本"), environment={"PYTHONIOENCODING": "ascii"}, is_process=True)
    yield Line(("inspect", "-"), stdin="The cat sat.\n", is_process=True)
    yield Line(("inspect", "--file", path), environment={"FORCE_COLOR": "1"}, is_process=True)
    yield Line(("inspect", "--file", path), environment={"COLUMNS": "160"}, is_process=True)


def _is_possible(line: Line, model: Model) -> bool:
    """Whether the line takes less than minutes, unlike tables of every head of a large model."""
    return model.is_bundled or "random" in model.options or not _is_every_table(line) or not model.kinds


def _is_every_table(line: Line) -> bool:
    return line.arguments[0] == "inspect" and line.arguments[-2:] == ("-l", "all")
