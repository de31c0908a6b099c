"""cofre status against a second implementation of what it says, at random moments after random histories; and its forms."""
import contextlib
import json
import os
import pty
import random
import re
import subprocess
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from support import clock
from support.cli import BAD_CONFIG, CLEAN, DAMAGED, DONE, FAILED, INCOMPLETE, OVERDUE
from support.records import history, moment, place, records, write
from support.schedule import next_due
from support.tree import plain_tree

DAY, HOUR = 86400, 3600
PLACES = ['UTC', 'Europe/Madrid', 'America/Sao_Paulo', 'Australia/Lord_Howe', 'America/Argentina/Buenos_Aires']


# ---- a second opinion ----

def accepted_of(made: list[dict]) -> set[str]:
    return {one['snapshot'] for one in made if one['command'] == 'accept' and one['status'] != 'failed'}


def word(run: dict, accepted: set[str]) -> str:
    return 'complete' if run['status'] == 'suspect' and run['snapshot'] in accepted else run['status']


def standing(job: dict, made: list[dict], own: dict[str, list[dict]], now: float, zone: ZoneInfo) -> dict:
    """What status has to say of a job."""
    runs = [one for one in made if one['command'] == 'run']
    accepted = accepted_of(made)
    whole = [one for one in runs if one.get('snapshot_status') in (('complete', 'suspect') if one.get('snapshot') in accepted else ('complete',))]
    today = datetime.fromtimestamp(now, zone).date()
    by_day = [[one for one in runs if (today - datetime.fromtimestamp(one['at'], zone).date()).days == 6 - n
               and one.get('snapshot_status') != 'partial'] for n in range(7)]
    sinks = {}
    for sink in job['sinks']:
        rows = [(one, row) for one in made for row in one.get('sinks', []) if row['name'] == sink]
        good = max((one['began'] for one, row in rows if one.get('snapshot_status') == 'complete' and
                    (row.get('committed') or (one['command'], one['status']) == ('copy', 'complete'))), default=None)
        checks = [(one, row) for one in [*made, *own[sink]] for row in one.get('sinks', [])
                  if one['command'] == 'verify' and row['name'] == sink]
        verified = max((one['at'] for one, row in checks if row['status'] == 'verified' and not one['quick'] and not one.get('snapshot')), default=None)
        damaged = max((one['at'] for one, row in checks if row['status'] == 'damaged'), default=0) > (verified or 0)
        sinks[sink] = good, verified, damaged, bool(job['max_age']) and (good is None or now - good > job['max_age'])
    due = job['schedule'] and next_due(job['schedule'], now, zone)
    missed = due and runs and next_due(job['schedule'], runs[-1]['from'], zone)
    return {'last': runs[-1]['id'] if runs else None, 'sinks': sinks, 'next': due or None,
            'missed': missed if missed and missed + HOUR < now else None,
            'bytes': whole[-1]['bytes'] if whole else None, 'before': whole[-2]['bytes'] if len(whole) > 1 else None,
            'days': ['none' if not day else 'good' if all(word(one, accepted) == 'complete' for one in day)
                     else 'mixed' if any(one['status'] in ('complete', 'incomplete', 'suspect') for one in day) else 'bad' for day in by_day]}


def level(told: dict, made: list[dict], now: float) -> str:
    runs = [one for one in made if one['command'] == 'run']
    if any(stale for *_, stale in told['sinks'].values()):
        return 'stale'
    if any(damaged for _, _, damaged, _ in told['sinks'].values()):
        return 'damaged'
    if runs and (word(runs[-1], accepted_of(made)) not in ('complete', 'partial') or told['missed'] or any(good is None for good, *_ in told['sinks'].values())):
        return 'warning'
    whole = [one['from'] for one in runs if one.get('snapshot_status') != 'partial'][::-1][:6]
    gaps = [a - b for a, b in zip(whole, whole[1:])]
    quiet = len(whole) == 6 and runs[-1]['from'] == whole[0] and min(gaps) >= HOUR and max(gaps) - min(gaps) <= min(gaps) / 2
    if quiet and not told['next'] and (now - whole[0]) / 2 > max(gaps):
        return 'warning'
    return 'ok' if runs else 'warning' if told['next'] else 'unknown'


