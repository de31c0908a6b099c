"""What status warns of with numbers, and that each of its forms says the same: from records as a machine would have them."""
import json
import re
import subprocess
import time
from datetime import datetime, timezone

import pytest

from support.cli import DONE, INCOMPLETE
from support.notify import Told
from support.records import history, moment, place, write
from support.tree import plain_tree
from test_status import samples, seconds, status_at

DAY = 86400
NOW = 0


@pytest.fixture(autouse=True)
def of_this_moment():
    global NOW
    NOW = int(time.time()) - 5


@pytest.fixture
def machine(world, tmp_path):
    """Two jobs in one sink, and one of them also in another."""
    world.source('tree', plain_tree(tmp_path / 'tree', files=2))
    for sink in ('nas', 'usb'):
        world.sink(sink, path=tmp_path / sink)
    world.job('first', sinks='nas')
    world.job('second', sinks='nas, usb')
    return world


def remember(world, used=lambda day: 100, space: int = 1000, first: list[dict] | None = None, second: list[dict] | None = None) -> None:
    write(place(world, 'first'), history(NOW, used, space, sinks=('nas',)) if first is None else first)
    write(place(world, 'second'), history(NOW - 3600, used, space, sinks=('nas', 'usb')) if second is None else second)


def findings(world, *words) -> list[tuple]:
    return [(one['level'], one['job'], one['sink'], one['text']) for one in world('--json', 'status', *words).json() if one['type'] == 'finding']


def sinks(world, *words) -> dict[str, dict]:
    return {one['sink']: one for one in world('--json', 'status', *words).json() if one['type'] == 'sink'}


def said_everywhere(world, what: str) -> None:
    """A problem is the same in every form, and no form is fine."""
    text = world.fails(INCOMPLETE, 'status').out
    assert re.search(f'^warning: {what}', text, re.M), text
    one = world('status', '--nagios')
    assert one.status == 1 and re.search(what, one.out), one
    assert re.search(f'^warning: {what}', world('report').out, re.M)
    page = world.base / 'report.html'
    world('report', '--html', page)
    assert re.search(what, re.sub(r'<[^>]*>', '', page.read_text()).replace('&#39;', "'"))
    assert any(row['type'] == 'finding' and row['level'] == 'warning' for row in world('--json', 'report').json())


def nothing_said(world) -> None:
    done = world.ok('status')
    assert not re.search('^(warning|unknown|stale|damaged)', done.out, re.M), done
    assert world('status', '--nagios').status == DONE and findings(world) == []


# ---- when it will be full ----

def day_of(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).strftime('%Y-%m-%d')


def test_when_a_place_will_be_full(machine):
    """GiB in use of a thousand: ten more each day."""
    remember(machine, lambda day: 400 + 10 * day)
    found = sinks(machine)['nas']
    assert 9.5 < found['growth'] / (1 << 30) < 10.5 and abs(seconds(found['full']) - NOW - 31 * DAY) < DAY
    assert f"\nsink 'nas': 69 % full, 310.0 GiB of 1000.0 GiB left, full about {found['full'][:10]} (in 4 weeks), last reached " in machine.ok('status').out
    assert samples(machine.ok('status', '--prometheus').out)['cofre_sink_full_timestamp_seconds', (('sink', 'nas'),)] == pytest.approx(seconds(found['full']), abs=1)
    assert "'nas used'=69.0%;;;0;100" in machine.ok('status', '--nagios').out
    assert f"full about {found['full'][:10]} (in 4 weeks)" in machine.ok('report').out
    assert sinks(machine, 'first')['nas']['full'] == found['full'], 'whichever jobs are asked for'
    assert set(sinks(machine, 'first')) == {'nas'} and set(sinks(machine)) == {'nas', 'usb'}
    nothing_said(machine)


