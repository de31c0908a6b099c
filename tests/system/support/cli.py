"""A small world for one test: a configuration directory, sources, sinks, keys, and the command that is tested."""
from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from .directory_store import DirectoryStore

SNAPSHOT_ID = re.compile(r'\b\d{8}T\d{6}Z-[0-9a-f]{6}\b')

# What cron gives, less HOME: everything that cofre needs to know stands in its configuration.
CLEAN = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'SHELL': '/bin/sh'}
# And what a build with sanitizers is told.
CLEAN |= {name: value for name, value in os.environ.items() if name in ('ASAN_OPTIONS', 'UBSAN_OPTIONS', 'TSAN_OPTIONS')}

DONE, FAILED, USAGE, INCOMPLETE = 0, 1, 2, 3
NO_REPOSITORY, BUSY, WRONG_KEY, DAMAGED, OVERDUE, BAD_CONFIG = 10, 11, 12, 13, 14, 78

# What a fault may lead to: never a signal, never a status that the manual does not know.
FAILURES = {FAILED, INCOMPLETE, NO_REPOSITORY, BUSY, WRONG_KEY, DAMAGED, BAD_CONFIG}


class Result(str):
    """What a command said, and its status. A str, since pytest shows only that whole when it stands behind an assertion."""

    def __new__(cls, command: list[str], status: int, out: str, err: str) -> Result:
        one = super().__new__(cls, f'{" ".join(command)}\nstatus {status}\n--- stdout\n{out}\n--- stderr\n{err}')
        one.command, one.status, one.out, one.err = command, status, out, err
        return one

    @property
    def text(self) -> str:
        return self.out + self.err

    @property
    def ids(self) -> list[str]:
        """The snapshots that stdout names, each once, in their order."""
        return list(dict.fromkeys(SNAPSHOT_ID.findall(self.out)))

    def json(self) -> list[dict]:
        return [json.loads(line) for line in self.out.splitlines()]


TRACERS = {'strace', 'killat', 'failat'}


def without_leak_detection(env: dict) -> dict:
    """LeakSanitizer cannot look at a process that is being traced, and calls that an error."""
    return env | {'ASAN_OPTIONS': env.get('ASAN_OPTIONS', '') + ':detect_leaks=0'}


def decoded(output: bytes | None) -> str:
    return (output or b'').decode(errors='replace')


