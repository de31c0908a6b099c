"""Restores of PostgreSQL databases: what stands in their way, what does not follow, and what cannot be made."""
import re
import subprocess

import pytest

from support.cli import BAD_CONFIG, FAILED, INCOMPLETE
from support.postgres import BIN, Cluster, German, cluster, running_cluster, tools  # noqa: F401

TABLE = 'CREATE TABLE t AS SELECT 1 AS a'


@pytest.fixture
def filled(tools, tmp_path):  # noqa: F811
    """A bin_dir for the source, and a function that says whether anything was filled."""
    place = tools('pg_restore', f'touch {tmp_path}/filled; exec REAL "$@"')
    yield place, (tmp_path / 'filled').exists


# ---- what stands in the way ----

def test_prepared_transaction_is_found_before_anything_is_filled(world, cluster, filled):
    place, was_filled = filled
    cluster.create('gym', TABLE)
    cluster.world(world, database='gym', bin_dir=place)
    world.ok('run', 'job')
    cluster.sql("BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION 'left over'", 'gym')
    result = world.fails(FAILED, 'restore', 'job', 'db', '--in-place', '--yes')
    assert "'left over' of postgres since" in result.err and "COMMIT PREPARED 'left over'" in result.err
    assert not was_filled() and cluster.databases() == ['gym', 'postgres']
    # It keeps nobody from a copy.
    world.ok('restore', 'job', 'db:gym.dump', '--set', 'database=copy')
    cluster.sql("ROLLBACK PREPARED 'left over'", 'gym')
    world.ok('restore', 'job', 'db:gym.dump', '--in-place', '--yes')


def test_prepared_transaction_that_comes_while_it_is_filled(world, cluster, tools):
    cluster.create('gym', TABLE)
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    prepare = f'''{cluster.env['PATH'].split(':')[0]}/psql -X -q -h {cluster.sockets} -p {cluster.port} -U postgres -d gym \
-c 'BEGIN' -c 'INSERT INTO t VALUES (2)' -c "PREPARE TRANSACTION 'late'"'''
    cluster.source(world, database='gym', bin_dir=tools('pg_restore', f'{prepare}; exec REAL "$@"'))
    result = world.fails(FAILED, 'restore', 'job', 'db:gym.dump', '--in-place', '--yes')
    assert "'late' of postgres since" in result.err
    assert cluster.databases() == ['gym', 'postgres']


@pytest.mark.parametrize('who, words', [
    ('LOGIN CREATEDB', "it belongs to 'postgres', and 'somebody' may not rename it"),
    ('LOGIN', "it belongs to 'postgres', and 'somebody' may not rename it")])
def test_user_who_may_not_rename(world, cluster, filled, who, words):
    place, was_filled = filled
    cluster.create('gym', TABLE)
    cluster.sql(f'CREATE ROLE somebody {who}; GRANT pg_read_all_data TO somebody')
    cluster.world(world, database='gym', user='somebody', globals='no', bin_dir=place)
    world.ok('run', 'job')
    result = world.fails(FAILED, 'restore', 'job', 'db', '--in-place', '--yes')
    assert words in result.err and 'CREATEDB' in result.err and not was_filled()


def test_sessions_that_cannot_be_ended_are_found_before(world, cluster, filled):
    place, was_filled = filled
    cluster.sql('CREATE ROLE owner LOGIN CREATEDB; CREATE DATABASE gym OWNER owner')
    cluster.sql(TABLE, 'gym', 'owner')
    cluster.world(world, database='gym', user='owner', globals='no', bin_dir=place)
    world.ok('run', 'job')
    with cluster.session('gym', "SET application_name = 'the admin'"), cluster.session('gym', 'SELECT 1', 'owner'):
        result = world.fails(FAILED, 'restore', 'job', 'db', '--in-place', '--yes')
    # Its own sessions it may end.
    assert re.search(r'using it: postgres the admin \(process \d+\)\n', result.err) and not was_filled()


# ---- what does not follow ----

