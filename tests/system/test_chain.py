"""The chain against a storage or a neighbour that lies."""
import os
import shutil

import pytest

from support.cli import DAMAGED, DONE, INCOMPLETE
from support.tree import plain_tree


def test_a_planted_name_does_not_stop_backups(world, tmp_path):
    """Whoever can only create files in the sink, without any key, must not be able to stop all later runs."""
    world.simple(plain_tree(tmp_path / 'tree', files=3))
    world.ok('run', 'job')
    place = world.repository / 'snapshots' / 'testhost' / 'job'
    (place / '99991231T235959Z-ffffff').write_bytes(b'rubbish')
    result = world('run', 'job')
    assert result.status == DONE, result
    new = [s for s in (p.name for p in place.iterdir()) if not s.startswith('9999')]
    assert all(s.startswith('20') for s in new), f'a snapshot of another century: {new}'


def test_a_planted_name_does_not_move_the_clock(world, tmp_path):
    world.simple(plain_tree(tmp_path / 'tree', files=3))
    world.ok('run', 'job')
    place = world.repository / 'snapshots' / 'testhost' / 'job'
    planted = place / '20991231T235900Z-ffffff'
    planted.write_bytes(b'rubbish')
    world.ok('run', 'job')
    planted.unlink()
    assert not [s for s in world.snapshots() if s.startswith('2099')]


def test_rollback_of_the_sink_that_missed_the_last_run(world, tmp_path):
    tree = plain_tree(tmp_path / 'tree', files=3)
    world.simple(tree)
    world.sink('second', path=tmp_path / 'second')
    world.ok('init', 'second')
    world.job(sinks='disk, second')
    world.ok('run', 'job')
    shutil.copytree(tmp_path / 'second', tmp_path / 'old')
    (tree / 'new').write_text('new')
    world.ok('run', 'job')
    (tmp_path / 'second').rename(tmp_path / 'away')
    assert world('run', 'job').status == INCOMPLETE
    (tmp_path / 'old').rename(tmp_path / 'second')  # an older state, put in place while nobody looked
    result = world('run', 'job')
    assert 'is gone' in result.err, result


@pytest.mark.parametrize('form', ['repository', 'archive'])
def test_a_rollback_is_told_by_whatever_chooses_the_newest(world, tmp_path, form):
    """This machine remembers what it stored; without a word an older state would be shown, restored and copied."""
    options = {'format': 'archive', 'encryption': 'none'} if form == 'archive' else {}
    tree = plain_tree(tmp_path / 'tree', files=3)
    world.source('tree', tree)
    for sink in ('disk', 'other'):
        world.sink(sink, path=tmp_path / sink, **options)
        world.ok('init', sink)
    world.job()
    for text in 'abc':
        (tree / 'f').write_text(text)
        world.ok('run', 'job')
    world.job(sinks='disk, other')
    newest, below = world.snapshots()[-1], {'repository': 'snapshots/testhost/job', 'archive': 'job'}[form]
    commands = [('list', 'job'), ('list',), ('show', 'job'), ('ls', 'job', '--sink', 'disk'), ('cat', 'job', 'tree:f'),
                ('restore', 'job', '--into', tmp_path / 'a'), ('copy', 'job@latest', '--from', 'disk', '--to', 'other')]
    for words in commands:
        assert 'is gone' not in world.ok(*words).err, words
    shutil.rmtree(tmp_path / 'other')
    world.ok('init', 'other')
    (tmp_path / 'disk' / below / newest).rename(tmp_path / 'kept')
    for words in commands:
        words = [tmp_path / 'b' if word == tmp_path / 'a' else word for word in words]
        result = world.ok(*words)
        assert [line for line in result.err.splitlines() if f'snapshot {newest} was committed there and is gone' in line and 'warning' in line
                and "sink 'disk'" in line], result
        assert result.err.count("'disk': snapshot") == 1, result
    assert 'is gone' not in world.ok('show', f'job@{world.snapshots()[0]}').err


