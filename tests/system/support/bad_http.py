"""A web server that answers as it is told to, and remembers what it was asked."""
from __future__ import annotations

import socket
import ssl
import threading
import time
from pathlib import Path

from .openssl import authority


class BadHttp:
    """Each connection is answered by answer(socket, request): by the path of the request."""

    def __init__(self, answers: dict, context: ssl.SSLContext | None = None) -> None:
        self.answers, self.context, self.requests, self.lock = answers, context, [], threading.Lock()
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=100)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f'http{"s" if self.context else ""}://127.0.0.1:{self.port}'

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(20)
            with self.context.wrap_socket(connection, server_side=True) if self.context else connection as stream:
                request = self.read(stream)
                if request:
                    with self.lock:
                        self.requests.append(request)
                    self.answers[request['path'].split('?')[0]](stream, request)
        except OSError:
            pass

    @staticmethod
    def read(stream) -> dict | None:
        data = b''
        while b'\r\n\r\n' not in data:
            piece = stream.recv(65536)
            if not piece:
                return None
            data += piece
        head, _, body = data.partition(b'\r\n\r\n')
        first, *lines = head.decode().split('\r\n')
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(':') for line in lines)}
        while len(body) < int(headers.get('content-length', 0)):
            body += stream.recv(65536)
        method, path, _ = first.split(' ')
        return {'method': method, 'path': path, 'headers': headers, 'body': body}

    def close(self) -> None:
        self.listener.close()


def says(text: str, then=None):
    def answer(stream, request):
        stream.sendall(text.replace('\n', '\r\n').encode())
        if then:
            then(stream)
    return answer


def status(code: int, *headers: str, body: str = ''):
    lines = [f'HTTP/1.1 {code} Whatever', f'Content-Length: {len(body)}', *headers]
    return says('\n'.join(lines) + '\n\n' + body)


def silent(stream, *_) -> None:
    time.sleep(15)


def endless(piece: bytes, pause: float = 0):
    def send(stream, *_):
        begun = time.monotonic()
        while time.monotonic() < begun + 15:
            stream.sendall(piece)
            time.sleep(pause)
    return send


def context(base: Path, name: str = '127.0.0.1') -> tuple[ssl.SSLContext, Path]:
    """Of a server of this name, and the authority that has signed it."""
    ca, certificate, key = authority(base, name)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate, key)
    return made, ca
