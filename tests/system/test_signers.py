"""Keys that were stolen and keys that were changed: what was stored before counts, what comes after does not."""
import os
import time

import pytest

from support.cli import BAD_CONFIG, DAMAGED, DONE, FAILED, USAGE, WRONG_KEY
from support.forge import Forger, store
from support.oracle import assert_same_tree
from support.tree import plain_tree


@pytest.fixture
def machines(world, tmp_path):
    """'host', with a put key of its own, has stored two snapshots; 'admin' has the full key. Both read the same repository."""
    world.simple(plain_tree(tmp_path / 'tree', files=8))

    def be(machine, key=None):
        world.section('engine', state_dir=tmp_path / machine / 'state', cache_dir=tmp_path / machine / 'cache', host='testhost')
        world.sink(key=tmp_path / 'keys' / key if key else None)
        return world

    for name in ('first', 'second'):
        world.put_key(name)
    be('host', 'first').ok('run', 'job')
    (tmp_path / 'tree' / 'more').write_text('more')
    world.ok('run', 'job')
    be('admin')
    return be


def stolen(world, sequence=3, snapshot='20261120T000000Z-ffffff', key='first'):
    forger = Forger(world.base / 'keys' / key)
    return store(world.repository, f'snapshots/testhost/job/{snapshot}',
                 forger.manifest('testhost', 'job', snapshot, {'format': 1}, sequence))


def test_what_a_stolen_key_stored_before_counts_and_nothing_else(machines, world, tmp_path, second_opinion):
    ids = world.snapshots()
    shown = world.ok('--json', 'key', 'revoke', 'disk', tmp_path / 'keys' / 'first').json()[-1]
    assert (shown['host'], shown['job'], shown['snapshots'], shown['doubtful']) == ('testhost', 'job', 2, 0)
    assert_same_tree(tmp_path / 'tree', world.restored() / 'tree')
    second_opinion(tmp_path / 'tree', ids[-1])
    world.ok('verify', 'job')
    path = stolen(world)
    assert path.name in world.fails(DAMAGED, 'verify', 'job').text
    assert 'revoked' in world.fails({DAMAGED, WRONG_KEY}, 'cat', f'job@{path.name}', 'tree:more').err
    before = world.objects()
    result = machines('host', 'first').fails(WRONG_KEY, 'run', 'job')
    assert 'revoked' in result.err and 'key put' in result.err and world.objects() == before, result
    assert 'revoked' in world('check', 'disk').text
    path.unlink()


def test_a_key_that_was_changed(machines, world, tmp_path):
    """The host goes on by itself; who reads says once that it was meant."""
    ids = world.snapshots()
    world.ok('ls', 'job', 'tree')
    world.ok('key', 'revoke', 'disk', tmp_path / 'keys' / 'first')
    machines('host', 'second').ok('run', 'job')
    world.ok('verify', 'job')
    machines('admin')
    for words in (('restore', 'job', '--into', tmp_path / 'out'), ('ls', 'job@latest', 'tree'), ('cat', 'job@latest', 'tree:more')):
        result = world(*words)
        assert result.status != DONE and 'key accept disk testhost' in result.err, result
    assert 'key accept' in world.fails(DAMAGED, 'verify', 'job').text
    world.ok('ls', f'job@{ids[0]}', 'tree')
    rows = [row for row in world.ok('--json', 'key', 'accept', 'disk', 'testhost').json() if row['type'] == 'signer']
    assert [row['snapshots'] for row in rows] == [2, 1]
    assert_same_tree(tmp_path / 'tree', world.restored() / 'tree')
    world.ok('verify', 'job')
    assert len(world.snapshots()) == 3


def test_a_new_machine_sees_the_change(machines, world, tmp_path):
    """It knows nobody yet: who signed the snapshot before is known first."""
    machines('host', 'second').ok('run', 'job')
    machines('new')
    assert 'key accept' in world.fails({DAMAGED, WRONG_KEY}, 'restore', 'job@latest', '--into', tmp_path / 'out').err
    world.ok('key', 'accept', 'disk', 'testhost')
    assert_same_tree(tmp_path / 'tree', world.restored() / 'tree')


def test_who_has_the_full_key_accepts_for_everybody(machines, world, tmp_path):
    """Also for a machine that is made anew on the worst day: it asks nothing."""
    machines('host', 'second').ok('run', 'job')
    machines('admin').ok('key', 'accept', 'disk', 'testhost')
    machines('new').ok('verify', 'job')
    assert_same_tree(tmp_path / 'tree', world.restored() / 'tree')
    machines('reinstalled', 'second').ok('run', 'job')
    world.put_key('third')
    path = stolen(world, sequence=5, key='third')
    assert path.name in machines('new').fails(DAMAGED, 'verify', 'job').text
    path.unlink()
    accepted = [path for path in world.objects('signers') if 'accepted' in path.parts]
    assert len(accepted) == 2
    accepted[0].write_bytes(accepted[1].read_bytes())  # what was said of one signer says nothing of another
    assert accepted[0].name in machines('newer')('list', 'job').err


def test_a_changed_key_and_a_lost_state(machines, world, tmp_path):
    """A second history beside the first would be damage: the run says what to do."""
    before = world.objects('snapshots')
    result = machines('reinstalled', 'second').fails(WRONG_KEY, 'run', 'job')
    assert 'key accept disk testhost' in result.err and world.objects('snapshots') == before, result
    world.ok('key', 'accept', 'disk', 'testhost')
    world.ok('run', 'job')
    machines('admin').ok('key', 'accept', 'disk', 'testhost')
    sequences = [row['sequence'] for row in world.ok('--json', 'list', 'job').json() if row['type'] == 'snapshot']
    assert sequences == [1, 2, 3]
    world.ok('verify', 'job')


