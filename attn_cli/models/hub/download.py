"""Downloads a model from the hub into the Hugging Face cache: only the files needed, all or nothing.

The library `huggingface_hub` provides URLs, headers and error types. The bytes are fetched here: a partial
download is kept in the cache as `<etag>.incomplete`, as in versions 0 and 1 of the library, and the next run
resumes it.

The library's `hf_hub_download` (2.4.0) fails the tests in tests/models/hub/test_download.py:

- An interrupted file is deleted, and the next process starts over (`_download_to_tmp_and_move`):
  test_ctrl_c_leaves_no_model_and_the_next_run_resumes.
- A download over HTTP is checked for its length but not for its hash: test_a_damaged_download_is_not_kept.
- The server's ETag is used as a file name, so that `../..` writes outside the cache:
  test_a_hub_whose_etag_leads_out_of_the_cache_is_refused.
- If the hub answers 500 or 429, or cannot be reached, the library logs warnings, sleeps for half a minute and
  then raises the same error in all three cases: test_a_refusal_quotes_the_hub.
- A full disk causes a warning, and the download starts anyway: test_a_full_disk_says_so.

The library's `http_get`, which can resume a file, reads blocks of 10 MiB: a partial block is lost when the
connection breaks (test_a_broken_connection_is_resumed), and progress is reported once per block.
"""

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from logging import CRITICAL, getLogger
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from attn_cli.errors import AttnError
from attn_cli.models.files.adapter import ADAPTER_FILES
from attn_cli.models.files.config import ADAPTER_CONFIG
from attn_cli.models.files.safe_paths import LARGEST_TEXT, joined
from attn_cli.models.files.weights import FORMATS, shard_names
from attn_cli.models.hub.blobs import is_what_the_hub_has
from attn_cli.models.hub.credentials import check_endpoint, token_to_send
from attn_cli.models.hub.locate import (
    MAIN,
    DownloadProgress,
    WantedFiles,
    absent,
    model_directory,
    model_like,
    no_progress,
    own_modules,
)
from attn_cli.record import record
from attn_cli.safe_text import without_credentials
from attn_cli.unfinished import temporary

