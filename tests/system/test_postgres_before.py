"""What restores in place replaced: it keeps a name of its own, is shown, is not saved, and goes when that was asked for."""
import re

import pytest

from support.postgres import cluster, running_cluster  # noqa: F401

DAY = 86400


@pytest.fixture
def replaced(world, cluster):
    """A function that restores in place, and says what the old one is called now."""

    def restore(*words, name='gym'):
        before = set(cluster.databases())
        world.ok('restore', 'job', f'db:{name}.dump', '--in-place', '--yes', *words)
        return next(iter(set(cluster.databases()) - before), None)

    return restore


def age(cluster, name, seconds):
    """As if it had been replaced so long ago."""
    comment = cluster.sql(f"SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '{name}'")[0]
    then = cluster.sql(f"SELECT to_char(now() AT TIME ZONE 'UTC' - interval '{seconds} s', 'YYYY-MM-DD HH24:MI:SS\"Z\"')")[0]
    changed = re.sub(r'until .*\)$', f'until {then})', comment)
    assert changed != comment
    cluster.sql(f'COMMENT ON DATABASE "{name}" IS $c${changed}$c$')
    return name


def test_check_lists_what_was_replaced(world, cluster, replaced):
    cluster.create('gym', 'CREATE TABLE t AS SELECT 1 AS a')
    cluster.create('gymnast')
    cluster.sql("COMMENT ON DATABASE gym IS 'where we (all) train'")
    cluster.world(world, databases='gym, gymnast')
    world.ok('run', 'job')
    assert 'is what a restore' not in world.ok('check').text
    old = replaced()
    other = replaced(name='gymnast')
    found = world.ok('check').text
    for name in (old, other):
        assert re.search(rf"database '{name}' is what a restore replaced at \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\dZ; it takes \d+ kB", found)
    cluster.source(world, database='gym')
    found = world.ok('check').text
    assert old in found and other not in found
    # Its own comment is still there, and that of the new one is as it was.
    comment = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '{}'"
    assert re.fullmatch(r'where we \(all\) train \(cofre: this was gym until [-0-9]+ [:0-9]+Z\)', cluster.sql(comment.format(old))[0])
    assert cluster.sql(comment.format('gym')) == ['where we (all) train']
    # Put back by hand, and replaced once more: it says that once.
    cluster.sql(f'DROP DATABASE gym; ALTER DATABASE "{old}" RENAME TO gym')
    assert cluster.sql(comment.format(replaced()))[0].count('cofre: ') == 1


def left(world) -> list[str]:
    """What status says that restores have left: it looks at this machine alone."""
    return [one['text'] for one in world('--json', 'status').json() if one['type'] == 'finding' and 'a restore has left' in one['text']]


def test_status_names_what_was_replaced_until_it_is_gone(world, cluster, replaced):
    cluster.create('gym', 'CREATE TABLE t AS SELECT 1 AS a')
    cluster.create('gymnast')
    cluster.world(world, databases='gym, gymnast')
    world.ok('run', 'job')
    assert left(world) == []
    names = [replaced(), replaced(name='gymnast')]
    for name, one in zip(names, left(world)):
        assert one.startswith(f"source 'db': a restore has left database '{name}', known for ") and f'when all is well: DROP DATABASE "{name}"' in one
    assert f'a restore has left database \'{names[0]}\'' in world('status').out
    cluster.sql(f'DROP DATABASE "{names[0]}"')
    assert len(left(world)) == 2
    world.ok('check', 'db')
    [one] = left(world)
    assert names[1] in one
    cluster.sql(f'DROP DATABASE "{names[1]}"')
    world.ok('run', 'job')
    assert left(world) == []


def test_what_was_left_is_found_again_when_the_state_is_lost_or_damaged(world, cluster, replaced):
    cluster.create('gym')
    cluster.world(world, databases='gym')
    world.ok('run', 'job')
    name, place = replaced(), world.base / 'state' / 'leftovers' / 'db'
    place.unlink()
    assert left(world) == []
    world.ok('run', 'job')
    assert name in left(world)[0]
    place.write_text('[')
    assert 'cofre check db' in world('status').text
    world('check', 'db')
    assert name in left(world)[0]


def test_a_name_that_had_to_be_cut_is_known_without_its_comment(world, cluster, replaced):
    """Whose it was is told by what is left of its name: that of one too many rather than of none."""
    name = cluster.create('g' + 25 * 'ä')
    cluster.create('other')
    cluster.world(world, databases=f'{name}, other')
    world.ok('run', 'job')
    old = replaced(name=name)
    cluster.sql(f'COMMENT ON DATABASE "{old}" IS NULL')
    for words in (('check', 'db'), ('run', 'job')):
        world(*words)
        assert [old in one for one in left(world)] == [True]
    cluster.source(world, databases='other')
    world.ok('run', 'job')
    assert left(world) == []


def test_all_databases_are_without_those(world, cluster, replaced):
    cluster.create('gym')
    cluster.world(world, databases='*')
    world.ok('run', 'job')
    old = replaced()
    # A name that only looks like one.
    for name in ('gym_before_20261128T000000Z', 'gym_before_20261128T000000Z-abcdef_old', '_before_20261128T000000Z-abcdef'):
        cluster.create(name)
    result = world.ok('-v', 'run', 'job')
    assert f"database '{old}' is not saved" in result.err
    assert sorted(re.findall(r'db:(\S+)\.dump', world.ok('ls', 'job').out)) == [
        '_before_20261128T000000Z-abcdef', 'gym', 'gym_before_20261128T000000Z', 'gym_before_20261128T000000Z-abcdef_old', 'postgres']
    # Who names one gets it.
    cluster.source(world, databases=f'gym, {old}')
    world.ok('run', 'job')
    assert f'{old}.dump' in world.ok('ls', 'job').out


