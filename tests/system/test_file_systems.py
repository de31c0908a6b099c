"""File systems that answer late, twice, wrongly or never: what is not whole is said, and looked at again by the next run."""
import os
import random
import subprocess
import threading
import time

import pytest

from support.cli import DONE, INCOMPLETE
from support.mounts import Mounts, run
from support.oracle import assert_same_tree
from support.tree import plain_tree


@pytest.fixture
def mounts(tmp_path):
    made = Mounts(tmp_path)
    yield made
    made.close()


def listed(world, selector: str = 'job') -> set[str]:
    return {line.rpartition(' ')[2] for line in world.ok('ls', selector, 'tree').out.splitlines()}


def unchanged(world) -> int:
    return next(o['unchanged'] for o in world.ok('--json', 'run', 'job').json() if o['type'] == 'summary')


@pytest.mark.parametrize('fault', ['listxattr-fails', 'getxattr-fails'])
def test_attributes_that_cannot_be_read_once(world, mounts, tmp_path, fault):
    real, shown = tmp_path / 'real', tmp_path / 'shown'
    (real / 'directory').mkdir(parents=True)
    (real / 'file').write_bytes(b'content')
    (real / 'link').symlink_to('file')
    for path in (real / 'file', real / 'directory'):
        os.setxattr(path, 'user.kept', b'value')
        run('setfacl', '-m', 'u:daemon:r', path)
    time.sleep(2.1)
    shown.mkdir()
    world.simple(shown)
    with mounts.odd(real, shown, fault):
        result = world.fails(INCOMPLETE, 'run', 'job')
        for name in ("'file': read its", "'directory': read its"):
            assert name in result.err, result
    assert (world.restored('job', 'first') / 'tree' / 'file').read_bytes() == b'content'
    with mounts.odd(real, shown):
        world.ok('run', 'job')
    assert_same_tree(real, world.restored('job', 'second') / 'tree')


def test_names_that_are_listed_twice(world, mounts, tmp_path):
    real = plain_tree(tmp_path / 'real', files=12)
    shown = tmp_path / 'shown'
    shown.mkdir()
    world.simple(shown)
    with mounts.odd(real, shown, 'list-twice'):
        result = world.ok('run', 'job')
    assert result.err.count('twice') == 1, result
    assert_same_tree(real, world.restored() / 'tree')


def test_a_root_that_cannot_be_listed(world, mounts, tmp_path):
    real, shown = plain_tree(tmp_path / 'real', files=2), tmp_path / 'shown'
    shown.mkdir()
    world.simple(shown)
    with mounts.odd(real, shown, 'list-fails'):
        result = world.fails(INCOMPLETE, 'run', 'job')
    assert "source 'tree': list the directory: Input/output error" in result.err, result
    assert "''" not in result.err and 'is empty' not in result.err, result


def test_names_that_stay_are_in_the_listing_or_the_run_says_so(world, mounts, tmp_path):
    """A btrfs directory in which files are replaced by renaming shows fewer names than there are."""
    tree = mounts.disk('btrfs') / 'tree'
    tree.mkdir()
    for number in range(20_000):
        (tree / f'f{number:05}').touch()
    world.simple(tree)
    stop, draw = threading.Event(), random.Random(3)

    def replace() -> None:
        while not stop.is_set():
            (tree / 'new').touch()
            os.rename(tree / 'new', tree / f'f{draw.randrange(20_000):05}')

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        result = world('run', 'job')
    finally:
        stop.set()
        thread.join()
    missing = {f'f{number:05}' for number in range(20_000)} - listed(world)
    assert result.status in (DONE, INCOMPLETE) and (result.status == INCOMPLETE or not missing), result
    if result.status == INCOMPLETE:
        assert 'it changed each of the 3 times it was listed' in result.err, result
    # At rest it is whole again.
    world.ok('run', 'job')
    assert not {f'f{number:05}' for number in range(20_000)} - listed(world)


