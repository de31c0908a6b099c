"""cofre status of what the sinks hold, of this host and of all: against a second opinion from the manifests themselves; and its forms."""
import json
import random
import re
import shutil
import time
from datetime import datetime, timedelta, timezone

import pytest

from support import clock
from support.archive import manifest
from support.cli import CLEAN, DAMAGED, INCOMPLETE, OVERDUE, SNAPSHOT_ID, USAGE
from support.decoder import Repository, read_manifest
from support.faults import sample
from support.tree import plain_tree
from test_other_hosts import forged
from test_status import samples

PLAIN = {'format': 'archive', 'encryption': 'none'}
HOUR, DAY = 3600, 86400
STATES = ('complete', 'partial', 'incomplete', 'suspect')


def at(world, when: float, *words):
    """As of another time."""
    return world(*words, prefix=clock.at(int(when)), env=CLEAN | {'TZ': 'UTC'})


def seconds(text: str | None) -> float | None:
    return text and datetime.fromisoformat(text[:19] + '+00:00').timestamp()


# ---- a fleet in an archive ----

def changed(whole: dict, host: str, job: str, id: str, began: datetime, state: str, number: int) -> dict:
    whole = json.loads(json.dumps(whole)) | {'host': host, 'job': job, 'id': id, 'sequence': number, 'partial': state == 'partial',
                                             'started': f'{began:%Y-%m-%dT%H:%M:%S}.000000000Z', 'ended': f'{began:%Y-%m-%dT%H:%M:%S}.000000001Z'}
    [source] = whole['sources']
    if state == 'incomplete':
        whole['status'] = source['status'] = 'incomplete'
    if state == 'suspect':
        source['suspect'] = 'nothing is in it'
    return whole


def plant(place, first, host: str, job: str, began: datetime, state: str, number: int) -> str:
    id = f'{began:%Y%m%dT%H%M%SZ}-{number:06x}'
    copy = shutil.copytree(first, place / job / id)
    (copy / 'manifest.json').write_text(json.dumps(changed(manifest(first), host, job, id, began, state, number)))
    return id


@pytest.fixture
def archive(world, tmp_path):
    """A sink that others store in, and a snapshot that its own host has made, to be copied; and then there is none."""
    world.source('tree', plain_tree(tmp_path / 'tree', files=2))
    world.sink(path=tmp_path / 'disk', **PLAIN)
    world.job()
    world.ok('init', 'disk')
    world.ok('run', 'job')
    [made] = (tmp_path / 'disk' / 'job').iterdir()
    shutil.move(made, tmp_path / 'first')
    shutil.rmtree(tmp_path / 'state')
    return world


def state_of(whole: dict, accepted: set[str]) -> str:
    if whole['status'] != 'complete':
        return 'incomplete'
    if whole.get('partial'):
        return 'partial'
    return 'suspect' if any(one.get('suspect') for one in whole['sources']) and whole['id'] not in accepted else 'complete'


def standing(wholes: list[dict], now: float, max_age: float | None, accepted: set[str] = frozenset()) -> dict:
    """What is to be told of one host and job."""
    rows = sorted((seconds(one['started']), one['id'], state_of(one, accepted)) for one in wholes)
    good = max((row for row in rows if row[2] == 'complete'), default=None)
    return {'snapshot': good and good[1], 'last_good': good and good[0], 'max_age': max_age,
            'stale': bool(max_age) and (not good or now - good[0] > max_age), 'snapshots': len(rows),
            'newest': rows and {'snapshot': rows[-1][1], 'status': rows[-1][2]}, **{state: sum(row[2] == state for row in rows) for state in STATES}}


def told(result) -> dict:
    found = {}
    for row in result.json():
        if row['type'] == 'stored':
            newest = row['newest'] and {'snapshot': row['newest']['snapshot'], 'status': row['newest']['status']}
            kept = ('snapshot', 'max_age', 'stale', 'snapshots', *STATES)
            found[row['host'], row['job'], row['sink']] = {name: row[name] for name in kept} | {'last_good': seconds(row['last_good']), 'newest': newest or []}
    return found


def level(row: dict) -> int:
    """As an exit status."""
    if row['stale']:
        return OVERDUE
    warned = not row['snapshot'] or (row['newest'] and row['newest']['status'] in ('incomplete', 'suspect'))
    return INCOMPLETE if warned else 0


