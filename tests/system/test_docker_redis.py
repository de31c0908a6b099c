"""A Redis server in a container, over a real Docker daemon: no port is published, and it connects back to us all the same."""
import re
import subprocess
from contextlib import closing

import pytest

from support.cli import BAD_CONFIG, CLEAN, FAILED, execute
from support.docker import docker, running_docker  # noqa: F401
from support.redis import Client, RedisError, assert_same, fill, state
from support.redis_world import emptied, in_place, vault  # noqa: F401
from support.wait import wait_until

KEYS = 300


class Contained:
    """The server of a container; from this machine it is reached by its address, which cofre is not told."""

    def __init__(self, docker, name='cache', image='redis70', *command: str, login: tuple = (), options: tuple = ()) -> None:
        self.docker, self.name, self.login = docker, name, login
        docker.redis(name, image, '--network=net', *options, command=command)

    def client(self) -> Client:
        return Client((self.docker.ip(self.name), 6379), *self.login)

    def role(self) -> str:
        with closing(self.client()) as client:
            return client.info()['role']


@pytest.fixture
def network(docker):  # noqa: F811
    docker.network('net')
    return docker


def configure(world, daemon, /, **options):
    world.section('source app', plugin='redis', **{'container': 'cache', 'docker': daemon.address} | options)


def facts(world):
    return dict(re.findall(r'^  fact      (.*?) = (.*)$', world.ok('show', 'job').out, re.M))


@pytest.mark.parametrize('image', [pytest.param('redis70', marks=pytest.mark.long), 'redis80'])
def test_a_living_server_back_and_forth(vault, network, image):
    """Nothing is published; the server follows us in its own network."""
    server = Contained(network, image=image)
    fill(server, KEYS)
    saved = state(server)
    configure(vault, network)
    vault.ok('run', 'job')
    emptied(server)
    fill(server, 60, seed=5, functions=1)
    with closing(server.client()) as client:
        before = client.info()['run_id']
    assert in_place(vault).status == 0
    assert_same(saved, state(server))
    with closing(server.client()) as client:
        info = client.info()
    assert info['run_id'] == before and info['role'] == 'master' and info['connected_slaves'] == '0'


def test_what_check_and_show_say(vault, network):
    Contained(network)
    configure(vault, network)
    result = vault.ok('check', 'app')
    digest = network.inspect('cache')['Image']
    assert f"container 'cache' runs, of image 'redis70' ({digest}): its network was entered" in result.text
    assert "redis in container 'cache', port 6379 answers" in result.text and 'unencrypted' not in result.text
    vault.ok('run', 'job')
    assert facts(vault)['container'] == 'cache' and facts(vault)['container.image'] == digest


def save(server) -> None:
    """The child that has served a replica may not have ended yet."""
    def done() -> bool:
        try:
            client('SAVE')
            return True
        except RedisError:
            return False
    with closing(server.client()) as client:
        wait_until(done, 'the server to save')


def test_made_anew_with_another_address(vault, network):
    """Its data is in a volume: it is the same server, whatever its process and address are."""
    mount = ('-v', 'data:/data')
    server = Contained(network, options=mount)
    fill(server, KEYS)
    configure(vault, network)
    vault.ok('run', 'job')
    saved, address = state(server), network.ip('cache')
    save(server)
    network('rm', '-f', 'cache')
    network.run('other', 'tiny', '--network=net')
    assert network.ip('other') == address
    server = Contained(network, options=mount)
    assert network.ip('cache') != address
    vault.ok('run', 'job')
    emptied(server)
    assert in_place(vault).status == 0
    assert_same(saved, state(server))


@pytest.mark.parametrize('sharing', ['none', 'container:other'])
def test_networks(vault, network, sharing):
    network.run('other', 'tiny', '--network=net')
    network.redis('cache', 'redis70', f'--network={sharing}')
    network.exec('cache', 'redis-cli', 'set', 'one', '1')
    configure(vault, network)
    vault.ok('run', 'job')
    network.exec('cache', 'redis-cli', 'flushall')
    assert in_place(vault).status == 0
    assert network.exec('cache', 'redis-cli', 'get', 'one') == '1'


