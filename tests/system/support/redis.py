"""Real Redis servers for tests, a client of a few lines, and what lies between: a proxy that cuts and flips, and a server
that only pretends. Shares no code with cofre."""
from __future__ import annotations

import os
import random
import signal
import socket
import struct
import subprocess
import threading
import time
from contextlib import closing
from pathlib import Path

TYPES = ('string', 'list', 'set', 'zset', 'hash', 'stream')


class RedisError(Exception):
    pass


class Client:
    def __init__(self, address, *login: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        self.socket.settimeout(60)
        self.socket.connect(address)
        self.stream = self.socket.makefile('rb', buffering=1 << 20)
        if login:
            self('AUTH', *login)

    @staticmethod
    def encode(words) -> bytes:
        parts = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        return b'*%d\r\n' % len(parts) + b''.join(b'$%d\r\n%s\r\n' % (len(p), p) for p in parts)

    def read(self):
        line = self.stream.readline()
        if not line:
            raise ConnectionError('closed')
        kind, rest = line[:1], line[1:-2]
        if kind in b'+':
            return rest.decode()
        if kind == b'-':
            return RedisError(rest.decode())
        if kind == b':':
            return int(rest)
        if kind == b'$':
            return None if rest == b'-1' else self.stream.read(int(rest) + 2)[:-2]
        return None if rest == b'-1' else [self.read() for _ in range(int(rest))]

    def many(self, commands) -> list:
        commands = list(commands)
        replies = []
        for at in range(0, len(commands), 1000):
            part = commands[at:at + 1000]
            self.socket.sendall(b''.join(map(self.encode, part)))
            replies += [self.read() for _ in part]
        for reply in replies:
            if isinstance(reply, RedisError):
                raise reply
        return replies

    def __call__(self, *words):
        return self.many([words])[0]

    def info(self) -> dict[str, str]:
        lines = self('INFO').decode().splitlines()
        return dict(line.split(':', 1) for line in lines if ':' in line)

    def close(self) -> None:
        self.stream.close()
        self.socket.close()


class Server:
    """redis-server in a directory of its own, on a free port and a socket. Options of its configuration by name, '-' as '_'."""

    def __init__(self, directory: Path, password: str = '', **options) -> None:
        self.directory = Path(directory)
        self.directory.mkdir(exist_ok=True)
        self.password, self.process = password, None
        self.socket = str(self.directory / 's')
        with closing(socket.create_server(('127.0.0.1', 0))) as probe:
            self.port = probe.getsockname()[1]
        self.options = {'bind': '127.0.0.1', 'save': '""', 'repl-diskless-sync-delay': 0, 'enable-debug-command': 'yes'}
        self.options |= {name.replace('_', '-'): value for name, value in options.items()}
        self.start()

    def start(self, wait: bool = True) -> 'Server':
        lines = [f'{name} {value}' for name, value in self.options.items()]
        lines += [f'port {self.port}', f'unixsocket {self.socket}', f'dir {self.directory}', f'logfile {self.directory}/log']
        if self.password:
            lines.append(f'requirepass {self.password}')
        configuration = self.directory / 'redis.conf'
        configuration.write_text('\n'.join(lines) + '\n')
        self.process = subprocess.Popen(['redis-server', configuration], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        stdin=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while wait:
            try:
                with closing(self.client()) as client:
                    if not isinstance(client('PING'), RedisError):
                        break
            except (OSError, RedisError):
                assert self.process.poll() is None, (self.directory / 'log').read_text()
                assert time.monotonic() < end, (self.directory / 'log').read_text()
                time.sleep(0.01)
        return self

    def client(self) -> Client:
        return Client(('127.0.0.1', self.port), *([self.password] if self.password else []))

    def stop(self, number: int = signal.SIGKILL) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(30)

    def child(self) -> int:
        """The process that writes an RDB at the moment, or 0."""
        text = Path(f'/proc/{self.process.pid}/task/{self.process.pid}/children').read_text().split()
        return int(text[0]) if text else 0


# ---- data ----

FUNCTION = "#!lua name=lib{0}\nredis.register_function('f{0}', function(keys, args) return {0} end)"


def commands(count: int, seed: int, databases=(0, 1, 7)):
    """Writes `count` keys of all types and encodings, spread over the databases, a fifth of them with a TTL."""
    r = random.Random(seed)
    for database in databases:
        yield 'SELECT', database
        for i in range(count // len(databases)):
            kind = TYPES[i % len(TYPES)]
            key = b'%s:%d:%d\x00\xff' % (kind.encode(), seed, i)
            size = 300 if i % 97 == 0 else r.randrange(1, 12)  # some beyond the compact encodings
            yield from one(r, kind, key, size, i)
            if i % 5 == 0:
                yield 'PEXPIRE', key, 3600_000 + i


def one(r, kind: str, key: bytes, size: int, i: int):
    text = [b'%d' % r.randrange(1 << 40) if i % 2 else r.randbytes(size % 90 + 1) for _ in range(min(size, 300))]
    if kind == 'string':
        yield 'SET', key, [b'%d' % i, b'x' * size * 100, r.randbytes(size * 20), b'1.5'][i // 6 % 4]
    elif kind == 'list':
        yield 'RPUSH', key, *text
    elif kind == 'set':
        yield 'SADD', key, *text
    elif kind == 'zset':
        yield 'ZADD', key, *(word for n, t in enumerate(text) for word in (n * 1.25, t))
    elif kind == 'hash':
        yield 'HSET', key, *(word for t in text for word in (t, t[::-1]))
    else:
        for n in range(1, min(size, 120) + 1):
            yield 'XADD', key, f'{n}-1', 'field', text[n % len(text)]
        yield 'XDEL', key, '1-1'
        yield 'XGROUP', 'CREATE', key, 'group', '0'
        yield 'XREADGROUP', 'GROUP', 'group', 'consumer', 'COUNT', '3', 'STREAMS', key, '>'


def fill(server: Server, count: int, seed: int = 1, databases=(0, 1, 7), functions: int = 2) -> None:
    with closing(server.client()) as client:
        client.many(commands(count, seed, databases))
        client.many(('FUNCTION', 'LOAD', 'REPLACE', FUNCTION.format(n)) for n in range(functions))


def state(server: Server, prefix: bytes = b'') -> dict:
    """DUMP and TTL of every key of every database; functions and their code."""
    found = {}
    with closing(server.client()) as client:
        for name in [key for key in client.info() if key[:2] == 'db' and key[2:].isdecimal()]:
            client('SELECT', name[2:])
            keys = [k for k in client('KEYS', '*') if k.startswith(prefix) and not k.startswith(b'w:')]
            dumps = client.many(('DUMP', key) for key in keys)
            ttls = client.many(('PEXPIRETIME', key) for key in keys)
            encodings = client.many(('OBJECT', 'ENCODING', key) for key in keys)
            # A hash table is written in the order that it happens to have.
            tables = [n for n, encoding in enumerate(encodings) if encoding == b'hashtable']
            for n, content in zip(tables, client.many(('SMEMBERS', keys[n]) if keys[n].startswith(b'set') else
                                                      ('HGETALL', keys[n]) for n in tables)):
                dumps[n] = sorted(content if keys[n].startswith(b'set') else zip(content[::2], content[1::2]))
            found |= {(name, key): (dump, ttl) for key, dump, ttl in zip(keys, dumps, ttls)}
        for library in client('FUNCTION', 'LIST', 'WITHCODE'):
            fields = dict(zip(library[::2], library[1::2]))
            found['function', fields[b'library_name']] = fields[b'library_code'], -1
    return found


def assert_same(expected: dict, found: dict) -> None:
    assert expected.keys() == found.keys(), sorted(map(repr, expected.keys() ^ found.keys()))[:5]
    for key, (dump, ttl) in expected.items():
        other, other_ttl = found[key]
        assert dump == other, f'{key}: another value'
        assert abs(ttl - other_ttl) <= 1000 and (ttl < 0) == (other_ttl < 0), f'{key}: TTL {ttl} became {other_ttl}'


class Writer:
    """Writes w:1, w:2, ... one after another, each with a twin in the same transaction, until it is ended."""

    def __init__(self, server: Server) -> None:
        self.server, self.ended, self.count = server, threading.Event(), 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        with closing(self.server.client()) as client:
            while not self.ended.is_set():
                batch = range(self.count + 1, self.count + 51)
                try:
                    client.many(word for n in batch for word in
                                (('MULTI',), ('SET', f'w:{n}', n), ('SET', f'w:twin:{n}', n), ('EXEC',)))
                except OSError:
                    return
                self.count += 50

    def end(self) -> None:
        self.ended.set()
        self.thread.join(60)


def written(server: Server) -> int:
    """How far the writer had come; asserts that the state is one of a single moment."""
    with closing(server.client()) as client:
        keys = client('KEYS', 'w:*')
    plain = sorted(int(k[2:]) for k in keys if not k.startswith(b'w:twin:'))
    twins = sorted(int(k[7:]) for k in keys if k.startswith(b'w:twin:'))
    assert plain == twins == list(range(1, len(plain) + 1)), 'this is no state of a single moment'
    return len(plain)


# ---- RDB files by hand ----

def crc64(data: bytes) -> int:
    """Bit by bit, from the definition."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x95ac9329ac4bc9b5 if crc & 1 else 0)
    return crc


def rdb(body: bytes, version: int = 10) -> bytes:
    data = b'REDIS%04d' % version + body + b'\xff'
    return data + struct.pack('<Q', crc64(data))


# ---- in between ----

class Listener:
    """Threads that serve connections to a port of 127.0.0.1."""

    def __init__(self) -> None:
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.guarded, args=(peer,), daemon=True).start()

    def guarded(self, peer) -> None:
        try:
            self.serve(peer)
        except (OSError, ValueError):
            pass
        finally:
            peer.close()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Proxy(Listener):
    """Passes on to the server. cut: ends the connection after so many bytes of the RDB; flip: changes that byte of it."""

    def __init__(self, server: Server, cut: int | None = None, flip: int | None = None) -> None:
        self.server, self.cut, self.flip, self.size = server, cut, flip, 0
        super().__init__()

    def serve(self, peer) -> None:
        upstream = socket.create_connection(('127.0.0.1', self.server.port))
        threading.Thread(target=self.pass_up, args=(peer, upstream), daemon=True).start()
        at, head = -1, b''
        while data := upstream.recv(65536):
            if at < 0:
                head += data
                begin = head.find(b'REDIS00')
                if begin < 0:
                    peer.sendall(data)
                    continue
                before = begin - (len(head) - len(data))
                peer.sendall(data[:before])
                data, at = data[before:], 0
            if self.flip is not None and at <= self.flip < at + len(data):
                place = self.flip - at
                data = data[:place] + bytes([data[place] ^ 0x20]) + data[place + 1:]
            if self.cut is not None and at + len(data) > self.cut:
                peer.sendall(data[:self.cut - at])
                break
            at += len(data)
            self.size = max(self.size, at)
            peer.sendall(data)
        upstream.close()
        peer.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def pass_up(peer, upstream) -> None:
        try:
            while data := peer.recv(65536):
                upstream.sendall(data)
        except OSError:
            pass


class Pretender(Listener):
    """Answers like a server: replies by the first word of the command, texts or functions of the words; bytes are sent as they
    are."""

    def __init__(self, **replies) -> None:
        self.replies = {'PING': '+PONG', 'AUTH': '+OK', 'REPLCONF': '+OK', 'MODULE': '*0', 'FUNCTION': '*0',
                        'SELECT': '-ERR DB index is out of range', 'CONFIG': '*0',
                        'INFO': self.bulk('redis_version:7.0.15\r\nrole:master\r\n')} | replies
        super().__init__()

    def serve(self, peer) -> None:
        stream = peer.makefile('rb')
        while line := stream.readline():
            words = []
            for _ in range(int(line[1:])):
                words.append(stream.read(int(stream.readline()[1:]) + 2)[:-2])
            reply = self.replies.get(words[0].decode().upper())
            if reply is None:
                return  # it hangs up on what it does not know
            reply = reply(*words) if callable(reply) else reply
            peer.sendall(reply if isinstance(reply, bytes) else reply.encode() + b'\r\n')
            if words[0].upper() == b'PSYNC':
                return

    @staticmethod
    def bulk(text: str) -> bytes:
        return b'$%d\r\n%s\r\n' % (len(text), text.encode())

    @staticmethod
    def transfer(data: bytes, mark: bool = True) -> bytes:
        """The answer to PSYNC that holds this RDB."""
        end = b'e' * 40
        head = b'\n+FULLRESYNC ' + b'a' * 40 + b' 0\r\n\n'
        return head + (b'$EOF:' + end + b'\r\n' + data + end if mark else b'$%d\r\n' % len(data) + data)


class Ancient(Pretender):
    """Answers as Redis 6.0 does, or as 2.8, which knows no EOF mark: which options of REPLCONF there are, what INFO and unknown
    commands say. Serves this RDB, without a file of its own when it is diskless. asked: the options it was given; began: how many
    transfers."""

    def __init__(self, data: bytes, version: str = '6.0.16', diskless: bool = False) -> None:
        self.data, self.diskless, self.asked, self.began, self.capa = data, diskless, [], 0, version >= '6'
        super().__init__(REPLCONF=self.replconf, PSYNC=self.psync, MODULE='*0', FUNCTION=self.unknown, CONFIG=self.unknown,
                         REPLICAOF='-ERR value is not an integer or out of range', SELECT='+OK',
                         INFO=self.bulk('# Server\r\nredis_version:%s\r\nredis_mode:standalone\r\n\r\n# Persistence\r\nloading:0\r\n\r\n'
                                        '# Replication\r\nrole:master\r\nmaster_replid:%s\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n'
                                        '# Keyspace\r\ndb0:keys=5,expires=0,avg_ttl=0\r\n' % (version, 'b' * 40)))

    def unknown(self, *words: bytes) -> str:
        shown = ', '.join(f'`{word.decode()}`' for word in words[1:])
        return f'-ERR unknown command `{words[0].decode()}`, with args beginning with: {shown}, '

    def replconf(self, *words: bytes) -> str:
        self.asked.append(b' '.join(words[1:]))
        known = {b'listening-port', b'ip-address', b'ack', b'getack'} | ({b'capa'} if self.capa else set())
        return '+OK' if words[1] in known else f'-ERR Unrecognized REPLCONF option: {words[1].decode()}'

    def psync(self, *words: bytes) -> str | bytes:
        if len(words) != 3:
            return "-ERR wrong number of arguments for 'psync' command"
        self.began += 1
        return self.transfer(self.data, mark=self.diskless and self.capa and b'capa eof' in self.asked)
