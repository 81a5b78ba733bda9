"""Names from outside are joined to a path by one function, and lead nowhere else."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from attn_cli.errors import AttnError
from attn_cli.models.files.safe_paths import checked_path, joined

PACKAGE = Path(__file__).parents[3] / "attn_cli"
READING_FROM_OUTSIDE = ("models/hub", "models/bridge", "models/files", "models/tokens", "training")

OURS = {
    "models/files/adapter.py": {"directory / name"},  # of ADAPTER_FILES
    "models/files/safe_paths.py": {"directory / name"},  # `joined` itself
    "models/files/weights.py": {"directory / form.whole", "directory / form.index"},  # of FORMATS
    "models/hub/origin.py": {"directory / name"},  # of ADAPTER_FILES
    "models/hub/directories.py": {
        "directory / name",  # of `\w[\w.\-]*`
        "directory / part",  # found in the directory
    },
    "models/hub/locate.py": {
        "adapter.directory / name",  # a model, which an adapter may name by any path, as the user may
    },
    "models/tokens/beside.py": {"directory / name"},  # of _OTHERS
    "models/tokens/chat/files.py": {"directory / name"},  # of _OF_PROCESSORS, in an error
    "models/tokens/slow.py": {"directory / name", "directory / file"},  # of transformers' classes
    "training/publishing.py": {
        "made / name",  # found in `made`, which this process filled
        "run.directory / name",
        "directory / name",  # of three calls
    },
}
"""The joins with a name that is no constant, and where the name comes from."""

ARITHMETIC = {
    "models/bridge/judge.py",
    "models/files/adapter.py",
    "models/files/lora.py",
    "models/tokens/guards/hazards.py",
    "training/loop.py",
    "training/measure.py",
    "training/network.py",
    "training/optimizer/gradient.py",
    "training/optimizer/muon.py",
    "training/recipe.py",
    "training/run.py",
}
"""Modules that divide numbers, too."""

NUMBERS = {
    "product.left / product.left_factor",
    "product.right.mT / product.right_factor",
    "1 / number",
    "len(content) / replaced",
    "alpha / rank",
    "alpha / rank ** 0.5",
    "learned / lengths",
    "total / tokens",
    "singles[ids] / singles.sum()",
    "(together + kinds[before] * single) / np.where(is_seen, follows[before] + kinds[before], 1)",
    "nats / bits",
    "bigram_nats(held_out, train, network.spec.vocabulary) / bits",
    "8 * len(gzip.compress(text.encode('utf-8'), 9)) / len(text)",
    "nats / held_out.size",
    "2 * np.pi * np.arange(places)[:, None] / lengths",
    "both / np.sqrt(np.mean(both ** 2) + 1e-12)",
    "0.32 / width ** 0.5",
    "self._network.losses(rows, first).sum() / tokens",
    "found / (found.norm() + 1e-07)",
    "rows / columns",
    "seconds / self.training_seconds(reserved)",
    "step / self.steps",
    "share / _WARM_UP",
    "math.pi * (share - _WARM_UP) / (1 - _WARM_UP)",
    "self.width / self.heads",
    "max(1, len(self.tokenizer.decode(ids))) / len(ids)",
}


def joins(source: str) -> Iterator[str]:
    """Every `a / b` with a `b` that is neither a string nor a constant, and every other way to join."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.BinOp(op=ast.Div(), right=right) if not is_constant(right):
                yield ast.unparse(node)
            case ast.AugAssign(op=ast.Div()):
                yield ast.unparse(node)
            case ast.Call(func=ast.Attribute(attr="joinpath")):
                yield ast.unparse(node)
            case ast.Call(func=ast.Name(id="Path"), args=[_, _, *_]):
                yield ast.unparse(node)
            case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="path"), attr="join")):
                yield ast.unparse(node)


def is_constant(name: ast.expr) -> bool:
    return isinstance(name, ast.Constant) or (isinstance(name, ast.Name) and name.id.isupper())


def modules() -> list[str]:
    found = (path for folder in READING_FROM_OUTSIDE for path in (PACKAGE / folder).rglob("*.py"))
    return sorted(path.relative_to(PACKAGE).as_posix() for path in found)


@pytest.mark.parametrize("module", modules())
def test_no_name_from_outside_is_joined_to_a_path_but_by_one_function(module: str) -> None:
    known = OURS.get(module, set()) | (NUMBERS if module in ARITHMETIC else set())
    assert set(joins((PACKAGE / module).read_text())) <= known


@pytest.mark.parametrize(
    "line",
    [
        "refs / revision",
        "self._folder / 'refs' / self._revision",
        "folder / f'{name}.py'",
        "folder / names[0]",
        "folder / name.lower()",
        "folder / str(name)",
        "folder.joinpath('refs', name)",
        "Path(folder, name)",
        "os.path.join(folder, name)",
    ],
)
def test_the_search_finds_every_way_to_join(line: str) -> None:
    assert list(joins(line)) == [line]


def test_every_known_join_is_still_there() -> None:
    for module, known in OURS.items():
        assert known <= set(joins((PACKAGE / module).read_text()))


@pytest.mark.parametrize("name", ["a", "a/b", "a.b", "..a", "a..", "a b", "é", "refs/pr/1"])
def test_a_name_is_joined(name: str, tmp_path: Path) -> None:
    assert joined(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize(
    "name", ["", "..", ".", "../a", "a/../../b", "/etc/passwd", "a//b", "a/", "./a", "a\0b"]
)
def test_a_name_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    problem = f"{name!r} is not the name of a file in {tmp_path}"
    for join in (joined, checked_path):
        with pytest.raises(AttnError) as caught:
            join(tmp_path, name)
        assert caught.value.args == (problem, "correct what names it, or download it again")
