"""Ask a name server a question over UDP; and when a name does not resolve, find out whose fault that is."""

from __future__ import annotations

import ipaddress
import secrets
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _parallel
from ansible_collections.incidentctl.response.plugins.module_utils._check_address import DNS_TYPES
from ansible_collections.incidentctl.response.plugins.module_utils._line import Clock

WITHIN_S = 1.5
RESOLV_CONF = Path("/etc/resolv.conf")
_CONF_BYTES = 64 * 1024
_MOST = 3  # resolv.conf's own limit
_PACKETS = 20  # that are not the answer, until we give up
_HEADER = struct.Struct("!6H")
_RECURSION_WANTED, _IS_ANSWER, _CUT_OFF = 0x0100, 0x8000, 0x0200
_SAID = {0: "found", 1: "formerr", 2: "servfail", 3: "nxdomain", 4: "notimp", 5: "refused"}
_WORDS = {
    "found": "finds it",
    "nodata": "knows the name, but no address of it",
    "nxdomain": "says that there is no such name (NXDOMAIN)",
    "servfail": "cannot find out (SERVFAIL)",
    "refused": "refuses to say (REFUSED)",
    "silent": f"does not answer within {WITHIN_S:g} s",
    "closed": "is not there: its port is closed",
    "nonsense": "answers nonsense",
    "unreachable": "cannot be reached from this host",
    "impossible": "cannot be asked for such a name",
}


class Said(NamedTuple):
    """What one resolver said: found, nodata, nxdomain, servfail, refused, silent, closed, unreachable, nonsense, …"""

    server: str
    said: str
    found: tuple[str, ...] = ()  # addresses, where they were asked for

    def __str__(self) -> str:
        """Say it in words."""
        return f"resolver {self.server} {_WORDS.get(self.said, f'answers {self.said}')}"


def servers() -> list[str]:
    """Return the name servers of this host, as /etc/resolv.conf names them; glibc's own default if it names none."""
    try:
        with RESOLV_CONF.open(encoding="utf-8", errors="replace") as file:
            lines = file.read(_CONF_BYTES).splitlines()
    except OSError:
        lines = []
    found = []
    for line in lines:
        words = line.split("#")[0].split()
        if len(words) > 1 and words[0] == "nameserver":
            with suppress(ValueError):
                ipaddress.ip_address(words[1].partition("%")[0])
                found.append(words[1])
    return found[:_MOST] or ["127.0.0.1"]


def ask_all(name: str, kind: str = "A") -> list[Said]:
    """Ask each of this host's name servers at once; at most 1.5 s."""
    known = servers()
    answers = _parallel.each(lambda server: ask(server, 53, name, kind, WITHIN_S), known, WITHIN_S + 0.5)
    return [answer or Said(server, "silent") for server, answer in zip(known, answers)]


def ask(server: str, port: int, name: str, kind: str, within_s: float) -> Said:
    """Ask one name server, by its address, for a name. Nothing is believed that does not answer this very question."""
    clock, number = Clock(within_s), secrets.randbelow(1 << 16)
    try:
        labels = name.rstrip(".").encode("ascii").split(b".")
        question = (
            b"".join(bytes([len(label)]) + label for label in labels) + b"\0" + struct.pack("!2H", DNS_TYPES[kind], 1)
        )
        family, _kind, _protocol, _name, address = socket.getaddrinfo(server, port, 0, socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect(address)  # so that a closed port is told, and nobody else answers
            sock.settimeout(clock.left)
            sock.send(_HEADER.pack(number, _RECURSION_WANTED, 1, 0, 0, 0) + question)
            for _packet in range(_PACKETS):
                sock.settimeout(clock.left)
                answer = sock.recv(4096)
                if len(answer) >= _HEADER.size and _HEADER.unpack_from(answer)[0] == number:
                    return _read(server, answer, question, kind)
        return Said(server, "nonsense")
    except (TimeoutError, socket.timeout):
        return Said(server, "silent")
    except ConnectionRefusedError:
        return Said(server, "closed")
    except OSError:
        return Said(server, "unreachable")
    except ValueError:  # no name can have such a label, and nobody can be asked for it
        return Said(server, "impossible")


def why_not(said: list[Said]) -> tuple[str, str]:
    """Given what the resolvers said of a name that does not resolve, return the state in a word, and in words.

    One that knows better than the others (NXDOMAIN before silence) gives the state.
    """
    order = ("found", "nodata", "nxdomain", "servfail", "refused")
    best = min(said, key=lambda one: order.index(one.said) if one.said in order else len(order), default=None)
    return (best.said if best else "unknown"), "; ".join(str(one) for one in said)


def _read(server: str, answer: bytes, question: bytes, kind: str) -> Said:
    _number, flags, questions, count, _others, _more = _HEADER.unpack_from(answer)
    begin = _HEADER.size
    echoed = answer[begin : begin + len(question)]
    if not flags & _IS_ANSWER or (questions == 1 and echoed.lower() != question.lower()):
        return Said(server, "nonsense")
    said = _SAID.get(flags & 15, f"code {flags & 15}")
    if said != "found" or flags & _CUT_OFF:  # an answer too long for a packet is one
        return Said(server, said)
    try:
        found = _records(answer, begin + len(question) * questions, count, DNS_TYPES[kind])
    except (IndexError, struct.error, ValueError):
        return Said(server, "nonsense")
    return Said(server, "found" if found else "nodata", tuple(text for text in found if text))


def _records(answer: bytes, at: int, count: int, wanted: int) -> list[str]:
    """Return the records of the wanted type: addresses as text, others as nothing."""
    found = []
    for _record in range(min(count, 256)):
        while answer[at] and answer[at] < 0xC0:
            at += 1 + answer[at]
        at += 1 if not answer[at] else 2  # the end of a name, or a pointer to the rest of it
        kind, _class, _lives, length = struct.unpack_from("!2HIH", answer, at)
        at += 10
        data = answer[at : at + length]
        at += length
        if len(data) != length:
            raise ValueError("cut off")
        if kind == wanted:
            found.append(str(ipaddress.ip_address(data)) if kind in (1, 28) else "")
    return found