@pytest.mark.parametrize('seed', [0, 1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 20))])
def test_random_fleets(archive, tmp_path, seed):
    """20 hosts and jobs, by every way of saying how old is too old."""
    rng = random.Random(seed)
    place, made = tmp_path / 'disk', {}
    for n in range(20):
        host, job = rng.choice(['web', 'db', 'mail', 'testhost']), rng.choice(['job', 'nightly', 'hourly'])
        for _ in range(rng.choice([1, 2, 5])):
            began = (datetime.now(timezone.utc) - timedelta(seconds=rng.randrange(HOUR, 9 * DAY))).replace(microsecond=0)
            number = sum(map(len, made.values())) + 1
            id = plant(place, tmp_path / 'first', host, job, began, rng.choice(['complete', 'complete', *STATES]), number)
            made.setdefault((host, job), []).append(manifest(place / job / id))
    for own, ages in (('2d', {}), (None, {'max_age': '1d'}), (None, {})):
        archive.job(max_age=own)
        archive.sink(path=place, **PLAIN, **ages)
        for option in ('', '3d'):
            def most(host, job, own=own, ages=ages, option=option):
                return 3 * DAY if option else 2 * DAY if own and (host, job) == ('testhost', 'job') else DAY if ages else None
            for words in (['--all-hosts'], ['--sink', 'disk'], ['--all-hosts', '--sink', 'disk']):
                result = archive('--json', 'status', *words, *(['--max-age', option] if option else []))
                expected = {(*key, 'disk'): standing(rows, time.time(), most(*key)) for key, rows in made.items()
                            if '--all-hosts' in words or key[0] == 'testhost'}
                expected.setdefault(('testhost', 'job', 'disk'), standing([], time.time(), most('testhost', 'job')))
                assert told(result) == expected, (words, option)
                assert result.status == max(map(level, expected.values()))


def test_the_forms(archive, tmp_path):
    now = datetime.now(timezone.utc)
    for n, (host, ago, state) in enumerate([('web', 30, 'complete'), ('db', 3, 'complete'), ('db', 1, 'suspect'), ('testhost', 2, 'complete')]):
        plant(tmp_path / 'disk', tmp_path / 'first', host, 'job', now - timedelta(hours=ago), state, n + 1)
    words = ('status', '--all-hosts', '--sink', 'disk', '--max-age', '26h')
    text = archive.fails(OVERDUE, *words).out
    stale, warning, empty, title, *rows = text.splitlines()
    assert re.match(r"stale: host 'web', job 'job', sink 'disk': the newest complete snapshot is 1 d 6 h old, older than max_age \(1 d 2 h\)", stale)
    assert re.match(r"warning: host 'db', job 'job', sink 'disk': the newest snapshot, .*, is suspect", warning) and empty == ''
    assert title.split()[:3] == ['HOST', 'JOB', 'SINK'] and [row.split()[0] for row in rows] == ['db', 'testhost', 'web']
    line = archive.fails(2, *words, '--nagios').out
    assert line.count('\n') == 1 and line.startswith("COFRE CRITICAL - host 'web', job 'job'") and re.search(r"'db job on disk age'=108\d\ds;;93600;0", line)
    assert archive.fails(1, *words[:-2], '--nagios').out.startswith("COFRE WARNING - host 'db'")
    page = tmp_path / 'metrics'
    assert archive.ok(*words, '--prometheus', '--output', page).out == ''
    metrics = page.read_text()
    assert samples(metrics)['cofre_stored_snapshot_max_age_seconds', (('host', 'db'), ('backup', 'job'), ('sink', 'disk'))] == 26 * HOUR
    assert 'cofre_stored_snapshot_stale{host="web",backup="job",sink="disk"} 1\n' in metrics and 'cofre_stored_reachable{sink="disk"} 1\n' in metrics
    assert 'cofre_stored_snapshots_suspect{host="db",backup="job",sink="disk"} 1\n' in metrics
    own = archive.ok('status', '--prometheus').out
    assert not set(re.findall(r'^cofre_\w+', metrics, re.M)) & set(re.findall(r'^cofre_\w+', own, re.M)), 'one collector has both'
    id = re.search(r'the newest snapshot, (\S+),', warning)[1]
    archive.section('engine', state_dir=archive.base / 'state', cache_dir=archive.base / 'cache', host='db')
    archive.ok('accept', f'job@{id}')
    assert 'suspect' not in archive.fails(OVERDUE, *words).out.split('\n\n')[0]


