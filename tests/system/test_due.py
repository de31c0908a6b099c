"""cofre due does what is due, once, and nothing else; what becomes of one thing costs no other."""
import os
import signal
import subprocess
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from support.cli import BAD_CONFIG, BUSY, CLEAN, DAMAGED, DONE, FAILED, INCOMPLETE, OVERDUE
from support.due import age, due, marks
from support.notify import Told
from support.records import moment, open_attempts, place, records, write
from support.tree import plain_tree
from support.wait import wait_until

# No time of it comes while a test runs.
YEARLY = f'0 0 1 {(time.localtime().tm_mon + 5) % 12 + 1} *'


@pytest.fixture
def made(world, tmp_path):
    """A job that has a schedule, and things that hang: plugin_dir has the source with bad habits, too."""
    built = world.binary.parent
    world.simple(plain_tree(tmp_path / 'tree', files=3))
    world.plugins = {'state_dir': tmp_path / 'state', 'cache_dir': tmp_path / 'cache', 'host': 'testhost',
                     'plugin_dir': f'{built / "plugins"}, {built / "tests" / "plugins"}'}
    world.section('engine', **world.plugins)
    world.job(schedule=YEARLY)
    return world


def slow(world, *jobs: str) -> None:
    """Jobs whose source hangs until it is told to end."""
    for name in jobs:
        world.section(f'source {name}', plugin='faulty-source', habit='hang', at='backup', count=world.base / f'{name}.calls')
        world.job(name, sources=name, schedule=YEARLY)


def started(world, *words, **options) -> subprocess.Popen:
    return subprocess.Popen(world.command(*words), env=CLEAN, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, **options)


def at_work(world, job: str) -> bool:
    return bool(open_attempts(world, job)) and (world.base / f'{job}.calls').exists()


def commands(world, job: str | None = 'job', sink: str | None = None) -> list[str]:
    return [one['command'] for one in records(world, job, sink)]


def missed(world) -> None:
    """Everything has been waiting for more than a year."""
    world.ok('due')
    age(world, 400)


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]


# ---- what is due

def test_what_is_due_is_done_once_and_nothing_else(made):
    made.job(schedule=YEARLY, verify_every='7d')
    made.job('other', schedule=None)
    first = made.ok('due')
    assert first.out == '' and not place(made, 'job').exists() and not place(made, None, 'disk').exists(), 'a first time is waited for'
    assert set(due(made)) == {'run job', 'verify job', 'gc disk'} and not any(one['now'] for one in due(made).values())
    age(made, 400)
    waiting = due(made)
    assert all(one['now'] for one in waiting.values()) and {one['why'] for one in waiting.values()} == {'it was missed'}
    assert list(waiting) == ['run job', 'verify job', 'gc disk']
    done = made.ok('due')
    assert [line for line in done.out.splitlines() if ': done in ' in line] == [
        line for line in done.out.splitlines() if line.startswith(('run job: done', 'verify job: done', 'gc disk: done'))], done
    assert all(line.startswith(('run job: ', 'verify job: ', 'gc disk: ')) for line in done.text.splitlines()), done
    assert commands(made) == ['run', 'verify'] and commands(made, None, 'disk') == ['gc'] and not place(made, 'other').exists()
    assert not any(one['now'] for one in due(made).values())
    again = made.ok('due')
    assert again.text == '' and len(records(made)) == 2


def test_only_the_jobs_that_are_named(made):
    made.job('other', schedule=YEARLY)
    missed(made)
    made.ok('-q', 'due', 'other')
    assert commands(made, 'other') == ['run'] and not place(made, 'job').exists() and not place(made, None, 'disk').exists()
    assert set(due(made, 'job')) == {'run job'}
    made.fails(2, 'due', 'nobody')
    assert made.ok('-q', 'due').text == '', 'nothing is wrong'
    assert commands(made) == ['run'] and commands(made, 'other') == ['run']


def test_as_json(made):
    missed(made)
    start, *done, summary = made.ok('--json', 'due').json()
    assert start['command'] == 'due' and summary == {'type': 'summary', 'dry_run': False, 'status': 0, 'left': 0}
    assert [(one['type'], one['what'], one['job'], one['sink'], one['status']) for one in done] == [
        ('done', 'run', 'job', None, 0), ('done', 'gc', None, 'disk', 0)] and all(one['elapsed'] >= 0 for one in done)
    *rows, summary = made.ok('--json', 'due', '--dry-run').json()[1:]
    assert summary == {'type': 'summary', 'dry_run': True, 'now': 0} and {row['type'] for row in rows} == {'due'}


