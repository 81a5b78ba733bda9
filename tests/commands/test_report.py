"""`attn report`: what is written and how large it is, and what cannot be written."""

import errno
import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from attn_cli.models import free_memory
from attn_cli.models.native.transformer import Block, Transformer
from attn_cli.models.source import Source
from attn_cli.reading import memory
from attn_cli.reading.memory import Need, Work
from attn_cli.reading.report.extent import MOST_CELLS, PageExtent
from tests.support.readings import reading_of
from tests.support.worlds import attn, refused

TEXT = "Then Uncle Sam sang, and Uncle Sam sang well."


def written(file: Path, *line: str | Path) -> str:
    answer = attn("report", *line, "-o", file)
    assert answer.status == 0, answer.err
    return file.read_text("utf-8")


def about(page: str) -> dict[str, Any]:
    (block,) = re.findall(r'<script type="application/json" id="about">(.*)</script>', page)
    found: dict[str, Any] = json.loads(block)
    return found


def test_the_page_says_what_it_is_of(tmp_path: Path) -> None:
    page = written(tmp_path / "a.html", TEXT)
    found = about(page)
    assert (found["page"], found["text"], found["model"]["name"]) == (1, TEXT, "storybook")
    assert found["texts"][0]["labels"][1:3] == ["Then", "Uncle"]
    assert found["kinds"][0]["metric"] == "induction"
    assert "<h1>storybook</h1>" in page
    assert 0 < found["error"] <= 0.002
    assert f"none is off by more than {found['error']:.2g}." in page


def test_the_metrics_are_those_of_heads(tmp_path: Path) -> None:
    (kind,) = about(written(tmp_path / "a.html", TEXT))["kinds"]
    heads = attn("heads", TEXT, "--json").document["heads"]
    assert kind["metrics"].pop("direct effect")
    for metric, values in kind["metrics"].items():
        assert values == pytest.approx([head[metric] for head in heads], rel=1e-4)
    assert [one and one[0] for one in kind["patterns"]] == [head["pattern"] for head in heads]


def test_the_page_begins_with_the_head_that_inspect_shows(tmp_path: Path, twins: Path) -> None:
    for model in ("storybook", str(twins / "bert"), str(twins / "llama")):
        begin = about(written(tmp_path / f"{len(model)}.html", TEXT, "-m", model))["begin"]
        shown = attn("inspect", TEXT, "-m", model, "--json").document["attention"][0]
        assert (begin["layer"], begin["head"]) == (shown["layer"], shown["head"])


@pytest.mark.parametrize("more", [(), ("--heads", "1.0"), ("-m", "random")])
def test_what_the_first_head_is_drawn_from_stands_before_the_script(
    more: tuple[str, ...], tmp_path: Path
) -> None:
    page = written(tmp_path / "a.html", TEXT, *more)
    found = about(page)
    (kind,), begin = found["kinds"], found["begin"]
    layer = kind["layers"].index(begin["layer"])
    steps = [
        one["steps"]
        for one in found["exact"]
        if (one["layer"], one["head"]) == tuple(begin[name] for name in ("layer", "head"))
    ]
    needed = {kind["first"] + layer * kind["heads"] + begin["head"], kind["masks"][layer]}
    needed |= {entry for each in steps for entry, *_ in each.values()}
    early, rest = (
        re.findall(rf'(?s)<script type="text/plain" id="{name}">(.*?)</script>', page)[0]
        for name in ("early", "weights")
    )
    assert {int(line.split(" ")[0]) for line in early.split("\n")} == needed
    assert {number for number, line in enumerate(rest.split("\n")) if not line} == needed
    assert page.index('id="early"') < page.index('<script type="module" async>') < page.index('id="weights"')


def test_two_pages_of_one_text_are_equal(tmp_path: Path) -> None:
    assert written(tmp_path / "a.html", TEXT) == written(tmp_path / "b.html", TEXT)


def test_the_size_is_reported(tmp_path: Path) -> None:
    answer = attn("report", TEXT, "-m", "random", "-o", tmp_path / "a.html")
    size = (tmp_path / "a.html").stat().st_size
    assert answer.err == f"wrote {tmp_path / 'a.html'}: {size / 1e6:.2f} MB\n"
    assert answer.out == ""


