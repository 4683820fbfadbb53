"""Does a Redis server (or one that speaks its protocol) answer PING?"""

from __future__ import annotations

from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils._check_address import Check, Needs
from ansible_collections.incidentctl.response.plugins.module_utils._line import Clock, Failure, Line, connect
from ansible_collections.incidentctl.response.plugins.module_utils._text import HIDDEN

_LINE = 1024
_IN_WORDS = {
    "NOAUTH": "login refused",
    "WRONGPASS": "login refused",
    "NOPERM": "login refused",
    "DENIED": "login refused",  # protected mode
    "LOADING": "it is starting up and reads its data",
    "MISCONF": "it takes no writes",
    "MASTERDOWN": "it is a replica without its master",
}


def ask(check: Check, needs: Needs, clock: Clock) -> dict[str, Any]:
    """Log in if there is a secret, and ask PING; return {detail}.

    That a login is wanted which we have not is an answer as well: the server lives. Raise Failure.
    """
    with connect(check.host, check.port, clock) as line:
        if needs.trust:
            line.secure(check.host, needs.trust)
        if needs.secret is not None:
            line.step = "login"
            line.send(_command("AUTH", *([check.user] if check.user else []), needs.secret))
            said = _said(line)
            if said != "+OK":
                raise _failure(_without(needs.secret, said), "login")
        line.step = "answer"
        line.send(_command("PING"))
        said = _said(line)
    if said == "+PONG":
        return {"detail": f"PONG in {clock.passed_ms:.0f} ms"}
    if said.startswith("-NOAUTH") and needs.secret is None:
        return {"detail": f"answers in {clock.passed_ms:.0f} ms and asks for a password; login not tried"}
    raise _failure(said, "answer")


def _said(line: Line) -> str:
    return line.read_line(_LINE).decode("utf-8", "replace")


def _without(secret: str, said: str) -> str:
    """Return an answer to a login without the secret: a server that does not know AUTH repeats what it was given."""
    return said.partition(", with args")[0].replace(secret, HIDDEN)


def _failure(said: str, step: str) -> Failure:
    if not said.startswith("-"):
        return Failure("answer", "what came back is not Redis")
    words = said[1:].removeprefix("ERR ")
    known = _IN_WORDS.get(said[1:].partition(" ")[0]) or ("too many clients" if "max number of clients" in said else "")
    if known == "login refused":
        step = "login"
    return Failure(step, f"{known}: {words}" if known else words)


def _command(*words: str) -> bytes:
    parts = (f"${len(word.encode())}\r\n{word}\r\n" for word in words)
    return (f"*{len(words)}\r\n" + "".join(parts)).encode()
