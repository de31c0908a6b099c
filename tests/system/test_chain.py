"""The chain against a storage or a neighbour that lies."""
import os
import shutil

from support.cli import DONE, INCOMPLETE
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


def test_one_sink_that_cannot_list_its_snapshots_does_not_stop_the_other(world, tmp_path):
    tree = plain_tree(tmp_path / 'tree', files=3)
    world.simple(tree)
    world.sink('second', path=tmp_path / 'second')
    world.ok('init', 'second')
    world.job(sinks='disk, second')
    world.ok('run', 'job')
    os.symlink('nowhere', tmp_path / 'second' / 'snapshots' / 'testhost' / 'job' / 'x')
    (tree / 'new').write_text('new')
    result = world('run', 'job')
    assert result.status == INCOMPLETE, result
