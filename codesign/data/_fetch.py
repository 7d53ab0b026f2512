"""Finding the files of a data set: local folders first, then the user's cache, then a checked download."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codesign.errors import UserError

CHUNK = 1 << 20


@dataclass(frozen=True)
class Remote:
    """A file at an official place.

    Attributes
    ----------
    file : str
        Name in the cache.
    urls : tuple of str
        Places to try in this order.
    digest : str
        `algorithm:hex`, checked before the file is used.
    size : int or None
        Bytes, for the progress bar.
    """

    file: str
    urls: tuple[str, ...]
    digest: str
    size: int | None = None


def folders(name: str) -> list[Path]:
    """Return the local folders searched for data set `name`, best first.

    The sub-folder `name` of each entry of the environment variable `CODESIGN_DATA` (separated as in
    PATH), or the entry itself when it is called so, then the cache of the user. Data sets share file
    names, so a file in any other folder may be that of another one.
    """
    roots = [Path(p).expanduser() for p in os.environ.get("CODESIGN_DATA", "").split(os.pathsep) if p]
    return [root if root.name == name else root / name for root in roots] + [cache(name)]


def cache(name: str) -> Path:
    """Return the cache folder of data set `name`: $XDG_CACHE_HOME or ~/.cache, then codesign/data."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "codesign" / "data" / name


def find(name: str, file: str) -> Path | None:
    """Return the first existing local `file` of data set `name`, or None."""
    return next((folder / file for folder in folders(name) if (folder / file).is_file()), None)


def read_npz(path: Path, keys: tuple[str, ...]) -> list[np.ndarray]:
    """Read arrays of an npz file; pickled objects are refused."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return [archive[key] for key in keys]
    except Exception as error:
        raise UserError(f"{path} cannot be read ({error}); delete it or replace it with a whole copy.") from None


def fetch(name: str, remote: Remote) -> Path:
    """Return a local path of `remote`, downloading and checking it when it is not there yet.

    The download goes to a `.part` file beside the target, continues after an interruption when the
    server allows it, and takes its final name only when the checksum is right.

    Raises
    ------
    UserError
        When no place answers or the file that came is not the expected one.
    """
    found = find(name, remote.file)
    if found is not None:
        return found
    target = cache(name) / remote.file
    partial = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot create {target.parent}: {error.strerror}; set XDG_CACHE_HOME.") from None
    problems: list[str] = []
    for url in remote.urls:
        try:
            _download(url, partial, remote)
        except (OSError, ValueError, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError) and error.code == 416:
                # What is there is longer than the file; the next attempt starts anew.
                partial.unlink(missing_ok=True)
            problems.append(f"{url}: {getattr(error, 'reason', error)}")
            continue
        if _matches(partial, remote.digest):
            os.replace(partial, target)
            return target
        partial.unlink(missing_ok=True)
        problems.append(f"{url}: wrong checksum")
    raise UserError(
        f"the data set {name} is not on this machine and {remote.file} could not be downloaded "
        f"({'; '.join(problems)}); connect to the network or name a folder that holds it in CODESIGN_DATA."
    )


def _matches(path: Path, digest: str) -> bool:
    algorithm, _, expected = digest.partition(":")
    with open(path, "rb") as stream:
        return (
            hashlib.file_digest(stream, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest() == expected
        )


def _download(url: str, partial: Path, remote: Remote) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    have = partial.stat().st_size if partial.exists() else 0
    if remote.size is not None and have >= remote.size:
        partial.unlink()
        have = 0
    headers = {"User-Agent": "codesign"}
    if have:
        headers["Range"] = f"bytes={have}-"
    # The addresses are constants of the data set files.
    request = urllib.request.Request(url, headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        resumed = bool(have) and getattr(response, "status", None) == 206
        console = Console(stderr=True)
        bar = Progress(
            "{task.description}",
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        with bar, open(partial, "ab" if resumed else "wb") as out:
            task = bar.add_task(remote.file, total=remote.size, completed=have if resumed else 0)
            received = 0
            while chunk := response.read(CHUNK):
                out.write(chunk)
                received += len(chunk)
                bar.update(task, advance=len(chunk))
    announced = response.headers.get("Content-Length")
    if announced is not None and received < int(announced):
        # The partial file stays, and the next attempt continues it.
        raise OSError(f"the connection broke after {received} of {announced} bytes")
