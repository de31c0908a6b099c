"""Every place that is written, every resource that runs out: a named error or success; never a lie, a hang, a crash."""
import os
import shutil
import subprocess

import pytest

from support import clock
from support.cli import CLEAN, DONE, FAILURES, Result, World, execute
from support.faults import sample
from support.oracle import assert_same_tree, tree_state
from support.tree import plain_tree

VERBS = {'init': ('init', 'disk'), 'run': ('run', 'job'), 'list': ('list', 'job'), 'verify': ('verify', 'job', '--all'),
         'copy': ('copy', 'job', '--from', 'disk', '--to', 'second'), 'restore': ('restore', 'job', '--into')}
SHORT = 3
STATUSES = FAILURES | {DONE, 78}


class Place:
    """A repository of one snapshot, a second one that is empty, and a change that is not saved yet; reset() puts them
    back. init has nothing but the configuration."""

    def __init__(self, world: World, verb: str) -> None:
        self.world, self.verb = world, verb
        self.base = world.base
        self.into = self.base / 'into'
        self.tree = plain_tree(self.base / 'tree', files=8)
        self.parts = [world.repository, self.base / 'second', self.base / 'state', self.base / 'cache', world.key.parent]
        world.source('tree', self.tree)
        world.sink()
        world.sink('second', path=self.base / 'second')
        world.job()
        if verb != 'init':
            world.ok('init', 'disk')
            world.ok('init', 'second')
            world.ok('run', 'job')
        self.saved = tree_state(self.tree)
        (self.tree / 'new').write_bytes(bytes(range(256)) * 400)
        for part in self.parts:
            if part.exists():
                shutil.copytree(part, self.base / 'kept' / part.name)

    def reset(self) -> None:
        for part in [*self.parts, self.into]:
            shutil.rmtree(part, ignore_errors=True)
            kept = self.base / 'kept' / part.name
            if kept.exists():
                shutil.copytree(kept, part)

    @property
    def words(self) -> tuple:
        return (*VERBS[self.verb], self.into) if self.verb == 'restore' else VERBS[self.verb]

    def judge(self, result: Result, note: str) -> None:
        """What the status said is true, and the next one needs no help."""
        assert result.status in STATUSES, f'{note}\n{result}'
        assert result.status == DONE or result.err.strip(), f'{note}: it failed without a word\n{result}'
        assert 'assert' not in result.err.lower() and 'bug' not in result.err.lower(), f'{note}\n{result}'
        getattr(self, 'judge_' + self.verb)(result.status == DONE, note)

    def judge_init(self, done: bool, note: str) -> None:
        if not done:
            self.world.ok('init', 'disk')
        self.world.ok('run', 'job')
        self.whole('disk', tree_state(self.tree), note)

    def judge_run(self, done: bool, note: str) -> None:
        state = tree_state(self.tree)
        if done:
            self.whole('disk', state, note)
        self.world.ok('run', 'job')
        self.whole('disk', state, note)

    def judge_list(self, done: bool, note: str) -> None:
        self.world.ok('list', 'job')

    judge_verify = judge_list

    def judge_copy(self, done: bool, note: str) -> None:
        if not done:
            self.world.ok(*self.words)
        self.whole('second', self.saved, note)

    def judge_restore(self, done: bool, note: str) -> None:
        if not done:
            self.world.ok(*self.words, '--yes')
        assert_same_tree(self.saved, self.into / 'tree')
        assert [p.name for p in self.into.iterdir()] == ['tree'], note

    def whole(self, sink: str, state: dict, note: str) -> None:
        """The newest snapshot of this sink, looked at without this machine's cache."""
        shutil.rmtree(self.base / 'cache', ignore_errors=True)
        self.world.ok('verify', 'job', '--all', '--sink', sink)
        into = self.base / 'looked-at'
        shutil.rmtree(into, ignore_errors=True)
        self.world.ok('restore', 'job', '--into', into, '--sink', sink)
        assert_same_tree(state, into / 'tree')


@pytest.fixture
def place(world, request) -> Place:
    return Place(world, request.node.callspec.params['verb'])


# Where each verb writes, and what it calls there.
SINK = ['openat', 'mkdirat', 'pwrite64', 'fsync', 'close', 'renameat2', 'unlinkat', 'read', 'pread64', 'getdents64', 'newfstatat']
LOCAL = ['openat', 'mkdir', 'chmod', 'write', 'pwrite64', 'fsync', 'close', 'renameat2', 'rename', 'unlink', 'ftruncate',
         'mmap', 'read', 'flock']