def test_renamed_host_is_no_theft(world, tmp_path):
    tree = plain_tree(tmp_path / 'tree', files=3)
    world.simple(tree)
    world.ok('run', 'job')
    world.section('engine', state_dir=tmp_path / 'state', cache_dir=tmp_path / 'cache', host='renamed')
    result = world.ok('run', 'job')
    assert 'is gone' not in result.err, result
    result = world.ok('verify', 'job')


def test_one_sink_that_turns_plain_does_not_stop_the_other(world, tmp_path):
    tree = plain_tree(tmp_path / 'tree', files=3)
    world.simple(tree)
    world.sink('second', path=tmp_path / 'second')
    world.ok('init', 'second')
    world.job(sinks='disk, second')
    world.ok('run', 'job')
    world.sink('plain', path=tmp_path / 'plain', encryption='none')
    world.ok('init', 'plain')
    shutil.copy(tmp_path / 'plain' / 'config', tmp_path / 'second' / 'config')
    (tree / 'new').write_text('new')
    result = world('run', 'job')
    assert result.status == INCOMPLETE, result


@pytest.fixture(params=['repository', 'archive'])
def two_sinks(world, tmp_path, request):
    """A job of two sinks; runs(n, away=True) makes n snapshots while the second is away."""
    tree = plain_tree(tmp_path / 'tree', files=3)
    options = {'format': 'archive', 'encryption': 'none'} if request.param == 'archive' else {'key': world.key}
    world.source('tree', tree)
    for name in ('disk', 'second'):
        world.section(f'sink {name}', plugin='local', path=tmp_path / name, **options)
        world.ok('init', name)
    world.job(sinks='disk, second')

    def runs(count, away=False):
        made = []
        for _ in range(count):
            world.job(sinks='disk' if away else 'disk, second')
            made += world.ok('run', 'job').ids
        world.job(sinks='disk, second')
        return made

    return runs


def manifest_of(place, snapshot):
    """What makes it a snapshot: a file, or, in an archive, its directory."""
    return next(path for path in place.rglob(f'*{snapshot}') if path.name == snapshot)


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize('copied', [[0], [1], [2, 0]])
def test_older_snapshots_that_are_copied_leave_gaps_that_are_no_damage(world, two_sinks, tmp_path, copied):
    """Before the sink's first snapshot, and between two that it has; with and without what this machine remembers."""
    early = two_sinks(3, away=True)
    two_sinks(1)
    late = two_sinks(3, away=True)
    two_sinks(1)
    for snapshots in (early, late):
        for i in copied:
            world.ok('copy', f'job@{snapshots[i]}', '--from', 'disk', '--to', 'second')
            world.ok('verify', 'job', '--sink', 'second')
    two_sinks(1)
    world.ok('verify', 'job', '--sink', 'second')
    shutil.rmtree(tmp_path / 'state')
    world.ok('verify', 'job', '--sink', 'second')


@pytest.mark.parametrize('forgotten', [False, True])
def test_a_snapshot_that_was_committed_and_removed_is_damage(world, two_sinks, tmp_path, forgotten):
    two_sinks(1, away=True)
    _, second, _ = two_sinks(3)
    remove(manifest_of(tmp_path / 'second', second))
    if forgotten:
        shutil.rmtree(tmp_path / 'state')
    result = world.fails(DAMAGED, 'verify', 'job', '--sink', 'second')
    assert 'missing here' in result.text, result


def test_a_copy_that_is_removed_again_is_damage(world, two_sinks, tmp_path):
    two_sinks(1)
    missed, = two_sinks(1, away=True)
    two_sinks(1)
    world.ok('copy', f'job@{missed}', '--from', 'disk', '--to', 'second')
    remove(manifest_of(tmp_path / 'second', missed))
    result = world.fails(DAMAGED, 'verify', 'job', '--sink', 'second')
    assert 'missing here' in result.text, result
