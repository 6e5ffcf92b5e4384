"""Clients as nobody would wish them; the server goes on for the others."""

import http.client
import socket
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from pellucid.imaging.io import read
from pellucid.server import app as application
from pellucid.server.jobs import file_name

from .test_api import problem


def fine(server, picture):
    answer = server.post("restore", picture)
    return answer.status_code == 200 and read(answer.content).width == 48


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def head(server, length, kind="image/png"):
    lines = ("POST /api/restore HTTP/1.1", f"Host: 127.0.0.1:{server.port}")
    lines += (f"Content-Type: {kind}", f"Content-Length: {length}", "", "")
    return "\r\n".join(lines).encode()


def connected(server):
    return socket.create_connection(("127.0.0.1", server.port), 30)


def test_a_slow_client_is_answered_408(start, picture):
    with start(upload_seconds=1.0) as server, connected(server) as slow:
        slow.sendall(head(server, len(picture)) + picture[:10])
        assert slow.recv(4096).startswith(b"HTTP/1.1 408")
        assert fine(server, picture)


def dripped(connection, data):
    """Send a body in small pieces while others are served; returns the answer's first line."""
    step = -(-len(data) // 50)
    for at in range(0, len(data), step):
        connection.sendall(data[at : at + step])
        time.sleep(0.02)
    return connection.recv(4096).split(b"\r\n")[0]


def form_of(picture):
    line = b'Content-Disposition: form-data; name="image"; filename="a.png"'
    return b"--x\r\n" + line + b"\r\n\r\n" + picture + b"\r\n--x--\r\n"


def test_slow_uploads_take_no_place_while_others_are_answered(start, picture):
    kinds = [("image/png", picture), ("multipart/form-data; boundary=x", form_of(picture))]
    with start(queue=1) as server, ThreadPoolExecutor(1) as pool:
        slow = [connected(server) for _ in kinds]
        for connection, (kind, body) in zip(slow, kinds, strict=True):
            connection.sendall(head(server, len(body), kind) + body[:10])
        room = server.service.room
        until(lambda: room.taken == 20)
        assert fine(server, picture)  # two places in all, and two slow uploads
        first = pool.submit(dripped, slow[0], picture[10:])
        answers = 0
        while not first.done():
            assert fine(server, picture)
            answers += 1
        assert first.result() == b"HTTP/1.1 200 OK" and answers >= 2
        assert dripped(slow[1], kinds[1][1][10:]) == b"HTTP/1.1 200 OK"
        until(lambda: (room.taken, server.service.worker.taken) == (0, 0))
        for connection in slow:
            connection.close()


def test_what_arrives_and_waits_is_limited_in_bytes(start, monkeypatch, gate, picture):
    monkeypatch.setattr(application, "most", lambda pixels: 2 * len(picture))
    with start() as server, ThreadPoolExecutor(2) as pool, connected(server) as slow:
        room = server.service.room
        assert room.most == 4 * len(picture)
        waiting = [pool.submit(server.post, "restore", picture) for _ in range(2)]
        until(lambda: server.service.worker.taken == 2)
        slow.sendall(head(server, 2 * len(picture)) + picture)
        until(lambda: room.taken > 3 * len(picture))
        refused = server.post("restore", picture)
        assert "fill the" in problem(refused, 429) and int(refused.headers["retry-after"]) >= 1
        slow.close()  # a client that leaves gives its bytes back
        until(lambda: room.taken < 3 * len(picture))
        gate.open.set()
        assert [done.result().status_code for done in waiting] == [200, 200]
        until(lambda: room.taken == 0)
        assert fine(server, picture)


def test_a_client_that_leaves_stops_its_job(start, gate, picture):
    with start() as server:
        with connected(server) as leaving:
            leaving.sendall(head(server, len(picture)) + picture)
            assert gate.reached.wait(30)
        assert gate.ended.wait(10)  # though the gate was never opened
        gate.open.set()
        until(lambda: server.service.worker.taken == 0)
        assert fine(server, picture)


def test_an_upload_that_says_it_is_too_long_is_refused_at_once(start, picture):
    with start(max_pixels=10_000) as server, connected(server) as bomb:
        most = server.service.settings.most
        bomb.sendall(head(server, most + 1))
        assert bomb.recv(4096).startswith(b"HTTP/1.1 413")
        assert fine(server, picture)


@pytest.mark.parametrize("kind", ["image/png", "multipart/form-data; boundary=x"])
def test_an_upload_that_does_not_end_is_cut_at_the_limit(start, monkeypatch, picture, kind):
    monkeypatch.setattr(application, "most", lambda pixels: 100_000)
    with start() as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.putrequest("POST", "/api/restore")
        connection.putheader("Content-Type", kind)
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        sent, piece = 0, b"0" * 10_000
        if "form" in kind:
            first = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
            connection.send(b"%x\r\n%s\r\n" % (len(first), first))
        with pytest.raises(OSError):
            while sent < 1e9:
                connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
                sent += len(piece)
        assert sent < 50e6  # what the sockets' buffers hold
        connection.close()
        until(lambda: server.service.worker.taken == 0)
        assert fine(server, picture)


def test_a_picture_that_claims_to_be_huge_is_refused_before_it_is_decoded(server, picture):
    huge = bytearray(picture)
    huge[16:24] = (60_000).to_bytes(4, "big") * 2
    huge[29:33] = zlib.crc32(huge[12:29]).to_bytes(4, "big")
    began = time.process_time()
    assert "above the limit" in problem(server.post("restore", bytes(huge)), 422)
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("../../etc/passwd", "passwd.png"),
        ("..\\..\\a.png", "a.png"),
        ("/etc/cron.d/x.png", "x.png"),
        ("..", "restored.png"),
        (".png", ".png.png"),
        ("", "restored.png"),
        ("a\r\nSet-Cookie: x=1.png", "a\r\nSet-Cookie: x=1.png"),
    ],
)
def test_names_lose_their_folders_and_break_no_header(server, picture, name, becomes):
    assert file_name(name, (".png",)) == becomes
    answer = server.post("restore", (name or "x", picture))
    assert answer.status_code == 200 and "set-cookie" not in answer.headers
    assert "/" not in answer.headers["content-disposition"].replace("%2F", "")


