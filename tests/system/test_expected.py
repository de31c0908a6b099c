"""A source is compared with what it was before: another server, nothing where there was something, more that is left out."""
import subprocess

import pytest

from support.cli import BUSY, CLEAN, DONE, INCOMPLETE, USAGE


@pytest.fixture
def memory(world):
    """A function that configures a source of a test plugin, in a job with one sink."""
    built = world.binary.parent
    world.section('engine', state_dir=world.base / 'state', cache_dir=world.base / 'cache', host='testhost',
                  plugin_dir=f'{built / "plugins"}, {built / "tests" / "plugins"}')
    world.sink()
    world.job(sources='memory', sinks='disk')

    def configure(**options) -> None:
        world.section('source memory', plugin='memory-source', **({'streams': 'one.dump', 'size': '1KiB'} | options))

    configure()
    world.ok('init', 'disk')
    return configure


def problems(world) -> list[str]:
    shown = world.ok('--json', 'show', 'job').json()[-1]
    return [problem['error'] for source in shown['sources'] for problem in source['problems']]


def test_another_server_is_incomplete_until_it_is_accepted(world, memory):
    memory(identity='7301')
    world.ok('run', 'job')
    world.ok('run', 'job')
    memory(identity='7302')
    for _ in range(2):
        result = world.fails(INCOMPLETE, 'run', 'job')
        assert "'memory.identity' was 7301 and is 7302" in result.err and 'cofre accept job' in result.err, result
        assert any('7302' in text for text in problems(world))
    result = world.ok('accept', 'job')
    assert '7301 and is 7302' in result.out, result
    world.ok('run', 'job')
    assert not problems(world)
    assert 'nothing to accept' in world.ok('accept', 'job').out


def test_the_first_server_again_needs_no_acceptance(world, memory):
    memory(identity='7301')
    world.ok('run', 'job')
    memory(identity='7302')
    world.fails(INCOMPLETE, 'run', 'job')
    memory(identity='7301')
    world.ok('run', 'job')
    assert 'nothing to accept' in world.ok('accept', 'job').out


def test_an_identity_that_is_not_said_any_more_is_a_difference(world, memory):
    memory(identity='7301')
    world.ok('run', 'job')
    memory()
    assert "'memory.identity' was 7301" in world.fails(INCOMPLETE, 'run', 'job').err


def test_one_that_is_said_for_the_first_time_is_none(world, memory):
    world.ok('run', 'job')
    memory(identity='7301')
    world.ok('run', 'job')
    memory(identity='7302')
    world.fails(INCOMPLETE, 'run', 'job')


def test_a_dry_run_changes_nothing(world, memory):
    memory(identity='7301')
    world.ok('run', 'job')
    memory(identity='7302')
    world.fails(INCOMPLETE, 'run', 'job', '--dry-run')
    assert 'nothing to accept' in world.ok('accept', 'job').out
    world.fails(INCOMPLETE, 'run', 'job')


def test_a_lost_state_is_learnt_from_the_snapshot_before(world, memory):
    memory(identity='7301')
    world.ok('run', 'job')
    (world.base / 'state' / 'jobs' / 'job' / 'expected').unlink()
    memory(identity='7302')
    assert '7301 and is 7302' in world.fails(INCOMPLETE, 'run', 'job').err


def test_a_put_key_compares_with_the_state(world, memory):
    world.sink(key=world.put_key())
    memory(identity='7301')
    world.ok('run', 'job')
    memory(identity='7302')
    assert '7301 and is 7302' in world.fails(INCOMPLETE, 'run', 'job').err


def test_a_damaged_state_is_named(world, memory):
    world.ok('run', 'job')
    expected = world.base / 'state' / 'jobs' / 'job' / 'expected'
    for text in ('', '[]', '{"memory": {}}', '{"memory": {"expected": {"entries": 1}}}', '{"memory": null}'):
        expected.write_text(text)
        result = world('run', 'job')
        assert result.status not in (DONE, INCOMPLETE) and f"'{expected}' is damaged" in result.err, result
    expected.unlink()
    world.ok('run', 'job')


def test_what_is_left_out_is_named(world, memory):
    memory(left_out='archive2019, öffentlich')
    result = world.ok('run', 'job')
    assert "'archive2019': left out: it is closed" in result.err, result
    shown = world.ok('show', 'job')
    assert 'left out  archive2019: it is closed' in shown.out, shown
    source = world.ok('--json', 'show', 'job').json()[-1]['sources'][0]
    assert source['left_out_count'] == 2 and source['left_out'][0] == {'name': 'archive2019', 'why': 'it is closed'}
    world.ok('run', 'job')


def test_what_is_newly_left_out_is_incomplete_until_it_is_accepted(world, memory):
    memory(left_out='archive2019')
    world.ok('run', 'job')
    memory(left_out='archive2019, archive2020')
    for _ in range(2):
        result = world.fails(INCOMPLETE, 'run', 'job')
        assert "not before: 'archive2020'" in result.err and "not before: 'archive2019'" not in result.err, result
    world.ok('accept', 'job')
    world.ok('run', 'job')


def test_a_source_without_any_entry_is_incomplete(world, memory):
    memory(streams=None)
    for _ in range(2):
        assert 'no entry at all' in world.fails(INCOMPLETE, 'run', 'job').err
        world.ok('accept', 'job')


@pytest.mark.parametrize('cached', [True, False])
def test_a_directory_that_has_become_empty(world, tmp_path, cached):
    """A disk that is not mounted looks like that."""
    tree = tmp_path / 'tree'
    tree.mkdir()
    for name in 'abc':
        (tree / name).write_text(name)
    world.simple(tree)
    world.ok('run', 'job')
    for name in 'abc':
        (tree / name).unlink()
    for _ in range(2):
        result = world.fails(INCOMPLETE, 'run', 'job')
        assert 'nothing is in it' in result.err, result
        if not cached:
            subprocess.run(['rm', '-rf', world.base / 'cache'], check=True)
    world.ok('accept', 'job')
    world.ok('run', 'job')


def test_a_directory_that_was_always_empty(world, tmp_path):
    (tmp_path / 'tree').mkdir()
    world.simple(tmp_path / 'tree')
    world.ok('run', 'job')
    world.ok('run', 'job')


def test_accept_names_a_job_and_waits_for_no_run(world, memory):
    world.ok('run', 'job')
    world.fails(USAGE, 'accept', 'jop')
    world.fails(USAGE, 'accept')
    lock = world.base / 'state' / 'jobs' / 'job' / 'lock'
    holder = subprocess.Popen(['flock', lock, 'sleep', '60'], env=CLEAN)
    try:
        subprocess.run(['sh', '-c', f'while flock -n {lock} true; do sleep 0.05; done'], env=CLEAN, check=True, timeout=60)
        world.fails(BUSY, 'accept', 'job')
    finally:
        holder.terminate()
        holder.wait()


def test_accept_in_json(world, memory):
    memory(identity='1')
    world.ok('run', 'job')
    memory(identity='2')
    world.fails(INCOMPLETE, 'run', 'job')
    accepted = world.ok('--json', 'accept', 'job').json()[-1]
    assert accepted['type'] == 'accepted' and accepted['job'] == 'job' and accepted['source'] == 'memory', accepted
    assert 'memory.identity' in accepted['difference']