@pytest.fixture
def replicating(cluster):
    """Two databases of which the second subscribes to the first, and has its row."""
    cluster.create('pub', 'CREATE TABLE s (a int PRIMARY KEY); INSERT INTO s VALUES (1); CREATE PUBLICATION p FOR TABLE s')
    cluster.create('sub', 'CREATE TABLE s (a int PRIMARY KEY)')
    cluster.sql("SELECT pg_create_logical_replication_slot('sl', 'pgoutput')", 'pub')
    cluster.sql(f"CREATE SUBSCRIPTION su CONNECTION 'host={cluster.sockets} port={cluster.port} dbname=pub user=postgres' "
                "PUBLICATION p WITH (create_slot = false, slot_name = 'sl')", 'sub')
    cluster.sql_until("SELECT active FROM pg_replication_slots WHERE slot_name = 'sl'")
    yield
    for name in cluster.sql("SELECT datname FROM pg_database JOIN pg_subscription ON subdbid = pg_database.oid"):
        cluster.drop(name)
    cluster.sql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active")
    cluster.sql_until('SELECT count(*) = 0 FROM pg_replication_slots WHERE active')
    cluster.sql('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots')


def test_subscription_stays_with_what_is_replaced(world, cluster, replicating):
    cluster.world(world, database='sub')
    world.ok('run', 'job')
    result = world.ok('restore', 'job', 'db', '--in-place', '--yes')
    old = f'sub_before_{world.snapshots()[-1]}'
    assert f"subscription 'su' is with '{old}' now" in result.err
    # Once before anything was done, once after.
    assert result.err.index("subscription 'su' belongs to database 'sub'") < result.err.index("'sub' was replaced")
    assert "subscription 'su' of the snapshot is in database 'sub', and disabled" in result.err
    assert cluster.sql('SELECT datname, subenabled FROM pg_subscription JOIN pg_database d ON d.oid = subdbid ORDER BY 1') == [
        'sub|f', f'{old}|t']


def test_slot_stays_with_what_is_replaced(world, cluster, replicating):
    cluster.world(world, database='pub')
    world.ok('run', 'job')
    result = world.ok('restore', 'job', 'db', '--in-place', '--yes')
    old = f'pub_before_{world.snapshots()[-1]}'
    assert "replication slot 'sl' belongs to database 'pub'" in result.err
    assert f"replication slot 'sl' is with '{old}' now" in result.err
    assert cluster.sql('SELECT database FROM pg_replication_slots') == [old]


def test_restored_subscription_does_not_keep_a_failed_copy(world, cluster, tools, replicating):
    """The server drops no database that has one: neither after a failure, nor after a kill, nor after a trial."""
    cluster.world(world, database='sub', bin_dir=tools('pg_restore', 'REAL "$@"; exit 1'))
    world.ok('run', 'job')
    world.fails(FAILED, 'restore', 'job', 'db', '--in-place', '--yes')
    world.fails(FAILED, 'restore', 'job', 'db:sub.dump', '--set', 'database=copy')
    cluster.source(world, database='sub', bin_dir=tools('pg_restore', 'REAL "$@"; kill -9 $(ps -o ppid= -p $PPID) $PPID; exit 1'))
    world('restore', 'job', 'db:sub.dump', '--set', 'database=copy')
    cluster.source(world, database='sub')
    world.ok('run', 'job')
    assert cluster.databases() == ['postgres', 'pub', 'sub']
    assert cluster.sql('SELECT count(*) FROM pg_subscription') == ['1']


# ---- what cannot be made ----

WORDS = ("CREATE TABLE words (w text); INSERT INTO words VALUES ('a'); "
         "CREATE FUNCTION nwords() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM words'; "
         'CREATE MATERIALIZED VIEW m AS SELECT nwords() AS n; CREATE VIEW v AS SELECT * FROM m; '
         'CREATE TABLE other AS SELECT generate_series(1, 7) AS a; CREATE INDEX ON other (a)')


def test_object_that_cannot_be_made_is_named(world, cluster):
    cluster.create('gym', WORDS)
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    result = world.fails(FAILED, 'restore', 'job', 'db', '--in-place', '--yes')
    assert "'REFRESH MATERIALIZED VIEW public.m': relation \"words\" does not exist\n" in result.err
    assert 'ALTER FUNCTION ... SET search_path' in result.err and 'go_on=yes' in result.err
    assert 'this source' not in result.err and cluster.databases() == ['gym', 'postgres']


