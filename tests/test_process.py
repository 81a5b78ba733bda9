"""`attn` as a process among others: pipes, signals, closed streams, odd bytes, completion."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attn_cli import __version__

pytestmark = pytest.mark.slow  # each test is a process, some of them several

ATTN = [sys.executable, "-m", "attn_cli"]
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("ATTN", "COLUMNS", "PYTHONIO", "PYTHONUNBUF"))
}


def attn(
    *arguments: str | bytes, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*ATTN, *arguments], input=stdin, capture_output=True, check=False, env=ENVIRONMENT | environment
    )


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of `sh` in which `attn` is this checkout."""
    return subprocess.run(
        ["sh", "-c", f'attn() {{ "{sys.executable}" -m attn_cli "$@"; }}; {line}'],  # noqa: S607
        capture_output=True,
        check=False,
        env=ENVIRONMENT | environment,
    )


def test_the_module_is_the_program() -> None:
    done = attn("--version")
    assert (done.returncode, done.stdout) == (0, f"attn {__version__}\n".encode())


def test_the_installed_script_is_the_program() -> None:
    script = Path(sys.executable).with_name("attn")
    assert (
        subprocess.run([script, "--version"], check=True, capture_output=True).stdout
        == attn("--version").stdout
    )


def test_the_status_reaches_the_shell() -> None:
    done = attn("inspect", "x", "--layer", "9", "-m", "random")
    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr == b"attn: layer 9 does not exist: random has 1, numbered 0\ntry: --layer 0\n"


def test_a_text_comes_through_a_pipe() -> None:
    done = attn("tokens", "-", "-q", "-m", "random", stdin="\ufeffthe café\r\n".encode())
    assert [line.split()[2] for line in done.stdout.decode().splitlines()] == ["piece", "the", "café"]


def test_echo_and_an_argument_give_the_same_numbers() -> None:
    argument = shell("attn inspect 'the cat sat' --json")
    assert argument.returncode == 0
    assert shell("echo the cat sat | attn inspect --json").stdout == argument.stdout


@pytest.mark.parametrize("closed", ["</dev/null", "<&-"])
def test_empty_standard_input_is_not_a_text(closed: str) -> None:
    done = shell(f"attn inspect {closed}")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"attn: no text was given\ntry: ")


@pytest.mark.parametrize("arguments", ["inspect x -q", "inspect x -q --json", "tokens x -q", "--help"])
def test_a_reader_that_closes_the_pipe_is_no_error(arguments: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        line = [*ATTN, *arguments.split()]
        done = subprocess.run(line, stdout=closed, stderr=subprocess.PIPE, check=False, env=ENVIRONMENT)
    assert (done.returncode, done.stderr) == (0, b"")


def test_standard_error_may_be_closed_early_too(tmp_path: Path) -> None:
    status = tmp_path / "status"
    done = shell(f"(attn inspect 'the cat' 2>&1 >/dev/null; echo $? >{status}) | true")
    assert (status.read_text(), done.stderr) == ("0\n", b"")


@pytest.mark.parametrize("closed", [">&-", "2>&-"])
def test_a_closed_stream_is_no_error(closed: str) -> None:
    done = shell(f"attn inspect 'the cat' {closed}")
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


def test_a_closed_standard_input_is_empty() -> None:
    done = shell("attn inspect - <&-")
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, b"attn: the text is empty")


@pytest.mark.parametrize(
    "line", ["inspect 'the cat'", "inspect 'the cat' --json", "models", "tokens x", "--help", "--version"]
)
def test_a_full_disk_behind_standard_output_is_two_lines(line: str) -> None:
    done = shell(f"attn {line} >/dev/full")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        b"attn: the result cannot be written: no space left on device",
        b"try: check the path, its permissions and the free disk space",
    ]


def test_a_full_disk_behind_completion_is_two_lines_too() -> None:
    asked = {"COMP_WORDS": "attn ins", "COMP_CWORD": "1", "_ATTN_COMPLETE": "complete_bash"}
    done = shell("attn >/dev/full", **asked)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 2)


WRONG = "inspect x -l 99"
IMPOSSIBLE = "inspect x -m ./nowhere"


