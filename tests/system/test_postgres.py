"""The postgres source against a real server: what was saved comes back, and nothing that is there is lost."""
import re
import subprocess
from pathlib import Path

import pytest

from support.cli import BAD_CONFIG, CLEAN, FAILED, INCOMPLETE, USAGE
from support.postgres import BIN, PASSWORD, cluster, running_cluster, tools  # noqa: F401

EVERYTHING = (Path(__file__).parent / 'support' / 'postgres_everything.sql').read_text()


def make_everything(cluster, name='gym'):
    cluster.create(name)
    cluster.run('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-v', f'name={name}', '-d', name, text=EVERYTHING)
    return name


def facts(world, source='db', selector='job'):
    shown = world.ok('show', selector).out
    assert f'source {source}' in shown
    return dict(re.findall(r'^  fact      (.*?) = (.*)$', shown, re.M))


def roles(cluster):
    return re.sub(r'(?m)^\\(un)?restrict .*\n', '', cluster.run('pg_dumpall', '--globals-only')).splitlines()


@pytest.mark.sample
def test_everything_comes_back_as_a_new_database(world, cluster):
    make_everything(cluster)
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    world.ok('restore', 'job', 'db:gym.dump', '--set', 'database=copy')
    assert cluster.dump('copy') == cluster.dump('gym')
    assert cluster.checksums('copy') == cluster.checksums('gym')


def test_everything_comes_back_in_place(world, cluster):
    make_everything(cluster)
    cluster.world(world, database='gym')
    before, sums = cluster.dump('gym', '-C'), cluster.checksums('gym')
    result = world.ok('run', 'job')
    cluster.sql('DROP TABLE users CASCADE; CREATE TABLE later_on (a int); ALTER DATABASE gym RESET ALL', 'gym')
    changed = cluster.dump('gym')
    result = world.ok('restore', 'job', 'db', '--in-place', '--yes')
    assert cluster.dump('gym', '-C') == before
    assert cluster.checksums('gym') == sums
    # What was there is still there, and named.
    old = f'gym_before_{world.snapshots()[-1]}'
    assert old in result.err
    assert cluster.dump(old) == changed
    assert sorted(cluster.databases()) == sorted(['gym', old, 'postgres'])
    # Again: another name for the second one; or none at all.
    world.ok('restore', 'job', 'db', '--in-place', '--yes')
    assert sorted(cluster.databases()) == sorted(['gym', old, f'{old}_2', 'postgres'])
    world.ok('restore', 'job', 'db', '--in-place', '--yes', '--set', 'drop_old=yes')
    assert sorted(cluster.databases()) == sorted(['gym', old, f'{old}_2', 'postgres'])


def test_roles_come_back_where_they_are_missing(world, cluster):
    make_everything(cluster)
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    before, everything = roles(cluster), cluster.dump('gym', '-C')
    assert any('reader' in line and 'SCRAM-SHA-256' in line for line in before)
    cluster.run('dropdb', 'gym')
    for role in ('reader', 'team', '"Odd ""Owner"""'):
        cluster.sql(f'DROP ROLE {role}')
    world.ok('restore', 'job', 'db', '--in-place', '--yes')
    assert roles(cluster) == before
    assert cluster.dump('gym', '-C') == everything
    # What is there stays as it is.
    cluster.sql('ALTER ROLE reader CONNECTION LIMIT 3')
    world.ok('restore', 'job', 'db', '--in-place', '--yes', '--set', 'drop_old=yes')
    assert cluster.sql("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'reader'") == ['3']


def test_roles_come_back_with_one_database(world, cluster):
    """Also when globals.json is not part of what is restored: then without their passwords."""
    cluster.sql("CREATE ROLE app LOGIN PASSWORD 'x'; CREATE ROLE \"Other one\" NOINHERIT; GRANT app TO \"Other one\"")
    cluster.create('gym', 'CREATE TABLE t (a int); ALTER TABLE t OWNER TO app; GRANT SELECT ON t TO "Other one"')
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    before = cluster.dump('gym')
    cluster.sql('DROP DATABASE gym')
    cluster.sql('DROP ROLE "Other one"; DROP ROLE app')
    world.ok('restore', 'job', 'db:gym.dump', '--set', 'database=gym')
    assert cluster.dump('gym') == before
    assert cluster.sql("SELECT rolcanlogin, rolpassword IS NULL FROM pg_authid WHERE rolname = 'app'") == ['t|t']
    assert cluster.sql("SELECT pg_has_role('Other one', 'app', 'MEMBER')") == ['t']


