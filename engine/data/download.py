"""Downloads: a file of the network is fetched into the data folder, checked by its hash, and resumed where a connection broke.

Written on requests and not on pooch, which starts again from the first byte after a break.
"""

import contextlib
import hashlib
import os
import socket
import tempfile
import threading
import time
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from io import BufferedRandom, BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from torchtty.engine.contract.errors import UnreachableError, UserError
from torchtty.engine.contract.paths import data_folder

if TYPE_CHECKING:
    import requests

ATTEMPTS = 3
CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
_PIECE = 2**16
_ABANDONED_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file elsewhere: `file` is its name here, `size` its bytes, `sha256` their hash, or `md5` where only that is published.

    A size of 0 is not known: the server's word is taken. Where there is no hash, the caller checks what came.
    """

    file: str
    address: str
    size: int
    sha256: str
    md5: str = ""

    @property
    def hash_name(self) -> str:
        """Which of the hashes is known, as people write it; nothing if none is."""
        return "SHA-256" if self.sha256 else "MD5" if self.md5 else ""

    def holds(self, file: BufferedReader | BufferedRandom) -> bool:
        """Whether an open file is this one, as far as its hash is known."""
        if self.sha256:
            return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256
        md5 = partial(hashlib.md5, usedforsecurity=False)
        return not self.md5 or hashlib.file_digest(file, md5).hexdigest() == self.md5


def fetch(
    remote: RemoteFile,
    *,
    instead: str = "",
    connect_seconds: float = CONNECT_SECONDS,
    read_seconds: float = READ_SECONDS,
) -> Path:
    """Return the path of a whole copy of the file, downloading it if the data folder has none.

    `TORCHTTY_MIRROR` takes the place of the file's address: a folder, read in place, or a base URL. There the file is looked
    up as `remote.file`, without its folder, then under the last part of its address. `instead` ends the message of a failure:
    what to do without this file. A broken connection is taken up again where it stopped. Nothing half-written remains.
    Raises a `UserError`.
    """
    target = data_folder() / remote.file
    if is_whole(target, remote):
        return target
    mirror = os.environ.get("TORCHTTY_MIRROR", "")
    if mirror and "://" not in mirror:
        return _in_folder(Path(mirror).expanduser(), remote, instead)
    base = mirror.rstrip("/")
    addresses = [f"{base}/{name}" for name in _names(remote)] if mirror else [remote.address]
    transfer = _Transfer(remote, instead, (connect_seconds, read_seconds))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target.parent)
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        try:
            with open(handle, "w+b") as file:
                transfer.run(addresses, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
    except OSError as error:
        raise UserError(
            f"{remote.file} cannot be kept in {target.parent}: {error.strerror or error}. "
            "Make room there, or set TORCHTTY_DATA to a folder that can be written."
        ) from None
    return target


def is_whole(path: Path, remote: RemoteFile) -> bool:
    """Whether a path holds the whole of a file, as far as its size and its hash are known."""
    try:
        size = path.stat().st_size
        if size != (remote.size or size) or not size:
            return False
        with path.open("rb") as file:
            return remote.holds(file)
    except OSError:
        return False


def _in_folder(folder: Path, remote: RemoteFile, instead: str) -> Path:
    candidates = [folder / name for name in _names(remote)]
    for path in candidates:
        if is_whole(path, remote):
            return path
    there = any(path.exists() for path in candidates)
    what = f"holds a {remote.file} with other contents than expected" if there else f"has no {remote.file}"
    raise UnreachableError(_sentence(f"The mirror {folder} (TORCHTTY_MIRROR) {what}", instead))


def _names(remote: RemoteFile) -> list[str]:
    """What a mirror may call a file: its name here with and without the folder, or the last part of its address."""
    return list(dict.fromkeys([remote.file, Path(remote.file).name, urlsplit(remote.address).path.rpartition("/")[2]]))


def _sentence(what: str, instead: str) -> str:
    return f"{what}. {instead}".rstrip()


def _sweep(folder: Path) -> None:
    """Remove what a killed download left, once nobody can still be writing it."""
    for path in folder.glob(".*.part"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                path.unlink()


class _BrokeOff(Exception):
    """The connection failed, ended or fell silent; says why."""


class _Overloaded(_BrokeOff):
    """The server answered that it cannot serve just now; says what it answered."""


class _NotThere(Exception):
    """The server has no such file; says what it answered."""


def _look_up(address: str, seconds: float) -> None:
    """Give up on a server whose name is not found in time: the system's resolver may take half a minute where no answer comes."""
    import requests

    host = urlsplit(address).hostname
    if host is None or requests.utils.get_environ_proxies(address):  # a proxy looks names up itself
        return
    found = threading.Event()

    def look_up() -> None:
        with contextlib.suppress(OSError, UnicodeError):  # requests says why
            socket.getaddrinfo(host, None)
        found.set()

    threading.Thread(target=look_up, name="look-up", daemon=True).start()
    if not found.wait(seconds):
        raise _BrokeOff(f"its address could not be looked up within {seconds:g} seconds")


