"""Logs with known truth: errors of formats as programs write them, each with the template that it came from.

    .venv/bin/python benchmarks/labelled_logs.py java 5000 >java.log

Everything is drawn from one seed. How often a template or a name comes follows Zipf: few come often, many hardly
ever. Between the errors stand lines that are none, some of which speak of errors.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import NamedTuple


def _words(text: str) -> list[str]:
    return text.split()


PEOPLE = _words(
    "bob alice carol dave erin frank grace heidi ivan judy mallory niaj olivia peggy rupert sybil trent victor wendy"
)
SERVICES = _words("checkout billing cart catalog search shipping mailer auth gateway inventory ledger-writer pricing")
HOSTS = _words(
    "web1 web2 db-primary db-replica-3 cache01 queue-a.internal node-7.eu-west-1.compute.internal mx.example.com"
)
TABLES = _words("orders customers line_items payments sessions audit_log refunds stock_levels")
COLUMNS = _words("unit_price total customer_id created_at sku status quantity")
METHODS = _words("GET POST PUT DELETE")
CODES = _words("EACCES ENOENT ECONNRESET EPIPE ETIMEDOUT")
WORDS = _words("blue green summer winter express weekly nightly primary legacy export import daily")


class Event(NamedTuple):
    """One error: the lines it makes, and the name of its template."""

    lines: list[str]
    truth: str


class Draw:
    """Values for the places of templates, drawn from one seed."""

    def __init__(self, seed: int) -> None:
        """Begin at `seed`."""
        self.random = random.Random(seed)

    def zipf(self, choices: list[str]) -> str:
        """Draw one of `choices`: the first most often."""
        return self.random.choices(choices, [1 / (place + 1) for place in range(len(choices))])[0]

    def value(self, name: str) -> str:
        """Return a value for a place of this name."""
        some = self.random
        hexadecimal = f"{some.getrandbits(128):032x}"
        return {
            "user": lambda: self.zipf(PEOPLE),
            "service": lambda: self.zipf(SERVICES),
            "host": lambda: self.zipf(HOSTS),
            "table": lambda: self.zipf(TABLES),
            "column": lambda: self.zipf(COLUMNS),
            "method": lambda: self.zipf(METHODS),
            "word": lambda: f"{some.choice(WORDS)}-{some.choice(WORDS)}",
            "n": lambda: str(some.randrange(10 ** some.randrange(1, 7))),
            "port": lambda: str(some.randrange(1024, 65536)),
            "float": lambda: f"{some.random() * 100:.{some.randrange(1, 4)}f}",
            "ip": lambda: ".".join(str(some.randrange(1, 255)) for _ in range(4)),
            "ip6": lambda: f"fd00::{some.randrange(1, 65536):x}:{some.randrange(1, 65536):x}",
            "uuid": lambda: "-".join((hexadecimal[:8], hexadecimal[8:12], hexadecimal[12:16], hexadecimal[16:20], hexadecimal[20:])),
            "hex": lambda: hexadecimal[: some.choice((12, 16, 32))],
            "commit": lambda: hexadecimal[:8],
            "address": lambda: f"0x{hexadecimal[:12]}",
            "mail": lambda: f"{self.zipf(PEOPLE)}@{some.choice(('example.com', 'mail.example.org'))}",
            "path": lambda: f"/{some.choice(('srv', 'var/lib', 'data'))}/{self.zipf(SERVICES)}/{some.choice(WORDS)}{some.choice(('.json', '.tmp', '', '/part-00012'))}",
            "url": lambda: f"http://{self.zipf(HOSTS)}:{some.randrange(80, 9000)}/{self.zipf(TABLES)}/{some.randrange(9999)}?page={some.randrange(9)}",
            "duration": lambda: f"{some.random() * 90:.{some.randrange(0, 3)}f}{some.choice(('ms', 's'))}",
            "size": lambda: f"{some.randrange(1, 999)}{some.choice(('KB', 'MB', ' MiB'))}",
            "date": lambda: f"2026-{some.randrange(1, 13):02}-{some.randrange(1, 29):02}",
            "list": lambda: ", ".join(str(some.randrange(999)) for _ in range(some.randrange(1, 6))),
            "title": lambda: some.choice(("Blue shirt", "Mug", "Chess set (wood)", "Lamp 40 W", "Red bag, large")),
            "pod": lambda: f"{self.zipf(SERVICES)}-{hexadecimal[:10]}-{''.join(some.choices('bcdfghjklmnpqrstvwxz2456789', k=5))}",
        }[name]()  # fmt: skip

    def fill(self, template: str) -> str:
        """Fill each `{place}` of a template."""
        parts = template.replace("}", "{").split("{")
        return "".join(self.value(part) if number % 2 else part for number, part in enumerate(parts))


def java(draw: Draw, at: datetime, template: str, message: str) -> list[str]:
    """As logback writes, with a stack trace for some templates."""
    logger = f"c.shop.{['web', 'jobs', 'db'][len(template) % 3]}.{['Orders', 'Mailer', 'Pool'][len(template) % 3]}"
    head = (
        f"{at:%Y-%m-%d %H:%M:%S},{at.microsecond // 1000:03} ERROR [http-nio-8080-exec-{draw.value('n')}] {logger} - "
    )
    message, _, raised = message.partition(" | ")
    if not raised:
        return [head + message]
    deep = [
        f"\tat com.shop.{name}.call({name}.java:{draw.value('n')})"
        for name in ("Orders", "Db", "Web")[: len(template) % 3 + 1]
    ]
    return [head + message, "java.lang.IllegalStateException: cannot go on", *deep, f"Caused by: {raised}", *deep, f"\t... {draw.value('n')} more"]  # fmt: skip


def python(draw: Draw, at: datetime, template: str, message: str) -> list[str]:
    """As Python's logging writes, with a traceback for some templates."""
    message, _, raised = message.partition(" | ")
    level = "CRITICAL" if len(template) % 5 == 0 else "ERROR"
    head = f"{at:%Y-%m-%d %H:%M:%S},{at.microsecond // 1000:03} {level} shop.{'web' if len(template) % 2 else 'jobs'}: {message}"
    frame = [f'  File "/srv/shop/app.py", line {draw.value("n")}, in checkout', "    total = rows[0]"]
    return [head, *(["Traceback (most recent call last):", *frame, raised] if raised else [])]