TARGET = ['openat', 'mkdirat', 'pwrite64', 'close', 'syncfs', 'fchownat', 'fchmod', 'utimensat', 'renameat2', 'unlink']
PLACES = {
    'init': {'repository': SINK, 'keys': LOCAL},
    'run': {'repository': SINK, 'state': LOCAL, 'cache': LOCAL},
    'copy': {'second': SINK, 'cache': LOCAL},
    'restore': {'into': TARGET, 'repository': ['read', 'pread64', 'openat'], 'cache': LOCAL},
    'verify': {'repository': ['read', 'pread64', 'openat', 'getdents64'], 'cache': LOCAL, 'state': LOCAL},
    'list': {'repository': ['read', 'openat', 'getdents64'], 'cache': LOCAL},
}


def fail_calls(place: Place, faults, wanted: int, causes: tuple[str, ...], every: int = 1) -> tuple[int, list[str]]:
    """every: one in so many of the calls, others in each directory."""
    points, failures = 0, []
    for first, (directory, calls) in enumerate(PLACES[place.verb].items()):
        below = f'{place.base}/{directory}'
        for call in calls[first % every::every]:
            place.reset()
            faults.fail_at(call, 'EIO', 0, place.world, *place.words, below=below)
            for number in sample(faults.count(), wanted) if faults.count() else []:
                for cause in causes:
                    for sticky in (False, True):
                        note = f'{place.verb}: {call} {number} below {directory}: {cause}{", and all later ones" * sticky}'
                        place.reset()
                        result = faults.fail_at(call, cause, number, place.world, *place.words, below=below, sticky=sticky)
                        points += 1
                        try:
                            place.judge(result, note)
                        except AssertionError as error:
                            failures.append(f'{note}: {error}')
    print(f'{place.verb}: {points} points, {len(failures)} failed')
    return points, failures


@pytest.mark.parametrize('verb', PLACES)
def test_failing_calls(place, faults, verb):
    points, failures = fail_calls(place, faults, 1, ('EIO',), every=4)
    assert points and not failures, f'{len(failures)} of {points}\n' + '\n'.join(failures[:5])


@pytest.mark.long
@pytest.mark.parametrize('verb', PLACES)
def test_failing_calls_everywhere(place, faults, verb):
    points, failures = fail_calls(place, faults, 12, ('EIO', 'ENOSPC'))
    assert points and not failures, f'{len(failures)} of {points}\n' + '\n'.join(failures[:8])


def starve(place: Place, faults, wanted: int) -> tuple[int, list[str]]:
    """Allocations fail: in the engine, and, with the plugins in its process, everywhere."""
    points, failures = 0, []
    for options in ((), ('--in-process',)):
        command = [place.world.binary, '--config-dir', place.world.conf, *options, *place.words]
        place.reset()
        faults.out.unlink(missing_ok=True)
        execute(command, env=CLEAN | faults.alloc_environment(0))
        for number in sample(max(map(int, faults.out.read_text().split())), wanted):
            for sticky in ({}, {'ALLOC_FAIL_STICKY': '1'}):
                place.reset()
                note = f'{place.verb} {" ".join(options)}: allocation {number}{" and all later ones" * bool(sticky)}'
                points += 1
                try:
                    place.judge(execute(command, env=CLEAN | faults.alloc_environment(number) | sticky), note)
                except AssertionError as error:
                    failures.append(f'{note}: {error}')
    print(f'{place.verb}: {points} points, {len(failures)} failed')
    return points, failures


@pytest.mark.preload
@pytest.mark.parametrize('verb', VERBS)
def test_no_memory(place, faults, verb):
    points, failures = starve(place, faults, SHORT)
    assert not failures, f'{len(failures)} of {points}\n' + '\n'.join(failures[:5])


@pytest.mark.long
@pytest.mark.preload
@pytest.mark.parametrize('verb', VERBS)
def test_no_memory_everywhere(place, faults, verb):
    points, failures = starve(place, faults, 80)
    assert not failures, f'{len(failures)} of {points}\n' + '\n'.join(failures[:8])


def shell(script: str) -> tuple:
    return '/bin/sh', '-c', script + '; exec "$@"', 'sh'


def few_descriptors(place: Place, limits) -> None:
    for limit in limits:
        place.reset()
        result = place.world(*place.words, prefix=shell(f'ulimit -n {limit}'))
        if result.status == 127:  # the loader itself could not open a library
            continue
        place.judge(result, f'{limit} descriptors')


@pytest.mark.parametrize('verb', VERBS)
def test_few_descriptors(place, verb):
    few_descriptors(place, (4, 7, 9, 12, 20))


