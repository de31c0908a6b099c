"""Several sources, several sinks: each stands and falls by itself."""
import os
import shutil
import subprocess

import pytest

from support.cli import BUSY, CLEAN, FAILED, INCOMPLETE, NO_REPOSITORY, execute
from support.oracle import assert_same_tree, tree_state
from support.tree import plain_tree


@pytest.fixture
def two_by_two(world, tmp_path):
    for name, seed in (('one', 1), ('two', 2)):
        world.source(name, plain_tree(tmp_path / name, seed, files=8))
        world.sink(name, path=tmp_path / f'sink-{name}')
        world.ok('init', name)
    world.job(sources='one, two', sinks='one, two')
    return world


@pytest.mark.sample
def test_two_sources_two_sinks(two_by_two, tmp_path):
    result = two_by_two.ok('run', 'job')
    assert len(two_by_two.snapshots()) == 1, result
    for sink in ('one', 'two'):
        into = tmp_path / f'from-{sink}'
        two_by_two.ok('verify', 'job', '--sink', sink)
        two_by_two.ok('restore', 'job', '--into', into, '--sink', sink)
        for source in ('one', 'two'):
            assert_same_tree(tmp_path / source, into / source)


def test_sources_are_read_once_for_all_sinks(two_by_two, tmp_path):
    (tmp_path / 'one' / 'only-once').write_bytes(os.urandom(5 << 20))
    trace = tmp_path / 'trace'
    two_by_two.ok('run', 'job', prefix=('strace', '-f', '-e', 'trace=openat,openat2', '-o', trace))
    assert trace.read_text().count('only-once') == 1


def test_a_failing_sink_and_copy(two_by_two, tmp_path):
    two_by_two.ok('run', 'job')
    shutil.move(tmp_path / 'sink-two', tmp_path / 'away')
    (tmp_path / 'one' / 'new').write_text('new')
    result = two_by_two.fails(INCOMPLETE, 'run', 'job')
    assert "'two'" in result.err, result
    two_by_two.fails(INCOMPLETE, 'list', 'job')  # there may be more where we cannot look
    newest = two_by_two.ok('list', 'job', '--sink', 'one').ids[-1]
    shutil.move(tmp_path / 'away', tmp_path / 'sink-two')
    assert newest not in two_by_two.ok('list', 'job', '--sink', 'two').ids
    two_by_two.ok('copy', f'job@{newest}', '--from', 'one', '--to', 'two')
    two_by_two.ok('copy', f'job@{newest}', '--from', 'one', '--to', 'two')  # once more changes nothing
    two_by_two.ok('verify', 'job', '--sink', 'two', '--all')
    shutil.rmtree(tmp_path / 'sink-one')
    into = tmp_path / 'into'
    two_by_two.ok('restore', f'job@{newest}', '--into', into, '--sink', 'two')
    assert_same_tree(tmp_path / 'one', into / 'one')


def test_the_next_run_brings_a_sink_up_to_date(two_by_two, tmp_path):
    shutil.move(tmp_path / 'sink-two', tmp_path / 'away')
    two_by_two.fails(INCOMPLETE, 'run', 'job')
    shutil.move(tmp_path / 'away', tmp_path / 'sink-two')
    two_by_two.ok('run', 'job')
    into = tmp_path / 'into'
    two_by_two.ok('restore', 'job', '--into', into, '--sink', 'two')
    assert_same_tree(tmp_path / 'one', into / 'one')


def test_all_sinks_failing(two_by_two, tmp_path):
    for name in ('one', 'two'):
        shutil.rmtree(tmp_path / f'sink-{name}')
    result = two_by_two.fails({FAILED, NO_REPOSITORY}, 'run', 'job')
    assert "'one'" in result.err and "'two'" in result.err, result


def test_a_failing_source(two_by_two, tmp_path):
    shutil.rmtree(tmp_path / 'two')
    result = two_by_two.fails(INCOMPLETE, 'run', 'job')
    assert "'two'" in result.err, result
    into = tmp_path / 'into'
    two_by_two('restore', 'job', '--into', into)
    assert_same_tree(tmp_path / 'one', into / 'one')


