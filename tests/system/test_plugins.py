"""What the bad habits, and the bad luck, of a plugin come to: in words, in exit statuses, and in what is stored."""
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support.cli import BAD_CONFIG, CLEAN, DONE, FAILED, INCOMPLETE, WRONG_KEY


@pytest.fixture
def faulty(world, tmp_path):
    """source(habit=..., at=...) configures the source; options of the host go with it."""
    built = world.binary.parent
    world.section('engine', state_dir=tmp_path / 'state', cache_dir=tmp_path / 'cache', host='testhost',
                  plugin_dir=f'{built / "plugins"}, {built / "tests" / "plugins"}')
    world.calls = tmp_path / 'calls'
    world.sink()
    world.job()

    def source(**options):
        world.calls.unlink(missing_ok=True)
        world.section('source tree', plugin='faulty-source', count=world.calls, **{'retry_for': None} | options)
    world.faulty = source
    source()
    world.ok('init', 'disk')
    return world


def problems(result) -> list[dict]:
    return [line for line in result.json() if line['type'] == 'problem']


# ---- what is stored can be restored

@pytest.mark.parametrize('habit, kept', [('many_facts', 50000), ('large_facts', 63)])
def test_more_facts_than_have_room(faulty, habit, kept):
    """They are no reason to lose the source."""
    faulty.faulty(habit=habit)
    result = faulty.ok('run', 'job')
    assert f"it has more facts than a snapshot keeps; '{kept}' is the first without" in result.err, result
    assert len(faulty.ok('--json', 'show', 'job').json()[-1]['sources'][0]['facts']) == kept


def test_nothing_lies_below_an_entry_that_is_taken_over(faulty):
    """Of what kind that was, only the engine knows."""
    faulty.faulty(habit='below_unchanged')
    faulty.ok('run', 'job')
    failed = faulty.fails(FAILED, 'run', 'job')
    assert "broke its contract in backup: it announced 'b/c' below 'b', which is no directory" in failed.err
    assert len(faulty.ok('list', 'job').ids) == 1


# ---- nothing that a plugin says is lost

def test_hints_of_what_was_not_saved(faulty):
    faulty.faulty(habit='unreadable')
    result = faulty.fails(INCOMPLETE, 'run', 'job')
    assert "'b': read 'b': permission denied" in result.err and 'hint: run it as root' in result.err
    assert "'d': connect to 'd': refused" in result.err and 'hint: grant it' in result.err
    shown = faulty.ok('show', 'job')
    assert 'run it as root' in shown.out and 'grant it' in shown.out
    told = [line for line in faulty('--json', 'show', 'job').json() if line['type'] == 'snapshot'][0]
    assert [p['hint'] for p in told['sources'][0]['problems']] == ['run it as root', 'grant it']


def test_hints_of_what_was_not_restored(faulty, tmp_path):
    faulty.ok('run', 'job')
    faulty.faulty(habit='refuse')
    result = faulty.fails(INCOMPLETE, 'restore', 'job', '--in-place', '--yes')
    assert "'z': there is a database" in result.err and 'hint: say --set overwrite=yes' in result.err
    assert '1 of 2 entries restored' in result.err
    result = faulty('--json', 'restore', 'job', '--in-place', '--yes')
    assert problems(result) == [{'type': 'problem', 'source': 'tree', 'path': 'z', 'class': 'exists',
                                 'message': 'there is a database', 'hint': 'say --set overwrite=yes'}]
    assert result.json()[-1]['problems'] == 1 and result.json()[-1]['entries'] == 1


def test_a_source_that_is_missing_is_a_problem_of_the_restore(faulty, tmp_path):
    (tmp_path / 'files').mkdir()
    faulty.source('files', tmp_path / 'files')
    faulty.job(sources='tree, files')
    faulty.faulty(habit='fail', at='backup')
    faulty.fails(INCOMPLETE, 'run', 'job')
    told = problems(faulty('--json', 'restore', 'job', '--into', tmp_path / 'into'))
    assert len(told) == 1 and told[0]['source'] == 'tree' and told[0]['path'] is None
    assert 'no space left' in told[0]['message']


def test_lines_before_the_end_of_an_entry(faulty):
    faulty.faulty(habit='log_before_end')
    assert faulty.ok('run', 'job').err.count('before the end') == 1


def test_nothing_is_checked_twice(faulty):
    faulty.section('job tree', sources='tree', sinks='disk')
    result = faulty.ok('--json', 'check', 'tree', 'job')
    said = [(line['subject'], line['text']) for line in result.json() if line['type'] == 'finding']
    assert len(said) == len(set(said)) and any('tree' in subject for subject, _ in said)


# ---- exit statuses

@pytest.mark.parametrize('at', ['open', 'before', 'backup'])
@pytest.mark.parametrize('habit, status', [
    ('busy', FAILED), ('integrity', FAILED), ('retry', FAILED), ('fail', FAILED), ('return_end', FAILED),
    ('tell_secret', WRONG_KEY), ('misconfigured', BAD_CONFIG)])