def go(draw: Draw, at: datetime, template: str, message: str) -> list[str]:
    """As zap writes for people; some templates are panics with the goroutine under them."""
    if not message.startswith("panic: "):
        return [
            f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z\tERROR\tshop/server.go:{len(template)}\t{message}"
        ]
    number = draw.value("n")
    return [message, "", f"goroutine {number} [running]:", f"main.(*Shop).order({draw.value('address')}, 0x1)",
            f"\t/srv/shop/main.go:{number} +{draw.value('address')}", f"created by main.main in goroutine {number}",
            "\t/srv/shop/main.go:12 +0x1d"]  # fmt: skip


def node(draw: Draw, at: datetime, template: str, message: str) -> list[str]:
    """As winston writes, with a stack for some templates."""
    message, _, raised = message.partition(" | ")
    stack = [
        f"    at order (/srv/shop/app.js:{draw.value('n')}:13)",
        "    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)",
    ]
    return [
        f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z [shop] error: {message}",
        *([raised, *stack] if raised else []),
    ]


def jsonl(draw: Draw, at: datetime, template: str, message: str) -> list[str]:
    """As structlog, bunyan and others write: JSON, with fields that vary beside the message."""
    level = (
        {"level": 50}
        if len(template) % 3 == 0
        else {"severity": "ERROR"}
        if len(template) % 3 == 1
        else {"level": "error"}
    )
    fields = {
        "time": at.isoformat(),
        **level,
        "msg": message,
        "trace_id": draw.value("hex"),
        "pid": int(draw.value("n")),
    }
    return [json.dumps(fields)]


def logfmt(draw: Draw, at: datetime, template: str, message: str) -> list[str]:
    """As logrus writes."""
    return [
        f'time="{at:%Y-%m-%dT%H:%M:%SZ}" level=error msg={json.dumps(message)} request_id={draw.value("uuid")} took={draw.value("duration")}'
    ]


