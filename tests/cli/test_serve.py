# SPDX-License-Identifier: MIT
"""graven serve: what it answers, to whom, and that nobody can hold it up."""

import contextlib
import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "0123456789abcdef-a-token"
MAKE_CERTIFICATE = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem "
    "-out cert.pem -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
)


PROMPT = 4.0  # seconds: sooner than a request's time limit of 5 s ends anything by itself


class Serving:
    def __init__(self, graven, *options: str, on_port: int = 0) -> None:
        self.process = graven.start(
            "serve", "state.db", "--port", str(on_port), *options, stdout=-1, stderr=-1
        )
        line = self.process.stdout.readline().decode().strip()
        if not line:
            raise AssertionError(self.process.stderr.read().decode())
        self.url = line
        self.host, port = re.fullmatch(r"https?://(\S+):(\d+)", line).groups()
        self.port = int(port)
        self.host = {"0.0.0.0": "127.0.0.1"}.get(self.host, self.host.strip("[]"))

    def get(self, path: str, method: str = "GET", context=None, **headers: str):
        kind = http.client.HTTPConnection
        extra = {}
        if context is not None:
            kind, extra = http.client.HTTPSConnection, {"context": context}
        connection = kind(self.host, self.port, timeout=20, **extra)
        try:
            connection.request(
                method, path, headers={name.replace("_", "-"): v for name, v in headers.items()}
            )
            response = connection.getresponse()
            return response.status, response.read().decode(), dict(response.getheaders())
        finally:
            connection.close()

    def raw(self, request: bytes) -> bytes:
        with socket.create_connection((self.host, self.port), timeout=20) as client:
            with contextlib.suppress(OSError):
                client.sendall(request)
            answer = b""
            with contextlib.suppress(OSError):
                while got := client.recv(65536):
                    answer += got
            return answer

    def end(self, with_signal: int = signal.SIGTERM) -> "tuple[float, str]":
        start = time.monotonic()
        self.process.send_signal(with_signal)
        assert self.process.wait(20) == 0
        self.process.stdout.close()
        with self.process.stderr:
            return time.monotonic() - start, self.process.stderr.read().decode()


@pytest.fixture
def filled(graven):
    graven.set("tasks", '{"T1": {"title": "write"}}')
    return graven


@pytest.fixture
def serve(filled):
    running = []

    def start(*options: str) -> Serving:
        running.append(Serving(filled, *options))
        return running[-1]

    yield start
    for each in running:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()
            each.process.stdout.close()
            each.process.stderr.close()


def test_the_four_paths(serve):
    server = serve()
    assert server.url.startswith("http://127.0.0.1:")
    assert server.get("/healthz")[:2] == (200, "alive\n")
    assert server.get("/readyz")[:2] == (200, "ready\n")
    status, text, _ = server.get("/readyz?verbose")
    assert status == 200
    assert re.findall(r"^\[ok\] (\w+): ", text, re.M) == ["open", "read", "wal", "disk"]
    status, text, headers = server.get("/metrics")
    assert status == 200
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'graven_file_read_only{store="state.db"} 1' in text
    status, text, headers = server.get("/status")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert json.loads(text)["file"]["name"] == "state.db"
    for path in ("/", "/metrics/", "/../etc/passwd", "/%2e%2e/etc/passwd", "/healthz/.."):
        assert server.get(path)[0] == 404, path
    head = server.get("/metrics", method="HEAD")
    assert head[0] == 200 and head[1] == ""
    took, errors = server.end()
    assert took < PROMPT and errors == ""


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ends_at_once_also_with_clients_about(serve, with_signal):
    server = serve()
    with socket.create_connection((server.host, server.port)) as client:
        client.sendall(b"GET /metrics HTT")
        time.sleep(0.1)
        assert server.end(with_signal)[0] < PROMPT


def test_what_was_ignored_stays_ignored(filled):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        server = Serving(filled)
    finally:
        signal.signal(signal.SIGHUP, before)
    for _ in range(3):
        server.process.send_signal(signal.SIGHUP)
        assert server.get("/healthz")[0] == 200
    assert server.end(signal.SIGTERM)[0] < PROMPT


def test_a_damaged_file_is_told_by_what_watches_it(serve, filled):
    server = serve()
    gauge = 'graven_file_readable{store="state.db"} '
    assert gauge + "1" in server.get("/metrics")[1]
    with (filled.folder / "state.db").open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        file.write(b"\xa5" * size)
    (filled.folder / "state.db-wal").write_bytes(b"\x5a" * 100_000)
    status, text, _ = server.get("/metrics")
    assert status == 200 and gauge + "0" in text, text
    assert "graven_build_info" in text and "graven_errors_total" in text
    assert server.get("/status")[0] == 200
    assert server.get("/healthz")[:2] == (200, "alive, but the store cannot be read\n")
    status, text, _ = server.get("/readyz")
    assert status == 503 and "[FAILED] read: " in text
    server.end()