_HUB = "https://huggingface.co"
_CONFIG = "config.json"
_TOKENIZER = "tokenizer.json"
_BESIDE = ("tokenizer_config.json", "special_tokens_map.json", "generation_config.json", "attn.json")
_CHAT = ("chat_template.jinja", "chat_template.json")
_OLDER_TOKENIZERS = (
    *("vocab.txt", "vocab.json", "merges.txt", "added_tokens.json", "target_vocab.json"),
    *("tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "spm.model", "source.spm", "target.spm"),
)
_WEIGHTS = tuple(Path(form.whole).suffix for form in FORMATS)
_RELATIVE = re.compile(r"^\s*from\s+\.(\w+)\s+import", re.MULTILINE | re.ASCII)
_IDENTITY = "identity"  # the encoding of a body that is sent as it is
_SHOWN = 20  # characters of what the hub says
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SECONDS = 10  # timeout for connecting and for each read
_CHUNK = 2**20
_LONGEST_NAME = 255  # bytes of a file's name
_ABSENT = 404
_PARTIAL = 206  # status of a response that honours the Range header
_UNAUTHORISED = 401


@record(frozen=True, slots=True)
class _Remote:
    """A file on the hub."""

    name: str
    url: str
    commit: str
    etag: str
    size: int


def download_model(
    name: str,
    revision: str | None,
    environment: Mapping[str, str],
    progress: DownloadProgress = no_progress,
    wanted: WantedFiles | None = None,
) -> Path:
    """Download the files that are wanted and return the model's snapshot directory in the cache.

    Raises:
        AttnError: the hub cannot be reached, has no such model, or denies access to it.
    """
    return _Hub(name, revision, environment).fetch(progress, wanted or WantedFiles())


class _Hub:
    """One revision of one model on the hub."""

    def __init__(self, name: str, revision: str | None, environment: Mapping[str, str]) -> None:
        self._name, self._revision = name, revision or MAIN
        self._endpoint = (environment.get("HF_ENDPOINT") or _HUB).strip().rstrip("/")
        self._shown = without_credentials(self._endpoint)
        self._named_token = environment.get("HF_TOKEN", "")
        self._folder = model_directory(name, environment)
        self._absent = partial(absent, name, environment, revision)
        self._like = partial(model_like, name, environment)
        self._checked: set[Path] = set()  # files in the cache that are what the hub has

    def fetch(self, watch: DownloadProgress, wanted: WantedFiles) -> Path:
        """Download the files that are wanted and return the snapshot directory.

        Raises:
            AttnError: the hub cannot be reached, has no such model, or denies access to it.
        """
        with self._translated_failures():
            _quiet()
            check_endpoint(self._endpoint)
            self._ref()
            self._token = token_to_send(self._named_token)
            config = self._remote(_CONFIG, self._revision)
            adapter = self._adapter(wanted) if wanted.adapter or config is None else []
            if config is None and not adapter:
                problem = f"{self._name} is not a model attn can read: it has no {_CONFIG} on the hub"
                raise AttnError(problem, f"see {self._shown}/{self._name}")
            config = config or adapter[-1]
            weights = self._weights(config.commit) if wanted.weights and not adapter else []
            files = [*weights, *self._tokenizer(config.commit), config, *adapter]
            if wanted.code:
                files = [*self._code(files, config.commit), *files]
            self._download(files, watch)
            return self._publish(files, config.commit)

    def _ref(self) -> Path:
        """The file that tells the commit of the revision.

        Raises:
            AttnError: no branch, tag or commit can have that name.
        """
        try:
            ref = joined(self._folder / "refs", self._revision)
        except AttnError as error:
            raise self._no_revision() from error
        if not self._revision.isprintable() or max(map(len, map(os.fsencode, ref.parts))) > _LONGEST_NAME:
            raise self._no_revision()
        return ref

    def _no_revision(self) -> AttnError:
        problem = f"{self._name} has no revision '{self._revision}' on the hub"
        return AttnError(problem, f"see {self._shown}/{self._name}/tree/main, or leave out --revision")

    def _weights(self, commit: str) -> list[_Remote]:
        """The weights in the first format available, as one file or in shards; never in two formats."""
        for form in FORMATS:
            if whole := self._remote(form.whole, commit):
                return [whole]
            if index := self._remote(form.index, commit):
                self._download([index], no_progress)
                shards = [self._required(name, commit) for name in shard_names(self._blob(index), form)]
                return [*shards, index]
        names = " nor ".join(form.whole for form in FORMATS)
        problem = f"{self._name} has no weights attn can read: neither {names}"
        raise AttnError(problem, f"see {self._shown}/{self._name}")

    def _adapter(self, wanted: WantedFiles) -> list[_Remote]:
        """The files of the adapter of PEFT, its configuration last; none if it is no adapter."""
        config = self._remote(ADAPTER_CONFIG, self._revision)
        if config is None or not wanted.weights:
            return [config] if config else []
        files = (self._remote(name, config.commit) for name in ADAPTER_FILES)
        weights = next((file for file in files if file), None)
        if weights is None:
            problem = f"{self._name} is an adapter without weights: neither {' nor '.join(ADAPTER_FILES)}"
            raise AttnError(problem, f"see {self._shown}/{self._name}")
        return [weights, config]

    def _tokenizer(self, commit: str) -> list[_Remote]:
        """The tokenizer's files; those of older tokenizers only if there is no `tokenizer.json`."""
        whole = self._remote(_TOKENIZER, commit)
        names = (*_BESIDE, *_CHAT) if whole else (*_BESIDE, *_CHAT, *_OLDER_TOKENIZERS)
        beside = [remote for name in names if (remote := self._remote(name, commit))]
        return [whole, *beside] if whole else beside

    def _code(self, files: Sequence[_Remote], commit: str) -> list[_Remote]:
        """The modules named in the configuration files, and the modules they import relatively."""
        configurations = [file for file in files if file.name in {_CONFIG, *_BESIDE}]
        self._download(configurations, no_progress)
        with TemporaryDirectory() as place:
            for file in configurations:
                shutil.copyfile(self._blob(file), joined(Path(place), file.name))
            names = sorted(own_modules(Path(place)))
        modules: dict[str, _Remote] = {}
        while names:
            name = names.pop()
            remote = None if name in modules else self._remote(f"{name}.py", commit)
            if remote is not None:
                modules[name] = remote
                self._download([remote], no_progress)
                source = self._blob(remote).read_text(encoding="utf-8", errors="replace")
                names += _RELATIVE.findall(source)
        return list(modules.values())

    def _required(self, file: str, commit: str) -> _Remote:
        remote = self._remote(file, commit)
        if remote is None:
            problem = f"{self._name} is incomplete: the hub has no {file}, which the model's index names"
            raise AttnError(problem, f"see {self._shown}/{self._name}")
        return remote

    def _remote(self, file: str, revision: str) -> _Remote | None:
        """The hub's metadata for a file; None if there is no such file."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_url  # 0.2 s
        from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

        url = hf_hub_url(self._name, file, revision=revision, endpoint=self._endpoint)
        try:
            metadata = get_hf_file_metadata(
                url, token=self._token or False, timeout=_SECONDS, endpoint=self._endpoint
            )
        except EntryNotFoundError:
            return None
        except HfHubHTTPError as error:
            if type(error) is HfHubHTTPError and error.response.status_code == _ABSENT:
                return None  # a mirror that answers 404 without naming what is missing
            raise
        commit, etag, size = metadata.commit_hash, metadata.etag, metadata.size
        if size is None or size < 0 or not _is_plain(commit) or not _is_plain(etag):
            where = without_credentials(url)
            raise AttnError(f"{self._shown} is not a Hugging Face hub: {where}", "check HF_ENDPOINT")
        if size > LARGEST_TEXT and not file.endswith(_WEIGHTS):
            sizes = f"{size / 1e6:,.0f} MB, and the limit is {LARGEST_TEXT / 1e6:,.0f} MB"
            page = f"{self._shown}/{self._name}"
            raise AttnError(f"{file} of {self._name} is too large: {sizes}", f"see {page}")
        return _Remote(file, url, str(commit), str(etag), size)

    def _blob(self, remote: _Remote) -> Path:
        return joined(self._folder / "blobs", remote.etag)

    def _download(self, files: Sequence[_Remote], watch: DownloadProgress) -> None:
        """Download every file that is missing, as a blob in the cache."""
        missing = {self._blob(remote): remote for remote in files if not self._has(self._blob(remote))}
        sizes = {blob: _size(_incomplete(blob)) for blob in missing}
        total, done = sum(remote.size for remote in missing.values()), sum(sizes.values())
        (self._folder / "blobs").mkdir(parents=True, exist_ok=True)
        _check_space(self._folder, total - done)
        locks = joined(self._folder.parent / ".locks", self._folder.name)
        locks.mkdir(parents=True, exist_ok=True)
        for blob, remote in missing.items():
            before = done - sizes[blob]

            def arrived(size: int, remote: _Remote = remote, before: int = before) -> None:
                watch(remote.name, before + size, total)

            with _locked(joined(locks, f"{remote.etag}.lock")):  # one process writes, others wait for it
                if not blob.exists():
                    self._complete(blob, remote, arrived)
            done = before + remote.size

    def _has(self, blob: Path) -> bool:
        """Whether the cache has the file as the hub has it; one with another hash is removed."""
        if blob in self._checked or not blob.exists():
            return blob in self._checked
        if not is_what_the_hub_has(blob, blob.name):
            blob.unlink()
            return False
        self._checked.add(blob)
        return True

    def _complete(self, blob: Path, remote: _Remote, arrived: Callable[[int], None]) -> None:
        """Resume the blob until it is complete; retry as long as each attempt adds bytes."""
        try:
            self._fill(_incomplete(blob), remote, arrived)
        except OSError as error:
            if error.errno in _FULL:
                _incomplete(blob).unlink()  # the next run needs the space
            raise
        if not is_what_the_hub_has(_incomplete(blob), remote.etag):
            _incomplete(blob).unlink()
            problem = f"{remote.name} of {self._name} is damaged: its hash differs from the one on the hub"
            raise AttnError(problem, "run the command again later")
        _incomplete(blob).replace(blob)
        self._checked.add(blob)

    def _fill(self, path: Path, remote: _Remote, arrived: Callable[[int], None]) -> None:
        """Append to the file until it has the announced size, and never more.

        Raises:
            AttnError: the hub sends less, or more, or in another encoding.
            OSError: the connection breaks, or the disk is full.
        """
        with path.open("ab", buffering=0) as file:  # what a buffer holds would be written as it is closed
            if file.tell() > remote.size:
                _empty(file)
            size = -1
            while size < file.tell() < remote.size:
                size = file.tell()
                self._append(file, remote, arrived)
            if file.tell() != remote.size:
                raise self._wrong_size(file, remote, f"{file.tell()} bytes")

    def _wrong_size(self, file: BinaryIO, remote: _Remote, found: str) -> AttnError:
        """The error for a file of another size than was announced; nothing of it is kept."""
        _empty(file)
        problem = f"{remote.name} of {self._name} has the wrong size: {found} instead of {remote.size}"
        return AttnError(problem, "run the command again later")

    def _append(self, file: BinaryIO, remote: _Remote, arrived: Callable[[int], None]) -> None:
        """Append the missing end of the file, until it is complete or the connection breaks."""
        library, start = _library(), file.tell()
        headers = {"User-Agent": "attn", "Accept-Encoding": _IDENTITY, "Range": f"bytes={start}-"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            with library.get_session().stream("GET", remote.url, headers=headers, timeout=_SECONDS) as answer:
                if answer.is_error:
                    answer.close()  # the library would read all of its body, which may have no end
                library.hf_raise_for_status(answer)
                self._check_encoding(answer, remote)
                if answer.status_code != _PARTIAL:
                    _empty(file)
                arrived(file.tell())
                for chunk in answer.iter_raw(_CHUNK):
                    self._take(chunk, file, remote)
                    arrived(file.tell())
        except (AttnError, OSError):  # also an HTTP error from the hub, or a failed write
            raise
        except Exception:
            if file.tell() == start:
                raise

    def _take(self, chunk: bytes, file: BinaryIO, remote: _Remote) -> None:
        """Append these bytes; raises `AttnError` if there are more than was announced."""
        if file.tell() + len(chunk) > remote.size:
            raise self._wrong_size(file, remote, "more bytes")
        _write(file, chunk)

    def _check_encoding(self, answer: Any, remote: _Remote) -> None:
        """Raise `AttnError` if the body is compressed, which was not asked for: it could grow without end."""
        encoding = answer.headers.get("Content-Encoding", _IDENTITY)
        if encoding.strip().lower() not in {"", _IDENTITY}:
            problem = f"the hub sends {remote.name} of {self._name} compressed: {encoding[:_SHOWN]}"
            raise AttnError(problem, "check HF_ENDPOINT, and the proxy on the way to it")

    def _publish(self, files: Sequence[_Remote], commit: str) -> Path:
        """Link the files into the snapshot, the configuration last: only then does it count as a model."""
        snapshot = joined(self._folder / "snapshots", commit)
        snapshot.mkdir(parents=True, exist_ok=True)
        for remote in files:
            _link(self._blob(remote), joined(snapshot, remote.name))
        if self._revision != commit:
            ref = self._ref()
            ref.parent.mkdir(parents=True, exist_ok=True)
            with temporary(ref.with_name(f".{os.getpid()}.part")) as part:
                part.unlink(missing_ok=True)  # a link would be written through
                part.write_text(commit, encoding="utf-8")
                part.replace(ref)
        return snapshot

    @contextmanager
    def _translated_failures(self) -> Iterator[None]:
        """Turn any exception raised inside into an `AttnError`."""
        try:
            yield
        except AttnError:
            raise
        except Exception as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> AttnError:
        """The `AttnError` for an exception of the library or the operating system."""
        from huggingface_hub import errors

        refusal = self._refusal(error)
        if refusal is not None:
            return refusal
        if isinstance(error, errors.HFValidationError):
            return self._absent()  # not a valid name on the hub
        if isinstance(error, errors.HfHubHTTPError):
            return self._bad_status(error.response.status_code)
        is_offline = isinstance(error, ConnectionError)  # what huggingface_hub raises when offline
        if isinstance(error, OSError) and not is_offline:
            problem = f"{self._name} cannot be saved in {self._folder}: {error.strerror or error}"
            return AttnError(problem, "free some space there, or set HF_HOME to another directory")
        return self._absent(f"the hub cannot be reached ({_reason(error)})")

    def _refusal(self, error: Exception) -> AttnError | None:
        """The error for a missing or restricted model or a missing revision; None for other errors."""
        from huggingface_hub import errors

        page = f"{self._shown}/{self._name}"
        if isinstance(error, errors.GatedRepoError):
            problem = f"{self._name} is gated: its authors must grant you access"
            hint = f"request access at {page}, and set HF_TOKEN to a token of your account"
            return AttnError(problem, hint)
        if isinstance(error, errors.RepositoryNotFoundError):
            problem = f"model '{self._name}' not found: neither on this machine nor publicly on the hub"
            meant = self._like()
            hint = "check the name (attn models lists local models)" if meant is None else f"-m {meant}"
            return AttnError(problem, f"{hint}; for a private model set HF_TOKEN")
        if isinstance(error, errors.RevisionNotFoundError):
            return self._no_revision()
        return None

    def _bad_status(self, status: int) -> AttnError:
        """The error for a response with this status."""
        if status == _UNAUTHORISED and self._named_token.strip():
            hint = f"create a new one at {self._shown}/settings/tokens, or unset HF_TOKEN"
            return AttnError("the hub rejected the token in HF_TOKEN", hint)
        return AttnError(
            f"the hub answered {status} to a request for {self._name}", "run the command again later"
        )


def _library() -> Any:
    """`huggingface_hub`, as Any: it imports what it exports when that is first used."""
    import huggingface_hub

    return huggingface_hub


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of this name, in the place and of the kind that the library uses."""
    from filelock import FileLock, SoftFileLock  # what the library locks with

    lock: FileLock | SoftFileLock = FileLock(path)
    try:
        lock.acquire()
    except NotImplementedError:  # some network shares
        lock = SoftFileLock(path)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _quiet() -> None:
    """Let the library neither print what the hub says nor ask it for more than the model.

    Its telemetry gets a list from the hub, of any length, and it logs the warnings in the hub's answers.
    """
    from huggingface_hub import constants

    constants.HF_HUB_DISABLE_TELEMETRY = True
    getLogger("huggingface_hub").setLevel(CRITICAL)


def _is_plain(word: str | None) -> bool:
    """Whether the word is safe as a file name: letters, digits, `-` and `_`, so no path."""
    return bool(word) and all(letter.isalnum() or letter in "-_" for letter in str(word))


def _empty(file: BinaryIO) -> None:
    file.truncate(0)
    file.seek(0)


def _write(file: BinaryIO, chunk: bytes) -> None:
    """Write all of the bytes: without a buffer a nearly full disk takes some of them first."""
    left = memoryview(chunk)
    while left:
        left = left[file.write(left) :]


def _incomplete(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}.incomplete")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _check_space(directory: Path, size: int) -> None:
    """Raise `OSError` if the disk has fewer than `size` bytes free."""
    if shutil.disk_usage(directory).free < size:
        raise OSError(errno.ENOSPC, f"the download of {size / 1e9:.1f} GB does not fit on the disk")


def _link(blob: Path, place: Path) -> None:
    """Link the blob under the file's name; copy it if the system does not support symbolic links."""
    if place.exists():
        return
    try:
        place.unlink(missing_ok=True)
        place.symlink_to(os.path.relpath(blob, place.parent))
    except OSError:
        shutil.copyfile(blob, place)


def _reason(error: BaseException) -> str:
    """What the system says of the connection, or else the type of the error.

    The message of a library is not quoted: it can contain a header with the token, or the password in a URL.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno is not None:
            return f"[Errno {cause.errno}] {cause.strerror}"
        cause = cause.__cause__ or cause.__context__
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
