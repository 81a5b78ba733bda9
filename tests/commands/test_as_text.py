"""`--as-text`: the text itself, shaded by the weights of one query, in a terminal and as a picture."""

from pathlib import Path

import pytest

from tests.commands.test_heatmap import words
from tests.support.families import TRANSLATORS
from tests.support.worlds import attn, attn_in_terminal, refused

TEXT = "Then Uncle Sam sang, and Uncle Sam sang well."
SAM = ("--heads", "2.7", "--rows", "Sam@2")


def test_inspect_shows_the_text_with_the_weights_of_one_query() -> None:
    answer = attn("inspect", TEXT, *SAM, "--as-text")
    assert (answer.status, answer.err) == (0, "")
    assert answer.out.splitlines()[3:5] == [
        "weights 2.7 · query 8 Sam · 3 of 12 tokens masked",
        "<s>[.07] Then Uncle Sam sang[.93], and Uncle {Sam} sang well.",
    ]


def test_the_numbers_are_those_of_the_table() -> None:
    (entry,) = attn("inspect", TEXT, *SAM, "-s", "weights", "--json").document["attention"]
    weights = dict(zip(entry["keys"], entry["steps"]["weights"][0], strict=True))
    shown = attn("inspect", TEXT, *SAM, "--as-text", "--digits", "4").out
    assert f"sang[{weights[4]:.4f}]".replace("0.", ".") in shown


def test_without_rows_the_last_token_of_the_text_asks(twins: Path) -> None:
    answer = attn("inspect", "the cat", "-m", twins / "bert", "-l", "0", "-H", "0", "--as-text")
    assert "query 2 cat" in answer.out
    assert answer.err.startswith("the row of 2 cat is shown; others: --rows 0, or a word of the text\n")


def test_without_heads_the_head_that_stands_out_is_shown() -> None:
    answer = attn("inspect", TEXT, "--rows", "Sam@2", "--as-text")
    assert "weights 2.7 · query 8 Sam" in answer.out
    assert answer.err.startswith("head 2.7 is shown, the clearest induction head of 32")


def test_several_heads_and_rows_stand_below_one_another() -> None:
    shown = attn("inspect", TEXT, "--heads", "0.2,2.7", "--rows", "Sam", "--as-text").out
    titles = [
        line.split(" · 3")[0].split(" · 8")[0] for line in shown.splitlines() if line.startswith("weights")
    ]
    assert titles == [f"weights {head} · query {row} Sam" for head in ("0.2", "2.7") for row in (3, 8)]


def test_the_mean_of_heads_is_one_text() -> None:
    shown = attn("inspect", TEXT, "--rows", "Sam@2", "-l", "2", "--as-text", "--mean").out
    assert shown.count("query 8 Sam") == 1
    assert "mean weights of the 8 heads of layer 2 · query 8 Sam" in shown
    assert "mean weights of all 32 heads" in attn("inspect", TEXT, "--as-text", "--mean", "-q").out


def test_columns_shade_only_some_tokens_and_say_where_the_rest_of_the_weight_is() -> None:
    shown = attn("inspect", TEXT, *SAM, "--columns", "1-", "--as-text").out
    assert "0.07 on tokens that are not shaded" in shown
    assert "<s> Then Uncle Sam sang[.93]" in shown


def test_a_first_token_that_takes_most_of_the_weight_is_named_with_the_option_to_see_the_rest() -> None:
    first = '"<s>" (0) takes 1.00 of the weight; --hide first shades the rest\n'
    assert attn("inspect", TEXT, "--heads", "2.7", "--rows", "well", "--as-text").err == first
    assert attn("inspect", TEXT, "--heads", "2.7", "--rows", "well", "--as-text", "--columns", "1-").err == ""
    assert attn("inspect", TEXT, "--heads", "2.7", "--rows", "0", "--as-text").err == ""
    several = '"<s>" (0) takes more than half of the weight in 2 of 3 texts; --hide first shades the rest\n'
    assert attn("inspect", TEXT, "--heads", "2.7", "--rows", "0,4,5", "--as-text").err == several


