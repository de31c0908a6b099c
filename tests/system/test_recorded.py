"""A source goes on from what it recorded in the snapshot before, as far as that can be read."""
import shutil

import pytest



@pytest.fixture
def counted(world):
    built = world.binary.parent
    world.section('engine', state_dir=world.base / 'state', cache_dir=world.base / 'cache', host='testhost',
                  plugin_dir=f'{built / "plugins"}, {built / "tests" / "plugins"}')
    world.section('source memory', plugin='memory-source', streams='one.dump', size='1KiB', counted='yes')
    world.section('source other', plugin='memory-source', streams='two.dump', size='1KiB')
    world.sink()
    world.job(sources='memory, other', sinks='disk')
    world.ok('init', 'disk')
    return world


def last(world) -> dict:
    shown = world.ok('--json', 'show', 'job').json()[-1]
    source = next((s for s in shown['sources'] if s['name'] == 'memory'), None)
    return {'id': shown['id']} | (source['facts'] if source else {})


def test_each_run_goes_on_from_the_last(counted):
    counted.ok('run', 'job')
    first = last(counted)
    assert first['memory.runs'] == '1' and first['memory.after'] == ''
    counted.ok('run', 'job')
    second = last(counted)
    assert second['memory.runs'] == '2' and second['memory.after'] == first['id']
    # Also where this machine has lost what it knew.
    shutil.rmtree(counted.base / 'state')
    shutil.rmtree(counted.base / 'cache')
    counted.ok('run', 'job')
    assert last(counted)['memory.runs'] == '3' and last(counted)['memory.after'] == second['id']
    source = counted.ok('--json', 'show', 'job').json()[-1]['sources'][0]
    assert source['fact_kinds'] == {'memory.runs': ['may_grow']}


def test_a_snapshot_without_the_source_is_passed_over(counted):
    counted.ok('run', 'job')
    first = last(counted)
    counted.ok('run', 'job', 'other')
    counted.ok('run', 'job')
    assert last(counted)['memory.runs'] == '2' and last(counted)['memory.after'] == first['id']
