"""`attn tokens`: the tokens that a model reads, and where the model comes from."""

from pathlib import Path

import pytest

from tests.support.worlds import attn, refused


def test_tokens_are_a_list() -> None:
    assert attn("tokens", "the cat sat, the end", "-m", "random").out == (
        "position  id  piece  text  start  end  special  segment\n"
        "       0   0  the    the       0    3                 0\n"
        "       1   1  cat    cat       4    7                 0\n"
        "       2   2  sat    sat       8   11                 0\n"
        "       3   3  ,      ,        11   12                 0\n"
        "       4   0  the    the      13   16                 0\n"
        "       5   4  end    end      17   20                 0\n"
    )


def test_offsets_count_characters_of_the_text_as_given(twin: Path) -> None:
    text = "the cat\r\n\tsat; café 🙂 mat"
    for token in attn("tokens", text, "-m", twin, "--json").document["tokens"]:
        if not token["special"] and token["text"].isalpha() and token["text"].isascii():
            assert text[token["start"] : token["end"]].strip() in {token["text"].strip(), "é"}


def test_a_pair_is_a_second_segment(twins: Path) -> None:
    found = attn("tokens", "the cat", "--pair", "sat", "-m", twins / "bert", "--json").document
    assert found["pair"] == "sat"
    tokens = found["tokens"]
    assert [token["piece"] for token in tokens] == ["[CLS]", "the", "cat", "[SEP]", "sat", "[SEP]"]
    assert [token["segment"] for token in tokens] == [0, 0, 0, 0, 1, 1]
    assert [(token["start"], token["end"]) for token in tokens] == [
        (0, 0),
        (0, 3),
        (4, 7),
        (7, 7),
        (0, 3),
        (3, 3),
    ]


@pytest.mark.parametrize("text", ["a\0b", "a\x1b[31mb", "[/bold]", "<script>", "a\u202eb"])
def test_no_token_controls_the_terminal(text: str) -> None:
    out = attn("tokens", text).out
    assert all(character.isprintable() for line in out.splitlines() for character in line)


def test_a_revision_is_read_out_of_the_cache(tmp_path: Path, twins: Path) -> None:
    snapshots = tmp_path / "hub" / "models--somebody--small" / "snapshots"
    snapshots.mkdir(parents=True)
    for commit, kind in (("1", "gpt2"), ("2", "bert")):
        (snapshots / commit).symlink_to(twins / kind)
    for commit, kind in (("1", "gpt2"), ("2", "bert")):
        answer = attn(
            *("tokens", "cat", "-m", "somebody/small", "--revision", commit, "--json"), HF_HOME=str(tmp_path)
        )
        assert answer.document["model"]["type"] == kind


@pytest.mark.parametrize("options", [(), ("-m", "storybook"), ("-m", "random")])
def test_built_in_models_have_no_revisions(options: tuple[str, ...]) -> None:
    name = options[-1] if options else "storybook"
    problem = f"--revision applies only to models from the hub: '{name}' is built in"
    answer = attn("tokens", "cat", "--revision", "main", *options)
    assert refused(answer) == (2, problem, "leave out --revision, or name a model: -m NAME")


@pytest.mark.usefixtures("modules")
def test_code_of_a_checkpoint_is_refused_until_it_is_trusted(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "own", "auto_map": {"AutoModel": "own.Model"}}')
    asks = f"{tmp_path}/config.json needs the Python code that comes with the checkpoint"
    hint = "--trust-remote-code, if you have read that code or trust its author"
    answer = attn("tokens", "x", "-m", tmp_path)
    assert refused(answer) == (1, f"{asks}, and that code would run with your permissions", hint)
    assert asks not in attn("tokens", "x", "-m", tmp_path, "--trust-remote-code").err
