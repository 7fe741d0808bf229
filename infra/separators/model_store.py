"""Where checkpoints are: a directory, or a prefix in S3 that is copied to a cache.

A file counts only with the size and SHA-256 that ``models.json`` gives it, at every loading:
a disk that lost a bit, or a half-copied file, must not make noise that somebody pays for.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from domain.errors import Invalid, ModelError, Unavailable
from infra.faults import unavailable
from infra.separators.model_store_manifest import MANIFEST, MAX_BYTES, File

_PIECE = 1 << 20
_SPARE = 64 << 20  # bytes that a download leaves free on the disk
_ABSENT = {"NoSuchKey", "NoSuchBucket", "NotFound", "404"}
_FULL = {errno.ENOSPC, errno.EDQUOT}
_SETTING = "SPLITSOUND_MODELS"


class Store(Protocol):
    """A place with a manifest and the files that it lists."""

    where: str

    def manifest(self) -> bytes:
        """The content of ``models.json``. Raises Invalid; Unavailable when S3 does not answer."""

    def fetch(self, file: File) -> Path:
        """A local copy of exactly those bytes. Raises ModelError ``model_unavailable``."""

    def state(self, file: File, *, thorough: bool = True) -> str:
        """For people: ``verified``, ``missing``, ``not fetched``, or what is wrong with it.

        Not thorough: the size is looked at and nothing read; ``right size`` at best.
        """


def open_store(location: str, cache: Path | None, s3: Callable[[], Any]) -> Store:
    """The store at a directory's path or ``s3://bucket/prefix``; nothing is read yet.

    cache: where objects are copied to, by default a directory of this user's among the
    temporary files. s3: makes a boto3 client, asked for when it is needed. Raises Invalid.
    """
    if not location.startswith("s3://"):
        return LocalStore(Path(location))
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    if not bucket:
        raise Invalid(f"{_SETTING} is {location!r}: name a bucket, as in s3://bucket/prefix.")
    return S3Store(bucket, prefix.strip("/"), cache or _own_cache(), s3)


def missing(where: str, what: str, todo: str, *, transient: bool = False) -> ModelError:
    """The error of a model that cannot be had: what is wrong, where, what to do."""
    return ModelError("model_unavailable", f"{what} in {where}. {todo}", transient=transient)


class LocalStore:
    """Files used where they are."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.where = str(directory)

    def manifest(self) -> bytes:
        """See Store."""
        path = self.directory / MANIFEST
        try:
            with path.open("rb") as file:
                return _bounded(file.read(MAX_BYTES + 1), str(path))
        except OSError as error:
            raise Invalid(_no_manifest(str(path), error.strerror or str(error))) from error

    def fetch(self, file: File) -> Path:
        """See Store."""
        path = self.directory / file.name
        fault = difference(path, file)
        if fault:
            raise missing(
                self.where,
                f"The model's file {file.name!r} is {fault}",
                "Copy it there anew, or let `splitsound models add` record what is there.",
            )
        return path

    def state(self, file: File, *, thorough: bool = True) -> str:
        """See Store."""
        fault = difference(self.directory / file.name, file, thorough=thorough)
        return fault or ("verified" if thorough else "right size")


