"""In front of a Docker daemon: passes everything on, and misbehaves as it is told, for one request, for some, or for all.

Each connection serves one request, so that what is said of it is said of no other one. A connection that the daemon turns
into a stream (exec, attach) is passed on in both directions.
"""
from __future__ import annotations

import json
import re
import select
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

PIECE = 65536
ALWAYS = 1 << 30


@dataclass
class Fault:
    method: str                          # a regular expression, as the next
    path: str                            # of the path without the version, with what is asked behind '?'; found anywhere in it
    act: Callable[['Exchange'], None]
    times: int = 1
    after: int = 0                       # so many of these go well first


@dataclass
class Request:
    head: bytes
    rest: bytes                          # what came with it of the body
    method: str = ''
    path: str = ''
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        first, *lines = self.head.decode('latin-1').split('\r\n')
        self.method, target, _ = first.split(' ', 2)
        self.path = re.sub(r'^/v\d+\.\d+(?=/)', '', target)
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(':') for line in lines)}

    @property
    def hijacks(self) -> bool:
        return 'upgrade' in self.headers

    def to_pass_on(self) -> bytes:
        """The daemon is to close the connection behind its answer."""
        if self.hijacks:
            return self.head + b'\r\n\r\n'
        lines = [line for line in self.head.split(b'\r\n') if not line.lower().startswith(b'connection:')]
        return b'\r\n'.join([*lines, b'Connection: close', b'', b''])


class Stream:
    """What one side says, first up to the end of the head."""

    def __init__(self, side: socket.socket) -> None:
        self.side, self.held = side, b''

    def head(self) -> bytes:
        while b'\r\n\r\n' not in self.held:
            piece = self.side.recv(PIECE)
            if not piece:
                raise ConnectionError('closed within the head')
            self.held += piece
        head, _, self.held = self.held.partition(b'\r\n\r\n')
        return head

    def piece(self, most: int = PIECE) -> bytes:
        if not self.held:
            return self.side.recv(most)
        piece, self.held = self.held[:most], self.held[most:]
        return piece

    def all(self) -> bytes:
        whole = b''
        while piece := self.piece():
            whole += piece
        return whole


def unchunked(data: bytes) -> bytes:
    content = b''
    while data:
        size, _, data = data.partition(b'\r\n')
        length = int(size.split(b';')[0], 16)
        if length == 0:
            break
        content, data = content + data[:length], data[length + 2:]
    return content


class Exchange:
    """One request of the client's, and what is made of it."""

    def __init__(self, proxy: 'DockerProxy', peer: socket.socket, request: Request) -> None:
        self.proxy, self.peer, self.request = proxy, peer, request
        self.daemon: Stream | None = None

    # ---- with the daemon ----

    def forward(self) -> bytes:
        """The head of the daemon's answer. The body of the request follows by itself, as it comes."""
        upstream = socket.socket(socket.AF_UNIX)
        self.proxy.watch(upstream)
        upstream.connect(str(self.proxy.upstream))
        upstream.sendall(self.request.to_pass_on() + self.request.rest)
        threading.Thread(target=self.pump, args=(upstream,), daemon=True).start()
        self.daemon = Stream(upstream)
        head = self.daemon.head()
        if head.startswith(b'HTTP/1.1 100'):
            self.peer.sendall(head + b'\r\n\r\n')
            head = self.daemon.head()
        return head

    def pump(self, upstream: socket.socket) -> None:
        try:
            while piece := self.peer.recv(PIECE):
                upstream.sendall(piece)
            upstream.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def relay(self, most: int = ALWAYS) -> int:
        """What the daemon says, up to so many bytes: how many there were."""
        passed = 0
        while passed < most and (piece := self.daemon.piece(min(PIECE, most - passed))):
            self.peer.sendall(piece)
            passed += len(piece)
        return passed

    def pass_on(self) -> None:
        self.peer.sendall(self.forward() + b'\r\n\r\n')
        self.relay()

    def whole_answer(self) -> tuple[int, bytes]:
        head = self.forward()
        body = self.daemon.all()
        if b'transfer-encoding: chunked' in head.lower():
            body = unchunked(body)
        return int(head.split(b' ', 2)[1]), body

    # ---- without it ----

    def answer(self, status: int, body: bytes, headers: dict[str, object] | None = None) -> None:
        headers = {'Api-Version': '1.41', 'Content-Type': 'application/json', 'Content-Length': len(body), 'Connection': 'close'} | \
                  (headers or {})
        lines = [f'HTTP/1.1 {status} Told', *(f'{name}: {value}' for name, value in headers.items() if value is not None)]
        self.drain()
        self.peer.sendall('\r\n'.join([*lines, '', '']).encode() + body)

    def drain(self) -> None:
        """The body of the request, which would break the connection if it were left unread."""
        if self.daemon:
            return
        left = int(self.request.headers.get('content-length', 0)) - len(self.request.rest)
        while left > 0 and (piece := self.peer.recv(min(left, PIECE))):
            left -= len(piece)
        if self.request.headers.get('transfer-encoding') == 'chunked':
            threading.Thread(target=self.swallow, daemon=True).start()

    def swallow(self) -> None:
        try:
            while self.peer.recv(PIECE):
                pass
        except OSError:
            pass

    def wait_until_left(self) -> None:
        """Until the client goes, or the proxy ends."""
        poll = select.poll()
        poll.register(self.peer, 0 if self.request.hijacks else select.POLLRDHUP)
        poll.poll()


