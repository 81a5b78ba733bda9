"""Measures the page of `attn report`: bytes, time to write it, and how quickly a browser shows it.

    python tests/benchmarks/report.py MODEL_DIRECTORY [--tokens 64,128,467] [--keys 20]

The text is the documentation of attn. Writing is divided by running the same layers, with their metrics, for
no page. In the browser: until the first head is drawn, until all thumbnails are, from a key to its paint
(median), and the resident memory of the largest renderer process.
"""

import argparse
import os
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from attn_cli.models.cores import granted_cores
from attn_cli.reading.reading import Reading
from attn_cli.reading.report.report import report_of
from attn_cli.show.page.writing import page_of
from tests.support.browser import OpenPage, browser
from tests.support.readings import reading_of

TEXT = "\n".join(file.read_text("utf-8") for file in sorted(Path("docs").glob("*.md"))[:3])

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
    parser.add_argument("model", type=Path)
    parser.add_argument("--tokens", default="64,128,467")
    parser.add_argument("--keys", type=int, default=20)
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print("| heads | tokens | MB | writing ÷ computing | first head, s | thumbnails, s | key, ms | tab, MB |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|")
    with browser() as chromium, TemporaryDirectory() as folder:
        for count in map(int, given.tokens.split(",")):
            reading = cut(str(given.model), count)
            content, ratio = written(reading)
            file = Path(folder) / f"{count}.html"
            file.write_bytes(content)
            heads = len(reading.extent.layers) * reading.extent.heads
            line = [f"{heads}", f"{count}", f"{len(content) / 1e6:.2f}", f"{ratio:.2f}"]
            print(f"| {' | '.join([*line, *shown(chromium, file, given.keys)])} |")


def cut(model: str, count: int) -> Reading:
    """The beginning of the text that has so many tokens."""
    whole = reading_of(TEXT[: count * 8], model)
    return reading_of(TEXT[: whole.tokens[count - 1].end], model)


def written(reading: Reading) -> tuple[bytes, float]:
    """The page, and its time over that of the layers alone; each the faster of two runs."""
    report = report_of(
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
    computing, writing = list[float](), list[float]()
    for _ in range(2):
        start = time.perf_counter()
        for kind in report.kinds:
            for _layer in kind.run():
                pass
        computing.append(time.perf_counter() - start)
        start = time.perf_counter()
        content = page_of(report, 8, granted_cores())
        writing.append(time.perf_counter() - start)
    return content, min(writing) / min(computing)


def shown(chromium: Any, file: Path, keys: int) -> list[str]:
    """What a browser takes for it."""
    page = OpenPage(chromium, file)
    first = page.run("performance.now()") / 1e3
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


if __name__ == "__main__":
    main()
