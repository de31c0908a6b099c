"""A trial of a restore: databases that are made beside the live ones, compared by their facts, and dropped, also after a kill."""
import re
import subprocess
import time

import pytest

from support.cli import CLEAN
from support.postgres import cluster, running_cluster, tools  # noqa: F401
from support.watchdog import kill_with_watchdog


@pytest.fixture
def ask(world, cluster):
    """A call of the source from a process of its own; what it prints."""

    def call(*words, **options):
        values = ';'.join(f'{k}={v}' for k, v in ({'host': cluster.sockets, 'port': cluster.port, 'user': 'postgres'} | options).items())
        done = subprocess.run([world.binary.parent / 'tests' / 'ask_source', world.binary.parent / 'plugins', 'postgres', values, *words],
                              capture_output=True, text=True, env=CLEAN, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


@pytest.fixture
def saved(world, cluster):
    """Two databases, saved; the facts of the snapshot."""
    cluster.create('one', 'CREATE SCHEMA "S"; CREATE TABLE "S".t AS SELECT generate_series(1, 4) AS a')
    cluster.create('two', 'CREATE TABLE t (a int)')
    cluster.world(world, databases='one, two')
    world.ok('run', 'job')
    return dict(re.findall(r'^  fact      (.*?) = (.*)$', world.ok('show', 'job').out, re.M))


def facts(ask, override, databases='one,two'):
    return dict(line.split(' = ', 1) for line in ask('facts', databases=databases, prefix=override.removeprefix('prefix=')).splitlines())


def test_trial_of_a_restore(world, cluster, ask, saved):
    """What is restored under the name of a trial is compared by its facts, and goes, with nothing else."""
    # Names that are almost those of the trial.
    others = [cluster.create(name) for name in ('trial-10-s-one', 'trial-1', 'Trial-1-s-one')]
    override = ask('make', 'trial-1').strip()
    world.ok('restore', 'job', 'db', '--set', override)
    assert len(cluster.databases()) == 5 + len(others)
    rows = {key: value for key, value in saved.items() if '.rows.' in key or key.endswith('.encoding')}
    for databases in ('one,two', '*'):
        assert rows and rows.items() <= facts(ask, override, databases).items()
    assert ask('estimate', databases='*').split()[0] == str(2 + 5 + len(others))
    ask('drop', 'trial-1')
    ask('drop', 'trial-1')
    assert sorted(cluster.databases()) == sorted(['one', 'postgres', 'two', *others])


def test_trial_shows_what_is_not_as_it_was(world, cluster, ask, saved):
    override = ask('make', 'trial-2').strip()
    world.ok('restore', 'job', 'db', '--set', override)
    same = facts(ask, override)
    cluster.sql('DELETE FROM "S".t WHERE a = 3', 'trial-2-s-one')
    cluster.sql('DROP TABLE t; CREATE EXTENSION hstore', 'trial-2-s-two')
    now = facts(ask, override)
    assert same['one.rows."S".t'] == saved['one.rows."S".t'] == '4' and now['one.rows."S".t'] == '3'
    assert same['two.rows.public.t'] == '0' and 'two.rows.public.t' not in now
    assert same['two.extensions'] == saved['two.extensions'] != now['two.extensions']
    # The live ones are none of the trial's business.
    ask('drop', 'trial-2')
    assert cluster.databases() == ['one', 'postgres', 'two'] and cluster.sql('SELECT count(*) FROM "S".t', 'one') == ['4']


def test_trial_that_was_killed(world, cluster, ask, saved, tools):
    """One database is there, the next is half filled, and everything is killed. What is left goes: the one with the trial, by a
    process that knows nothing but its id; the other with the next start, as after any restore."""
    override, mark = ask('make', 'trial-3').strip(), world.base / 'mark'
    place = tools('pg_restore', f'n=$(ls {world.base} | grep -c mark); '
                                f'touch {mark}$n; REAL "$@" || exit; [ $n = 0 ] || sleep 60')
    cluster.source(world, databases='one, two', bin_dir=place)
    process = subprocess.Popen(world.command('restore', 'job', 'db', '--set', override), env=CLEAN, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not (world.base / 'mark1').exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    kill_with_watchdog(process)
    left = sorted(set(cluster.databases()) - {'one', 'two', 'postgres'})
    assert len(left) == 2 and left[1] == 'trial-3-s-one' and left[0].startswith('cofre'), left
    ask('drop', 'trial-3')
    assert set(cluster.databases()) == {'one', 'two', 'postgres', left[0]}
    cluster.source(world, databases='one, two')
    world.ok('run', 'job')
    assert cluster.databases() == ['one', 'postgres', 'two']


def test_trial_in_use_is_dropped_all_the_same(world, cluster, ask, saved):
    override = ask('make', 'trial-4').strip()
    world.ok('restore', 'job', 'db', '--set', override)
    with cluster.session('trial-4-s-one', 'BEGIN; SELECT * FROM "S".t'):
        ask('drop', 'trial-4')
    assert cluster.databases() == ['one', 'postgres', 'two']
