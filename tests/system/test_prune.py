"""prune: what no rule keeps goes, what is wanted stays, and on a doubt everything stays."""
import json
import os
import random
import shutil
import subprocess
import time
from datetime import datetime, timedelta, timezone

import pytest

from support import clock
from support.archive import manifest, snapshots
from support.cli import BUSY, CLEAN, DAMAGED, FAILURES, INCOMPLETE, USAGE, World
from support.faults import sample
from support.gnupg import Gnupg
from support.retention_oracle import EPOCH, Case, Snapshot, decide
from support.tree import plain_tree

PLAIN = {'format': 'archive', 'encryption': 'none'}


@pytest.fixture
def made(world, tmp_path) -> World:
    """A job that saves a small tree into an archive, initialised, and nothing in it."""
    world.source('tree', plain_tree(tmp_path / 'tree', files=2))
    world.sink(path=tmp_path / 'disk', **PLAIN)
    world.job(prune='manual', keep_last=2, keep_min=1)
    world.ok('init', 'disk')
    return world


@pytest.fixture
def place(tmp_path):
    return tmp_path / 'disk'


def run(world, times: int) -> list[str]:
    for _ in range(times):
        (world.base / 'tree' / 'new').write_bytes(os.urandom(100))
        world.ok('run', 'job')
    return world.snapshots()


def plant(world, place, times: list[datetime], job: str = 'job', **members) -> list[str]:
    """Snapshots of these times beside one that a run has made, as whoever can write there can make them, first in the chain; that one goes."""
    [first] = snapshots(place) or [place / 'job' / run(world, 1)[0]]
    made = []
    for i, time in enumerate(times):
        id = f'{time:%Y%m%dT%H%M%SZ}-{i:06x}'
        copy = shutil.copytree(first, place / job / id)
        text = manifest(copy) | {'id': id, 'job': job, 'sequence': i + 1, 'started': f'{time:%Y-%m-%dT%H:%M:%S}.000000000Z',
                                 'ended': f'{time:%Y-%m-%dT%H:%M:%S}.000000001Z'} | members
        (copy / 'manifest.json').write_text(json.dumps(text))
        made.append(id)
    shutil.rmtree(first)
    forget(world)
    return made


def forget(world):
    """This machine's memory of what it stored."""
    shutil.rmtree(world.base / 'state' / 'jobs')


def days(count: int, before: int = 0) -> list[datetime]:
    """Noon of as many days, up to some days ago."""
    noon = datetime.now(timezone.utc).replace(hour=12, minute=0, second=0, microsecond=0)
    return [noon - timedelta(days=count + before - i) for i in range(count)]


def there(place, job: str = 'job') -> set[str]:
    return {path.name for path in snapshots(place, job)}


def left(place, job: str = 'job') -> set[str]:
    """Snapshots of which there is a file."""
    return {path.name for path in (place / job).iterdir() if any(path.iterdir())}


def decisions(result) -> dict[str, tuple[str, list[str]]]:
    rows = [row for row in result.json() if row['type'] == 'decision']
    assert all(set(row) == {'type', 'host', 'job', 'sink', 'id', 'action', 'reasons'} and row['reasons'] for row in rows)
    return {row['id']: (row['action'], row['reasons']) for row in rows}


# ---- deciding and removing ----

def test_what_a_dry_run_tells_is_done(made, place):
    ids = run(made, 5)
    before = {path.relative_to(place) for path in place.rglob('*')}
    told = made.ok('prune', 'job', '--json', '--dry-run', '--yes')
    shown = made.ok('prune', '--dry-run', '--yes').out
    assert before == {path.relative_to(place) for path in place.rglob('*')}, 'a dry run has changed something'
    assert shown.count('would go') == 3 and 'no rule keeps it' in shown and 'newest complete; last 1 of 2' in shown
    done = made.ok('prune', 'job', '--json', '--yes')
    assert decisions(done) == decisions(told)
    assert {id for id, (action, _) in decisions(done).items() if action == 'keep'} == there(place) == set(ids[-2:])
    assert left(place) == set(ids[-2:])
    assert told.json()[-1] | {'dry_run': False} == done.json()[-1]
    assert done.json()[-1]['removed'] == 3 and done.json()[-1]['kept'] == 2 and done.json()[-1]['status'] == 'done'
    assert 'all whole' in made.ok('verify').out
    assert decisions(made.ok('prune', '--json')).keys() == set(ids[-2:])
    run(made, 1)
    assert 'gone' not in made.ok('list').err and 'all whole' in made.ok('verify').out