class DockerProxy:
    """address: of the proxy. tcp: it listens on a port of 127.0.0.1, and is for the client no daemon of this machine."""

    def __init__(self, upstream: Path, tcp: bool = False) -> None:
        self.upstream, self.tcp = Path(upstream), tcp
        self.base = Path(tempfile.mkdtemp(prefix='cofre-proxy-', dir='/tmp'))
        self.faults: list[Fault] = []
        self.seen: list[str] = []
        self.told = 0  # requests that met a fault
        self.problems: list[str] = []
        self.lock = threading.Lock()
        self.open: set[socket.socket] = set()
        self.port = 0
        self.listener: socket.socket | None = None
        self.come()

    def __enter__(self) -> 'DockerProxy':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def address(self) -> str:
        return f'tcp://127.0.0.1:{self.port}' if self.tcp else f'unix://{self.base}/docker.sock'

    def come(self) -> None:
        """It is there, again."""
        if self.tcp:
            self.listener = socket.create_server(('127.0.0.1', self.port))
            self.port = self.listener.getsockname()[1]
        else:
            (self.base / 'docker.sock').unlink(missing_ok=True)
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(self.base / 'docker.sock'))
            self.listener.listen(64)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def go(self) -> None:
        """It is away: nobody listens, and what was open is cut. The socket stays, as that of a daemon that was killed."""
        with self.lock:
            listener, self.listener = self.listener, None
        if listener:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self.lock:
            for one in self.open:
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self) -> None:
        self.go()
        shutil.rmtree(self.base)
        assert not self.problems, self.problems

    def fault(self, method: str, path: str, act: Callable[[Exchange], None], times: int = ALWAYS, after: int = 0) -> None:
        with self.lock:
            self.faults.append(Fault(method, path, act, times, after))

    def well(self) -> None:
        """No more faults."""
        with self.lock:
            self.faults, self.told = [], 0

    def requests(self, method: str, path: str) -> list[str]:
        """Those that were seen, in order."""
        return [one for one in self.seen if re.fullmatch(method, one.split(' ')[0]) and re.search(path, one.split(' ', 1)[1])]

    # ---- connections ----

    def watch(self, one: socket.socket) -> None:
        with self.lock:
            self.open.add(one)

    def take(self, request: Request) -> Fault | None:
        with self.lock:
            self.seen.append(f'{request.method} {request.path}')
            for fault in self.faults:
                if not (re.fullmatch(fault.method, request.method) and re.search(fault.path, request.path)):
                    continue
                if fault.after > 0:
                    fault.after -= 1
                elif fault.times > 0:
                    fault.times -= 1
                    self.told += 1
                    return fault
        return None

    def accept(self, listener: socket.socket) -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            self.watch(peer)
            threading.Thread(target=self.guarded, args=(peer,), daemon=True).start()

    def guarded(self, peer: socket.socket) -> None:
        exchange = None
        try:
            stream = Stream(peer)
            exchange = Exchange(self, peer, Request(stream.head(), stream.held))
            fault = self.take(exchange.request)
            fault.act(exchange) if fault else exchange.pass_on()
        except OSError:
            pass
        except Exception as problem:  # of the test: it must not pass for a fault of the daemon's
            self.problems.append(f'{exchange.request.method} {exchange.request.path}: {problem!r}' if exchange else repr(problem))
        finally:
            for one in (peer, exchange.daemon.side if exchange and exchange.daemon else None):
                if one:
                    self.end(one)

    def end(self, one: socket.socket) -> None:
        with self.lock:
            self.open.discard(one)
        try:
            one.shutdown(socket.SHUT_RDWR)  # wakes whoever reads from it
        except OSError:
            pass
        one.close()


