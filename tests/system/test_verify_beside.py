"""verify while snapshots are removed: what went by a removal record is no damage, and what went by itself is."""
import subprocess

import pytest

from support.cli import CLEAN, DAMAGED, DONE
from support.tree import plain_tree
from support.wait import wait_until

PLACES = {'repository': {}, 'archive': {'format': 'archive', 'encryption': 'none'}}


@pytest.fixture(params=PLACES)
def made(request, world, tmp_path):
    """Three snapshots, of which prune leaves the newest."""
    world.source('tree', plain_tree(tmp_path / 'tree', files=2))
    world.sink(**PLACES[request.param])
    world.job(prune='manual', keep_last=1, keep_min=1)
    world.ok('init', 'disk')
    for i in range(3):
        (tmp_path / 'tree' / 'f').write_text(str(i))
        world.ok('run', 'job')
    return world


def verify_beside(world, manifest, act) -> tuple[int, str]:
    """verify, which opens this manifest late: in the meantime that is done."""
    trace = world.base / 'trace'
    trace.touch()
    slow = ['strace', '-f', '-qq', '-o', trace, '-P', manifest.name, '-P', manifest, '-e', 'trace=openat',
            '-e', 'inject=openat:delay_enter=3000000:when=1']
    with subprocess.Popen([*map(str, slow), *world.command('verify')], env=CLEAN, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as verify:
        wait_until(lambda: manifest.name in trace.read_text(), 'the manifest that is opened late')
        act()
        out = verify.communicate(timeout=100)[0]
    return verify.returncode, out


def manifests(world):
    return sorted([*world.repository.glob('snapshots/testhost/job/*'), *world.repository.glob('job/*/manifest.json')])


@pytest.mark.parametrize('which', [0, 1])
def test_what_is_removed_meanwhile_is_no_damage(made, which):
    status, out = verify_beside(made, manifests(made)[which], lambda: made.ok('prune', 'job', '--yes'))
    assert status == DONE and 'DAMAGED' not in out, out
    made.ok('verify')


def test_what_is_stolen_meanwhile_is_damage(made):
    path = manifests(made)[1]
    status, out = verify_beside(made, path, path.unlink)
    assert status == DAMAGED, out
    made.fails(DAMAGED, 'verify')
