"""Logs of nine more programs with known truth, of which no other file here has the format.

    .venv/bin/python benchmarks/labelled_fleet.py keycloak 5000 >keycloak.log

Written from what these programs write, by one who had read the code that groups, but before it had seen any of them. A
template is a message; after " | " stands what is raised at the end of its trace, or the error beside it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent)]
import labelled_systems  # noqa: E402 - found through the line above
from labelled_logs import Event  # noqa: E402
from labelled_systems import Values, _java, _ms  # noqa: E402


def keycloak(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Keycloak on Quarkus writes."""
    part = ("org.keycloak.services", "org.keycloak.events", "org.hibernate.engine", "org.infinispan.CLUSTER")[draw.place % 4]  # fmt: skip
    head = f"{at:%Y-%m-%d %H:%M:%S}{_ms(at, ',')} {'ERROR' if error else 'INFO '} [{part}] (executor-thread-{draw.random.randrange(99)}) "
    return [head + said + (f": {raised}" if raised else ""), *(_java(draw, raised)[1:] if raised else [])]


def kong(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Kong writes: nginx with Lua in it, and what it knows of a request."""
    request = f', client: {draw.value("ip")}, server: kong, request: "{draw.value("method")} {draw.value("uripath")} HTTP/1.1", host: "{draw.value("thing")}.example.com", request_id: "{draw.value("trace")}"'
    return [f"{at:%Y/%m/%d %H:%M:%S} [{'error' if error else 'notice'}] {draw.value('n')}#0: *{draw.value('n')} {said}{request}"]  # fmt: skip


def minio(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As MinIO writes JSON."""
    entry = {"deploymentid": draw.value("uuid"), "level": "ERROR" if error else "INFO", "errKind": "ALL", "time": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06}Z", "api": {"name": draw.random.choice(("GetObject", "PutObject")), "args": {"bucket": f"{draw.value('thing')}-backup", "object": draw.value("fs")}}, "remotehost": draw.value("ip"), "requestID": draw.value("short").upper(), "message": said}  # fmt: skip
    if error:
        entry["error"] = {"message": said, "source": [f"cmd/erasure-object.go:{draw.place}:cmd.erasureObjects.PutObject()"]}  # fmt: skip
    return [json.dumps(entry)]


def workhorse(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As GitLab's workhorse and its other services in Go write: logrus as JSON."""
    entry = {"correlation_id": f"01H{draw.value('trace')[:23].upper()}", "level": "error" if error else "info", "msg": said, "method": draw.value("method"), "uri": draw.value("uripath"), "time": f"{at:%Y-%m-%dT%H:%M:%SZ}"}  # fmt: skip
    if raised:
        entry["error"] = raised
    return [json.dumps(entry, separators=(",", ":"))]


def nextcloud(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Nextcloud writes: the level as a number of its own, 3 an error, 1 a word."""
    entry = {"reqId": draw.value("b64")[:20], "level": 3 if error else 1, "time": f"{at:%Y-%m-%dT%H:%M:%S}+00:00", "remoteAddr": draw.value("ip"), "user": draw.value("login"), "app": ("files", "core", "PHP", "index")[draw.place % 4], "method": draw.value("method"), "url": draw.value("uripath"), "message": said, "userAgent": "Mozilla/5.0 (Windows NT 10.0) mirall/3.1", "version": f"28.0.{draw.random.randrange(9)}.1"}  # fmt: skip
    if raised:
        kind, _, why = raised.partition(": ")
        entry["exception"] = {"Exception": kind, "Message": why, "Code": 0, "Trace": [{"file": "/var/www/lib/base.php", "line": draw.random.randrange(999), "function": "handle"}], "File": "/var/www/lib/private/Files/View.php", "Line": draw.random.randrange(999)}  # fmt: skip
    return [json.dumps(entry)]


def jenkins(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Jenkins writes: one line with time, thread, level and logger."""
    part = ("hudson.model.Run#execute", "h.r.SynchronousCommandTransport$ReaderThread#run", "jenkins.util.groovy.Hook#run")[draw.place % 3]  # fmt: skip
    return [f"{at:%Y-%m-%d %H:%M:%S}{_ms(at)}+0000 [id={draw.value('n')}]\t{'SEVERE' if error else 'INFO'}\t{part}: {said}", *(_java(draw, raised) if raised else [])]  # fmt: skip


def zookeeper(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As ZooKeeper writes: the thread with its server and port in brackets."""
    thread = draw.random.choice(
        (
            f"NIOWorkerThread-{draw.random.randrange(9)}",
            f"QuorumPeer[myid={draw.random.randrange(5)}](plain=[0:0:0:0:0:0:0:0]:2181)(secure=disabled)",
            f"LearnerHandler-/{draw.value('ip')}:{draw.value('port')}",
            "main",
        )
    )
    return [f"{at:%Y-%m-%d %H:%M:%S}{_ms(at, ',')} [myid:{draw.random.randrange(5)}] - {'ERROR' if error else 'INFO '} [{thread}:{('LearnerHandler', 'FileTxnSnapLog', 'QuorumPeer')[draw.place % 3]}@{draw.place * 7}] - {said}", *(_java(draw, raised) if raised else [])]  # fmt: skip


def vector(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Vector writes: Rust's tracing, spans before the module, fields after the message."""
    kind = ("sink", "source", "transform")[draw.place % 3]
    span = f'{kind}{{component_kind="{kind}" component_id={draw.value("thing")}_{kind} component_type=loki}}'
    more = f" error={raised}" if raised else ""
    return [f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06}Z {'ERROR' if error else ' INFO'} {span}: vector::internal_events::{('http', 'file', 'codecs')[draw.place % 3]}: {said}{more} error_type=\"request_failed\" stage=\"sending\" internal_log_rate_limit=true"]  # fmt: skip


def temporal(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Temporal's server writes: zap as JSON, with the trace of Go in a field."""
    entry = {"level": "error" if error else "info", "ts": f"{at:%Y-%m-%dT%H:%M:%S}{_ms(at)}Z", "msg": said, "service": ("history", "matching", "frontend")[draw.place % 3], "shard-id": draw.random.randrange(512), "wf-id": f"{draw.value('thing')}-{draw.value('uuid')}", **({"error": raised} if raised else {}), "logging-call-at": f"task_reader.go:{draw.place}", **({"stacktrace": f"go.temporal.io/server/common/log.(*zapLogger).Error\n\t/src/log/zap_logger.go:{draw.place}\ngo.temporal.io/server/service.run\n\t/src/run.go:7"} if error else {})}  # fmt: skip
    return [json.dumps(entry, separators=(",", ":"))]


FORMATS: dict[str, tuple[Callable[[Values, datetime, bool, str, str], list[str]], str]] = {
    "keycloak": (keycloak, """
        Uncaught server error | java.lang.NullPointerException: Cannot invoke "{Class}.getId()" because "user" is null
        Uncaught server error | org.keycloak.models.ModelException: LDAP Query failed for {login}
        Uncaught server error | jakarta.persistence.OptimisticLockException: Row was updated or deleted by another transaction: [{Class}#{uuid}]
        Failed to send email to {email} | jakarta.mail.MessagingException: Could not connect to SMTP host: {fqdn}, port: {n}
        Failed to send email to {email} | jakarta.mail.SendFailedException: Invalid Addresses
        Failed to load realm {thing}
        Failed to delete realm {thing}
        type=LOGIN_ERROR, realmId={uuid}, clientId={thing}-web, userId=null, ipAddress={ip}, error=user_not_found, username={login}
        type=LOGIN_ERROR, realmId={uuid}, clientId={thing}-web, userId={uuid}, ipAddress={ip}, error=invalid_user_credentials, username={login}
        Could not sync users from provider {thing}-ldap in realm {thing}: {n} failed
        Signature of token {uuid} is not valid, key {b64} is not known
        JBAS{n}: transaction {address} did not end after {n} seconds
        Cannot bind to {fqdn}:{port}: Address already in use
        Cannot connect to {fqdn}:{port}: Connection refused"""),
    "kong": (kong, """
        [kong] globalpatches.lua:{n} could not get node {uuid}: timeout
        [kong] init.lua:{n} [rate-limiting] failed to get usage: connection refused
        [kong] init.lua:{n} [rate-limiting] failed to increment usage: connection refused
        [kong] handler.lua:{n} [jwt] no credentials found for key {hex}
        [lua] balancer.lua:{n}: failed to resolve '{fqdn}': dns server error: 3 name error
        [lua] balancer.lua:{n}: failed to resolve '{fqdn}': dns client error: 101 empty record received
        [lua] healthcheck.lua:{n}: [healthcheck] ({thing}.upstream) unhealthy TCP increment ({n}/{n}) for '{fqdn}({ip}:{port})'
        [lua] healthcheck.lua:{n}: [healthcheck] ({thing}.upstream) unhealthy HTTP increment ({n}/{n}) for '{fqdn}({ip}:{port})'
        upstream timed out (110: Connection timed out) while reading response header from upstream
        upstream timed out (110: Connection timed out) while connecting to upstream
        upstream prematurely closed connection while reading response header from upstream
        lua entry thread aborted: runtime error: {fs}: attempt to index a nil value (field '{column}')
        lua entry thread aborted: runtime error: {fs}: attempt to call a nil value (method '{column}')
        SSL_do_handshake() failed (SSL: error:0A000086:SSL routines::certificate verify failed:unable to get issuer certificate) while SSL handshaking to upstream"""),
    "minio": (minio, """
        Drive {fs} is offline
        Drive {fs} is full
        Healing of disk {fs} failed: {n} objects are left
        Write quorum of {n} drives is not reached for {thing}-backup/{uuid}
        Read quorum of {n} drives is not reached for {thing}-backup/{uuid}
        unable to read from {uri}: context deadline exceeded
        unable to write to {uri}: context deadline exceeded
        Signature {b64} of access key {login} does not match
        Bucket {thing}-backup does not exist
        Object {fs} of bucket {thing}-backup is corrupt: bitrot found in part {n}
        Replication of {thing}-backup to {arn} failed: {n} of {n} are pending
        node({fqdn}:{port}): taking drive {fs} offline: unable to write+read for {took}
        x509: certificate is valid for {fqdn}, not {fqdn}
        file access denied: {fs}"""),
    "workhorse": (workhorse, """
        badgateway: failed to receive response | dial unix {fs}: connect: connection refused
        badgateway: failed to receive response | context canceled
        badgateway: failed to receive response | EOF
        keywatcher: pubsub receive | dial tcp {ip}:{port}: connect: connection refused
        keywatcher: pubsub receive | read tcp {ip}:{port}->{ip}:{port}: i/o timeout
        SendURL: Do request | Get "{uri}": dial tcp: lookup {fqdn} on {ip}:53: no such host
        handleGetInfoRefs | rpc error: code = NotFound desc = GetRepoPath: not a git repository: "{fs}"
        handleUploadPack: smarthttp.UploadPack | rpc error: code = Canceled desc = user canceled the request
        handleReceivePack: smarthttp.ReceivePack | rpc error: code = ResourceExhausted desc = maximum of {n} concurrent calls
        upload: multipart of {amount} is too large
        image resizer: Failed | exit status {n}
        Artifacts: {fs} is missing
        Artifacts: {fs} is expired
        access of {login} to {thing}/{thing} denied"""),
    "nextcloud": (nextcloud, """
        Exception thrown: {fs} is locked | OCP\\Lock\\LockedException: "files/{trace}" is locked, existing lock on file: {n} shared locks
        SQLSTATE[HY000] [2002] Connection refused | OC\\DatabaseException: Failed to connect to the database: An exception occurred in the driver: SQLSTATE[HY000] [2002] Connection refused
        Undefined array key "{thing}" at {fs}#{n}
        Trying to access array offset on value of type null at {fs}#{n}
        Login failed: '{login}' (Remote IP: '{ip}')
        Token {b64} of {login} does not exist
        Could not read {fs} of {login} | OCP\\Files\\NotPermittedException: Permission denied
        Could not write {fs} of {login} | OCP\\Files\\NotPermittedException: Permission denied
        Could not write {fs} of {login} | OCP\\Files\\NotEnoughSpaceException: Not enough space
        Appstore {thing} could not be updated to {version}
        Background job {Class} (id: {n}) took longer than {n} seconds
        Following job failed: {Class} with {doc}
        Mail to {email} bounced: mailbox is full
        Mail to {email} bounced: no such user"""),
    "jenkins": (jenkins, """
        Failed to load job {thing}-{word}
        Failed to save job {thing}-{word} | java.nio.file.NoSuchFileException: {fs}
        Failed to save job {thing}-{word} | java.io.IOException: No space left on device
        I/O error in channel {thing}-agent-{n} | java.io.EOFException: null
        I/O error in channel {thing}-agent-{n} | java.net.SocketException: Connection reset
        Unexpected exception in {thing}-{word} #{n} | hudson.AbortException: script returned exit code {n}
        Unexpected exception in {thing}-{word} #{n} | hudson.plugins.git.GitException: Command "git fetch --tags --force {uri}" returned status code {n}
        Agent {fqdn} could not be started: host key {hex} has changed
        Agent {fqdn} could not be stopped: {n} builds are running
        Timed out after {took} waiting for lock {thing}
        Plugin {thing}-steps v{n} needs {thing}-api v{n}
        Credentials '{uuid}' of {login} are not found
        Webhook {uuid} from {ip} has no valid crumb
        Disk of {fqdn} is low: {amount} left of {amount}"""),
    "zookeeper": (zookeeper, """
        Unexpected exception causing shutdown while sock still open | java.net.SocketTimeoutException: Read timed out
        Unexpected exception causing shutdown while sock still open | java.io.EOFException
        Unable to load database on disk | java.io.IOException: Unreasonable length = {n}
        Unable to access datadir, exiting abnormally | java.nio.file.AccessDeniedException: {fs}
        Cannot open channel to {n} at election address {fqdn}/{ip}:{port} | java.net.ConnectException: Connection refused
        Session 0x{hex} of /{ip}:{port} closed: too many connections from {ip} - max is {n}
        Session 0x{hex} of /{ip}:{port} expired after {n}ms
        fsync-ing the write ahead log in SyncThread:{n} took {n}ms which is more than {n}ms
        Snapshot {fs} is not valid, zxid 0x{hex}
        Snapshot {fs} could not be written, zxid 0x{hex}
        Failed to authenticate /{ip}:{port} as {login}: no such user
        Failed to authenticate /{ip}:{port} as {login}: wrong digest {b64}
        Node /{thing}/{uuid} has version {n}, not {n}
        Node /{thing}/{uuid} is not empty"""),
    "vector": (vector, """
        HTTP error. | error trying to connect: tcp connect error: Connection refused (os error 111)
        HTTP error. | error trying to connect: dns error: failed to lookup address information: Name or service not known
        Not retriable; dropping the request. reason="Http status: {n} Bad Request"
        Retries exhausted; dropping the request. count={n}
        Failed reading file. file={fs} | Permission denied (os error 13)
        Failed watching file. file={fs} | No such file or directory (os error 2)
        Failed deserializing frame. | expected value at line {n} column {n}
        Failed serializing frame. | invalid utf-8 sequence of {n} bytes from index {n}
        Events dropped intentional=false count={n} reason="Service call failed. No retries or retries exhausted."
        Mapping failed with event. | function call error for "parse_json" at ({n}:{n}): unable to parse json: {cell}
        Mapping failed with event. | function call error for "parse_timestamp" at ({n}:{n}): Invalid timestamp {when}
        Unable to bind to {ip}:{port}. | Address already in use (os error 98)
        Healthcheck failed. | Unexpected status: {n}"""),
    "temporal": (temporal, """
        Persistent store operation failure | shard ID {n} has been moved
        Persistent store operation failure | gocql: no response received from cassandra within timeout period
        Persistent store operation failure | pq: deadlock detected
        Fail to process task | workflow execution already completed
        Fail to process task | context deadline exceeded
        Task {uuid} of queue {topic} was dropped after {n} attempts
        Unable to start workflow {thing}-{n}: namespace {thing} is not found
        Unable to stop workflow {thing}-{n}: namespace {thing} is not found
        unavailable error | Not enough hosts to serve the request
        unavailable error | last connection error: connection error: desc = "transport: Error while dialing: dial tcp {ip}:{port}: connect: connection refused"
        Membership of {ip}:{port} in ring {thing} is lost
        Queue reader {n} unable to retrieve tasks of shard {n}
        History size of {thing}-{uuid} exceeds {amount}
        History count of {thing}-{uuid} exceeds {n}"""),
}  # fmt: skip


def log(form: str, errors: int, seed: int, quiet: float = 1.0) -> Iterator[Event | str]:
    """Give the events of a log, `errors` of them, and as many others for each as `quiet` says."""
    return labelled_systems.events(FORMATS[form], errors, seed, quiet)


def main() -> None:
    """Print a log."""
    for entry in log(sys.argv[1], int(sys.argv[2]), 1):
        print(entry if isinstance(entry, str) else "\n".join(entry.lines))


if __name__ == "__main__":
    main()