def test_what_cannot_be_used(archive, tmp_path):
    plant(tmp_path / 'disk', tmp_path / 'first', 'web', 'job', datetime.now(timezone.utc), 'complete', 1)
    for words in (['--max-age', '1d'], ['--sink', 'dsik'], ['--sink', 'disk', '--max-age', '0'], ['--sink', 'disk', '--max-age', '1x'],
                  ['--sink', 'disk', '--health'], ['jbo', '--all-hosts']):
        archive.fails(USAGE, 'status', *words)
    archive.sink('away', path=tmp_path / 'away', **PLAIN)
    archive.job(sinks='disk, away')
    done = archive.fails(INCOMPLETE, 'status', '--all-hosts')
    assert "unknown: sink 'away': it cannot be looked at: " in done.out and re.search(r'^web +job +disk', done.out, re.M), done
    assert archive.fails(3, 'status', '--sink', 'away', '--nagios').out.startswith('COFRE UNKNOWN - ')
    assert 'cofre_stored_reachable{sink="away"} 0' in archive.ok('status', '--from-sinks', '--prometheus').out
    archive.job()
    future = plant(tmp_path / 'disk', tmp_path / 'first', 'web', 'job', datetime.now(timezone.utc) + timedelta(days=3), 'complete', 2)
    done = archive.fails(INCOMPLETE, '--json', 'status', '--all-hosts')
    assert "1 snapshot is of the future" in done.out and all(row['snapshots'] < 2 for row in done.json() if row['type'] == 'stored')
    (tmp_path / 'disk' / 'job' / future / 'manifest.json').write_text('{')
    assert "of nobody knows which host cannot be read" in archive.fails(DAMAGED, 'status', '--all-hosts').out


# ---- a fleet in a repository ----

@pytest.fixture
def fleet(world, tmp_path):
    """Three hosts with a put key each, and what they stored; then a machine that keeps the sink."""
    world.simple(plain_tree(tmp_path / 'tree', files=3))
    (tmp_path / 'nothing').mkdir()
    for host, sources in (('web', ['job', 'job']), ('db', ['job', 'job:tree']), ('mail', ['job'])):
        world.section('engine', state_dir=tmp_path / f'state-{host}', cache_dir=tmp_path / f'cache-{host}', host=host)
        world.source('tree', tmp_path / ('tree' if host != 'mail' else 'none'))
        world.source('more', tmp_path / 'tree')
        world.job(sources='tree, more')
        world.sink(key=world.put_key(host, host))
        for words in sources:
            world('run', *words.split(':'))
        if host in ('web', 'db'):
            world.source('tree', tmp_path / 'nothing')
            suspect = SNAPSHOT_ID.search(world.fails(INCOMPLETE, 'run', 'job').text)[0]
        if host == 'web':
            world.ok('accept', f'job@{suspect}')
    for path in world.conf.glob('*'):
        if not path.name.startswith('sink'):
            path.unlink()
    world.section('engine', state_dir=tmp_path / 'state', cache_dir=tmp_path / 'cache', host='keeper')
    world.sink()
    return world


def read_all(world) -> dict[tuple[str, str], list[dict]]:
    found = {}
    for host, job, id in (path.parts[-3:] for path in (world.repository / 'snapshots').rglob('*-*') if path.is_file()):
        whole = read_manifest(Repository(world.repository, world.key, True), f'{host}/{job}/{id}')
        found.setdefault((host, job), []).append(whole | {'started': f"{datetime.fromtimestamp(whole['started'] // 10**9, timezone.utc):%Y-%m-%dT%H:%M:%S}"})
    return found


@pytest.mark.preload
def test_every_key_tells_the_same(fleet, tmp_path):
    made = read_all(fleet)
    assert {key: len(rows) for key, rows in made.items()} == {('web', 'job'): 3, ('db', 'job'): 3, ('mail', 'job'): 1}
    accepted = {path.name for path in fleet.objects('accepted')}
    assert len(accepted) == 1
    fleet.ok('verify', '--all')
    keys = {'full': fleet.key, 'prune': fleet.prune_key(), 'put': fleet.put_key('keeper', 'keeper')}
    for name, key in keys.items():
        shutil.rmtree(tmp_path / 'state')
        fleet.sink(key=key)
        for now in (time.time(), time.time() + 3 * DAY):
            result = at(fleet, now, '--json', 'status', '--all-hosts', '--sink', 'disk', '--max-age', '2d')
            expected = {(*key, 'disk'): standing(rows, now, 2 * DAY, accepted) for key, rows in made.items()}
            assert told(result) == expected, name
            assert result.status == OVERDUE, 'mail has nothing complete'
            assert (expected['web', 'job', 'disk']['suspect'], expected['db', 'job', 'disk']['suspect']) == (0, 1)
            rows = {row['host']: row for row in result.json() if row['type'] == 'stored'}
            assert all(rows[host]['verified'] for host in ('web', 'db')) and rows['web']['proven'] is None, (name, list(rows.values()))