@pytest.mark.parametrize('state_, word, hint', [('stop', 'exited', 'docker start cache'), ('pause', 'paused', 'docker unpause cache')])
def test_one_that_does_not_run(vault, network, state_, word, hint):
    Contained(network)
    network(state_, 'cache')
    configure(vault, network)
    for words in (('run', 'job'), ('check', 'app')):
        result = vault.fails(FAILED, *words)
        assert f"container 'cache' does not run: it is {word}" in result.text and hint in result.text, result


def test_one_that_is_starting_is_waited_for(vault, network):
    Contained(network)
    network('stop', 'cache')
    configure(vault, network, wait='60s')
    process = subprocess.Popen(vault.command('run', 'job'), env=CLEAN, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    said = ''
    while 'it is exited' not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    network('start', 'cache')
    said += process.communicate(timeout=90)[0]
    assert process.returncode == 0, said


def test_a_password(vault, network):
    server = Contained(network, 'cache', 'redis70', 'redis-server', '--requirepass', 'open-sesame', login=('open-sesame',))
    fill(server, 60)
    saved = state(server)
    configure(vault, network)
    assert 'the server wants a password' in vault.fails(12, 'run', 'job').err
    path = vault.base / 'secret'
    path.write_text('open-sesame')
    path.chmod(0o600)
    configure(vault, network, password=f'@file:{path}')
    vault.ok('run', 'job')
    emptied(server)
    assert in_place(vault).status == 0
    assert_same(saved, state(server))


def test_one_that_listens_elsewhere(vault, network):
    Contained(network)
    configure(vault, network, port=6380)
    result = vault.fails(FAILED, 'run', 'job')
    assert "redis in container 'cache', port 6380" in result.err and 'nothing in it listens there' in result.err, result


def test_a_restore_that_was_killed(vault, network):
    """What it left is put right by the next start, which finds the container anew."""
    server = Contained(network, 'cache', 'redis70', 'redis-server', '--protected-mode', 'no', '--rdb-key-save-delay', '10000')
    fill(server, KEYS)
    configure(vault, network)
    vault.ok('run', 'job')
    process = subprocess.Popen(vault.command('restore', 'job', 'app', '--in-place', '--yes'), env=CLEAN, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: server.role() == 'slave', 'the restore')
    process.kill()
    process.wait()
    if server.role() != 'master':
        vault('check', 'app')
    wait_until(lambda: server.role() == 'master', 'a primary')
    assert in_place(vault).status == 0


def test_by_an_address_in_a_common_network(vault, network):
    """Where the container's network cannot be entered; the server then reaches us at our own address in it."""
    server = Contained(network)
    fill(server, KEYS)
    saved = state(server)
    network.run('ours', 'tiny', '--network=net')
    configure(vault, network)
    pid = network.inspect('ours')['State']['Pid']

    def there(*words):
        return execute(['nsenter', '-t', pid, '-n', 'setpriv', '--bounding-set=-sys_admin', '--inh-caps=-sys_admin', *vault.command(*words)])

    result = there('check', 'app')
    assert result.status == 0 and f"it is at {network.ip('cache')} in network 'net'" in result.text, result
    assert there('run', 'job').status == 0
    emptied(server)
    result = there('restore', 'job', 'app', '--in-place', '--yes')
    assert result.status == 0, result
    assert_same(saved, state(server))


@pytest.mark.parametrize('other', [{'host': '127.0.0.1'}, {'socket': '/run/redis.sock'}])
def test_host_and_container(vault, network, other):
    configure(vault, network, **other)
    for words in (('run', 'job'), ('check', '--offline')):
        result = vault.fails({BAD_CONFIG, FAILED}, *words)
        assert f"options 'container' and '{next(iter(other))}' exclude each other" in result.text, result
