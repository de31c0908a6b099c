"""A machine that gets another name begins a second history of its jobs: the run says so, once."""
import shutil

import pytest

from support.tree import plain_tree


@pytest.fixture
def made(world, tmp_path):
    return world.simple(plain_tree(tmp_path / 'tree', files=2))


def rename(world, host: str) -> None:
    world.section('engine', state_dir=world.base / 'state', cache_dir=world.base / 'cache', host=host)


def test_the_first_run_under_another_name_says_so(made):
    assert 'history' not in made.ok('run', 'job').err
    rename(made, 'renamed')
    for words in (('run', 'job', '--dry-run'), ('-q', 'run', 'job')):
        result = made.ok(*words)
        assert "as host 'renamed'" in result.err and "was 'testhost'" in result.err, result
        assert 'host = testhost in [engine]' in result.err, result
    assert 'history' not in made.ok('run', 'job').err
    rename(made, 'testhost')
    assert 'history' not in made.ok('run', 'job').err, 'the sink knows the first history'
    assert len(made.snapshots()) == 2


def test_nothing_is_guessed_without_state(made):
    made.ok('run', 'job')
    shutil.rmtree(made.base / 'state')
    rename(made, 'renamed')
    assert 'history' not in made.ok('run', 'job').err
