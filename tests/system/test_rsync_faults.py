"""The far side loses power, the line is cut, rsync is killed, the disk fills up: never a part of an object under its name,
nothing that was committed is lost, and the next run needs no help."""
import itertools
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from power import Disk

from support.cli import CLEAN, FAILURES
from support.faults import sample
from support.oracle import assert_same_tree, tree_state
from support.rsync import Daemon, Sshd, namespace
from support.tree import plain_tree


def configure(world, tmp_path, options: dict) -> None:
    world.section('sink far', **options, key=world.key)
    world.source('tree', tmp_path / 'tree')
    world.job(sinks='far')


# ---- power ----

@pytest.mark.power
@pytest.mark.parametrize(('kind', 'system'), [('ssh', 'ext4'), ('daemon', 'xfs'),
                                              pytest.param('ssh', 'xfs', marks=pytest.mark.long),
                                              pytest.param('daemon', 'ext4', marks=pytest.mark.long)])
def test_a_committed_snapshot_is_durable_there(world, sshd, rsyncd, tmp_path, kind, system):
    plain_tree(tmp_path / 'tree', files=8)
    with Disk(tmp_path, system) as disk:
        configure(world, tmp_path, (sshd if kind == 'ssh' else rsyncd).options(disk.path / 'place'))
        world.ok('init', 'far')
        committed_and_cut(world, disk, tmp_path)


def committed_and_cut(world, disk, tmp_path) -> None:
    for generation in range(2):
        disk.cut()
        disk.restart()
        (tmp_path / 'tree' / f'new{generation}').write_bytes(os.urandom(300_000))
        said = ''
        with subprocess.Popen(world.command('run', 'job'), env=CLEAN, stderr=subprocess.PIPE, text=True) as process:
            # At the very moment at which it is said.
            for line in process.stderr:
                said += line
                if re.search(r'committed \S+ to far', line):
                    disk.cut()
        assert process.returncode == 0, said
        disk.restart()
        assert len(world.snapshots()) == generation + 1
        world.ok('verify', 'job', '--all')
        assert_same_tree(tmp_path / 'tree', world.restored('job', f'restored{generation}') / 'tree')


@pytest.mark.power
def test_without_fsync_check_has_said_so(world, sshd, tmp_path):
    """And the power test can fail: without the flush the snapshot is gone."""
    plain_tree(tmp_path / 'tree', files=8)
    with Disk(tmp_path, 'ext4') as disk:
        configure(world, tmp_path, sshd.options(disk.path / 'place', fsync='no'))
        (disk.path / 'place').mkdir()
        world.ok('init', 'far')
        subprocess.run(['sync', '-f', disk.path], check=True)
        assert 'cannot promise' in world.ok('check', 'far').text
        world.ok('run', 'job')
        disk.cut()
        disk.restart()
        result = world('verify', 'job', '--all')
        assert result.status in FAILURES or not world.snapshots(), result


# ---- faults at many points of a run ----

