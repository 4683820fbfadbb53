"""HTTP from the host: no proxy, redirects never followed, bounded in time and size."""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.request
from pathlib import Path
from typing import Any

BODY_LIMIT = 64 * 1024
DEFAULT_TIMEOUT_S = 5.0


class _AsItIs(urllib.request.HTTPErrorProcessor):
    """Hand every answer back as it is: a redirect could lead anywhere, with our secret in the header."""

    def http_response(self, _request: Any, response: Any) -> Any:
        return response

    https_response = http_response


# An environment's proxy must not answer for a service on this host.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _AsItIs)


class SecretError(OSError):
    """The secret that a request refers to is not there."""


def call(request: dict[str, Any]) -> dict[str, Any]:
    """Given {url, method, json, headers, secret_ref, timeout_s}, return what came back.

    {status: int or None, latency_ms: float, body: text, error: text or None}; status None means that no
    answer came. Raise SecretError if the secret is missing.
    """
    secret = _secret_header(request.get("secret_ref"))
    started = time.monotonic()
    status: int | None = None
    body, error = "", None
    try:
        timeout_s = float(request.get("timeout_s") or DEFAULT_TIMEOUT_S)
        with _OPENER.open(_message(request, secret), timeout=timeout_s) as answer:
            body, status = _body(answer, started + timeout_s), answer.status
    except (OSError, ValueError, http.client.HTTPException) as failure:
        error = str(getattr(failure, "reason", failure)) or type(failure).__name__
    latency_ms = round((time.monotonic() - started) * 1000, 1)
    return {"status": status, "latency_ms": latency_ms, "body": body, "error": error}


def check_secret(request: dict[str, Any]) -> None:
    """Raise SecretError if the secret that a request refers to is missing."""
    _secret_header(request.get("secret_ref"))


def _message(request: dict[str, Any], secret: dict[str, str]) -> urllib.request.Request:
    url = str(request["url"])
    # Only the schemes that a health or admin endpoint can have: file:// would read the host's disk.
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"not an http or https address: {url}")
    headers = {str(k): str(v) for k, v in (request.get("headers") or {}).items()}
    data = None
    if "json" in request:
        data = json.dumps(request["json"]).encode()
        headers.setdefault("Content-Type", "application/json")
    method = request.get("method") or ("POST" if data is not None else "GET")
    return urllib.request.Request(url, data=data, headers={**headers, **secret}, method=method)  # noqa: S310


def _body(answer: Any, deadline: float) -> str:
    # One chunk at a time: the socket's timeout alone would let a trickle hold us for hours.
    raw = b""
    while len(raw) < BODY_LIMIT:
        if time.monotonic() > deadline:
            raise TimeoutError("the answer did not end in time")
        chunk = answer.read1(BODY_LIMIT - len(raw))
        if not chunk:
            break
        raw += chunk
    return raw.decode("utf-8", "replace")


def _secret_header(reference: dict[str, str] | None) -> dict[str, str]:
    """Read `{header: NAME, file: PATH}` or `{header: NAME, env: NAME}`, on the host, when it is needed."""
    if not reference:
        return {}
    header = reference.get("header", "Authorization")
    if "file" in reference:
        try:
            return {header: Path(reference["file"]).read_text(encoding="utf-8").strip()}
        except OSError as error:
            raise SecretError(f"secret file {reference['file']}: {error.strerror}") from error
    value = os.environ.get(reference.get("env", ""))
    if not value:
        raise SecretError(f"secret environment variable {reference.get('env')!r} is not set on this host")
    return {header: value}