def test_a_snapshot_that_was_changed(fleet, tmp_path):
    [path] = [path for path in (fleet.repository / 'snapshots' / 'mail').rglob('*-*') if path.is_file()]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    done = fleet.fails(DAMAGED, '--json', 'status', '--all-hosts')
    [row] = [row for row in done.json() if row['type'] == 'stored' and row['host'] == 'mail']
    assert (row['snapshots'], row['unreadable'], row['snapshot']) == (0, 1, None) and f'job/{path.name}' in done.out
    fleet.section('job nightly', sources='tree', sinks='disk')
    fleet.source('tree', tmp_path)
    assert "host 'keeper', job 'nightly', sink 'disk': no complete snapshot is there" in fleet.fails(DAMAGED, 'status', '--all-hosts').out


def test_what_another_host_has_forged(fleet):
    """With the put key of web, in the name of db."""
    before = told(fleet('--json', 'status', '--all-hosts'))
    path = forged(fleet, host='db', snapshot=f'{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}-ffffff', key='web')
    done = fleet('--json', 'status', '--all-hosts')
    assert told(done) == before and path.name in done.out and "the key of host 'web', not of host 'db'" in done.out, done
    assert [row['unreadable'] for row in done.json() if row['type'] == 'stored'] == [1, 0, 0]


@pytest.mark.parametrize(('call', 'cause'), [('openat', 'EMFILE'), ('openat', 'EIO'), ('getdents64', 'EIO'), ('pread64', 'EIO')])
def test_half_of_a_sink_is_never_told_for_all_of_it(fleet, faults, call, cause):
    """Whatever fails: it is all as it stands, or one that cannot be read, or nothing."""
    words = ('--json', 'status', '--all-hosts', '--sink', 'disk')
    good = told(fleet(*words))
    faults.fail_at(call, cause, 0, fleet, *words, below=fleet.repository)
    outcomes = set()
    for number in sample(faults.count(), 20):
        result = faults.fail_at(call, cause, number, fleet, *words, below=fleet.repository, sticky=True)
        found = told(result)
        lost = sum(row['unreadable'] for row in result.json() if row['type'] == 'stored')
        assert found.keys() == good.keys() or (not found and "sink 'disk'" in result.out and 'unknown' in result.out), result
        assert not found or found == good or lost > 0, result
        assert found == good or result.status in (INCOMPLETE, DAMAGED), result
        outcomes.add(bool(found))
    assert False in outcomes


# ---- a state that is lost ----

def test_a_lost_state(world, tmp_path):
    world.simple(plain_tree(tmp_path / 'tree', files=3))
    world.sink('far', path=tmp_path / 'far')
    world.job(sinks='disk, far', max_age='1d')
    world.ok('init', 'far')
    world.ok('run', 'job')
    [id] = world.snapshots()
    shutil.rmtree(tmp_path / 'state')
    done = world.fails(OVERDUE, 'status')
    assert 'cofre status --from-sinks' in done.out, done
    before = sorted(path for path in tmp_path.rglob('*') if path.is_relative_to(tmp_path / 'repository') or path.is_relative_to(tmp_path / 'far'))
    rows = [row for row in world.ok('--json', 'status', '--from-sinks').json() if row['type'] == 'stored']
    assert [(row['host'], row['job'], row['sink'], row['snapshot'], row['max_age']) for row in rows] == [
        ('testhost', 'job', sink, id, DAY) for sink in ('disk', 'far')]
    assert before == sorted(path for path in tmp_path.rglob('*') if path.is_relative_to(tmp_path / 'repository') or path.is_relative_to(tmp_path / 'far'))
    world.section('job other', sources='tree', sinks='far', max_age='1d')
    assert "stale: host 'testhost', job 'other', sink 'far': no complete snapshot is there" in world.fails(OVERDUE, 'status', '--from-sinks').out
    world.ok('status', 'job', '--from-sinks')
