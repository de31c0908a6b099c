"""A PostgreSQL server of our own, in a private directory, as an unprivileged user; and what it takes to compare databases."""
from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from .ports import free_port

BIN = Path('/usr/lib/postgresql/15/bin')
PASSWORD = r"s3cr:et\ 'quoted' pass"

# Connections through the socket need no password, those by address do.
HBA = '''local all all trust
local replication all trust
hostssl all by_certificate 127.0.0.1/32 cert
host all all 127.0.0.1/32 scram-sha-256
hostssl all all 127.0.0.2/32 scram-sha-256
'''


class Cluster:
    def __init__(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix='cofre-pg-', dir='/tmp'))
        self.base.chmod(0o755)
        self.data, self.sockets, self.port = self.base / 'data', self.base / 's', free_port()
        self.sockets.mkdir()
        self.sockets.chmod(0o777)
        self.data.mkdir(mode=0o700)
        shutil.chown(self.data, 'postgres', 'postgres')
        self._fill_data()
        self.environment: dict[str, str] = {}
        self.settings = {'fsync': 'off', 'full_page_writes': 'off', 'listen_addresses': "'127.0.0.1'", 'max_connections': 60,
                         'unix_socket_directories': f"'{self.sockets}'", 'port': self.port, 'autovacuum': 'off',
                         'logging_collector': 'off', 'log_statement': "'none'", 'max_prepared_transactions': 10,
                         'wal_level': 'logical', 'shared_buffers': '16MB', 'jit': 'off', 'max_parallel_workers_per_gather': 0}

    def _fill_data(self) -> None:
        self._as_postgres('initdb', '-D', self.data, '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync', '-U', 'postgres')
        (self.data / 'pg_hba.conf').write_text(HBA)

    def _as_postgres(self, program: str, *words: object) -> None:
        done = subprocess.run(['runuser', '-u', 'postgres', '--', BIN / program, *map(str, words)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd='/', check=False)
        assert done.returncode == 0, done.stdout.decode()

    def start(self) -> None:
        text = ''.join(f'{name} = {value}\n' for name, value in self.settings.items())
        (self.data / 'postgresql.auto.conf').write_text(text)
        # Its output must not keep ours open.
        subprocess.run(['runuser', '-u', 'postgres', '--', BIN / 'pg_ctl', '-D', self.data, '-l', self.data / 'log', '-w', '-t', '60',
                        'start'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd='/', check=True,
                       env=os.environ | self.environment)

    def stop(self, mode: str = 'fast') -> None:
        if (self.data / 'postmaster.pid').exists():
            self._as_postgres('pg_ctl', '-D', self.data, '-m', mode, '-w', 'stop')

    def remove(self) -> None:
        try:
            self.stop('immediate')
        finally:
            shutil.rmtree(self.base, ignore_errors=True)

    @property
    def env(self) -> dict[str, str]:
        return {'PATH': f'{BIN}:/usr/bin:/bin', 'PGHOST': str(self.sockets), 'PGPORT': str(self.port), 'PGUSER': 'postgres',
                'LC_ALL': 'C.UTF-8'}

    def run(self, program: str, *words: object, text: str | None = None) -> str:
        done = subprocess.run([BIN / program, *map(str, words)], env=self.env, input=text, text=True, capture_output=True,
                              check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def sql(self, text: str, database: str = 'postgres', user: str = 'postgres') -> list[str]:
        return self.run('psql', '-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-U', user, '-d', database, text=text).splitlines()

    def sql_until(self, question: str) -> None:
        """Ask until the answer is yes."""
        deadline = time.monotonic() + 30
        while self.sql(question) != ['t']:
            assert time.monotonic() < deadline, (question, (self.data / 'log').read_text()[-2000:])
            time.sleep(0.02)

    def create(self, name: str, sql: str = '') -> str:
        self.run('createdb', name)
        if sql:
            self.sql(sql, name)
        return name

    def drop(self, name: str) -> None:
        """Also with what the server would not let go: prepared transactions, subscriptions."""
        for gid in self.sql(f"SELECT quote_literal(gid) FROM pg_prepared_xacts WHERE database = $x${name}$x$"):
            self.sql(f'ROLLBACK PREPARED {gid}', name)
        for one in self.sql(f"SELECT quote_ident(subname) FROM pg_subscription s JOIN pg_database d ON d.oid = subdbid "
                            f"WHERE datname = $x${name}$x$"):
            self.sql(f'ALTER SUBSCRIPTION {one} DISABLE; ALTER SUBSCRIPTION {one} SET (slot_name = NONE); DROP SUBSCRIPTION {one}', name)
        self.run('dropdb', '--force', name)

    def databases(self) -> list[str]:
        return self.sql('SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1')

    def dump(self, name: str, *words: str) -> str:
        """The database as SQL. Each dump has a random word against psql's commands, which is nothing of the database's."""
        return re.sub(r'(?m)^\\(un)?restrict .*\n', '', self.run('pg_dump', *words, name))

    def checksums(self, name: str) -> dict[str, str]:
        """What is in every table and sequence, and in the large objects."""
        relations = self.sql("SELECT relkind::text || format('%I.%I', nspname, relname) FROM pg_class c JOIN pg_namespace n "
                             "ON n.oid = relnamespace WHERE relkind IN ('r', 'm', 'S') AND nspname !~ '^(pg_|information_schema)' "
                             "AND relispopulated ORDER BY 1", name)
        sums = ["SELECT count(*) || ' ' || coalesce(md5(string_agg(m.oid || encode(lo_get(m.oid), 'hex') || "
                "coalesce(lomacl::text, ''), '|' ORDER BY m.oid)), '-') FROM pg_largeobject_metadata m"]
        for kind, relation in ((r[0], r[1:]) for r in relations):
            row = "(last_value || ' ' || is_called)" if kind == 'S' else 't::text'
            sums.append(f"SELECT count(*) || ' ' || coalesce(md5(string_agg({row}, '|' ORDER BY {row} COLLATE \"C\")), '-') "
                        f'FROM ONLY {relation} t')
        return dict(zip(['large objects'] + [r[1:] for r in relations], self.sql(';'.join(sums), name), strict=True))

    def sessions(self) -> list[str]:
        return self.sql("SELECT coalesce(datname, '') || ' ' || application_name || ' ' || state FROM pg_stat_activity "
                        "WHERE backend_type = 'client backend' AND application_name <> 'psql'")

    @contextmanager
    def session(self, database: str, sql: str, user: str = 'postgres'):
        """A session that has run this, and stays until the end."""
        process = subprocess.Popen([BIN / 'psql', '-X', '-A', '-t', '-q', '-U', user, '-d', database], env=self.env, text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        process.stdin.write(sql + ";\n\\echo ready\n")
        process.stdin.flush()
        for line in process.stdout:
            if line.strip() == 'ready':
                break
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()

    def source(self, world, name: str = 'db', **options: object) -> None:
        world.section(f'source {name}', plugin='postgres', **{'host': self.sockets, 'port': self.port, 'user': 'postgres'} | options)

    def world(self, world, **options: object):
        """One source 'db', one sink 'disk', one job 'job', initialised."""
        self.source(world, **options)
        world.sink()
        world.job(sources='db')
        world.ok('init', 'disk')
        return world


class German(Cluster):
    """A server that speaks German, in a locale made for it."""

    def __init__(self) -> None:
        super().__init__()
        subprocess.run(['localedef', '-i', 'de_DE', '-f', 'UTF-8', self.base / 'de_DE.UTF-8'], check=True, capture_output=True)
        self.environment = {'LOCPATH': str(self.base)}
        self.settings |= {'lc_messages': "'de_DE.UTF-8'"}


class Pool:
    """pgbouncer in front of a server."""

    def __init__(self, server: Cluster, mode: str) -> None:
        self.base, self.port, self.server = Path(tempfile.mkdtemp(prefix='cofre-pool-', dir='/tmp')), free_port(), server
        (self.base / 'users').write_text('"postgres" ""\n')
        (self.base / 'ini').write_text(f'''[databases]
* = host={server.sockets} port={server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = trust
auth_file = {self.base}/users
pool_mode = {mode}
default_pool_size = 6
''')
        for path in (self.base, *self.base.iterdir()):
            shutil.chown(path, 'postgres', 'postgres')
        self.process = subprocess.Popen(['runuser', '-u', 'postgres', '--', '/usr/sbin/pgbouncer', '-q', self.base / 'ini'],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while socket.socket().connect_ex(('127.0.0.1', self.port)) != 0:
            assert time.monotonic() < deadline and self.process.poll() is None
            time.sleep(0.02)

    def sql(self, text: str, database: str) -> list[str]:
        return self.server.run('psql', '-X', '-A', '-t', '-q', '-h', '127.0.0.1', '-p', self.port, '-d', database, '-c', text).splitlines()

    def remove(self) -> None:
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.base, ignore_errors=True)


class Standby(Cluster):
    """A second server, that follows a running one."""

    def __init__(self, primary: Cluster) -> None:
        self.primary = primary
        super().__init__()
        self.settings |= {'primary_conninfo': f"'host={primary.sockets} port={primary.port} user=postgres'"}

    def _fill_data(self) -> None:
        self._as_postgres('pg_basebackup', '-D', self.data, '-h', self.primary.sockets, '-p', self.primary.port, '-U', 'postgres',
                          '-c', 'fast', '--no-sync')
        (self.data / 'standby.signal').touch()

    def catch_up(self) -> None:
        """Wait until everything that the primary has done is done here."""
        self.sql_until(f"SELECT pg_last_wal_replay_lsn() >= '{self.primary.sql('SELECT pg_current_wal_flush_lsn()')[0]}'")


@pytest.fixture(scope='session')
def running_cluster():
    cluster = Cluster()
    try:
        cluster.start()
        cluster.sql(f"ALTER ROLE postgres PASSWORD $pw${PASSWORD}$pw$")
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture
def cluster(running_cluster):
    """The server; afterwards it runs again, and has no databases and roles but its own."""
    yield running_cluster
    if not (running_cluster.data / 'postmaster.pid').exists():
        running_cluster.start()
    for name in running_cluster.databases():
        if name != 'postgres':
            running_cluster.drop(name)
    for name in running_cluster.sql("SELECT quote_ident(spcname) FROM pg_tablespace WHERE spcname !~ '^pg_'"):
        running_cluster.sql(f'DROP TABLESPACE {name}')
    for name in running_cluster.sql("SELECT quote_ident(rolname) FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> 'postgres'"):
        running_cluster.sql(f'DROP OWNED BY {name}; DROP ROLE {name}')


@pytest.fixture
def tools(tmp_path):
    """A function that makes a bin_dir in which one program is a script; in it REAL is the real one."""

    def make(program: str, script: str) -> Path:
        place = tmp_path / 'tools'
        place.mkdir(exist_ok=True)
        for name in ('pg_dump', 'pg_restore', 'pg_dumpall'):
            if not (place / name).exists():
                (place / name).symlink_to(BIN / name)
        (place / program).unlink()
        (place / program).write_text('#!/bin/bash\n[ "$1" = --version ] && exec REAL --version\n'.replace('REAL', str(BIN / program))
                                     + script.replace('REAL', str(BIN / program)) + '\n')
        os.chmod(place / program, 0o755)
        return place

    return make