@pytest.mark.parametrize("output", ["", ">/dev/full", ">&-"])
@pytest.mark.parametrize("errors", ["2>/dev/full", "2>&-"])
@pytest.mark.parametrize(("line", "status"), [(WRONG, 2), (IMPOSSIBLE, 1)])
def test_a_failure_is_a_failure_where_nothing_can_be_said(
    line: str, status: int, errors: str, output: str
) -> None:
    done = shell(f"attn {line} {output} {errors}")
    assert (done.returncode, done.stdout, done.stderr) == (status, b"", b"")


@pytest.mark.parametrize("errors", ["2>/dev/full", "2>&-", "2>&1"])
def test_a_full_disk_is_a_failure_where_nothing_can_be_said(errors: str) -> None:
    done = shell(f"attn inspect x >/dev/full {errors}")
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")


@pytest.mark.parametrize(("line", "status"), [(WRONG, 2), (IMPOSSIBLE, 1), ("inspect x", 0)])
def test_a_failure_is_a_failure_behind_a_closed_pipe(line: str, status: int, tmp_path: Path) -> None:
    shell(f"(attn {line} 2>&1 >/dev/null; echo $? >{tmp_path}/status) | true")
    assert (tmp_path / "status").read_text() == f"{status}\n"


@pytest.mark.parametrize(
    ("line", "status"), [("inspect x -q", 0), ("inspect x", 1), ("heatmap x -o {}/x.png", 1)]
)
def test_a_remark_that_is_lost_on_a_full_disk_is_a_failure(line: str, status: int, tmp_path: Path) -> None:
    done = shell(f"attn {line.format(tmp_path)} 2>/dev/full")
    assert (done.returncode, done.stderr) == (status, b"")


@pytest.mark.parametrize("command", ["inspect", "heads"])
def test_ctrl_c_in_the_middle_is_130(command: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "text")
    process = subprocess.Popen(
        [*ATTN, command, "--file", tmp_path / "text"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    with (tmp_path / "text").open("wb"):  # opens when attn opens the other end
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, b"", b"attn: interrupted\n")


IN_A_LIBRARY = """
import hashlib, os, signal, sys, threading
import attn_cli.cli
from attn_cli.__main__ import main
def interrupt():
    with begins:
        signal.raise_signal(signal.SIGINT)
def work():
    {before}
    try:
        begins.release()
        hashlib.pbkdf2_hmac("sha256", b"", b"", {rounds})
    finally:
        print("in order", flush=True)
sys.setswitchinterval(1000)  # no thread runs before the library lets it
begins = threading.Lock()
begins.acquire()
threading.Thread(target=interrupt, daemon=True).start()
attn_cli.cli.main = work
main()
"""


def interrupted_in_a_library(before: str, rounds: int) -> tuple[int, bytes, bytes]:
    code = IN_A_LIBRARY.format(before=before, rounds=rounds)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=ENVIRONMENT, check=False, timeout=60
    )
    return done.returncode, done.stdout, done.stderr


def test_ctrl_c_while_a_library_computes_for_hours_is_130() -> None:
    assert interrupted_in_a_library("pass", 2**31 - 1) == (130, b"", b"attn: interrupted\n")


@pytest.mark.parametrize(
    "handled", ["signal.signal(signal.SIGINT, lambda *_: None)", "signal.set_wakeup_fd(-1)"]
)
def test_other_handlers_of_ctrl_c_are_kept(handled: str) -> None:
    """The second as in training, which saves its state: the main thread ends after that."""
    status, out, _ = interrupted_in_a_library(handled, 12_000_000)  # longer than one is patient
    assert (status, out) == (0 if "lambda" in handled else 130, b"in order\n")


