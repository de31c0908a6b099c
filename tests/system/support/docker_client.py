"""A client of a Docker daemon that costs little: what tests ask for a thousand times goes straight to the daemon's interface,
since the command `docker` takes longer to start than the daemon to answer. What is not here, the command does.

https://docs.docker.com/reference/api/engine/version/v1.41/
"""
from __future__ import annotations

import http.client
import json
import socket
import subprocess
import threading
from pathlib import Path
from urllib.parse import quote

from .wait import wait_until

DOCKER = '/usr/bin/docker'
ENVIRONMENT = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'LANG': 'C.UTF-8', 'HOME': '/nonexistent'}
POWER = ('start', 'stop', 'kill', 'restart', 'pause', 'unpause')


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float = 60) -> None:
        super().__init__('docker', timeout=timeout)
        self.path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def frames(data: bytes) -> tuple[bytes, bytes]:
    """Output and errors, which come in turns, each piece with a head of 8 bytes."""
    streams = {1: b'', 2: b''}
    while data:
        size = int.from_bytes(data[4:8], 'big')
        streams[data[0]] += data[8:8 + size]
        data = data[8 + size:]
    return streams[1], streams[2]


def give(side: socket.socket, text: bytes) -> None:
    try:
        side.sendall(text)
        side.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the program has ended without it


class DockerClient:
    """Of the daemon at a socket."""

    def __init__(self, path: Path) -> None:
        self.socket, self.address = path, f'unix://{path}'

    # ---- requests ----

    def ask(self, method: str, path: str, body: object = None, timeout: float = 120) -> tuple[int, object]:
        """The status, and the answer where it is JSON."""
        connection = UnixConnection(self.socket, timeout)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {'Content-Type': 'application/json'})
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        return answer.status, json.loads(data) if data[:1] in (b'{', b'[') else data

    def must(self, method: str, path: str, body: object = None, missing: bool = False) -> object:
        """What succeeds; missing: or does not find what it is about."""
        status, answer = self.ask(method, path, body)
        assert status < 400 or (missing and status == 404), f'{method} {path}: {status}\n{answer}'
        return answer

    def raw(self, *words: object, timeout: float = 120, **options) -> subprocess.CompletedProcess:
        """docker WORDS"""
        streams = {'stdin': subprocess.DEVNULL} if 'input' not in options else {}
        return subprocess.run([DOCKER, '-H', self.address, *map(str, words)], env=ENVIRONMENT, capture_output=True, check=False,
                              timeout=timeout, **streams, **options)

    def __call__(self, *words: object, **options) -> str:
        """docker WORDS, which must succeed: what it says, less the end of its last line."""
        verb, *rest = map(str, words)
        if verb in POWER and not options and not any(word.startswith('-') for word in rest):
            for name in rest:
                self.power(verb, name)
            return '\n'.join(rest)
        done = self.raw(*words, **options)
        out, err = ((text.decode(errors='replace') if isinstance(text, bytes) else text) for text in (done.stdout, done.stderr))
        assert done.returncode == 0, f'docker {" ".join(map(str, words))}\nstatus {done.returncode}\n{out[-4000:]}{err[-4000:]}'
        return out.rstrip('\n')

    # ---- containers ----

    def power(self, verb: str, name: str) -> None:
        """start, stop, kill, restart, pause, unpause"""
        for _ in range(20):
            status, answer = self.ask('POST', f'/containers/{quote(name)}/{verb}')
            # The freezer of cgroup v1 gives up on a container whose processes are just waiting for a busy processor.
            if 'unable to freeze' not in str(answer):
                break
        assert status < 400, f'{verb} {name}: {status}\n{answer}'

    def inspect(self, name: str, kind: str = 'container') -> dict:
        return self.must('GET', f'/volumes/{quote(name)}' if kind == 'volume' else f'/{kind}s/{quote(name)}/json')

    def create(self, name: str, image: str, *options: object, command: tuple = ()) -> str:
        """Its id. Unless the options give it a network, a server has none but 127.0.0.1, and what does nothing uses this
        machine's: for a network of its own dockerd starts itself once more, which costs as much as all the rest."""
        words = list(map(str, options))
        if not any(word.startswith('--net') for word in words):
            words.append('--network=host' if image == 'tiny' else '--network=none')
        body = {'Image': self.image(image), 'Cmd': list(map(str, command)) or None}
        if described(words, body):
            return self.must('POST', f'/containers/create?name={quote(name)}', body)['Id']
        return self('create', '--name', name, *words, body['Image'], *command)

    def image(self, name: str) -> str:
        """There to be used."""
        return name

    def run(self, name: str, image: str = 'tiny', *options: object, command: tuple = ()) -> str:
        one = self.create(name, image, *options, command=command)
        self.power('start', one)
        return one

    def run_in(self, name: str, *argv: object, text: str | bytes = b'') -> subprocess.CompletedProcess:
        """The program in the container, given that text. As `docker exec -i` would be."""
        body = {'AttachStdin': True, 'AttachStdout': True, 'AttachStderr': True, 'Cmd': list(map(str, argv))}
        status, answer = self.ask('POST', f'/containers/{quote(name)}/exec', body)
        if status >= 400:
            return subprocess.CompletedProcess(argv, 125, b'', str(answer).encode())
        one = answer['Id']
        out, err = frames(self.converse(f'/exec/{one}/start', text.encode() if isinstance(text, str) else text))
        return subprocess.CompletedProcess(argv, self.must('GET', f'/exec/{one}/json')['ExitCode'], out, err)

    def converse(self, path: str, text: bytes) -> bytes:
        """What comes back on a connection that the daemon turns into a stream."""
        body = b'{"Detach":false,"Tty":false}'
        head = (f'POST {path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n'
                f'Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n').encode()
        with socket.socket(socket.AF_UNIX) as side:
            side.settimeout(300)
            side.connect(str(self.socket))
            side.sendall(head + body)
            data = b''
            while b'\r\n\r\n' not in data:
                piece = side.recv(1 << 16)
                assert piece, f'{path}: {data}'
                data += piece
            head, _, data = data.partition(b'\r\n\r\n')
            if b' 101 ' not in head.split(b'\r\n')[0]:
                return bytes([2, 0, 0, 0]) + len(data).to_bytes(4, 'big') + data  # the program could not be started
            sending = threading.Thread(target=give, args=(side, text))
            sending.start()
            pieces = [data]
            while piece := side.recv(1 << 16):
                pieces.append(piece)
            sending.join()
        return b''.join(pieces)

    def exec(self, name: str, *argv: object, text: str | bytes = b'') -> str:
        """run_in of what must succeed: its output, less the end of the last line."""
        done = self.run_in(name, *argv, text=text)
        assert done.returncode == 0, f'{name}: {argv}: {done.returncode}\n{done.stdout.decode()}{done.stderr.decode()}'
        return done.stdout.decode().rstrip('\n')

    def state(self, name: str) -> str:
        """running, paused, exited, created, restarting, ..."""
        return self.inspect(name)['State']['Status']

    def states(self) -> dict[str, str]:
        return {name: state for name, (state, _) in self.starts().items()}

    def starts(self) -> dict[str, tuple[str, str]]:
        """Of each container: its state, and when it was started last."""
        seen = [self.must('GET', f'/containers/{one}/json', missing=True) for one in self.containers()]
        return {one['Name'].lstrip('/'): (one['State']['Status'], one['State']['StartedAt']) for one in seen if 'Name' in one}

    def containers(self) -> dict[str, str]:
        """Names by ids."""
        return {one['Id']: ','.join(name.lstrip('/') for name in one['Names'])
                for one in self.must('GET', '/containers/json?all=1')}

    def ip(self, name: str) -> str:
        """The address in the one network of a container."""
        return next(iter(self.inspect(name)['NetworkSettings']['Networks'].values()))['IPAddress']

    def wait_for(self, name: str, state: str, seconds: float = 60) -> None:
        wait_until(lambda: self.state(name) == state, f'{name} {state}', seconds)

    # ---- volumes ----

    def volume(self, name: str, *options: object) -> Path:
        """Made, with these options of `docker volume create`. Where its files are."""
        if all(str(word).startswith('--label=') for word in options):
            self.must('POST', '/volumes/create', {'Name': name, 'Labels': labels(options)})
        else:
            self('volume', 'create', *options, name)
        return self.files(name)

    def volumes(self) -> list[str]:
        return sorted(one['Name'] for one in self.must('GET', '/volumes')['Volumes'] or [])

    def files(self, volume: str) -> Path:
        return Path(self.inspect(volume, 'volume')['Mountpoint'])

    # ---- networks ----

    def network(self, name: str, *words: str) -> None:
        """Made, with these labels."""
        self.must('POST', '/networks/create', {'Name': name, 'CheckDuplicate': True, 'Labels': labels(words)})

    # ---- all ----

    def clean(self) -> None:
        """All containers, volumes and networks go; images stay."""
        for name in (name for name, state in self.states().items() if state == 'paused'):
            self.power('unpause', name)
        for one in self.containers():
            status, answer = self.ask('DELETE', f'/containers/{one}?force=1&v=1')
            assert status in (204, 404, 409), f'removing {one}: {status}\n{answer}'  # one with --rm may just go by itself
        wait_until(lambda: not self.containers(), 'removing containers')
        for name in self.volumes():
            self.must('DELETE', f'/volumes/{quote(name)}?force=1', missing=True)
        for network in self.must('GET', '/networks?filters=' + quote('{"type":["custom"]}')):
            self.must('DELETE', f'/networks/{network["Id"]}')