def test_dump_files_are_what_postgresql_knows(world, cluster, tmp_path):
    make_everything(cluster)
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    into = world.restored() / 'db'
    assert sorted(p.name for p in into.iterdir()) == ['globals.json', 'globals.sql', 'gym.dump']
    assert 'TABLE DATA' in cluster.run('pg_restore', '-l', into / 'gym.dump')
    cluster.create('by_hand')
    cluster.run('pg_restore', '--exit-on-error', '-d', 'by_hand', into / 'gym.dump')
    assert cluster.checksums('by_hand') == cluster.checksums('gym')
    assert 'CREATE ROLE reader' in (into / 'globals.sql').read_text()


def test_facts_are_what_the_server_says(world, cluster):
    make_everything(cluster)
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    found = facts(world)
    assert found['postgres.version'] == cluster.sql('SHOW server_version')[0].split()[0]
    assert found['encoding'] == 'UTF8' and found['collation'] == 'C.UTF-8'
    assert found['extensions'] == 'citext 1.6, hstore 1.8, pg_trgm 1.6, plpgsql 1.0'
    tables = cluster.sql("SELECT format('%I.%I', nspname, relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
                         "WHERE relkind = 'r' AND nspname !~ '^(pg_|information_schema)'", 'gym')
    rows = {name: cluster.sql(f'SELECT count(*) FROM ONLY {name}', 'gym')[0] for name in tables}
    # Names that SQL need not quote are not quoted; odd ones are, also where format(%I) of this version does not.
    assert {key.removeprefix('rows.'): value for key, value in found.items() if key.startswith('rows.')} == rows
    assert rows['public.users'] == '500' and rows['public.no_columns'] == '2' and rows['public.nothing'] == '0'


@pytest.mark.parametrize('counts, expected', [('estimate', '~300'), ('no', None)])
def test_counts_that_cost_less(world, cluster, counts, expected):
    cluster.create('gym', 'CREATE TABLE t AS SELECT i FROM generate_series(1, 300) i; ANALYZE t; DELETE FROM t WHERE i = 1')
    cluster.world(world, database='gym', row_counts=counts)
    world.ok('run', 'job')
    assert facts(world).get('rows.public.t') == expected
    world.ok('restore', 'job', 'db', '--in-place', '--yes')


def test_several_databases_and_new_ones(world, cluster):
    cluster.create('one', 'CREATE TABLE t AS SELECT 1 AS a')
    cluster.create('a/b%2F"c', 'CREATE TABLE t AS SELECT generate_series(1, 7) AS a')
    cluster.world(world, databases='*')
    world.ok('run', 'job')
    assert world.ok('ls', 'job').out.count('.dump') == 3
    cluster.create('new', 'CREATE TABLE "T t" AS SELECT generate_series(1, 3) AS a')
    world.ok('run', 'job')
    found = facts(world)
    assert found['new.rows.public."T t"'] == '3' and found['"a/b%2F""c".rows.public.t'] == '7' and found['one.rows.public.t'] == '1'
    sums = {name: cluster.checksums(name) for name in cluster.databases()}
    world.ok('restore', 'job', 'db', '--set', 'prefix=again_')
    for name, expected in sums.items():
        assert cluster.checksums(f'again_{name}') == expected
    # All into one is refused, and so is what is there.
    result = world.fails({FAILED, INCOMPLETE}, 'restore', 'job', 'db', '--set', 'database=all')
    assert "would become 'all'" in result.err and 'SOURCE:DATABASE.dump' not in result.out
    result = world.fails({FAILED, INCOMPLETE}, 'restore', 'job', 'db', '--set', 'section=all')
    assert "database 'one' exists and is not empty" in result.err
    assert sums == {name: cluster.checksums(name) for name in sums}


def test_list_of_databases(world, cluster):
    for name in ('one', 'two', 'three'):
        cluster.create(name, 'CREATE TABLE t (a int)')
    cluster.world(world, databases='one, two', globals='no')
    world.ok('run', 'job')
    assert re.findall(r'db:(.*)', world.ok('ls', 'job').out) == ['one.dump', 'two.dump']


