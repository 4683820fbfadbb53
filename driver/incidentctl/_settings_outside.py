"""The parts of incidentctl.yml about what is outside: tickets, what monitors, where alerts come from, your own playbooks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, ValidationInfo, model_validator

from incidentctl._settings_values import ExistingFile, Part, PathFromFile, Secret, Url, existing, wrong

_REPOSITORY = re.compile(r"[A-Za-z0-9_-]{1,100}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")
_QUERY_NAME, _MOST_QUERIES = re.compile(r"[a-z][a-z0-9_]{0,39}"), 5
_HERE = ("127.0.0.1", "::1", "localhost")

SeverityName = Literal["critical", "high", "medium", "low"]

# What is common in alerting rules beside our own words for a severity.
SEVERITIES_OF_LABELS: dict[str, SeverityName] = {"error": "high", "warning": "medium", "info": "low"}


def _repository(text: str) -> str:
    if not _REPOSITORY.fullmatch(text):
        raise wrong("is not a repository", "write OWNER/NAME")
    return text


def _encrypted(url: str) -> str:
    """A token goes over the network in this: only to this machine itself may it go as it is."""
    if not url.startswith("https://") and urlsplit(url).hostname not in _HERE:
        raise wrong("the token could be read on its way", "write https://…")
    return url


class Tracker(Part):
    """Where tickets are opened: as files in the state folder, by a webhook, or as issues on GitHub."""

    kind: Literal["file", "webhook", "github"] = "file"
    url: Secret | None = None
    repository: Annotated[str, AfterValidator(_repository)] | None = None
    token: Secret | None = None
    labels: tuple[str, ...] = ("incident",)
    api: Annotated[Url, AfterValidator(_encrypted)] = "https://api.github.com"

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Tracker:
        for kind, names, example in (
            ("webhook", ("url",), "{kind: webhook, url: {env: NAME}}"),
            ("github", ("repository", "token"), "{kind: github, repository: OWNER/NAME, token: {env: NAME}}"),
        ):
            for name in names:
                if (self.kind == kind) != (getattr(self, name) is not None):
                    raise wrong(f"{name} belongs to kind {kind}, and that needs it", f"write {example}")
        return self


def _base(url: str) -> str:
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise wrong("a user is never written here", "write it under user, beside url")
    if parts.query or parts.fragment:
        raise wrong("is more than where a server is", "leave out what begins with ? or #")
    return url


class Server(Part):
    """A Prometheus or Alertmanager, who we are to it, and who vouches for it."""

    url: Annotated[Url, AfterValidator(_base)]
    user: str | None = None
    password: Secret | None = None
    token: Secret | None = None
    ca_file: PathFromFile | None = None

    @model_validator(mode="after")
    def _has_one_login(self) -> Server:
        if (self.user is None) != (self.password is None):
            raise wrong("user and password belong together", "write both, or neither")
        if self.user is not None and (self.token is not None or ":" in self.user):
            raise wrong("user is a name without a colon, and token is another login", "write one of the two")
        return self


def _servers(value: Any) -> Any:
    """One is a list of one, and a URL alone is a server without a login."""
    listed = [] if value is None else [value] if isinstance(value, (str, dict)) else value
    if not isinstance(listed, (list, tuple)):
        raise wrong("is not a URL", "write http://host:port, {url: …, …}, or a list of these")
    return [{"url": one} if isinstance(one, str) else one for one in listed]


Servers = Annotated[tuple[Server, ...], BeforeValidator(_servers)]


def _queries(value: dict[str, str]) -> dict[str, str]:
    if len(value) > _MOST_QUERIES:
        raise wrong(f"has more than {_MOST_QUERIES} queries", "keep those by which users notice: latency, error_rate")
    for name, query in value.items():
        if not _QUERY_NAME.fullmatch(name) or not query.strip():
            raise wrong("names a query by something else than a word, or one that is empty", "write latency: PROMQL")
    return value


class Monitoring(Part):
    """The monitoring that there is already, and what of it is compared when a recovery is verified."""

    prometheus: Servers = ()
    alertmanager: Servers = ()
    queries: Annotated[dict[str, str], AfterValidator(_queries)] = Field(default_factory=dict)


class Alerts(Part):
    """What becomes of alerts that `watch --listen` is sent."""

    token: Secret | None = None
    severities: dict[str, SeverityName] = Field(default_factory=SEVERITIES_OF_LABELS.copy)
    severity: SeverityName = "high"
    diagnose: StrictBool = True


class CustomPlaybook(Part):
    """A recovery of the user's own: its playbook, the kinds of causes that it is for, and what it does, in words.

    A path alone is a playbook of which nothing is known.
    """

    playbook: ExistingFile
    causes: tuple[str, ...] = Field(default=(), alias="for")
    title: Annotated[str, Field(max_length=80)] = ""

    @model_validator(mode="before")
    @classmethod
    def _path_alone(cls, value: Any, info: ValidationInfo) -> Any:
        # Looked for here, so that what is wrong with it is told of what was written.
        return {"playbook": existing(Path(value), info)} if isinstance(value, str | Path) else value