def klog(draw: Draw, at: datetime, template: str, message: str) -> list[str]:
    """As Kubernetes writes."""
    return [
        f"E{at:%m%d %H:%M:%S}.{at.microsecond:06} {int(draw.value('n')):7} kubelet.go:{len(template) * 7}] {message}"
    ]


def syslog(draw: Draw, at: datetime, template: str, message: str) -> list[str]:
    """As rsyslog writes what daemons say."""
    program = ("cron", "postfix/smtpd", "named", "dhclient", "sshd")[len(template) % 5]
    return [f"{at:%b %e %H:%M:%S} {draw.value('service')} {program}[{draw.value('n')}]: error: {message}"]


def nginx(draw: Draw, at: datetime, template: str, message: str) -> list[str]:
    """As nginx writes its error log."""
    return [f"{at:%Y/%m/%d %H:%M:%S} [error] {draw.value('n')}#{draw.value('n')}: *{draw.value('n')} {message}"]


def postgresql(draw: Draw, at: datetime, template: str, message: str) -> list[str]:
    """As PostgreSQL writes, with the statement under it."""
    head = f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03} UTC [{draw.value('n')}] {draw.value('user')}@shop "
    level = "FATAL" if len(template) % 4 == 0 else "ERROR"
    return [
        f"{head}{level}:  {message}",
        f"{head}STATEMENT:  SELECT * FROM {draw.value('table')} WHERE id = {draw.value('n')}",
    ]


def dotnet(draw: Draw, at: datetime, template: str, message: str) -> list[str]:
    """As Serilog writes, with an exception under some."""
    message, _, raised = message.partition(" | ")
    head = f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03} +00:00 [{'FTL' if len(template) % 7 == 0 else 'ERR'}] {message}"
    place = f"   at Shop.{draw.value('service').title().replace('-', '')}.Call() in /src/Shop.cs:line {draw.value('n')}"
    return [head, *([raised, place, "--- End of stack trace from previous location ---", place] if raised else [])]


def ruby(draw: Draw, at: datetime, template: str, message: str) -> list[str]:
    """As Ruby's Logger writes."""
    return [
        f"E, [{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06} #{draw.value('n')}] ERROR -- : [{draw.value('uuid')}] {message}"
    ]


def logcat(draw: Draw, at: datetime, template: str, message: str) -> list[str]:
    """As Android writes."""
    tag = ("ActivityManager", "SQLiteLog", "OkHttp", "WifiService")[len(template) % 4]
    return [
        f"{at:%m-%d %H:%M:%S}.{at.microsecond // 1000:03} {int(draw.value('n')):5} {int(draw.value('n')):5} E {tag}: {message}"
    ]


def mysql(draw: Draw, at: datetime, template: str, message: str) -> list[str]:
    """As MySQL 8 writes its error log."""
    part = ("Server", "InnoDB", "Repl")[len(template) % 3]
    return [
        f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06}Z {draw.value('n')} [ERROR] [MY-{10000 + len(template):06}] [{part}] {message}"
    ]


def apache(draw: Draw, at: datetime, template: str, message: str) -> list[str]:
    """As Apache httpd writes its error log."""
    module = ("proxy_http", "core", "ssl", "php7")[len(template) % 4]
    head = f"[{at:%a %b %d %H:%M:%S}.{at.microsecond:06} {at:%Y}] [{module}:error]"
    return [
        f"{head} [pid {draw.value('n')}:tid {draw.value('n')}] [client {draw.value('ip')}:{draw.value('port')}] {message}"
    ]


def kafka(draw: Draw, at: datetime, template: str, message: str) -> list[str]:
    """As Kafka writes, with a stack trace for some templates."""
    message, _, raised = message.partition(" | ")
    name = ("kafka.server.ReplicaManager", "kafka.log.LogCleaner", "kafka.network.Processor")[len(template) % 3]
    line = f"[{at:%Y-%m-%d %H:%M:%S},{at.microsecond // 1000:03}] ERROR {message} ({name})"
    frames = [f"\tat {name}.run({name.rpartition('.')[2]}.scala:{draw.value('n')})"]
    return [line, *([raised, *frames] if raised else [])]