def test_database_that_has_content_is_never_touched(world, cluster):
    cluster.create('gym', 'CREATE TABLE t AS SELECT 1 AS a')
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    for content in ('CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1', 'SELECT lo_create(0)', 'CREATE TYPE e AS ENUM ()',
                    'CREATE SCHEMA s', 'CREATE EXTENSION hstore'):
        cluster.create('taken', content)
        before = cluster.dump('taken')
        result = world.fails(FAILED, 'restore', 'job', 'db:gym.dump', '--set', 'database=taken')
        assert "database 'taken' exists and is not empty" in result.err and '--in-place' in result.err
        assert cluster.dump('taken') == before
        cluster.run('dropdb', 'taken')
    # Without a name it would be the live one.
    world.fails(FAILED, 'restore', 'job', 'db:gym.dump', '--set', 'jobs=1')
    world.fails(USAGE, 'restore', 'job', 'db:gym.dump')
    # An empty one is filled as it is.
    cluster.sql("CREATE DATABASE taken ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    world.ok('restore', 'job', 'db:gym.dump', '--set', 'database=taken')
    assert cluster.sql("SHOW server_encoding", 'taken') == ['LATIN1']
    assert cluster.checksums('taken') == cluster.checksums('gym')
    assert sorted(cluster.databases()) == ['gym', 'postgres', 'taken']


def test_parts(world, cluster):
    cluster.create('gym', 'CREATE SCHEMA app; CREATE TABLE app.t AS SELECT generate_series(1, 5) AS a; CREATE TABLE app.u (a int); '
                          'CREATE TABLE p (a int PRIMARY KEY); INSERT INTO p VALUES (1), (2); '
                          'CREATE TABLE q (a int REFERENCES p); INSERT INTO q VALUES (2)')
    cluster.world(world, database='gym')
    world.ok('run', 'job')

    def restore(name, *sets, status=0):
        words = [word for item in (f'database={name}', *sets) for word in ('--set', item)]
        return world.fails(status, 'restore', 'job', 'db:gym.dump', *words) if status else world.ok('restore', 'job', 'db:gym.dump', *words)

    restore('schema', 'section=schema')
    assert cluster.dump('schema', '--schema-only') == cluster.dump('gym', '--schema-only')
    assert cluster.checksums('schema')['public.p'] == '0 -'
    restore('schema', 'section=data')
    assert cluster.dump('schema') == cluster.dump('gym')
    assert "is not empty" in restore('schema', 'section=data', status=FAILED).err
    assert cluster.dump('schema') == cluster.dump('gym')
    restore('one_schema', 'only_schemas=app')
    assert set(cluster.checksums('one_schema')) == {'app.t', 'app.u', 'large objects'}
    restore('one_table', 'tables=app.t')
    assert cluster.checksums('one_table')['app.t'] == cluster.checksums('gym')['app.t']
    assert set(cluster.checksums('one_table')) == {'app.t', 'large objects'}
    assert "has no table 'app.none'" in restore('x', 'tables=app.none', status=FAILED).err
    assert "nothing in schema 'none'" in restore('x', 'only_schemas=none', status=FAILED).err
    assert 'does not exist' in restore('x', 'section=data', status=FAILED).err
    assert 'x' not in cluster.databases()
    before = cluster.dump('gym')
    result = world.fails(BAD_CONFIG, 'restore', 'job', 'db:gym.dump', '--in-place', '--yes', '--set', 'tables=app.t')
    assert 'a part of a dump cannot take the place' in result.err
    assert cluster.dump('gym') == before


def test_what_is_left_out_when_saving(world, cluster):
    cluster.create('gym', 'CREATE SCHEMA app; CREATE TABLE app.t AS SELECT 1 AS a; CREATE TABLE app.log AS SELECT 2 AS a; '
                          'CREATE TABLE app.tmp AS SELECT 3 AS a; CREATE TABLE other AS SELECT 4 AS a')
    cluster.world(world, database='gym', schemas='app', exclude_table_data='app.log', exclude_tables='app.tmp')
    world.ok('run', 'job')
    cluster.create('copy')
    cluster.run('pg_restore', '-d', 'copy', world.restored() / 'db' / 'gym.dump')
    found = cluster.checksums('copy')
    assert found['app.t'].startswith('1 ') and found['app.log'].startswith('0 ') and set(found) == {'app.t', 'app.log', 'large objects'}
    assert [key for key in facts(world) if key.startswith('rows.')] == ['rows.app.t']


def test_sessions_are_ended_for_the_swap(world, cluster):
    cluster.create('gym', 'CREATE TABLE t AS SELECT 1 AS a')
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    with cluster.session('gym', 'BEGIN; INSERT INTO t VALUES (2)') as process:
        world.ok('restore', 'job', 'db', '--in-place', '--yes')
        process.stdin.write('SELECT 1;\n')
        process.stdin.close()
        assert 'terminating connection' in process.stdout.read()
        process.stdin = subprocess.PIPE and open('/dev/null', 'w')
    assert cluster.sql('SELECT a FROM t', 'gym') == ['1']


def test_clients_that_come_again_at_once_do_not_prevent_the_swap(world, cluster, tmp_path):
    cluster.create('gym', 'CREATE TABLE t AS SELECT 1 AS a')
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    loop = f'while :; do {BIN}/psql -X -q -d gym -c "SELECT pg_sleep(30)" >/dev/null 2>&1 || sleep 0.02; done'
    clients = [subprocess.Popen(['setsid', 'bash', '-c', loop], env=cluster.env, stdin=subprocess.DEVNULL) for _ in range(4)]
    try:
        world.ok('restore', 'job', 'db', '--in-place', '--yes', '--set', 'drop_old=yes')
    finally:
        for client in clients:
            subprocess.run(['kill', '-KILL', '--', f'-{client.pid}'], check=True)
            client.wait()
    assert cluster.sql('SELECT a FROM t', 'gym') == ['1']


def test_sessions_that_may_not_be_ended_are_named(world, cluster):
    """Somebody who is no superuser cannot end a superuser's session: then nothing changes."""
    cluster.sql('CREATE ROLE owner LOGIN CREATEDB; CREATE DATABASE gym OWNER owner')
    cluster.sql('CREATE TABLE t AS SELECT 1 AS a', 'gym', 'owner')
    cluster.world(world, database='gym', user='owner', globals='no')
    world.ok('run', 'job')
    before = cluster.dump('gym')
    with cluster.session('gym', "SET application_name = 'the admin'"):
        result = world.fails(FAILED, 'restore', 'job', 'db', '--in-place', '--yes', timeout=120)
    assert 'postgres the admin (process' in result.err and 'cannot be ended' in result.err
    assert cluster.dump('gym') == before and sorted(cluster.databases()) == ['gym', 'postgres']
    world.ok('restore', 'job', 'db', '--in-place', '--yes')
    assert cluster.sql("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'gym'") == ['owner']


def test_password_is_in_no_argument_and_no_environment(world, cluster, tools, tmp_path):
    """The programs get it by a file that nobody else can read, and that has no name."""
    cluster.create('gym', 'CREATE TABLE t AS SELECT 1 AS a')
    spy = f'''
{{ tr '\\0' '\\n' </proc/$$/cmdline; tr '\\0' '\\n' </proc/$$/environ; }} >>{tmp_path}/seen
for fd in /proc/$$/fd/*; do stat -L -c '%a %F' $fd 2>/dev/null; done >>{tmp_path}/files
exec REAL "$@"
'''
    for name in ('pg_dump', 'pg_restore', 'pg_dumpall'):
        place = tools(name, spy)
    secret = world.base / 'secret'
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    cluster.world(world, database='gym', host='127.0.0.1', password=f'@file:{secret}', bin_dir=place)
    world.ok('check')
    result = world.ok('-v', 'run', 'job', env=CLEAN | {'PGPASSWORD': 'wrong'})
    world.ok('restore', 'job', 'db', '--in-place', '--yes')
    seen = (tmp_path / 'seen').read_text()
    assert seen.count('--no-password') == 3 and 's3cr' not in seen and 'PGPASSWORD' not in seen
    assert '600 regular file' in (tmp_path / 'files').read_text()
    assert 's3cr' not in result.text and 's3cr' not in world.ok('show', 'job').out
    stored = subprocess.run(['grep', '-rl', 's3cr', world.base / 'state', world.base / 'cache', world.repository],
                            capture_output=True, text=True, check=False)
    assert stored.stdout == ''


def test_environment_of_libpq(world, cluster):
    """What the section does not say may be said by the environment, as with PostgreSQL's own programs."""
    cluster.create('gym', 'CREATE TABLE t AS SELECT 1 AS a')
    cluster.world(world, host=None, port=None, user=None)
    world.ok('run', 'job', env=CLEAN | {name: cluster.env[name] for name in ('PGHOST', 'PGPORT', 'PGUSER')} | {'PGDATABASE': 'gym'})
    assert 'gym.dump' in world.ok('ls', 'job').out
    service = world.base / 'services'
    service.write_text(f'[ours]\nhost={cluster.sockets}\nport={cluster.port}\nuser=postgres\ndbname=gym\n')
    cluster.source(world, host=None, port=None, user=None, service='ours')
    world.ok('run', 'job', env=CLEAN | {'PGSERVICEFILE': str(service)})


def test_trial_database_and_moment_for_all(world, cluster):
    """A job freezes all its sources first: what is written to any of them after that is in none."""
    cluster.create('one', 'CREATE TABLE t (a int)')
    cluster.create('two', 'CREATE TABLE t (a int)')
    cluster.world(world, database='one')
    cluster.source(world, 'other', database='two', lock_timeout='20s')
    # The hook of the first dump: while it runs, both get a row.
    world.job(sources='db, other')
    place = world.base / 'tools'
    place.mkdir()
    for name in ('pg_restore', 'pg_dumpall'):
        (place / name).symlink_to(BIN / name)
    psql = f'{BIN}/psql -X -q -h {cluster.sockets} -p {cluster.port} -U postgres'
    (place / 'pg_dump').write_text(f'''#!/bin/sh
[ "$1" = --version ] || for db in one two; do {psql} -d $db -c 'INSERT INTO t VALUES (1)' </dev/null; done
exec {BIN}/pg_dump "$@"
''')
    (place / 'pg_dump').chmod(0o755)
    cluster.source(world, database='one', bin_dir=place)
    world.ok('run', 'job')
    assert facts(world)['rows.public.t'] == '0'
    assert cluster.sql('SELECT count(*) FROM t', 'two') == ['1']
    world.ok('restore', 'job', 'other:two.dump', '--set', 'database=two_then')
    assert cluster.sql('SELECT count(*) FROM t', 'two_then') == ['0']
    assert cluster.sessions() == []


def test_saving_while_others_write(world, cluster):
    """pgbench moves money about: whatever the moment, the sums agree."""
    cluster.create('bank')
    cluster.run('pgbench', '-i', '-q', '-s', '3', 'bank')
    cluster.world(world, database='bank')
    load = subprocess.Popen([BIN / 'pgbench', '-c', '2', '-T', '60', '-n', 'bank'], env=cluster.env, stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        world.ok('run', 'job')
    finally:
        load.kill()
        load.wait()
    world.ok('restore', 'job', 'db:bank.dump', '--set', 'database=then')
    sums = [cluster.sql(f'SELECT coalesce(sum({kind}balance), 0) FROM pgbench_{table}', 'then')[0]
            for kind, table in (('a', 'accounts'), ('b', 'branches'), ('t', 'tellers'))]
    assert sums == [cluster.sql('SELECT sum(delta) FROM pgbench_history', 'then')[0]] * 3
    recorded = facts(world)
    for table in ('accounts', 'branches', 'tellers', 'history'):
        assert cluster.sql(f'SELECT count(*) FROM pgbench_{table}', 'then') == [recorded[f'rows.public.pgbench_{table}']]
    assert int(recorded['rows.public.pgbench_history']) > 0


@pytest.mark.long
def test_large_table(world, cluster):
    """A table of 1 GB among everything else."""
    make_everything(cluster)
    cluster.sql("CREATE TABLE large AS SELECT i, md5(i::text) || repeat(chr(97 + i % 26), 200) AS x FROM generate_series(1, 4000000) i",
                'gym')
    total = "SELECT count(*), sum(hashtextextended(t::text, 0)::numeric) FROM large t"
    assert int(cluster.sql("SELECT pg_table_size('large')", 'gym')[0]) > 1 << 30
    cluster.world(world, database='gym')
    before, sums = cluster.dump('gym', '-C', '-T', 'large'), cluster.sql(total, 'gym')
    world.ok('run', 'job', timeout=600)
    world.ok('verify', 'job', timeout=600)
    assert facts(world)['rows.public.large'] == '4000000'
    world.ok('restore', 'job', 'db', '--in-place', '--yes', '--set', 'drop_old=yes', timeout=900)
    assert cluster.dump('gym', '-C', '-T', 'large') == before and cluster.sql(total, 'gym') == sums


def test_pg_restore_is_told_where_each_table_is(world, cluster, tools, tmp_path):
    """A dump from a pipe does not say where its tables begin; what pg_restore gets does, and differs in nothing else."""
    make_everything(cluster)
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    stored = world.restored() / 'db' / 'gym.dump'
    cluster.source(world, database='gym', bin_dir=tools('pg_restore', f'cp -L "${{@: -1}}" {tmp_path}/given; exec REAL "$@"'))
    world.ok('restore', 'job', 'db:gym.dump', '--in-place', '--yes')
    before, after = stored.read_bytes(), (tmp_path / 'given').read_bytes()
    wanted = {int(line.split(';')[0]) for line in cluster.run('pg_restore', '-l', stored).splitlines()
              if re.match(r'\d+; .* (TABLE DATA|BLOBS) ', line)}
    found, patched = set(), bytearray(before)
    for at in range(len(before) - 9):
        if before[at:at + 9] == b'\1' + bytes(8) and after[at] == 2:
            begin = int.from_bytes(after[at + 1:at + 9], 'little')
            assert after[begin] in (1, 3)
            found.add(int.from_bytes(after[begin + 2:begin + 6], 'little'))
            patched[at:at + 9] = after[at:at + 9]
    assert found == wanted and len(wanted) > 10
    assert patched == after
