"""Peers of a test's own that say what they are told to, over TCP and UDP: good ones, broken ones, hostile ones."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_NOERROR, _IS_ANSWER = 0, 0x8180


@contextmanager
def peer(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """Listen on a port of 127.0.0.1, which is given, and let `talk` have each connection, which is closed after it."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []
    open_now: list[socket.socket] = []

    def one(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            talk(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection = listener.accept()[0]
                open_now.append(connection)
                threads.append(threading.Thread(target=one, args=(connection,)))
                threads[-1].start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join()
        for connection in open_now:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


def says(*words: bytes) -> Callable[[socket.socket], None]:
    """Return a talk that answers each thing it hears with the next of these, and then closes."""

    def talk(connection: socket.socket) -> None:
        for word in words:
            connection.recv(65536)
            connection.sendall(word)

    return talk


def silent(connection: socket.socket) -> None:
    """Hear, and say nothing, until the other side leaves."""
    while connection.recv(65536):
        pass


@contextmanager
def resolver(answer: Callable[[bytes], bytes | None]) -> Iterator[int]:
    """Answer each question over UDP on a port of 127.0.0.1, which is given, by `answer`; None: not at all."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                question, who = sock.recvfrom(4096)
                if not question:
                    return
                said = answer(question)
                if said is not None:
                    sock.sendto(said, who)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield sock.getsockname()[1]
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", sock.getsockname())
        thread.join()
        sock.close()


def reply(question: bytes, *addresses: str, code: int = _NOERROR) -> bytes:
    """Return the answer to a question: these addresses (IPv4), or an error by its number."""
    records = b"".join(
        b"\xc0\x0c" + struct.pack("!2HIH", 1, 1, 60, 4) + socket.inet_aton(address) for address in addresses
    )
    header = question[:2] + struct.pack("!5H", _IS_ANSWER | code, 1, len(addresses), 0, 0)
    return header + question[12:] + records
