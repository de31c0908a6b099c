"""`cofre check` names what would go wrong with a PostgreSQL source in the first night."""
import pytest

from support.cli import FAILED
from support.postgres import PASSWORD, Cluster, cluster, running_cluster, tools  # noqa: F401


def found(world, *words):
    """check finds an error, and says this."""
    result = world('check')
    assert result.status != 0 and 'hint:' in result.text, result
    for word in words:
        assert word in result.text, result


def test_check_says_what_is_fine(world, cluster):
    cluster.create('gym', 'CREATE TABLE t AS SELECT 1 AS a; CREATE TABLE u AS SELECT 1 AS a')
    cluster.world(world, database='gym')
    result = world.ok('check')
    for word in ('connected to PostgreSQL 15', "pg_dump' is of version 15", "database 'gym': everything in it can be read"):
        assert word in result.out
    cluster.sql('CREATE ROLE backup LOGIN; GRANT SELECT ON t, u TO backup', 'gym')
    cluster.source(world, database='gym', user='backup')
    assert 'roles are saved without passwords' in world('check').text
    cluster.source(world, databases='*', user='backup')
    cluster.sql('REVOKE CONNECT ON DATABASE gym FROM PUBLIC')
    assert 'permission denied for database "gym"' in world.fails(FAILED, 'check').text


@pytest.mark.parametrize('options, words', [
    ({'database': 'missing'}, ('database "missing" does not exist', 'check the names')),
    ({'user': 'nobody_here'}, ('role "nobody_here" does not exist',)),
    ({'host': '127.0.0.1'}, ('no password supplied', 'passfile')),
    ({'host': '/nowhere'}, ('/nowhere/.s.PGSQL', 'is the server running')),
    ({'host': '192.0.2.1'}, ("sslmode 'prefer' nothing proves who it is", 'verify-full')),
    ({'database': None, 'databases': 'gym, missing'}, ('database "missing" does not exist',)),
    ({'databases': '*'}, ("'database' and 'databases' exclude each other",)),
    ({'bin_dir': '/nowhere'}, ("pg_dump of version 15 or newer was not found in '/nowhere'", 'postgresql-client-15')),
])
def test_connection_and_names(world, cluster, options, words):
    cluster.create('gym')
    cluster.world(world, **{'database': 'gym'} | options)
    found(world, *words)


def test_wrong_password(world, cluster):
    cluster.create('gym')
    secret = world.base / 'secret'
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    cluster.world(world, database='gym', host='127.0.0.1', password=f'@file:{secret}')
    world.ok('check')
    secret.write_text('wrong')
    found(world, 'password authentication failed for user "postgres"', 'set user and password')


@pytest.mark.parametrize('program', ['pg_dump', 'pg_restore', 'pg_dumpall'])
def test_older_programs(world, cluster, tools, program):
    """Each of the three is looked at: a restore that fails for want of a program is found out too late."""
    cluster.create('gym')
    place = tools(program, '')
    (place / program).write_text(f'#!/bin/sh\necho "{program} (PostgreSQL) 14.9"\n')
    cluster.world(world, database='gym', bin_dir=place)
    found(world, f"{program}' is of version 14.9, and the server of version 15", 'postgresql-client-15')
    (place / program).unlink()
    found(world, f"{program} of version 15 or newer was not found in '{place}'")
    # Without globals nobody needs the third.
    cluster.source(world, database='gym', bin_dir=place, globals='no')
    assert world('check').status == (0 if program == 'pg_dumpall' else FAILED)


@pytest.mark.parametrize('sql, named, cure', [
    ('CREATE SCHEMA hidden; CREATE TABLE hidden.t (a int); GRANT SELECT ON hidden.t TO backup', 'may not read hidden.t',
     'GRANT USAGE ON SCHEMA hidden TO backup'),
    ('CREATE SEQUENCE "Odd one"', 'may not read public."Odd one"', 'GRANT SELECT ON SEQUENCE "Odd one" TO backup'),
    ('CREATE TABLE p (a int) PARTITION BY RANGE (a); CREATE TABLE p1 PARTITION OF p DEFAULT; GRANT SELECT ON p TO backup',
     'may not read public.p1', 'GRANT SELECT ON p1 TO backup'),
    ('SELECT lo_from_bytea(4711, \'x\')', 'may not read large objects: 4711', 'GRANT SELECT ON LARGE OBJECT 4711 TO backup'),
    ('CREATE TABLE r AS SELECT 1 AS a; GRANT SELECT ON r TO backup; ALTER TABLE r ENABLE ROW LEVEL SECURITY',
     'row security hides rows of public.r', 'ALTER ROLE backup BYPASSRLS'),
], ids=['schema', 'sequence', 'partition', 'large object', 'row security'])
def test_rights_on_everything(world, cluster, sql, named, cure):
    """What check names is what the dump fails at; with the right granted both are content."""
    cluster.create('gym')
    cluster.sql(f'CREATE ROLE backup LOGIN; {sql}', 'gym')
    cluster.world(world, database='gym', user='backup', globals='no')
    found(world, "database 'gym'", named)
    world.fails(FAILED, 'run', 'job')
    cluster.sql(cure, 'gym')
    assert "database 'gym': everything in it can be read" in world.ok('check').out
    world.ok('run', 'job')


def test_rights_that_nobody_needs(world, cluster):
    """A dump has the definitions of views, and refreshes materialised ones at the end of a restore."""
    cluster.create('gym', 'CREATE MATERIALIZED VIEW m AS SELECT 1 AS a; CREATE VIEW v AS SELECT 1 AS a')
    cluster.sql('CREATE ROLE backup LOGIN')
    cluster.world(world, database='gym', user='backup', globals='no')
    world.ok('check')
    world.ok('run', 'job')


def test_many_tables_are_not_all_named(world, cluster):
    cluster.create('gym', ';'.join(f'CREATE TABLE t{i} (a int)' for i in range(9)))
    cluster.sql('CREATE ROLE backup LOGIN')
    cluster.world(world, database='gym', user='backup', globals='no')
    found(world, 'public.t0, public.t1, public.t2, public.t3, public.t4, ...')
    assert 'public.t5' not in world('check').text


def test_what_a_restore_will_meet(world):
    """Prepared transactions, and logical replication, of which a dump knows little."""
    server = Cluster()
    server.settings |= {'max_prepared_transactions': 4, 'wal_level': 'logical'}
    try:
        server.start()
        server.create('gym', 'CREATE TABLE t (a int)')
        server.sql("CREATE SUBSCRIPTION sub CONNECTION 'dbname=gym' PUBLICATION p WITH (connect = false); "
                   "SELECT pg_create_logical_replication_slot('news', 'pgoutput'); BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'left over'", 'gym')
        server.world(world, database='gym')
        result = world('check')
        assert "in place from renaming it: 'left over'" in result.text and 'ROLLBACK PREPARED' in result.text, result
        assert 'what logical replication knows is not saved: ' in result.text, result
        assert 'subscription sub' in result.text and 'slot news' in result.text
    finally:
        server.remove()
