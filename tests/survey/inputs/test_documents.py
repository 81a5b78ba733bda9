"""Documents in files, directories and pipes; what cannot be read is named, and reading goes on."""

import io
import os
import threading
from pathlib import Path

import pytest

from attn_cli.errors import AttnError, UsageError
from attn_cli.survey.inputs import lines
from attn_cli.survey.inputs.documents import check_field, documents
from attn_cli.survey.inputs.files import InputFiles, find_files
from attn_cli.survey.inputs.per import Per
from attn_cli.survey.records import Document, Unread

LATIN = "caf\xe9".encode("latin-1")


def read(
    *paths: Path, stdin: bytes = b"", field: str | None = None, per: Per = Per.LINE
) -> list[tuple[int, str]]:
    """The place and the text of each document, or why it is none."""
    return [
        (entry.place, entry.text if isinstance(entry, Document) else f"! {entry.why}")
        for entry in documents(paths, io.BufferedReader(io.BytesIO(stdin)), field, per)
    ]


def written(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_text_has_a_document_per_line_numbered_as_sed_does(tmp_path: Path) -> None:
    file = written(tmp_path / "a.txt", "one two\r\n\nthree  \nno end")
    assert read(file) == [(1, "one two"), (2, "! blank"), (3, "three  "), (4, "no end")]


def test_a_text_can_be_one_document_without_its_last_line_end(tmp_path: Path) -> None:
    file = written(tmp_path / "a.txt", "one\ntwo\n\n")
    assert read(file, per=Per.FILE) == [(0, "one\ntwo\n")]


def test_a_line_that_is_not_utf8_is_named_and_the_next_one_is_read(tmp_path: Path) -> None:
    file = written(tmp_path / "a.txt", b"\xef\xbb\xbffirst\n" + LATIN + b"\nthird\n")
    assert read(file) == [(1, "first"), (2, "! not UTF-8: byte 3 is 0xe9"), (3, "third")]
    assert read(written(tmp_path / "b.txt", LATIN), per=Per.FILE) == [(0, "! not UTF-8: byte 3 is 0xe9")]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_text_with_another_mark_is_read_by_line_too(tmp_path: Path, encoding: str) -> None:
    file = written(tmp_path / "a.txt", "eins\r\nzwei ü\n".encode(encoding))
    assert read(file) == [(1, "eins"), (2, "zwei ü")]
    broken = written(tmp_path / "b.txt", "eins\nzwei\n".encode(encoding) + b"\x00")
    assert read(broken)[-1][1] == f"! not {encoding.upper()}, here and after it"


def test_json_lines_have_the_text_of_a_field(tmp_path: Path) -> None:
    rows = [
        '{"text": "one two", "id": "three four"}',
        '"alone"',
        '{"id": 3}',
        "{broken",
        "",
        '{"text": null}',
    ]
    rows += ['{"text": "\\ud800"}', "[" * 100_000]
    file = written(tmp_path / "a.jsonl", "\n".join(rows))
    assert read(file) == [
        (1, "one two"),
        (2, "alone"),
        (3, "! no field 'text'"),
        (4, "! not JSON: column 2"),
        (5, "! blank"),
        (6, "! no text in field 'text'"),
        (7, "! not Unicode: character 0 is '\\ud800'"),
        (8, "! not JSON: its nesting or numbers"),
    ]
    assert read(file, field="id")[:3] == [
        (1, "three four"),
        (2, "! no field 'id'"),
        (3, "! no text in field 'id'"),
    ]


def test_rows_of_a_csv_file_are_counted_below_the_names(tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", b'id,text\n1,"two\nlines, one"\n\n2\n3,' + LATIN + b"\n4,last\n")
    assert read(file) == [
        (1, "two\nlines, one"),
        (2, "! only 1 of the fields: the text is field 2"),
        (3, "! not Unicode: character 3 is '\\udce9'"),
        (4, "last"),
    ]
    assert read(file, field="id")[0] == (1, "1")
    assert read(file, field="body") == [(0, "! no field 'body': its fields are id, text")]
    assert read(written(tmp_path / "one.csv", "quote\nto be\n")) == [(1, "to be")]


def test_a_quote_that_never_ends_spoils_its_row_alone(tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", 'text\none\n"two\nthree\n')
    assert read(file) == [(1, "one"), (2, "! not CSV: unexpected end of data")]
    assert read(written(tmp_path / "b.csv", 'text\n"a"b\nlast\n')) == [
        (1, "! not CSV: ',' expected after '\"'"),
        (2, "last"),
    ]


def test_rows_of_a_parquet_file(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    table = pa.table({"id": [1, 2, 3], "text": ["one", None, "three"]})
    pq.write_table(table, tmp_path / "a.parquet")
    found = [(1, "one"), (2, "! no text in field 'text'"), (3, "three")]
    assert read(tmp_path / "a.parquet") == found
    pq.write_table(table.set_column(1, "text", table["text"].dictionary_encode()), tmp_path / "b.parquet")
    assert read(tmp_path / "b.parquet") == found
    assert read(tmp_path / "a.parquet", field="id") == [(0, "! field 'id' has no texts: its type is int64")]


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [f"{n} words" for n in range(2000)]}), path, row_group_size=500)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = os.urandom(4000)
    path.write_bytes(content)
    found = read(path)
    assert found[-1][1].startswith("! damaged .parquet file")
    assert read(written(tmp_path / "b.parquet", "no such thing"))[0][1].startswith(
        "! damaged .parquet file: "
    )


def test_a_document_that_is_too_long_is_named_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LONGEST", 8)
    file = written(tmp_path / "a.txt", "seven77\n" + "x" * 30 + "\nshort\n" + "y" * 8)
    assert read(file) == [
        (1, "seven77"),
        (2, f"! {lines.TOO_LONG}"),
        (3, "short"),
        (4, f"! {lines.TOO_LONG}"),
    ]
    assert read(file, per=Per.FILE) == [(0, f"! {lines.TOO_LONG}")]


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "utf-16.txt"])
def test_nothing_is_read_after_a_line_that_does_not_end(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LONGEST", 16)
    monkeypatch.setattr(lines, "MOST_SKIPPED", 100)
    content = f'text\n"one"\n{"x" * 90}\n"two"\n{"y" * 200}\n"three"\n'
    file = tmp_path / name
    file.write_text(content, "utf-16" if name.startswith("utf-16") else "utf-8")
    found = [text for _, text in read(file)]
    assert found[-2].strip('"') == "two"
    assert found[-3:] == [f"! {lines.Lost.LONG.value}", found[-2], f"! {lines.Lost.ENDLESS.value}"]


@pytest.mark.skipif(not Path("/dev/urandom").exists(), reason="no devices")
def test_a_device_that_does_not_end_is_not_read() -> None:
    assert read(Path("/dev/urandom")) == [(0, "! cannot be read: a device, which does not end")]
    assert read(Path("/dev/null")) == []


def test_standard_input_is_lines_of_text_or_with_a_field_of_json() -> None:
    assert read(Path("-"), stdin=b"one\ntwo\n") == [(1, "one"), (2, "two")]
    assert read(Path("-"), stdin=b'{"a": "one"}\n', field="a") == [(1, "one")]


def test_a_directory_is_read_in_the_order_of_its_paths(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.txt", "a/c.jsonl", ".hidden.txt", ".git/x.txt", "picture.png"):
        written(tmp_path / name, '"a text"\n')
    found = find_files([tmp_path])
    assert [str(path.relative_to(tmp_path)) for path in found.paths] == ["b.txt", "a/c.jsonl", "a/z.txt"]
    assert found.passed_over == 1


def test_a_file_counts_once(tmp_path: Path) -> None:
    file = written(tmp_path / "a.txt", "one")
    (tmp_path / "link.txt").symlink_to(file)
    with pytest.raises(UsageError, match=r"the file is named twice: .*link.txt"):
        find_files([file, tmp_path / "link.txt"])
    with pytest.raises(UsageError, match=r"the file is named twice: -"):
        find_files([Path("-"), Path("-")])
    assert find_files([tmp_path]) == InputFiles((file,), 1)


@pytest.mark.parametrize(
    ("name", "problem", "hint"),
    [
        (
            "a.json",
            "this command reads no '.json' file: a.json",
            "a line for each document: jq -c '.[]' a.json",
        ),
        ("a.txt.gz", "this command reads no '.gz' file: a.txt.gz", "zcat a.txt.gz | attn survey -"),
        ("a.pdf", "this command reads no '.pdf' file: a.pdf", ".txt, .jsonl, .csv or .parquet, or a pipe"),
    ],
)
def test_other_kinds_of_file_are_refused(name: str, problem: str, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        find_files([Path(name)])
    assert error.value.problem == problem
    assert error.value.hint.startswith(hint)


def test_what_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(AttnError, match=r"none.txt does not exist"):
        find_files([tmp_path / "none.txt"])
    with pytest.raises(AttnError, match=r"has no .txt, .jsonl, .csv or .parquet file"):
        find_files([tmp_path])


def test_a_file_that_goes_before_its_turn_is_named(tmp_path: Path) -> None:
    first, second = written(tmp_path / "a.txt", "one\n"), written(tmp_path / "b.txt", "two\n")
    found = documents([first, second], None, None)
    next(found)
    second.unlink()
    assert list(found) == [Unread(str(second), 0, "cannot be read: no such file or directory")]


def test_a_file_that_changes_meanwhile_is_an_error(tmp_path: Path) -> None:
    file = written(tmp_path / "a.txt", "one\ntwo\n")
    found = documents([file], None, None)
    next(found)
    with file.open("a") as more:
        more.write("three\n")
    with pytest.raises(AttnError, match=r"a.txt changed while it was read"):
        list(found)


def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("one\ntwo\n",))
    writer.start()
    assert read(*find_files([pipe]).paths) == [(1, "one"), (2, "two")]
    writer.join()


def test_a_field_of_texts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--field body applies only to"):
        check_field([tmp_path / "a.txt"], "body")
    check_field([tmp_path / "a.txt", Path("-")], "body")


def test_only_the_document_that_is_read_is_in_memory(tmp_path: Path) -> None:
    import tracemalloc

    peaks = []
    for count in (1_000, 100_000):
        file = written(tmp_path / f"{count}.txt", "a line of a few words\n" * count)
        tracemalloc.start()
        assert sum(1 for _ in documents([file], None, None)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 100_000  # bytes: the file is 2.2 MB