def status_at(world, when: int, *words, zone: str = 'UTC', env: dict | None = None):
    return world(*words, prefix=clock.at(when), env=CLEAN | {'TZ': zone} | (env or {}))


# ---- random histories ----

def seconds(text: str | None) -> int | None:
    return None if text is None else int(datetime.fromisoformat(text[:19] + '+00:00').timestamp())


def random_schedule(rng: random.Random) -> str | None:
    return rng.choice([None, '0 2 * * *', '30 2 * * *', '15 */6 * * *', '30 * * * *', f'{rng.randrange(60)} {rng.randrange(24)} * * *',
                       '0 0 * * 1', '10 1,3 1,15 * 5', '0 3 1 * *', '*/20 0-3 * * 0'])


def random_record(rng: random.Random, number: int, start: int, sinks: list[str]) -> dict:
    took = rng.randrange(1, 5000)
    one = {'id': f'cofre-{number:06d}', 'started': moment(start), 'ended': moment(start + took), 'from': start, 'at': start + took}
    command = rng.choice(['run'] * 6 + ['verify', 'verify', 'restore', 'prune', 'copy'])
    if command in ('restore', 'prune'):
        return one | {'command': command, 'status': rng.choice(['complete', 'failed'])}
    if command == 'verify':
        rows = [{'name': sink, 'status': rng.choice(['verified', 'verified', 'damaged', 'failed'])} for sink in sinks]
        return one | {'command': command, 'status': 'verified', 'quick': rng.random() < 0.3, 'sinks': rows} | rng.choice(
            [{}, {}, {'snapshot': '20261120T020000Z-ab12cd'}])
    began = start + rng.randrange(0, 3)
    snapshot = {'snapshot': f'20261120T020000Z-{number:06x}', 'snapshot_started': moment(began), 'began': began}
    if command == 'copy':
        status = rng.choice(['complete', 'failed'])
        return one | snapshot | {'command': 'copy', 'status': status, 'snapshot_status': rng.choice(['complete', 'incomplete']),
                                 'sinks': [{'name': rng.choice(sinks)}]}
    kind = rng.choice(['complete'] * 5 + ['partial', 'incomplete', 'failed', 'killed', 'suspect', 'suspect'])
    if kind in ('failed', 'killed'):
        return one | {'status': kind, 'command': 'run', 'error': 'sink \\x1b: no | way', 'bytes': 0,
                      'sinks': [{'name': sink, 'committed': False, 'added': 0, 'error': 'x'} for sink in sinks]}
    rows = [{'name': sink, 'committed': rng.random() < 0.8, 'added': rng.randrange(9999), 'error': None} for sink in sinks]
    status = 'incomplete' if not all(row['committed'] for row in rows) else kind
    return one | snapshot | {'command': 'run', 'status': status, 'snapshot_status': kind, 'bytes': rng.randrange(1 << 40), 'entries': 5,
                             'sinks': rows}


