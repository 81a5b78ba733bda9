"""Measures the page of `attn report`: bytes, time to write it, and how quickly a browser shows it.

    python tests/benchmarks/report.py MODEL_DIRECTORY [--tokens 64,128,467] [--keys 20] [--runs 7]
    python tests/benchmarks/report.py - --repeated [--bertviz FOLDER]

The text is sample_inputs/alice.txt. Writing is divided by computing the weights of all heads by the same
engine, in the same process, with as many threads; "opened" counts opening the model and reading the text on
both sides. Runs alternate; medians are shown, of the wall clock and of the processor. In the browser: until
the first head is drawn, until all thumbnails are, from a key to its paint (median), and the resident memory
of the largest renderer process.

`-` is the bundled model. `--repeated` repeats its layers and heads to 12 × 12, as those of GPT-2 small.
`--bertviz`: a folder with `require.min.js`, `d3.min.js` and `jquery.min.js`, which answer the requests of
its page of the same weights at once, as no network would; bertviz must be importable.
"""

import argparse
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from attn_cli.answers.report import Report, ReportedKind, ReportedLayer
from attn_cli.models.cores import granted_cores
from attn_cli.models.open import open_source
from attn_cli.models.source import SourceRequest
from attn_cli.reading.reading import Reading
from attn_cli.reading.report.report import report_of
from attn_cli.reading.steps import shown_layers
from attn_cli.show.page.writing import page_of
from tests.support.browser import OpenPage, browser
from tests.support.readings import reading_of

TEXT = Path("sample_inputs/alice.txt").read_text("utf-8")
_STEP = 16  # characters
_PATIENCE = 40_000  # milliseconds until a page that has drawn nothing is given up
SIZE = 12  # layers, and heads of each
NEEDED = "document.querySelectorAll('#vis svg, svg').length"

FIRST = """
globalThis.drawn = new Promise((done) => {
  const isThere = () => document.getElementById("readout")?.textContent;
  const look = () => isThere() ? done(performance.now()) : requestAnimationFrame(look);
  look();
});
"""
THUMBNAILS = """
async () => {
  const start = performance.now();
  attn.change({ metric: "matrices" });
  while (!document.getElementById("map").dataset.complete) await new Promise((done) => setTimeout(done, 2));
  return performance.now() - start;
}
"""
KEY = """
async () => {
  const start = performance.now();
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowUp", bubbles: true }));
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return performance.now() - start;
}
"""