def execute(command: list, env: dict | None = None, timeout: float = 120, **options) -> Result:
    command = [str(word) for word in command]
    env = CLEAN if env is None else env
    if Path(command[0]).name in TRACERS:
        env = without_leak_detection(env)
    streams = {'stdin': subprocess.DEVNULL, 'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE} | options
    try:
        done = subprocess.run(command, env=env, timeout=timeout, check=False, **streams)
    except subprocess.TimeoutExpired as expired:
        raise AssertionError(f'{" ".join(command)}\nnot done after {timeout} s\n--- stdout\n{decoded(expired.stdout)}\n'
                             f'--- stderr\n{decoded(expired.stderr)}') from expired
    status = done.returncode if done.returncode >= 0 else 128 - done.returncode
    return Result(command, status, decoded(done.stdout), decoded(done.stderr))


def key_id(path: Path) -> str:
    """What stands in a key file behind 'id:'."""
    [line] = [line for line in path.read_text().splitlines() if line.startswith('id:')]
    return line.split()[1]


class World:
    """Sections are written as they are added; the same name again replaces the section."""

    def __init__(self, base: Path, binary: Path, store=None) -> None:
        self.base, self.binary = Path(base), Path(binary)
        self.prefix: tuple = ()  # what every command is run by
        self.conf = self.base / 'conf.d'
        self.repository = self.base / 'repository'
        self.store = store or DirectoryStore(self.repository)
        self.key = self.base / 'keys' / 'full.key'
        for directory in (self.conf, self.key.parent):
            directory.mkdir(mode=0o700)
        self.section('engine', state_dir=self.base / 'state', cache_dir=self.base / 'cache', host='testhost')

    @contextmanager
    def for_everybody(self):
        """The binary where users other than root can run it too: a checkout below /root is closed to them."""
        built = self.binary
        with tempfile.TemporaryDirectory(prefix='cofre-', dir='/tmp') as place:
            os.chmod(place, 0o755)
            self.binary = Path(shutil.copy2(built, place))
            shutil.copy2(built.with_name('cofre-worker'), place)
            shutil.copytree(built.parent / 'plugins', Path(place, 'plugins'), ignore=lambda *_: ['common', 'CMakeFiles'])
            yield self
            self.binary = built

    def section(self, title: str, **options: object) -> None:
        """An option that is None is not written. What fails in passing fails at once, unless a test is about that."""
        if title.startswith('source '):
            options = {'retry_for': 0} | options
        lines = [f'[{title}]'] + [f'{name} = {value}' for name, value in options.items() if value is not None]
        self.write(re.sub(r'[^a-z0-9]+', '-', title) + '.conf', '\n'.join(lines) + '\n')

    def write(self, name: str, text: str) -> Path:
        path = self.conf / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def source(self, name: str, path: Path, **options: object) -> Path:
        self.section(f'source {name}', plugin='directory', path=path, **options)
        return Path(path)

    def sink(self, name: str = 'disk', path: Path | None = None, key: Path | None = None, **options: object) -> Path:
        """A sink in a directory, or, without a path, in the store under test."""
        where = {'plugin': 'local', 'path': Path(path)} if path else self.store.options()
        key = None if options.get('encryption') == 'none' else key or self.key
        self.section(f'sink {name}', **where | {'key': key} | options)
        return Path(path or self.repository)

    def job(self, name: str = 'job', sources: str = 'tree', sinks: str = 'disk', **options: object) -> None:
        self.section(f'job {name}', sources=sources, sinks=sinks, **options)

    def simple(self, tree: Path) -> 'World':
        """One source 'tree', one sink 'disk', one job 'job', initialised."""
        self.source('tree', tree)
        self.sink()
        self.job()
        self.ok('init', 'disk')
        return self

    def command(self, *words: object) -> list[str]:
        return [str(self.binary), '--config-dir', str(self.conf), *map(str, words)]

    def __call__(self, *words: object, prefix: tuple = (), **options) -> Result:
        return execute([*self.prefix, *prefix, *self.command(*words)], **options)

    def ok(self, *words: object, **options) -> Result:
        result = self(*words, **options)
        assert result.status == DONE, result
        return result

    def fails(self, status: int | set[int], *words: object, **options) -> Result:
        """Runs, and expects this status (or one of them) and an explanation."""
        result = self(*words, **options)
        assert result.status in (status if isinstance(status, set) else {status}), result
        assert result.text.strip(), f'it failed without a word\n{result}'
        return result

    def put_key(self, name: str = 'put.key', host: str = 'testhost') -> Path:
        """A put key of this host, made from the world's full key."""
        path = self.base / 'keys' / name
        self.ok('key', 'put', self.key, path, '--host', host)
        return path

    def prune_key(self, name: str = 'prune.key', *options: str) -> Path:
        """A prune key, made from the world's full key; options: --host HOST."""
        path = self.base / 'keys' / name
        self.ok('key', 'prune', self.key, path, *options)
        return path

    def snapshots(self, job: str = 'job') -> list[str]:
        return self.ok('list', job).ids

    def restored(self, selector: str = 'job', name: str = 'restored', *options: str) -> Path:
        """Restores into a new directory and returns it."""
        into = self.base / name
        self.ok('restore', selector, '--into', into, *options)
        return into

    def objects(self, kind: str = '', repository: Path | None = None) -> list:
        return (DirectoryStore(repository) if repository else self.store).objects(kind)