HEARD = """
import os, signal, sys, threading, time
import attn_cli.cli
from attn_cli.__main__ import main
from attn_cli.models.tokens.fast import FastTokenizer
import tokenizers
from tokenizers import Regex, models, pre_tokenizers
inner = tokenizers.Tokenizer(models.WordLevel({{"a": 0, "[UNK]": 1}}, unk_token="[UNK]"))
inner.pre_tokenizer = pre_tokenizers.Split(Regex({pattern!r}), "isolated")
slow = FastTokenizer(inner)
def press():
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGINT)
def work():
    threading.Thread(target=press, daemon=True).start()
    slow.encode({text}, None)
attn_cli.cli.main = work
main()
"""


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (
            r"a*a*a*(?!)",
            "('a' * 150 + ' ') * 100",
        ),  # below the library's limit at each place, and for seconds in all
        (r"(?<some>a*)\g<some>\g<some>\b\B", "('a' * 150 + ' ') * 100"),
        (r"\w", "'a b ' * 2_000_000"),
    ],
)
def test_ctrl_c_is_heard_while_a_tokenizer_works_on(pattern: str, text: str) -> None:
    begun = time.monotonic()
    code = HEARD.format(pattern=pattern, text=text)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=ENVIRONMENT, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"attn: interrupted\n")
    assert time.monotonic() - begun < 15  # 1 s, and the start of a process on a busy machine


def test_a_held_ctrl_c_counts_once() -> None:
    # `raise_signal`, here and above: of `os.kill` the system may tell another thread, and a moment later
    code = """
import os, signal
import attn_cli.__main__ as process, attn_cli.cli
def press():
    signal.raise_signal(signal.SIGINT)
def leave(leaves=process.leave):
    press()
    leaves()
process.leave, attn_cli.cli.main = leave, press
process.main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=ENVIRONMENT, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"attn: interrupted\n")


LATE = """
import os, signal, sys
import attn_cli.__main__ as process
def press(*_):
    signal.raise_signal(signal.SIGINT)
    for _ in range(100):
        pass
{late}
sys.argv = ["attn", *{arguments}]
process.main()
"""


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["--version"], 0), (["inspect", "x", "-l", "99"], 2), (["inspect", "x", "-q"], 0)],
)
@pytest.mark.parametrize(
    "late",
    [
        "process._end = press",
        "end = process._end; process._end = lambda status: (press(), end(status))",
        "import atexit; atexit.register(press)",
        "import threading; threading._register_atexit(press); threading.active_count = lambda: 2",
    ],
)
def test_ctrl_c_after_the_end_does_not_change_the_result(
    late: str, arguments: list[str], status: int
) -> None:
    code = LATE.format(late=late, arguments=arguments)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=ENVIRONMENT, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (status, status)


@pytest.mark.parametrize(
    "late",
    [
        "import attn_cli.cli as cli; run = cli.run; cli.run = lambda *a: (run(*a), press())[0]",
        "import attn_cli.cli as cli; cli.World.complain = press",
        "process.ignore = press",
    ],
)
def test_ctrl_c_before_the_end_is_130_at_any_moment(late: str) -> None:
    code = LATE.format(late=late, arguments=["inspect", "x", "-l", "99"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=ENVIRONMENT, check=False)
    assert done.returncode == 130
    assert done.stderr.endswith(b"attn: interrupted\n")
    assert b"Traceback" not in done.stderr


def test_ctrl_c_during_the_imports_is_130() -> None:
    code = """
import sys
class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
from attn_cli.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, env=ENVIRONMENT)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"attn: interrupted\n")


ENDING = """
import atexit, os, sys, threading
import attn_cli.cli
from attn_cli.__main__ import main
def work():
    {work}
    sys.exit(3)
attn_cli.cli.main = work
try:
    main()
finally:
    os.write(1, b"left to the interpreter\\n")
"""


@pytest.mark.parametrize(
    ("work", "out"),
    [
        ("atexit.register(print, 'called')", b"called\n"),
        (
            "threading.Thread(target=lambda: print('waited', threading.main_thread().join())).start()",
            b"left to the interpreter\nwaited None\n",
        ),
        ("sys.setprofile(lambda *_: None)", b"left to the interpreter\n"),
    ],
    ids=["alone", "with a thread", "with a profiler"],
)
def test_a_process_ends_at_once_after_what_waits_for_its_end(work: str, out: bytes) -> None:
    code = ENDING.format(work=work)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=ENVIRONMENT, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, out, b"")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((b"a\xff b",), b"the text is not UTF-8: character 1 is '\\udcff'"),
        ((b"a", b"-l", b"\xff"), b"'\\udcff' selects no layer"),
        ((b"a", b"-m", b"m\xff"), b"model 'm\\udcff' not found: "),
        ((b"a", b"--file", b"m\xff"), b"two texts were given: 'a' and --file m\\udcff"),
        ((b"a", b"--\xff"), b"a text that begins with a dash looks like an option: '--\\udcff'"),
    ],
)
def test_bytes_that_are_no_text_are_spelled_out(arguments: tuple[bytes, ...], problem: bytes) -> None:
    done = attn("inspect", *arguments)
    assert done.returncode in {1, 2}
    assert done.stderr.startswith(b"attn: " + problem)
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "latin-1"])
@pytest.mark.parametrize(
    "line", ["heatmap --help", "inspect --json-schema", "tokens 日本 -m random", "inspect 日本 -m random"]
)
def test_any_encoding_can_carry_the_result(encoding: str, line: str) -> None:
    done = attn(*line.split(), PYTHONIOENCODING=encoding)
    assert done.returncode == 0
    assert "日" not in done.stdout.decode(encoding)
    assert ("日本" in line) == ("\\u65e5" in done.stdout.decode(encoding))