@pytest.mark.parametrize("path", ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd"])
def test_no_file_of_the_machine_is_served(server, path):
    for before in ("", "/static-offline-docs"):
        with connected(server) as raw:
            host = f"Host: 127.0.0.1:{server.port}"
            raw.sendall(f"GET {before}{path} HTTP/1.1\r\n{host}\r\n\r\n".encode())
            assert raw.recv(4096).startswith((b"HTTP/1.1 404", b"HTTP/1.1 400"))


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "", "application/xml"])
def test_a_wrong_content_type_is_415(server, picture, kind):
    url = f"{server.address}/api/restore"
    answer = httpx.post(url, content=picture, headers={"content-type": kind})
    assert "multipart/form-data" in problem(answer, 415)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x",
        b"--x\r\n\r\n\r\n--x--",
        b"--y\r\n\r\n",
        b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\ntext\r\n--x--\r\n',
    ],
)
def test_broken_forms_are_400(server, body):
    url = f"{server.address}/api/restore"
    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert problem(httpx.post(url, content=body, headers=headers), 400)
    assert problem(
        httpx.post(url, content=body, headers={"content-type": headers["content-type"][:19]}), 400
    )


def test_further_files_and_fields_are_refused(server, picture):
    url = f"{server.address}/api/restore"
    assert "files are" in problem(httpx.post(url, files={"image": picture, "x": b"y"}), 400)
    many = [("image", picture)] * 50
    assert problem(httpx.post(url, files=many), 400)
    fields = {f"a{i}": "1" for i in range(2000)}
    assert problem(httpx.post(url, files={"image": picture}, data=fields), 400)
    long = {"words": "x" * 1_000_000}
    assert problem(httpx.post(url, files={"image": picture}, data=long), 400)


def test_beyond_the_queue_requests_are_refused_with_a_time_to_come_back(start, gate, picture):
    with start(queue=1) as server, ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(server.post, "restore", picture) for _ in range(2)]
        until(lambda: server.service.worker.taken == 2)
        refused = server.post("restore", picture)
        assert "try again later" in problem(refused, 429)
        assert int(refused.headers["retry-after"]) >= 1
        assert httpx.get(f"{server.address}/healthz").status_code == 200
        gate.open.set()
        assert [done.result().status_code for done in waiting] == [200, 200]


def test_an_answer_that_takes_too_long_is_504_and_its_job_stops(start, gate, picture):
    with start(seconds=1.0) as server:
        assert "longer than 1 s" in problem(server.post("restore", picture), 504)
        assert gate.ended.wait(10)


def test_a_failure_of_the_program_is_a_problem_and_not_the_end(server, picture, monkeypatch):
    from pellucid.restorer import Restorer

    with monkeypatch.context() as patch:
        patch.setattr(Restorer, "run", lambda *args, **options: 1 / 0)
        assert "log says why" in problem(server.post("restore", picture), 500)
    assert fine(server, picture)


def test_other_sites_cannot_use_a_server_on_this_machine(server, picture):
    url = f"{server.address}/healthz"
    assert "does not answer" in problem(httpx.get(url, headers={"host": "evil.example"}), 403)
    assert problem(httpx.get(url, headers={"origin": "https://evil.example"}), 403)
    own = {"origin": server.address}
    assert httpx.get(url, headers=own).status_code == 200
    assert httpx.get(url.replace("127.0.0.1", "localhost")).status_code == 200


def test_a_password_is_asked_for_everywhere_but_for_the_health(start, picture):
    with start(user="anna:geheim ä") as server:
        assert httpx.get(f"{server.address}/healthz").status_code == 200
        for path in ("/metrics", "/api/models", "/docs", "/openapi.json"):
            refused = httpx.get(server.address + path)
            assert problem(refused, 401) and "Basic" in refused.headers["www-authenticate"]
        assert problem(server.post("restore", picture, auth=("anna", "wrong")), 401)
        answer = server.post("restore", picture, auth=("anna", "geheim ä"))
        assert answer.status_code == 200


def test_many_clients_at_once_get_their_own_pictures(start):
    from pellucid.imaging.io import encode

    from .conftest import photo

    with start(queue=100) as server, ThreadPoolExecutor(12) as pool:
        sizes = [(20 + i, 60 - i) for i in range(24)]
        pictures = [encode(photo(*size), "PNG") for size in sizes]
        answers = list(pool.map(lambda data: server.post("restore", data), pictures))
        for size, answer in zip(sizes, answers, strict=True):
            assert read(answer.content).pixels.shape[:2] == size


def test_stopping_finishes_what_runs(start, gate, picture):
    with start() as server, ThreadPoolExecutor(1) as pool:
        running = pool.submit(server.post, "restore", picture)
        assert gate.reached.wait(30)
        server.server.should_exit = True
        time.sleep(0.5)
        assert not running.done() and server.thread.is_alive()
        with pytest.raises(OSError):
            connected(server)
        gate.open.set()
        assert running.result().status_code == 200
    assert threading.active_count() < 20