def test_a_run_by_hand_counts(made):
    missed(made)
    assert due(made)['run job']['now']
    made.ok('run', 'job', 'tree')
    assert due(made)['run job']['now'], 'some sources are not the job'
    made.ok('run', 'job')
    assert not due(made)['run job']['now']


def test_hosts_are_spread(made):
    """Each by a time of its own, which is the same each time."""
    plain, found = due(made)['run job']['when'], set()
    for host in ('testhost', 'other', 'third'):
        made.section('engine', **made.plugins | {'host': host}, jitter='20h')
        later = [datetime.fromisoformat(due(made)['run job']['when'][:19]) - datetime.fromisoformat(plain[:19]) for _ in range(2)]
        assert later[0] == later[1] and timedelta() <= later[0] < timedelta(hours=20)
        [job] = [one for one in made('--json', 'status').json() if one['type'] == 'status']
        assert job['next'] == due(made)['run job']['when']
        found.add(later[0])
    assert len(found) == 3


def test_what_is_due_of_some_jobs_is_not_all(made):
    made.ok('due', 'job')
    assert made.fails(OVERDUE, 'status', '--health').out.startswith("unhealthy: neither")


def test_where_the_key_may_not_remove(made):
    assert 'gc disk' in due(made)
    made.sink(key=made.put_key())
    assert 'gc disk' not in due(made)
    made.sink(key=made.prune_key())
    assert 'gc disk' in due(made)
    made.job(schedule=YEARLY, keep_daily=7, prune='elsewhere')
    assert 'gc disk' not in due(made)
    made.job(schedule=YEARLY)
    made.sink(gc_every=0)
    assert set(due(made)) == {'run job'}


def test_what_other_hosts_store_is_pruned(made):
    """By the rules of the sink; nothing of this host, whatever its jobs say."""
    def as_host(host: str) -> None:
        made.section('engine', **made.plugins | {'host': host, 'state_dir': made.base / f'state-{host}', 'cache_dir': made.base / f'cache-{host}'})

    made.job(prune='manual', keep_last=1, keep_min=1)
    for host in ('away', 'testhost'):
        as_host(host)
        for _ in range(3):
            made.ok('run', 'job')
    mine = set(made.ok('list', 'job').ids)
    made.section('engine', **made.plugins)
    made.sink(keep_last=1, keep_min=1)
    assert 'prune disk' not in due(made)
    made.sink(keep_last=2, keep_min=1, prune_every='1h', gc_every='1h')
    assert due(made)['prune disk']['why'] == 'prune_every' and not due(made)['prune disk']['now']
    missed(made)
    assert due(made)['prune disk']['now']
    out = made.ok('due').out
    assert out.index('prune disk: done') < out.index('gc disk: done')
    assert commands(made, None, 'disk') == ['prune', 'gc']
    [row] = records(made, None, 'disk')[0]['sinks']
    assert (row['host'], row['removed'], row['kept']) == ('away', 1, 2)
    assert len(made.ok('list', '--all-hosts').ids) == 5 and mine <= set(made.ok('list', '--all-hosts').ids)
    assert not due(made)['prune disk']['now']
    made.sink(key=made.put_key(), keep_last=2, prune_every='1h')
    assert 'prune disk' not in due(made)
    for value in ('1s', '1h'):
        made.sink(prune_every=value)
        assert "'prune_every'" in made.fails(BAD_CONFIG, 'due').err


def test_a_dry_run_notes_nothing(made):
    made.ok('due', '--dry-run')
    assert not (made.base / 'state' / 'due').exists()
    shown = made.ok('due', '--dry-run').out.splitlines()
    assert shown[0].split() == ['WHAT', 'DUE', 'WHEN', 'WHY'] and any(row.split()[:2] == ['run', 'job'] and row.endswith('schedule') for row in shown)
    made.job()
    made.sink(gc_every=0)
    assert 'nothing is ever due' in made.ok('due', '--dry-run').out


# ---- what goes wrong

def test_what_fails_costs_no_other_and_is_not_done_again_at_once(made):
    made.source('gone', made.base / 'gone')
    made.job('a', sources='gone', schedule=YEARLY)
    made.job('b', sources='tree, gone', schedule=YEARLY)
    missed(made)
    done = made.fails({FAILED, INCOMPLETE}, 'due')
    status = {name: records(made, name)[-1]['exit'] for name in ('a', 'b', 'job')}
    assert status['job'] == DONE and status['b'] == INCOMPLETE and status['a'] not in (DONE, INCOMPLETE)
    assert done.status == status['a'], 'the worst'
    assert f"run a: ended with status {status['a']} after" in done.err and 'run b: ended with status 3 after' in done.err, done
    made.ok('due')
    assert [len(records(made, name)) for name in ('a', 'b', 'job')] == [1, 1, 1]