def test_not_ready(serve, filled):
    server = serve("--max-wal", "0", "--min-free", str(1 << 40), "--expect-writable")
    status, text, _ = server.get("/readyz")
    assert status == 503 and "[FAILED] disk: " in text and text.endswith("not ready\n")
    assert "[ok]" not in text
    text = server.get("/readyz?verbose")[1]
    assert "[ok] write: " in text
    folder = filled.folder
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        if os.geteuid() != 0:  # who is root may write anywhere
            assert "[FAILED] write: " in server.get("/readyz")[1]
    finally:
        folder.chmod(stat.S_IRWXU)
    server.end()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_refused(serve, method):
    status, _, headers = serve().get("/metrics", method=method)
    assert status == 405 and headers["Allow"] == "GET, HEAD"


HOSTILE = {
    "a long line": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    "a long header": b"GET /metrics HTTP/1.1\r\nX: " + b"a" * 5000 + b"\r\n\r\n",
    "many headers": b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    "megabytes": b"x" * (8 << 20),
    "ranges": b"GET /metrics HTTP/1.1\r\nRange: bytes=" + b"0-1," * 500 + b"\r\n\r\n",
    "no protocol": b"\r\n\r\n\r\n",
    "binary": bytes(range(256)) * 4 + b"\r\n\r\n",
    "a body": b"POST /metrics HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n" + b"x" * 100_000,
    "chunks": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFF\r\n",
    "a method": b"A" * 1000 + b" / HTTP/1.1\r\n\r\n",
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(200),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_no_client_sends(serve, what):
    server = serve()
    answer = server.raw(HOSTILE[what])
    if answer:
        assert re.match(rb"HTTP/1.[01] (200|206|4\d\d) ", answer), answer[:200]
    assert server.get("/healthz")[0] == 200
    assert server.process.poll() is None
    assert server.end()[0] < PROMPT


def test_headers_that_are_too_large_are_told_so(serve):
    answer = serve().raw(HOSTILE["many headers"])
    assert answer.startswith(b"HTTP/1.1 431 ")


def test_a_slow_client_is_cut_off(serve):
    server = serve()
    start = time.monotonic()
    with socket.create_connection((server.host, server.port), timeout=20) as client:
        with contextlib.suppress(OSError):
            for byte in b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n":
                client.sendall(bytes([byte]))
                if client in select.select([client], [], [], 1)[0]:
                    break
        with contextlib.suppress(OSError):
            assert client.recv(100) == b""
    assert 3 < time.monotonic() - start < 18  # a byte a second would last for 39


def test_many_slow_clients_hold_nobody_up(serve):
    server = serve()
    clients = []
    try:
        for _ in range(120):
            client = socket.create_connection((server.host, server.port), timeout=20)
            client.sendall(b"GET /metrics HT")
            clients.append(client)
        start = time.monotonic()
        assert server.get("/healthz")[0] == 200
        assert time.monotonic() - start < PROMPT
    finally:
        for client in clients:
            client.close()


def test_many_clients_at_once_are_all_answered(serve):
    server = serve()
    answers = []

    def ask() -> None:
        for _ in range(5):
            answers.append(server.get("/metrics")[0])

    threads = [threading.Thread(target=ask) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 200


def test_a_clients_silence_after_the_request(serve):
    server = serve()
    sockets = [socket.create_connection((server.host, server.port)) for _ in range(60)]
    for each in sockets:
        each.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")  # and never reads
    assert server.get("/healthz")[0] == 200
    for each in sockets:
        each.close()


# Who is answered


def test_another_address_needs_a_token(filled):
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        error = filled.error("serve", "state.db", "--port", "0", "--host", host)
        assert "needs a token" in error, error


def token_file(folder: Path, text: str = TOKEN + "\n") -> str:
    path = folder / "token"
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def test_the_token(serve, filled):
    server = serve("--host", "0.0.0.0", "--token-file", token_file(filled.folder))
    assert server.get("/healthz")[0] == 200
    for path in ("/metrics", "/status", "/readyz", "/other"):
        status, text, headers = server.get(path)
        assert status == 401 and headers["WWW-Authenticate"].startswith("Bearer")
        assert "graven_" not in text
    for wrong in ("Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN):
        assert server.get("/metrics", Authorization=wrong)[0] == 401, wrong
    assert server.get("/metrics", Authorization=f"Bearer {TOKEN}")[0] == 200
    assert server.get("/metrics", Authorization=f"Bearer {TOKEN}", Host="any.example")[0] == 200


def test_tokens_that_are_none(filled):
    assert "shorter" in filled.error(
        "serve", "state.db", "--token-file", token_file(filled.folder, "short")
    )
    assert "cannot read" in filled.error("serve", "state.db", "--token-file", "missing")
    assert "cannot read" in filled.error("serve", "state.db", "--token-file", ".")
    for endless in ("/dev/zero", token_file(filled.folder, "x" * 5000)):
        assert "is not a token file" in filled.error("serve", "state.db", "--token-file", endless)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_token_file_that_others_can_write(filled, mode):
    path = token_file(filled.folder)
    os.chmod(path, mode)
    assert "others can write" in filled.error("serve", "state.db", "--token-file", path)


@pytest.mark.parametrize("mode", [0o640, 0o644, 0o604])
def test_a_token_file_that_others_can_read(serve, filled, mode):
    path = token_file(filled.folder)
    os.chmod(path, mode)
    errors = serve("--token-file", path).end()[1]
    assert re.search(r" warning token_file .*others can read", errors), errors
    errors = serve("--token-file", path, "--log-level", "error").end()[1]
    assert errors == ""


def test_a_network_without_tls_is_warned_of(serve, filled):
    path = token_file(filled.folder)
    errors = serve("--host", "0.0.0.0", "--token-file", path).end()[1]
    assert re.search(r" warning no_tls .*unencrypted", errors), errors
    assert TOKEN not in errors
    assert serve("--token-file", path).end()[1] == ""


def test_without_a_token_a_name_that_is_not_this_machines_gets_nothing(serve):
    server = serve()
    assert server.get("/metrics", Host="evil.example")[0] == 421
    for host in ("localhost", "localhost:9464", "127.0.0.1:1", "[::1]:5", "127.9.9.9"):
        assert server.get("/metrics", Host=host)[0] == 200, host


def test_ports_and_files_that_cannot_be_used(filled):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        error = filled.error("serve", "state.db", "--port", str(taken.getsockname()[1]))
        assert "cannot listen" in error and "another program" in error
    assert "both" in filled.error("serve", "state.db", "--tls-cert", "c.pem")
    filled.write("c.pem", "no certificate")
    assert "c.pem" in filled.error("serve", "state.db", "--tls-cert", "c.pem", "--tls-key", "c.pem")
    assert "no database" in filled.error("serve", "other.db", "--port", "0")
    assert "no log level" in filled.error("serve", "state.db", "--log-level", "loud")


def test_two_do_not_share_a_port(serve, filled):
    first = serve()
    error = filled.error("serve", "state.db", "--port", str(first.port))
    assert f"port {first.port}" in error and "another graven serve" in error
    for _ in range(10):
        assert first.get("/healthz")[0] == 200
    first.end()
    again = Serving(filled, on_port=first.port)  # at once
    assert again.get("/healthz")[0] == 200
    again.end()


def test_tls(serve, filled):
    subprocess.run(
        MAKE_CERTIFICATE.split(),
        cwd=filled.folder,
        check=True,
        capture_output=True,
    )
    server = serve(
        *("--tls-cert", "cert.pem", "--tls-key", "key.pem"),
        *("--token-file", token_file(filled.folder)),
    )
    assert server.url.startswith("https://")
    context = ssl.create_default_context(cafile=str(filled.folder / "cert.pem"))
    authorization = f"Bearer {TOKEN}"
    status, text, _ = server.get("/metrics", context=context, Authorization=authorization)
    assert status == 200 and "graven_build_info" in text
    assert server.get("/metrics", context=context)[0] == 401
    assert server.raw(b"GET /healthz HTTP/1.1\r\n\r\n")[:4] != b"HTTP"
    with socket.create_connection((server.host, server.port)):  # never shakes hands
        assert server.get("/healthz", context=context)[0] == 200
        assert server.end()[0] < PROMPT


# What is told


def test_slow_operations_are_logged(serve, filled):
    server = serve("--slow-ms", "1")
    for _ in range(20):
        server.get("/readyz")
    took, errors = server.end()
    assert took < PROMPT
    for line in errors.splitlines():
        assert re.match(r"\d{4}-\d\d-\d\dT\S+ warning slow_operation operation=read ", line), line


def promtool() -> str:
    found = shutil.which("promtool") or str(ROOT / "build" / "tools" / "promtool")
    if not Path(found).exists():
        pytest.skip("no promtool; run scripts/setup")
    return found


def test_promtool_finds_nothing_to_complain_of(serve):
    text = serve().get("/metrics")[1]
    done = subprocess.run(
        [promtool(), "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    rules = ROOT / "contrib" / "prometheus" / "alerts.yml"
    done = subprocess.run(
        [promtool(), "check", "rules", str(rules)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_and_the_alerts_name_metrics_there_are(serve):
    text = serve().get("/metrics")[1]
    known = set(re.findall(r"^(graven_\w+)", text, re.M))
    dashboard = json.loads((ROOT / "contrib" / "grafana" / "graven.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    expressions += [each["query"]["query"] for each in dashboard["templating"]["list"][1:]]
    alerts = (ROOT / "contrib" / "prometheus" / "alerts.yml").read_text()
    expressions += re.findall(r"expr: .*(?:\n {10}.*)*", alerts)
    used = set()
    for expression in expressions:
        used |= set(re.findall(r"\bgraven_\w+", expression))
    assert len(used) > 25
    assert used <= known, used - known
    told = (ROOT / "docs" / "operations.md").read_text()
    families = set(re.findall(r"^# TYPE (graven_\w+)", text, re.M))
    missing = {family for family in families if f"`{family}`" not in told}
    assert not missing, f"docs/operations.md does not explain {missing}"
