"""Committed means: there after the power went, on a real file system."""
import subprocess
import time

import pytest
from power import Disk

from support.cli import CLEAN
from support.faults import sample
from support.oracle import assert_same_tree, tree_state
from support.tree import plain_tree

pytestmark = pytest.mark.power


@pytest.fixture(params=['ext4', 'xfs'])
def disk(request, tmp_path):
    with Disk(tmp_path, request.param) as disk:
        yield disk


@pytest.fixture
def on_disk(world, disk, tmp_path):
    world.source('tree', plain_tree(tmp_path / 'tree', files=20))
    world.sink(path=disk.path / 'cofre')
    world.job()
    world.ok('init', 'disk')
    return disk


def test_the_tool_loses_what_was_not_flushed(disk):
    """Otherwise the tests below prove nothing."""
    (disk.path / 'kept').write_bytes(b'x' * 100_000)
    subprocess.run(['sync', '-f', disk.path], check=True)
    (disk.path / 'lost').write_bytes(b'x' * 100_000)
    disk.cut()
    disk.restart()
    assert (disk.path / 'kept').read_bytes() == b'x' * 100_000
    lost = disk.path / 'lost'
    assert not lost.exists() or lost.read_bytes() != b'x' * 100_000


def test_init_is_durable(world, on_disk):
    on_disk.cut()
    on_disk.restart()
    world.ok('run', 'job')
    world.ok('verify', 'job')


def test_a_committed_snapshot_is_durable(world, on_disk, tmp_path):
    for generation in range(3):
        (tmp_path / 'tree' / f'new{generation}').write_bytes(bytes([generation]) * 200_000)
        world.ok('run', 'job')
        on_disk.cut()
        on_disk.restart()
        assert len(world.snapshots()) == generation + 1
        world.ok('verify', 'job', '--all')
        assert_same_tree(tmp_path / 'tree', world.restored('job', f'restored{generation}') / 'tree')


def test_a_restored_tree_is_durable(world, disk, tmp_path):
    world.simple(plain_tree(tmp_path / 'tree', files=20))
    world.ok('run', 'job')
    world.ok('restore', 'job', '--into', disk.path / 'into')
    disk.cut()
    disk.restart()
    assert_same_tree(tmp_path / 'tree', disk.path / 'into' / 'tree')


def test_cut_after_any_call(world, faults, disk, tmp_path):
    """All processes and the power go at one moment. What was said to be committed is there, and the next run works."""
    cut_after_calls(world, faults, disk, tmp_path, 3)


@pytest.mark.long
def test_cut_after_each_call(world, faults, disk, tmp_path):
    cut_after_calls(world, faults, disk, tmp_path, 150)


def cut_after_calls(world, faults, disk, tmp_path, wanted: int) -> None:
    world.source('tree', plain_tree(tmp_path / 'tree', files=8))
    world.job()
    state = tree_state(tmp_path / 'tree')
    world.sink(path=disk.path / 'count')
    world.ok('init', 'disk')
    faults.kill_at(0, world, 'run', 'job')
    for number in sample(faults.count(), wanted):
        world.sink(path=disk.path / f'cofre{number}')
        subprocess.run(['rm', '-rf', tmp_path / 'state'], check=True)
        world.ok('init', 'disk')
        killed = faults.kill_at(number, world, 'run', 'job')
        disk.cut()
        disk.restart()
        listed = world.snapshots()
        assert len(listed) >= ('committed' in killed.err), killed
        for snapshot in listed:
            assert_same_tree(state, world.restored(f'job@{snapshot}', f'restored{number}-{snapshot}') / 'tree')
        world.ok('run', 'job')
        disk.cut()
        disk.restart()
        world.ok('verify', 'job', '--all')
        assert len(world.snapshots()) == len(listed) + 1
        subprocess.run(['rm', '-rf', disk.path / f'cofre{number}'], check=True)


@pytest.mark.parametrize('delay', [0.05, 0.15, 0.3])
def test_cut_in_mid_run(world, on_disk, tmp_path, delay):
    """What was committed before stays; what is listed afterwards is whole; the next run works."""
    state = tree_state(tmp_path / 'tree')
    world.ok('run', 'job')
    (tmp_path / 'tree' / 'big').write_bytes(bytes(range(256)) * 100_000)
    with subprocess.Popen(world.command('run', 'job'), env=CLEAN, stderr=subprocess.DEVNULL) as process:
        time.sleep(delay)
        on_disk.cut()
        status = process.wait(timeout=60)
    on_disk.restart()
    listed = world.snapshots()
    assert len(listed) >= (2 if status == 0 else 1)
    world.ok('verify', 'job', '--all')
    assert_same_tree(state, world.restored(f'job@{listed[0]}', 'first') / 'tree')
    world.ok('run', 'job')
    assert_same_tree(tmp_path / 'tree', world.restored('job', 'last') / 'tree')
