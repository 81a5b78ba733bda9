"""Downloads a model from the hub into the Hugging Face cache: only what is needed, all or nothing.

The library `huggingface_hub` knows the hub's addresses, its headers and its answers. The bytes are fetched
here: what has come lies in the cache as `<etag>.incomplete`, where versions 0 and 1 of the library had it,
and the next run goes on from there.

Its `hf_hub_download` (2.4.0) does less than tests/models/hub/test_download.py asks for:

- An interrupted file is deleted and begun anew in the next process (`_download_to_tmp_and_move`):
  test_ctrl_c_leaves_no_model_and_the_next_run_goes_on.
- What comes over HTTP is checked for its length and not for its hash: test_what_came_damaged_is_not_kept.
- A server's ETag is taken for a file's name, and `../..` leads out of the cache:
  test_a_hub_whose_etag_leads_out_of_the_cache_is_none.
- Where the hub answers 500 or 429, or cannot be reached, it writes warnings and sleeps for half a minute, and
  then all three are the same error: test_a_refusal_says_what_the_hub_said.
- A full disk is a warning, and the download begins: test_a_full_disk_says_so.

Its `http_get`, which goes on in a file that has begun, takes blocks of 10 MiB: what came of one is lost when
the connection breaks (test_a_connection_that_breaks_is_taken_up_again), and the bar moves once in each.
"""

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import file_digest, sha1
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from attn_cli.errors import AttnError
from attn_cli.models.files.weights import FORMATS, shard_names
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