class Scene:
    """A place that starts from one committed snapshot, a tree that has changed since, and a run of about a second."""

    def __init__(self, world, tmp_path, place: Path, size: int = 3_000_000) -> None:
        self.world, self.base, self.place, self.size = world, tmp_path, place, size
        self.tree = tmp_path / 'tree'
        plain_tree(self.tree, files=8)
        self.before: dict = {}

    def begin(self, options: dict) -> float:
        """Makes the first snapshot and returns how long a run takes."""
        configure(self.world, self.base, options)
        self.world.ok('init', 'far')
        self.world.ok('run', 'job')
        start = time.monotonic()
        self.grow()
        self.world.ok('run', 'job')
        return time.monotonic() - start

    def grow(self) -> None:
        (self.tree / 'big').write_bytes(os.urandom(self.size))
        self.before = tree_state(self.tree)

    def start(self) -> subprocess.Popen:
        self.grow()
        return subprocess.Popen(self.world.command('run', 'job'), env=CLEAN, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def objects(self) -> list[Path]:
        return [p for kind in ('packs', 'index') for p in (self.place / kind).rglob('*') if p.is_file()]

    def look(self, note: str, status: int, messages: str) -> None:
        """What must hold after any fault, and after the next run."""
        for path in self.objects():
            found = subprocess.check_output(['b3sum', '--no-names', path], text=True).strip()
            assert found == path.name, f'{note}: a part is under the name {path}'
        listed = self.world.snapshots()
        if status == 0 or 'committed' in messages:
            assert_same_tree(self.before, self.world.restored(f'job@{listed[-1]}', 'restored') / 'tree')
            shutil.rmtree(self.base / 'restored')
        self.world.ok('run', 'job')
        assert len(self.world.snapshots()) == len(listed) + 1, note
        self.world.ok('verify', 'job')

    def cut_short(self) -> None:
        """Old snapshots and their packs go, so that hundreds of points stay small."""
        if sum(p.stat().st_size for p in self.objects()) > 150 << 20:
            for name in ('place', 'state', 'cache'):
                where = self.place if name == 'place' else self.base / name
                shutil.rmtree(where)
            self.world.ok('init', 'far')
            self.world.ok('run', 'job')


def descendants(pid: int) -> list[int]:
    found = []
    for line in subprocess.run(['ps', '-axo', 'pid=,ppid=,comm='], capture_output=True, text=True, check=True).stdout.splitlines():
        found.append((int(line.split()[0]), int(line.split()[1]), line.split()[2]))
    tree, waiting = [], [pid]
    while waiting:
        parent = waiting.pop()
        children = [(p, name) for p, up, name in found if up == parent]
        tree += children
        waiting += [p for p, _ in children]
    return [p for p, name in tree if name == 'rsync']


def kill(pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def sweep(scene: Scene, seconds: float, points: list[int], faults: dict) -> None:
    """Each fault in turn, at points of the run: in thousandths of it."""
    for number, name in zip(points, itertools.cycle(faults)):
        moment = seconds * number / 1000
        process = scene.start()
        time.sleep(moment)
        faults[name](process)
        messages = process.communicate(timeout=120)[1]
        print(f'{name} at {moment:.2f} s: status {process.returncode}', flush=True)
        assert process.returncode == 0 or process.returncode in FAILURES | {-signal.SIGKILL}, f'{name} {moment}: {messages}'
        scene.look(f'{name} at {moment:.2f} s', process.returncode, messages)
        scene.cut_short()


def fill(place: Path, process: subprocess.Popen) -> None:
    """The disk is full until the run has ended."""
    filler = place.parent / 'filler'
    try:
        with open(filler, 'wb', buffering=0) as file:
            while True:
                file.write(bytes(1 << 20))
    except OSError:
        pass
    try:
        process.wait(timeout=60)
    finally:
        filler.unlink()


def broken_points(world, tmp_path, tmpfs, points: list[int], kind: str) -> None:
    disk = tmpfs('disk', 'size=512m')
    several = kind == 'several at once'
    with Daemon(disk) if kind == 'daemon' else Sshd() as server:
        scene = Scene(world, tmp_path, disk / 'place', 100_000_000 if several else 3_000_000)
        # One is slow enough that a point can be in the middle of an object; several share a line without a limit.
        seconds = scene.begin(server.options(scene.place, bandwidth=None if several else '6MiB'))
        sweep(scene, seconds, points, {
            'a full disk': lambda process: fill(scene.place, process),
            'rsync there': lambda process: kill(descendants(server.process.pid)),
            'rsync here': lambda process: kill(descendants(process.pid)),
            'everything here': lambda process: process.kill()})


@pytest.mark.parametrize('kind', ['ssh', 'several at once'])
def test_broken_at_some_points(world, tmp_path, tmpfs, kind):
    broken_points(world, tmp_path, tmpfs, [400 if kind == 'ssh' else 700], kind)


@pytest.mark.long
@pytest.mark.parametrize('kind', ['ssh', 'daemon', 'several at once'])
@pytest.mark.parametrize('part', range(8))
def test_broken_at_many_points(world, tmp_path, tmpfs, kind, part):
    broken_points(world, tmp_path, tmpfs, sample(1000, 40 if kind == 'several at once' else 80)[part::8], kind)


# ---- the line ----

@pytest.fixture
def line():
    """An sshd in a network namespace, and a function that drops what comes from there, or lets it through."""
    name = f'cofre-test-{os.getpid()}'
    with namespace(name) as address, Sshd(port=2222, prefix=('ip', 'netns', 'exec', name), host=address) as server:
        def cut(really: bool) -> None:
            subprocess.run(['ip', 'netns', 'exec', name, 'iptables', '-w', '-I' if really else '-D', 'OUTPUT', '-j', 'DROP'],
                           check=True)
        yield server, cut


def cut_points(world, tmp_path, line, points: list[int], silence: float) -> None:
    server, cut = line
    scene = Scene(world, tmp_path, tmp_path / 'far')
    seconds = scene.begin(server.options(scene.place, bandwidth='6MiB', io_timeout='1s'))

    def fault(process: subprocess.Popen) -> None:
        del process
        cut(True)
        time.sleep(silence)
        cut(False)

    sweep(scene, seconds, points, {'the line': fault})


def test_a_line_that_is_cut_and_comes_back(world, tmp_path, line):
    cut_points(world, tmp_path, line, [550], 3)


@pytest.mark.long
@pytest.mark.parametrize('part', range(8))
def test_a_line_that_is_cut_at_many_points(world, tmp_path, line, part):
    cut_points(world, tmp_path, line, sample(1000, 40)[part::8], 3)