def test_hidden_tokens_are_plain_and_their_weight_is_told() -> None:
    shown = attn("inspect", TEXT, *SAM, "--hide", "first", "--as-text").out
    assert "0.07 on tokens that are not shaded" in shown
    assert "<s> Then Uncle Sam sang[.93]" in shown
    divided = attn("inspect", TEXT, *SAM, "--hide", "first", "--renormalize", "--as-text").out
    assert "0.07 on tokens that are not shaded\nthe others divided by what is left" in divided
    assert "sang[1.0]" in divided


def test_hidden_tokens_and_columns_together_leave_the_rest_of_the_weight() -> None:
    for more in ((), ("--renormalize",)):
        options = ("--hide", "first", "--columns", "5-", *more)
        assert "1.00 on tokens that are not shaded" in attn("inspect", TEXT, *SAM, *options, "--as-text").out


def test_a_row_of_which_nothing_is_left_is_named() -> None:
    options = ("--heads", "2.7", "--rows", "0", "--hide", "first", "--renormalize")
    answer = attn("inspect", TEXT, *options, "--as-text")
    assert answer.status == 0
    assert "row 0" in answer.err
    assert "1.00 on tokens that are not shaded" in answer.out


def test_json_and_data_files_are_the_same_as_without(tmp_path: Path) -> None:
    plain, text = (attn("inspect", TEXT, *SAM, "--json", *more).out for more in ((), ("--as-text",)))
    assert plain == text
    for name, more in (("a", ()), ("b", ("--as-text",))):
        assert attn("inspect", TEXT, *SAM, "-o", tmp_path / f"{name}.csv", *more).status == 0
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()


def test_the_numbers_can_be_verified(twins: Path) -> None:
    answer = attn("inspect", "the cat", "-m", twins / "bert", "--heads", "0.0", "--as-text", "--verify")
    assert answer.status == 0
    assert "largest difference: " in answer.err


def test_scale_and_limits_are_those_of_the_shades(tmp_path: Path) -> None:
    for options, told in (
        (("--limits", "0,0.5"), "shades 0 to 0.5"),
        (("--scale", "log"), "shades 0.001 to 1, log scale"),
        (("--scale", "log", "--limits", "0.01,0.5"), "shades 0.01 to 0.5, log scale"),
        (("--scale", "linear", "--columns", "0"), "shades 0 to 1"),
        (("--columns", "0"), "shades 0 to 0.07"),
    ):
        answer = attn("heatmap", TEXT, *SAM, "--as-text", *options, "-o", tmp_path / "a.svg", "--force")
        assert answer.status == 0
        assert f" · {told} · " in words(tmp_path / "a.svg")[1]
    problem = "--limits 1,0 is the wrong way round: 1 is above 0"
    assert refused(attn("inspect", TEXT, *SAM, "--as-text", "--limits", "1,0")) == (
        2,
        problem,
        "--limits 0,1",
    )


def test_cross_attention_shades_the_text_of_the_encoder(tmp_path: Path) -> None:
    TRANSLATORS["t5"].save(tmp_path)
    arguments = (
        "the cat",
        "--target",
        "sat on",
        "-m",
        tmp_path,
        "--kind",
        "cross",
        "--heads",
        "0.0",
        "--rows",
        "1",
    )
    lines = attn("inspect", *arguments, "--as-text").out.splitlines()
    after = lines.index("  → looks at")
    assert "{" in lines[after - 1]
    assert "[." in lines[after + 1]
    assert attn("heatmap", *arguments, "--as-text", "-o", tmp_path / "a.svg").status == 0
    assert "→ looks at" in words(tmp_path / "a.svg")