def test_formulas_and_bars_can_be_read_in_ascii() -> None:
    done = attn("explain", "Tom Thumb went to sea, and Tom", "--query", "-1", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert b" / sqrt 32 = " in done.stdout
    assert b"  ####" in done.stdout
    assert b"\\" not in done.stdout  # no sign is spelled out


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("attn ins", ["inspect"]),
        ("attn inspect --st", ["--step"]),
        ("attn inspect --step sc", ["scores"]),
        ("attn compare -d co", ["cosine"]),
        ("attn inspect -m some", ["somebody/model"]),
        ("attn inspect -m rand", ["random"]),
        ("attn inspect -m story", ["storybook"]),
        ("attn inspect --dtype bf", ["bfloat16"]),
    ],
)
def test_the_shell_can_complete(typed: str, offered: list[str], tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--somebody--model" / "snapshots" / "1"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text('{"model_type": "bert"}')
    asked = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1), "HF_HOME": str(tmp_path)}
    done = attn(stdin=b"", _ATTN_COMPLETE="complete_bash", **asked)
    assert done.stdout.decode().split() == offered


def test_the_completion_script_calls_attn() -> None:
    assert b"_ATTN_COMPLETE=complete_bash $1" in attn(_ATTN_COMPLETE="source_bash").stdout


@pytest.mark.parametrize(
    "asked",
    [
        {"_ATTN_COMPLETE": "bogus"},
        {"_ATTN_COMPLETE": "complete_xyz"},
        {"_ATTN_COMPLETE": "complete_bash"},
        {"_ATTN_COMPLETE": "complete_bash", "COMP_WORDS": "attn x", "COMP_CWORD": "x"},
        {"_ATTN_COMPLETE": "source_\x1b[1m"},
    ],
)
def test_a_request_for_completion_that_is_none_says_so(asked: dict[str, str]) -> None:
    done = attn(stdin=b"", **asked)
    problem, hint = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout) == (2, b"")
    assert problem.startswith("attn: the request for shell completion is not understood: ")
    assert hint.startswith("try: _ATTN_COMPLETE=source_SHELL attn")
    assert problem.isprintable()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell", "pwsh"])
def test_each_shell_has_a_script(shell: str) -> None:
    done = attn(_ATTN_COMPLETE=f"source_{shell}")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"attn" in done.stdout


def test_completion_offers_no_name_that_a_terminal_obeys(tmp_path: Path) -> None:
    for name in ("a--\x1b[2Jb", "a--\nb", "a--good"):
        snapshot = tmp_path / "hub" / f"models--{name}" / "snapshots" / "1"
        snapshot.mkdir(parents=True)
        (snapshot / "config.json").write_text("{}")
    asked = {"COMP_WORDS": "attn inspect -m a", "COMP_CWORD": "3", "HF_HOME": str(tmp_path)}
    assert attn(stdin=b"", _ATTN_COMPLETE="complete_bash", **asked).stdout == b"a/good\n"


