"""A Docker daemon of our own: Debian's dockerd on a socket of its own, with data, state and containers of its own below one
directory, so that it neither sees nor disturbs another one of this machine. Needs root.

Its own client, or its interface, is the tests' oracle, and how they prepare what is saved.
"""
from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from . import docker_images
from .docker_client import DOCKER, ENVIRONMENT, DockerClient
from .ports import free_port
from .wait import wait_until

DOCKERD = '/usr/sbin/dockerd'


def soon(docker: DockerClient, *words: str) -> float:
    """s until the watchdog has put everything back; on a busy machine so many times as long as docker takes to restart these."""
    begin = time.monotonic()
    docker('restart', *words)
    return 5 * max(1, time.monotonic() - begin)


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


class Dockerd(DockerClient):
    """tls: it listens on 127.0.0.1:self.port as well, for those who have a certificate of self.certificates."""

    def __init__(self, tls: bool = False, **options: str) -> None:
        self.base = Path(tempfile.mkdtemp(prefix='cofre-docker-', dir='/tmp'))
        super().__init__(self.base / 'docker.sock')
        self.root, self.log = self.base / 'data', self.base / 'log'
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

    # ---- images, containers, volumes ----

    def image(self, name: str) -> str:
        """One of docker_images.RECIPES, loaded when it was not yet."""
        if name in docker_images.RECIPES and name not in self.loaded:
            self('load', '-q', '-i', docker_images.archive_of(name))
            self.loaded.add(name)
        return name

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
        psql = ('psql', '-X', '-h', '127.0.0.1', '-U', self.postgres_user(name), '-d', 'postgres', '-c', 'SELECT')

        def ready() -> bool:
            assert self.state(name) in ('running', 'restarting'), self.raw('logs', name).stderr.decode()
            return self.listens(name) and self.run_in(name, *psql).returncode == 0

        wait_until(ready, f'the server in {name}', seconds)

    def listens(self, name: str) -> bool:
        """Somebody in the container, on a TCP port: what costs nothing to look at."""
        try:
            rows = Path(f'/proc/{self.inspect(name)["State"]["Pid"]}/net/tcp').read_text().splitlines()[1:]
        except OSError:
            return False
        return any(row.split()[3] == '0A' for row in rows)

    def sql(self, name: str, text: str, database: str = 'postgres', user: str | None = None) -> list[str]:
        """By the container's own psql."""
        return self.exec(name, 'psql', '-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-U', user or self.postgres_user(name),
                         '-d', database, text=text).splitlines()

    def redis(self, name: str, image: str, *options: object, volume: str | None = None, command: tuple = ()) -> str:
        mount = ['-v', f'{volume}:/data'] if volume else []
        one = self.run(name, image, *mount, *options, command=command)
        wait_until(lambda: self.listens(name) and self.run_in(name, 'redis-cli', 'ping').returncode == 0, f'the server in {name}')
        return one

    def everything(self) -> dict[str, list[str]]:
        """What there is, to be compared: nothing may be left of what was there for a moment."""
        return {'containers': sorted(self.containers().items()),
                'volumes': self.volumes(),
                'networks': sorted(one['Id'] for one in self.must('GET', '/networks')),
                'images': sorted(one['Id'] for one in self.must('GET', '/images/json?all=1')),
                'volume directories': sorted(path.name for path in (self.root / 'volumes').iterdir() if path.is_dir())}

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
