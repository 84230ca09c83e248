"""Downloads from a server that also breaks off, lies, refuses and falls silent."""

import hashlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from torchtty.engine.contract.errors import UnreachableError, UserError
from torchtty.engine.data.catalogue import load_corpus
from torchtty.engine.data.download import RemoteFile, fetch

CONTENT = random.Random(0).randbytes(400_000)


@dataclass
class Server:
    """An HTTP server on this machine whose next answers are given by `behave`, called with the number of the request."""

    address: str = ""
    requests: list[tuple[str, str | None]] = field(default_factory=list)  # path and Range header
    behave: Callable[["Handler", int], None] = lambda handler, number: handler.send_whole()
    silence_ends: threading.Event = field(default_factory=threading.Event)


class Handler(BaseHTTPRequestHandler):
    server: "ServerSocket"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        about = self.server.about
        about.requests.append((self.path, self.headers.get("Range")))
        self.close_connection = True
        about.behave(self, len(about.requests))

    def send_whole(self, content: bytes = CONTENT) -> None:
        self.start(200, len(content))
        self.wfile.write(content)

    def send_half(self, content: bytes = CONTENT) -> None:
        self.start(200, len(content))
        self.wfile.write(content[: len(content) // 2])

    def send_rest(self, content: bytes = CONTENT) -> None:
        first = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.start(206, len(content) - first, **{"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"})
        self.wfile.write(content[first:])

    def start(self, status: int, length: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(length), "Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


class ServerSocket(ThreadingHTTPServer):
    daemon_threads = True
    about: Server


@pytest.fixture
def server() -> Iterator[Server]:
    about = Server()
    with ServerSocket(("127.0.0.1", 0), Handler) as socket:
        socket.about = about
        about.address = f"http://127.0.0.1:{socket.server_port}"
        thread = threading.Thread(target=socket.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield about
        about.silence_ends.set()
        socket.shutdown()
        thread.join()


@pytest.fixture
def remote(server: Server) -> RemoteFile:
    return RemoteFile(
        "corpus.txt", f"{server.address}/raw/input.txt", len(CONTENT), hashlib.sha256(CONTENT).hexdigest()
    )


def nothing_remains(folder: Path) -> bool:
    return not folder.exists() or list(folder.iterdir()) == []


def test_a_file_is_fetched_once_and_kept(server: Server, remote: RemoteFile, data_folder: Path) -> None:
    path = fetch(remote)
    assert path.read_bytes() == CONTENT
    assert list(data_folder.iterdir()) == [data_folder / "corpus.txt"]
    assert fetch(remote) == path
    assert server.requests == [("/raw/input.txt", None)]


def test_a_broken_connection_is_taken_up_where_it_stopped(server: Server, remote: RemoteFile) -> None:
    server.behave = lambda handler, number: handler.send_half() if number == 1 else handler.send_rest()
    assert fetch(remote).read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, f"bytes={len(CONTENT) // 2}-"]


def test_a_server_that_knows_no_ranges_sends_everything_again(server: Server, remote: RemoteFile) -> None:
    server.behave = lambda handler, number: handler.send_half() if number == 1 else handler.send_whole()
    assert fetch(remote).read_bytes() == CONTENT


def test_halves_of_two_different_files_are_fetched_again_in_one_piece(server: Server, remote: RemoteFile) -> None:
    def behave(handler: Handler, number: int) -> None:
        [lambda: handler.send_half(bytes(len(CONTENT))), handler.send_rest, handler.send_whole][number - 1]()

    server.behave = behave
    assert fetch(remote).read_bytes() == CONTENT
    assert server.requests[-1][1] is None


def test_a_connection_that_always_breaks_is_given_up(server: Server, remote: RemoteFile, data_folder: Path) -> None:
    server.behave = lambda handler, number: handler.send_half()
    with pytest.raises(UserError, match=r"could not be downloaded from 127\.0\.0\.1: the connection broke off"):
        fetch(remote)
    assert len(server.requests) == 3
    assert nothing_remains(data_folder)


@pytest.mark.parametrize("lie", [bytes(len(CONTENT)), CONTENT + b"more", bytes(5_000_000)])
def test_other_contents_than_promised_are_refused(
    server: Server, remote: RemoteFile, data_folder: Path, lie: bytes
) -> None:
    server.behave = lambda handler, number: handler.send_whole(lie)
    with pytest.raises(UserError, match="not the file expected"):
        fetch(remote)
    assert len(server.requests) == 1
    assert nothing_remains(data_folder)


def test_a_missing_file_is_not_asked_for_twice(server: Server, remote: RemoteFile, data_folder: Path) -> None:
    server.behave = lambda handler, number: handler.start(404, 0)
    with pytest.raises(UserError, match=r"it answered 404 Not Found\. Choose given-names\."):
        fetch(remote, instead="Choose given-names.")
    assert len(server.requests) == 1
    assert nothing_remains(data_folder)


def test_an_overloaded_server_is_asked_again(server: Server, remote: RemoteFile) -> None:
    server.behave = lambda handler, number: handler.start(503, 0) if number == 1 else handler.send_whole()
    assert fetch(remote).read_bytes() == CONTENT


@pytest.mark.parametrize("after_half", [False, True])
def test_a_silent_server_is_not_waited_for(
    server: Server, remote: RemoteFile, data_folder: Path, after_half: bool
) -> None:
    def behave(handler: Handler, number: int) -> None:
        if after_half:
            handler.send_half()
        handler.wfile.flush()
        server.silence_ends.wait(20)

    server.behave = behave
    started = time.perf_counter()
    with pytest.raises(UserError, match=r"did not answer within 0\.3 seconds"):
        fetch(remote, read_seconds=0.3)
    assert time.perf_counter() - started < 5
    assert nothing_remains(data_folder)


def test_a_damaged_copy_is_replaced(server: Server, remote: RemoteFile, data_folder: Path) -> None:
    data_folder.mkdir()
    (data_folder / "corpus.txt").write_bytes(CONTENT[:-1] + b"?")
    assert fetch(remote).read_bytes() == CONTENT


def test_what_a_killed_download_left_is_swept_away(server: Server, remote: RemoteFile, data_folder: Path) -> None:

    data_folder.mkdir()
    left, fresh = data_folder / ".corpus.txt.old.part", data_folder / ".corpus.txt.new.part"
    left.write_bytes(b"half")
    fresh.write_bytes(b"half")  # another process may still be writing this one
    os.utime(left, (time.time() - 100_000,) * 2)
    fetch(remote)
    assert not left.exists()
    assert fresh.exists()


def test_a_folder_that_cannot_hold_the_file_is_named(server: Server, remote: RemoteFile, data_folder: Path) -> None:
    data_folder.write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"cannot be kept in .*TORCHTTY_DATA"):
        fetch(remote)


def test_without_a_network_the_embedded_choice_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    # A proxy that nobody runs: every address is out of reach.
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    for dataset, embedded in (("names", "given-names"), ("tinyshakespeare", "python-docs")):
        started = time.perf_counter()
        with pytest.raises(UserError, match=f"no connection. Choose {embedded}, which needs no network"):
            load_corpus(dataset)
        assert time.perf_counter() - started < 3


def test_a_name_that_nobody_looks_up_is_given_up_in_time(
    remote: RemoteFile, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Stands for a resolver whose questions get lost, which cannot be set up without the system's rights.
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: time.sleep(5))
    began = time.perf_counter()
    with pytest.raises(UnreachableError, match=r"could not be looked up within 0\.2 seconds"):
        fetch(remote, connect_seconds=0.2)
    assert time.perf_counter() - began < 2
    assert nothing_remains(data_folder)


def test_a_file_of_which_only_the_md5_is_known_is_checked_by_it(
    server: Server, remote: RemoteFile, data_folder: Path
) -> None:
    known = RemoteFile("set/corpus.txt", remote.address, 0, "", hashlib.md5(CONTENT).hexdigest())
    server.behave = lambda handler, number: handler.send_whole(CONTENT[::-1] if number == 1 else CONTENT)
    with pytest.raises(UnreachableError, match=r"not the file expected \(its MD5 differs\)"):
        fetch(known)
    assert fetch(known).read_bytes() == CONTENT
    assert fetch(known) == data_folder / "set" / "corpus.txt"
    assert len(server.requests) == 2


def test_a_mirror_folder_serves_every_dataset_in_place(
    corpora: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHTTY_MIRROR", str(corpora))
    assert len(load_corpus("names").items) == 32_033
    assert len(load_corpus("tinyshakespeare").text) == 1_115_394
    assert nothing_remains(data_folder)


def test_a_mirror_folder_may_use_the_name_of_the_address(
    tmp_path: Path, remote: RemoteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHTTY_MIRROR", str(tmp_path))
    with pytest.raises(UserError, match=r"TORCHTTY_MIRROR\) has no corpus\.txt"):
        fetch(remote)
    (tmp_path / "input.txt").write_bytes(CONTENT[::-1])
    with pytest.raises(UserError, match="other contents than expected"):
        fetch(remote)
    (tmp_path / "input.txt").write_bytes(CONTENT)
    assert fetch(remote) == tmp_path / "input.txt"


def test_a_mirror_address_takes_the_place_of_the_original(
    server: Server, remote: RemoteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHTTY_MIRROR", f"{server.address}/mirror/")
    server.behave = lambda handler, number: handler.start(404, 0) if number == 1 else handler.send_whole()
    assert fetch(remote).read_bytes() == CONTENT
    assert [path for path, _ in server.requests] == ["/mirror/corpus.txt", "/mirror/input.txt"]


def test_a_data_folder_that_already_has_the_file_needs_neither_network_nor_write_access(
    corpora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHTTY_DATA", str(corpora))
    monkeypatch.setenv("TORCHTTY_MIRROR", "http://127.0.0.1:9")
    before = sorted(corpora.iterdir())
    assert len(load_corpus("nomi-italiani").items) == 9_092
    assert sorted(corpora.iterdir()) == before
