"""Text files as rows: nothing lost or duplicated, the same rows for the same seed."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_cli.errors import AttnError
from attn_cli.training import corpus
from attn_cli.training.corpus import START, TrainingRows, described, encode, stretches, windows
from attn_cli.training.tokenizer import learn

TEXT = "Once upon a time, a café stood there.\n\nNobody knew — 日本 🙂 — why.\n" * 40


@pytest.fixture
def story(tmp_path: Path) -> Path:
    path = tmp_path / "story.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.mark.parametrize("block", [1, 2, 7, 1 << 20])
@pytest.mark.parametrize("size", [1, 5, 100, 1 << 16])
def test_stretches_add_up_to_the_text_wherever_it_is_cut(
    block: int, size: int, story: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "_BLOCK", block)
    monkeypatch.setattr(corpus, "_STRETCH", size)
    assert "".join(stretches(story)) == TEXT


def test_a_stretch_ends_before_white_space_where_there_is_some(
    story: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "_STRETCH", 40)
    assert all(stretch[0].isspace() for stretch in list(stretches(story))[1:])


@pytest.mark.parametrize("block", [1, 3, 1 << 20])
def test_an_invalid_byte_is_reported_with_its_place(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "_BLOCK", block)
    path = tmp_path / "latin1.txt"
    path.write_bytes("日本 ".encode() + b"caf\xe9 au lait")
    with pytest.raises(AttnError, match=r"is not UTF-8: byte 10 is 0xe9"):
        list(stretches(path))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("block", [1, 3, 1 << 20])
def test_a_byte_order_mark_names_the_encoding(
    block: int, encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "_BLOCK", block)
    path = tmp_path / "story.txt"
    path.write_bytes("a cat in 日本 🙂".encode(encoding))
    assert "".join(stretches(path)) == "a cat in 日本 🙂"


def test_a_character_that_is_cut_off_at_the_end_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "cut.txt"
    path.write_bytes("ab日".encode()[:-1])
    with pytest.raises(AttnError, match=r"is not UTF-8: byte 2 is 0xe6"):
        list(stretches(path))


def test_a_text_is_described_by_its_checksum(story: Path) -> None:
    found = described(story)
    assert (found.name, found.characters) == ("story.txt", len(TEXT))
    assert found.sha256 == hashlib.sha256(story.read_bytes()).hexdigest()


@pytest.mark.parametrize("content", ["", " \n\t\n"])
def test_a_text_without_words_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "blank.txt"
    path.write_text(content)
    with pytest.raises(AttnError, match=r"blank\.txt contains no words"):
        described(path)


@pytest.mark.parametrize(("vocabulary", "size"), [(1 << 16, 2), ((1 << 16) + 1, 4)])
def test_an_id_takes_as_many_bytes_as_it_needs(vocabulary: int, size: int) -> None:
    assert np.dtype(corpus.id_type(vocabulary)).itemsize == size


def test_the_ids_spell_the_files_each_begun_by_the_start(story: Path, tmp_path: Path) -> None:
    tokenizer = learn([story], len(TEXT), 300)
    encode([story, story], tokenizer, tmp_path / "ids.bin")
    ids = np.fromfile(tmp_path / "ids.bin", corpus.id_type(300)).tolist()
    assert [place for place, index in enumerate(ids) if index == START] == [0, len(ids) // 2]
    assert tokenizer.decode(ids) == TEXT + TEXT


def test_a_byte_order_mark_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "marked.txt"
    path.write_bytes(b"\xef\xbb\xbfabc \xff")
    with pytest.raises(AttnError, match=r"byte 7 is 0xff"):
        list(stretches(path))
    path.write_bytes(b"\xef\xbb\xbfabc")
    assert "".join(stretches(path)) == "abc"
    assert described(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_start_token_in_a_text_is_text(story: Path, tmp_path: Path) -> None:
    tokenizer = learn([story], len(TEXT), 300)
    page = tmp_path / "page.txt"
    page.write_text("a <s>b</s> c")
    encode([page], tokenizer, tmp_path / "ids.bin")
    ids = np.fromfile(tmp_path / "ids.bin", corpus.id_type(300)).tolist()
    assert ids.count(START) == 1
    assert tokenizer.decode(ids) == "a <s>b</s> c"


def test_a_pipe_cannot_be_read_twice(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(AttnError, match=r"pipe is a pipe, but must be read more than once"):
        described(tmp_path / "pipe")


def rows(size: int, context: int, seed: int = 0, repeats: float = 0.0) -> TrainingRows:
    """Rows over 1, 2, 3, ..."""
    return TrainingRows(np.arange(1, size + 1, dtype=np.uint32), context, seed, repeats)


@given(st.integers(2, 40), st.integers(2, 9), st.integers(0, 99))
def test_an_epoch_has_every_row_once(count: int, context: int, seed: int) -> None:
    found = rows((count + 1) * context, context, seed)
    assert found.count == count
    first = found.batch(0, count)[:, 1]
    assert sorted(first - first.min()) == [row * context for row in range(count)]


def test_a_row_is_the_start_and_the_text_as_it_stands() -> None:
    (row,) = rows(40, 8).batch(0, 1)
    assert row[0] == START
    assert np.diff(row[1:]).tolist() == [1] * 7


def test_a_step_is_known_without_the_steps_before_it() -> None:
    whole = rows(1000, 10, repeats=0.5).batch(0, 12)
    np.testing.assert_array_equal(rows(1000, 10, repeats=0.5).batch(2, 4), whole[8:12])


def test_another_seed_or_epoch_is_another_order() -> None:
    first, other, later = rows(500, 10).batch(0, 49), rows(500, 10, seed=1).batch(0, 49), rows(500, 10)
    assert (first != other).any()
    assert (first != later.batch(1, 49)).any()


@given(st.integers(2, 64), st.integers(0, 99))
def test_a_passage_of_a_repeating_row_occurs_twice(context: int, seed: int) -> None:
    found = rows(context * 4, context, seed, repeats=1.0)
    (row,) = found.batch(0, 1)
    assert row[0] == START
    values, counts = np.unique(row[1:], return_counts=True)
    twice = values[counts == 2]
    assert counts.max() == 2
    assert min(8, max(1, context // 4)) <= twice.size <= context // 2
    assert np.diff(twice).tolist() == [1] * (twice.size - 1)


def test_only_a_share_of_the_rows_repeats_itself() -> None:
    found = rows(60_000, 10, repeats=0.25).batch(0, 2000)
    share = np.mean([np.unique(row).size < row.size for row in found])
    assert 0.2 < share < 0.3  # 2000 draws of 0.25: a standard deviation of 0.01


@given(st.integers(1, 60), st.integers(2, 16), st.integers(1, 16))
def test_windows_count_every_token_once(size: int, context: int, stride: int) -> None:
    ids = np.arange(1, size + 1)
    counted: list[int] = []
    for row, new in windows(ids, context, min(stride, context)):
        assert row[0] == START
        assert row.size <= context + 1
        counted.extend(row[-new:])
    assert counted == ids.tolist()


def test_half_a_character_of_utf_16_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "cut.txt"
    path.write_bytes("ab".encode("utf-16")[:-1])
    with pytest.raises(AttnError, match=r"is not UTF-16: byte 4 is 0x62"):
        list(stretches(path))