def test_since_when(machines, world, tmp_path):
    """By the clock of the store: the id is what the thief chose."""
    ids = world.snapshots()
    yesterday, hour = time.time() - 86400, 3600
    first, second = (world.repository / 'snapshots' / 'testhost' / 'job' / name for name in ids)
    os.utime(first, (yesterday - hour, yesterday - hour))
    os.utime(second, (yesterday + hour, yesterday + hour))
    since = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(yesterday))
    shown = world.ok('--json', 'key', 'revoke', 'disk', tmp_path / 'keys' / 'first', '--since', since).json()[-1]
    assert (shown['snapshots'], shown['doubtful']) == (2, 1)
    world.ok('ls', f'job@{ids[0]}', 'tree')
    assert 'revoked' in world.fails({DAMAGED, WRONG_KEY}, 'ls', f'job@{ids[1]}', 'tree').err


def test_of_two_in_one_place_the_first_counts(machines, world, tmp_path):
    late = stolen(world, sequence=2)
    soon = time.time() - 1
    os.utime(late, (soon, soon))
    for path in world.objects('snapshots'):
        if path != late:
            os.utime(path, (soon - 10, soon - 10))
    shown = world.ok('--json', 'key', 'revoke', 'disk', tmp_path / 'keys' / 'first').json()[-1]
    assert (shown['snapshots'], shown['doubtful']) == (3, 1)


def test_a_revocation_that_was_taken_away(machines, world, tmp_path):
    world.ok('key', 'revoke', 'disk', tmp_path / 'keys' / 'first')
    world.ok('list', 'job')
    machines('host', 'first').fails(WRONG_KEY, 'run', 'job')
    revocation, = world.objects('signers')
    revocation.unlink()
    for machine, key in (('admin', None), ('host', 'first')):
        result = machines(machine, key)('run' if key else 'list', 'job')
        assert f"'signers/revoked/{revocation.name}' is gone" in result.err, result
    assert 'was revoked' in result.err


def test_revocations_that_the_root_did_not_sign(machines, world, tmp_path):
    """Anybody who can add objects can make them: they say nothing, and stop nobody."""
    forger = Forger(tmp_path / 'keys' / 'second')
    signer = Forger(tmp_path / 'keys' / 'first').signer.hex()
    line = b'{"format":1,"signer":"%s","since":"2026-11-20T00:00:00.000000000Z","counting":[]}' % signer.encode()
    world.ok('key', 'revoke', 'disk', tmp_path / 'keys' / 'second')
    genuine = world.objects('signers')[0].read_bytes()
    for text in (b'', b'rubbish', line + b'\n' + forger.sign(b'cofre revoked 1' + line).hex().encode() + b'\n', genuine,
                 line + b'\n' + b'0' * 128 + b'\n', genuine[: len(genuine) // 2]):
        store(world.repository, f'signers/revoked/{signer}', text)
        assert 'signers/revoked/' + signer in world.ok('ls', 'job', 'tree').err
        machines('host', 'first').ok('run', 'job')
        machines('admin')
    store(world.repository, 'signers/revoked/' + 'z' * 64, b'')
    store(world.repository, 'signers/revoked/short', b'')
    world.ok('ls', 'job', 'tree')


def test_more_than_anybody_can_mean(machines, world):
    place = world.repository / 'signers' / 'revoked'
    place.mkdir(parents=True)
    for number in range(4097):
        (place / f'{number:064x}').touch()
    result = world.fails(FAILED, 'list', 'job')
    assert 'signers/' in result.err and 'remove' in result.err, result


def test_what_cannot_be_revoked(machines, world, tmp_path):
    first = tmp_path / 'keys' / 'first'
    signer = world.ok('--json', 'key', 'show', first).json()[-1]['signer']
    assert 'date' in world.fails(USAGE, 'key', 'revoke', 'disk', first, '--since', 'yesterday').err
    assert '64 digits' in world.fails(FAILED, 'key', 'revoke', 'disk', tmp_path / 'none').err
    assert 'full key itself' in world.fails(USAGE, 'key', 'revoke', 'disk', world.key).err
    world.ok('key', 'revoke', 'disk', signer)
    assert 'revoked already' in world.fails(FAILED, 'key', 'revoke', 'disk', first).err
    machines('host', 'second')
    assert 'full key' in world.fails({FAILED, WRONG_KEY}, 'key', 'revoke', 'disk', first).err
    world.section('sink plain', plugin='local', path=tmp_path / 'plain', format='archive', encryption='none')
    world.ok('init', 'plain')
    for form, what in (('accept', 'testhost'), ('revoke', first)):
        assert 'archive' in world.fails(BAD_CONFIG, 'key', form, 'plain', what).err


def test_accepting_nobody(machines, world):
    assert "'nobody'" in world.fails(FAILED, 'key', 'accept', 'disk', 'nobody').err


def test_a_damaged_state_is_named(machines, world, tmp_path):
    world.ok('ls', 'job', 'tree')
    path, = (tmp_path / 'admin' / 'state').glob('repositories/*/signers/accepted')
    path.write_text('testhost job\n')
    result = world.fails({FAILED, DAMAGED}, 'ls', 'job', 'tree')
    assert str(path) in result.err and 'move it away' in result.err
