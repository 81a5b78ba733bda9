"""Files are written atomically, and existing ones are kept."""

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from attn_cli.errors import AttnError, UsageError
from attn_cli.show import files

KNOWN = (".png", ".svg", ".pdf")


def failing(error: BaseException) -> object:
    """A function of any arguments that raises `error`."""

    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def names(directory: Path = Path()) -> list[str]:
    return [path.name for path in directory.iterdir()]


def refusal(path: Path, *, force: bool = False) -> tuple[str, str]:
    """What `check_writable` says is wrong, and what to try."""
    with pytest.raises(AttnError) as caught:
        files.check_writable(path, force=force)
    assert caught.value.status == 1
    return caught.value.problem, caught.value.hint


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["b.png", "c.png", "here/../a.png", "d/a.png"])
def test_one_file_under_two_names_is_wrong_usage(name: str) -> None:
    """A link, a second hard link, a detour, a link to the directory."""
    Path("a.png").write_bytes(b"old")
    Path("b.png").symlink_to("a.png")
    Path("c.png").hardlink_to("a.png")
    Path("here").mkdir()
    Path("d").symlink_to(".")
    with pytest.raises(UsageError) as caught:
        files.targets([Path("a.png"), Path(name)], KNOWN, force=True)
    assert caught.value.problem == f"the file is named twice: a.png and {name}"


@pytest.mark.parametrize("second", ["C.png", "c.PNG", "d/C.png"])
def test_two_cases_of_a_name_are_two_files_where_the_file_system_says_so(second: str) -> None:
    Path("d").symlink_to(".")
    Path("probe").touch()
    if Path("PROBE").exists():  # macOS, Windows
        with pytest.raises(UsageError, match=r"^the file is named twice: c\.png and "):
            files.targets([Path("c.png"), Path(second)], KNOWN, force=False)
    else:
        assert files.targets([Path("c.png"), Path(second)], KNOWN, force=False).keys() == {
            Path("c.png"),
            Path(second),
        }
        with pytest.raises(UsageError, match=r"^the file is named twice: "):
            files.targets([Path("c.png"), Path(second), Path(second)], KNOWN, force=False)
    assert sorted(names()) == ["d", "probe"]


