"""Whom a TLS client trusts."""

from __future__ import annotations

import ssl


def context(ca_file: str | None = None, verify: bool = True) -> ssl.SSLContext:
    """Return whom to trust: the host's own authorities, or the one in `ca_file` alone; anybody without `verify`.

    Raise ValueError, which names the file, if it holds no authority.
    """
    if not verify:
        anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        anybody.check_hostname = False
        anybody.verify_mode = ssl.CERT_NONE
        return anybody
    try:
        trust = ssl.create_default_context(cafile=ca_file or None)
    except ssl.SSLError as error:
        raise ValueError(f"ca_file {ca_file} holds no certificate in PEM") from error
    except OSError as error:
        raise ValueError(f"ca_file {ca_file}: {error.strerror}") from error
    # Python 3.13 began to ask for extensions that self-made authorities often lack: what is trusted on one host is so
    # on the next, as with curl and Prometheus.
    trust.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return trust