@pytest.mark.parametrize('words', [('--set', 'database=new'), ('--in-place', '--yes', '--set', 'drop_old=yes')], ids=['copy', 'in place'])
def test_going_on_brings_all_else(world, cluster, words):
    cluster.create('gym', WORDS)
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    sums = cluster.checksums('gym')
    result = world.fails(INCOMPLETE, 'restore', 'job', 'db:gym.dump', '--set', 'go_on=yes', *words)
    new = 'new' if 'database=new' in words else 'gym'
    assert "not restored: REFRESH MATERIALIZED VIEW public.m: relation \"words\" does not exist" in result.err
    assert f"restored as database '{new}' without 1 objects" in result.err
    del sums['public.m']
    assert cluster.checksums(new) == sums
    assert cluster.sql("SELECT relname, relispopulated FROM pg_class WHERE relname IN ('m', 'v') ORDER BY 1", new) == ['m|f', 'v|t']
    # What was replaced is kept, whatever was asked for.
    expected = ['gym', 'new'] if new == 'new' else ['gym', f'gym_before_{world.snapshots()[-1]}']
    assert sorted(cluster.databases()) == sorted([*expected, 'postgres'])


def test_going_on_without_data_replaces_nothing(world, cluster):
    """Rows that are missing are named, and the live database stays; what could be restored stays, too."""
    cluster.create('gym', WORDS + '; CREATE FUNCTION fits(text) RETURNS boolean LANGUAGE plpgsql AS '
                                  "'BEGIN RETURN EXISTS (SELECT FROM words); END'; CREATE TABLE strict (w text CHECK (fits(w))); "
                                  "INSERT INTO strict VALUES ('a'), ('b')")
    cluster.world(world, database='gym', row_counts='no')
    world.ok('run', 'job')
    cluster.sql('INSERT INTO other VALUES (8)', 'gym')
    before, sums = cluster.dump('gym'), cluster.checksums('gym')
    for number in ('', '_2'):
        result = world.fails(INCOMPLETE, 'restore', 'job', 'db:gym.dump', '--in-place', '--yes', '--set', 'go_on=yes')
        partial = f'gym_partial_{world.snapshots()[-1]}{number}'
        assert f"restored as database '{partial}' without 2 objects" in result.err and "did not replace 'gym'" in result.err
        assert 'COPY failed for table "strict"' in result.err
        found = cluster.checksums(partial)
        assert found['public.words'] == sums['public.words'] and found['public.strict'].startswith('0 ')
    assert cluster.dump('gym') == before
    # They are nobody's to save every night.
    assert f"database '{partial}' is what a restore left, in part" in world('check').text
    cluster.source(world, databases='*')
    world.ok('run', 'job')
    assert 'partial' not in world.ok('ls', 'job').out


def test_going_on_finds_rows_that_are_not_as_many(world, cluster, tools):
    """Also where pg_restore says nothing; all tables are named, and one that is not there."""
    cluster.create('gym', 'CREATE TABLE t AS SELECT 1 AS a; CREATE TABLE u AS SELECT 1 AS a; CREATE TABLE w AS SELECT 1 AS a')
    ours = "SELECT datname FROM pg_database WHERE datname LIKE 'cofre%'"
    psql = f'{BIN}/psql -X -q -h {cluster.sockets} -p {cluster.port} -U postgres'
    script = f'REAL "$@"; {psql} -d "$({psql} -Atd postgres -c "{ours}")" -c "DELETE FROM t; DROP TABLE u"'
    cluster.world(world, database='gym', bin_dir=tools('pg_restore', script))
    world.ok('run', 'job')
    before = cluster.dump('gym')
    result = world.fails(INCOMPLETE, 'restore', 'job', 'db:gym.dump', '--in-place', '--yes', '--set', 'go_on=yes')
    assert 'not restored: public.t: has 0 rows, and the snapshot says 1' in result.err
    assert 'not restored: public.u: ' in result.err and "without 2 objects, such as 'public.t'" in result.err
    partial = f'gym_partial_{world.snapshots()[-1]}'
    assert cluster.dump('gym') == before and set(cluster.checksums(partial)) == {'public.t', 'public.w', 'large objects'}