@dataclass(slots=True)
class _Transfer:
    """One download into an open file, over as many connections as it takes."""

    remote: RemoteFile
    instead: str
    timeout: tuple[float, float]
    received: int = 0
    announced: int = 0  # bytes in all, by the server's word
    resumed: bool = False

    def run(self, addresses: list[str], file: BufferedRandom) -> None:
        for address in addresses[:-1]:
            with contextlib.suppress(_NotThere):
                return self._from(address, file)
        try:
            return self._from(addresses[-1], file)
        except _NotThere as error:
            self._fail(addresses[-1], str(error))

    def _from(self, address: str, file: BufferedRandom) -> None:
        reason = ""
        for attempt in range(ATTEMPTS):
            time.sleep(0.3 * attempt)
            before = self.received
            try:
                self._receive(address, file)
            except _BrokeOff as error:
                reason = str(error)
                if attempt == 0 and self.received == before and not isinstance(error, _Overloaded):
                    break  # nothing ever came: no network, and waiting longer helps nobody
                continue
            file.seek(0)
            if self.remote.holds(file):
                return
            reason = f"what came is not the file expected (its {self.remote.hash_name} differs)"
            if not self.resumed:
                break
            self._restart(file)  # two halves of different files, perhaps: once more in one piece
        self._fail(address, reason)

    def _receive(self, address: str, file: BufferedRandom) -> None:
        import requests
        import urllib3

        headers = {"Accept-Encoding": "identity", "User-Agent": "torchtty"}
        if self.received:
            headers["Range"] = f"bytes={self.received}-"
        _look_up(address, self.timeout[0])
        try:
            with requests.get(address, headers=headers, stream=True, timeout=self.timeout) as response:
                self._check_status(response, file)
                size = self.remote.size or self.announced
                while not size or self.received < size + 1:
                    # read1 returns what is there; read would wait for a whole piece on a slow line.
                    piece = response.raw.read1(_PIECE)
                    if not piece:
                        break
                    file.write(piece)
                    self.received += len(piece)
        except requests.ConnectTimeout:
            raise _BrokeOff(f"it could not be reached within {self.timeout[0]:g} seconds") from None
        except (requests.Timeout, urllib3.exceptions.TimeoutError):
            raise _BrokeOff(f"it did not answer within {self.timeout[1]:g} seconds") from None
        except (requests.exceptions.SSLError, urllib3.exceptions.SSLError):
            raise _BrokeOff("its certificate could not be verified") from None
        except (requests.ConnectionError, urllib3.exceptions.HTTPError):
            raise _BrokeOff("the connection broke off" if self.received else "no connection") from None
        except requests.RequestException as error:
            raise _NotThere(f"the address cannot be used ({type(error).__name__})") from None
        if self.received < size:
            raise _BrokeOff(f"the connection broke off after {self.received:,} of {size:,} bytes")

    def _check_status(self, response: "requests.Response", file: BufferedRandom) -> None:
        status = response.status_code
        if status == HTTPStatus.PARTIAL_CONTENT:
            if not response.headers.get("Content-Range", "").startswith(f"bytes {self.received}-"):
                self._restart(file)
                raise _BrokeOff("it sent another part of the file than was asked for")
            self.resumed = True
        elif status == HTTPStatus.OK:
            self._restart(file)
            length = response.headers.get("Content-Length", "")
            self.announced = int(length) if length.isdigit() else 0
        elif status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            self._restart(file)
            raise _BrokeOff("it has a shorter file than expected")
        elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise _Overloaded(f"it answered {status} {response.reason}")
        else:
            raise _NotThere(f"it answered {status} {response.reason}")

    def _restart(self, file: BufferedRandom) -> None:
        file.seek(0)
        file.truncate()
        self.received = 0
        self.resumed = False

    def _fail(self, address: str, reason: str) -> None:
        host = urlsplit(address).hostname or address
        raise UnreachableError(
            _sentence(f"{self.remote.file} could not be downloaded from {host}: {reason}", self.instead)
        )