def test_a_run_prunes(made, place):
    made.sink('other', path=made.base / 'other', **PLAIN)
    made.ok('init', 'other')
    made.job(sinks='disk, other', keep_last=2, keep_min=1)
    made.section('job job on other', prune='manual', keep_last=1)
    ids = run(made, 3)
    assert there(place) == set(ids[-2:]) and there(made.base / 'other') == set(ids)
    assert 'removed 1 snapshot of' in made.ok('run', 'job').err
    assert 'all whole' in made.ok('verify').out
    made.job(sinks='disk, other', keep_last=1, keep_min=1)
    assert len(there(place)) == 2
    made.ok('run', 'job', '--dry-run')
    assert len(there(place)) == 2
    result = made.fails(INCOMPLETE, 'run', 'job', '--json')  # two of three at once
    assert 'more than half' in result.err and 'prune job --yes' in result.err and len(there(place)) == 3
    assert result.json()[-1]['status'] == 'complete' and result.json()[-1]['unpruned'] is True
    made.ok('prune', 'job', '--sink', 'disk', '--yes')
    assert len(there(place)) == 1 and len(there(made.base / 'other')) == 5


def test_without_a_rule_nothing_goes(made, place):
    made.job(keep_min=1)
    ids = run(made, 4)
    result = made.ok('prune', '--json', '--yes')
    assert decisions(result) == {id: ('keep', ['there is no rule']) for id in ids} and there(place) == set(ids)


def test_more_than_half_needs_a_person(made, place):
    ids = run(made, 5)
    for words in (('prune',), ('prune', '--dry-run')):
        result = made.fails(INCOMPLETE, *words, '--json')
        held = {id: reasons for id, (_, reasons) in decisions(result).items() if 'held back' in reasons[-1]}
        assert held.keys() == set(ids[:3]) and all(action == 'keep' for action, _ in decisions(result).values())
        assert 'more than half' in result.err and result.json()[-1]['held'] == 3 and there(place) == set(ids)
    assert 'is held' in made.fails(INCOMPLETE, 'prune').out
    made.ok('prune', '--yes', '-q')
    assert there(place) == set(ids[-2:])