def windows(draw: Draw, at: datetime, template: str, message: str) -> list[str]:
    """As an event of Windows is told on one line."""
    number = 1000 + 7 * len(template)
    source = ("Service Control Manager", "DistributedCOM", "Application Error", "Schannel")[len(template) % 4]
    return [f"{at:%Y-%m-%d %H:%M:%S} Error: {source} {number} {message}"]


Renderer = Callable[[Draw, datetime, str, str], list[str]]
FORMATS: dict[str, tuple[Renderer, str]] = {
    "java": (java, """
        order {n} of {user} failed after {n} ms
        order {n} cannot be paid | java.sql.SQLException: no such column: {column}
        order {n} cannot be paid | java.net.SocketTimeoutException: connect timed out after {n} ms
        connection to {host}:{port} refused
        connection to {host}:{port} reset by peer
        cannot send mail {uuid} to {mail}
        cache entry {hex} of region {word} is broken
        HikariPool-{n} - Connection is not available, request timed out after {n}ms
        user {user} is locked
        user {user} not found
        Failed to parse {path}: unexpected end of file at line {n}
        retry {n} of {n} for {service} gave up
        job {word} threw an exception | java.lang.NullPointerException: Cannot invoke "{word}.total()" because "order" is null
        job {word} was interrupted after {duration}
        disk {path} is full ({size} left)"""),
    "python": (python, """
        order {n} failed | sqlite3.OperationalError: no such column: {column}
        order {n} failed | KeyError: '{column}'
        order {n} failed | requests.exceptions.ConnectionError: HTTPConnectionPool(host='{host}', port={port}): Max retries exceeded with url: /{table}/{n}
        payment {uuid} was declined by {service}
        payment {uuid} was declined twice
        upstream {service} answered {n} after {duration}
        could not connect to {service}
        could not resolve {host}
        login of {user} from {ip} failed
        unexpected reply from {service}: '{title}'
        worker {n} died with signal {n}
        {n} messages left in queue {word}
        template {path} is missing
        timeout={float} exceeded for {user} at {url}
        ids [{list}] are not in table {table}"""),
    "go": (go, """
        dial tcp {ip}:{port}: connect: connection refused
        dial tcp {ip}:{port}: i/o timeout
        dial tcp: lookup {host}: no such host
        read tcp {ip}:{port}->{ip}:{port}: read: connection reset by peer
        failed to decode order {hex}: unexpected EOF
        context deadline exceeded after {duration} in {service}
        context canceled in {service}
        panic: runtime error: index out of range [{n}] with length {n}
        panic: runtime error: invalid memory address or nil pointer dereference
        panic: assignment to entry in nil map
        could not reserve {n} of item {title} for {user}
        unknown tenant {word}
        http: TLS handshake error from {ip}:{port}: EOF"""),
    "json": (jsonl, """
        charge of {float} for {user} failed with {code}
        order {uuid} has no lines
        cannot reach {service} at {url}
        cannot reach {service} at all
        schema of table {table} has no column {column}
        rate limit of tenant {word} reached: {n} a minute
        token of {user} expired at {date}
        webhook {url} answered {n}
        message {n} on topic {word} cannot be read: bad magic {address}
        deadlock between {n} and {n}
        item "{title}" is sold out
        item "{title}" has no price
        quota for {mail} used up ({size})
        consumer {service} lags by {n} messages"""),
    "logfmt": (logfmt, """
        failed to pull image {host}:{port}/{service}:{commit}
        failed to scrape {url}
        failed to write {size} to {path}
        compaction of block {hex} failed after {duration}
        query of {user} cancelled after {duration}
        shard {n} on {host} is stale
        shard {n} on {host} is gone
        node {host} left the cluster
        node {host} joined twice
        invalid value for option {word}
        unknown field {column} in line {n}
        rule {word} of group {service} failed with {n} series
        could not lock {path}: held by pid {n}
        signature {hex} does not match"""),
    "klog": (klog, """
        Error syncing pod {uuid} ("{pod}_default({uuid})"), skipping: failed to start container
        Unable to attach volumes for pod "{pod}": timed out waiting for {n} volumes
        Failed to update node lease, error: Put "{url}": context deadline exceeded
        "Failed to create pod sandbox" err="rpc error: code = Unknown" pod="default/{pod}"
        "Container runtime sanity check failed" err="stat {path}: no such file"
        Node {host} not ready: {n} of {n} conditions
        Liveness probe of {pod} failed: {n}
        Readiness probe of {pod} failed: {n}
        eviction manager: must evict pod(s) to reclaim {word}
        watch of {table} ended with: too old resource version: {n} ({n})
        cannot find cgroup {path}
        lost lease held by {host}
        image {host}:{port}/{service}@sha256:{hex} is not present"""),
    "node": (node, """
        order {n} failed | TypeError: Cannot read properties of undefined (reading '{column}')
        order {n} failed | RangeError: Invalid array length
        connect {code} {ip}:{port}
        Unhandled rejection in {service} | Error: getaddrinfo ENOTFOUND {host}
        {method} /{table}/{n} {n} {duration}
        session {hex} of {user} is gone
        session {hex} cannot be parsed
        cannot find module '{path}'
        user {mail} has no address
        worker {n} exited with code {n}
        cart of {user} is empty
        job {uuid} in queue {word} failed {n} times
        Redis connection to {host}:{port} failed"""),
    "syslog": (syslog, """
        Received disconnect from {ip} port {port}:{n}: Bye Bye [preauth]
        maximum authentication attempts exceeded for {user} from {ip} port {port} ssh2 [preauth]
        PAM: Authentication failure for {user} from {host}
        PAM: Authentication failure for illegal user {user} from {host}
        lost connection after {word} from unknown[{ip}]
        unable to open {path}: Permission denied
        unable to open {path}: No such file or directory
        zone {host}/IN: refresh: failure trying primary {ip}#{port}
        ({user}) AUTH (crontab command not allowed)
        kex_exchange_identification: Connection closed by remote host
        no free leases for {ip6} on eth{n}
        device {word} went away
        {user} : user NOT in sudoers ; TTY=pts/{n} ; PWD={path} ; USER=root
        client {ip}#{port}: update {word} denied"""),
    "nginx": (nginx, """
        connect() failed (111: Connection refused) while connecting to upstream, client: {ip}, server: {host}, request: "{method} /{table}/{n} HTTP/1.1", upstream: "{url}", host: "{host}"
        upstream timed out (110: Connection timed out) while reading response header from upstream, client: {ip}, server: {host}, request: "{method} /{table}/{n} HTTP/1.1", upstream: "{url}", host: "{host}"
        upstream timed out (110: Connection timed out) while connecting to upstream, client: {ip}, server: {host}, request: "{method} /{table}/{n} HTTP/1.1", upstream: "{url}", host: "{host}"
        open() "{path}" failed (2: No such file or directory), client: {ip}, server: {host}, request: "GET /{word} HTTP/1.1", host: "{host}"
        open() "{path}" failed (13: Permission denied), client: {ip}, server: {host}, request: "GET /{word} HTTP/1.1", host: "{host}"
        upstream prematurely closed connection while reading response header from upstream, client: {ip}, server: {host}, request: "POST /{table} HTTP/2.0", upstream: "{url}", host: "{host}"
        client intended to send too large body: {n} bytes, client: {ip}, server: {host}, request: "POST /{table} HTTP/1.1", host: "{host}"
        no live upstreams while connecting to upstream, client: {ip}, server: {host}, request: "GET /{table} HTTP/1.1", upstream: "http://{service}/{table}", host: "{host}"
        limiting requests, excess: {float} by zone "{word}", client: {ip}, server: {host}, request: "GET /{table} HTTP/1.1", host: "{host}"
        directory index of "{path}" is forbidden, client: {ip}, server: {host}, request: "GET / HTTP/1.1", host: "{host}"
        SSL_do_handshake() failed (SSL: error:0A000086:SSL routines::certificate verify failed) while SSL handshaking to upstream, client: {ip}, server: {host}, request: "GET /{table} HTTP/1.1", upstream: "{url}", host: "{host}"
        {service} could not be resolved (3: Host not found), client: {ip}, server: {host}, request: "GET /{table} HTTP/1.1", host: "{host}" """),
    "dotnet": (dotnet, """
        An unhandled exception has occurred while executing the request. | System.InvalidOperationException: Sequence contains no elements
        An unhandled exception has occurred while executing the request. | System.NullReferenceException: Object reference not set to an instance of an object.
        Failed executing DbCommand ({n}ms) [Parameters=[@p0='{n}'], CommandType='Text', CommandTimeout='30']
        An exception occurred while iterating over the results of a query for context type {service}. | Npgsql.PostgresException (0x80004005): 42703: column "{column}" does not exist
        Connection id "{hex}", Request id "{hex}": An unhandled exception was thrown by the application.
        HTTP {method} {path} responded {n} in {float} ms
        Unable to resolve host {host}
        Message {uuid} was moved to the error queue after {n} attempts
        Hosting failed to start | System.IO.IOException: Failed to bind to address http://{ip}:{port}: address already in use.
        User {mail} could not be authorized for policy {word}
        Cache key {service}:{n} could not be deserialized
        Job {word} overran its schedule by {duration}"""),
    "ruby": (ruby, """
        ActiveRecord::RecordNotFound (Couldn't find Order with 'id'={n}):
        ActiveRecord::StatementInvalid (PG::UndefinedColumn: ERROR:  column "{column}" does not exist):
        ActionController::RoutingError (No route matches [{method}] "{path}"):
        Net::ReadTimeout (Net::ReadTimeout with #<TCPSocket:(closed)>):
        Faraday::ConnectionFailed (Failed to open TCP connection to {host}:{port} (Connection refused - connect(2) for "{ip}" port {port})):
        Redis::CannotConnectError: Error connecting to Redis on {host}:{port}
        Sidekiq job {service} (JID {hex}) died after {n} retries
        Webhook to {url} returned {n}
        Coupon {word} used by {user} is expired
        Coupon {word} used by {user} is exhausted
        Could not lock {table} {n} for {user}
        S3 upload of {path} ({size}) failed
        Mailer {service} has no template {word}"""),
    "logcat": (logcat, """
        ANR in com.example.{service} (com.example.{service}/.MainActivity)
        Process com.example.{service} (pid {n}) has died
        (1) no such column: {column}
        (5) database is locked
        failed to connect to {host}/{ip} (port {port}) from /{ip} (port {port}) after {n}ms
        unexpected end of stream on {url}
        Unable to start receiver com.example.{service}.BootReceiver
        Could not read {path}
        Could not write {path}
        Scan {n} on wlan0 failed with status {n}
        Roaming from {hex} to {hex} timed out
        Permission {word} denied for uid {n}"""),
    "postgresql": (postgresql, """
        relation "{table}" does not exist at character {n}
        column "{column}" does not exist at character {n}
        column {table}.{column} does not exist at character {n}
        duplicate key value violates unique constraint "{table}_pkey"
        insert or update on table "{table}" violates foreign key constraint "{table}_{column}_fkey"
        null value in column "{column}" of relation "{table}" violates not-null constraint
        deadlock detected
        canceling statement due to statement timeout
        canceling statement due to lock timeout
        password authentication failed for user "{user}"
        database "{word}" does not exist
        role "{user}" does not exist
        remaining connection slots are reserved for non-replication superuser connections
        invalid input syntax for type integer: "{word}"
        could not extend file "base/{n}/{n}": No space left on device
        requested WAL segment {hex} has already been removed
        syntax error at or near "{word}" at character {n}"""),
    "mysql": (mysql, """
        Can't open and lock privilege tables: Table 'mysql.{table}' doesn't exist
        Can't start server: Bind on TCP/IP port: Address already in use
        Do you already have another mysqld server running on port: {port} ?
        Aborting
        Table './shop/{table}' is marked as crashed and should be repaired
        Unable to lock {path} error: {n}
        Cannot allocate memory for the buffer pool
        Slave I/O for channel '{word}': error connecting to master '{user}@{host}:{port}' - retry-time: {n} retries: {n}
        Slave SQL for channel '{word}': Could not execute Write_rows event on table shop.{table}; Duplicate entry '{n}' for key 'PRIMARY'
        Error reading packet from server for channel '{word}': Lost connection to MySQL server during query
        Disk is full writing '{path}' (OS errno {n} - No space left on device)
        Operating system error number {n} in a file operation.
        Access denied for user '{user}'@'{host}' (using password: YES)
        Plugin '{word}' init function returned error.
        Got an error writing communication packets from {ip}"""),
    "apache": (apache, """
        (111)Connection refused: AH00957: HTTP: attempt to connect to {ip}:{port} ({host}) failed
        (110)Connection timed out: AH00957: HTTP: attempt to connect to {ip}:{port} ({host}) failed
        AH00898: Error reading from remote server returned by /{table}/{n}
        AH01114: HTTP: failed to make connection to backend: {host}
        AH00128: File does not exist: {path}
        AH01630: client denied by server configuration: {path}
        AH01276: Cannot serve directory {path}: No matching DirectoryIndex (index.html,index.php) found
        AH00037: Symbolic link not allowed or link target not accessible: {path}
        AH02032: Hostname {host} provided via SNI and hostname {host} provided via HTTP are different
        PHP Fatal error:  Uncaught Error: Call to undefined function {word}() in {path}:{n}
        PHP Fatal error:  Allowed memory size of {n} bytes exhausted (tried to allocate {n} bytes) in {path} on line {n}
        ModSecurity: Access denied with code {n} (phase {n}). Matched phrase "{word}" at ARGS:{column}. [file "{path}"] [line "{n}"] [id "{n}"] [uri "/{table}"] [unique_id "{hex}"]
        user {user} not found: /{table}
        user {user}: authentication failure for "/{table}": Password Mismatch
        script '{path}' not found or unable to stat"""),
    "kafka": (kafka, """
        Error while appending records to {table}-{n} in dir {path} | java.io.IOException: No space left on device
        Error while reading checkpoint file {path} | java.io.FileNotFoundException: {path} (Permission denied)
        [Broker id={n}] Error sending request to broker {host}:{port} (id: {n} rack: null)
        [ReplicaManager broker={n}] Error processing append operation on partition {table}-{n}
        [ReplicaFetcher replicaId={n}, leaderId={n}, fetcherId={n}] Error due to
        [KafkaServer id={n}] Fatal error during startup. Prepare to shutdown
        [Controller id={n}] Controller failed to update leader for {table}-{n}
        Disk error while writing recovery offsets checkpoint in directory {path}
        Shutdown broker because all log dirs in {path} have failed
        Processor got uncaught exception. | java.lang.OutOfMemoryError: Direct buffer memory
        Exiting Kafka due to fatal exception during startup.
        Closing socket for {ip}:{port}-{ip}:{port}-{n} because of error
        Uncaught exception in thread '{word}':
        [GroupCoordinator {n}]: Group {word} could not complete rebalance because no members rejoined"""),
    "windows": (windows, """
        The {service} service terminated unexpectedly.  It has done this {n} time(s).
        The {service} service failed to start due to the following error: The service did not respond to the start or control request in a timely fashion.
        The {service} service hung on starting.
        A timeout ({n} milliseconds) was reached while waiting for a transaction response from the {service} service.
        The server {uuid} did not register with DCOM within the required timeout.
        DCOM was unable to communicate with the computer {host} using any of the configured protocols; requested by PID {n} ({path}).
        Faulting application name: {word}.exe, version: {n}.{n}.{n}, time stamp: {address}
        Faulting module name: {word}.dll, version: {n}.{n}.{n}, time stamp: {address}
        A fatal alert was generated and sent to the remote endpoint. This may result in termination of the connection. The TLS protocol defined fatal error code is {n}.
        The processing of Group Policy failed. Windows could not resolve the computer name {host}.
        Name resolution for the name {host} timed out after none of the configured DNS servers responded.
        The driver detected a controller error on \\Device\\Harddisk{n}\\DR{n}.
        The account {user} could not be mapped to a security id
        The account {user} was locked after {n} failed logons"""),
}  # fmt: skip
# Lines that are no errors: most speak of none, one in a hundred does.
_CALM = (
    "order {n} of {user} placed in {duration}",
    "GET /{table}/{n} 200 {n} {duration}",
    "session {hex} of {user} opened from {ip}",
    "sent mail {uuid} to {mail}",
    "evicted {n} of {n} entries of region {word}",
    "pulled {size} from {url} in {duration}",
    "{service} answers on {host}:{port}",
    "wrote {path}",
)
_CALM_HEADS = {
    "json": '{{"time": "{at:%Y-%m-%dT%H:%M:%SZ}", "level": "info", "msg": "{said}", "pid": {n}}}',
    "logfmt": 'time="{at:%Y-%m-%dT%H:%M:%SZ}" level=info msg="{said}" took={n}ms',
    "klog": "I{at:%m%d %H:%M:%S}.000001 {n:7} kubelet.go:7] {said}",
    "syslog": "{at:%b %e %H:%M:%S} web1 app[{n}]: {said}",
    "nginx": "{at:%Y/%m/%d %H:%M:%S} [info] {n}#{n}: {said}",
    "postgresql": "{at:%Y-%m-%d %H:%M:%S}.123 UTC [{n}] bob@shop LOG:  {said}",
    "go": "{at:%Y-%m-%dT%H:%M:%S}.123Z\tINFO\tshop/server.go:9\t{said}",
    "node": "{at:%Y-%m-%dT%H:%M:%S}.123Z [shop] info: {said}",
}
_CALM_HEAD_ELSE = "{at:%Y-%m-%d %H:%M:%S},123 INFO  [worker-{n}] shop.web - {said}"
_QUIET = {
    "json": '{{"time": "{at:%Y-%m-%dT%H:%M:%SZ}", "level": "info", "msg": "0 errors in {n} ms", "error_count": 0}}',
    "logfmt": 'time="{at:%Y-%m-%dT%H:%M:%SZ}" level=info msg="no error since {n}" error_count=0',
    "klog": "I{at:%m%d %H:%M:%S}.000001 {n:7} kubelet.go:7] no error in {n} pods",
    "syslog": "{at:%b %e %H:%M:%S} web1 cron[{n}]: (root) CMD (check-errors --critical {n})",
    "nginx": "{at:%Y/%m/%d %H:%M:%S} [notice] {n}#{n}: exit after errors",
    "postgresql": "{at:%Y-%m-%d %H:%M:%S}.123 UTC [{n}] bob@shop LOG:  duration: {n} ms, error_count 0",
    "go": "{at:%Y-%m-%dT%H:%M:%S}.123Z\tINFO\tshop/server.go:9\tretried {n} after an error",
    "node": "{at:%Y-%m-%dT%H:%M:%S}.123Z [shop] info: 0 errors in {n} ms",
}
_QUIET_ELSE = "{at:%Y-%m-%d %H:%M:%S},123 INFO  shop.web: {n} orders, 0 errors, no fatal one"


