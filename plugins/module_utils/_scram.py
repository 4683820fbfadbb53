"""The client's half of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding: proof of a password that is never sent."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets

MECHANISM = b"SCRAM-SHA-256"
_MOST_ROUNDS = 1_000_000  # a hostile server's figure would keep us busy for as long as it likes
_FIRST = re.compile(r"r=([^,]{1,512}),s=([A-Za-z0-9+/=]{1,512}),i=([0-9]{1,7})(?:,.*)?")


class Scram:
    """One login."""

    def __init__(self, password: str) -> None:
        """Choose a nonce."""
        self._password = password.encode()
        self._nonce = secrets.token_urlsafe(18)
        self._bare = f"n=,r={self._nonce}"
        self._signature = b""

    def first(self) -> bytes:
        """Return the first message."""
        return f"n,,{self._bare}".encode()

    def final(self, said: bytes) -> bytes:
        """Given the server's first message, return the proof. Raise ValueError if it cannot be meant for us."""
        found = _FIRST.fullmatch(said.decode("ascii"))
        if found is None or not found[1].startswith(self._nonce) or not 0 < int(found[3]) <= _MOST_ROUNDS:
            raise ValueError("its half of SCRAM-SHA-256 is wrong")
        salted = hashlib.pbkdf2_hmac("sha256", self._password, base64.b64decode(found[2]), int(found[3]))
        bare = f"c=biws,r={found[1]}"
        signed = f"{self._bare},{said.decode('ascii')},{bare}".encode()
        key = _mac(salted, b"Client Key")
        proof = bytes(a ^ b for a, b in zip(key, _mac(hashlib.sha256(key).digest(), signed)))
        self._signature = _mac(_mac(salted, b"Server Key"), signed)
        return f"{bare},p={base64.b64encode(proof).decode()}".encode()

    def is_the_server(self, said: bytes) -> bool:
        """Say whether the server's last message proves that it knows the password, too."""
        return hmac.compare_digest(b"v=" + base64.b64encode(self._signature), said)


def _mac(key: bytes, text: bytes) -> bytes:
    return hmac.new(key, text, hashlib.sha256).digest()
