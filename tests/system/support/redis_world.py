"""A world with Redis servers and a source 'app' that saves one of them."""
from __future__ import annotations

from contextlib import closing

import pytest

from .cli import DONE
from .redis import Server, fill, state

PASSWORD = 'open sesame'.replace(' ', '-')
SAVING = ('+ping', '+info', '+replconf', '+psync', '+module|list', '+function|list')
ACL = (*SAVING, '+replicaof', '+select')
# One of each database, with an expiry, a function library; small enough to be cut everywhere.
KEYS = 600


@pytest.fixture
def servers(tmp_path):
    made = []

    def make(name='one', **options) -> Server:
        made.append(Server(tmp_path / name, **options))
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.fixture
def listeners():
    made = []

    def keep(listener):
        made.append(listener)
        return listener

    yield keep
    for listener in made:
        listener.close()


@pytest.fixture
def vault(world):
    """A sink and a job for the source 'app'."""
    world.sink()
    world.job(sources='app')
    world.section('source app', plugin='redis', port=1)
    world.ok('init', 'disk')
    return world


def configure(world, server, **options):
    if server.password:
        options = {'password': server.password} | options
    world.section('source app', plugin='redis', **({'port': server.port} | options))


def in_place(world, *options, **execution):
    return world('restore', 'job', 'app', '--in-place', '--yes', *options, **execution)


def restored_in_place(world, *options):
    result = in_place(world, *options)
    assert result.status == DONE, result
    return result


def rescues(world):
    return sorted((world.base / 'state' / 'sources' / 'app').glob('rescue-*'))


def assert_primary(world, server):
    with closing(server.client()) as client:
        info = client.info()
    assert info['role'] == 'master'
    assert not list((world.base / 'state' / 'holds').glob('*'))
    assert not list((world.base / 'state' / 'sources').glob('*/restore-*'))


def emptied(server) -> dict:
    with closing(server.client()) as client:
        client('FLUSHALL')
        client('FUNCTION', 'FLUSH')
    return state(server)


def user(server, name, *rights):
    with closing(server.client()) as client:
        client('ACL', 'SETUSER', name, 'on', '>secret', *rights)


def says(result, *texts):
    for text in texts:
        assert text in result.err, result


@pytest.fixture
def restorable(vault, servers):
    """A server with other data than its snapshot: (world, server, the snapshot's, what is there)."""
    server = servers()
    fill(server, KEYS)
    new = state(server)
    configure(vault, server)
    vault.ok('run', 'job')
    emptied(server)
    fill(server, 120, seed=5, functions=1)
    return vault, server, new, state(server)