def test_it_is_a_problem_when_that_is_near(machine, tmp_path):
    told = Told(machine, tmp_path)
    machine.section('engine', state_dir=machine.base / 'state', host='testhost', notify='ops')
    remember(machine, lambda day: 600 + 10 * day)
    said_everywhere(machine, r"sink 'nas': it is going to be full about \S+ \(in 11 days\): 110.0 GiB are left, and it grows by (9|10)\.\d GiB a day")
    assert len([one for one in findings(machine) if one[2] == 'nas']) == 1, 'once, not for each job'
    for value, problem in (('0', False), ('7d', False), ('30d', True), ('12d', True)):
        for sink in ('nas', 'usb'):
            machine.sink(sink, path=tmp_path / sink, warn_full=value)
        assert bool(findings(machine)) == problem, value
    machine.ok('due')
    found = [one for one in told.events() if one['event'] == 'space']
    assert {one['sink'] for one in found} == {'nas', 'usb'} and len(found) == 2
    assert 'is going to be full about' in found[0]['title'] and 'it grows by' in found[0]['text']
    machine.sink('nas', path=tmp_path / 'nas', warn_full='12d', warn_space='80%')
    machine.ok('due')
    [full] = [one for one in told.events() if one['event'] == 'space'][2:]
    assert 'is 89 % full' in full['title'] and 'warn_space is 80%' in full['text'] and 'will be full about' in full['text']


@pytest.mark.parametrize('used', [
    lambda day: 990,
    lambda day: 990 - 3 * day,
    lambda day: 950 + 5 * (day % 7),
    lambda day: 100 + (850 if day > 12 else 0),
    lambda day: 100 + (850 if day == 29 else 0),
], ids=['it stays', 'it shrinks', 'what comes in a week goes', 'once a lot came', 'today a lot came'])
def test_no_false_alarm(machine, used):
    remember(machine, used)
    assert sinks(machine)['nas']['full'] is None
    nothing_said(machine)


def test_a_job_that_is_new_in_a_sink_is_no_growth(machine):
    """The first job is there for long; the second has come five days ago, with most of what is in use now."""
    def used(day: int) -> int:
        return 100 + (850 if day >= 25 else 0) + day // 10
    new = history(NOW - 3600, lambda day: used(day + 25), 1000, days=5, sinks=('nas',))
    new[0]['sinks'][0]['added'] = 850 << 30
    remember(machine, used, first=history(NOW, used, 1000, days=30, sinks=('nas',))[20:], second=new)
    assert findings(machine) == [('warning', 'second', 'usb', 'no complete snapshot is known to be there')]
    new[0]['sinks'][0]['added'] = 5
    remember(machine, used, first=history(NOW, used, 1000, days=30, sinks=('nas',))[20:], second=new)
    assert any('it is going to be full' in text for *_, text in findings(machine)), 'that is what makes the difference'


def test_too_little_is_known(machine):
    remember(machine, first=history(NOW, lambda day: 800 + 20 * day, 1000, days=9, sinks=('nas',)),
             second=history(NOW, lambda day: 800 + 20 * day, 1000, days=9, sinks=('nas', 'usb')))
    assert sinks(machine)['nas']['full'] is None
    nothing_said(machine)


# ---- runs that take longer than they used to ----

MINUTE = 60


def took(*minutes: float, **more) -> list[dict]:
    """A run a day, the last of them today."""
    made = history(NOW, lambda day: 100, 1000, days=len(minutes), sinks=('nas',), **more)
    return [one | {'elapsed': 60.0 * length} for one, length in zip(made, minutes)]


USED_TO = [20, 25, 22, 19, 30, 20, 21, 22, 20]


def test_a_run_that_took_much_longer_than_usual(machine):
    remember(machine, first=took(*USED_TO, 90))
    said_everywhere(machine, "job 'first': the last run took 1 h 30 min, and usually it takes 21 min: what changed[?] cofre log first")
    [row] = [one for one in machine('--json', 'status', 'first').json() if one['type'] == 'status']
    assert row['elapsed_usual'] == 21 * MINUTE
    assert samples(machine('status', '--prometheus').out)['cofre_run_usual_duration_seconds', (('backup', 'first'),)] == 21 * MINUTE
    machine.job('first', sinks='nas', max_duration='1h')
    [(_, _, _, text)] = findings(machine)
    assert text == 'the last run took 1 h 30 min, longer than max_duration (1 h)', 'that is said once'


@pytest.mark.parametrize('minutes', [
    [*USED_TO, 60],
    [0.1] * 9 + [9],
    [300],
    [20, 20, 300],
    [300, *USED_TO],
    [300, 300, 300, 20, 20, 300],
    [*USED_TO, *[90] * 6],
], ids=['less than three times', 'a small job', 'the first', 'too few', 'the first was long', 'half of them are', 'it is usual by now'])
def test_a_run_that_takes_as_long_as_ever(machine, minutes):
    remember(machine, first=took(*minutes))
    nothing_said(machine)