def test_a_child_that_crashes(made):
    """It is killed; the others have their turn, the record says it, and 15 minutes later it is tried once more."""
    slow(made, 'a')
    missed(made)
    process = started(made, 'due')
    wait_until(lambda: at_work(made, 'a'), 'a run')
    [child] = [pid for pid in children(process.pid) if b'\0run\0' in Path(f'/proc/{pid}/cmdline').read_bytes()]
    os.kill(child, signal.SIGKILL)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 128 + signal.SIGKILL and 'run a: ended with status 137' in err, err
    wait_until(lambda: [one['status'] for one in records(made, 'a')] == ['killed'], 'the record, by due or by the watchdog, whoever comes first')
    assert commands(made) == ['run'] and 'run job: done' in out
    assert due(made)['run a']['why'] == 'the last time it failed in passing' and not due(made)['run a']['now']
    [one] = records(made, 'a')
    earlier = time.time() - 901
    write(place(made, 'a'), [one | {'started': moment(earlier - 1), 'ended': moment(earlier)}])
    age(made, 1)
    assert due(made)['run a']['now']


def test_due_itself_is_killed(made):
    """What is at work goes on, the next due leaves it alone, and a record is there in the end."""
    slow(made, 'a')
    missed(made)
    process = started(made, 'due')
    wait_until(lambda: at_work(made, 'a'), 'a run')
    [child] = [pid for pid in children(process.pid) if b'\0run\0' in Path(f'/proc/{pid}/cmdline').read_bytes()]
    process.kill()
    process.communicate()
    done = made.ok('due')
    assert commands(made) == ['run'] and len(open_attempts(made, 'a')) == 1 and 'run job: done' in done.out, 'the other has its turn'
    os.kill(child, signal.SIGTERM)
    wait_until(lambda: not open_attempts(made, 'a'), 'the end of the run')
    assert [(one['status'], one['exit']) for one in records(made, 'a')] == [('failed', 143)]


def test_what_cannot_be_noted_is_not_begun(made):
    missed(made)
    path = made.base / 'state' / 'due'
    kept = path.read_text()
    path.unlink()
    path.mkdir()
    failed = made.fails({FAILED, 12, 78}, 'due')
    assert str(path) in failed.err and not place(made, 'job').exists(), failed
    path.rmdir()
    path.write_text(kept)
    path.chmod(0o600)
    made.ok('due')
    assert commands(made) == ['run']


def test_a_broken_configuration(made):
    made.write('broken.conf', '[job x]\n')
    made.fails(78, 'due')


# ---- one at a time

def test_a_second_due_has_nothing_to_do_and_a_signal_ends_the_first(made):
    slow(made, 'a')
    missed(made)
    process = started(made, 'due')
    wait_until(lambda: at_work(made, 'a'), 'a run')
    second = made.ok('due')
    assert f'another cofre (process {process.pid}) does what is due: there is nothing to do here' in second.err and second.out == ''
    assert made.fails(BUSY, 'daemon').err.count(f'another cofre (process {process.pid})') == 1
    assert due(made)['run a']['busy'] and not place(made, 'job').exists()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 128 + signal.SIGTERM, err
    [one] = records(made, 'a')
    assert (one['status'], one['class'], one['exit']) == ('failed', 'cancelled', 143)
    assert not place(made, 'job').exists(), 'nothing is begun after that'


def test_an_interrupt_from_a_terminal(made):
    """All of its processes get it at once; who gets two signals ends without cleaning up."""
    slow(made, 'a')
    missed(made)
    # What a shell runs in the background ignores it, and so would this.
    process = started(made, 'due', start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    wait_until(lambda: at_work(made, 'a'), 'a run')
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 128 + signal.SIGINT, err
    assert [(one['status'], one['class']) for one in records(made, 'a')] == [('failed', 'cancelled')]


def test_never_two_things_of_one_job(made):
    """A run by hand is at work: what is due of the job waits, and that is no failure; it is not forgotten either."""
    slow(made, 'a')
    missed(made)
    process = started(made, 'run', 'a')
    wait_until(lambda: at_work(made, 'a'), 'a run')
    assert due(made)['run a']['busy'] and due(made)['run a']['now']
    done = made.ok('due')
    assert '1 due, and left for the next turn' in done.err and commands(made) == ['run'] and len(open_attempts(made, 'a')) == 1
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=100)
    assert [one['class'] for one in records(made, 'a')] == ['cancelled']


