"""A few questions to the servers of the monitoring, all at once: who we are to each, and why one did not answer."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import queue
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

from incidentctl.errors import ConfigurationError
from incidentctl.settings import Server, resolve_secret
from incidentctl.text import plain

TIMEOUT_S = 4.0
AT_ONCE = 8  # questions to one server, which has others to answer
_BODY_LIMIT = 16 * 1024 * 1024
_REFUSAL_LIMIT, _REASON_CHARS = 64 * 1024, 200

Read = Callable[[Any], Any]
Answered = tuple[
    Any, str
]  # what was read, or None and the problem: the rest of a sentence that begins with the address


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is no answer of Prometheus, and could lead our login anywhere."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


def ask(asked: Sequence[tuple[Server, str, Read]]) -> list[Answered]:
    """Ask all of them, a few of each server at once, and wait for none beyond the time."""
    return begin(asked)()


def begin(asked: Sequence[tuple[Server, str, Read]], at_once: int = AT_ONCE) -> Callable[[], list[Answered]]:
    """Begin to ask, and return what waits for the answers: for none beyond the time, which runs from now on.

    A drip of bytes would hold us for hours. Threads are daemons, so that one that is left behind cannot keep a command
    from ending.
    """
    answered: queue.SimpleQueue[tuple[int, Answered]] = queue.SimpleQueue()
    deadline = time.monotonic() + TIMEOUT_S
    left: dict[str, queue.SimpleQueue[int]] = {}  # of each server by itself: one that hangs takes no turn of another
    for number, (server, *_rest) in enumerate(asked):
        left.setdefault(server.url, queue.SimpleQueue()).put(number)

    def go(numbers: queue.SimpleQueue[int]) -> None:
        with contextlib.suppress(queue.Empty):
            while time.monotonic() < deadline:
                number = numbers.get_nowait()
                answered.put((number, _ask(*asked[number])))

    def answers() -> list[Answered]:
        found: list[Answered] = [(None, f": no complete answer within {TIMEOUT_S:g} s")] * len(asked)
        with contextlib.suppress(queue.Empty):
            for _one in asked:
                number, answer = answered.get(timeout=max(0.0, deadline - time.monotonic()))
                found[number] = answer
        return found

    for numbers in left.values():
        for _thread in range(min(at_once, numbers.qsize())):
            threading.Thread(target=go, args=(numbers,), daemon=True).start()
    return answers


def _ask(server: Server, path: str, read: Read) -> Answered:
    """Return what a server says, or None and the problem, as the rest of a sentence that begins with its address."""
    try:
        request = urllib.request.Request(server.url.rstrip("/") + path, headers=_login(server))  # noqa: S310 - settings checked it
        with _opener(server).open(request, timeout=TIMEOUT_S) as answer:
            return read(json.loads(answer.read(_BODY_LIMIT))), ""
    except ConfigurationError as error:
        return None, f": {' '.join((error.what + ' ' + error.why).split())}"
    except urllib.error.HTTPError as refusal:
        with refusal:
            return None, f" answers {refusal.code}{_MEANING.get(refusal.code) or _reason(refusal)}"
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return None, " does not answer as it should: is it really there?"
    except (OSError, http.client.HTTPException) as error:
        return None, f": {_why(error, server)}"


# Of a refusal, what there is to do about it.
_MEANING = {
    **dict.fromkeys(
        (301, 302, 303, 307, 308), ", a redirect, which is not followed: write the address that it leads to"
    ),
    401: ": it wants another login. Fix: write user and password, or token, under monitoring in incidentctl.yml",
    403: ": the login is not allowed to read this",
}


def _reason(refusal: urllib.error.HTTPError) -> str:
    """Return why Prometheus refuses, as of a query that is no PromQL; nothing where it does not say."""
    try:
        said = json.loads(refusal.read(_REFUSAL_LIMIT))["error"]
    except (OSError, http.client.HTTPException, LookupError, RecursionError, TypeError, ValueError):
        return ""
    return f": {plain(str(said), _REASON_CHARS)}"


def _login(server: Server) -> dict[str, str]:
    if server.token is not None:
        found, value = server.token, f"Bearer {resolve_secret(server.token)}"
    elif server.password is not None:
        pair = f"{server.user}:{resolve_secret(server.password)}"
        found, value = server.password, "Basic " + base64.b64encode(pair.encode()).decode()
    else:
        return {}
    if not (value.isascii() and value.isprintable()):
        raise ConfigurationError(
            f"The secret in {found.place} cannot go in a header", "it is not one line of plain text"
        )
    return {"Authorization": value}


def _opener(server: Server) -> urllib.request.OpenerDirector:
    # An environment's proxy must not answer for our own monitoring.
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({}), _NoRedirect()]
    if server.url.startswith("https://"):
        try:
            trust = ssl.create_default_context(cafile=server.ca_file)
        except ssl.SSLError as error:
            raise ConfigurationError(f"ca_file {server.ca_file} holds no certificate in PEM") from error
        except OSError as error:
            raise ConfigurationError(f"ca_file {server.ca_file} cannot be read", str(error.strerror)) from error
        # Self-made authorities often lack the extensions that Python asks for since 3.13; Prometheus itself does not.
        trust.verify_flags &= ~ssl.VERIFY_X509_STRICT
        handlers.append(urllib.request.HTTPSHandler(context=trust))
    return urllib.request.build_opener(*handlers)


def _why(error: Exception, server: Server) -> str:
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, ssl.SSLCertVerificationError):
        told = f"its certificate is not trusted: {reason.verify_message}"
        return told if server.ca_file else f"{told}. Fix: name the file of the authority that signed it as its ca_file"
    if isinstance(reason, ssl.SSLError):
        return "it does not speak TLS as it should: is it http://?"
    if isinstance(reason, TimeoutError):
        return f"no complete answer within {TIMEOUT_S:g} s"
    if isinstance(reason, http.client.HTTPException) and not isinstance(reason, OSError):
        return "what came back is not HTTP"
    return str(getattr(reason, "strerror", None) or reason)
