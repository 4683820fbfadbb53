"""HTTP from the host: no proxy, redirects never followed, bounded in time and size."""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

BODY_LIMIT = 64 * 1024
DEFAULT_TIMEOUT_S = 5.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Hand a redirect back as the answer: it could lead anywhere, with our secret in the header."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


# An environment's proxy must not answer for a service on this host.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


class SecretError(OSError):
    """The secret that a request refers to is not there."""


def call(request: dict[str, Any]) -> dict[str, Any]:
    """Given {url, method, json, headers, secret_ref, timeout_s}, return what came back.

    {status: int or None, latency_ms: float, body: text, error: text or None}; status None means that no
    answer came. Raise SecretError if the secret is missing.
    """
    headers = {str(k): str(v) for k, v in (request.get("headers") or {}).items()}
    headers.update(_secret_header(request.get("secret_ref")))
    data = None
    if "json" in request:
        data = json.dumps(request["json"]).encode()
        headers.setdefault("Content-Type", "application/json")
    method = request.get("method") or ("POST" if data is not None else "GET")
    timeout_s = float(request.get("timeout_s") or DEFAULT_TIMEOUT_S)
    started = time.monotonic()
    status: int | None = None
    body, error = "", None
    try:
        # Only the schemes that a health or admin endpoint can have: file:// would read the host's disk.
        if not str(request["url"]).startswith(("http://", "https://")):
            raise ValueError(f"not an http or https address: {request['url']}")
        message = urllib.request.Request(request["url"], data=data, headers=headers, method=method)
        with _OPENER.open(message, timeout=timeout_s) as answer:
            status, body = answer.status, _text(answer.read(BODY_LIMIT))
    except urllib.error.HTTPError as refusal:
        status, body = refusal.code, _text(refusal.read(BODY_LIMIT))
        refusal.close()
    except (OSError, ValueError, http.client.HTTPException) as failure:
        error = str(getattr(failure, "reason", failure)) or type(failure).__name__
    latency_ms = round((time.monotonic() - started) * 1000, 1)
    return {"status": status, "latency_ms": latency_ms, "body": body, "error": error}


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _secret_header(reference: dict[str, str] | None) -> dict[str, str]:
    """`{header: NAME, file: PATH}` or `{header: NAME, env: NAME}`, read on the host at the time of the call."""
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
