"""Black-box tests: they drive the binary and look at what it leaves, with tools that share no code with it.

COFRE_BINARY names the binary, default build/release/cofre; the tools of tests/faults are built beside it in tests/.
"""
from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(TOP / 'tests' / 'faults'))

from support.bad_s3 import BadS3  # noqa: E402
from support.ceph import Ceph  # noqa: E402
from support.cli import World  # noqa: E402
from support.faults import Faults  # noqa: E402
from support.oracle import assert_same_tree, tree_state  # noqa: E402
from support.rsync import Daemon, Sshd  # noqa: E402
from support.stores import SLOW, STORES  # noqa: E402


def pytest_generate_tests(metafunc):
    if marker := metafunc.definition.get_closest_marker('every_sink'):
        sweep, slow = marker.kwargs.get('sweep'), marker.kwargs.get('slow')
        late = {name for name in STORES if (sweep and name != 'local') or (not slow and name in SLOW)}
        rows = [pytest.param(name, marks=[pytest.mark.long] if name in late else []) for name in STORES]
        metafunc.parametrize('store', rows, indirect=True)


# One file runs on one processor. These take longest, and begin first, so that none of them is left alone in the end.
LONGEST = ('docker_postgres', 'fault_sweep', 'forged', 'bare', 'postgres_altered', 'postgres_faults', 'postgres', 'postgres_restore', 'removed',
           'one_bad_object', 'rsync', 'roundtrip', 'docker_restore', 'faults', 'redis', 's3', 'prune', 'gc', 'docker_misbehaving', 'docker_project')


def turn(item: pytest.Item) -> int:
    name = item.path.stem.removeprefix('test_')
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)


def binary_path() -> Path:
    return Path(os.environ.get('COFRE_BINARY', TOP / 'build' / 'release' / 'cofre')).resolve()


def pytest_collection_modifyitems(config, items):
    """A sanitizer has an allocator of its own, beside which no other can stand, and sees locks only as the C library has them;
    what counts coverage does not bear it when there is no memory."""
    items.sort(key=turn)
    path = binary_path()
    if path.is_file() and any(name in path.read_bytes() for name in (b'__asan_init', b'__tsan_init', b'__gcov_init')):
        apart = [item for item in items if item.get_closest_marker('preload')]
        config.hook.pytest_deselected(items=apart)
        items[:] = [item for item in items if item not in apart]


@pytest.fixture(scope='session')
def binary() -> Path:
    path = binary_path()
    assert path.is_file(), f"'{path}' does not exist: build it first, or set COFRE_BINARY"
    return path


@pytest.fixture(scope='session')
def ceph():
    service = Ceph()
    yield service
    service.stop()


@pytest.fixture(scope='session')
def sshd():
    with Sshd() as server:
        yield server


@pytest.fixture(scope='session')
def rsyncd(tmp_path_factory):
    with Daemon(tmp_path_factory.getbasetemp()) as server:
        yield server


@pytest.fixture
def bad_s3_server():
    """An S3 store that answers as a test wants; what it was asked for has to have been right."""
    server = BadS3()
    yield server
    server.stop()
    assert not server.store.problems, server.store.problems


@pytest.fixture
def store(request, tmp_path: Path):
    return STORES[getattr(request, 'param', 'local')](request, tmp_path)


@pytest.fixture
def world(tmp_path: Path, binary: Path, store) -> World:
    tmp_path.chmod(0o700)
    return World(tmp_path, binary, store)


@pytest.fixture
def open_binary(world: World):
    """For tests that run cofre as another user."""
    with world.for_everybody():
        yield


@pytest.fixture
def faults(binary: Path, tmp_path: Path) -> Faults:
    return Faults(binary.parent / 'tests', tmp_path)


@pytest.fixture
def tmpfs(tmp_path: Path):
    """A function that mounts a small tmpfs; all are unmounted at the end."""
    mounted: list[Path] = []

    def mount(name: str, options: str) -> Path:
        path = tmp_path / name
        path.mkdir(mode=0o700)
        subprocess.run(['mount', '-t', 'tmpfs', '-o', options + ',mode=0700', 'tmpfs', path], check=True)
        mounted.append(path)
        return path

    yield mount
    for path in mounted:
        subprocess.run(['umount', '-l', path], check=True)


@pytest.fixture
def second_opinion(world: World, tmp_path: Path):
    """Restores with the reference decoder, which shares no code with cofre, and compares."""
    decoder = HERE / 'support' / 'decoder.py'
    assert importlib.util.find_spec('nacl') and importlib.util.find_spec('zstandard'), 'python3-nacl, python3-zstandard'

    def check(expected, snapshot: str, source: str = 'tree', job: str = 'job', repository: Path | None = None) -> None:
        out = tmp_path / f'decoded-{snapshot}-{source}'
        key = ['--key', world.key] if world.key.exists() else []
        done = subprocess.run(['/usr/bin/python3', decoder, *key, repository or world.store.as_directory(), 'restore',
                               f'testhost/{job}/{snapshot}', out], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        state = expected if isinstance(expected, dict) else tree_state(expected)
        assert_same_tree(state, out / source)

    return check