def test_nothing_goes_by_itself(world, cluster, replaced):
    cluster.create('gym')
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    old = age(cluster, replaced(), 4000 * DAY)
    world.ok('run', 'job')
    assert old in cluster.databases() and replaced() and old in cluster.databases()


def test_old_ones_go_after_a_run(world, cluster, replaced):
    cluster.create('gym')
    cluster.create('other')
    cluster.world(world, databases='gym, other')
    world.ok('run', 'job')
    old, young, unmarked, elsewhere = replaced(), replaced(), replaced(), replaced(name='other')
    for name, days in ((old, 31), (young, 29), (elsewhere, 31)):
        age(cluster, name, days * DAY)
    cluster.sql(f'COMMENT ON DATABASE "{unmarked}" IS NULL')
    lookalike = cluster.create('gym_before_20200101T000000Z-abcdef')
    cluster.source(world, database='gym', drop_before='30d')
    result = world.ok('run', 'job')
    assert f"database '{old}' is dropped: a restore replaced it at" in result.err
    assert set(cluster.databases()) == {'gym', 'other', 'postgres', young, elsewhere, unmarked, lookalike}
    assert result.err.count('is dropped') == 1


def test_old_ones_go_after_a_restore(world, cluster, replaced):
    cluster.create('gym')
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    old = age(cluster, replaced(), 2 * DAY)
    world.ok('restore', 'job', 'db:gym.dump', '--set', 'database=copy', '--set', 'drop_before=1d')
    assert old in cluster.databases()
    world.ok('restore', 'job', 'db:gym.dump', '--in-place', '--yes', '--set', 'drop_before=1d')
    assert old not in cluster.databases() and len(cluster.databases()) == 4
    assert world('restore', 'job', 'db:gym.dump', '--in-place', '--yes', '--set', 'drop_before=1h').status != 0


def test_old_ones_stay_when_somebody_needs_them(world, cluster, replaced):
    """In use; with a replication slot; with nothing that could be wrong about the one that took its place."""
    cluster.create('gym')
    cluster.world(world, database='gym', drop_before='1d')
    world.ok('run', 'job')
    old = age(cluster, replaced(), 2 * DAY)
    with cluster.session(old, 'SELECT 1'):
        assert f"database '{old}' was to be dropped by drop_before, and stays: somebody is using it" in world.ok('run', 'job').err
    cluster.sql("SELECT pg_create_logical_replication_slot('sl', 'pgoutput')", old)
    try:
        assert 'stays: it has a replication slot' in world.ok('run', 'job').err
    finally:
        cluster.sql("SELECT pg_drop_replication_slot('sl')")
    cluster.source(world, databases='gym, missing', drop_before='1d')
    world('run', 'job')
    assert old in cluster.databases()
    cluster.sql('ALTER DATABASE gym RENAME TO gymnasium')
    cluster.source(world, databases='gym, gymnasium', drop_before='1d')
    world('run', 'job')
    cluster.source(world, databases='gymnasium', drop_before='1d')
    world.ok('run', 'job')
    assert old in cluster.databases()
    cluster.sql('ALTER DATABASE gymnasium RENAME TO gym')
    cluster.source(world, database='gym', drop_before='1d')
    world.ok('run', 'job')
    assert cluster.databases() == ['gym', 'postgres']


def test_each_keeps_a_name_of_its_own(world, cluster, replaced):
    """Names that fill all 63 bytes, and begin alike; characters of several bytes; all of one snapshot, each twice."""
    stem = 'ä' * 28
    names = [cluster.create(f'{stem}{tail}', f"CREATE TABLE t AS SELECT '{tail}' AS a") for tail in ('abcdefg', 'hijklmn')]
    assert {len(name.encode()) for name in names} == {63}
    cluster.world(world, databases=', '.join(names))
    world.ok('run', 'job')
    for name in names:
        cluster.sql("UPDATE t SET a = 'first'", name)
    world.ok('restore', 'job', 'db', '--in-place', '--yes')
    for name in names:
        cluster.sql("UPDATE t SET a = 'second'", name)
    world.ok('restore', 'job', 'db', '--in-place', '--yes')
    old = sorted(set(cluster.databases()) - {*names, 'postgres'})
    assert len(old) == 4 and all('_before_' in name and len(name.encode()) <= 63 for name in old)
    assert sorted(cluster.sql('SELECT a FROM t', name)[0] for name in old) == ['first', 'first', 'second', 'second']
    assert [cluster.sql('SELECT a FROM t', name)[0] for name in names] == ['abcdefg', 'hijklmn']
    # Which is whose is written down.
    found = world.ok('check').text
    assert all(f"'{name}' is what a restore replaced" in found for name in old)
    for name in old:
        age(cluster, name, 2 * DAY)
    cluster.source(world, databases=names[0], drop_before='1d')
    world.ok('run', 'job')
    left = sorted(set(cluster.databases()) - {*names, 'postgres'})
    assert len(left) == 2 and {cluster.sql('SELECT a FROM t', name)[0] for name in left} == {'first', 'second'}
