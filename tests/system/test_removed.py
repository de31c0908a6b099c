"""Snapshots that were removed: what a removal record says of them explains the gap, and nothing else does."""
import json
import time
from types import SimpleNamespace

import pytest

from support.cli import DAMAGED, DONE, INCOMPLETE
from support.forge import REMOVAL, Forger, removed_row
from support.oracle import assert_same_tree
from support.tree import plain_tree

RUNS = 4
ACT = '20261120T000000Z-aaaaaa'


@pytest.fixture
def removed(world, tmp_path):
    """Some snapshots, and the ways to remove them: rightly, as prune does it, and otherwise."""
    tree = plain_tree(tmp_path / 'tree', files=3)
    world.simple(tree)
    for i in range(RUNS):
        (tree / 'f').write_text(str(i))
        world.ok('run', 'job')
    self = SimpleNamespace(world=world, store=world.store, ids=world.snapshots())
    self.repository = bytes.fromhex(json.loads(self.store.object('config').read_bytes().splitlines()[0])['repository'])
    self.prune = Forger(world.prune_key())

    def put(key, data):
        found = self.store.object(key)
        if hasattr(found, 'parent'):
            found.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        found.write_bytes(data)
        return found

    def manifest(which):
        return self.store.object(f'snapshots/testhost/job/{self.ids[which]}')

    def rows(*which, **members):
        return [removed_row(self.ids[i], manifest(i).read_bytes(), **members) for i in which]

    def record(*which, forger=None, key=f'removed/testhost/job/{ACT}', repository=None, where=None, **members):
        """Of those snapshots. where: another key than that for which it is made."""
        data = (forger or self.prune).removal(key, repository or self.repository, rows(*which), **members)
        return put(where or key, data)

    def remove(*which):
        for i in which:
            manifest(i).unlink()

    self.put, self.manifest, self.rows, self.record, self.remove = put, manifest, rows, record, remove
    return self


def gone(result):
    return any(word in result.text for word in ('missing', 'is gone'))


@pytest.mark.every_sink
def test_a_gap_with_a_record_is_none(removed, world, tmp_path):
    """For whoever looks, with whatever key; and everything goes on."""
    removed.record(0, 2)
    removed.remove(0, 2)
    keys = {'full': world.key, 'put': world.put_key(), 'prune': tmp_path / 'keys' / 'prune.key'}
    for key in keys.values():
        world.sink(key=key)
        result = world.ok('verify', 'job')
        assert not gone(result), result
    world.sink()
    (tmp_path / 'tree' / 'f').write_text('more')
    assert not gone(world.ok('run', 'job')) and not gone(world.ok('list', 'job'))
    assert world.snapshots()[:2] == [removed.ids[1], removed.ids[3]]
    assert_same_tree(tmp_path / 'tree', world.restored() / 'tree')
    world.ok('verify', '--all')


@pytest.mark.every_sink
@pytest.mark.parametrize('which', [(0,), (1,), (3,), (1, 2)])
def test_a_gap_without_a_record_is_damage(removed, world, which):
    removed.remove(*which)
    assert gone(world.fails(DAMAGED, 'verify', 'job'))


def test_a_record_explains_what_it_names(removed, world):
    removed.record(1)
    removed.remove(1, 2)
    assert gone(world.fails(DAMAGED, 'verify', 'job'))


def forged_with_a_put_key(removed, world):
    return removed.record(1, forger=Forger(world.put_key()))


def of_another_hosts_prune_key(removed, world):
    return removed.record(1, forger=Forger(world.prune_key('web.key', '--host', 'web')))


def replayed_from_another_repository(removed, world):
    """One with the same key."""
    return removed.record(1, repository=bytes(16))


def replayed_from_another_job(removed, world):
    return removed.record(1, key=f'removed/testhost/other/{ACT}', where=f'removed/testhost/job/{ACT}')


def of_another_job_inside(removed, world):
    return removed.record(1, job='other')


def of_another_host_inside(removed, world):
    return removed.record(1, host='web')


def of_another_repository_inside(removed, world):
    key = f'removed/testhost/job/{ACT}'
    body = {'format': 1, 'features': [], 'repository': '00' * 16, 'host': 'testhost', 'job': 'job', 'removed': 1}
    return removed.put(key, removed.prune.placed(REMOVAL, key, removed.repository, body | {'snapshots': removed.rows(1)}))


def of_a_newer_version(removed, world):
    return removed.record(1, features=['more'])