def test_runs_that_tell_nothing_of_how_long_it_takes(machine):
    """Neither those of some sources, nor those that failed, nor was there a sink before that is new."""
    short = [one | {'elapsed': 1.0, 'status': 'failed', 'snapshot_status': None} for one in took(*[1] * 9)]
    usual = took(*[90] * 10)
    remember(machine, first=[x for pair in zip(short, usual) for x in pair])
    nothing_said(machine)
    remember(machine, first=took(*USED_TO) + [took(90)[0] | {'asked': ['tree']}])
    nothing_said(machine)
    made = took(*USED_TO, 90)
    machine.job('first', sinks='nas, usb')
    made[-1]['sinks'] = [made[-1]['sinks'][0] | {'name': sink} for sink in ('nas', 'usb')]
    remember(machine, first=made)
    nothing_said(machine)


def leave_attempt(world, job: str, since: float, **more):
    """Of a run that was killed, as long as nobody holds it."""
    attempt = place(world, job).parent / 'attempts' / 'cofre-20261130t020000z-ab12cd'
    attempt.parent.mkdir(mode=0o700, exist_ok=True)
    attempt.write_text(json.dumps({'id': attempt.name, 'command': 'run', 'job': job, 'started': moment(since)} | more))
    attempt.chmod(0o600)
    return attempt