def test_going_on_without_a_table(world, cluster):
    """pg_restore then says nothing of its rows; and none were counted."""
    cluster.create('gym', "CREATE SCHEMA s; CREATE FUNCTION s.one() RETURNS int LANGUAGE sql AS 'SELECT 1'; "
                          'CREATE TABLE t (a int DEFAULT s.one()); INSERT INTO t VALUES (5); CREATE TABLE u AS SELECT 1 AS a')
    cluster.world(world, database='gym', row_counts='no', schemas='public')
    world.ok('run', 'job')
    result = world.fails(INCOMPLETE, 'restore', 'job', 'db:gym.dump', '--in-place', '--yes', '--set', 'go_on=yes')
    assert 'not restored: CREATE TABLE public.t' in result.err and "did not replace 'gym'" in result.err
    assert cluster.sql('SELECT a FROM t', 'gym') == ['5']


def test_going_on_changes_nothing_for_what_is_whole(world, cluster):
    cluster.create('gym', TABLE)
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    world.ok('restore', 'job', 'db', '--in-place', '--yes', '--set', 'go_on=yes', '--set', 'drop_old=yes')
    assert cluster.databases() == ['gym', 'postgres']
    result = world.fails(BAD_CONFIG, 'restore', 'job', 'db:gym.dump', '--set', 'go_on=yes', '--set', 'section=data')
    assert 'all or nothing' in result.err


@pytest.mark.parametrize('script', ['exit 1', 'kill -9 $$', 'REAL "$@"; echo "pg_restore: error: connection lost" >&2; exit 1'])
def test_going_on_needs_an_end(world, cluster, tools, script):
    """Where pg_restore did not come to its end nobody knows what is missing."""
    cluster.create('gym', TABLE)
    cluster.world(world, database='gym', bin_dir=tools('pg_restore', script))
    world.ok('run', 'job')
    world.fails(FAILED, 'restore', 'job', 'db:gym.dump', '--in-place', '--yes', '--set', 'go_on=yes')
    assert cluster.databases() == ['gym', 'postgres']


def test_many_that_cannot_be_made(world, cluster, tools):
    """Each is named, as long as they can be read; all are counted. Two workers may have written at once."""
    cluster.create('gym', TABLE)
    noise = ''.join(f"echo 'pg_restore: error: could not execute query: FEHLER:  Rolle »r{i}« existiert nicht';"
                    f"echo 'Command was: ALTER TABLE public.t{i} OWNER TO r{i};';" for i in range(150))
    mixed = ("echo 'pg_restore: error: could not execute query: ERROR:  one'; echo 'pg_restore: error: could not execute query: ERROR:  two';"
             "echo 'HINT:  harmful'; echo 'Command was: GRANT first'; echo 'Command was: GRANT second';")
    script = f'REAL "$@"; {{ {noise} {mixed} echo "pg_restore: warning: errors ignored on restore: 152"; }} >&2; exit 1'
    cluster.world(world, database='gym', bin_dir=tools('pg_restore', script))
    world.ok('run', 'job')
    result = world.fails(INCOMPLETE, 'restore', 'job', 'db:gym.dump', '--set', 'database=new', '--set', 'go_on=yes')
    assert 'not restored: ALTER TABLE public.t0 OWNER TO r0: Rolle »r0« existiert nicht' in result.err
    assert 'public.t99 ' in result.err and 'public.t100 ' not in result.err and 'only counted' in result.err
    assert "without 153 objects, such as 'ALTER TABLE public.t0 OWNER TO r0'" in result.err and 'harmful' not in result.err