def test_text_from_outside_closes_no_element(tmp_path: Path) -> None:
    page = written(tmp_path / "a.html", "</script><script>alert(1)</script>&amp;", "-m", "random")
    assert page.count("<script") == 4
    assert about(page)["text"] == "</script><script>alert(1)</script>&amp;"


def test_a_page_needs_a_name() -> None:
    assert refused(attn("report", TEXT)) == (2, "no file was given for the page", "-o page.html")


def test_a_page_is_html(tmp_path: Path) -> None:
    status, problem, hint = refused(attn("report", TEXT, "-o", tmp_path / "a.json"))
    assert (status, hint) == (2, "attn inspect for the numbers, or a name that ends in .html")
    assert problem == f"this command writes no '.json' file: {tmp_path / 'a.json'}"


def test_an_existing_page_is_kept_unless_forced(tmp_path: Path) -> None:
    file = tmp_path / "a.html"
    file.write_text("mine")
    assert refused(attn("report", TEXT, "-o", file))[:2] == (1, f"the file exists: {file}")
    assert file.read_text() == "mine"
    assert written(file, TEXT, "--force").startswith("<!doctype html>")


@pytest.mark.parametrize("bits", ["0", "7", "16"])
def test_weights_have_8_or_12_bits(bits: str, tmp_path: Path) -> None:
    status, problem, hint = refused(attn("report", TEXT, "--bits", bits, "-o", tmp_path / "a.html"))
    assert (status, hint) == (2, "--bits 8 or --bits 12")
    assert problem == f"--bits {bits}: weights are kept with 8 or 12 bits"


def test_a_head_that_does_not_exist_is_named(tmp_path: Path) -> None:
    status, problem, _ = refused(attn("report", TEXT, "--heads", "9.0", "-o", tmp_path / "a.html"))
    assert status == 2
    assert problem.startswith("layer 9 does not exist")


def test_a_page_has_at_most_20_000_tokens(tmp_path: Path) -> None:
    long = (tmp_path / "a.html", "a " * 20_001)
    status, problem, hint = refused(attn("report", long[1], "-m", "random", "-o", long[0]))
    assert status == 1
    assert problem == "the text is too long for a page: 20,001 tokens, and a page holds 20,000"
    assert hint == "a part of the text; attn heads and attn heatmap take texts of any length"
    assert PageExtent.of([reading_of("a " * 20_000, "random")], 8, ()).most == MOST_CELLS


def test_exact_heads_of_a_pooled_text_are_refused(tmp_path: Path) -> None:
    line = ("report", "a " * 1_025, "-m", "random", "--heads", "0.1", "-o", tmp_path / "a.html")
    assert refused(attn(*line)) == (
        1,
        "--heads keeps all steps of 1 head, but this text of 1,025 tokens is too long for that",
        "add --rows for whole rows of them, or leave out --heads",
    )


@pytest.mark.parametrize(("tokens", "is_pooled"), [(1_024, False), (1_025, True)])
def test_texts_of_more_than_1024_tokens_are_pooled(tokens: int, is_pooled: bool) -> None:
    assert (PageExtent.of([reading_of("a " * tokens, "random")], 8, ()).most is not None) is is_pooled


@pytest.mark.parametrize("text", [TEXT, "it's $HOME `x` & more", "-dashed", "a\u202eb"])
def test_the_page_has_the_arguments_that_read_the_same(text: str, tmp_path: Path) -> None:
    file = tmp_path / "a.html"
    assert attn("report", "-m", "random", "--causal", "-o", file, "--", text).status == 0
    again = about(file.read_text("utf-8"))["again"]
    if "\u202e" in text:
        assert again == ""
        return
    shown = attn("inspect", "--heads", "0.1", "--json", *shlex.split(again)).document
    assert shown["text"] == text
    weights = attn("inspect", "--heads", "0.1", "-m", "random", "--causal", "--json", "--", text).document
    assert shown == weights


def test_a_short_piped_text_stands_in_the_command(tmp_path: Path) -> None:
    for text, again in (("the cat", "'the cat' -m random"), ("a " * 1_001, "- -m random")):
        file = tmp_path / f"{len(text)}.html"
        assert attn("report", "-m", "random", "-o", file, stdin=text).status == 0
        assert about(file.read_text("utf-8"))["again"] == again