def damaged(removed, world):
    found = removed.record(1)
    data = bytearray(found.read_bytes())
    data[len(data) // 2] ^= 1
    found.write_bytes(data)
    return found


FORGED = [forged_with_a_put_key, of_another_hosts_prune_key, replayed_from_another_repository, replayed_from_another_job,
          of_another_job_inside, of_another_host_inside, of_another_repository_inside, of_a_newer_version, damaged]


@pytest.mark.parametrize('forge', FORGED, ids=lambda forge: forge.__name__)
def test_a_record_that_is_none_explains_nothing(removed, world, forge):
    """It is named, and so is the gap; runs and restores go on."""
    found = forge(removed, world)
    removed.remove(1)
    result = world.fails(DAMAGED, 'verify', 'job')
    assert found.name in result.text and gone(result), result
    found.unlink()
    result = world.fails(DAMAGED, 'verify', 'job')
    assert found.name not in result.text and gone(result), result
    for words in (('run', 'job'), ('list', 'job'), ('cat', 'job', 'tree:f')):
        world.ok(*words)


@pytest.mark.every_sink
@pytest.mark.parametrize('forge', FORGED[:4], ids=lambda forge: forge.__name__)
def test_a_forged_record_in_every_sink(removed, world, forge):
    found = forge(removed, world)
    removed.remove(1)
    assert found.name in world.fails(DAMAGED, 'verify', 'job').text


@pytest.mark.every_sink
def test_a_record_of_what_is_there(removed, world):
    """A lie, or a removal that was interrupted: it is named, and what is there counts."""
    removed.record(1)
    result = world.fails(DAMAGED, 'verify', 'job')
    assert f'testhost/job/{removed.ids[1]}' in result.text and 'says that it was removed, and it is here' in result.text, result
    assert not gone(result) and world.snapshots() == removed.ids, result
    removed.remove(1)
    world.ok('verify', 'job')


@pytest.mark.parametrize('lie', [{'hash': '11' * 32}, {'sequence': 9}, {'previous': '22' * 32}], ids=['hash', 'sequence', 'previous'])
def test_a_record_is_held_against_its_neighbours(removed, world, lie):
    """Of what somebody may remove he cannot say that it was another."""
    rows = removed.rows(1, **lie)
    removed.put(f'removed/testhost/job/{ACT}', removed.prune.removal(f'removed/testhost/job/{ACT}', removed.repository, rows))
    removed.remove(1)
    world.fails(DAMAGED, 'verify', 'job')


def test_members_that_are_not_known_are_ignored(removed, world):
    rows = removed.rows(1, more={'a': [1]})
    removed.put(f'removed/testhost/job/{ACT}',
                removed.prune.removal(f'removed/testhost/job/{ACT}', removed.repository, rows, more=1))
    removed.remove(1)
    world.ok('verify', 'job')


def test_the_newest_was_removed(removed, world, tmp_path):
    """No rule removes the newest, so verify says it; the next one follows it."""
    removed.record(3)
    removed.remove(3)
    assert gone(world.fails(DAMAGED, 'verify', 'job'))
    for words in (('list', 'job'), ('show', 'job'), ('run', 'job'), ('verify', 'job'), ('list',)):
        result = world.ok(*words)
        assert not gone(result), result
    assert_same_tree(tmp_path / 'tree', world.restored() / 'tree')


def test_all_but_the_newest_were_removed_and_the_state_is_lost(removed, world, tmp_path):
    removed.record(0, 1, 2)
    removed.remove(0, 1, 2)
    world.section('engine', state_dir=tmp_path / 'new' / 'state', cache_dir=tmp_path / 'new' / 'cache', host='testhost')
    for words in (('verify', 'job'), ('run', 'job'), ('verify', 'job')):
        result = world.ok(*words)
        assert not gone(result), result


def test_two_records_of_one_snapshot(removed, world):
    """Two who pruned at once have each said it."""
    removed.record(0, 1)
    removed.record(1, 2, key='removed/testhost/job/20261121T000000Z-aaaaaa')
    removed.remove(0, 1, 2)
    world.ok('verify', 'job')


def test_a_prune_key_that_was_revoked(removed, world, tmp_path):
    """What it removed before was removed rightly; what it says from then on says nothing."""
    removed.record(1)
    removed.remove(1)
    time.sleep(1.1)  # by the clock of the store
    world.ok('key', 'revoke', 'disk', tmp_path / 'keys' / 'prune.key')
    assert not gone(world.ok('verify', 'job'))
    late = removed.record(2, key='removed/testhost/job/20261121T000000Z-aaaaaa')
    removed.remove(2)
    result = world.fails(DAMAGED, 'verify', 'job')
    assert 'revoked' in result.text and late.name in result.text and gone(result), result


@pytest.mark.parametrize('prefix, said, wrong', [
    ('pins', {'note': 'a%C3%A4b', 'created': 1}, {'created': 'now'}),
    ('proofs/verified', {'at': 1, 'hash': '11' * 32, 'how': 'verify'}, {'hash': 'none'}),
    ('accepted', {'at': 1, 'hash': '11' * 32}, {'at': 'now'})])
def test_verify_looks_at_what_is_said_of_snapshots(removed, world, prefix, said, wrong):
    """Who may say it of the host says it; of another repository, host or snapshot it is damage."""
    put, web = Forger(world.put_key()), Forger(world.put_key('web.key', 'web'))
    key = f'{prefix}/testhost/job/{removed.ids[0]}'
    assert world('verify', 'job').status == DONE
    for forger in (put, removed.prune):
        removed.put(key, forger.annotation(key, removed.repository, **said))
        world.ok('verify', 'job')
    for forged in (web.annotation(key, removed.repository, **said), put.annotation(key, bytes(16), **said),
                   put.annotation(key.replace(removed.ids[0], removed.ids[1]), removed.repository, **said),
                   put.annotation(key, removed.repository, **said, features=['more']),
                   put.annotation(key, removed.repository, **(said | wrong))):
        removed.put(key, forged)
        assert key in world.fails(DAMAGED, 'verify', 'job').text


# ---- as prune does it


@pytest.mark.every_sink
def test_prune_with_a_prune_key(removed, world, tmp_path):
    """It opens nothing, and its work is explained to whoever looks, with whatever key; a put key removes nothing."""
    world.job(prune='manual', keep_last=1, keep_min=1)
    needs = {found.name for found in world.objects('needs')}
    assert needs == set(removed.ids)
    world.sink(key=world.put_key())
    before = sorted(found.name for found in world.objects())
    result = world('prune', 'job', '--yes')
    assert result.status != DONE and 'may not remove' in result.text, result
    assert sorted(found.name for found in world.objects()) == before
    world.sink(key=tmp_path / 'keys' / 'prune.key')
    world.ok('prune', 'job', '--yes')
    for kind in ('snapshots', 'needs'):
        assert [found.name for found in world.objects(kind)] == removed.ids[-1:]
    assert len(world.objects('removed')) == 1
    assert '0 removed' in world.ok('prune', 'job', '--yes').text and len(world.objects('removed')) == 1
    for key in (world.key, tmp_path / 'keys' / 'put.key', tmp_path / 'keys' / 'prune.key'):
        world.sink(key=key)
        assert not gone(world.ok('verify', 'job'))
    world.sink()
    assert not gone(world.ok('run', 'job'))
    assert_same_tree(tmp_path / 'tree', world.restored() / 'tree')
    world.ok('verify', '--all')


def test_prune_leaves_what_is_pinned_or_was_verified_last(removed, world, tmp_path):
    world.job(prune='manual', keep_last=1, keep_min=1)
    first, second, third, last = removed.ids
    world.ok('verify', f'job@{second}')
    world.ok('verify', f'job@{third}')
    world.ok('pin', f'job@{first}')
    world.ok('prune', 'job', '--yes')
    assert world.snapshots() == [first, third, last]
    assert [found.name for found in world.objects('proofs')] == [third]
    world.ok('verify', 'job', '--quick')
    world.ok('unpin', f'job@{first}')
    world.ok('prune', 'job', '--yes')
    assert world.snapshots() == [third, last]
    world.ok('verify', 'job', '--quick')


def test_prune_leaves_what_is_pinned_in_an_archive(world, tmp_path):
    tree = plain_tree(tmp_path / 'tree', files=2)
    world.source('tree', tree)
    world.sink(path=tmp_path / 'plain', format='archive', encryption='none')
    world.job(prune='manual', keep_last=1, keep_min=1)
    world.ok('init', 'disk')
    for i in range(4):
        (tree / 'f').write_text(str(i))
        world.ok('run', 'job')
    first, second, _, last = world.snapshots()
    world.ok('pin', f'job@{first}')
    world.ok('pin', f'job@{second}')
    (tmp_path / 'plain' / 'pins' / 'job' / f'{second}.json').write_text('{}')
    result = world('prune', 'job', '--yes')
    assert world.fails(INCOMPLETE, 'list', 'job').ids == [first, second, last] and f'{second}.json' in result.err, result
    world.ok('unpin', f'job@{second}')
    world.ok('prune', 'job', '--yes')
    assert world.snapshots() == [first, last]
    world.ok('verify', 'job')