@pytest.mark.parametrize("second", ["C.png", "c.PNG", "here/../C.png"])
def test_two_cases_of_a_name_are_one_file_on_other_file_systems(
    second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("here").mkdir()
    monkeypatch.setattr(files, "_tells_case", lambda _directory: False)
    with pytest.raises(UsageError) as caught:
        files.targets([Path("c.png"), Path(second)], KNOWN, force=False)
    assert caught.value.problem == f"the file is named twice: c.png and {second}"


def test_two_names_of_a_file_that_is_not_there_yet_are_wrong_usage() -> None:
    Path("b.png").symlink_to("a.png")
    with pytest.raises(UsageError, match=r"^the file is named twice: a\.png and b\.png$"):
        files.targets([Path("a.png"), Path("b.png")], KNOWN, force=False)


@pytest.mark.parametrize("force", [True, False])
@pytest.mark.parametrize("name", ["a.png", "b.png", "c.png"])
def test_a_loop_of_links_is_refused_before_anything_is_computed(name: str, *, force: bool) -> None:
    Path("a.png").symlink_to("a.png")
    Path("b.png").symlink_to("c.png")
    Path("c.png").symlink_to("b.png")
    assert refusal(Path(name), force=force) == (f"not a file, but a loop of links: {name}", "another name")


def test_the_suffix_names_the_kind_in_either_case() -> None:
    assert files.suffix_of(Path("a.b/out.PNG"), KNOWN) == ".png"


def test_an_unknown_suffix_is_wrong_usage() -> None:
    with pytest.raises(UsageError) as caught:
        files.suffix_of(Path("out.bmp"), KNOWN)
    assert caught.value.problem == "this command writes no '.bmp' file: out.bmp"
    assert caught.value.hint == "a name that ends in .png, .svg or .pdf"


def test_a_name_without_a_suffix_is_wrong_usage() -> None:
    with pytest.raises(UsageError) as caught:
        files.suffix_of(Path("out"), (".html",))
    assert caught.value.problem == "the name does not say which kind of file: out"
    assert caught.value.hint == "a name that ends in .html"


def test_a_name_in_an_error_is_harmless() -> None:
    with pytest.raises(UsageError) as caught:
        files.suffix_of(Path("\x1b[31m\udcff.b\x07"), KNOWN)
    assert caught.value.problem == r"this command writes no '.b\x07' file: \x1b[31m\udcff.b\x07"


def test_every_file_is_checked_before_the_computation() -> None:
    found = files.targets([Path("a.png"), Path("b.SVG")], KNOWN, force=False)
    assert found == {Path("a.png"): ".png", Path("b.SVG"): ".svg"}
    Path("b.SVG").touch()
    with pytest.raises(AttnError, match=r"^the file exists: b\.SVG$"):
        files.targets([Path("a.png"), Path("b.SVG")], KNOWN, force=False)


def test_a_file_named_twice_is_wrong_usage() -> None:
    with pytest.raises(UsageError) as caught:
        files.targets([Path("a.png"), Path("./a.png")], KNOWN, force=True)
    assert caught.value.problem == "the file is named twice: a.png"
    assert caught.value.hint == "leave one of them out"


def test_a_new_name_in_a_directory_can_be_written() -> None:
    files.check_writable(Path("out.png"), force=False)
    assert names() == []


def test_a_missing_directory_is_known_before_the_work() -> None:
    expected = ("the directory does not exist: figures", "create it, or another name")
    assert refusal(Path("figures/out.png")) == expected


def test_a_file_is_not_a_directory() -> None:
    Path("notes.txt").touch()
    assert refusal(Path("notes.txt/out.png")) == ("not a directory: notes.txt", "another name")


@pytest.mark.parametrize("force", [False, True])
def test_a_directory_is_not_a_file(*, force: bool) -> None:
    Path("out.png").mkdir()
    assert refusal(Path("out.png"), force=force) == ("not a file: out.png", "another name")


def test_a_directory_without_permission_is_known_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # the tests may run as root, who may write anywhere
    assert refusal(Path("out.png")) == ("the directory is not writable: .", "another directory")


def test_a_name_too_long_is_explained() -> None:
    name = "x" * 300 + ".png"
    problem, hint = refusal(Path(name))
    assert problem == f"{name} cannot be written: {os.strerror(errno.ENAMETOOLONG).lower()}"
    assert hint == "another name, or a directory with free space and write permission"


def test_an_existing_file_needs_force() -> None:
    path = Path("out.png")
    path.touch()
    assert refusal(path) == ("the file exists: out.png", "--force to overwrite it, or another name")
    files.check_writable(path, force=True)


def test_the_content_is_written_and_nothing_else_is_left() -> None:
    files.write(Path("out.png"), b"a\r\nb\0", force=False)
    assert Path("out.png").read_bytes() == b"a\r\nb\0"
    assert names() == ["out.png"]


def test_a_file_that_appeared_in_the_meantime_is_kept() -> None:
    path = Path("out.png")
    files.check_writable(path, force=False)
    path.write_bytes(b"theirs")
    with pytest.raises(AttnError, match=r"^the file exists: out\.png$"):
        files.write(path, b"ours", force=False)
    assert path.read_bytes() == b"theirs"
    assert names() == ["out.png"]


def test_of_many_writers_of_one_name_exactly_one_succeeds() -> None:
    path, written = Path("out.png"), []
    together = threading.Barrier(8)

    def attempt(content: bytes) -> None:
        together.wait()
        try:
            files.write(path, content, force=False)
        except AttnError:
            return
        written.append(content)

    writers = [threading.Thread(target=attempt, args=(bytes([i]) * 10_000,)) for i in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert written == [path.read_bytes()]


def test_force_replaces_the_content() -> None:
    Path("out.png").write_bytes(b"a long old content")
    files.write(Path("out.png"), b"new", force=True)
    assert Path("out.png").read_bytes() == b"new"
    assert names() == ["out.png"]


def test_force_is_not_needed_and_not_in_the_way_of_a_new_file() -> None:
    files.write(Path("out.png"), b"new", force=True)
    assert Path("out.png").read_bytes() == b"new"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
@pytest.mark.parametrize("force", [False, True])
def test_a_new_file_obeys_the_umask(umask: int, mode: int, *, force: bool) -> None:
    before = os.umask(umask)
    try:
        files.write(Path("out.png"), b"new", force=force)
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path("out.png").stat().st_mode) == mode


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o400])
def test_an_overwritten_file_keeps_its_mode(mode: int) -> None:
    Path("out.png").touch()
    Path("out.png").chmod(mode)
    files.write(Path("out.png"), b"new", force=True)
    assert stat.S_IMODE(Path("out.png").stat().st_mode) == mode


def test_a_link_keeps_pointing_and_its_target_is_written() -> None:
    Path("real").mkdir()
    Path("real/target.png").write_bytes(b"old")
    Path("out.png").symlink_to("real/target.png")
    files.write(Path("out.png"), b"new", force=True)
    assert Path("out.png").is_symlink()
    assert Path("real/target.png").read_bytes() == b"new"
    assert names(Path("real")) == ["target.png"]