class S3Store:
    """Objects under a prefix, each copied once, under its checksum, into the cache."""

    def __init__(self, bucket: str, prefix: str, cache: Path, s3: Callable[[], Any]) -> None:
        self._bucket, self._prefix, self._s3 = bucket, prefix, s3
        self._cache = cache
        self.where = "s3://" + "/".join(filter(None, (bucket, prefix)))

    def manifest(self) -> bytes:
        """See Store."""
        try:
            answer = self._get(MANIFEST)
            return _bounded(answer["Body"].read(MAX_BYTES + 1), f"{self.where}/{MANIFEST}")
        except ClientError as error:
            if _code(error) in _ABSENT:
                place = f"{self.where}/{MANIFEST}"
                raise Invalid(_no_manifest(place, "there is no such object")) from error
            raise unavailable("The model store", error, self._arn(MANIFEST)) from error
        except (BotoCoreError, OSError) as error:
            raise unavailable("The model store", error, self._arn(MANIFEST)) from error

    def fetch(self, file: File) -> Path:
        """See Store. Two processes that want a file at once fetch it once."""
        target = self._target(file)
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _alone(target.parent / ".lock"):
                if difference(target, file):
                    self._download(file, target)
        except OSError as error:
            raise self._unwritable(error) from error
        return target

    def state(self, file: File, *, thorough: bool = True) -> str:
        """See Store; of a file that is not in the cache only the object's size is known."""
        if not difference(self._target(file), file, thorough=thorough):
            return "verified" if thorough else "right size"
        try:
            answer = self._s3().head_object(Bucket=self._bucket, Key=self._key(file.name))
        except ClientError as error:
            if _code(error) in _ABSENT:
                return "missing"
            raise unavailable("The model store", error, self._arn(file.name)) from error
        except BotoCoreError as error:
            raise unavailable("The model store", error, self._arn(file.name)) from error
        size = answer["ContentLength"]
        return "not fetched" if size == file.bytes else _sizes(size, file.bytes)

    def _target(self, file: File) -> Path:
        """Placed by content, so that a changed manifest never meets an old file."""
        return self._cache / file.sha256 / Path(file.name).name

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    def _arn(self, name: str) -> str:
        return f"arn:aws:s3:::{self._bucket}/{self._key(name)}"

    def _get(self, name: str) -> Any:
        return self._s3().get_object(Bucket=self._bucket, Key=self._key(name))

    def _download(self, file: File, target: Path) -> None:
        """Only whole, verified files get their name; what is left of a failure is removed."""
        part = target.parent / ".part"
        try:
            # What a killed process left counts as room that there will be.
            part.unlink(missing_ok=True)
            if shutil.disk_usage(self._cache).free < file.bytes + _SPARE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._check(file, *self._copy(file, part))
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def _copy(self, file: File, part: Path) -> tuple[int, str]:
        """Size and SHA-256 of what came, which is never more than a piece too much."""
        digest, size = hashlib.sha256(), 0
        try:
            body = self._get(file.name)["Body"]
            with part.open("wb") as out:
                for piece in body.iter_chunks(_PIECE):
                    out.write(piece)
                    digest.update(piece)
                    size += len(piece)
                    if size > file.bytes:
                        break
                out.flush()
                os.fsync(out.fileno())
        except ClientError as error:
            if _code(error) not in _ABSENT:
                raise self._no_answer(file, error) from error
            todo = f"Upload it beside {MANIFEST}."
            raise missing(self.where, f"The model's file {file.name!r} is not", todo) from error
        except BotoCoreError as error:
            raise self._no_answer(file, error) from error
        return size, digest.hexdigest()

    def _check(self, file: File, size: int, sha256: str) -> None:
        if (size, sha256) != (file.bytes, file.sha256):
            fault = _sizes(size, file.bytes) if size != file.bytes else _OTHER_BYTES
            raise missing(
                self.where,
                f"The model's file {file.name!r} is {fault}",
                f"Upload it anew, or correct {MANIFEST}.",
            )

    def _no_answer(self, file: File, error: Exception) -> ModelError:
        told = unavailable("The model store", error, self._arn(file.name))
        what = f"The model's file {file.name!r} could not be fetched: it is"
        return missing(self.where, what, str(told), transient=type(told) is Unavailable)

    def _unwritable(self, error: OSError) -> ModelError:
        full = error.errno in _FULL
        fault = "There is no room for the model's files" if full else "Nothing can be written"
        todo = "Free some space there" if full else f"Repair it ({error.strerror or error})"
        todo += ", or name another directory with SPLITSOUND_WORK_DIRECTORY."
        return missing(str(self._cache), fault, todo, transient=full)


_OTHER_BYTES = "not the one in models.json (its SHA-256 differs)"


def difference(path: Path, file: File, *, thorough: bool = True) -> str:
    """How a file differs from what the manifest says of it; empty where it does not.

    Not thorough: in its size alone.
    """
    try:
        size = path.stat().st_size
        if size != file.bytes:
            return _sizes(size, file.bytes)
        if not thorough:
            return ""
        with path.open("rb") as content:
            same = hashlib.file_digest(content, "sha256").hexdigest() == file.sha256
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"unreadable ({error.strerror})"
    return "" if same else _OTHER_BYTES


def _sizes(found: int, expected: int) -> str:
    return f"not the one in models.json ({found} bytes instead of {expected})"


def _bounded(content: bytes, where: str) -> bytes:
    if len(content) > MAX_BYTES:
        raise Invalid(f"{where} is larger than {MAX_BYTES} bytes: that is no list of models.")
    return content


def _no_manifest(path: str, why: str) -> str:
    return (
        f"{_SETTING} is set and {path} cannot be read ({why}). Put checkpoints there with "
        f"`splitsound models add`, or unset {_SETTING}."
    )


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _own_cache() -> Path:
    return Path(tempfile.gettempdir()) / f"splitsound-models-{os.getuid()}"


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Holds a lock among processes; the system lets go of it when its holder dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
