"""What a request over HTTP is made of: address, method, body, headers, secret. And all that is wrong with one."""

from __future__ import annotations

import base64
import ipaddress
import json
import os
import re
import urllib.parse
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _regular_file

KEYS = ("url", "method", "json", "form", "body", "headers", "secret_ref", "ca_file", "expect_status", "timeout_s")
USER_AGENT = "incidentctl"  # whoever reads a log can tell our requests from those of users
LONGEST_S = 120.0  # as long as the next act waits for its turn on the host
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_BODIES = {"json": "application/json", "form": "application/x-www-form-urlencoded", "body": "text/plain; charset=utf-8"}
_SCHEMES = ("bearer", "basic")
_REFERENCE = ("header", "scheme", "user", "file", "env")
_SECRET_LIMIT = 16 * 1024
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PLACE = re.compile(r"(\[[^\]]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?")  # host and port
_LINE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")  # what a header can hold
_KEEPS_SECRETS = ("authorization", "cookie", "proxy-authorization")
_OURS = ("connection", "content-length", "host", "transfer-encoding")


class SecretError(OSError):
    """What a request refers to is not there, or cannot be used; the message never holds a secret."""


class Address(NamedTuple):
    """Where a URL leads: `target` is its path and query."""

    secure: bool
    host: str
    port: int
    target: str


class Secret(NamedTuple):
    """The header that a secret goes out in, and the texts that must not be seen anywhere else."""

    headers: dict[str, str]
    hidden: tuple[str, ...]


NO_SECRET = Secret({}, ())


def check(request: dict[str, Any]) -> list[str]:
    """Return all that is wrong with the values of a request, one sentence each, beginning with the key."""
    problems = [f"url {why}"] if (why := wrong_url(request.get("url"))) else []
    if "method" in request and request["method"] not in _METHODS:
        problems.append(f"method must be one of {', '.join(_METHODS)}: {request['method']!r}")
    bodies = [key for key in _BODIES if key in request]
    if len(bodies) > 1:
        problems.append(f"{' and '.join(bodies)} are two bodies: write one of them")
    if "form" in request and not _is_form(request["form"]):
        problems.append("form must be a mapping of names to texts and numbers")
    if "body" in request and not isinstance(request["body"], str):
        problems.append("body must be text; json and form take a mapping")
    problems += _wrong_headers(request.get("headers", {}))
    problems += wrong_secret(request["secret_ref"]) if "secret_ref" in request else []
    if "ca_file" in request and not _is_path(request["ca_file"]):
        problems.append("ca_file must be the whole path of a file on the host")
    if not all(is_number(status, 100, 599) for status in statuses(request)):
        problems.append("expect_status must be a number from 100 to 599, or a list of them")
    if not is_number(request.get("timeout_s", 1), 0.01, LONGEST_S):
        problems.append(f"timeout_s must be a number of seconds, {LONGEST_S:g} at most")
    return problems


def wrong_url(url: Any) -> str:
    """Return what is wrong with a URL, as the rest of a sentence that begins with where it stands; mostly nothing."""
    try:
        address(url)
    except ValueError as error:
        return str(error)
    return ""


def address(url: Any) -> Address:
    """Take a URL apart. Raise ValueError that says what is wrong with it, and never repeats what may be a password."""
    # Only the schemes that a health or admin endpoint can have: file:// would read the host's disk.
    if not isinstance(url, str) or not url.lower().startswith(("http://", "https://")):
        raise ValueError("is not an http or https address")
    if not re.fullmatch(r"[\x21-\x7e]+", url):
        raise ValueError("holds a space or another character that must be percent-encoded")
    scheme, _slashes, rest = url.partition("://")
    where = re.split(r"[/?#]", rest, maxsplit=1)[0]
    secure = scheme.lower() == "https"
    host, port = place(where, 443 if secure else 80)
    target = rest[len(where) :].partition("#")[0]
    target = target if target.startswith("/") else f"/{target}"
    return Address(secure, host, port, target)


def place(where: str, default: int | None) -> tuple[str, int]:
    """Take `host:port` apart; `default` is the port where none is said, None if it must be. Raise ValueError."""
    if "@" in where:
        raise ValueError("holds a user or a password: say in secret_ref where they are kept")
    if where.count(":") > 1 and "[" not in where:
        raise ValueError("holds an IPv6 address without brackets: write [::1]:8000")
    found = _PLACE.fullmatch(where)
    if found is None or not is_number(found[2] or default or 1, 1, 65535):
        names_one = where.partition(":")[0]
        raise ValueError("has a port that is no number from 1 to 65535" if names_one else "names no host")
    if not (found[2] or default):
        raise ValueError("needs a port: host:port")
    host = found[1].strip("[]").replace("%25", "%")  # of a link-local address, whose interface follows
    try:
        if found[1].startswith("["):
            ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError as error:
        raise ValueError("holds something in brackets that is no IPv6 address") from error
    return host, int(found[2] or default or 0)


def statuses(request: dict[str, Any]) -> list[Any]:
    """Return the statuses that a request wants to see; none means any 2xx."""
    wanted = request.get("expect_status", [])
    return wanted if isinstance(wanted, list) else [wanted]