@pytest.fixture(scope='module')
def timed():
    """A server with pg_cron, which lives in the database 'app' alone."""
    server = Cluster()
    server.settings |= {'shared_preload_libraries': "'pg_cron'", 'cron.database_name': "'app'"}
    try:
        server.start()
        server.create('app')
        server.stop()
        server.start()
        server.sql(f"{TABLE}; CREATE EXTENSION pg_cron; SELECT cron.schedule('nightly', '0 3 * * *', 'VACUUM')", 'app')
        yield server
    finally:
        server.remove()


def test_extension_of_one_database_only(world, timed):
    """The message says a way, and it works."""
    timed.world(world, database='app')
    world.ok('run', 'job')
    jobs = timed.sql('SELECT jobname, schedule FROM cron.job', 'app')
    result = world.fails(FAILED, 'restore', 'job', 'db', '--in-place', '--yes')
    assert "'CREATE EXTENSION IF NOT EXISTS pg_cron" in result.err and 'can only create extension in database app' in result.err
    assert 'make an empty one of its name' in result.err and '--set database=NAME' in result.err
    # The server's own advice is about the name that the new database has for a while.
    assert 'cron.database_name = ' not in result.err and timed.databases() == ['app', 'postgres']
    timed.sql("ALTER DATABASE app ALLOW_CONNECTIONS false; SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
              "WHERE datname = 'app'; ALTER DATABASE app RENAME TO app_old; CREATE DATABASE app TEMPLATE template0")
    world.ok('restore', 'job', 'db:app.dump', '--set', 'database=app')
    assert timed.sql('SELECT jobname, schedule FROM cron.job', 'app') == jobs == ['nightly|0 3 * * *']
    # A copy can be had without it.
    result = world.fails(FAILED, 'restore', 'job', 'db:app.dump', '--set', 'database=copy')
    assert 'go_on=yes' in result.err
    world.fails(INCOMPLETE, 'restore', 'job', 'db:app.dump', '--set', 'database=copy', '--set', 'go_on=yes')
    assert timed.sql('SELECT a FROM t', 'copy') == ['1']


# ---- other encodings, languages, collations ----

NAMES = {'LATIN1': ('utf8', 'Übersicht'), 'EUC_JP': ('utf8', '表'), 'SQL_ASCII': ('latin1', 'größe')}


@pytest.mark.parametrize('encoding', NAMES)
def test_names_in_other_encodings(world, cluster, encoding):
    """Of a database that is not UTF-8: a copy, in place, and rows that are not as many as were saved."""
    client, name = NAMES[encoding]
    cluster.sql(f"CREATE DATABASE gym TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")

    def ask(sql, database):
        speaks = {'PGCLIENTENCODING': 'SQL_ASCII' if encoding == 'SQL_ASCII' else 'UTF8'}
        done = subprocess.run([BIN / 'psql', '-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-d', database], env=cluster.env | speaks,
                              input=sql.encode(client), capture_output=True, check=True)
        return done.stdout.decode(client).splitlines()

    ask(f'CREATE SCHEMA "s{name}"; CREATE TABLE "s{name}"."{name}" AS SELECT generate_series(1, 3) AS "{name}"', 'gym')
    cluster.world(world, database='gym', globals='no')
    world.ok('run', 'job')
    world.ok('restore', 'job', 'db:gym.dump', '--set', 'database=copy')
    world.ok('restore', 'job', 'db', '--in-place', '--yes')
    for database in ('copy', 'gym', f'gym_before_{world.snapshots()[-1]}'):
        assert ask(f'SELECT sum("{name}") FROM "s{name}"."{name}"', database) == ['6']
        assert ask('SHOW server_encoding', database) == [encoding]