def random_history(rng: random.Random, until: int, sinks: list[str]) -> list[dict]:
    gap = rng.choice([HOUR, 6 * HOUR, DAY, 3 * DAY])
    starts = sorted(until - rng.randrange(1, gap * rng.choice([1, 10, 30])) for _ in range(rng.choice([0, 1, 3, 12, 40])))
    made = [random_record(rng, n, start, sinks) for n, start in enumerate(starts)]
    for run in [one for one in made if one.get('snapshot_status') == 'suspect' and rng.random() < 0.6]:
        at = run['at'] + rng.choice([1, 100, 10 * DAY])
        rows = [{'name': sink, 'committed': rng.random() < 0.8} for sink in sinks]
        made.append({'id': f'{run["id"]}-accept', 'command': 'accept', 'started': moment(at), 'ended': moment(at), 'from': at, 'at': at, 'sinks': rows,
                     'status': 'complete' if all(row['committed'] for row in rows) else 'incomplete' if any(row['committed'] for row in rows) else 'failed',
                     'snapshot_status': 'complete', **{name: run[name] for name in ('snapshot', 'snapshot_started', 'began')}})
    return sorted((one for one in made if one['at'] < until), key=lambda one: one['at'])


def told(jobs: list[dict], rows: list[dict]) -> dict:
    found = {}
    for row in rows:
        if row['type'] == 'status':
            damaged = {one['sink'] for one in rows if one['type'] == 'finding' and one['job'] == row['job'] and one['level'] == 'damaged'}
            found[row['job']] = {
                'last': row['last'] and row['last']['id'], 'next': seconds(row['next']), 'missed': seconds(row['missed']),
                'bytes': row['bytes'], 'before': row['bytes_before'], 'days': row['days'],
                'sinks': {one['name']: (seconds(one['last_good']), seconds(one['verified']), one['name'] in damaged, one['stale'])
                          for one in row['sinks']}}
    return found


@pytest.mark.preload
@pytest.mark.parametrize('seed', [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 20))])
@pytest.mark.parametrize('zone', PLACES)
def test_random_histories(world, tmp_path, zone, seed):
    """60 jobs in each of five places, half of them looked at from one moment, on days when a clock is put on or back, and others."""
    rng = random.Random(f'{zone} {seed}')
    moments = [datetime(2026, *rng.choice([(3, 29), (10, 25), (4, 5), (10, 4), (12, 31), (2, 28)]), rng.randrange(24), rng.randrange(60),
                        tzinfo=ZoneInfo('UTC')).timestamp() for _ in range(2)]
    world.source('tree', tmp_path)
    for sink in ('near', 'far'):
        world.sink(sink, path=tmp_path / sink)
    for now in map(int, moments):
        own = {sink: [one for one in random_history(rng, now, [sink]) if one['command'] == 'verify'] for sink in ('near', 'far')}
        jobs, made = {}, {}
        for name in (f'job{n:02}' for n in range(30)):
            jobs[name] = {'sinks': rng.choice([['near'], ['near', 'far']]), 'max_age': rng.choice([None, 6 * HOUR, 26 * HOUR, 8 * DAY]),
                          'schedule': random_schedule(rng)}
            made[name] = random_history(rng, now, jobs[name]['sinks'])
            world.job(name, sinks=', '.join(jobs[name]['sinks']), schedule=jobs[name]['schedule'],
                      max_age=jobs[name]['max_age'] and f"{jobs[name]['max_age']}s")
            write(place(world, name), made[name])
        for sink, history in own.items():
            write(place(world, None, sink), history)
        stamp = datetime.fromtimestamp(now + 1, ZoneInfo(zone)).isoformat()
        result = status_at(world, now + 1, '--json', 'status', zone=zone)
        expected = {name: standing(jobs[name], made[name], own, now + 1, ZoneInfo(zone)) for name in jobs}
        found = told(list(jobs), result.json())
        for name in jobs:
            assert found[name] == expected[name], (name, jobs[name], stamp, made[name][-3:])
        worst = max((level(expected[name], made[name], now + 1) for name in jobs), key=['ok', 'unknown', 'warning', 'damaged', 'stale'].index)
        assert result.json()[-1]['status'] == worst
        assert result.status == {'stale': OVERDUE, 'damaged': DAMAGED, 'ok': DONE}.get(worst, INCOMPLETE)


# ---- the forms ----

STRIP = re.compile(r' \.{4,6}\+\.{0,2} ')

