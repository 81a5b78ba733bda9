"""Help pages at a given width, to the character."""

import pytest

from attn_cli.help.layout import Entry, Example, Page, Section, unbroken


def page(*entries: Entry, command: str = "attn inspect x") -> Page:
    return Page("attn inspect", (), [Section("Words", entries)], [Example("An example", command)])


def lines(found: Page, width: int) -> list[str]:
    return found.text(width).splitlines()[2:]


def test_a_text_is_placed_beside_its_name() -> None:
    assert lines(page(Entry("-m", "which model"), Entry("--file", "a file")), 60)[:3] == [
        "Words:",
        "  -m      which model",
        "  --file  a file",
    ]


def test_a_text_is_wrapped_below_itself() -> None:
    text = "one two three four five six seven eight"
    assert lines(page(Entry("-m", text)), 37)[1:3] == [
        "  -m  one two three four five six",
        "      seven eight",
    ]


def test_the_texts_of_all_sections_begin_in_one_column() -> None:
    sections = [Section("A", [Entry("a", "first")]), Section("B", [Entry("longer", "second")])]
    found = Page("attn", (), sections).text(60)
    assert "  a       first\n" in found
    assert "  longer  second" in found


@pytest.mark.parametrize(("length", "is_beside"), [(19, True), (20, False)])
def test_a_long_name_has_a_line_of_its_own_and_widens_no_column(length: int, is_beside: bool) -> None:
    name = "-" * length
    found = lines(page(Entry("-m", "short"), Entry(name, "long")), 60)[1:]
    if is_beside:
        assert found[:2] == [f"  -m{'':19}short", f"  {name}  long"]
    else:
        assert found[:3] == ["  -m  short", f"  {name}", "      long"]


def test_a_narrow_terminal_has_every_text_below_its_name() -> None:
    entries = Entry("-m, --model MODEL", "which model"), Entry("-q", "no remarks")
    assert lines(page(*entries), 40)[1:5] == [
        "  -m, --model MODEL",
        "      which model",
        "  -q",
        "      no remarks",
    ]


@pytest.mark.parametrize(("width", "is_beside"), [(51, True), (50, False)])
def test_texts_are_beside_names_if_thirty_columns_are_left(width: int, is_beside: bool) -> None:
    line = lines(page(Entry("-m, --model MODEL", "which model")), width)[1]
    assert ("which" in line) == is_beside


def test_no_line_is_longer_than_a_hundred_columns() -> None:
    assert max(map(len, Page("attn", ["word " * 100], ()).text(200).splitlines())) <= 100


def test_a_long_example_continues_after_a_backslash() -> None:
    command = 'attn inspect "the cat sat on the mat" -l 2 -H 5'
    assert lines(page(command=command), 40)[-2:] == [
        "    attn inspect \\",
        '      "the cat sat on the mat" -l 2 -H 5',
    ]


def test_a_value_stays_with_its_option() -> None:
    found = lines(page(command="attn heatmap --layer -1 --out picture.png --force x"), 34)
    assert found[-2:] == ["    attn heatmap --layer -1 \\", "      --out picture.png --force x"]


def test_code_is_not_broken() -> None:
    assert Page("attn", ["aa `-m random` bb"], ()).text(12).splitlines()[2:] == [
        "  aa",
        "  `-m random`",
        "  bb",
    ]


def test_an_unbroken_phrase_comes_out_with_plain_spaces() -> None:
    assert Page("attn", [f"aaaa bbbb {unbroken('0 to 1')}"], ()).text(14).splitlines()[2:] == [
        "  aaaa bbbb",
        "  0 to 1",
    ]