def main() -> None:
    """Measure each length and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--tokens", default="64,128,467")
    parser.add_argument("--keys", type=int, default=20)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--repeated", action="store_true")
    parser.add_argument("--bertviz", type=Path)
    given = parser.parse_args()
    model = None if given.model == "-" else given.model
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; writing ÷ computing: wall, processor")
    print(
        "| heads | tokens | MB | error | ratio | opened | first head, s | thumbnails, s | key, ms | tab, MB |"
    )
    print("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    with browser() as chromium, TemporaryDirectory() as folder:
        for count in map(int, given.tokens.split(",")):
            text = cut(model, count)
            reading = reading_of(text, model)
            report = repeated(reported(reading)) if given.repeated else reported(reading)
            file = Path(folder) / f"{count}.html"
            file.write_bytes(page_of(report, 8, granted_cores()))
            error = OpenPage(chromium, file).run("attn.about.error")
            heads = sum(len(kind.layers) * kind.heads for kind in report.kinds)
            times = [] if given.repeated else ratios(text, model, given.runs)
            line = [f"{heads}", f"{count}", f"{file.stat().st_size / 1e6:.2f}", f"{error:.5f}"]
            line += times or ["", ""]
            print(f"| {' | '.join([*line, *shown(chromium, file, given.keys)])} |", flush=True)
            if given.bertviz is not None:
                print(
                    f"bertviz: {bertviz(chromium, reading, report, Path(folder), given.bertviz)}", flush=True
                )


def cut(model: str | None, count: int) -> str:
    """The beginning of the text that has so many tokens."""
    source = open_source(SourceRequest(model), {})
    few = TEXT[:count]
    while len(source.tokens(few, None)) < count:
        few = TEXT[: len(few) + _STEP]
    return few[: source.tokens(few, None)[count - 1].end]


def reported(reading: Reading) -> Report:
    """What the command reports of it."""
    return report_of(
        reading,
        is_chosen=True,
        exact=(),
        hiding=None,
        bits=8,
        environment={},
        headline=["measured"],
        again="",
        progress=lambda *_: None,
    )


def ratios(text: str, model: str | None, runs: int) -> list[str]:
    """Writing over computing, without and with opening the model; medians of runs that alternate."""
    reading = reading_of(text, model)
    works = [
        lambda: compute(reading),
        lambda: page_of(reported(reading), 8, granted_cores()),
        lambda: compute(reading_of(text, model)),
        lambda: page_of(reported(reading_of(text, model)), 8, granted_cores()),
    ]
    times = [[timed(work) for work in works] for _ in range(runs + 1)][1:]  # the first one imports
    wall, processor = ([median(run[at][clock] for run in times) for at in range(4)] for clock in (0, 1))
    return [
        f"{wall[1] / wall[0]:.2f}, {processor[1] / processor[0]:.2f}",
        f"{wall[3] / wall[2]:.2f}, {processor[3] / processor[2]:.2f}",
    ]


def compute(reading: Reading) -> None:
    """The weights of all heads, layer by layer."""
    rows = range(len(reading.queries))
    for shown in shown_layers(reading, [(number, 0) for number in reading.extent.layers]):
        shown.weights(range(shown.layer.heads), rows)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the wall clock and of the processor."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def repeated(report: Report) -> Report:
    """The report with its layers and heads repeated to 12 × 12; without effects, which are not of these."""
    (kind,) = report.kinds
    layers = [repeated_heads(layer) for layer in kind.run()]

    def run() -> Iterator[ReportedLayer]:
        return (replace(layers[number % len(layers)], layer=number) for number in range(SIZE))

    wide: ReportedKind = replace(kind, layers=range(SIZE), heads=SIZE, run=run)
    return replace(report, kinds=[wide], effects=lambda: (None, ""))


def repeated_heads(layer: ReportedLayer) -> ReportedLayer:
    """The layer with its heads repeated to 12."""
    heads = [number % len(layer.metrics) for number in range(SIZE)]
    return replace(
        layer,
        weights=layer.weights[heads],
        metrics=[layer.metrics[head] for head in heads],
        patterns=[layer.patterns[head] for head in heads],
        sharpness=[layer.sharpness[head] for head in heads],
        exact=lambda head: layer.exact(heads[head]),
    )


def shown(chromium: Any, file: Path, keys: int) -> list[str]:
    """What a browser takes for it."""
    page = OpenPage(chromium, file, begins=FIRST)
    first = page.run("drawn") / 1e3
    thumbnails = page.run(THUMBNAILS) / 1e3
    page.run("attn.change({ query: 60 })")
    key = median(page.run(KEY) for _ in range(keys))
    memory = largest_renderer(chromium)
    page.tab.context.close()
    return [f"{first:.2f}", f"{thumbnails:.2f}", f"{key:.0f}", f"{memory / 1e6:.0f}"]


def largest_renderer(chromium: Any) -> int:
    """Bytes of the resident memory of the largest process that shows a page."""
    processes = chromium.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    numbers = (one["id"] for one in processes if one["type"] == "renderer")
    pages = (int(Path(f"/proc/{number}/statm").read_text().split()[1]) for number in numbers)
    return max(pages) * os.sysconf("SC_PAGE_SIZE")


def bertviz(chromium: Any, reading: Reading, report: Report, folder: Path, answers: Path) -> str:
    """Bytes, requests and the time to the first drawing of bertviz's model view of the same weights."""
    import torch

    model_view = import_module("bertviz").model_view

    weights = [torch.from_numpy(np.array(layer.weights))[None] for layer in report.kinds[0].run()]
    tokens = [token.name for token in reading.tokens]
    start = time.perf_counter()
    content = model_view(weights, tokens, html_action="return").data
    seconds = time.perf_counter() - start
    file = folder / "bertviz.html"
    file.write_text(content, "utf-8")
    asked, drawn = opened(chromium, file, answers)
    size = f"{file.stat().st_size / 1e6:.0f} MB written in {seconds:.1f} s"
    return f"{size}, {len(asked)} requests ({', '.join(asked)}), first drawing {drawn}"


def opened(chromium: Any, file: Path, answers: Path) -> tuple[list[str], str]:
    """What a page asks of servers, and when it first draws if they answer at once."""
    tab = chromium.new_context(viewport={"width": 1280, "height": 800}).new_page()
    asked = list[str]()

    def answer(route: Any) -> None:
        asked.append(route.request.url)
        route.fulfill(path=answers / route.request.url.rsplit("/", 1)[1], content_type="text/javascript")

    tab.route(re.compile("^https:"), answer)
    start = time.perf_counter()
    try:
        tab.goto(file.as_uri(), timeout=_PATIENCE)
        tab.wait_for_function(NEEDED, timeout=_PATIENCE)
        drawn = f"after {time.perf_counter() - start:.1f} s, {largest_renderer(chromium) / 1e6:.0f} MB"
    except Exception as error:  # noqa: BLE001  a tab that dies is a result
        drawn = f"none: {str(error).splitlines()[0]}"
    tab.context.close()
    return asked, drawn


if __name__ == "__main__":
    main()