def test_times_that_nanoseconds_do_not_reach(world, mounts, tmp_path):
    tree = mounts.disk('xfs') / 'tree'
    (tree / 'directory').mkdir(parents=True)
    (tree / 'link').symlink_to('nowhere')
    os.mkfifo(tree / 'pipe')
    for name in ('file', 'other', 'more'):
        (tree / name).write_bytes(b'x')
    far = ('file', 'other', 'link', 'pipe', 'directory')
    for name in far:
        run('touch', '-h', '-d', '2400-01-01 UTC', tree / name)
    world.simple(tree)
    result = world.ok('run', 'job')
    lines = [line for line in result.err.splitlines() if '2262' in line]
    assert len(lines) == 1 and '(5)' in lines[0] and "'file'" in lines[0], result
    into = mounts.base / 'disk' / 'restored'
    world.ok('restore', 'job', '--into', into)
    for name in far:
        assert os.lstat(into / 'tree' / name).st_mtime_ns == (1 << 63) - 1, name
    assert os.lstat(into / 'tree' / 'more').st_mtime_ns == os.lstat(tree / 'more').st_mtime_ns


def test_mount_points_and_sockets_are_named(world, mounts, tmp_path):
    tree = plain_tree(tmp_path / 'tree', files=2)
    for name in ('volume', 'cache', 'deep/disk'):
        (tree / name).mkdir(parents=True)
        mounts.tmpfs(tree / name)
        (tree / name / 'inside').touch()
    (tree / 'volume' / 'below').mkdir()
    mounts.tmpfs(tree / 'volume' / 'below')
    subprocess.run(['/usr/bin/python3', '-c', 'import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])',
                    'live.sock'], cwd=tree, check=True)
    world.simple(tree)
    world.source('tree', tree, exclude='/cache')
    checked = world('check', 'tree')
    result = world.ok('run', 'job')
    for name in ('volume', 'deep/disk'):
        assert f"'{name}'" in checked.text and f"'{name}': left out" in result.err, (checked, result)
    assert 'cache' not in checked.text + result.err and 'below' not in checked.text + result.err, (checked, result)
    assert result.err.count('live.sock') == 1 and '(1)' in result.err, result
    assert 'volume' in world.ok('show', 'job').out
    world.source('tree', tree, one_file_system='no', exclude='/cache')
    assert "'volume'" not in world('check', 'tree').text
    assert "'volume'" not in world('run', 'job').err
    assert 'volume/below' in listed(world) and 'deep/disk/inside' in listed(world)


def test_a_snapshot_of_the_file_system_is_no_other_tree(world, mounts, tmp_path):
    disk = mounts.disk('btrfs')
    run('btrfs', 'subvolume', 'create', disk / 'live')
    for number in range(5):
        (disk / 'live' / f'file{number}').write_bytes(random.Random(number).randbytes(50_000))
    time.sleep(2.1)
    world.simple(disk / 'now')
    run('btrfs', 'subvolume', 'snapshot', '-r', disk / 'live', disk / 'now')
    world.ok('run', 'job')
    (disk / 'now').rename(disk / 'before')
    run('btrfs', 'subvolume', 'snapshot', '-r', disk / 'live', disk / 'now')
    assert os.stat(disk / 'now').st_dev != os.stat(disk / 'before').st_dev
    assert unchanged(world) == 6


def test_inodes_that_change_with_each_mount(world, mounts, tmp_path):
    real, shown = plain_tree(tmp_path / 'real', files=6), tmp_path / 'shown'
    shown.mkdir()
    time.sleep(2.1)
    world.simple(shown)
    world.source('tree', shown, inodes='unstable')
    with mounts.odd(real, shown, 'new-inodes'):
        world.ok('run', 'job')
    with mounts.odd(real, shown, 'new-inodes'):
        assert unchanged(world) > 6
        (real / 'd0').rename(real / 'elsewhere')
        world.ok('run', 'job')
    world.source('tree', shown, inodes='stable')
    with mounts.odd(real, shown, 'new-inodes'):
        assert unchanged(world) == 0
    assert_same_tree(real, world.restored() / 'tree')
