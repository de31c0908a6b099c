"""[engine] log: one line for each run of a job, whatever came of it."""
import os
import re

import pytest

from support.cli import BUSY, DONE, FAILED, FAILURES
from support.tree import plain_tree

LINE = re.compile(r'(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) job=(\S+) status=(\S+) exit=(\d+) snapshot=(\S+) entries=(\d+) bytes=(\d+) '
                  r'added=(\d+) seconds=(\d+\.\d{3})(?: error=(.+))?')


@pytest.fixture
def logged(world, tmp_path):
    """A job whose runs are logged; a function that gives the fields of the lines."""
    place = tmp_path / 'cofre.log'
    configure(world, place)
    world.simple(plain_tree(tmp_path / 'tree', files=5))

    def lines(path=place) -> list[tuple]:
        found = path.read_text().splitlines()
        assert all(LINE.fullmatch(line) for line in found), found
        return [LINE.fullmatch(line).groups() for line in found]

    return lines


def configure(world, log) -> None:
    world.section('engine', state_dir=world.base / 'state', cache_dir=world.base / 'cache', host='testhost', log=f'file:{log}')


def test_a_line_for_each_run_also_with_q(world, tmp_path, logged):
    for _ in range(2):
        done = world.ok('-q', 'run', 'job')
        assert done.text == ''
    world.ok('run', 'job', '--dry-run')
    world.ok('check')
    first, second = logged()
    assert {first[4], second[4]} == set(world.ok('list', 'job').ids) and first[4] != second[4]
    assert first[1:4] == second[1:4] == ('job', 'complete', '0') and first[9] is None
    assert int(first[5]) > 5 and int(first[6]) == sum(p.stat().st_size for p in (tmp_path / 'tree').rglob('*') if p.is_file())
    assert int(first[7]) > int(second[7]) >= 0
    assert (tmp_path / 'cofre.log').stat().st_mode & 0o777 == 0o600


def test_incomplete_and_failed_runs_of_several_jobs(world, tmp_path, logged):
    world.sink('away', path=tmp_path / 'not' / 'there')
    world.job('half', sinks='disk, away')
    world.job('none', sinks='away')
    assert world('-q', 'run', 'half', 'none', 'job').status not in (DONE, BUSY)
    half, none, job = logged()
    assert half[1:4] == ('half', 'incomplete', '3') and half[4] != '-'
    assert none[1:3] == ('none', 'failed') and int(none[3]) in FAILURES and none[4:8] == ('-', '0', '0', '0') and 'away' in none[9]
    assert job[1:4] == ('job', 'complete', '0')


def test_some_sources_of_a_job(world, tmp_path, logged):
    world.source('other', plain_tree(tmp_path / 'other', files=2))
    world.job(sources='tree, other')
    world.ok('run', 'job', 'other')
    [line] = logged()
    assert line[1:4] == ('job', 'partial', '0')


def test_it_may_be_rotated_at_any_time(world, tmp_path, logged):
    world.ok('run', 'job')
    (tmp_path / 'cofre.log').rename(tmp_path / 'cofre.log.1')
    world.ok('run', 'job')
    assert len(logged()) == 1 and len(logged(tmp_path / 'cofre.log.1')) == 1


@pytest.mark.parametrize('kind', ['no directory', 'directory', 'full', 'pipe'])
def test_a_log_that_cannot_be_written_is_a_warning(world, tmp_path, logged, kind):
    path = {'no directory': tmp_path / 'no' / 'log', 'directory': tmp_path, 'full': '/dev/full', 'pipe': tmp_path / 'pipe'}[kind]
    if kind == 'pipe':
        os.mkfifo(path)
    configure(world, path)
    done = world.ok('-q', 'run', 'job', timeout=60)
    assert f"the log '{path}'" in done.err and 'warning' in done.err, done
