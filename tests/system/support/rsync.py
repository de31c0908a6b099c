"""The two kinds of far side that the sink `rsync` knows: an sshd and an rsync daemon, on loopback, started here."""
from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from .directory_store import DirectoryStore
from .ports import free_port

PASSWORD = 'pass word\'"$(x)'
USER = 'cofre'
RRSYNC = '/usr/bin/rrsync'


def wait_for_port(port: int, process: subprocess.Popen, log: Path, host: str = '127.0.0.1') -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with socket.socket() as s:
            if s.connect_ex((host, port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f'nothing listens on port {port}\n{log.read_text()}')


class Server:
    """A process with a directory of its own, ended with its children when the context ends."""

    def __init__(self, port: int = 0, prefix: tuple = (), host: str = '127.0.0.1') -> None:
        self.port, self.prefix, self.host = port or free_port(), prefix, host
        self.process: subprocess.Popen | None = None

    def __enter__(self):
        self.base = Path(tempfile.mkdtemp(prefix='cofre-far-'))
        self.log = self.base / 'log'
        self.prepare()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.base)

    def start(self) -> None:
        with open(self.log, 'ab') as log:
            # It ends with us, even when we are killed.
            command = ['setpriv', '--pdeathsig', 'KILL', *self.prefix, *self.command()]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        if self.prefix:
            time.sleep(0.5)
        else:
            wait_for_port(self.port, self.process, self.log, self.host)

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, 9)
            self.process.wait()

    def write(self, name: str, text: str, mode: int = 0o600) -> Path:
        path = self.base / name
        path.write_text(text)
        path.chmod(mode)
        return path


class Sshd(Server):
    """sshd with a key of its own. A user's key is made for each forced command that is asked for."""

    def prepare(self) -> None:
        os.makedirs('/run/sshd', exist_ok=True)
        self.host_key = self.make_key('host')
        self.authorized: list[str] = []
        self.identity = self.user_key('user', 'restrict')
        self.write('sshd_config', f'Port {self.port}\nListenAddress {self.host}\nHostKey {self.host_key}\n'
                   f'AuthorizedKeysFile {self.base}/authorized_keys\nPidFile none\nPermitRootLogin yes\n'
                   'PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\n'
                   # A shell that believes itself to be an inner one spares us root's .bashrc.
                   'SetEnv SHLVL=2\nUseDNS no\nLogLevel ERROR\nMaxStartups 100\n')
        self.known_hosts = self.write('known_hosts', self.known(self.host_key))

    def known(self, key: Path) -> str:
        words = key.with_suffix('.pub').read_text().split()
        return f'[{self.host}]:{self.port} {words[0]} {words[1]}\n'

    def command(self) -> list[str]:
        return ['/usr/sbin/sshd', '-D', '-e', '-f', str(self.base / 'sshd_config')]

    def make_key(self, name: str) -> Path:
        path = self.base / f'{name}_key'
        subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', path], check=True)
        return path

    def user_key(self, name: str, options: str) -> Path:
        key = self.make_key(name)
        self.authorized.append(f'{options} {key.with_suffix(".pub").read_text()}')
        self.write('authorized_keys', ''.join(self.authorized))
        return key

    def forced(self, name: str, command: str) -> Path:
        """A key that can run this command only."""
        return self.user_key(name, f'restrict,command="{command}"')

    def options(self, path: Path | str, **more: object) -> dict[str, object]:
        return {'plugin': 'rsync', 'target': f'root@{self.host}:{path}', 'identity_file': self.identity,
                'known_hosts': self.known_hosts, 'ssh_port': self.port} | more


class Daemon(Server):
    """rsyncd. The module `all` is the directory root, for a user with a password; others are added before the start."""

    def __init__(self, root: Path, modules: str = '', **options: object) -> None:
        super().__init__(**options)
        self.root, self.modules = root, modules

    def prepare(self) -> None:
        self.write('secrets', f'{USER}:{PASSWORD}\n')
        self.write('rsyncd.conf', f'port = {self.port}\naddress = {self.host}\npid file = {self.base}/pid\n'
                   f'use chroot = no\nuid = root\ngid = root\nreverse lookup = no\n[all]\npath = {self.root}\n'
                   f'read only = no\nauth users = {USER}\nsecrets file = {self.base}/secrets\n{self.modules}')

    def command(self) -> list[str]:
        return ['rsync', '--daemon', '--no-detach', '--config', str(self.base / 'rsyncd.conf'),
                '--log-file', str(self.base / 'daemon.log')]

    def options(self, path: Path | str, module: str = 'all', **more: object) -> dict[str, object]:
        path = os.path.relpath(path, self.root) if os.path.isabs(path) else path
        return {'plugin': 'rsync', 'target': f'rsync://{USER}@{self.host}:{self.port}/{module}/{path}',
                'password': PASSWORD if module == 'all' else None} | more


class FarStore(DirectoryStore):
    def objects(self, kind: str = '') -> list:
        return [path for path in super().objects(kind) if '/~cofre/' not in str(path)]


def through_ssh(request, base: Path) -> DirectoryStore:
    root = base / 'far' / 'repository'
    return FarStore(root, **request.getfixturevalue('sshd').options(root))


def from_daemon(request, base: Path) -> DirectoryStore:
    root = base / 'far' / 'repository'
    return FarStore(root, **request.getfixturevalue('rsyncd').options(root))


@contextmanager
def namespace(name: str):
    """A network namespace with a line to ours: 10.99.N.1 here, 10.99.N.2 there."""
    number = os.getpid() % 250 + 1
    here, there = f'10.99.{number}.1', f'10.99.{number}.2'
    inside, outside = f'cf{number}i', f'cf{number}o'

    def ip(*words: str) -> None:
        subprocess.run(['ip', *words], check=True)

    ip('netns', 'add', name)
    try:
        ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', inside, 'netns', name)
        ip('addr', 'add', f'{here}/24', 'dev', outside)
        ip('link', 'set', outside, 'up')
        ip('-n', name, 'addr', 'add', f'{there}/24', 'dev', inside)
        ip('-n', name, 'link', 'set', inside, 'up')
        ip('-n', name, 'link', 'set', 'lo', 'up')
        yield there
    finally:
        # By itself it would go some time after the namespace, and stand in the way of the next one until then.
        subprocess.run(['ip', 'link', 'del', outside], check=False)
        subprocess.run(['ip', 'netns', 'del', name], check=False)