def test_a_text_of_one_token_has_a_page(tmp_path: Path) -> None:
    found = about(written(tmp_path / "a.html", "a", "-m", "random"))
    assert found["begin"]["query"] == found["begin"]["key"] == 0


def test_exact_heads_have_at_most_64_mb(tmp_path: Path) -> None:
    heads = ",".join(f"0.{head}" for head in range(4))
    line = ("report", "a " * 1_000, "-m", "random", "--heads", heads, "-o", tmp_path / "a.html")
    assert refused(attn(*line)) == (
        1,
        "all steps of 4 heads are about 81 MB, and a page holds 67 MB",
        "--heads with at most 3 heads",
    )
    assert not (tmp_path / "a.html").exists()


def test_weights_that_are_no_numbers_leave_no_page(tmp_path: Path, twins: Path) -> None:
    copy = tmp_path / "gpt2"
    shutil.copytree(twins / "gpt2", copy)
    arrays = load_file(copy / "model.safetensors")
    name = next(name for name in arrays if name.endswith("h.0.attn.c_attn.weight"))
    save_file(arrays | {name: np.full_like(arrays[name], np.nan)}, copy / "model.safetensors")
    status, problem, _ = refused(attn("report", TEXT, "-m", copy, "-o", tmp_path / "a.html"))
    assert status == 1
    assert "are not all finite numbers" in problem
    assert not (tmp_path / "a.html").exists()


def test_a_full_disk_leaves_no_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    monkeypatch.setattr(os, "link", full)
    file = tmp_path / "a.html"
    status, problem, _ = refused(attn("report", TEXT, "-m", "random", "-o", file))
    assert (status, problem) == (1, f"{file} cannot be written: no space left on device")
    assert list(tmp_path.iterdir()) == []


def test_the_page_says_with_which_weights_it_was_made(tmp_path: Path, twins: Path) -> None:
    page = written(tmp_path / "a.html", TEXT, "-m", twins / "gpt2")
    checksum = sha256((twins / "gpt2" / "model.safetensors").read_bytes()).hexdigest()
    assert about(page)["model"]["checksum"] == checksum
    assert f"Weights: sha256 {checksum}." in page


def test_the_page_names_the_commit_of_the_hub(tmp_path: Path, twins: Path) -> None:
    snapshot = tmp_path / "models--a--b" / "snapshots" / ("a" * 40)
    shutil.copytree(twins / "gpt2", snapshot)
    page = written(tmp_path / "a.html", TEXT, "-m", snapshot)
    assert about(page)["model"]["revision"] == "a" * 40
    assert f"Weights: revision {'a' * 40}, sha256 " in page
    assert "Weights:" not in written(tmp_path / "b.html", TEXT, "-m", "random")


@pytest.mark.parametrize("divided", [False, True])
def test_the_page_begins_with_these_keys_hidden(divided: bool, tmp_path: Path) -> None:
    options = ["--hide", "first,Sam", *(["--renormalize"] if divided else [])]
    begin = about(written(tmp_path / "a.html", TEXT, *options))["begin"]
    assert (begin["hide"], begin["renormalize"]) == ([0, 3, 8], divided)


def test_all_keys_are_shown_unless_some_are_hidden(tmp_path: Path) -> None:
    begin = about(written(tmp_path / "a.html", TEXT))["begin"]
    assert (begin["hide"], begin["renormalize"]) == ([], False)


def test_hidden_keys_must_exist_and_leave_others(tmp_path: Path) -> None:
    line = ("report", TEXT, "-o", tmp_path / "a.html")
    assert (
        refused(attn(*line, "--hide", "all"))[1] == "--hide all leaves nothing to see: it hides all 12 keys"
    )
    problem = "--renormalize divides rows by what --hide leaves of them: no key is hidden"
    assert refused(attn(*line, "--renormalize"))[1] == problem


def test_keys_of_a_pooled_text_are_not_hidden(tmp_path: Path) -> None:
    line = ("report", "a " * 1_025, "-m", "random", "--hide", "first", "-o", tmp_path / "a.html")
    has = "the page of this text has only the largest"
    assert refused(attn(*line)) == (
        1,
        f"--hide needs every weight, and {has} of each block: 1,025 × 1,025 are too many",
        "a shorter text, or leave out --hide",
    )


