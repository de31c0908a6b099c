"""A secret's command is run once for each source and each sink that a verb uses, and not at all where nothing is reached."""
import pytest

from support import bad_s3
from support.cli import key_id


@pytest.fixture
def server(bad_s3_server):
    return bad_s3_server


@pytest.fixture
def trace(tmp_path):
    return tmp_path / 'trace'


@pytest.fixture
def told(world, trace, server, tmp_path):
    """Each secret comes from a command that leaves a word."""
    built = world.binary.parent
    world.section('engine', state_dir=world.base / 'state', cache_dir=world.base / 'cache', host='testhost',
                  plugin_dir=f'{built / "plugins"}, {built / "tests" / "plugins"}')
    world.section('source tree', plugin='faulty-source', password=f'@cmd:echo source >> {trace}; echo sesame-7')
    world.section('sink disk', plugin='s3', bucket='b', endpoint=server.endpoint, access_key=bad_s3.ACCESS, region=bad_s3.REGION,
                  secret_key=f'@cmd:echo sink >> {trace}; echo {bad_s3.SECRET}', key=world.key, parallel=3)
    world.section('sink kept', plugin='local', path=tmp_path / 'kept', key=tmp_path / 'keys' / 'kept.key',
                  recovery_passphrase=f'@cmd:echo recovery >> {trace}; echo open-sesame-8')
    world.section('sink sealed', plugin='local', path=tmp_path / 'sealed', format='archive',
                  passphrase=f'@cmd:echo archive >> {trace}; echo open-sesame-7')
    world.job(sinks='disk, sealed')
    world.ok('init', 'disk')
    world.ok('init', 'sealed')
    trace.unlink()
    world.ok('init', 'kept')
    assert words(trace) == ['recovery']
    return world


def words(trace) -> list[str]:
    text = trace.read_text().split() if trace.exists() else []
    trace.unlink(missing_ok=True)
    return sorted(text)


def test_each_is_asked_for_once(told, trace, tmp_path):
    words(trace)
    told.ok('check', '--offline')
    assert words(trace) == []
    told.ok('run', 'job')
    assert words(trace) == ['archive', 'sink', 'source']
    told.ok('check')
    assert words(trace) == ['archive', 'recovery', 'sink', 'source']
    chosen, = told.snapshots()
    words(trace)
    for selector in ('job', f'job@{chosen}'):
        told.ok('restore', selector, '--in-place', '--yes', '--sink', 'disk')
        assert words(trace) == ['sink', 'source'], selector
    told.ok('restore', f'job@{chosen}', '--into', tmp_path / 'a', '--sink', 'sealed')
    assert words(trace) == ['archive']
    # The first sink that has the snapshot is enough; of an age it cannot be told without the others.
    told.ok('restore', f'job@{chosen}', '--into', tmp_path / 'b')
    assert words(trace) in (['sink'], ['archive'])
    told.ok('restore', 'job', '--into', tmp_path / 'c')
    assert words(trace) == ['archive', 'sink']


def test_what_gets_the_key_back_is_asked_for_by_check_alone(told, trace, tmp_path):
    told.job(sinks='kept')
    for words_of, asked in ((('run', 'job'), []), (('check', 'kept'), ['recovery']), (('list', 'job'), []), (('verify', 'job'), [])):
        told.ok(*words_of)
        assert [word for word in words(trace) if word != 'source'] == asked, words_of
    found = tmp_path / 'found.key'
    told.ok('key', 'recover', 'kept', found, '--id', key_id(tmp_path / 'keys' / 'kept.key'))
    assert words(trace) == ['recovery']


def test_what_hangs_on_to_a_secret_is_said_without_another_look(told, trace, server, tmp_path):
    told.section('source tree', plugin='faulty-source', password=f"@cmd:echo source >> {trace}; echo 'sesame-7 '")
    words(trace)
    result = told.ok('check', 'tree')
    assert "'password', from @cmd" in result.err and words(trace) == ['source'], result
    told.section('sink kept', plugin='local', path=tmp_path / 'kept', key=tmp_path / 'keys' / 'kept.key',
                 recovery_passphrase=f"@cmd:echo recovery >> {trace}; echo 'open-sesame-8 '",
                 key_passphrase=f"@cmd:echo locked >> {trace}; echo 'open-sesame-9 '")
    result = told('check', 'kept')
    assert all(f"'{key}', from @cmd" in result.err for key in ('recovery_passphrase', 'key_passphrase')), result
    assert words(trace) == ['locked', 'recovery'], result