def content(request: dict[str, Any]) -> tuple[bytes | None, dict[str, str]]:
    """Return a request's body, or None, and its own headers with the body's type among them."""
    headers = {str(name): _text(value) for name, value in (request.get("headers") or {}).items()}
    if "user-agent" not in {name.lower() for name in headers}:
        headers["User-Agent"] = USER_AGENT
    kind = next((key for key in _BODIES if key in request), None)
    if kind is None:
        return None, headers
    if "content-type" not in {name.lower() for name in headers}:
        headers["Content-Type"] = _BODIES[kind]
    given = request[kind]
    if kind == "json":
        return json.dumps(given).encode(), headers
    if kind == "form":
        given = urllib.parse.urlencode({name: _text(value) for name, value in given.items()})
    return str(given).encode(), headers


def method(request: dict[str, Any]) -> str:
    """Return a request's method: POST where there is a body and nothing is said."""
    return str(request.get("method") or ("POST" if any(key in request for key in _BODIES) else "GET"))


def wrong_secret(reference: Any) -> list[str]:
    """Return all that is wrong with a reference to a secret, one sentence each."""
    if not isinstance(reference, dict):
        return ["secret_ref must be a mapping that says where the secret is: {file: PATH} or {env: NAME}"]
    problems = [f"unknown key secret_ref.{key}" for key in reference if key not in _REFERENCE]
    if ("file" in reference) == ("env" in reference):
        problems.append("secret_ref needs file or env, and not both")
    if "file" in reference and not _is_path(reference["file"]):
        problems.append("secret_ref.file must be the whole path of a file on the host")
    if "env" in reference and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(reference["env"])):
        problems.append("secret_ref.env must be the name of an environment variable")
    if "header" in reference and not _TOKEN.fullmatch(str(reference["header"])):
        problems.append("secret_ref.header must be the name of a header")
    if "scheme" in reference and reference["scheme"] not in _SCHEMES:
        problems.append(f"secret_ref.scheme must be one of {', '.join(_SCHEMES)}: {reference['scheme']!r}")
    if "user" in reference and (
        reference.get("scheme", "bearer") == "bearer" or not re.fullmatch(r"[^:]+", str(reference["user"]))
    ):
        problems.append("secret_ref.user is a name without a colon, and belongs to scheme basic")
    return problems


def secret(reference: dict[str, str] | None) -> Secret:
    """Read what a reference leads to, on the host, when it is needed. Raise SecretError if it cannot be used.

    `{file: PATH}` or `{env: NAME}`. It goes out in `header` (Authorization) as it is; with `scheme: bearer` as a
    bearer's token; with `scheme: basic` as the password of `user`, or, without one, as `user:password`.
    """
    if not reference:
        return NO_SECRET
    where, found = kept(reference)
    if not found:
        raise SecretError(f"{where} is empty")
    if reference.get("scheme") == "basic":
        pair = f"{reference['user']}:{found}" if "user" in reference else found
        value = "Basic " + base64.b64encode(pair.encode()).decode()
    else:
        value = f"Bearer {found}" if reference.get("scheme") == "bearer" else found
    if not _LINE.fullmatch(value):
        raise SecretError(f"{where} is not one line that a header can hold")
    return Secret(
        {reference.get("header", "Authorization"): value}, (found, value.partition(" ")[2], found.partition(":")[2])
    )


def kept(reference: dict[str, str]) -> tuple[str, str]:
    """Return where a secret is, in words, and the secret. Raise SecretError if it is not there."""
    if "file" not in reference:
        name = reference.get("env", "")
        if name not in os.environ:
            raise SecretError(f"secret environment variable {name!r} is not set on this host")
        return f"secret environment variable {name!r}", os.environ[name].strip()
    place = f"secret file {reference['file']}"
    try:
        # Through links, as a secret is often kept; but never into a FIFO that nobody writes to.
        with _regular_file.open_regular(Path(reference["file"]).resolve()) as file:
            raw = file.read(_SECRET_LIMIT + 1)
        if len(raw) > _SECRET_LIMIT:
            raise SecretError(f"{place}: it is longer than {_SECRET_LIMIT // 1024} KiB")
        return place, raw.decode("utf-8").strip()
    except SecretError:
        raise
    except UnicodeDecodeError as error:
        raise SecretError(f"{place}: it is not UTF-8 text") from error
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise SecretError(f"{place}: {getattr(error, 'strerror', None) or error}") from error


def _wrong_headers(headers: Any) -> list[str]:
    if not isinstance(headers, dict):
        return ["headers must be a mapping of names to texts"]
    problems = []
    for name, value in headers.items():
        if not _TOKEN.fullmatch(str(name)):
            problems.append(f"headers: {name!r} is no header's name")
        elif name.lower() in _KEEPS_SECRETS:
            problems.append(f"headers.{name}: a secret is never written here: say in secret_ref where it is kept")
        elif name.lower() in _OURS:
            problems.append(f"headers.{name} cannot be chosen")
        elif not isinstance(value, (str, int, float)) or not _LINE.fullmatch(str(value)):
            problems.append(f"headers.{name} must be one line of text")
    return problems


def _text(value: Any) -> str:
    """Return a value as its reader expects it: true, not Python's True."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_form(form: Any) -> bool:
    return isinstance(form, dict) and all(isinstance(value, (str, int, float)) for value in form.values())


def _is_path(path: Any) -> bool:
    return isinstance(path, str) and path.startswith("/") and "\0" not in path


def is_number(value: Any, least: float, most: float) -> bool:
    """Say whether it is a number in these bounds, or a text of one."""
    try:
        return not isinstance(value, bool) and least <= float(value) <= most
    except (TypeError, ValueError):
        return False