@pytest.mark.long
@pytest.mark.parametrize('verb', VERBS)
def test_each_number_of_descriptors(place, verb):
    few_descriptors(place, range(3, 41))


@pytest.mark.parametrize('verb', VERBS)
def test_closed_streams(place, verb):
    """None of the files that are opened may take the place of a closed stream and be written to as such."""
    for closed in ('0<&-', '1>&-', '2>&-', '0<&- 1>&- 2>&-'):
        place.reset()
        result = place.world(*place.words, prefix=shell('exec ' + closed))
        assert result.status in STATUSES, f'{closed}\n{result}'
        if result.status == DONE or '2>' not in closed:
            place.judge(result, closed)


@pytest.mark.parametrize('verb', VERBS)
@pytest.mark.parametrize('umask', ['000', '777'])
def test_umask(place, verb, umask):
    place.reset()
    result = place.world(*place.words, prefix=shell(f'umask {umask}'))
    assert result.status == DONE, result
    place.judge(result, umask)
    for name in ('repository', 'second', 'state', 'cache', 'keys'):
        for directory, _, files in os.walk(place.base / name):
            assert os.stat(directory).st_mode & 0o7777 == 0o700, directory
            for file in files:
                assert os.stat(os.path.join(directory, file)).st_mode & 0o7777 == 0o600, file


@pytest.mark.parametrize('verb', VERBS)
@pytest.mark.parametrize('date', ['1970-01-01 00:00:05', '2099-12-31 23:59:50'])
def test_clock(place, verb, date):
    """A clock that is wrong, and right again afterwards."""
    place.reset()
    result = place.world(*place.words, prefix=clock.at(date))
    assert result.status in STATUSES and result.status < 128, result
    assert result.status == DONE or result.err.strip(), result
    if verb != 'run':
        place.judge(result, date)
        return
    for snapshot in place.world.snapshots():
        world = place.world
        shutil.rmtree(place.into, ignore_errors=True)
        world.ok('restore', f'job@{snapshot}', '--into', place.into)
    world.ok('run', 'job')
    newest = world.ok('verify', 'job', '--all')
    assert newest.status == DONE


@pytest.mark.parametrize('verb', ['list', 'verify', 'restore', 'run'])
def test_read_only_sink(world, tmp_path, tmpfs, verb):
    """What is stored can be read where nothing can be written."""
    disk = tmpfs('disk', 'size=64m')
    tree = plain_tree(tmp_path / 'tree', files=8)
    world.source('tree', tree)
    world.sink(path=disk / 'cofre')
    world.job()
    world.ok('init', 'disk')
    world.ok('run', 'job')
    subprocess.run(['mount', '-o', 'remount,ro', disk], check=True)
    words = (*VERBS[verb], tmp_path / 'into') if verb == 'restore' else VERBS[verb]
    result = world(*words)
    if verb == 'run':
        assert result.status == 1 and 'read-only' in result.err.lower(), result
    else:
        assert result.status == DONE, result
    if verb == 'restore':
        assert_same_tree(tree, tmp_path / 'into' / 'tree')


def test_a_state_directory_that_cannot_be_written(world, tmp_path, tmpfs):
    """The lock, the chain and the cache are needed for a run; a restore on a rescue system has none of them."""
    small = tmpfs('small', 'size=1m')
    world.section('engine', state_dir=small / 'state', cache_dir=small / 'cache', host='testhost')
    world.simple(plain_tree(tmp_path / 'tree', files=8))
    world.ok('run', 'job')
    subprocess.run(['mount', '-o', 'remount,ro', small], check=True)
    result = world.fails(FAILURES, 'run', 'job')
    assert 'read-only' in result.err.lower() and str(small) in result.err, result
    result = world('restore', 'job', '--into', tmp_path / 'into')
    assert result.status == DONE or (result.status in FAILURES and str(small) in result.err), result


def test_a_full_state_directory(world, tmp_path, tmpfs):
    small = tmpfs('small', 'size=64k')
    world.section('engine', state_dir=small / 'state', cache_dir=small / 'cache', host='testhost')
    tree = plain_tree(tmp_path / 'tree', files=8)
    world.simple(tree)
    filler = os.open(small / 'filler', os.O_WRONLY | os.O_CREAT, 0o600)
    with pytest.raises(OSError):
        while os.write(filler, bytes(4096)):
            pass
    os.close(filler)
    result = world('run', 'job')
    assert result.status in FAILURES | {DONE}, result
    assert result.status == DONE or 'space' in result.err.lower(), result
    (small / 'filler').unlink()
    world.ok('run', 'job')
    assert_same_tree(tree, world.restored() / 'tree')