@pytest.mark.parametrize('most', [1, 2])
def test_never_more_at_once_than_parallel_jobs(made, most):
    made.section('engine', **made.plugins, parallel_jobs=most)
    slow(made, 'a', 'b', 'c')
    made.job()
    missed(made)
    process = started(made, 'due')
    wait_until(lambda: sum(at_work(made, job) for job in 'abc') == most, f'{most} at work')
    assert len([pid for pid in children(process.pid) if b'\0run\0' in Path(f'/proc/{pid}/cmdline').read_bytes()]) == most
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=100)
    assert process.returncode == 143
    assert sum(place(made, job).exists() for job in 'abc') == most


# ---- what status says of it

def test_a_job_that_nobody_runs(made):
    assert "job 'job': nobody looks after its schedule: 'cofre due' has never looked" in made.fails(INCOMPLETE, 'status').out
    assert "job 'job': nobody looks after its schedule" in made.ok('check').err
    made.ok('due')
    assert 'nobody looks' not in made('status').out and 'nobody looks' not in made.ok('check').err
    age(made, 1)
    looked = datetime.fromisoformat(marks(made)['looked'][:19] + '+00:00').timestamp()
    [line] = [line for line in made.ok('status', '--prometheus').out.splitlines() if line.startswith('cofre_due_look_timestamp_seconds ')]
    assert float(line.split()[1]) == looked
    assert "'cofre due' has not looked since" in made('status').out and "nobody looks after its schedule" in made.ok('check').err
    made.ok('run', 'job')
    assert 'nobody looks' not in made('status').out + made.ok('check').err, 'somebody else runs it'
    made.job()
    assert 'nobody looks' not in made('status').out


@pytest.mark.parametrize('gaps, said', [([24] * 6, False), ([47] + [24] * 5, False), ([49] + [24] * 5, True), ([49, 24, 24, 24, 12, 24], False),
                                        ([49] + [24] * 4, False), ([3] + [0.5] * 5, False), ([15, 7, 6, 7, 6, 7], True), ([49, 25, 24, 22, 26, 24], False),
                                        ([53, 25, 24, 22, 26, 24], True)])
def test_a_rhythm_that_ended(made, gaps, said):
    """gaps: hours between runs, the newest first; the first is how long ago the last was begun."""
    made.job()
    made.ok('run', 'job')
    [one] = records(made)
    when, made_ones = time.time(), []
    for gap in gaps:
        when -= gap * 3600
        made_ones.append(one | {'started': moment(when), 'ended': moment(when + 60), 'snapshot_started': moment(when)})
    write(place(made, 'job'), made_ones[::-1])
    assert ('nothing seems to run it any more' in made('status').out) == said


def test_who_is_told(made, tmp_path):
    """What is done tells itself; that something is too old, due tells, once."""
    tmp_path.chmod(0o755)
    ops = Told(made, tmp_path, on='success, stale, recovered')
    made.job(schedule=YEARLY, notify='ops')
    age(made, 400)
    made.ok('due')
    assert ops.names == ['success']
    made.job(schedule=YEARLY, notify='ops', max_age='1s')
    time.sleep(1.1)
    made.ok('due', '--dry-run')
    assert ops.names == ['success']
    for _ in range(2):
        made.ok('due')
        assert ops.names == ['success', 'stale']


def test_health(made):
    missing = made.fails(OVERDUE, 'status', '--health')
    assert missing.out == "unhealthy: neither 'cofre daemon' nor 'cofre due' has looked for what is due lately\n"
    made.ok('due')
    assert made.ok('status', '--health').out == 'healthy: 1 job\n'
    made.job(schedule=YEARLY, max_age='1d')
    assert made.fails(OVERDUE, 'status', '--health').out.startswith("unhealthy: job 'job', sink 'disk': no complete snapshot")
    made.ok('run', 'job')
    made.ok('status', '--health')
    age(made, 0.1)
    made.fails(OVERDUE, 'status', '--health')
    made.ok('due')
    made.sink('away', path=made.base / 'away')
    made.job(schedule=YEARLY, sinks='away')
    assert made('run', 'job').status not in (DONE, INCOMPLETE)
    assert made.fails(INCOMPLETE, 'status', '--health').out == 'unhealthy: the last run failed\n'
    made.job()
    made.ok('run', 'job')
    for pack in filter(Path.is_file, made.repository.rglob('packs/**/*')):
        pack.write_bytes(pack.read_bytes()[:-1] + b'\0')
    made.fails(DAMAGED, 'verify')
    assert 'found damage' in made.fails(DAMAGED, 'status', '--health').out
    made.fails(2, 'status', '--health', '--nagios')
    made.write('broken.conf', '[job x]\n')
    made.fails(78, 'status', '--health')
    assert 'looked' in marks(made)