def log(form: str, errors: int, seed: int, quiet: float = 1.0) -> Iterator[Event | str]:
    """Give the events of a log, `errors` of them, and as many plain lines for each as `quiet` says."""
    render, templates = FORMATS[form]
    draw = Draw(seed)
    # What a code says is why: each is an error of its own.
    names = [
        line.strip().replace("{code}", code)
        for line in templates.strip().splitlines()
        for code in (CODES if "{code}" in line else [""])
    ]
    draw.random.shuffle(names)
    at = datetime(2026, 11, 28, 2, 0, tzinfo=timezone.utc)
    owed = 0.0
    for _ in range(errors):
        owed += quiet
        while owed >= 1:
            owed -= 1
            at += timedelta(milliseconds=draw.random.randrange(400))
            yield _calm(draw, form, at)
        template = draw.zipf(names)
        at += timedelta(milliseconds=draw.random.randrange(400))
        yield Event(render(draw, at, template, draw.fill(template)), template)


def _calm(draw: Draw, form: str, at: datetime) -> str:
    number = int(draw.value("n"))
    if draw.random.randrange(100) == 0:
        return _QUIET.get(form, _QUIET_ELSE).format(at=at, n=number)
    said = draw.fill(draw.random.choice(_CALM))
    return _CALM_HEADS.get(form, _CALM_HEAD_ELSE).format(at=at, n=number, said=said)


def main() -> None:
    """Print a log."""
    form, errors = sys.argv[1], int(sys.argv[2])
    quiet = float(sys.argv[3]) if len(sys.argv) > 3 else 1.0
    for entry in log(form, errors, 1, quiet):
        print(entry if isinstance(entry, str) else "\n".join(entry.lines))


if __name__ == "__main__":
    main()
