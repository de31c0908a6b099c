"""A TCP proxy that makes the way longer: every byte arrives some time later than it was sent."""
from __future__ import annotations

import contextlib
import socket
import threading
import time
from queue import Queue

from .ports import free_port

PIECE = 1 << 18  # bytes
UNDER_WAY = 64   # pieces in one direction of one connection at most: what comes after them waits at its sender


class LatencyProxy:
    """From a port of its own to another port of this machine; a round trip takes `seconds` more."""

    def __init__(self, target: int, seconds: float) -> None:
        self.port, self.target, self.delay = free_port(), target, seconds / 2
        self.sockets: set[socket.socket] = set()
        self.asking: set[socket.socket] = set()  # whose request has no answer yet
        self.most_asking = 0                     # so many at once
        self.listener = socket.create_server(('127.0.0.1', self.port), backlog=64)
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    @property
    def endpoint(self) -> str:
        return f'http://127.0.0.1:{self.port}'

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket() as server:
            self.sockets |= {client, server}
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # The connection itself takes a round trip.
            time.sleep(2 * self.delay)
            with contextlib.suppress(OSError):
                server.connect(('127.0.0.1', self.target))
                back = threading.Thread(target=self._pump, args=(server, client, lambda: self.asking.discard(client)), daemon=True)
                back.start()
                self._pump(client, server, lambda: self._asks(client))
                back.join()
            self.sockets -= {client, server}

    def _asks(self, client: socket.socket) -> None:
        self.asking.add(client)
        self.most_asking = max(self.most_asking, len(self.asking))

    def _pump(self, source: socket.socket, target: socket.socket, came) -> None:
        """Reading goes on while what was read waits for its time."""
        due: Queue = Queue(UNDER_WAY)
        sender = threading.Thread(target=self._send, args=(due, source, target), daemon=True)
        sender.start()
        data = b'the first'
        while data:
            try:
                data = source.recv(PIECE)
                if data:
                    came()
            except OSError:
                data = b''
            due.put((time.monotonic() + self.delay, data))
        sender.join()

    @staticmethod
    def _send(due: Queue, source: socket.socket, target: socket.socket) -> None:
        when, data = due.get()
        while data:
            time.sleep(max(0.0, when - time.monotonic()))
            try:
                target.sendall(data)
            except OSError:
                with contextlib.suppress(OSError):
                    source.shutdown(socket.SHUT_RD)  # the reader comes to an end, and what it still had goes nowhere
            when, data = due.get()
        time.sleep(max(0.0, when - time.monotonic()))
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def stop(self) -> None:
        """Whoever is still connected is cut off."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for each in list(self.sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)