def test_decisions_are_those_of_an_oracle(made, place):
    """Through the command, over a history of two years with gaps, by all kinds of rules."""
    r = random.Random(4)
    times = sorted(set(days(700)[i] - timedelta(minutes=r.randrange(700)) for i in r.sample(range(700), 60)))
    ids = plant(made, place, times + [datetime.now(timezone.utc) - timedelta(hours=1)])
    case = Case(zone='Europe/Berlin', now=0, minimum=3)
    for i, id in enumerate(ids):
        text = manifest(place / 'job' / id)
        if i % 7 == 3:
            (place / 'job' / id / 'manifest.json').write_text(json.dumps(text | {'partial': True}))
        started = datetime.strptime(text['started'][:19], '%Y-%m-%dT%H:%M:%S').replace(tzinfo=timezone.utc)
        case.snapshots.append(Snapshot(id, i + 1, (started - EPOCH) // timedelta(seconds=1) * 10**9, 'cp' if i % 7 == 3 else 'c'))
    case.now = (datetime.now(timezone.utc) - EPOCH) // timedelta(seconds=1) * 10**9
    case.last, case.periods = 3, {'daily': 10, 'weekly': 8, 'monthly': 12, 'yearly': 5}
    case.within = 20 * 86_400_000
    made.job(keep_last=3, keep_daily=10, keep_weekly=8, keep_monthly=12, keep_yearly=5, keep_within='20d', prune='manual')
    wanted = decide(case)
    result = made.ok('prune', '--json', '--yes', env={'TZ': 'Europe/Berlin', 'PATH': '/usr/bin:/bin'})
    assert sum(not stays for stays, _ in wanted.values()) > 10
    assert {id: (action == 'keep', sorted(why)) for id, (action, why) in decisions(result).items()} == wanted
    assert there(place) == {id for id, (stays, _) in wanted.items() if stays}


def test_of_what_is_asked(made, place):
    made.sink('other', path=made.base / 'other', **PLAIN)
    made.ok('init', 'other')
    run(made, 3)
    assert 'does not write to' in made.fails(USAGE, 'prune', 'job', '--sink', 'other').err
    made.fails(USAGE, 'prune', 'jbo')
    assert decisions(made.ok('prune', '--sink', 'other', '--json')) == {}


def test_the_lock_of_the_job(made, place):
    ids = run(made, 5)
    lock = made.base / 'state' / 'jobs' / 'job' / 'lock'
    holder = subprocess.Popen(['flock', lock, 'sleep', '60'], env=CLEAN)
    try:
        subprocess.run(['sh', '-c', f'while flock -n {lock} true; do sleep 0.05; done'], env=CLEAN, check=True, timeout=60)
        assert 'active' in made.fails(BUSY, 'prune', '--yes').err and there(place) == set(ids)
    finally:
        holder.terminate()
        holder.wait()


# ---- doubts ----

def break_manifest(made, place, ids):
    (place / 'job' / ids[1] / 'manifest.json').write_bytes(b'{"kind":')
    return ids[1]


def forbid_manifest(made, place, ids):
    text = (place / 'job' / ids[0] / 'manifest.json').read_text()
    (place / 'job' / ids[0] / 'manifest.json').write_text(text.replace('"format": 1', '"format": 9').replace('"format":1', '"format":9'))
    return ids[0]


def plant_future(made, place, ids):
    future = '20991231T000000Z-000001'
    copy = shutil.copytree(place / 'job' / ids[0], place / 'job' / future)
    (copy / 'manifest.json').write_text(json.dumps(manifest(copy) | {'id': future, 'sequence': 99, 'started': '2099-12-31T00:00:00.000000000Z',
                                                                     'ended': '2099-12-31T00:00:00.000000000Z'}))
    return future


def move_clock(made, place, ids):
    """What was written is from an hour ahead: the clock went back."""
    history = made.base / 'state' / 'jobs' / 'job' / 'history'
    later = history.stat().st_mtime + 3600
    os.utime(history, (later, later))
    return 'behind what it has seen'


def take_newest(made, place, ids):
    shutil.rmtree(place / 'job' / ids[-1])
    return ids[-1]


def other_place(made, place, ids):
    marker = json.loads((place / 'archive.json').read_text())
    (place / 'archive.json').write_text(json.dumps(marker | {'id': 'ab' * 16}))
    return 'ab' * 16


def leap(made, place, ids):
    """All that is there is years old, and the clock says now."""
    for i, id in enumerate(ids):
        then = f'2021-01-0{i + 1}T00:00:00.000000000Z'
        path = place / 'job' / id / 'manifest.json'
        path.write_text(json.dumps(manifest(path.parent) | {'started': then, 'ended': then}))
    return 'years between'


@pytest.mark.parametrize('spoil', [break_manifest, forbid_manifest, plant_future, move_clock, take_newest, other_place, leap])
def test_on_a_doubt_nothing_goes(made, place, spoil):
    made.job(keep_last=4, keep_min=1, prune='manual')
    ids = run(made, 7)
    words = spoil(made, place, ids)
    before = there(place)
    for dry in ((), ('--dry-run',)):
        result = made.fails(INCOMPLETE, 'prune', '--json', *dry)
        assert there(place) == before and not (place / 'removed').exists()
        assert words in result.err and 'as there is a doubt' in result.err, result
        assert all(action == 'keep' for action, _ in decisions(result).values()) and result.json()[-1]['status'] == 'incomplete'
        assert any('held back: there is a doubt' in reasons for _, reasons in decisions(result).values())
    if spoil is leap:
        made.ok('prune', '--yes')
        assert len(there(place)) == 4


@pytest.mark.preload
def test_a_clock_that_is_wrong(made, place):
    """Through the machine's own time: in 1970, an hour back, and in 2099."""
    made.job(keep_last=4, keep_min=1, prune='manual')
    ids = run(made, 7)
    for date in ('1970-01-02 00:00:00', '2026-01-01 00:00:00', time.time() - clock.HOUR, '2099-01-01 00:00:00'):
        result = made.fails(INCOMPLETE, 'prune', prefix=clock.at(date))
        assert there(place) == set(ids) and 'as there is a doubt' in result.err, result
    made.ok('prune')
    assert len(there(place)) == 4


@pytest.mark.preload
def test_snapshots_of_a_clock_that_was_ahead(made, place):
    """They are in the way until the next one is made by a clock that is right. Then they stay, and no rule takes them for the newest."""
    made.job(keep_within='90d', keep_min=1, prune='manual')
    for day in (3, 2, 1):
        made.ok('run', 'job', prefix=clock.ahead(-day * clock.DAY))
    ids = made.snapshots()
    made.ok('run', 'job', prefix=clock.ahead(400 * clock.DAY))
    [ahead] = set(made.snapshots()) - set(ids)
    assert f'snapshot {ahead} lies in the future' in made.fails(INCOMPLETE, 'prune').err
    ids += [id for id in run(made, 1) if id not in (*ids, ahead)]
    made.ok('prune')
    assert there(place) == {*ids, ahead}
    made.job(keep_last=3, keep_min=1, prune='manual')
    made.ok('prune')
    assert there(place) == {*ids[-3:], ahead}


@pytest.mark.parametrize('kind, options', [('snapshots/testhost/job/{}', {}), ('job/{}/manifest.json', PLAIN)])
def test_the_way_out_of_a_manifest_that_is_damaged(world, tmp_path, kind, options):
    """What is said is done: the object goes by hand, and comes back from another sink. Then all is whole, and prune and gc go on."""
    world.source('tree', plain_tree(tmp_path / 'tree', files=2))
    world.sink(**options)
    world.sink('other', path=tmp_path / 'other', **options)
    world.job(sinks='disk, other', prune='manual', keep_last=3, keep_min=1)
    world.ok('init', 'disk')
    world.ok('init', 'other')
    ids = run(world, 5)
    damaged = world.repository / kind.format(ids[1])
    damaged.write_bytes(damaged.read_bytes()[:-9])
    for verb in ('prune', 'gc'):
        assert 'remove that object by hand' in world.fails(INCOMPLETE, verb, *(('--sink',) if verb == 'prune' else ()), 'disk').err
    damaged.unlink()
    world.ok('copy', f'job@{ids[1]}', '--from', 'other', '--to', 'disk')
    world.ok('prune')
    world.ok('gc')
    assert world.snapshots() == ids[2:] and 'all whole' in world.ok('verify', '--all').out


def test_a_run_says_a_doubt_and_is_no_worse_for_it(made, place):
    made.job(keep_last=4, keep_min=1)
    ids = run(made, 4)
    break_manifest(made, place, ids)
    result = made.fails(INCOMPLETE, 'run', 'job')
    assert ids[1] in result.err and 'as there is a doubt' in result.err and 'complete, in' in result.out
    assert len(there(place)) == 5


def test_what_cannot_be_removed_is_named(made, place, faults):
    """The record cannot be stored: nothing goes. A snapshot cannot be removed: it is named, and the next prune finishes it."""
    ids = run(made, 4)
    result = faults.fail_at('openat', 'EROFS', 1, made, 'prune', '--yes', below=place / 'removed', sticky=True)
    assert there(place) == set(ids), result
    assert result.status == INCOMPLETE and 'so nothing is removed' in result.err, result
    result = faults.fail_at('unlinkat', 'EIO', 1, made, 'prune', '--yes', '--json', below=place, sticky=True)
    assert result.status == INCOMPLETE and 'could not be removed' in result.err, result
    assert all(action == 'keep' for action, _ in decisions(result).values())
    made.ok('prune', '--yes')
    assert there(place) == set(ids[-2:]) and 'all whole' in made.ok('verify').out


@pytest.fixture
def faulty(world, tmp_path) -> World:
    """The same in a sink that can have bad habits, with five snapshots."""
    built = world.binary.parent
    world.section('engine', state_dir=tmp_path / 'state', cache_dir=tmp_path / 'cache', host='testhost',
                  plugin_dir=f'{built / "plugins"}, {built / "tests" / "plugins"}')
    world.source('tree', plain_tree(tmp_path / 'tree', files=2))
    (tmp_path / 'disk').mkdir()
    world.job(prune='manual', keep_last=3, keep_min=1)
    behave(world)
    world.ok('init', 'disk')
    run(world, 5)
    return world


def behave(world, habit: str = 'none', at: str = 'put', **options):
    world.section('sink disk', plugin='faulty-sink', path=world.base / 'disk', habit=habit, at=at, retry_for='1ms', **PLAIN, **{'page': 4} | options)


def in_faulty(place) -> set[str]:
    return {path.name.split('~')[1] for path in place.glob('job~*~manifest.json')}


@pytest.mark.parametrize('at, habits', [
    ('open', 'fail crash silent'), ('list', 'fail crash silent integrity retry repeat overlap twice foreign null_object null_cursor return_end'),
    ('get', 'fail crash integrity retry silent'), ('put', 'nothing half other fail crash silent retry early busy'),
    ('remove', 'fail crash silent retry integrity busy'), ('remove_many', 'fail crash silent retry')])
def test_of_a_sink_with_bad_habits_nothing_wanted_goes(faulty, place, at, habits):
    kept = place.parent / 'kept'
    shutil.copytree(place, kept)
    ids = faulty.snapshots()
    for habit in habits.split():
        shutil.rmtree(place)
        shutil.copytree(kept, place)
        behave(faulty, habit, at, match='removed/' if habit in ('nothing', 'half', 'other') else '')
        result = faulty.fails(FAILURES, 'prune', '--json')
        gone = set(ids) - in_faulty(place)
        assert gone <= set(ids[:2]) and (not gone or at == 'remove_many'), result
        assert not gone & {id for id, (action, _) in decisions(result).items() if action == 'remove'}, result
        behave(faulty)
        if habit in ('half', 'other'):
            [path.unlink() for path in place.glob('removed~*')]
        faulty.ok('prune')
        assert {path.name.split('~')[1] for path in place.glob('job~*')} == set(ids[2:]), habit
        assert 'all whole' in faulty.ok('verify').out, habit


@pytest.mark.every_sink
def test_every_sink_removes(world, tmp_path):
    world.source('tree', plain_tree(tmp_path / 'tree', files=2))
    world.sink(**PLAIN)
    world.job(prune='manual', keep_last=1, keep_yearly=2, keep_min=1)
    world.ok('init', 'disk')
    ids = run(world, 4)
    world.ok('prune')
    assert world.snapshots() == [ids[0], ids[3]] and len(world.objects('job/')) == 6 and len(world.objects('removed/')) == 1
    assert 'all whole' in world.ok('verify').out


# ---- interrupted ----

def test_what_was_interrupted_is_finished(made, place, tmp_path):
    ids = run(made, 4)
    shutil.copytree(place / 'job', tmp_path / 'kept')
    made.ok('prune', '--yes')
    shutil.copytree(tmp_path / 'kept' / ids[0], place / 'job' / ids[0], dirs_exist_ok=True)
    shutil.copytree(tmp_path / 'kept' / ids[1], place / 'job' / ids[1], dirs_exist_ok=True)
    (place / 'job' / ids[1] / 'manifest.json').unlink()
    found = made.fails(DAMAGED, 'verify').out
    assert 'says that it was removed, and it is here' in found and ids[0] in found and found.count('removed/job/') == 1, found
    told = made.ok('prune', '--dry-run', '--json')
    assert {id for id, (action, why) in decisions(told).items() if action == 'remove' and 'interrupted' in why[0]} == set(ids[:2])
    records = list((place / 'removed' / 'job').iterdir())
    made.ok('prune')
    assert left(place) == set(ids[-2:])
    assert records == list((place / 'removed' / 'job').iterdir()), 'what a record names needs no other'
    assert 'all whole' in made.ok('verify').out


def sweep(made, place, faults, tmp_path, points: int):
    ids = run(made, 4)
    kept = tmp_path / 'kept'
    shutil.copytree(place, kept)
    faults.kill_at(0, made, 'prune', '--yes')
    total = faults.count()
    for number in sample(total, points):
        shutil.rmtree(place)
        shutil.copytree(kept, place)
        faults.kill_at(number, made, 'prune', '--yes')
        assert set(ids[-2:]) <= there(place)
        done = made('prune', '--yes')
        assert done.status == 0 and left(place) == set(ids[-2:]), f'{number} of {total}: {done}'
        assert 'all whole' in made.ok('verify').out, number


def test_killed_anywhere(made, place, faults, tmp_path):
    sweep(made, place, faults, tmp_path, 8)


@pytest.mark.long
def test_killed_everywhere(made, place, faults, tmp_path):
    sweep(made, place, faults, tmp_path, 1000)


# ---- removal records ----

def change(record, **members):
    record.write_text(json.dumps(json.loads(record.read_text()) | members))


def gap(made) -> list[str]:
    """Four snapshots, of which prune has taken the two in the middle."""
    made.job(keep_last=1, keep_yearly=2, keep_min=1, prune='manual')
    ids = run(made, 4)
    made.ok('prune')
    return ids


@pytest.mark.parametrize('spoil, named', [
    (lambda record: record.unlink(), None), (lambda record: record.write_text('{'), 'what it should be'),
    (lambda record: change(record, repository='ab' * 16), 'another archive or job'), (lambda record: change(record, job='other'), 'another archive or job'),
    (lambda record: change(record, features=['more']), 'newer'), (lambda record: change(record, format=2), 'newer'),
    (lambda record: change(record, snapshots=[]), None), (lambda record: change(record, host='other'), None)])
def test_only_a_valid_record_explains(made, place, spoil, named):
    ids = gap(made)
    assert there(place) == {ids[0], ids[3]} and 'all whole' in made.ok('verify').out
    [record] = (place / 'removed' / 'job').iterdir()
    spoil(record)
    found = made.fails(DAMAGED, 'verify').out
    assert f'2 snapshots between {ids[0]} and this one are missing' in found, found
    assert (named is None) == ('removed/job/' not in found) and (named or '') in found, found


def test_a_record_that_lies(made, place):
    """What it says of the chain must fit the chain, and what it names must be gone."""
    ids = gap(made)
    [record] = (place / 'removed' / 'job').iterdir()
    whole = json.loads(record.read_text())
    assert [row['id'] for row in whole['snapshots']] == [ids[2], ids[1]] and whole['snapshots'][0]['reasons'] == ['no rule keeps it']
    for i, member in ((0, 'hash'), (1, 'hash'), (1, 'previous')):
        lie = json.loads(json.dumps(whole))
        lie['snapshots'][i][member] = 'ab' * 32
        record.write_text(json.dumps(lie))
        assert 'is not the one that it followed' in made.fails(DAMAGED, 'verify').out
    whole['snapshots'].append(whole['snapshots'][0] | {'id': ids[0], 'sequence': 1})
    record.write_text(json.dumps(whole))
    assert 'and it is here' in made.fails(DAMAGED, 'verify').out


def test_members_that_nobody_knows_are_ignored(made, place):
    gap(made)
    [record] = (place / 'removed' / 'job').iterdir()
    change(record, mood='fine')
    assert 'all whole' in made.ok('verify').out


def test_a_chain_over_two_archives_and_a_repository(made, place):
    """Each has its own form of a manifest, and one prunes while the others do not."""
    made.sink('second', path=made.base / 'second', compress='gzip', **PLAIN)
    made.sink('whole', path=made.base / 'whole')
    for sink in ('second', 'whole'):
        made.ok('init', sink)
    made.job(sinks='disk, whole, second', keep_last=1, keep_yearly=2, keep_min=1, prune='manual')
    ids = run(made, 5)
    made.ok('prune', '--sink', 'second', '--yes')
    assert there(place) == set(ids) and there(made.base / 'second') == {ids[0], ids[-1]}
    assert made.ok('verify').out.count('all whole') == 3
    run(made, 1)
    made.ok('prune', '--sink', 'second', '--yes')
    assert made.ok('verify').out.count('all whole') == 3
    forget(made)
    assert made.ok('verify').out.count('all whole') == 3


@pytest.fixture
def gnupg(tmp_path):
    signer = Gnupg()
    signer.generate('signer')
    yield signer
    signer.close()


def test_a_signed_archive_believes_signed_records_alone(made, place, gnupg):
    made.sink(path=place, **PLAIN, sign_with=gnupg.fingerprint('signer'), gnupg_home=gnupg.home)
    gap(made)
    assert 'all whole' in made.ok('verify').out
    [record] = (place / 'removed' / 'job').glob('*.json')
    signature = record.with_suffix('.json.sig')
    kept = signature.read_bytes()
    signature.unlink()
    found = made.fails(DAMAGED, 'verify').out
    assert 'is not signed' in found and '2 snapshots between' in found
    signature.write_bytes(kept)
    assert 'all whole' in made.ok('verify').out
    change(record, mood='fine')
    assert '2 snapshots between' in made.fails(DAMAGED, 'verify').out


# ---- other hosts ----

def as_host(made, name: str):
    made.section('engine', state_dir=made.base / f'state-{name}', cache_dir=made.base / 'cache', host=name)


@pytest.fixture
def two(made, place) -> dict[str, list[str]]:
    """Five snapshots of this host, and five of another, in one archive."""
    mine = run(made, 5)
    as_host(made, 'away')
    run(made, 5)
    made.section('engine', state_dir=made.base / 'state', cache_dir=made.base / 'cache', host='testhost')
    return {'testhost': mine, 'away': sorted(there(place) - set(mine))}


def test_other_hosts_go_by_the_sink(made, place, two):
    result = made.ok('prune', '--yes', '--json')
    assert decisions(result).keys() == set(two['testhost']) and there(place) == {*two['testhost'][-2:], *two['away']}
    assert 'no keep_ rule' in made.ok('prune', '--all-hosts').err
    made.sink(path=place, **PLAIN, keep_last=4, keep_min=1)
    told = made.ok('prune', '--all-hosts', '--json', '--dry-run')
    result = made.ok('prune', '--all-hosts', '--json')
    assert decisions(result) == decisions(told) and there(place) == {*two['testhost'][-2:], *two['away'][1:]}
    assert {row['host'] for row in result.json() if row['type'] == 'decision' and row['action'] == 'remove'} == {'away'}
    assert 'all whole' in made.ok('verify', '--all').out
    as_host(made, 'away')
    made.ok('run', 'job')
    assert 'all whole' in made.ok('verify').out


def test_a_doubt_about_whose_it_is_holds_all(made, place, two):
    made.sink(path=place, **PLAIN, keep_last=3, keep_min=1)
    made.job(keep_last=3, keep_min=1, prune='manual')
    before = there(place)
    (place / 'job' / two['away'][2] / 'manifest.json').write_text('rubbish')
    result = made.fails(INCOMPLETE, 'prune', '--all-hosts', '--json')
    assert there(place) == before and result.json()[-1]['held'] == 3 and result.err.count('as there is a doubt') == 2