_HUB = "https://huggingface.co"
_CONFIG = "config.json"
_TOKENIZER = "tokenizer.json"
_BESIDE = ("tokenizer_config.json", "special_tokens_map.json", "attn.json")
_OLDER_TOKENIZERS = (
    *("vocab.txt", "vocab.json", "merges.txt", "added_tokens.json", "target_vocab.json"),
    *("tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "spm.model", "source.spm", "target.spm"),
)
_RELATIVE = re.compile(r"^\s*from\s+\.(\w+)\s+import", re.MULTILINE | re.ASCII)
_SECONDS = 10  # without an answer, or without a byte
_CHUNK = 2**20
_ABSENT = 404
_PARTIAL = 206  # the status of an answer that goes on where the last one ended
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
    """The snapshot of the model in the cache, once all that is wanted of it is there.

    Raises:
        AttnError: the hub cannot be reached, has no such model, or keeps it to itself.
    """
    return _Hub(name, revision, environment).fetch(progress, wanted or WantedFiles())


class _Hub:
    """One model on the hub, in one revision."""

    def __init__(self, name: str, revision: str | None, environment: Mapping[str, str]) -> None:
        self._name, self._revision = name, revision or MAIN
        self._endpoint = (environment.get("HF_ENDPOINT") or _HUB).rstrip("/")
        self._token = environment.get("HF_TOKEN") or None
        self._folder = model_directory(name, environment)
        self._absent = partial(absent, name, environment, revision)
        self._like = partial(model_like, name, environment)

    def fetch(self, watch: DownloadProgress, wanted: WantedFiles) -> Path:
        """The snapshot's directory, once all of it is there.

        Raises:
            AttnError: the hub cannot be reached, has no such model, or keeps it to itself.
        """
        with self._translated_failures():
            config = self._remote(_CONFIG, self._revision)
            if config is None:
                problem = f"{self._name} is no model that can be read: the hub has no {_CONFIG} of it"
                raise AttnError(problem, f"see {self._endpoint}/{self._name}")
            weights = self._weights(config.commit) if wanted.weights else []
            files = [*weights, *self._tokenizer(config.commit), config]
            if wanted.code:
                files = [*self._code(files, config.commit), *files]
            self._download(files, watch)
            return self._publish(files, config.commit)

    def _weights(self, commit: str) -> list[_Remote]:
        """The weights in the first format that there is, whole or in shards; never in two."""
        for form in FORMATS:
            if whole := self._remote(form.whole, commit):
                return [whole]
            if index := self._remote(form.index, commit):
                self._download([index], no_progress)
                shards = [self._required(name, commit) for name in shard_names(self._blob(index), form)]
                return [*shards, index]
        names = " nor ".join(form.whole for form in FORMATS)
        problem = f"{self._name} has no weights that can be read: neither {names}"
        raise AttnError(problem, f"see {self._endpoint}/{self._name}")

    def _tokenizer(self, commit: str) -> list[_Remote]:
        """What cuts a text; what older tokenizers are made of only where there is no `tokenizer.json`."""
        whole = self._remote(_TOKENIZER, commit)
        names = _BESIDE if whole else (*_BESIDE, *_OLDER_TOKENIZERS)
        beside = [remote for name in names if (remote := self._remote(name, commit))]
        return [whole, *beside] if whole else beside

    def _code(self, files: Sequence[_Remote], commit: str) -> list[_Remote]:
        """The modules that the configurations name, and those that these import from beside them."""
        configurations = [file for file in files if file.name in {_CONFIG, *_BESIDE}]
        self._download(configurations, no_progress)
        with TemporaryDirectory() as place:
            for file in configurations:
                shutil.copyfile(self._blob(file), Path(place) / file.name)
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
            problem = f"{self._name} is not whole: the hub has no {file}, which its index names"
            raise AttnError(problem, f"see {self._endpoint}/{self._name}")
        return remote

    def _remote(self, file: str, revision: str) -> _Remote | None:
        """What the hub says of a file; None where it has none of that name."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_url  # 0.2 s
        from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

        url = hf_hub_url(self._name, file, revision=revision, endpoint=self._endpoint)
        try:
            metadata = get_hf_file_metadata(url, token=self._token, timeout=_SECONDS, endpoint=self._endpoint)
        except EntryNotFoundError:
            return None
        except HfHubHTTPError as error:
            if type(error) is HfHubHTTPError and error.response.status_code == _ABSENT:
                return None  # a mirror that does not say what it lacks
            raise
        commit, etag, size = metadata.commit_hash, metadata.etag, metadata.size
        if size is None or not _is_plain(commit) or not _is_plain(etag):
            raise AttnError(f"{self._endpoint} is no Hugging Face hub: {url}", "check HF_ENDPOINT")
        return _Remote(file, url, str(commit), str(etag), size)

    def _blob(self, remote: _Remote) -> Path:
        return self._folder / "blobs" / remote.etag

    def _download(self, files: Sequence[_Remote], watch: DownloadProgress) -> None:
        """The content of every file, as a blob of the cache."""
        lock = _library().WeakFileLock  # one process writes, another waits for it
        missing = {self._blob(remote): remote for remote in files if not self._blob(remote).exists()}
        sizes = {blob: _size(_incomplete(blob)) for blob in missing}
        total, done = sum(remote.size for remote in missing.values()), sum(sizes.values())
        (self._folder / "blobs").mkdir(parents=True, exist_ok=True)
        _check_space(self._folder, total - done)
        locks = self._folder.parent / ".locks" / self._folder.name
        locks.mkdir(parents=True, exist_ok=True)
        for blob, remote in missing.items():
            before = done - sizes[blob]

            def arrived(size: int, remote: _Remote = remote, before: int = before) -> None:
                watch(remote.name, before + size, total)

            with lock(locks / f"{remote.etag}.lock"):
                if not blob.exists():
                    self._complete(blob, remote, arrived)
            done = before + remote.size

    def _complete(self, blob: Path, remote: _Remote, arrived: Callable[[int], None]) -> None:
        """The blob: what had come of it before, and the rest; as often as something comes."""
        with _incomplete(blob).open("ab") as file:
            size = -1
            while size < file.tell() < remote.size:
                size = file.tell()
                self._append(file, remote, arrived)
            if file.tell() != remote.size:
                problem = f"{remote.name} of {self._name} came with {file.tell()} bytes of {remote.size}"
                file.truncate(0)
                raise AttnError(problem, "try again later")
        if not _is_what_the_hub_has(_incomplete(blob), remote):
            _incomplete(blob).unlink()
            problem = f"{remote.name} of {self._name} came damaged: its hash is not the one that the hub has"
            raise AttnError(problem, "try again later")
        _incomplete(blob).replace(blob)

    def _append(self, file: BinaryIO, remote: _Remote, arrived: Callable[[int], None]) -> None:
        """What is missing at the file's end, until all of it is there or the connection breaks."""
        library, start = _library(), file.tell()
        headers = library.build_hf_headers(token=self._token) | {"Accept-Encoding": "identity"}
        headers["Range"] = f"bytes={start}-"
        try:
            with library.get_session().stream("GET", remote.url, headers=headers, timeout=_SECONDS) as answer:
                library.hf_raise_for_status(answer)
                if answer.status_code != _PARTIAL:
                    file.truncate(0)
                arrived(file.tell())
                for chunk in answer.iter_bytes(_CHUNK):
                    file.write(chunk)
                    arrived(file.tell())
        except OSError:  # of the hub's answer, or of the disk
            raise
        except Exception:
            if file.tell() == start:
                raise

    def _publish(self, files: Sequence[_Remote], commit: str) -> Path:
        """The snapshot, whose configuration comes last: without one it is no model for anybody."""
        snapshot = self._folder / "snapshots" / commit
        snapshot.mkdir(parents=True, exist_ok=True)
        for remote in files:
            _link(self._blob(remote), snapshot / remote.name)
        if self._revision != commit:
            ref = self._folder / "refs" / self._revision
            ref.parent.mkdir(parents=True, exist_ok=True)
            ref.write_text(commit, encoding="utf-8")
        return snapshot

    @contextmanager
    def _translated_failures(self) -> Iterator[None]:
        """Whatever the library raises inside is an `AttnError`."""
        try:
            yield
        except AttnError:
            raise
        except Exception as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> AttnError:
        """The library's error, or the system's, in a sentence."""
        from huggingface_hub import errors

        refusal = self._refusal(error)
        if refusal is not None:
            return refusal
        if isinstance(error, errors.HFValidationError):
            return self._absent()  # a name that no hub has
        if isinstance(error, errors.HfHubHTTPError):
            return self._bad_status(error.response.status_code)
        is_offline = isinstance(error, ConnectionError)  # huggingface_hub's own word for it
        if isinstance(error, OSError) and not is_offline:
            problem = f"{self._name} cannot be kept in {self._folder}: {error.strerror or error}"
            return AttnError(problem, "make room there, or set HF_HOME to another directory")
        return self._absent(f"the hub cannot be reached ({_reason(error)})")

    def _refusal(self, error: Exception) -> AttnError | None:
        """What the hub has not, or not for everyone: the model or its revision; None for other errors."""
        from huggingface_hub import errors

        page = f"{self._endpoint}/{self._name}"
        if isinstance(error, errors.GatedRepoError):
            problem = f"{self._name} is gated: who wants to read it must be let in by its authors"
            hint = f"ask for it at {page}, and set HF_TOKEN to a token of that account"
            return AttnError(problem, hint)
        if isinstance(error, errors.RepositoryNotFoundError):
            problem = f"the model '{self._name}' is not here, and the hub has none of that name for everyone"
            meant = self._like()
            hint = "check the name: attn models lists what is here" if meant is None else f"-m {meant}"
            return AttnError(problem, f"{hint}; for a private one set HF_TOKEN")
        if isinstance(error, errors.RevisionNotFoundError):
            problem = f"{self._name} has no revision '{self._revision}' on the hub"
            return AttnError(problem, f"see {page}/tree/main, or leave out --revision")
        return None

    def _bad_status(self, status: int) -> AttnError:
        """The error for an answer of this status."""
        if status == _UNAUTHORISED and self._token:
            hint = f"make another at {self._endpoint}/settings/tokens, or unset it"
            return AttnError("the hub does not know the token in HF_TOKEN", hint)
        return AttnError(f"the hub answers {status} where {self._name} was asked for", "try again later")


def _library() -> Any:
    """The tools of `huggingface_hub`, which its types do not export."""
    from huggingface_hub import utils

    return utils


def _is_plain(word: str | None) -> bool:
    """Whether it can be a file's name: letters, digits, and nothing that leads elsewhere."""
    return bool(word) and all(letter.isalnum() or letter in "-_" for letter in str(word))


def _is_what_the_hub_has(file: Path, remote: _Remote) -> bool:
    """Whether the file has the hash that its ETag is: SHA-256 of a large file, git's of a small one.

    A mirror's may be something else, which tells nothing.
    """
    with file.open("rb") as content:
        if re.fullmatch(r"[0-9a-f]{64}", remote.etag):
            return file_digest(content, "sha256").hexdigest() == remote.etag
        if re.fullmatch(r"[0-9a-f]{40}", remote.etag):
            start = sha1(f"blob {remote.size}\0".encode(), usedforsecurity=False)
            for chunk in iter(partial(content.read, _CHUNK), b""):
                start.update(chunk)
            return start.hexdigest() == remote.etag
    return True


def _incomplete(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}.incomplete")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _check_space(directory: Path, size: int) -> None:
    """Raise `OSError` where the disk cannot take so much."""
    if shutil.disk_usage(directory).free < size:
        raise OSError(errno.ENOSPC, f"{size / 1e9:.1f} GB are too much for the disk")


def _link(blob: Path, place: Path) -> None:
    """The blob under its name; a copy of it where the system has no links."""
    if place.exists():
        return
    try:
        place.unlink(missing_ok=True)
        place.symlink_to(os.path.relpath(blob, place.parent))
    except OSError:
        shutil.copyfile(blob, place)


def _reason(error: BaseException) -> str:
    """The error in one line: what it says, or else what it is."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
