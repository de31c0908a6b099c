"""A server that is broken, or hostile, and never comes to an end: each wait has one."""
import socket
import threading
import time

import pytest

from support.cli import DAMAGED, DONE, FAILED
from support.redis import Pretender, rdb
from support.redis_world import assert_primary, configure, in_place, listeners, rescues, restorable, says, servers, vault  # noqa: F401

BEGIN = b'\n+FULLRESYNC ' + b'a' * 40 + b' 0\r\n'
MARK = b'$EOF:' + b'e' * 40 + b'\r\n'


class Endless(Pretender):
    """Answers PSYNC with the beginning, and then with one piece after another, with a pause between them. It ends when nobody
    takes them any more; sent: how many bytes were taken."""

    def __init__(self, beginning, piece, pause=0.0, **replies):
        self.sent, self.piece, self.pause = 0, piece, pause
        super().__init__(PSYNC=beginning, **replies)

    def serve(self, peer):
        super().serve(peer)
        try:
            while self.piece:
                peer.sendall(self.piece)
                self.sent += len(self.piece)
                time.sleep(self.pause)
        except OSError:
            pass


def keys(n):
    """Keys of 1 KiB, which never end."""
    return b''.join(b'\x00\x08%08d\x44\x00' % i + b'x' * 1024 for i in range(n))


# What comes, with which pause, the options of the source, what is said.
STREAMS = {
    'keys': (BEGIN + MARK + b'REDIS0010\xfe\x00', keys(1000), 0, {'max_size': '20MiB'}, 'more than 20971520 bytes'),
    'keys of an announced size': (BEGIN + b'$9000000000\r\nREDIS0010\xfe\x00', keys(10), 0, {}, 'more than 1073745920 bytes'),
    'trickle': (BEGIN + MARK + b'REDIS0010\xfe\x00', b'\x00\x01k\x01v', 0.05, {'patience': '1s'}, 'bytes of its RDB came in'),
    'newlines': (BEGIN, b'\n', 0.1, {'start_within': '2s'}, 'has not begun after 2 s'),
    'one answer after another': (b'', BEGIN, 0.1, {'start_within': '2s'}, 'has not begun after 2 s'),
    'half a line': (BEGIN + b'$EOF:', None, 0, {'patience': '1s'}, 'no answer for 1 s'),
    'half a line, and the end': (BEGIN + b'$EOF:', b'', 0, {'patience': '1s'}, 'no answer for 1 s'),
    'silence': (BEGIN + MARK + b'REDIS0010', None, 0, {'patience': '1s'}, 'no answer for 1 s'),
}


class Silent(Endless):
    """Says nothing more, and does not hang up either."""

    def serve(self, peer):
        Pretender.serve(self, peer)
        while peer.recv(4096):
            pass


@pytest.mark.parametrize('name', STREAMS)
def test_a_stream_that_does_not_end(vault, listeners, name):
    beginning, piece, pause, options, said = STREAMS[name]
    info = Pretender.bulk('redis_version:7.0.15\r\nrole:master\r\nused_memory:1024\r\n')
    server = listeners((Silent if piece is None else Endless)(beginning, piece, pause, INFO=info))
    vault.section('source app', plugin='redis', port=server.port, **options)
    result = vault('run', 'job')
    assert result.status in (FAILED, DAMAGED) and said in result.err, result
    assert vault.snapshots() == []


def test_a_size_that_was_announced_and_is_true(vault, listeners):
    """The limit is for what is too much alone."""
    data = rdb(b'\xfe\x00' + keys(100))
    server = listeners(Pretender(PSYNC=Pretender.transfer(data, mark=False)))
    vault.section('source app', plugin='redis', port=server.port, max_size=len(data))
    assert vault('run', 'job').status == DONE
    vault.section('source app', plugin='redis', port=server.port, max_size=len(data) - 1)
    says(vault.fails(FAILED, 'run', 'job'), 'max_size')


@pytest.mark.parametrize('how', ['long', 'slow'])
def test_an_answer_that_does_not_end(vault, listeners, how):
    class Answering(Pretender):
        def serve(self, peer):
            peer.recv(4096)
            peer.sendall(b'$4000000000\r\n')
            while True:
                peer.sendall(b'x' * (1 << 20 if how == 'long' else 1))
                time.sleep(0 if how == 'long' else 0.1)

    server = listeners(Answering())
    vault.section('source app', plugin='redis', port=server.port, patience='60s' if how == 'long' else '2s')
    says(vault.fails(FAILED, 'run', 'job'), 'an answer of more than 64 MiB' if how == 'long' else 'no answer for')


def test_the_rescue_has_the_same_limits(restorable):
    world, server, _, _ = restorable
    configure(world, server, max_size=1000)
    result = in_place(world)
    assert result.status == FAILED and 'max_size' in result.err and not rescues(world), result
    assert_primary(world, server)


def test_one_who_connects_and_only_talks(restorable, listeners):
    """In place of the server: a PING after another keeps nobody out for long."""
    world = restorable[0]
    ended = threading.Event()

    def talk(port):
        while not ended.is_set():
            try:
                with socket.create_connection(('127.0.0.1', port), 5) as peer:
                    while not ended.is_set():
                        peer.sendall(b'*1\r\n$4\r\nPING\r\n' * 10)
                        peer.recv(4096)
                        time.sleep(0.01)
            except OSError:
                time.sleep(0.05)

    def told(_, __, port):
        if port != b'ONE':
            threading.Thread(target=talk, args=(int(port),), daemon=True).start()
        return '+OK'

    target = listeners(Pretender(REPLICAOF=told, INFO=Pretender.bulk(f'role:master\r\nmaster_replid:{"ab" * 20}\r\n')))
    result = in_place(world, '--set', f'port={target.port}', '--set', 'patience=4s')
    ended.set()
    assert result.status == FAILED and 'turned away' in result.err and 'wait for the server' in result.err, result
