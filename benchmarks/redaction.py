"""How many secrets are taken out of text, of each kind, and how often something is that is none.

    .venv/bin/python benchmarks/redaction.py                       the table
    .venv/bin/python benchmarks/redaction.py --missed              and what was missed, and the false alarms
    PYTHON benchmarks/redaction.py --detect-secrets                the same of detect-secrets, where that is installed

Secrets are drawn at run time from a seed: none of them was ever one. Each stands in surroundings as they come in logs,
configuration and command lines. Those of HELD_OUT were written before the rules that they are measured with, and no rule was
written, nor changed, for what they showed. One is found if no eight characters in a row of it are left. Those named LATER
were held out when the first rules were measured; the rules that came after were made for them, too.

Ordinary lines are those of labelled_logs.py, as many of each form, and of TEMPTING, which speak of passwords, tokens and
keys, or hold what only looks like them.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import string
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "driver"), str(ROOT / "benchmarks")]
import labelled_logs  # noqa: E402 - found through the line above

EACH = 40  # of each kind in each surrounding
ORDINARY = 40_000  # lines
SPEED_BYTES = 32 << 20
SEED = 7
_LEFT = 8  # characters in a row of a secret that must not be left
_HEX = "0123456789abcdef"
_LOWER = string.ascii_lowercase + string.digits
_ALNUM = string.ascii_letters + string.digits
_BASE64 = _ALNUM + "+/"
_URLSAFE = _ALNUM + "-_"

Draw = random.Random


def _of(draw: Draw, alphabet: str, length: int) -> str:
    return "".join(draw.choices(alphabet, k=length))


def _encoded(draw: Draw, length: int, urlsafe: bool = False) -> str:
    raw = draw.randbytes(length)
    return (base64.urlsafe_b64encode(raw).rstrip(b"=") if urlsafe else base64.b64encode(raw)).decode()


def _password(draw: Draw) -> str:
    words = ("correct", "horse", "Winter", "staple", "tiger", "checkout", "Prague", "summer")
    return draw.choice(
        (
            lambda: f"{draw.choice(words)}{draw.randrange(1000, 9999)}",
            lambda: f"{draw.choice(words)}-{draw.choice(words)}-{draw.choice(words)}",
            lambda: _of(draw, _ALNUM, draw.randrange(10, 24)),
            lambda: _of(draw, _ALNUM + "!#%*+._-", draw.randrange(10, 20)) + draw.choice(_ALNUM),
            lambda: _of(draw, _LOWER, draw.randrange(8, 12)),
        )
    )()


def _jwt(draw: Draw) -> str:
    head = {"alg": draw.choice(("HS256", "RS256", "ES256")), "typ": "JWT"}
    claims = {"sub": _of(draw, _LOWER, 10), "iat": draw.randrange(10**9, 2 * 10**9), "aud": "shop"}
    parts = (base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=").decode() for each in (head, claims))
    return ".".join((*parts, _encoded(draw, 32, urlsafe=True)))


def _pem(draw: Draw) -> str:
    kind = draw.choice(("RSA ", "EC ", "", "OPENSSH ", "ENCRYPTED ", "DSA "))
    body = _encoded(draw, draw.choice((120, 400, 1200)))
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    return "\n".join((f"-----BEGIN {kind}PRIVATE KEY-----", *lines, f"-----END {kind}PRIVATE KEY-----"))


def _login(draw: Draw) -> str:
    return base64.b64encode(f"shop:{_password(draw)}".encode()).decode()


# What can be known by its own form, wherever it stands.
TOKENS: dict[str, Callable[[Draw], str]] = {
    "AWS access key": lambda d: d.choice(("AKIA", "ASIA")) + _of(d, string.ascii_uppercase + "234567", 16),
    "Google API key": lambda d: "AIza" + _of(d, _URLSAFE, 35),
    "Google OAuth": lambda d: d.choice(("ya29." + _of(d, _URLSAFE, 120), "GOCSPX-" + _of(d, _URLSAFE, 28))),
    "Azure client secret": lambda d: f"{_of(d, _ALNUM, 3)}8Q~{_of(d, _URLSAFE, 34)}",
    "GitHub": lambda d: d.choice(("ghp_", "gho_", "ghs_", "ghu_")) + _of(d, _ALNUM, 36),
    "GitHub fine-grained": lambda d: f"github_pat_{_of(d, _ALNUM, 22)}_{_of(d, _ALNUM, 59)}",
    "GitLab": lambda d: d.choice(("glpat-", "gldt-", "glrt-")) + _of(d, _URLSAFE, 20),
    "Slack": lambda d: f"xox{d.choice('bpa')}-{_of(d, string.digits, 12)}-{_of(d, string.digits, 12)}-{_of(d, _ALNUM, 24)}",
    "Stripe": lambda d: d.choice(("sk_live_", "rk_live_", "sk_test_")) + _of(d, _ALNUM, 24),
    "npm": lambda d: "npm_" + _of(d, _ALNUM, 36),
    "PyPI": lambda d: "pypi-AgEIcHlwaS5vcmc" + _of(d, _URLSAFE, 140),
    "Anthropic": lambda d: f"sk-ant-api03-{_of(d, _URLSAFE, 93)}AA",
    "OpenAI": lambda d: d.choice((f"sk-proj-{_of(d, _ALNUM, 74)}", f"sk-{_of(d, _ALNUM, 20)}T3BlbkFJ{_of(d, _ALNUM, 20)}")),
    "JWT": _jwt,
}  # fmt: skip

# {s} is the secret, {u} a user, {h} a host.
TOKEN_PLACES = {
    "env": "UPSTREAM_CREDENTIAL={s}",
    "yaml": "  credential: {s}",
    "json": '{{"level":"error","msg":"rejected","credential":"{s}"}}',
    "log": "2026-11-28 10:00:01,123 ERROR c.shop.Client - upstream said 401 for {s}, giving up",
    "url": "GET https://{h}/v1/items?page=2&t={s} 401 12ms",
    "command": "deploy --as {u} --with={s} --verbose",
    "stack": "java.lang.IllegalArgumentException: bad credential '{s}'",
    "bracket": "client[{s}] rejected (attempt 3)",
}
TOKEN_PLACES_LATER = {
    "go struct": "&{{Name:shop Cred:{s} Retries:3}}",
    "end of a sentence": "It was signed with {s}.",
    "xml": "<credential>{s}</credential>",
    "python repr": "requests.exceptions.HTTPError: 401 for {{'x': '{s}'}}",
    "escaped json": 'body="{{\\"credential\\":\\"{s}\\"}}" status=401',
    "path": "open /var/lib/shop/cache/{s}: no such file or directory",
    "comma list": "tried {u},{s},none",
}

# What only its surroundings tell.
PASSWORD_PLACES: dict[str, dict[str, str]] = {
    "assignment, env": {
        "env": "DB_PASSWORD={s}",
        "export": "export SHOP_API_KEY={s}",
        "quoted": 'REDIS_PASSWORD="{s}"',
        "prefixed": "Nov 28 10:00:01 web1 shop[812]: SECRET_KEY={s} DEBUG=0",
        "aws": "AWS_SECRET_ACCESS_KEY={s}",
        "pg": "PGPASSWORD={s} psql -h db1 shop",
        "mysql": "MYSQL_PWD={s}",
    },
    "assignment, YAML": {
        "plain": "  password: {s}",
        "quoted": "    client_secret: '{s}'",
        "double": 'auth_token: "{s}"',
        "list": "  - api_key: {s}",
    },
    "assignment, INI": {
        "spaces": "password = {s}",
        "dotted": "spring.datasource.password={s}",
        "camel": "dbPassword={s}",
        "passwd": "smtp_passwd = {s}",
        "semicolon": "Server=db1;Database=shop;User Id={u};Password={s};Encrypt=true",
    },
    "assignment, JSON": {
        "compact": '{{"user":"{u}","password":"{s}","ok":false}}',
        "spaced": '  "client_secret": "{s}",',
        "camel": '{{"accessToken": "{s}", "expires": 3600}}',
        "escaped": 'payload="{{\\"password\\":\\"{s}\\"}}"',
    },
    "assignment, query": {
        "token": "GET /cb?state=1&access_token={s}&page=2 HTTP/1.1",
        "jdbc": "jdbc:mysql://db1:3306/shop?user={u}&password={s}&useSSL=false",
        "form": "POST body: username={u}&password={s}",
        "api key": 'GET "/v1/items?api_key={s}" 403',
    },
    "assignment, log": {
        "logfmt": 'level=error msg="login failed" user={u} password={s} status=401',
        "colon": "login failed, user: {u}, password: {s}, attempt 3",
        "quoted": "connect failed: could not log in with password '{s}' as {u}",
        "secret": "ERROR [worker-3] refused: secret={s}",
    },
    "URL": {
        "postgres": "postgres://{u}:{s}@db1:5432/shop",
        "redis": "redis://:{s}@cache01:6379/0",
        "amqp": "connecting to amqp://{u}:{s}@queue-a.internal//",
        "mongodb": 'MONGO_URL="mongodb+srv://{u}:{s}@{h}/shop?retryWrites=true"',
        "https": "fatal: unable to access 'https://{u}:{s}@{h}/shop.git/': 403",
        "sqlalchemy": "sqlalchemy.exc.OperationalError: mysql+pymysql://{u}:{s}@db1/shop",
    },
    "command line": {
        "long": "mysqldump --user={u} --password={s} shop",
        "spaced": "tool --host db1 --password {s} --verbose",
        "mysql": "mysql -u {u} -p{s} shop",
        "curl": "curl -s -u {u}:{s} https://{h}/health",
        "sshpass": "sshpass -p {s} ssh {u}@web1",
        "redis": "redis-cli -h cache01 -a {s} PING",
        "token": "deployer --token {s} --env prod",
    },
    "password file": {
        "netrc": "machine {h} login {u} password {s}",
        "netrc line": "\tpassword {s}",
        "pgpass": "db1:5432:shop:{u}:{s}",
        "pgpass star": "*:*:*:{u}:{s}",
    },
}
PASSWORD_PLACES_LATER: dict[str, dict[str, str]] = {
    "assignment, env": {
        "systemd": 'Environment="SHOP_DB_PASS={s}"',
        "docker inspect": '            "MINIO_ROOT_PASSWORD={s}",',
        "docker run": "docker run -e POSTGRES_PASSWORD={s} postgres:17",
    },
    "assignment, YAML": {
        "inline map": "db: {{user: {u}, password: {s}, port: 5432}}",
        "key with dash": "admin-password: {s}",
        "tagged": "  vault_token: !!str {s}",
    },
    "assignment, INI": {
        "properties colon": "mail.smtp.password: {s}",
        "hcl": '  master_password      = "{s}"',
        "php": "'password' => '{s}',",
    },
    "assignment, JSON": {
        "upper": '{{"Password":"{s}"}}',
        "name and value": '{{"name": "DB_PASSWORD", "value": "{s}"}}',
    },
    "assignment, query": {
        "encoded": "redirect=https%3A%2F%2Fx%2F%3Faccess_token%3D{s}",
        "signature": "GET /o?X-Amz-Signature={s} 403",
    },
    "assignment, log": {
        "java toString": "Login failed for Account(name={u}, password={s}, locked=false)",
        "go struct": "{{User:{u} Password:{s} Retries:3}}",
        "prose": "the new password is {s}",
        "sql": "ERROR: syntax error in: ALTER USER {u} WITH PASSWORD '{s}'",
        "identified": "CREATE USER '{u}'@'%' IDENTIFIED BY '{s}'",
        "xml": "<password>{s}</password>",
        "python repr": "KeyError in {{'user': '{u}', 'passwd': '{s}'}}",
    },
    "URL": {
        "ftp": "ftp://{u}:{s}@{h}/pub",
        "in json": '{{"dsn":"postgresql://{u}:{s}@db1/shop"}}',
        "bare": "dial {u}:{s}@tcp(db1:3306)/shop: i/o timeout",
    },
    "command line": {
        "pass": "tool --db-pass {s}",
        "smb": "smbclient //nas/share -U {u}%{s}",
        "mysql long quoted": "mysql -u{u} --password='{s}' shop",
    },
    "password file": {"netrc default": "default login {u} password {s}"},
}
HEADERS = {
    "known": {
        "bearer": ("Authorization: Bearer {s}", lambda d: _of(d, _URLSAFE, 40)),
        "basic": ("Authorization: Basic {s}", _login),
        "curl": ("curl -H 'Authorization: Bearer {s}' https://{h}/", lambda d: _of(d, _HEX, 40)),
        "json": ('{{"authorization":"Bearer {s}","host":"{h}"}}', lambda d: _of(d, _URLSAFE, 32)),
        "proxy": ("> Proxy-Authorization: Basic {s}", _login),
    },
    "later": {
        "lower": ("authorization=bearer {s}", lambda d: _of(d, _ALNUM, 32)),
        "array": ("headers: {{'Authorization': ['Token {s}']}}", lambda d: _of(d, _HEX, 40)),
        "x-api-key": ("X-Api-Key: {s}", lambda d: _of(d, _ALNUM, 32)),
        "aws": (
            "Authorization: AWS4-HMAC-SHA256 Credential=x/20261128/eu/s3/aws4_request, Signature={s}",
            lambda d: _of(d, _HEX, 64),
        ),
    },
}
COOKIES = {
    "known": {
        "cookie": ("Cookie: theme=dark; sessionid={s}", lambda d: _of(d, _LOWER, 32)),
        "set-cookie": ("Set-Cookie: JSESSIONID={s}; Path=/; HttpOnly", lambda d: _of(d, string.hexdigits[:16].upper(), 32)),
        "php": ('GET / "PHPSESSID={s}" 200', lambda d: _of(d, _LOWER, 26)),
        "connect": ("cookie=connect.sid=s%3A{s}", lambda d: _of(d, _URLSAFE, 32)),
        "session id": ("level=warn session_id={s} msg=expired", lambda d: _of(d, _URLSAFE, 43)),
    },
    "later": {
        "json": ('{{"headers":{{"cookie":"a=1; _shop_session={s}"}}}}', lambda d: _of(d, _URLSAFE, 64)),
        "curl": ("curl -b 'sid={s}' https://{h}/", lambda d: _of(d, _ALNUM, 32)),
    },
}  # fmt: skip
HASHES = {
    "known": {
        "shadow": ("{u}:{s}:19700:0:99999:7:::", lambda d: f"$6${_of(d, _ALNUM, 16)}${_of(d, _ALNUM + './', 86)}"),
        "yescrypt": ("root:{s}:19700::::::", lambda d: f"$y$j9T${_of(d, _ALNUM, 22)}${_of(d, _ALNUM + './', 43)}"),
        "htpasswd": ("{u}:{s}", lambda d: f"$apr1${_of(d, _ALNUM, 8)}${_of(d, _ALNUM + './', 22)}"),
        "bcrypt": ("digest={s}", lambda d: f"$2y$10${_of(d, _ALNUM + './', 53)}"),
    },
    "later": {
        "argon": ("hash: {s}", lambda d: f"$argon2id$v=19$m=65536,t=3,p=4${_of(d, _ALNUM, 22)}${_of(d, _BASE64, 43)}"),
        "ldap": ("userPassword: {{SSHA}}{s}", lambda d: _encoded(d, 28)),
        "django": ("{u}|{s}|t", lambda d: f"pbkdf2_sha256$600000${_of(d, _ALNUM, 22)}${_encoded(d, 32)}"),
    },
}
CLOUD = {
    "known": {
        "storage key": (
            "DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={s};EndpointSuffix=core.windows.net",
            lambda d: _encoded(d, 64),
        ),
        "bus": (
            "Endpoint=sb://shop.servicebus.windows.net/;SharedAccessKeyName=root;SharedAccessKey={s}",
            lambda d: _encoded(d, 32),
        ),
        "sas": (
            "https://shop.blob.core.windows.net/a/b?sv=2024-11-04&sr=b&se=2026-12-01&sig={s}",
            lambda d: _of(d, _ALNUM, 40) + "%3D",
        ),
        "slack hook": (
            "POST https://hooks.slack.com/services/{s}",
            lambda d: f"T{_of(d, _LOWER.upper(), 10)}/B{_of(d, _LOWER.upper(), 10)}/{_of(d, _ALNUM, 24)}",
        ),
        "aws secret": ("aws_secret_access_key = {s}", lambda d: _of(d, _BASE64, 40)),
    },
    "later": {
        "aws secret json": ('{{"SecretAccessKey":"{s}","SessionToken":"x"}}', lambda d: _of(d, _BASE64, 40)),
        "aws session": ('"SessionToken": "{s}"', lambda d: _encoded(d, 300)),
        "stripe hook": ("endpoint whsec_{s} does not verify", lambda d: _of(d, _ALNUM, 32)),
    },
}
KEYS = {
    "known": {
        "file": "{s}",
        "after a line": "loading key\n{s}\nloaded",
        "json": '{{"type": "service_account", "private_key": "{j}\\n", "client_email": "x@y.iam"}}',
        "yaml": "tls:\n  key: |\n    {i}\n  other: 1",
    },
    "later": {
        "log prefix": "{p}",
        "env": 'TLS_KEY="{s}"',
        "cut off": "{c}",
        "windows line ends": "{w}",
    },
}

# Written after the first measurement, before any rule was changed for what it showed of the places above.
TOKEN_HELD_OUT = {
    "markdown": "log in with `{s}` and try again",
    "csv": "2026-11-28;{u};{s};ok",
    "html": '<input type="hidden" value="{s}">',
    "first word": "{s} was revoked by {u}",
    "shell array": "ARGS=(--as {u} --with {s})",
    "escaped twice": 'msg="{{\\\\"c\\\\":\\\\"{s}\\\\"}}"',
}
PASSWORD_HELD_OUT: dict[str, dict[str, str]] = {
    "assignment, env": {
        "comment": "SMTP_PASS={s} # set by {u}",
        "compose": "      - RABBITMQ_DEFAULT_PASS={s}",
        "task": '{{"Name": "API_SECRET", "Value": "{s}"}}',
    },
    "assignment, YAML": {
        "flow": 'redis: {{host: r1, auth_pass: "{s}"}}',
        "helm": "--set auth.rootPassword={s},auth.username={u}",
        "two lines": "stringData:\n  password: {s}",
    },
    "assignment, INI": {
        "comment": "admin_password = {s} ; of {u}",
        "odbc": "DRIVER=x;UID={u};PWD={s}",
        "ldap.conf": "bindpw {s}",
        "redis.conf": "requirepass {s}",
        "define": "define('DB_PASSWORD', '{s}');",
        "symbol": ":password => '{s}',",
    },
    "assignment, JSON": {"nested": '{{"auth":{{"username":"{u}","passwd" : "{s}"}}}}'},
    "assignment, query": {
        "reset": "https://{h}/reset?reset_token={s}",
        "fragment": "https://{h}/#id_token={s}&state=1",
        "matrix": "/api;token={s};v=1",
    },
    "assignment, log": {
        "rails": 'Parameters: {{"user"=>{{"login"=>"{u}", "password"=>"{s}"}}}}',
        "django": "POST: <QueryDict: {{'password': ['{s}']}}>",
        "kotlin": "Credentials(user={u}, pass={s})",
        "sentence": "user {u} tried the password {s} and failed",
        "set password": "SET PASSWORD FOR '{u}' = PASSWORD('{s}')",
        "toml": 'token = "{s}"',
    },
    "URL": {
        "socks": "socks5://{u}:{s}@proxy:1080",
        "git": "pip install git+https://{u}:{s}@{h}/x.git",
        "two hosts": "mongodb://{u}:{s}@a:27017,b:27017/shop",
    },
    "command line": {
        "openssl": "openssl rsa -in k.pem -passin pass:{s}",
        "ansible": "ansible-playbook site.yml -e ansible_password={s}",
        "docker": "docker login -u {u} -p {s} registry.example.com",
        "az": "az login --username {u} --password {s}",
    },
    "password file": {"netrc, three lines": "machine {h}\n  login {u}\n  password {s}"},
}
HELD_OUT: dict[str, dict[str, tuple[str, Callable[[Draw], str]]]] = {
    "header": {
        "x-auth-token": ("X-Auth-Token: {s}", lambda d: _of(d, _HEX, 40)),
        "private-token": ("curl --header 'PRIVATE-TOKEN: {s}' https://{h}/", lambda d: _of(d, _ALNUM, 26)),
        "pair": ("('authorization', 'Bearer {s}')", lambda d: _of(d, _URLSAFE, 44)),
    },
    "cookie": {
        "python": ("cookies={{'sessionid': '{s}'}}", lambda d: _of(d, _LOWER, 32)),
        "quoted": ('cookie: "sid={s}; x=1"', lambda d: _of(d, _ALNUM, 32)),
    },
    "password hash": {
        "useradd": ("useradd -p '{s}' {u}", lambda d: f"$5${_of(d, _ALNUM, 16)}${_of(d, _ALNUM + './', 43)}"),
        "scram": ("{u} SCRAM-SHA-256$4096:{s}", lambda d: f"{_encoded(d, 16)}${_encoded(d, 32)}:{_encoded(d, 32)}"),
    },
    "cloud": {
        "cosmos": ("AccountEndpoint=https://x.documents.azure.com:443/;AccountKey={s};", lambda d: _encoded(d, 64)),
        "refresh": ('"refresh_token": "1//{s}"', lambda d: _of(d, _URLSAFE, 90)),
    },
    "private key": {
        "kubeconfig": ("client-key-data: {s}", lambda d: base64.b64encode(_pem(d).encode()).decode()),
    },
}

# Ordinary lines that speak of secrets, or hold what looks like one.
TEMPTING = (
    'FATAL:  password authentication failed for user "{user}"',
    "Failed password for invalid user {user} from {ip} port {port} ssh2",
    "Accepted publickey for {user} from {ip} port {port} ssh2: ED25519 SHA256:{b64}",
    "pam_unix(sshd:session): session opened for user {user}(uid=1000) by (uid=0)",
    "invalid token at line {n}, column 12: unexpected '}}'",
    "token expired at {date}T10:00:00Z, {n} s ago",
    "error: secret {word} not found in namespace shop",
    "duplicate key value violates unique constraint \"{table}_pkey\"",
    "DETAIL:  Key (id)=({uuid}) already exists.",
    "request_id={uuid} trace_id={hex32} span_id={hex16} status=500",
    "commit {sha1} by {user}: mend the checkout",
    "pulled registry.example.com/shop@sha256:{hex64} in 2.1 s",
    "Cannot read password file {path}: no such file",
    "restic -r {path} --password-file /etc/incidentctl/restic backup {path}",
    "psql: error: connection to server at \"{host}\" ({ip}), port 5432 failed: fe_sendauth: no password supplied",
    "password: ${{DB_PASSWORD}}",
    "DB_PASSWORD={{{{ vault_db_password }}}}",
    "api_key=****************",
    "Authorization header is missing",
    "Basic authentication is required, realm=shop",
    "the password must have at least 12 characters",
    "passwd: all authentication tokens are no longer valid",
    "secret_ref: {{file: /etc/shop/password}}",
    "tokens=1532 prompt_tokens=1200 completion_tokens=332",
    "max_tokens: {n}",
    "keyspace hits {n}, key misses {n}, tokens per second {n}",
    "public key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{b64} {user}@{host}",
    "-----BEGIN CERTIFICATE-----",
    "{b64}{b64}",
    "etag: \"{hex32}\" if-none-match: W/\"{hex16}\"",
    "GET /assets/app.{hex16}.js HTTP/1.1 200 {n}",
    "container {hex64} exited with code 137",
    "primary_key: id, foreign_key: customer_id",
    "auth: user {user} authenticated by token, scope read",
    "token_type=bearer expires_in=3600",
    "password_hash_algorithm = bcrypt",
    "password_min_length = 12",
    "use_password = true",
    "session_timeout = 3600, session_count={n}",
    "http://{host}:8080/metrics up=1 user:{user}",
    "see https://{host}/docs@latest:8080/a?b=c",
    "user: {user}, host: {host}:5432, tls: on",
    "mysql -u {user} -p shop",
    "mkdir -p{path}",
    "pg_dump --no-password --host {host} shop",
    "ERROR {uuid} java.lang.NullPointerException: token is null",
    "password=null secret=undefined token=",
    "csrf token missing or incorrect for {url}",
    "root:x:0:0:root:/root:/bin/bash",
    "{ip}:5432:shop:{user}: connection reset",
    "10:42:31:{user}:{word}",
    "X-Request-Id: {uuid}",
    "Nov 28 10:00:01 {host} CRON[812]: pam_unix(cron:session): session closed for user {user}",
    "cookie consent banner shown to {n} visitors",
    "Deriving secrets took {n} ms for {word}",
    "cache key orders:{n}:{word} evicted",
    "secret/{word} version {n} read by {user}",
)  # fmt: skip


class Row(NamedTuple):
    """A text with a secret in it: its kind, its surrounding, whether rules were written without it, and what is secret."""

    kind: str
    place: str
    held_out: bool
    text: str
    secrets: tuple[str, ...]


def corpus(seed: int = SEED, each: int = EACH) -> Iterator[Row]:
    """Give every kind of secret in every surrounding."""
    draw = random.Random(seed)

    def rows(kind: str, places: dict[str, str], make: Callable[[Draw], str], held_out: bool) -> Iterator[Row]:
        for place, template in places.items():
            for _ in range(each):
                secret = make(draw)
                user, host = draw.choice(labelled_logs.PEOPLE), draw.choice(labelled_logs.HOSTS)
                yield Row(kind, place, held_out, template.format(s=secret, u=user, h=host), (secret,))

    for kind, make in TOKENS.items():
        yield from rows(kind, TOKEN_PLACES | TOKEN_PLACES_LATER, make, False)
        yield from rows(kind, TOKEN_HELD_OUT, make, True)
    for table in (PASSWORD_PLACES, PASSWORD_PLACES_LATER, PASSWORD_HELD_OUT):
        held_out = table is PASSWORD_HELD_OUT
        for kind, places in table.items():
            yield from rows(kind, places, _password, held_out)
    for kind, tables in (("header", HEADERS), ("cookie", COOKIES), ("password hash", HASHES), ("cloud", CLOUD)):
        for made in tables.values():
            for place, (template, make) in made.items():
                yield from rows(kind, {place: template}, make, False)
    for kind, made in HELD_OUT.items():
        for place, (template, make) in made.items():
            yield from rows(kind, {place: template}, make, True)
    for places in KEYS.values():
        for place, template in places.items():
            for _ in range(each):
                yield _key(draw, place, template)


def _key(draw: Draw, place: str, template: str) -> Row:
    pem = _pem(draw)
    lines = pem.split("\n")
    forms = {
        "s": pem,
        "j": "\\n".join(lines),
        "i": "\n    ".join(lines),
        "p": "\n".join(f"Nov 28 10:00:01 web1 shop[812]: {line}" for line in lines),
        "c": "\n".join(lines[:-2]),
        "w": "\r\n".join(lines),
    }
    secrets = lines[1:-2] if place == "cut off" else lines[1:-1]
    return Row("private key", place, False, template.format(**forms), tuple(secrets))


def ordinary(lines: int = ORDINARY, seed: int = SEED) -> Iterator[str]:
    """Give lines without a secret: of all forms of logs in equal parts, and as many again that tempt."""
    draw = labelled_logs.Draw(seed)
    half = lines // 2
    forms = list(labelled_logs.FORMATS)
    for form in forms:
        found = (
            line
            for entry in labelled_logs.log(form, half, seed)
            for line in ([entry] if isinstance(entry, str) else entry.lines)
        )
        yield from (line for _, line in zip(range(half // len(forms)), found, strict=False))
    for number in range(half):
        yield _filled(draw, TEMPTING[number % len(TEMPTING)])


def _filled(draw: labelled_logs.Draw, template: str) -> str:
    some = draw.random
    values = {
        name: draw.value(name)
        for name in ("user", "ip", "port", "n", "word", "table", "uuid", "path", "host", "date", "url")
    }
    values |= {name: _of(some, _HEX, int(name[3:])) for name in ("hex16", "hex32", "hex64")}
    return template.format(**values, sha1=_of(some, _HEX, 40), b64=_of(some, _BASE64, 43))  # fmt: skip


def is_left(row: Row, copy: str) -> bool:
    """Say whether something of a secret is still there."""
    for secret in row.secrets:
        size = min(_LEFT, len(secret))
        if any(secret[at : at + size] in copy for at in range(len(secret) - size + 1)):
            return True
    return False


def _ours() -> Callable[[str], str]:
    from incidentctl import redaction  # noqa: PLC0415 - the other one is measured without it

    return lambda text: redaction.redact(text).text


def _detect_secrets() -> Callable[[str], str]:
    # As it scans a file: asked for a line by itself, it takes every word for a secret.
    from detect_secrets.core.scan import scan_file  # noqa: PLC0415 - only where it is to be measured
    from detect_secrets.settings import default_settings  # noqa: PLC0415

    folder = Path(tempfile.mkdtemp())
    path = folder / "text.log"

    def redact(text: str) -> str:
        path.write_text(text, encoding="utf-8")
        with default_settings():
            found = list(scan_file(str(path)))
        lines = text.split("\n")
        for secret in sorted(found, key=lambda each: -len(each.secret_value or "")):
            if secret.secret_value:
                number = secret.line_number - 1
                lines[number] = lines[number].replace(secret.secret_value, "[redacted]")
        return "\n".join(lines)

    return redact


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--detect-secrets", action="store_true")
    parser.add_argument("--missed", action="store_true")
    parser.add_argument("--bytes", type=int, default=SPEED_BYTES)
    chosen = parser.parse_args()
    redact = _detect_secrets() if chosen.detect_secrets else _ours()
    made: dict[str, list[list[int]]] = defaultdict(lambda: [[0, 0], [0, 0]])
    missed: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in corpus():
        count = made[row.kind][row.held_out]
        count[1] += 1
        copy = redact(row.text)
        if is_left(row, copy):
            missed[row.kind, row.place].append(copy)
        else:
            count[0] += 1
    print(f"{'kind':<22} {'found/made':>13}          {'held out':>13}")
    for kind, counts in made.items():
        told = (f"{found:>6}/{all_:<6} {found / all_ if all_ else 0:6.1%}" for found, all_ in counts)
        print(f"{kind:<22} {'   '.join(told)}")
    for number, what in enumerate(("known surroundings", "held out")):
        found, all_ = (sum(counts[number][place] for counts in made.values()) for place in (0, 1))
        print(f"{what:<22} {found}/{all_} {found / all_:.1%}")
    lines = list(ordinary())
    alarms = [(line, copy) for line in lines if (copy := redact(line)) != line]
    print(
        f"false alarms           {len(alarms)} in {len(lines)} ordinary lines: {len(alarms) * 10_000 / len(lines):.1f} per 10,000"
    )
    text = "\n".join(lines) + "\n"
    text = text * (chosen.bytes // len(text) + 1) if chosen.bytes > len(text) else text[: chosen.bytes]
    began = time.process_time()
    redact(text)
    took = time.process_time() - began
    print(
        f"speed                  {len(text) / took / 1e6:.1f} MB/s of CPU time over {len(text) / 1e6:.0f} MB of these lines"
    )
    if chosen.missed:
        for (kind, place), copies in missed.items():
            print(f"missed: {kind} / {place}: {len(copies)}: {copies[0][:200]!r}")
        seen = set()
        for line, copy in alarms:
            if (mark := "".join(c for c in copy if c.isalpha())[:24]) not in seen:
                seen.add(mark)
                print(f"false alarm: {line[:160]!r} -> {copy[:160]!r}")


if __name__ == "__main__":
    main()