def test_a_link_to_nothing_makes_its_target() -> None:
    Path("out.png").symlink_to("target.png")
    files.check_writable(Path("out.png"), force=False)
    files.write(Path("out.png"), b"new", force=False)
    assert Path("target.png").read_bytes() == b"new"


def test_a_link_into_a_missing_directory_is_known_before_the_work() -> None:
    Path("out.png").symlink_to(Path("gone/target.png").absolute())
    expected = f"the directory does not exist: {Path('gone').absolute()}"
    assert refusal(Path("out.png"))[0] == expected


def test_a_cycle_of_links_is_kept() -> None:
    Path("out.png").symlink_to("out.png")
    with pytest.raises(AttnError, match=r"^the file exists: out\.png$"):
        files.write(Path("out.png"), b"new", force=False)
    assert names() == ["out.png"]


@pytest.mark.parametrize("force", [False, True])
def test_a_pipe_is_written_as_it_stands(*, force: bool) -> None:
    path, heard = Path("out.csv"), []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: heard.append(path.read_bytes()), daemon=True)
    reader.start()
    files.check_writable(path, force=force)
    files.write(path, b"new", force=force)
    reader.join(timeout=10)
    assert heard == [b"new"]
    assert path.is_fifo()


def test_a_reader_that_closes_the_pipe_early_is_not_an_error() -> None:
    path = Path("out.csv")
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: path.open("rb").close(), daemon=True)
    reader.start()
    files.write(path, b"x" * 10_000_000, force=False)  # more than a pipe holds
    reader.join(timeout=10)


def test_a_device_is_written_as_it_stands() -> None:
    files.check_writable(Path(os.devnull), force=False)
    files.write(Path(os.devnull), b"new", force=False)
    assert Path(os.devnull).is_char_device()


@pytest.mark.parametrize(("call", "force"), [("link", False), ("replace", True), ("chmod", True)])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError()])
def test_an_interrupted_write_leaves_what_was_there(
    call: str, error: BaseException, monkeypatch: pytest.MonkeyPatch, *, force: bool
) -> None:
    if force:
        Path("out.png").write_bytes(b"old")
    before = names()
    monkeypatch.setattr(os, call, failing(error))
    with pytest.raises(type(error)):
        files.write(Path("out.png"), b"new", force=force)
    assert names() == before
    assert all(Path(name).read_bytes() == b"old" for name in before)


def test_a_full_disk_is_explained_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("out.png").write_bytes(b"old")
    monkeypatch.setattr(os, "replace", failing(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(AttnError) as caught:
        files.write(Path("out.png"), b"new", force=True)
    assert caught.value.problem == "out.png cannot be written: no space left on device"
    assert caught.value.hint == "another name, or a directory with free space and write permission"
    assert names() == ["out.png"]
    assert Path("out.png").read_bytes() == b"old"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_device_without_room_is_explained() -> None:
    with pytest.raises(AttnError) as caught:
        files.write(Path("/dev/full"), b"new", force=False)
    assert caught.value.problem == "/dev/full cannot be written: no space left on device"


def test_a_directory_that_went_away_is_explained() -> None:
    with pytest.raises(AttnError) as caught:
        files.write(Path("gone/out.png"), b"new", force=False)
    assert caught.value.problem == "gone/out.png cannot be written: no such file or directory"


@pytest.fixture
def _no_hard_links(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", failing(OSError(errno.EPERM, "Operation not permitted")))


@pytest.mark.usefixtures("_no_hard_links")
def test_without_hard_links_a_new_file_is_written() -> None:
    files.write(Path("out.png"), b"new", force=False)
    assert Path("out.png").read_bytes() == b"new"
    assert names() == ["out.png"]


@pytest.mark.usefixtures("_no_hard_links")
def test_without_hard_links_an_existing_file_is_kept() -> None:
    Path("out.png").write_bytes(b"theirs")
    with pytest.raises(AttnError, match=r"^the file exists: out\.png$"):
        files.write(Path("out.png"), b"ours", force=False)
    assert Path("out.png").read_bytes() == b"theirs"
    assert names() == ["out.png"]


@pytest.mark.usefixtures("_no_hard_links")
def test_without_hard_links_an_interrupted_write_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "replace", failing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        files.write(Path("out.png"), b"new", force=False)
    assert names() == []


@pytest.mark.parametrize("size", [0, 3, 10])
def test_what_is_written_in_pieces_is_whole(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_AT_ONCE", 3)
    content = bytes(range(size))
    files.write(tmp_path / "a.csv", content, force=False)
    assert (tmp_path / "a.csv").read_bytes() == content