def test_heatmap_draws_the_text(tmp_path: Path) -> None:
    paths = [tmp_path / f"a.{suffix}" for suffix in ("svg", "png", "pdf")]
    answer = attn("heatmap", TEXT, *SAM, "--as-text", *(part for path in paths for part in ("-o", path)))
    assert answer.err.splitlines() == [f"wrote {path}" for path in paths]
    found = words(paths[0])
    assert found[:2] == [
        "layer 2, head 7: induction · 12 tokens · storybook",
        "query 8 Sam · shades 0 to 1 · 3 of 12 tokens masked",
    ]
    assert [word for word in found if word in TEXT.replace(",", "").replace(".", "").split()][:4] == [
        "Then",
        "Uncle",
        "Sam",
        "sang",
    ]


def test_a_script_in_the_text_is_no_element_of_the_picture(tmp_path: Path) -> None:
    text = "<script>alert(1)</script> \x1b[31m $x^2$"
    assert attn("heatmap", text, "--heads", "1.0", "--as-text", "-o", tmp_path / "a.svg", "-q").status == 0
    content = (tmp_path / "a.svg").read_text()
    assert "<script" not in content
    assert "\x1b" not in content
    shown = attn("inspect", text, "--heads", "1.0", "--as-text", "-q").out
    assert "\x1b" not in shown


def test_a_long_text_shows_its_row_without_the_matrix() -> None:
    text = " ".join(f"w{i}" for i in range(3000))
    answer = attn_in_terminal("inspect", text, "-m", "random", "-H", "0", "--rows", "-1", "--as-text")
    assert answer.status == 0
    assert "{w2999}" in answer.out
    assert answer.out.count("\n") < 100
    assert "averaged over blocks" not in answer.err


@pytest.mark.parametrize(
    ("options", "problem", "hint"),
    [
        (("--mean",), "--mean applies only to --as-text", "--as-text --mean, or leave out --mean"),
        (
            ("--as-text", "-s", "scores"),
            "--as-text shows weights, not scores",
            "leave out -s, or leave out --as-text",
        ),
        (
            ("--as-text", "-l", "0-1", "--rows", "0-4"),
            "--as-text shows at most 64 texts below one another, and 5 rows of 16 heads are 80",
            "--rows -1",
        ),
        (
            ("--as-text", "--rows", "Unkle"),
            "'Unkle' is not a word of the text: the nearest is 'Uncle'",
            "--rows Uncle",
        ),
    ],
)
@pytest.mark.parametrize("command", ["inspect", "heatmap"])
def test_what_cannot_be_shown_is_refused(
    command: str, options: tuple[str, ...], problem: str, hint: str, tmp_path: Path
) -> None:
    out = ("-o", tmp_path / "a.svg") if command == "heatmap" else ()
    assert refused(attn(command, TEXT, *options, *out)) == (2, problem, hint)
    assert not list(tmp_path.iterdir())


def test_sixty_four_texts_are_shown() -> None:
    answer = attn("inspect", TEXT, "-l", "all", "--rows", "1-2", "--as-text", "-q")
    assert answer.out.count("weights ") == 64


def test_too_many_heads_are_refused_with_the_mean_as_a_way_out() -> None:
    answer = attn(
        "inspect",
        TEXT,
        "-l",
        "all",
        "-m",
        "random",
        "--head-count",
        "65",
        "--width",
        "65",
        "--rows",
        "0",
        "--as-text",
    )
    problem = "--as-text shows at most 64 texts below one another, and 1 row of 65 heads are 65"
    assert refused(answer) == (2, problem, "--mean, or fewer heads: -l, -H or --heads")


@pytest.mark.parametrize(("digits", "first"), [("0", "<s>[0.9] "), ("1", "<s>[0.9] "), ("2", "<s>[.92] ")])
def test_the_largest_weight_has_as_many_digits_as_are_asked_for_but_one(digits: str, first: str) -> None:
    shown = attn("inspect", "the cat sat", "--heads", "1.3", "--as-text", "--digits", digits).out
    assert shown.splitlines()[4].startswith(first)