# ---- what it can be told to do ----

def said(body: object, status: int = 200, **headers: object):
    """Instead of the daemon. Bytes and text as they are, other things as JSON; headers by name, '_' for '-', None = without."""
    data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return lambda exchange: exchange.answer(status, data, {name.replace('_', '-'): value for name, value in headers.items()})


def error(status: int, message: str = 'as told'):
    return said({'message': message}, status)


def altered(change: Callable[[object], object]):
    """The daemon's answer in JSON, changed in place, or replaced by what is returned."""
    def act(exchange: Exchange) -> None:
        status, body = exchange.whole_answer()
        content = json.loads(body)
        other = change(content)
        exchange.answer(status, json.dumps(content if other is None else other).encode())
    return act


def twisted(change: Callable[[bytes], bytes], **headers: object):
    """The bytes of the daemon's answer, changed."""
    def act(exchange: Exchange) -> None:
        status, body = exchange.whole_answer()
        exchange.answer(status, change(body), {name.replace('_', '-'): value for name, value in headers.items()})
    return act


def cut(count: int):
    """The connection ends behind so many bytes of the body, frames of its encoding included."""
    def act(exchange: Exchange) -> None:
        exchange.peer.sendall(exchange.forward() + b'\r\n\r\n')
        exchange.relay(count)
    return act


def cut_head(exchange: Exchange) -> None:
    exchange.peer.sendall(exchange.forward()[:20])


def stuck(count: int):
    """Silence behind so many bytes of the body."""
    def act(exchange: Exchange) -> None:
        cut(count)(exchange)
        exchange.wait_until_left()
    act.hangs = True
    return act


def drip(pause: float, most: int = ALWAYS):
    """Byte by byte, with a pause before each, for so many bytes."""
    def act(exchange: Exchange) -> None:
        exchange.peer.sendall(exchange.forward() + b'\r\n\r\n')
        for _ in range(most):
            time.sleep(pause)
            if not exchange.relay(1):
                return
        exchange.relay()
    return act


def late(seconds: float):
    """As it should, but later."""
    def act(exchange: Exchange) -> None:
        time.sleep(seconds)
        exchange.pass_on()
    return act


def after(event: Callable[[], None]):
    """As it should, but not before event() has returned."""
    def act(exchange: Exchange) -> None:
        event()
        exchange.pass_on()
    return act


def done_but(act: Callable[[Exchange], None]):
    """The daemon does what it was asked for, and the client hears something else."""
    def both(exchange: Exchange) -> None:
        exchange.whole_answer()
        act(exchange)
    return both


def silence(exchange: Exchange) -> None:
    exchange.wait_until_left()


silence.hangs = True


def hang_up(exchange: Exchange) -> None:
    del exchange


def garbage(exchange: Exchange) -> None:
    exchange.drain()
    exchange.peer.sendall(bytes(range(256)) * 64)


def chunk_error(exchange: Exchange) -> None:
    exchange.drain()
    exchange.peer.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[{"Id\r\nzz\r\n')


def endless(first: bytes, rest: bytes):
    """An answer without end."""
    def act(exchange: Exchange) -> None:
        exchange.drain()
        exchange.peer.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n' + first)
        while True:
            exchange.peer.sendall(rest * (1 + PIECE // len(rest)))
    return act


def endless_head(exchange: Exchange) -> None:
    exchange.drain()
    exchange.peer.sendall(b'HTTP/1.1 200 OK\r\n')
    while True:
        exchange.peer.sendall(b'X-More: ' + b'x' * 4000 + b'\r\n')


def gone(count: int | None = None):
    """The daemon goes away: before it has answered, or behind so many bytes of the body."""
    def act(exchange: Exchange) -> None:
        if count is not None:
            cut(count)(exchange)
        exchange.proxy.go()
    return act