def test_chosen_names_in_another_encoding(world, cluster):
    cluster.sql("CREATE DATABASE gym TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    cluster.sql("""SET client_encoding TO 'UTF8'; CREATE SCHEMA "Mär"; CREATE TABLE "Mär"."Größe" AS SELECT 1 AS a;
                CREATE TABLE "Mär"."Übersicht" AS SELECT 1 AS a; CREATE TABLE other (a int)""", 'gym')
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    tables = "SET client_encoding TO 'UTF8'; SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace >= 16384 ORDER BY 1"
    world.ok('restore', 'job', 'db:gym.dump', '--set', 'database=one', '--set', 'tables=Mär.Größe')
    assert cluster.sql(tables, 'one') == ['Größe']
    world.ok('restore', 'job', 'db:gym.dump', '--set', 'database=both', '--set', 'only_schemas=Mär')
    assert cluster.sql(tables, 'both') == ['Größe', 'Übersicht']
    result = world.fails(FAILED, 'restore', 'job', 'db:gym.dump', '--set', 'database=none', '--set', 'only_schemas=表')
    assert "look for '表' in a dump in LATIN1" in result.err
    world.fails(FAILED, 'restore', 'job', 'db:gym.dump', '--set', 'database=none', '--set', 'tables=Mär.None')


def test_dump_of_another_encoding_than_the_database(world, cluster):
    """Into one that is there and empty: the names are converted, and the rows counted all the same."""
    cluster.create('gym', 'CREATE TABLE "Größe" AS SELECT generate_series(1, 3) AS a')
    cluster.sql("CREATE DATABASE taken TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    result = world.ok('-v', 'restore', 'job', 'db:gym.dump', '--set', 'database=taken')
    assert 'the rows of 1 tables are as recorded' in result.err
    assert cluster.sql('''SET client_encoding TO 'UTF8'; SELECT sum(a) FROM "Größe"''', 'taken') == ['6']
    result = world.fails(FAILED, 'restore', 'job', 'db:gym.dump', '--set', 'database=taken', '--set', 'section=data')
    assert "table 'public.Größe' of database 'taken' is not empty" in result.err


def test_remarks_on_collations_are_no_failure(world, cluster):
    """A server that was given a new libc or ICU remarks on it at each connection, also to pg_restore."""
    cluster.create('gym', WORDS.split(';')[0])
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    cluster.create('empty')
    cluster.sql("UPDATE pg_database SET datcollversion = '1.1' WHERE datname IN ('empty', 'gym', 'postgres', 'template1')")
    try:
        result = world.ok('restore', 'job', 'db:gym.dump', '--set', 'database=empty')
        assert 'collation' not in result.err
        result = world.ok('restore', 'job', 'db', '--in-place', '--yes')
        assert 'collation' not in result.err
        # From such a template the server makes none.
        cluster.sql("UPDATE pg_database SET datcollversion = '1.1' WHERE datname = 'template0'")
        result = world.fails(FAILED, 'restore', 'job', 'db:gym.dump', '--set', 'database=new')
        assert 'ALTER DATABASE template0 REFRESH COLLATION VERSION' in result.err and 'damaged' not in result.err
    finally:
        cluster.sql('UPDATE pg_database SET datcollversion = NULL')


@pytest.fixture(scope='module')
def german():
    server = German()
    try:
        server.start()
        yield server
    finally:
        server.remove()


def test_server_that_speaks_german(world, german):
    """What cannot be made is named, classes and hints are the same where they do not depend on words."""
    german.create('gym', WORDS)
    german.world(world, database='gym')
    world.ok('run', 'job')
    result = world.fails(FAILED, 'restore', 'job', 'db', '--in-place', '--yes')
    assert "'REFRESH MATERIALIZED VIEW public.m': Relation »words« existiert nicht\n" in result.err and 'go_on=yes' in result.err
    result = world.fails(INCOMPLETE, 'restore', 'job', 'db:gym.dump', '--in-place', '--yes', '--set', 'go_on=yes')
    assert "restored as database 'gym' without 1 objects" in result.err
    german.sql("CREATE ROLE weak LOGIN; CREATE DATABASE weak OWNER weak")
    result = world.fails(FAILED, 'restore', 'job', 'db:gym.dump', '--set', 'database=weak', '--set', 'user=weak', '--set', 'globals=no')
    assert 'no_owner=yes' in result.err and "database 'weak' may be half filled now" in result.err
    german.sql("BEGIN; INSERT INTO words VALUES ('b'); PREPARE TRANSACTION 'left'", 'gym')
    assert "COMMIT PREPARED 'left'" in world.fails(FAILED, 'restore', 'job', 'db:gym.dump', '--in-place', '--yes').err
