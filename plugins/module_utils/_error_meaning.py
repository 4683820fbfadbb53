"""What an error says, as one word of a short list, and what it names: a path, an address, a column. Pure.

The words are those of operating systems, databases, languages and their libraries, not of any one program.
"""

from __future__ import annotations

import re
from typing import Any

_MAX_CHARS = 2000
_NAMED_CHARS = 200
# The first that fits is the meaning: what is more particular comes first.
_MEANINGS = tuple(
    (meaning, re.compile(words, re.IGNORECASE))
    for meaning, words in (
        (
            "no_space",
            r"no space left on device|\bENOSPC\b|disk (?:is )?full|disk quota exceeded|\bEDQUOT\b"
            r"|not enough (?:free )?(?:disk )?space|insufficient disk space|out of disk space|No free space",
        ),
        ("descriptors", r"too many open files|\bEMFILE\b|\bENFILE\b|file table overflow"),
        (
            "too_many_connections",
            r"too many (?:clients|connections)|worker_connections are not enough"
            r"|possible SYN flooding|remaining connection slots|queuepool limit"
            r"|(?:connection )?pool (?:is )?(?:exhausted|full|timed? ?out)|connection pool timed out"
            r"|max(?:imum number of)? ?(?:client)? ?connections? (?:reached|exceeded)|max_user_connections"
            r"|unable to acquire (?:a )?connection|connection is not available, request timed out"
            r"|timeout (?:acquiring|waiting for) (?:a )?connection|couldn't get a connection",
        ),
        (
            "schema",
            r"no such (?:column|table)|unknown column|has no column|undefined ?(?:column|table)"
            r"|(?:column|relation|table|view)\b.{0,120}? (?:does not|doesn't) exist|invalid column name|invalid object name"
            r"|ORA-00904|ORA-00942|missing migration|unapplied migration|migration.{0,60}? failed|schema version"
            r"|pending migration",
        ),
        (
            "certificate",
            r"certificate (?:has )?(?:expired|is not (?:yet )?valid|verify failed|signed by unknown)|CERT_HAS_EXPIRED"
            r"|certificate_verify_failed|\bx509:|SSLCertVerificationError|SSLHandshakeException|PKIX path"
            r"|self[- ]signed certificate|unable to get local issuer|hostname mismatch|certificate.{0,40}?not valid",
        ),
        (
            "name_resolution",
            r"name or service not known|temporary failure in name resolution|name resolution failed|\bENOTFOUND\b"
            r"|\bEAI_(?:AGAIN|NONAME|FAIL)\b|no such host|nxdomain|\bgetaddrinfo\b|UnknownHostException"
            r"|could not (?:resolve|translate) host|server misbehaving|nodename nor servname|no address associated",
        ),
        (
            "memory",
            r"out of ?memory|cannot allocate memory|\bENOMEM\b|\bMemoryError\b|\bbad_alloc\b|java heap space"
            r"|oom[- _]?kill|gc overhead limit|signal(?: |=)?9\b|\bSIGKILL\b|status=9/KILL|exit(?:ed)?.{0,20}\b137\b"
            r"|heap limit",
        ),
        (
            "permission",
            r"permission denied|\bEACCES\b|\bEPERM\b|operation not permitted|read-?only (?:file ?system|database)"
            r"|\bEROFS\b|attempt to write a readonly|access (?:is )?denied (?:to|for) (?:file|path|['\"/])|AccessDeniedException"
            r"|(?:could not|cannot|can't|unable to) (?:open|write|create).{0,60}?: permission",
        ),
        (
            "login",
            r"authentication failed|password authentication|access denied for user|invalid (?:user ?name or )?password"
            r"|no pg_hba\.conf entry|\bWRONGPASS\b|\bNOAUTH\b|role .{1,60}? does not exist|\b401\b.{0,20}unauthorized",
        ),
        ("lock", r"deadlock|lock wait timeout|database is locked|could not obtain lock|lock timeout"),
        (
            "connection_refused",
            r"connection (?:was )?refused|\bECONNREFUSED\b|actively refused|could not connect to server"
            r"|failed to connect|no route to host|\bEHOSTUNREACH\b|network is unreachable|\bENETUNREACH\b"
            r"|the database system is (?:starting up|shutting down)|server closed the connection"
            r"|terminating connection|connection (?:was )?reset|\bECONNRESET\b|broken pipe",
        ),
        (
            "timeout",
            r"timed? ?-?out|\bETIMEDOUT\b|deadline exceeded|took too long|canceling statement due to|upstream.{0,40}slow",
        ),
        (
            "configuration",
            r"(?:invalid|unknown|unrecogni[sz]ed|unsupported|missing|bad) (?:required )?"
            r"(?:option|key|setting|directive|parameter|argument|configuration|config|environment)"
            r"|(?:could not|cannot|can't|failed to|unable to|error(?: while)?) (?:parse|parsing|load|loading|read|reading)"
            r".{0,60}?(?:config|settings|\.ya?ml|\.ini|\.toml|\.conf|\.json|\.env)"
            r"|config.{0,50}?(?:error|invalid|not valid|missing|not set|failed)|ImproperlyConfigured"
            r"|environment variable.{0,60}?(?:not set|missing|required|undefined)|must be set|is not set\b"
            r"|no section:|no option|missing required|yaml\.\w+\.\w*error|TOMLDecodeError|syntax error in|"
            r"(?-i:KeyError: ['\"][A-Z][A-Z0-9_]{2,}['\"])|not a valid (?:port|url|number|boolean)",
        ),
    )
)
_PATH = re.compile(r"(?<![\w:/.])(/(?:[\w.@+~-]+/?)+)")
_ADDRESS = re.compile(
    r"(?<![\w.@-])((?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:]{2,39}\]|[A-Za-z][\w-]*(?:\.[\w-]+)*)):(\d{2,5})"
    r"(?![\w.]|->)"  # of two ends of a connection the far one
)
_POSTGRES = re.compile(r"server at \"([^\"\s]{1,100})\"(?: \([^)]{1,60}\))?, port (\d{2,5})")
_SCHEMA = re.compile(
    r"(?:column|relation|table|view)\b[^\w<]{1,3}(?:name )?[`'\"(]?([A-Za-z_][\w.]{0,80})", re.IGNORECASE
)
_HOST = re.compile(
    r"(?:ENOTFOUND|EAI_AGAIN|no such host:?|lookup|resolve host(?: ?name)?:?|translate host name|UnknownHostException:"
    r"|host ?name)[ :=]+[`'\"(]?([A-Za-z0-9][\w.-]{1,100})",
    re.IGNORECASE,
)