def at_work(world, job: str, since: float, **more) -> subprocess.Popen:
    attempt = leave_attempt(world, job, since, **more)
    holder = subprocess.Popen(['flock', attempt, 'sh', '-c', 'echo held; cat'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b'held\n'
    return holder


def test_a_run_that_is_at_work_for_much_longer_than_usual(machine):
    remember(machine, first=took(*USED_TO))
    for since, problem in ((NOW - 60 * MINUTE, False), (NOW - 100 * MINUTE, True)):
        with at_work(machine, 'first', since) as holder:
            told = findings(machine)
            holder.stdin.close()
        assert bool(told) == problem, told
    assert told[0][3].startswith('a run is at work for 1 h 40 min, and usually it takes 21 min')


def test_while_a_run_is_at_work_the_last_is_still_too_long(machine):
    remember(machine, first=took(*USED_TO, 90))
    with at_work(machine, 'first', NOW - MINUTE) as holder:
        told = findings(machine)
        holder.stdin.close()
    assert told and told[0][3].startswith('the last run took 1 h 30 min')


# ---- sinks that are out of reach ----

AWAY = 'the place is not there'


def lost(one: dict, sink: str, error: str | None = AWAY) -> dict:
    """That run, which did not reach the sink."""
    rows = [row | ({'committed': False, 'error': error, 'space': None, 'available': None} if row['name'] == sink else {}) for row in one['sinks']]
    return one | {'status': 'incomplete', 'sinks': rows}


def away_for(days: int, error: str | None = AWAY) -> list[dict]:
    made = history(NOW - 3600, lambda day: 100, 1000, sinks=('nas', 'usb'))
    return made[:30 - days] + [lost(one, 'usb', error) for one in made[30 - days:]]


@pytest.mark.parametrize('days', [1, 3, 4, 12, 29])
def test_a_sink_that_nothing_reaches(machine, days):
    remember(machine, second=away_for(days))
    reached = NOW - 3600 - days * DAY
    assert abs(seconds(sinks(machine)['usb']['reached']) - reached) < 5 and abs(seconds(sinks(machine)['nas']['reached']) - NOW) < 5
    assert f"sink 'usb': last reached {days} d 1 h ago" in machine('status').out or f'left, last reached {days} d 1 h ago' in machine('status').out
    assert samples(machine('status', '--prometheus').out)['cofre_sink_reached_timestamp_seconds', (('sink', 'usb'),)] == pytest.approx(reached, abs=5)
    told = [text for _, job, sink, text in findings(machine) if (job, sink) == (None, 'usb')]
    assert bool(told) == (days >= 3)
    if told:
        said_everywhere(machine, rf"sink 'usb': nothing has worked there since \S+, {days} d 1 h ago; the last try, 1 h ago, failed: {AWAY}: bring it")


@pytest.mark.parametrize('more', [
    {'command': 'verify', 'sinks': [{'name': 'usb', 'status': 'verified'}]},
    {'command': 'verify', 'sinks': [{'name': 'usb', 'status': 'damaged'}]},
    {'command': 'prune', 'sinks': [{'host': 'testhost', 'job': 'second', 'sink': 'usb', 'error': None}]},
    {'command': 'copy', 'status': 'complete', 'sinks': [{'name': 'usb'}]},
    {'command': 'restore', 'status': 'complete', 'sinks': [{'name': 'usb'}]},
    {'command': 'gc', 'status': 'collected', 'sink': 'usb', 'job': None},
], ids=lambda more: more['command'])
def test_whatever_reaches_a_sink_counts(machine, more):
    at = moment(NOW - 2 * DAY)
    one = {'started': at, 'ended': at, 'status': 'done'} | more
    made = away_for(9)
    remember(machine, second=sorted([*made, one] if 'job' not in more else made, key=lambda each: each['ended']))
    if 'job' in more:
        write(place(machine, None, 'usb'), [one])
    assert seconds(sinks(machine)['usb']['reached']) == NOW - 2 * DAY
    assert not any('nothing has worked' in text for *_, text in findings(machine))


@pytest.mark.parametrize('more', [
    {'command': 'verify', 'sinks': [{'name': 'usb', 'status': 'failed', 'error': AWAY}]},
    {'command': 'gc', 'status': 'failed', 'sink': 'usb', 'job': None, 'error': AWAY},
    {'command': 'restore', 'status': 'failed', 'sinks': [{'name': 'usb'}], 'error': AWAY},
    {'command': 'gc', 'status': 'killed', 'sink': 'usb', 'job': None, 'error': None},
], ids=lambda more: f"{more['command']} {more.get('status')}")
def test_what_did_not_reach_it_does_not(machine, more):
    at = moment(NOW - 2 * DAY)
    one = {'started': at, 'ended': at, 'status': 'failed'} | more
    made = away_for(9)
    remember(machine, second=sorted([*made, one] if 'job' not in more else made, key=lambda each: each['ended']))
    if 'job' in more:
        write(place(machine, None, 'usb'), [one])
    assert any('nothing has worked' in text for *_, text in findings(machine))


def test_a_sink_that_nobody_needed_is_not_away(machine):
    """A job that runs once a week; one that fails before it comes to the sink; one that took it out on purpose."""
    remember(machine, second=away_for(9)[:-9])
    assert not any('nothing has worked' in text for *_, text in findings(machine))
    remember(machine, second=[one | {'status': 'failed'} for one in away_for(9, None)])
    assert not any('nothing has worked' in text for *_, text in findings(machine))
    remember(machine, second=away_for(9))
    machine.job('second', sinks='nas')
    assert set(sinks(machine)) == {'nas'} and not any('nothing has worked' in text for *_, text in findings(machine))


# ---- keys ----

def test_a_key_that_expires(machine):
    made = history(NOW, lambda day: 100, 1000, sinks=('nas',))
    warned = made[-1] | {'sinks': [made[-1]['sinks'][0] | {'warning': "the OpenPGP key 'A' expires in 9 days"}]}
    remember(machine, first=[*made[:-1], warned])
    said_everywhere(machine, r"sink 'nas': the last run said, \d+ s ago: the OpenPGP key 'A' expires in 9 days")
    remember(machine, first=[*made[:-2], warned | {'ended': made[-2]['ended']}, made[-1]])
    nothing_said(machine)
    remember(machine, first=[*made[:-2], warned | {'ended': made[-2]['ended']}, lost(made[-1], 'nas')],
             second=history(NOW - 9 * DAY, lambda day: 100, 1000, sinks=('nas', 'usb')))
    assert any('expires in 9 days' in text for *_, text in findings(machine)), 'one that was not reached says nothing'


# ---- clocks ----

def later(made: list[dict], by: float) -> list[dict]:
    """As a clock that was ahead had them."""
    return [one | {name: moment(seconds(one[name]) + by) for name in ('started', 'ended', 'snapshot_started')} for one in made]


@pytest.mark.preload
def test_a_clock_that_was_put_back(machine, tmp_path):
    for sink in ('nas', 'usb'):
        machine.ok('init', sink)
    for job in ('first', 'second'):
        machine.ok('run', job)
    machine.ok('verify')
    machine.ok('status')
    assert samples(machine.ok('status', '--prometheus').out)['cofre_clock_behind_seconds', ()] == 0
    back = int(time.time()) - 3 * DAY
    done = status_at(machine, back, 'status')
    assert done.status == INCOMPLETE and re.match(
        r'warning: this machine: its time, \S+, is (3 d|2 d 23 h) behind what it has written down itself, at \S+: set the clock right', done.out), done
    assert re.search(r"job 'first': snapshot \S+ lies in the future, at \S+, and counts for nothing until then", done.out)
    assert 'COFRE WARNING - this machine: its time' in status_at(machine, back, 'status', '--nagios').out
    assert 'warning: this machine: its time' in status_at(machine, back, 'report').out
    found = [one for one in status_at(machine, back, '--json', 'status').json() if one['type'] == 'finding']
    assert (found[0]['job'], found[0]['sink']) == (None, None)
    metrics = samples(status_at(machine, back, 'status', '--prometheus').out)
    assert abs(metrics['cofre_clock_behind_seconds', ()] - 3 * DAY) < 60
    done = status_at(machine, back, 'run', 'first')
    assert done.status == DONE and 'lies in the future' in done.err, 'a snapshot of a wrong time is better than none'
    assert status_at(machine, int(time.time()) - 120, 'status').status == DONE, 'right clocks are not the same either'


def test_a_clock_that_was_ahead_once(machine):
    """What it made then does not hide how old the newest is that counts."""
    made = history(NOW - 2 * DAY, lambda day: 100, 1000, days=9, sinks=('nas',))
    ahead = later([made[-1] | {'snapshot': '20300101T000000Z-ab12cd'}], 400 * DAY)
    machine.job('first', sinks='nas', max_age='26h')
    remember(machine, first=made[:-1] + ahead)
    told = findings(machine, 'first')
    assert [level for level, *_ in told] == ['stale', 'warning', 'warning'] and 'its time' in told[1][3], told
    assert 'snapshot 20300101T000000Z-ab12cd lies in the future' in told[2][3]
    remember(machine, first=[*made[:-1], *ahead, *history(NOW, lambda day: 100, 1000, days=1, sinks=('nas',))])
    [(level, job, _, text)] = findings(machine, 'first')
    assert (level, job) == ('warning', 'first') and 'snapshot 20300101T000000Z-ab12cd lies in the future' in text, 'the clock is right again'


def test_a_clock_that_is_behind_what_a_record_says_and_a_run_that_was_killed(machine):
    """What nobody has closed yet does not stand in the way of what the newest record says."""
    remember(machine, first=later(history(NOW, lambda day: 100, 1000, days=9, sinks=('nas',)), 2 * DAY))
    leave_attempt(machine, 'first', NOW - 3600)
    assert any(job is None and sink is None and 'its time' in text for _, job, sink, text in findings(machine)), findings(machine)


# ---- where the place cannot tell ----

def test_a_quota(world, tmp_path):
    """What a gc has counted, and what was added since."""
    (tmp_path / 'bucket').mkdir()
    built = world.binary.parent
    world.section('engine', state_dir=tmp_path / 'state', cache_dir=tmp_path / 'cache', host='testhost',
                  plugin_dir=f'{built / "plugins"}, {built / "tests" / "plugins"}')

    def bucket(quota: str) -> None:
        world.section('sink bucket', plugin='faulty-sink', path=tmp_path / 'bucket', habit='fail', at='space', page=1000, format='archive', encryption='none',
                      compress='none', warn_space='80%', quota=quota)

    def stored() -> int:
        return sum(path.stat().st_size for path in (tmp_path / 'bucket').iterdir() if path.name.startswith('job~'))

    tree = plain_tree(tmp_path / 'tree', files=2)
    world.source('tree', tree)
    world.job(sinks='bucket')
    bucket('10MB')
    world.ok('init', 'bucket')
    world.ok('run', 'job')
    assert sinks(world)['bucket']['space'] is None  # nobody has counted
    world.ok('gc')
    (tree / 'more').write_bytes(bytes(range(256)) * 4096)
    world.ok('run', 'job')
    one = sinks(world)['bucket']
    assert one['space'] == 10_000_000 and abs(one['space'] - one['available'] - stored()) < 20_000, (one, stored())
    assert findings(world) == []
    bucket('1MB')
    world.ok('run', 'job')
    assert sinks(world)['bucket']['available'] == 0
    [(level, job, sink, text)] = findings(world)
    assert (level, job, sink) == ('warning', None, 'bucket') and '100 % full' in text
