"""Files below a folder, wherever it is: on a disk, in a bucket, on a web server."""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs as pafs

from pellucid.errors import ImageError, PellucidError, UsageError
from pellucid.imaging.writer import write_all

WEB = ("http://", "https://")
_CHUNK = 1 << 22  # bytes
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


class Place:
    """A folder by its path or URI (s3://, gs://, https:// ...); pickled as that.

    Names of files are relative to it, with "/" between their parts. S3 takes its credentials,
    region and endpoint from the environment (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL ...), GCS from
    Google's default credentials.

    Raises:
        UsageError: the URI is of no known kind, or its bucket cannot be reached.
    """

    def __init__(self, uri: str):
        self.uri = uri.rstrip("/") if "://" in uri else os.path.abspath(os.path.expanduser(uri))
        self.web = uri.startswith(WEB)
        self.fs, self.root = _open(self.uri)
        self.local = isinstance(self.fs, pafs.LocalFileSystem)

    def __reduce__(self) -> tuple:
        return Place, (self.uri,)

    def path(self, name: str) -> str:
        """What the file system calls a file."""
        return f"{self.root.rstrip('/')}/{name}"

    def names(self, folder: str = "") -> list[str]:
        """All files below a folder in order, without hidden ones; none if it does not exist.

        Raises:
            UsageError: it cannot be listed.
        """
        if self.web:
            raise UsageError(
                f"{self.uri}: a folder cannot be listed over HTTP; name shards, "
                "such as https://host/shards/{000..099}.tar"
            )
        base = self.path(folder).rstrip("/")
        selector = pafs.FileSelector(base, recursive=True, allow_not_found=True)
        try:
            found = self.fs.get_file_info(selector)
        except OSError as error:
            raise UsageError(f"{self.uri}: cannot be listed ({_said(error)})") from error
        names = (info.path[len(base) + 1 :] for info in found if info.type == pafs.FileType.File)
        return sorted(name for name in names if not name.startswith(".") and "/." not in name)

    def holds_anything(self) -> bool:
        """Whether there is a file or a folder in it."""
        selector = pafs.FileSelector(self.root, allow_not_found=True)
        try:
            return bool(self.fs.get_file_info(selector))
        except OSError as error:
            raise UsageError(f"{self.uri}: cannot be listed ({_said(error)})") from error

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        return self.fs.get_file_info(self.path(name)).type == pafs.FileType.File

    def read(self, name: str, most: int = -1) -> bytes:
        """A whole file, or its first `most` bytes; raises OSError."""
        with self.fs.open_input_stream(self.path(name)) as stream:
            return stream.read(None if most < 0 else most)

    def stream(self, name: str) -> pa.NativeFile:
        """A file to be read from front to back; raises OSError."""
        return self.fs.open_input_stream(self.path(name), buffer_size=_CHUNK)

    def file(self, name: str) -> pa.NativeFile:
        """A file to be read anywhere; raises OSError."""
        return self.fs.open_input_file(self.path(name))

    def write(self, name: str, data: bytes) -> None:
        """Write a file that appears whole or not at all, over one that is there.

        Raises:
            PellucidError: it could not be written.
        """
        if self.local:
            try:
                write_all({Path(self.path(name)): data}, overwrite=True)
            except ImageError as error:
                raise PellucidError(str(error)) from error  # it is the disk, not the picture
            return
        try:
            stream = self.fs.open_output_stream(self.path(name))
            stream.write(data)
            stream.close()  # an object appears now; a `with` would also close after an error
        except OSError as error:
            raise self._unwritable(name, error) from error

    @contextmanager
    def whole(self, name: str) -> Iterator[Path]:
        """A temporary local file, which takes its place when the block ends without an error.

        Raises:
            PellucidError: it could not be written.
        """
        folder = Path(self.path(name)).parent if self.local else Path(tempfile.gettempdir())
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(".tmp", ".pellucid-", folder)
            os.close(descriptor)
        except OSError as error:
            raise self._unwritable(name, error) from error
        try:
            yield Path(temporary)
            if self.local:
                os.chmod(temporary, 0o666 & ~_umask())
                os.replace(temporary, self.path(name))
                return
            with open(temporary, "rb") as file:
                stream = self.fs.open_output_stream(self.path(name))
                shutil.copyfileobj(file, stream, _CHUNK)
                stream.close()
        except OSError as error:
            raise self._unwritable(name, error) from error
        finally:
            Path(temporary).unlink(missing_ok=True)

    def _unwritable(self, name: str, error: OSError) -> PellucidError:
        return PellucidError(f"{self.uri}/{name}: could not be written ({_said(error)})")


def named(uri: str) -> tuple[Place, list[str]]:
    """The folder of a file, or of a pattern of files with ranges in braces, and their names in it.

    Raises:
        UsageError: the first of them is not there.
    """
    uris = expanded(uri)
    folder = posixpath.commonpath(posixpath.dirname(one) or "." for one in uris)
    if "://" in uri:  # commonpath takes :// for a double slash
        folder = folder.replace(":/", "://", 1)
    names = [posixpath.relpath(one, folder) for one in uris]
    place = Place(folder)
    if not place.exists(names[0]):
        raise UsageError(f"{place.uri}/{names[0]}: there is no such file")
    return place, names


def expanded(uri: str) -> list[str]:
    """URIs of a pattern with ranges in braces: x/{08..10}.tar is x/08.tar, x/09.tar, x/10.tar."""
    match = _RANGE.search(uri)
    if match is None:
        return [uri]
    low, high = match.groups()
    return [
        whole
        for number in range(int(low), int(high) + 1)
        for whole in expanded(f"{uri[: match.start()]}{number:0{len(low)}}{uri[match.end() :]}")
    ]


def _open(uri: str) -> tuple[pafs.FileSystem, str]:
    try:
        if "://" not in uri:
            return pafs.LocalFileSystem(), uri
        if not uri.startswith(WEB):
            try:
                return pafs.FileSystem.from_uri(uri)
            except pa.ArrowInvalid:  # fsspec knows more kinds
                pass
        from fsspec.core import url_to_fs

        system, root = url_to_fs(uri)
        return pafs.PyFileSystem(pafs.FSSpecHandler(system)), root
    except (OSError, ValueError, ImportError) as error:
        raise UsageError(f"{uri}: cannot be opened ({_said(error)})") from error


def _said(error: Exception) -> Any:
    return getattr(error, "strerror", None) or " ".join(str(error).split())[:300]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