def described(words: list[str], body: dict) -> bool:
    """The options of `docker create` as what the interface takes; False: one of them is not known here."""
    host, network, alias = body.setdefault('HostConfig', {'Binds': []}), '', []
    words = [part for word in words for part in (word.split('=', 1) if word.startswith('--') and '=' in word else [word])]
    for option, value in zip(words[::2], words[1::2]):
        if option in ('-v', '--volume') and ':' in value:
            host['Binds'].append(value)
        elif option in ('-v', '--volume'):
            body.setdefault('Volumes', {})[value] = {}
        elif option in ('-e', '--env') and '=' in value:
            body.setdefault('Env', []).append(value)
        elif option == '--label':
            body.setdefault('Labels', {}).update(labels([value]))
        elif option == '--network':
            host['NetworkMode'] = network = value
        elif option == '--network-alias':
            alias.append(value)
        elif option == '--entrypoint':
            body['Entrypoint'] = [value]
        elif option == '--restart':
            policy, _, most = value.partition(':')
            host['RestartPolicy'] = {'Name': policy, 'MaximumRetryCount': int(most or 0)}
        else:
            return False
    if alias:
        body['NetworkingConfig'] = {'EndpointsConfig': {network: {'Aliases': alias}}}
    return len(words) % 2 == 0


def labels(words: list[str]) -> dict[str, str]:
    return {name: text for name, _, text in (word.removeprefix('--label=').partition('=') for word in words)}
