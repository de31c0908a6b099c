"""Files of a database whose server is at work are no backup of it: check and run say so, and nobody is alarmed for a stopped one."""
import fcntl
import os
import signal
import sqlite3
import struct
import subprocess
import sys
from contextlib import closing

import pytest

from support.cli import INCOMPLETE
from support.postgres import Cluster
from support.redis import Server

SEES_ALL = os.readlink('/proc/self/ns/pid') == 'pid:[4026531836]'


def assert_said(world, name: str, what: str) -> None:
    """By check, by the run, and not at all when it is accepted."""
    checked, ran = world('check', 'tree'), world.fails(INCOMPLETE, 'run', 'job')
    for text in (checked.text, ran.err):
        assert what in text and name in text and 'live_database' in checked.text, text
    assert what in world.ok('show', 'job').out
    world.source('tree', world.base / 'tree', live_database='accept')
    assert what not in world('check', 'tree').text
    assert what not in world.ok('run', 'job').err
    world.source('tree', world.base / 'tree')


def assert_silent(world, what: str) -> None:
    assert what not in world('check', 'tree').text
    assert what not in world.ok('run', 'job').err


@pytest.fixture
def tree(world, tmp_path):
    place = tmp_path / 'tree'
    place.mkdir()
    world.simple(place)
    return place


def test_postgres(world, tree):
    cluster = Cluster()
    try:
        os.rename(cluster.data, tree / 'data')
        cluster.data.symlink_to(tree / 'data')
        # The server runs as another user, who has to get there.
        for above in (tree, *tree.parents):
            above.chmod(above.stat().st_mode | 0o011)
        cluster.start()
        assert_said(world, "'data'", 'a PostgreSQL server is at work')
        pid = (tree / 'data' / 'postmaster.pid').read_bytes()
        cluster.stop()
        assert_silent(world, 'PostgreSQL')
        # What a server leaves that was killed.
        (tree / 'data' / 'postmaster.pid').write_bytes(pid)
        if SEES_ALL:
            assert_silent(world, 'PostgreSQL')
        (tree / 'data' / 'postmaster.pid').unlink()
    finally:
        cluster.remove()


def test_redis(world, tree):
    server = Server(tree / 'store')
    try:
        with closing(server.client()) as client:
            client('SET', 'a', 'b')
            client('SAVE')
        assert_said(world, "'store'", 'a Redis server is at work')
    finally:
        server.stop(signal.SIGTERM)
    if SEES_ALL:
        assert_silent(world, 'Redis')


@pytest.mark.parametrize('mode', ['WAL', 'DELETE'])
def test_sqlite(world, tree, mode):
    database = sqlite3.connect(tree / 'app.db', isolation_level=None)
    database.execute(f'PRAGMA journal_mode = {mode}')
    database.execute('CREATE TABLE t (x)')
    assert mode == 'WAL' or not (tree / 'app.db-journal').exists()
    database.execute('BEGIN')
    database.execute('PRAGMA cache_size = 1')
    for _ in range(2000):
        database.execute("INSERT INTO t VALUES (hex(randomblob(500)))")
    assert_said(world, "'app.db'", 'an SQLite database that is open')
    database.execute('COMMIT')
    database.close()
    assert_silent(world, 'SQLite')
    # What a program leaves that was killed comes back whole: the journal goes with the database.
    killed = ("import os,sqlite3,sys; d = sqlite3.connect(sys.argv[1]); d.execute('PRAGMA cache_size = 1');"
              "[d.execute('INSERT INTO t VALUES (hex(randomblob(500)))') for _ in range(2000)]; os.kill(os.getpid(), 9)")
    subprocess.run([sys.executable, '-c', killed, tree / 'app.db'], check=False)
    assert (tree / ('app.db-wal' if mode == 'WAL' else 'app.db-journal')).stat().st_size > 0
    assert_silent(world, 'SQLite')


@pytest.mark.parametrize('name, what', [('ibdata1', 'a MySQL or MariaDB server'), ('aria_log_control', 'a MariaDB server'),
                                        ('WiredTiger.lock', 'a MongoDB server')])
def test_locked_files(world, tree, name, what):
    """These servers hold a lock on a file of theirs for as long as they run, in whatever container."""
    (tree / 'mysql').mkdir()
    with open(tree / 'mysql' / name, 'wb') as file:
        file.write(b'x')
        fcntl.fcntl(file, fcntl.F_SETLK, struct.pack('hhqqi4x', fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        assert_said(world, "'mysql'", what)
    assert_silent(world, what)


def test_a_server_in_what_is_excluded_is_no_matter(world, tree):
    (tree / 'mysql').mkdir()
    world.source('tree', tree, exclude='/mysql')
    with open(tree / 'mysql' / 'ibdata1', 'wb') as file:
        fcntl.fcntl(file, fcntl.F_SETLK, struct.pack('hhqqi4x', fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        assert_silent(world, 'MySQL')