ENDED = """
import os, signal
from pathlib import Path
from attn_cli.__main__ import main
from attn_cli.show import files
import attn_cli.cli
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it
def work():
    target = Path("x.json")
    target.write_bytes(b"old")
    files._AT_ONCE = 1
    real = memoryview
    def press(content):
        assert [path.name for path in Path().iterdir() if path.name.startswith(".attn-")]
        signal.raise_signal(signal.{name})
        return real(content)
    files.memoryview = press
    {inside}
    files.write(target, b"newer", force=True)
attn_cli.cli.main = work
main()
"""
IN_LIBRARY = """import hashlib, threading
    def stuck(content):
        threading.Timer(0.2, press, [content]).start()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
    files.memoryview = stuck"""


@pytest.mark.parametrize(
    "inside",
    ["pass", IN_LIBRARY],
    ids=["python", "library"],
)
@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_during_a_write_leaves_the_old_file_alone(
    name: str, status: int, inside: str, tmp_path: Path
) -> None:
    """In the second, the signal comes while a library holds the main thread."""
    code = ENDED.format(name=name, inside=inside)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env=ENVIRONMENT,
        check=False,
        timeout=60,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (status, b"", b"attn: interrupted\n")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x.json": b"old"}


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_that_is_ignored_stays_so(name: str) -> None:
    code = f"""
import os, signal, attn_cli.cli
from attn_cli.__main__ import main
signal.signal(signal.{name}, signal.SIG_IGN)  # as with nohup
attn_cli.cli.main = lambda: (signal.raise_signal(signal.{name}), print("on"))
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=ENVIRONMENT, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"on\n", b"")


@pytest.mark.skipif(sys.platform != "linux", reason="the limits are Linux's")
@pytest.mark.parametrize(
    "limit", ["-v 14000", "-v 22000", "-v 30000", "-v 45000", "-v 60000", "-n 5", "-n 6"]
)
def test_a_limit_that_is_too_low_is_two_lines(limit: str) -> None:
    """OpenBLAS says a line of its own above these: see docs/files.md."""
    done = shell(f"ulimit {limit}; attn inspect 'the cat sat'")
    lines = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout, len(lines)) == (1, b"", 2)
    assert lines[0].startswith("attn: ")
    assert lines[1].startswith("try: ")


def attn_in_ascii(*arguments: str | bytes, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run `attn` in a locale without a character beyond ASCII."""
    return attn(*arguments, stdin=stdin, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")


def test_text_in_arguments_is_utf_8_in_a_locale_of_ascii() -> None:
    here, there = (
        attn_in_ascii("tokens", "café 日本", "--json"),
        attn_in_ascii("tokens", "café 日本", "--json"),
    )
    assert (there.returncode, there.stderr) == (0, b"")
    assert json.loads(there.stdout) == json.loads(here.stdout)


def test_a_file_whose_name_is_utf_8_is_found_in_a_locale_of_ascii(tmp_path: Path) -> None:
    file = tmp_path / "é.txt"
    file.write_text("naïve", "utf-8")
    done = attn_in_ascii("tokens", "--file", str(file), "--json")
    assert json.loads(done.stdout)["text"] == "naïve"


def test_a_text_in_a_pipe_is_utf_8_in_a_locale_of_ascii() -> None:
    done = attn_in_ascii("tokens", "-", "--json", stdin="日本".encode())
    assert json.loads(done.stdout)["text"] == "日本"


def test_what_is_printed_keeps_the_encoding_of_a_locale_of_ascii() -> None:
    assert attn_in_ascii("tokens", "é", "-m", "random").stdout.isascii()


def test_an_argument_that_is_not_utf_8_is_refused_in_a_locale_of_ascii() -> None:
    done = attn_in_ascii("tokens", b"caf\xe9")
    assert done.stderr == b"attn: the text is not UTF-8: character 3 is '\\udce9'\ntry: convert it to UTF-8\n"


@pytest.mark.parametrize("where", ["attn_cli.cli._called", "attn_cli.cli.main"])
@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_library_that_makes_another_error_of_a_signal_is_interrupted_all_the_same(
    name: str, status: int, where: str
) -> None:
    code = f"""
import os, signal, sys, attn_cli.cli
from attn_cli.__main__ import main
def load(*_):
    try:
        signal.raise_signal(signal.{name})
        while True:
            pass
    except KeyboardInterrupt:
        raise ImportError("cannot load module more than once per process") from None
{where} = load
sys.argv = ["attn", "inspect", "x"]
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=ENVIRONMENT, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (status, b"", b"attn: interrupted\n")