def test_status_of_a_source(faulty, habit, at, status):
    """11 and 13 speak of other runs, and of what is stored."""
    faulty.faulty(habit=habit, at=at, retry_for=0, password='sesame')
    faulty.fails(status, 'run', 'job')


@pytest.mark.parametrize('habit, status', [('busy', FAILED), ('integrity', FAILED), ('tell_secret', WRONG_KEY)])
def test_status_of_a_check(faulty, habit, status):
    faulty.faulty(habit=habit, at='check', password='sesame')
    faulty.fails(status, 'check', 'tree')


# ---- what passes

@pytest.mark.parametrize('habit', ['retry', 'busy'])
@pytest.mark.parametrize('at', ['open', 'before'])
def test_a_run_tries_again(faulty, habit, at):
    faulty.faulty(habit=habit, at=at, times=2)
    result = faulty.ok('run', 'job')
    assert result.err.count('trying again in') == 2
    assert faulty.calls.stat().st_size == 3
    faulty.ok('verify', 'job')


def test_not_when_something_was_announced(faulty):
    faulty.faulty(habit='retry', at='backup', times=1)
    result = faulty.fails(FAILED, 'run', 'job')
    assert 'trying again' not in result.err and 'connection reset' in result.err
    assert faulty.calls.stat().st_size == 1


def test_for_as_long_as_it_says(faulty):
    faulty.faulty(habit='retry', at='open', retry_for='3s')
    start = time.monotonic()
    result = faulty.fails(FAILED, 'run', 'job')
    assert time.monotonic() - start >= 3
    assert "source 'tree': connection reset; given up after" in result.err
    assert faulty.calls.stat().st_size >= 4
    faulty.faulty(habit='retry', at='open', retry_for=0)
    faulty.fails(FAILED, 'run', 'job')
    assert faulty.calls.stat().st_size == 1


def test_a_freeze_is_taken_back_before_another(faulty, tmp_path):
    """Under the same id, whose file the plugin would not make twice; and at the end nothing is left."""
    place = tmp_path / 'place'
    place.mkdir()
    faulty.section('source tree', plugin='holding-source', place=place, habit='retry', at='freeze', retry_for='1s')
    result = faulty.fails(FAILED, 'run', 'job')
    assert 'connection reset; given up after' in result.err
    calls = [line.split() for line in (place / 'calls').read_text().splitlines()]
    names = [name for name, _ in calls]
    assert len(names) >= 6 and names == ['freeze', 'thaw'] * (len(names) // 2) + names[len(names) // 2 * 2:], names
    assert len({covered for _, covered in calls}) == 1
    assert not list(place.glob('frozen-*'))


@pytest.mark.parametrize('at', ['open', 'restore'])
def test_a_restore_tries_again(faulty, at):
    faulty.ok('run', 'job')
    faulty.faulty(habit='retry', at=at, times=2)
    result = faulty.ok('restore', 'job', '--in-place', '--yes')
    assert result.err.count('trying again in') == 2


def test_a_finding_that_comes_too_late_is_no_success(faulty):
    """The time is over for engine and plugin at the same moment: whoever is first, the check has not found that all is well."""
    faulty.faulty(habit='late_finding', timeout='200ms')
    for _ in range(8):
        assert 'took longer than it may' in faulty.fails(FAILED, 'check', 'tree').err


@pytest.mark.parametrize('at', ['open', 'check'])
def test_a_check_waits_only_when_it_is_told_to(faulty, at):
    """It tells how things are, unless the section says that the thing may be starting."""
    faulty.faulty(habit='busy', at=at, times=2)
    faulty.fails(FAILED, 'check', 'tree')
    if at == 'open':
        faulty.faulty(habit='busy', at=at, times=2, wait='60s')
        faulty.ok('check', 'tree')
        assert faulty.calls.stat().st_size == 3


def test_waiting_ends_at_once_when_told_to_stop(faulty):
    faulty.faulty(habit='retry', at='open', retry_for='1h')
    with subprocess.Popen(faulty.command('run', 'job'), env=CLEAN, stderr=subprocess.PIPE, text=True) as process:
        while not Path(faulty.calls).exists() or faulty.calls.stat().st_size < 4:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)  # SIGINT may be ignored, as in what a shell runs in the background
        try:
            err = process.communicate(timeout=60)[1]
        finally:
            process.kill()
    assert process.returncode == 128 + signal.SIGTERM, err
    assert 'cancelled while waiting to try again' in err


def test_other_sources_are_saved_meanwhile(faulty, tmp_path):
    (tmp_path / 'files').mkdir()
    faulty.source('files', tmp_path / 'files')
    faulty.job(sources='tree, files')
    faulty.faulty(habit='busy', at='open', retry_for='1s')
    result = faulty.fails(INCOMPLETE, 'run', 'job')
    assert 'given up after' in result.err and result.status != DONE