def test_words_of_several_tokens_are_listed(tmp_path: Path) -> None:
    (text,) = about(written(tmp_path / "a.html", "an unbelievably small cat"))["texts"]
    assert [word[0] for word in text["words"]] == ["unbelievably"]
    assert "".join(text["labels"][place] for place in text["words"][0][1:]) == "unbelievably"


def test_whole_rows_of_all_heads_have_at_most_64_mb(tmp_path: Path) -> None:
    line = ("report", "a " * 2_000, "-m", "random", "--rows", "all", "-o", tmp_path / "a.html")
    assert refused(attn(*line)) == (
        1,
        "2,000 whole rows of 4 heads are about 80 MB, and a page holds 67 MB",
        "fewer --rows, or --heads for some heads",
    )
    assert attn(*line, "--rows", "0-9", "--force").status == 2
    assert refused(attn(*line, "--heads", "0.1,0.2,0.3,0.0"))[2] == "fewer --rows"


def test_whole_rows_must_exist(tmp_path: Path) -> None:
    status, problem, _ = refused(attn("report", TEXT, "--rows", "12", "-o", tmp_path / "a.html"))
    assert (status, problem) == (2, "row 12 does not exist: the text has 12 tokens, numbered 0 to 11")


@pytest.mark.parametrize(("options", "heads"), [([], 4), (["--heads", "0.2"], 1)])
def test_rows_are_those_of_the_chosen_heads(options: list[str], heads: int, tmp_path: Path) -> None:
    page = written(tmp_path / "a.html", "a b " * 600, "-m", "random", "--rows", "-1,7", *options)
    found = about(page)
    assert [row["queries"] for row in found["rows"]] == [[7, 1199]] * heads
    if options:
        assert (found["rows"][0]["head"], found["begin"]["head"]) == (2, 2)
        assert found["begin"]["query"] == 7 // found["kinds"][0]["cells"][0]


def test_a_page_that_does_not_fit_into_memory_is_refused_before_a_layer_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a layer runs")

    monkeypatch.setattr(free_memory, "free_bytes", lambda _: 1e7)
    monkeypatch.setattr(Transformer, "blocks", never)
    status, problem, hint = refused(attn("report", "a cat sat. " * 100, "-o", tmp_path / "a.html"))
    assert (status, hint) == (1, "a shorter text")
    assert problem.startswith("not enough memory: this needs about 0.1 GB (weights ")
    assert problem.endswith(", and 0.0 GB are free")
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_fits_barely_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = list[float]()

    def measured(source: Source, work: Work) -> Need:
        asked.append(memory.need(source, work).total)
        return memory.need(source, work)

    line = ("report", "a cat sat. " * 100)
    monkeypatch.setattr(
        "attn_cli.reading.report.layers.check", lambda source, work, _: measured(source, work)
    )
    assert attn(*line, "-o", tmp_path / "a.html").status == 0
    monkeypatch.undo()
    for room, status in ((0.89, 0), (0.91, 1)):
        monkeypatch.setattr(free_memory, "free_bytes", lambda _, room=room: max(asked) / room)
        assert attn(*line, "-o", tmp_path / f"{room}.html").status == status


@pytest.mark.parametrize("name", ["missing/a.html", "folder.html", "", "a"])
def test_a_place_that_cannot_be_written_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.html").mkdir()
    answer = attn("report", TEXT, "-m", "random", "-o", tmp_path / name if name else "")
    assert answer.status in {1, 2}
    assert len(answer.err.splitlines()) == 2
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("model", ["gpt2", "bert", "llama"])
def test_each_layer_runs_once_for_weights_metrics_and_effects(
    model: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, twins: Path
) -> None:
    ran, blocks = list[int](), Transformer.blocks

    def counted(*arguments: Any, **options: Any) -> Iterator[Block]:
        for block in blocks(*arguments, **options):
            ran.append(block.layer)
            yield block

    monkeypatch.setattr(Transformer, "blocks", counted)
    found = about(written(tmp_path / "a.html", TEXT, "-m", twins / model))
    assert ran == found["kinds"][0]["layers"]
    assert ("direct effect" in found["kinds"][0]["metrics"]) is (model != "bert")