def test_a_failure_is_said_once(world, tmp_path):
    tree = plain_tree(tmp_path / 'tree', files=2)
    world.simple(tree)
    shutil.rmtree(tree)
    result = world.fails(FAILED, 'run', 'job')
    assert result.err.count(str(tree)) == 1, result


def test_all_sources_failing(two_by_two, tmp_path):
    for name in ('one', 'two'):
        shutil.rmtree(tmp_path / name)
    two_by_two.fails(FAILED, 'run', 'job')
    assert two_by_two('list', 'job').ids == []


def test_an_unreadable_file_is_named(two_by_two, tmp_path, open_binary):
    """Seen by an ordinary user, since root reads everything."""
    path = tmp_path / 'one' / 'unreadable'
    path.write_text('x')
    os.chmod(path, 0)
    subprocess.run(['chown', '-R', '65534:65534', tmp_path], check=True)
    os.chown(path, 0, 0)
    for parent in list(tmp_path.parents)[:-2]:
        os.chmod(parent, os.stat(parent).st_mode | 0o011)
    ordinary = ('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups')
    result = two_by_two.fails(INCOMPLETE, 'run', 'job', prefix=ordinary)
    assert 'unreadable' in result.err, result
    shown = two_by_two('--json', 'show', 'job', prefix=ordinary)
    assert 'unreadable' in shown.out, shown


def test_run_all_goes_on_after_a_failure(two_by_two, tmp_path):
    two_by_two.source('gone', tmp_path / 'gone')
    two_by_two.job('broken', sources='gone', sinks='one')
    result = two_by_two('run', '--all')
    assert result.status in (FAILED, INCOMPLETE), result
    assert len(two_by_two.snapshots('job')) == 1


def test_second_run_of_a_running_job(two_by_two, tmp_path):
    """The lock dies with its holder: a killed run does not block the next."""
    lock_holder = execute(['/usr/bin/timeout', '-s', 'KILL', '0.2', *two_by_two.command('run', 'job')])
    assert lock_holder.status in (0, 124, 137)
    assert two_by_two('run', 'job').status != BUSY


def test_two_hosts_in_one_repository(world, tmp_path, binary):
    world.simple(plain_tree(tmp_path / 'tree', files=8))
    world.ok('run', 'job')
    world.section('engine', state_dir=tmp_path / 'state2', cache_dir=tmp_path / 'cache2', host='otherhost')
    before = tree_state(tmp_path / 'tree')
    world.ok('run', 'job')
    assert_same_tree(before, world.restored() / 'tree')
    world.ok('verify', 'job', '--all')


def test_two_jobs_at_once_in_one_repository(world, tmp_path):
    """There are no locks in a repository: writers do not wait for each other, and do not harm each other."""
    world.sink()
    world.ok('init', 'disk')
    for name in ('one', 'two'):
        tree = world.source(name, plain_tree(tmp_path / name, seed=7))
        (tree / 'big').write_bytes(os.urandom(1 << 20) * 20)
        world.job(name, sources=name)
    running = [subprocess.Popen(world.command('run', name), env=CLEAN, stderr=subprocess.DEVNULL)
               for name in ('one', 'two')]
    assert [process.wait(timeout=60) for process in running] == [0, 0]
    for name in ('one', 'two'):
        world.ok('verify', name, '--all')
        assert_same_tree(tmp_path / name, world.restored(name, f'restored-{name}') / name)


@pytest.mark.parametrize('words', [('job',), ('--all',)])
def test_a_signal_before_its_turn(two_by_two, tmp_path, words):
    """Wherever a request to end comes in the beginning: what ends with 0 has saved everything."""
    before = len(two_by_two.snapshots())
    for when in range(1, 12):
        trace = ('strace', '-qq', '-o', tmp_path / 'trace', '-e', 'trace=rt_sigaction', '-e', f'inject=rt_sigaction:signal=SIGTERM:when={when}')
        status = two_by_two('run', *words, prefix=trace).status
        after = len(two_by_two.snapshots())
        assert status != 0 or after == before + 1, when
        before = after