@pytest.fixture
def made(world, tmp_path):
    world.simple(plain_tree(tmp_path / 'tree', files=3))
    world.job(max_age='26h', schedule='0 2 * * *')
    world.ok('run', 'job')
    return world


def fail_a_run(world) -> None:
    world.sink('away', path=world.base / 'not' / 'there')
    world.job(sinks='away', max_age='26h')
    world('run', 'job')
    world.job(max_age='26h')


def test_a_good_night(made):
    done = made.ok('status')
    [title, row, empty, sink] = done.out.splitlines()
    assert title.split()[:5] == ['JOB', 'SINK', 'FULL', 'LAST', 'GOOD'] and row.split()[:2] == ['job', 'disk'] and 'complete' in row and STRIP.search(row)
    assert done.err == '' and '\x1b' not in done.out and empty == '' and re.match(r"sink 'disk': \d+ % full, .* left, last reached \d+ s ago$", sink)
    made.ok('status', 'job')
    made.fails(2, 'status', 'jbo')


def test_a_run_that_failed_is_said_first_and_in_words(made):
    fail_a_run(made)
    done = made.fails(INCOMPLETE, 'status')
    assert re.match(r"warning: job 'job': the last run, \d+ s ago, failed: .*away", done.out), done


@pytest.mark.preload
def test_older_than_max_age(made):
    later = status_at(made, int(time.time()) + 30 * HOUR + 60, 'status')
    assert later.status == OVERDUE and later.out.startswith("stale: job 'job', sink 'disk': the newest complete snapshot is 1 d 6 h old"), later
    assert 'was due at' in later.out and STRIP.search(later.out)
    assert status_at(made, int(time.time()) + 25 * HOUR, 'status').status != OVERDUE


def test_a_sink_that_was_missed_alone(made, tmp_path):
    made.sink('second', path=tmp_path / 'second')
    made.job(sinks='disk, second', max_age='26h')
    made.fails(INCOMPLETE, 'run', 'job')
    done = made.fails(OVERDUE, 'status')
    assert "stale: job 'job', sink 'second': no complete snapshot is known to be there" in done.out and "sink 'disk': the newest" not in done.out
    made.ok('init', 'second')
    made.ok('copy', 'job', '--from', 'disk', '--to', 'second')
    assert made('status').status == INCOMPLETE, 'the last run was incomplete'
    made.ok('run', 'job')
    made.ok('status')


def test_damage_is_said_until_all_is_whole(made):
    kept = {pack: pack.read_bytes() for pack in filter(Path.is_file, made.repository.rglob('packs/**/*'))}
    for pack, data in kept.items():
        pack.write_bytes(data[:-1] + b'\0')
    made.fails(DAMAGED, 'verify')
    assert "damaged: job 'job', sink 'disk': a verification" in made.fails(DAMAGED, 'status').out
    for pack, data in kept.items():
        pack.write_bytes(data)
    made.ok('verify', '--quick')
    made.fails(DAMAGED, 'status')
    made.ok('verify')
    made.ok('status')


def test_a_run_that_takes_too_long(made):
    [one] = records(made)
    made.job(max_age='26h', max_duration='1h')
    made.ok('status')
    write(place(made, 'job'), [one | {'elapsed': 3599.0}])
    made.ok('status')
    write(place(made, 'job'), [one | {'elapsed': 4800.5}])
    assert "job 'job': the last run took 1 h 20 min, longer than max_duration (1 h)" in made.fails(INCOMPLETE, 'status').out