def with_meaning(about: dict[str, Any]) -> dict[str, Any]:
    """Given what a finding is about, add `meaning` and `names` of what was said, by an error or by a check that failed."""
    said = about.get("said") or about.get("detail")
    return {**about, "meaning": meaning(said), "names": names(said)} if isinstance(said, str) else about


def meaning(said: str) -> str | None:
    """Return what an error says as a word, None where it says nothing of the list.

    The words: no_space, descriptors, too_many_connections, schema, certificate, name_resolution, memory, permission,
    login, lock, connection_refused, timeout, configuration.
    """
    said = said[:_MAX_CHARS]
    return next((word for word, pattern in _MEANINGS if pattern.search(said)), None)


def names(said: str) -> dict[str, str]:
    """Return what an error names, the first of each: {path, host, port, column}, only those that it has."""
    said = said[:_MAX_CHARS]
    found: dict[str, str] = {}
    if path := _PATH.search(said):
        found["path"] = path.group(1).rstrip("/.") or "/"
    if address := _POSTGRES.search(said) or _ADDRESS.search(said):
        found["host"], found["port"] = address.group(1).strip("[]"), address.group(2)
    elif (host := _HOST.search(said)) and meaning(said) == "name_resolution":
        found["host"] = host.group(1).rstrip(".:")
    if (column := _SCHEMA.search(said)) and meaning(said) == "schema":
        found["column"] = column.group(1)
    return {name: text[:_NAMED_CHARS] for name, text in found.items()}
