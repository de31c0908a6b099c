"""check says what a run and a restore will meet, before they meet it."""
from contextlib import closing

import pytest

from support.cli import DONE, FAILED
from support.redis import Ancient, assert_same, fill, rdb, state
from support.redis_world import (SAVING, assert_primary, configure, in_place, listeners, rescues,  # noqa: F401
                                 says, servers, user, vault)

SAVES, RESTORES = 'this user may replicate', 'this user may restore in place'


@pytest.mark.parametrize('command', ['PSYNC', 'REPLCONF', 'REPLICAOF', 'SELECT', 'INFO'])
def test_commands_that_were_taken_away(vault, servers, command):
    server = servers(rename_command=f'{command} ""')
    fill(server, 60, databases=(0,)) if command not in ('SELECT', 'INFO') else None
    configure(vault, server)
    result = vault('check', 'app')
    needed = command in ('PSYNC', 'REPLCONF', 'INFO')
    assert result.status == (FAILED if needed else DONE), result
    says(result, f'{command} was refused: ERR unknown command', 'rename-command')
    assert (SAVES in result.out) == (not needed) and RESTORES not in result.out, result
    assert vault('run', 'job').status == (FAILED if needed else DONE)


def test_a_restore_where_replicaof_was_taken_away(vault, servers):
    source, server = servers(), servers('second', rename_command='REPLICAOF ""')
    fill(source, 60)
    configure(vault, source)
    vault.ok('run', 'job')
    fill(server, 60, seed=3)
    old = state(server)
    configure(vault, server)
    result = in_place(vault)
    assert result.status == FAILED and not rescues(vault), result
    says(result, 'REPLICAOF was refused', 'rename-command')
    assert_same(old, state(server))


@pytest.mark.parametrize('missing', ['+replconf', '+psync', '+replicaof', '+select'])
def test_rights_that_are_missing(vault, servers, missing):
    server = servers()
    user(server, 'saver', *(right for right in (*SAVING, '+replicaof', '+select') if right != missing))
    configure(vault, server, user='saver', password='secret')
    result = vault('check', 'app')
    needed = missing in ('+replconf', '+psync')
    assert result.status == (FAILED if needed else DONE), result
    says(result, f'{missing[1:].upper()} was refused: NOPERM', 'it cannot be saved' if needed else 'it cannot be restored into')
    assert (SAVES in result.out) == (not needed) and RESTORES not in result.out, result
    user(server, 'saver', missing)
    result = vault.ok('check', 'app')
    assert SAVES in result.out and RESTORES in result.out and 'refused' not in result.text, result
    assert_primary(vault, server)


def test_check_changes_nothing(vault, servers):
    """What it tries is refused for its arguments: no transfer is begun, no role and no id is another one."""
    server = servers()
    configure(vault, server)
    with closing(server.client()) as client:
        before = client.info()
        vault.ok('check', 'app')
        after = client.info()
    same = ('role', 'run_id', 'master_replid', 'master_replid2', 'connected_slaves', 'sync_full', 'sync_partial_ok', 'total_forks')
    assert [after[name] for name in same] == [before[name] for name in same]


def test_an_older_server_is_not_asked_for_more_than_it_tells(vault, listeners):
    """Before Redis 7 a PSYNC with any arguments begins a transfer."""
    server = listeners(Ancient(rdb(b'')))
    vault.section('source app', plugin='redis', port=server.port)
    result = vault.ok('check', 'app')
    assert SAVES not in result.out and RESTORES in result.out and server.began == 0, result
    vault.ok('run', 'job')
    assert server.began == 1


def test_a_name_that_is_not_known(vault):
    vault.section('source app', plugin='redis', host='some-container.invalid')
    for words in ('check', 'app'), ('run', 'job'):
        says(vault.fails(FAILED, *words), "redis 'some-container.invalid:6379'", 'container = some-container.invalid, not host')


def test_a_socket_that_is_not_there_yet(vault):
    vault.section('source app', plugin='redis', socket=vault.base / 'later')
    says(vault.fails(FAILED, 'run', 'job'), 'later', 'does the server run, and is this its socket?')