def test_a_place_that_is_full(made, tmpfs):
    """As the file system has it, at the end of the run."""
    small = tmpfs('small', 'size=4m')
    made.sink('small', path=small / 'repository', warn_space='50%')
    made.job(sinks='small')
    made.ok('init', 'small')
    made.ok('run', 'job')
    size = os.statvfs(small)
    [sink] = records(made)[-1]['sinks']
    assert sink['space'] == size.f_blocks * size.f_frsize and 0 <= sink['available'] - size.f_bavail * size.f_frsize < 65536
    made.ok('status')
    (small / 'filler').write_bytes(b'x' * (3 << 20))
    made.ok('status')
    made.ok('run', 'job')
    done = made.fails(INCOMPLETE, 'status')
    assert re.search(r"warning: sink 'small': it was (7[6-9]|8\d) % full \d+ s ago", done.out) and re.search(r'small +(7[6-9]|8\d) % ', done.out), done
    for value in ('80', '0%', '100%', 'x%', '-5%'):
        made.sink('small', path=small / 'repository', warn_space=value)
        assert 'warn_space' in made.fails(BAD_CONFIG, 'status').err


@pytest.mark.parametrize('others', ['', 'disk, '])
def test_a_place_that_has_become_full(made, tmpfs, others):
    """It took nothing more, and that is when it counts."""
    small = tmpfs('small', 'size=4m')
    made.sink('small', path=small / 'repository', warn_space='80%')
    made.job(sinks=others + 'small')
    made.ok('init', 'small')
    made.ok('run', 'job')
    made.ok('status')
    with contextlib.suppress(OSError), (small / 'filler').open('wb', buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    (made.base / 'tree' / 'new').write_bytes(os.urandom(1 << 20))
    made.fails({FAILED, INCOMPLETE}, 'run', 'job')
    assert re.search(r"sink 'small': it was (9\d|100) % full \d+ s ago", made.fails(INCOMPLETE, 'status').out)


def test_colours_are_for_terminals(made):
    fail_a_run(made)

    def on_terminal(**env) -> str:
        master, slave = pty.openpty()
        with subprocess.Popen(made.command('status'), stdout=slave, stdin=subprocess.DEVNULL, env=CLEAN | {'TERM': 'xterm'} | env):
            os.close(slave)
            text = b''
            with contextlib.suppress(OSError):
                while piece := os.read(master, 65536):
                    text += piece
        os.close(master)
        return text.decode()

    assert '\x1b[33mwarning\x1b[0m' in on_terminal() and '\x1b' not in on_terminal(NO_COLOR='1') + on_terminal(TERM='dumb')
    plain, colored = on_terminal(NO_COLOR='1').splitlines(), re.sub('\x1b\\[\\d+m', '', on_terminal()).splitlines()
    assert [len(line) for line in plain[2:]] == [len(line) for line in colored[2:]]


def test_state_that_was_lost(made):
    made.job()
    for path in sorted((made.base / 'state').rglob('*'), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    done = made.fails(INCOMPLETE, 'status')
    assert "unknown: job 'job': no record of a run is on this machine" in done.out and 'never' in done.out
    assert made('status', '--nagios').status == 3


def test_a_run_at_work_and_one_that_was_killed(made):
    [one] = records(made)
    attempt = place(made, 'job').parent / 'attempts' / 'cofre-20261130t020000z-ab12cd'
    attempt.write_text(json.dumps({'id': attempt.name, 'command': 'run', 'job': 'job', 'started': one['ended']}))
    attempt.chmod(0o600)
    with subprocess.Popen(['flock', attempt, 'sh', '-c', 'echo held; cat'], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b'held\n'
        assert 'running' in made.ok('status').out and 'running' in made.ok('log').out.splitlines()[-1]
        holder.stdin.close()
    assert 'was killed' in made.fails(INCOMPLETE, 'status').out and 'killed' in made.ok('log').out.splitlines()[-1]
    assert attempt.exists() and len(records(made)) == 1, 'who looks writes nothing'


@pytest.mark.parametrize('broken', ['[job job]\nsources = nothing\nsinks = disk\n', 'nonsense\n'])
def test_a_configuration_that_cannot_be_used(made, tmp_path, broken):
    file = made.write('job-job.conf', broken)
    done = made.fails(BAD_CONFIG, 'status')
    assert str(file) in done.err
    one = made('status', '--nagios')
    assert one.status == 2 and one.out.startswith('COFRE CRITICAL - nothing can run: ') and one.out.count('\n') == 1 and str(file) in one.out
    made.fails(BAD_CONFIG, 'status', '--prometheus', '--output', tmp_path / 'cofre.prom')
    assert samples((tmp_path / 'cofre.prom').read_text())['cofre_config_valid', ()] == 0
    assert made.fails(BAD_CONFIG, '--json', 'status').json()[-1]['class'] == 'config'


def test_a_source_whose_variable_is_not_set(made):
    made.section('source tree', plugin='directory', path='${NOT_SET_AT_ALL}/x')
    assert "source 'tree' cannot be used" in made.fails(INCOMPLETE, 'status').out


def test_lines_that_are_no_records(made):
    path = place(made, 'job')
    path.write_bytes(b'nonsense\n' + path.read_bytes())
    assert 'unknown' in made.fails(INCOMPLETE, 'status').out
    assert 'line 1: it is no record' in made.fails(DAMAGED, 'log', '--check').out
    made.fails(DAMAGED, 'log')


# ---- Nagios ----

PERFORMANCE = re.compile(r"'[^'=]+'=-?\d+(\.\d+)?(s|B|%)?(;\d*){0,4}")


@pytest.mark.preload
def test_nagios(made):
    one = made('status', '--nagios')
    text, _, data = one.out.rstrip('\n').partition(' | ')
    assert one.status == 0 and text.startswith('COFRE OK - 1 job') and one.out.count('\n') == 1
    parts = re.findall(r"'[^']*'=\S+", data)
    assert len(parts) == 4 and all(PERFORMANCE.fullmatch(part) for part in parts) and re.match(r"'job on disk age'=\d+s;;93600;0", data), data
    fail_a_run(made)
    one = made('status', '--nagios')
    assert one.status == 1 and one.out.startswith('COFRE WARNING - ') and one.out.count('|') == one.out.count('\n') == 1
    one = status_at(made, int(time.time()) + 30 * HOUR, 'status', '--nagios')
    assert one.status == 2 and one.out.startswith('COFRE CRITICAL - ')
    assert made('status', '--nagios', 'jbo').status == 3


def test_what_stands_in_an_error_makes_no_line_and_no_data(made):
    write(place(made, 'job'), [{'status': 'failed', 'started': moment(time.time() - 9), 'ended': moment(time.time() - 5), 'exit': 1,
                                'error': 'no | way\\x1b[31m\\nOK'}])
    one = made('status', '--nagios')
    assert one.out.count('\n') == 1 and one.out.count('|') == 1 and '\x1b' not in one.out
    shown = made('status').out + made('log').out + made('show', 'job', '--record').out
    assert '\x1b' not in shown and r'no | way\x1b[31m\nOK' in shown


# ---- Prometheus ----

SAMPLE = re.compile(r'([a-z_][a-z0-9_]*)(?:\{([^}]*)\})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)')
LABEL = re.compile(r'([a-z_][a-z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"')


def samples(text: str) -> dict:
    """The text format 0.0.4, strictly: HELP and TYPE first, the samples of a metric together, none twice."""
    found: dict = {}
    known: dict[str, list] = {}
    current = None
    assert text.endswith('\n')
    for line in text.splitlines():
        if line.startswith('# '):
            _, kind, name, rest = line.split(' ', 3)
            known.setdefault(name, []).append(kind)
            assert (kind == 'HELP' and known[name] == ['HELP'] and rest.endswith('.')) or (
                kind == 'TYPE' and known[name] == ['HELP', 'TYPE'] and rest == 'gauge'), line
            current = name
            continue
        name, labels, value = SAMPLE.fullmatch(line).groups()
        pairs = tuple(LABEL.findall(labels or ''))
        assert name == current and ','.join(f'{key}="{text}"' for key, text in pairs) == (labels or ''), line
        assert (name, pairs) not in found and not name.endswith(('_total', '_count', '_sum', '_bucket'))
        found[name, pairs] = float(value)
    return found


def test_prometheus(made, tmp_path):
    made.ok('due')
    made.ok('verify')
    [one] = records(made)
    write(place(made, 'job'), history(time.time() - 8 * DAY, lambda day: 10 + day, 100, days=28) + [one])
    found = samples(made('status', '--prometheus').out)
    job, sink = (('backup', 'job'),), (('backup', 'job'), ('sink', 'disk'))
    assert found['cofre_config_valid', ()] == 1 and found['cofre_build_info', (('version', '0.1.0'),)] == 1
    assert int(found['cofre_snapshot_timestamp_seconds', sink]) == seconds(one['snapshot_started'])
    assert int(found['cofre_verified_timestamp_seconds', sink]) == seconds(records(made, None, 'disk')[-1]['ended'])
    assert found['cofre_snapshot_stale', sink] == 0 and found['cofre_snapshot_added_bytes', sink] == one['added']
    assert found['cofre_snapshot_max_age_seconds', job] == 26 * HOUR and found['cofre_snapshot_size_bytes', job] == one['bytes']
    assert found['cofre_run_exit_status', job] == 0 and found['cofre_run_complete', job] == 1 and found['cofre_run_active', job] == 0
    assert found['cofre_run_duration_seconds', job] == one['elapsed'] and found['cofre_runs_recent', job] == 1
    assert int(found['cofre_run_next_timestamp_seconds', job]) > time.time()
    manual = (Path(__file__).parents[2] / 'docs' / 'cofre.8').read_text()
    assert {name for name, _ in found} == set(re.findall(r'cofre_(?!stored)[a-z_]+', manual.partition('.SH METRICS')[2].partition('.SH')[0]))


@pytest.mark.preload
def test_the_file_of_metrics_is_whole_or_not_there(made, tmp_path):
    place_ = tmp_path / 'metrics' / 'cofre.prom'
    made.fails(1, 'status', '--prometheus', '--output', place_)
    place_.parent.mkdir()
    done = made.ok('status', '--prometheus', '--output', place_)
    assert done.text == '' and place_.stat().st_mode & 0o777 == 0o644 and list(place_.parent.iterdir()) == [place_]
    first = place_.stat().st_ino
    made.ok('status', '--prometheus', '--output', place_)
    assert place_.stat().st_ino != first and samples(place_.read_text())
    late = status_at(made, int(time.time()) + 30 * HOUR, 'status', '--prometheus')
    assert late.status == DONE and samples(late.out)['cofre_snapshot_stale', (('backup', 'job'), ('sink', 'disk'))] == 1
    for words in (['--output', place_], ['--nagios', '--prometheus']):
        made.fails(2, 'status', *words)


# ---- log and show ----

def test_log(made, tmp_path):
    fail_a_run(made)
    made.ok('verify')
    title, *rows = made.ok('log').out.splitlines()
    assert [row.split()[1:4] for row in rows if row[0] != ' '] == [
        ['run', 'job', 'complete'], ['run', 'job', 'failed'], ['verify', 'on', 'disk']] and 'away' in rows[2]
    assert [one['status'] for one in made.ok('--json', 'log', 'job').json()[1:]] == ['complete', 'failed']
    assert [one['command'] for one in made.ok('--json', 'log', '--sink', 'disk').json()[1:]] == ['verify']
    assert made.ok('--json', 'log', '--since', '1h').json()[1:] == made.ok('--json', 'log').json()[1:]
    assert len(made.ok('--json', 'log', '--since', '2099-01-01').json()) == 1
    made.fails(2, 'log', '--since', 'yesterday')
    for words in (['../job'], ['jbo'], ['--sink', 'dsik']):
        made.fails(2, 'log', *words)
    made.section('job other', sources='tree', sinks='disk')
    assert len(made.ok('log', 'other').out.splitlines()) == 1, 'nothing yet'
    (made.conf / 'job-job.conf').unlink()
    assert len(made.ok('log', 'job').out.splitlines()) == 4, 'of a job that is not configured any more'


def test_show_a_record(made):
    [one] = records(made)
    for words in ([], [one['id']], [one['id'][:-3]]):
        done = made.ok('show', 'job', '--record', *words)
        assert one['id'] in done.out and one['snapshot'] in done.out and 'name=disk' in done.out and one['ended'] in done.out
        assert made.ok('--json', 'show', 'job', '--record', *words).json()[1] == {'type': 'record'} | one
    made.fails(1, 'show', 'job', '--record', 'cofre-2020')
    made.ok('verify', 'job')
    made.fails(2, 'show', 'job', '--record', 'cofre-')
    made.fails(2, 'show', 'job', 'more')
    made.ok('show', 'job')


def test_a_chain_that_was_broken(made):
    for _ in range(4):
        made.ok('verify', 'job', '--quick')
    path = place(made, 'job')
    lines = path.read_bytes().splitlines(keepends=True)
    assert "job 'job': 5 records, the chain is whole" in made.ok('log', '--check').out
    for kept, line in (([0, 1, 3, 4], 3), ([0, 2, 1, 3, 4], 2), ([1, 3, 4], 2)):
        path.write_bytes(b''.join(lines[n] for n in kept))
        assert f"job 'job': line {line}: it does not follow the line before" in made.fails(DAMAGED, 'log', '--check').out
    path.write_bytes(lines[0].replace(b'complete', b'verified') + b''.join(lines[1:]))
    assert 'line 2: ' in made.fails(DAMAGED, 'log', '--check').out
    path.write_bytes(b''.join(lines[2:]))
    assert '3 records, the chain is whole; older ones were cut off' in made.ok('log', '--check').out
    made.ok('verify', 'job', '--quick')
    assert made.ok('--json', 'log', 'job', '--check').json()[1] == {'type': 'chain', 'of': "job 'job'", 'records': 4, 'flaws': 0, 'cut': True}


def test_two_years_of_twenty_jobs(world, tmp_path):
    """Of each file no more is read than its end."""
    now = int(time.time())
    world.source('tree', tmp_path)
    names = [f'job{n:02}' for n in range(20)]
    sinks = [f'sink{n}' for n in range(5)]
    for sink in sinks:
        world.sink(sink, path=tmp_path / sink)
    rows = [{'name': sink, 'committed': True, 'added': 5, 'error': None} for sink in sinks]
    checks = [{'name': sink, 'status': 'verified'} for sink in sinks]
    for name in names:
        world.job(name, sinks=', '.join(sinks), max_age='26h')
        made = []
        for ago in range(2 * 365 * DAY, 0, -DAY // 2):
            at = now - ago
            kind = {'command': 'verify', 'status': 'verified', 'quick': False, 'sinks': checks} if ago % (30 * DAY) == 0 else {
                'command': 'run', 'status': 'complete', 'snapshot': '20261120T020000Z-ab12cd', 'snapshot_status': 'complete',
                'snapshot_started': moment(at), 'bytes': 5, 'entries': 5, 'sinks': rows}
            made.append({'id': f'cofre-{ago}', 'started': moment(at), 'ended': moment(at + 60)} | kind)
        write(place(world, name), made)
    trace = tmp_path / 'trace'
    world.ok('status', prefix=('strace', '-f', '-e', 'trace=pread64,read', '-P', place(world, 'job07'), '-o', trace))
    read = sum(int(n) for n in re.findall(r'= (\d+)$', trace.read_text(), re.M))
    assert 0 < read < 4 * 65536 < place(world, 'job07').stat().st_size
