"""A disk, or what looks like one, that can neither rename without replacing nor make hard links: nothing can be stored there
safely, and whoever tries is told so."""
import shutil

import pytest

from support.cli import FAILED, FAILURES
from support.tree import plain_tree

NEITHER = ('strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=renameat2,linkat', '-e', 'inject=renameat2:error=EINVAL',
           '-e', 'inject=linkat:error=EPERM')
CAUSE = 'can neither rename without replacing nor make hard links'


@pytest.mark.parametrize('made', [False, True])
def test_check_names_the_cause(world, tmp_path, made):
    world.source('tree', plain_tree(tmp_path / 'tree', files=2))
    world.sink(encryption='none')
    world.job()
    world.store.root.mkdir()
    if made:
        world.ok('init', 'disk')
    before = sorted(tmp_path.glob('repository/**/*'))
    result = world('check', 'disk', prefix=NEITHER)
    assert result.status in FAILURES and CAUSE in result.text, result
    assert sorted(tmp_path.glob('repository/**/*')) == before
    world('check', 'disk')
    assert sorted(tmp_path.glob('repository/**/*')) == before


def test_init_and_run_name_the_cause(world, tmp_path):
    world.source('tree', plain_tree(tmp_path / 'tree', files=2))
    world.sink(encryption='none')
    world.job()
    result = world('init', 'disk', prefix=NEITHER)
    assert result.status in FAILURES and CAUSE in result.text, result
    shutil.rmtree(world.store.root)
    world.ok('init', 'disk')
    assert CAUSE in world.fails(FAILED, 'run', 'job', prefix=NEITHER).text


def test_hard_links_do_as_well(world, tmp_path):
    world.source('tree', plain_tree(tmp_path / 'tree', files=2))
    world.sink(encryption='none')
    world.job()
    links = NEITHER[:-2]
    world.ok('init', 'disk', prefix=links)
    world.ok('run', 'job', prefix=links)
    world.ok('check', 'disk', prefix=links)
    world.ok('verify', 'job')
