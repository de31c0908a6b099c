"""A Docker daemon of our own: Debian's dockerd on a socket of its own, with data, state and containers of its own below one
directory, so that it neither sees nor disturbs another one of this machine. Needs root.

The client that comes with it is the tests' oracle, and how they prepare what is saved.
"""
from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from . import docker_images
from .ports import free_port

DOCKER, DOCKERD = '/usr/bin/docker', '/usr/sbin/dockerd'
ENVIRONMENT = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'LANG': 'C.UTF-8', 'HOME': '/nonexistent'}


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float = 60) -> None:
        super().__init__('docker', timeout=timeout)
        self.path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def wait_until(true, what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f'{what}: not after {seconds} s'
        time.sleep(0.02)


def alive(pid: str) -> bool:
    """Whoever adopts it need not be one who waits for it: then a zombie stays."""
    try:
        return Path('/proc', pid, 'stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


def make_certificates(place: Path) -> None:
    """An authority, and a certificate of it for the server and one for the client: ca.pem, server-*.pem, cert.pem, key.pem."""
    def openssl(*words: object) -> None:
        subprocess.run(['openssl', *map(str, words)], check=True, capture_output=True)

    place.mkdir(mode=0o700)
    new = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes')
    openssl('req', '-x509', *new, '-days', 2, '-subj', '/CN=authority', '-keyout', place / 'ca-key.pem', '-out', place / 'ca.pem')
    for prefix, extra in (('server-', 'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth'),
                          ('', 'extendedKeyUsage=clientAuth')):
        (place / 'extra').write_text(extra)
        openssl('req', *new, '-subj', '/CN=localhost', '-keyout', place / f'{prefix}key.pem', '-out', place / 'request')
        openssl('x509', '-req', '-in', place / 'request', '-CA', place / 'ca.pem', '-CAkey', place / 'ca-key.pem', '-CAcreateserial',
                '-days', 2, '-extfile', place / 'extra', '-out', place / f'{prefix}cert.pem')


class Dockerd:
    """tls: it listens on 127.0.0.1:self.port as well, for those who have a certificate of self.certificates."""

    def __init__(self, tls: bool = False, **options: str) -> None:
        self.base = Path(tempfile.mkdtemp(prefix='cofre-docker-', dir='/tmp'))
        self.socket, self.root, self.log = self.base / 'docker.sock', self.base / 'data', self.base / 'log'
        self.address = f'unix://{self.socket}'
        self.options, self.process = options, None
        self.loaded: set[str] = set()
        self.port = self.certificates = None
        if tls:
            self.port, self.certificates = free_port(), self.base / 'certificates'
            make_certificates(self.certificates)

    def __enter__(self) -> 'Dockerd':
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # ---- the daemon ----

    def command(self) -> list[str]:
        # Networks with a name answer for the names of their containers; nothing leads out of them.
        words = ['--data-root', self.root, '--exec-root', self.base / 'exec', '-p', self.base / 'pid', '-H', self.address,
                 '--bridge=none', '--iptables=false', '--ip-masq=false', '--ip-forward=false', '--userland-proxy=false',
                 f'--default-address-pool=base=10.{100 + os.getpid() % 100}.0.0/16,size=24', '--shutdown-timeout=3',
                 # Where this machine has a containerd, that one is used.
                 # In its names no '_' may stand at an end or beside another.
                 f'--containerd-namespace={self.base.name.replace("_", "0")}',
                 f'--containerd-plugins-namespace={self.base.name.replace("_", "0")}-plugins']
        if self.certificates:
            words += ['-H', f'tcp://127.0.0.1:{self.port}', '--tlsverify', '--tlscacert', self.certificates / 'ca.pem',
                      '--tlscert', self.certificates / 'server-cert.pem', '--tlskey', self.certificates / 'server-key.pem']
        words += [f'--{name.replace("_", "-")}={value}' for name, value in self.options.items()]
        # It ends with us, even when we are killed.
        return ['setpriv', '--pdeathsig', 'TERM', DOCKERD, *map(str, words)]

    def start(self) -> None:
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen(self.command(), env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        wait_until(self.answers, 'dockerd')

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-4000:]
        try:
            return self.ask('GET', '/_ping', timeout=10)[0] == 200
        except OSError:
            return False

    def end(self, number: int = signal.SIGTERM) -> None:
        """The daemon alone; its containers with it, unless it is killed. start() starts it again."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def stop(self) -> None:
        """For good, and nothing of it is left."""
        try:
            if self.process and self.process.poll() is None:
                self.clean()
        except (AssertionError, OSError, subprocess.TimeoutExpired):
            pass  # then by force
        self.end()
        self.sweep()
        shutil.rmtree(self.base, ignore_errors=True)

    def sweep(self) -> None:
        """Processes, mounts and cgroups that a daemon leaves which did not end as it should."""
        ids = [path.name for path in self.root.glob('containers/*')]
        for state in (path for one in ids for path in Path('/sys/fs/cgroup').glob(f'freezer/docker/{one}/freezer.state')):
            state.write_text('THAWED')  # what is frozen cannot even be killed
        killed = [pid for pid in filter(str.isdigit, os.listdir('/proc')) if self.kill_ours(pid, ids)]
        wait_until(lambda: not any(map(alive, killed)), f'the end of {killed}')
        mounted = [line.split()[1] for line in Path('/proc/self/mounts').read_text().splitlines()]
        for path in reversed([one for one in mounted if one.startswith(f'{self.base}/')]):
            subprocess.run(['umount', '-l', path], check=False)
        for one in ids:
            for path in [*Path('/sys/fs/cgroup').glob(f'*/docker/{one}'), *Path('/sys/fs/cgroup').glob(f'docker/{one}')]:
                try:
                    path.rmdir()
                except OSError:
                    pass

    def kill_ours(self, pid: str, ids: list[str]) -> bool:
        try:
            told = Path('/proc', pid, 'cmdline').read_bytes().decode(errors='replace') + Path('/proc', pid, 'cgroup').read_text()
            if f'{self.base}/' in told or any(one in told for one in ids):
                os.kill(int(pid), signal.SIGKILL)
                return True
        except OSError:
            pass
        return False

    # ---- the client ----

    def ask(self, method: str, path: str, body: object = None, timeout: float = 60) -> tuple[int, object]:
        """One request, past the client: the status, and the answer where it is JSON."""
        connection = UnixConnection(self.socket, timeout)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {'Content-Type': 'application/json'})
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        return answer.status, json.loads(data) if data[:1] in (b'{', b'[') else data

    def raw(self, *words: object, timeout: float = 120, **options) -> subprocess.CompletedProcess:
        streams = {'stdin': subprocess.DEVNULL} if 'input' not in options else {}
        return subprocess.run([DOCKER, '-H', self.address, *map(str, words)], env=ENVIRONMENT, capture_output=True, check=False,
                              timeout=timeout, **streams, **options)

    def __call__(self, *words: object, **options) -> str:
        """docker WORDS, which must succeed: what it says, less the end of its last line."""
        done = self.raw(*words, **options)
        out, err = ((text.decode(errors='replace') if isinstance(text, bytes) else text) for text in (done.stdout, done.stderr))
        assert done.returncode == 0, f'docker {" ".join(map(str, words))}\nstatus {done.returncode}\n{out[-4000:]}{err[-4000:]}'
        return out.rstrip('\n')

    def inspect(self, name: str, kind: str = 'container') -> dict:
        return json.loads(self(kind, 'inspect', name))[0]

    # ---- images, containers, volumes ----

    def image(self, name: str) -> str:
        """One of docker_images.RECIPES, loaded when it was not yet."""
        if name in docker_images.RECIPES and name not in self.loaded:
            self('load', '-q', '-i', docker_images.archive_of(name))
            self.loaded.add(name)
        return name

    def create(self, name: str, image: str, *options: object, command: tuple = ()) -> str:
        """Its id. Without a network, unless the options give it one: 127.0.0.1 is there."""
        network = [] if any(str(word).startswith(('--network', '--net')) for word in options) else ['--network=none']
        return self('create', '--name', name, *network, *options, self.image(image), *command)

    def run(self, name: str, image: str = 'tiny', *options: object, command: tuple = ()) -> str:
        one = self.create(name, image, *options, command=command)
        self('start', one)
        return one

    def postgres(self, name: str, image: str, *options: object, volume: str | None = None, password: str = 'secret',
                 command: tuple = ()) -> str:
        """A server, which answers when this returns."""
        mount = ['-v', f'{volume}:/var/lib/postgresql/data'] if volume else []
        one = self.run(name, image, '-e', f'POSTGRES_PASSWORD={password}', *mount, *options, command=command)
        self.wait_for_postgres(name)
        return one

    def postgres_user(self, name: str) -> str:
        """Of its cluster: who may do everything."""
        return next((word.partition('=')[2] for word in self.inspect(name)['Config']['Env'] if word.startswith('POSTGRES_USER=')),
                    'postgres')

    def wait_for_postgres(self, name: str, seconds: float = 60) -> None:
        """Over TCP: while the cluster is made there is a server that listens on the socket alone."""
        user = self.postgres_user(name)

        def ready() -> bool:
            assert self.state(name) in ('running', 'restarting'), self.raw('logs', name).stderr.decode()
            return self.raw('exec', name, 'psql', '-X', '-h', '127.0.0.1', '-U', user, '-d', 'postgres', '-c', 'SELECT').returncode == 0

        wait_until(ready, f'the server in {name}', seconds)

    def sql(self, name: str, text: str, database: str = 'postgres', user: str | None = None) -> list[str]:
        """By the container's own psql."""
        return self('exec', '-i', name, 'psql', '-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-U',
                    user or self.postgres_user(name), '-d', database, input=text, text=True).splitlines()

    def redis(self, name: str, image: str, *options: object, volume: str | None = None, command: tuple = ()) -> str:
        mount = ['-v', f'{volume}:/data'] if volume else []
        one = self.run(name, image, *mount, *options, command=command)
        wait_until(lambda: self.raw('exec', name, 'redis-cli', 'ping').returncode == 0, f'the server in {name}')
        return one

    def volume(self, name: str, *options: object) -> Path:
        """Made, with these options of `docker volume create`. Where its files are."""
        self('volume', 'create', *options, name)
        return self.files(name)

    def files(self, volume: str) -> Path:
        return Path(self.inspect(volume, 'volume')['Mountpoint'])

    def state(self, name: str) -> str:
        """running, paused, exited, created, restarting, ..."""
        return self('container', 'inspect', '--format', '{{.State.Status}}', name)

    def states(self) -> dict[str, str]:
        return {name: state for name, (state, _) in self.starts().items()}

    def starts(self) -> dict[str, tuple[str, str]]:
        """Of each container: its state, and when it was started last."""
        ids = self('ps', '-aq', '--no-trunc').split()
        rows = self('container', 'inspect', '--format', '{{.Name}} {{.State.Status}} {{.State.StartedAt}}', *ids) if ids else ''
        return {name.lstrip('/'): (state, started) for name, state, started in map(str.split, rows.splitlines())}

    def ip(self, name: str) -> str:
        """The address in the one network of a container."""
        return next(iter(self.inspect(name)['NetworkSettings']['Networks'].values()))['IPAddress']

    def wait_for(self, name: str, state: str, seconds: float = 30) -> None:
        wait_until(lambda: self.state(name) == state, f'{name} {state}', seconds)

    def everything(self) -> dict[str, list[str]]:
        """What there is, to be compared: nothing may be left of what was there for a moment."""
        return {'containers': sorted(self('ps', '-a', '--no-trunc', '--format', '{{.ID}} {{.Names}}').splitlines()),
                'volumes': sorted(self('volume', 'ls', '-q').splitlines()),
                'networks': sorted(self('network', 'ls', '-q', '--no-trunc').splitlines()),
                'images': sorted(self('image', 'ls', '-a', '-q', '--no-trunc').splitlines()),
                'volume directories': sorted(path.name for path in (self.root / 'volumes').iterdir() if path.is_dir())}

    def clean(self) -> None:
        """All containers, volumes and networks go; images stay."""
        if paused := self('ps', '-q', '--filter', 'status=paused').split():
            self('unpause', *paused)
        if ids := self('ps', '-aq').split():
            for _ in range(2):  # one with --rm may go meanwhile, and is then complained of
                left = self.raw('rm', '-f', '-v', *ids)
            wait_until(lambda: not self('ps', '-aq').split(), f'removing containers: {left.stderr.decode()}', 30)
        if names := self('volume', 'ls', '-q').splitlines():
            self('volume', 'rm', '-f', *names)
        if ids := self('network', 'ls', '-q', '--filter', 'type=custom').split():
            self('network', 'rm', *ids)

    @contextmanager
    def busy(self, *words: object):
        """A docker command that goes on meanwhile."""
        process = subprocess.Popen([DOCKER, '-H', self.address, *map(str, words)], env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            process.stdout.close()



@pytest.fixture(scope='module')
def running_docker():
    """One daemon for all tests of a file."""
    with Dockerd() as daemon:
        yield daemon


@pytest.fixture
def docker(running_docker):
    """The file's daemon, without containers, volumes and networks of an earlier test."""
    if not (running_docker.process and running_docker.process.poll() is None):
        running_docker.start()
    running_docker.clean()
    yield running_docker
