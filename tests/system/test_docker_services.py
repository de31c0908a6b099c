"""What restore_stop stops around a restore, in the words of docker-volume: in order, put back in order, whatever comes of it."""
import re
import signal
import subprocess
import time

import pytest

from support.cli import BAD_CONFIG, CLEAN, DONE, FAILED
from support.docker import docker, running_docker, soon  # noqa: F401
from support.tree import plain_tree
from support.wait import wait_until
from support.watchdog import kill_with_watchdog

DEPENDS = {'db': '', 'app': 'db:service_healthy:false', 'worker': 'app:service_started:false'}
HEALTHY = ('--health-cmd', 'test -e /tmp/healthy', '--health-interval', '200ms', '--health-retries', '1000')
BECOMES = 'trap "exit 0" TERM; rm -f /tmp/healthy; sleep 1; touch /tmp/healthy; while :; do sleep 0.1; done'


def start(docker, service: str, *options: str, project: str = 'shop', command: tuple = ()) -> None:  # noqa: F811
    docker.run(f'{project}-{service}-1', 'tiny', '--label', f'com.docker.compose.project={project}', '--label',
               f'com.docker.compose.service={service}', '--label', f'com.docker.compose.depends_on={DEPENDS.get(service, "")}', *options,
               command=command)


@pytest.fixture
def shop(world, docker, tmp_path):  # noqa: F811
    """Three services of a project, one of another, and a job that saves a directory and a volume that nobody uses."""
    start(docker, 'db', *HEALTHY, command=('sh', '-c', BECOMES))
    start(docker, 'app')
    start(docker, 'worker')
    start(docker, 'web', project='other')
    world.section('source vols', plugin='docker-volume', volumes='data', docker=docker.address, stop_timeout='2s', health_wait='20s')
    world.source('tree', plain_tree(tmp_path / 'tree'))
    plain_tree(docker.volume('data') / 'tree')
    world.sink()
    stops(world, 'compose:shop except db')
    world.ok('init', 'disk')
    world.ok('run', 'job')
    wait_until(lambda: docker.inspect('shop-db-1')['State']['Health']['Status'] == 'healthy', 'db')
    return world


def stops(world, text: str) -> None:
    world.job(sources='tree, vols', restore_stop=text)


def restored(world, *words: str, **options):
    return world('restore', 'job', '--in-place', '--yes', *words, **options)


def events(docker, since: float) -> list[str]:  # noqa: F811
    told = docker('events', '--since', f'{since:.6f}', '--until', f'{time.time():.6f}', '--filter', 'type=container',
                  '--filter', 'event=stop', '--filter', 'event=start', '--format', '{{.Action}} {{.Actor.Attributes.name}}')
    return re.sub(r'shop-(\w+)-1', r'\1', told).splitlines()


def test_in_order_and_back_in_order(shop, docker):  # noqa: F811
    since = time.time()
    states = docker.states()
    result = restored(shop)
    assert result.status == DONE, result
    assert events(docker, since) == ['stop worker', 'stop app', 'start app', 'start worker']
    assert docker.states() == states
    assert 'stopped for the restore: ' in result.text and 'shop-app-1' in result.text


def test_what_is_excepted_is_started_and_waited_for(shop, docker):  # noqa: F811
    docker('stop', '-t', '1', 'shop-db-1')
    since = time.time()
    result = restored(shop)
    assert result.status == DONE and "'shop-db-1' is started" in result.text, result
    assert events(docker, since) == ['stop worker', 'stop app', 'start db', 'start app', 'start worker']
    assert docker.inspect('shop-db-1')['State']['Health']['Status'] == 'healthy'


def test_what_is_excepted_and_does_not_get_healthy_ends_it(shop, docker):  # noqa: F811
    shop.section('source vols', plugin='docker-volume', volumes='data', docker=docker.address, health_wait='500ms')
    docker('stop', '-t', '1', 'shop-db-1')
    states = docker.states() | {'shop-db-1': 'running'}
    result = restored(shop)
    assert result.status == FAILED and 'not healthy after' in result.text and 'docker logs' in result.text, result
    assert docker.states() == states
    assert [name for name in docker('volume', 'ls', '-q').splitlines()] == ['data']


def test_the_whole_project_waits_for_health(shop, docker):  # noqa: F811
    stops(shop, 'compose:shop')
    since = time.time()
    assert restored(shop).status == DONE
    assert events(docker, since) == ['stop worker', 'stop app', 'stop db', 'start db', 'start app', 'start worker']
    assert docker.inspect('shop-db-1')['State']['Health']['Status'] == 'healthy'


def test_what_does_not_run_stays_so(shop, docker):  # noqa: F811
    docker('stop', '-t', '1', 'shop-worker-1')
    docker('pause', 'shop-app-1')
    starts = docker.starts()
    assert restored(shop).status == DONE
    assert docker.starts() == starts


def test_containers_by_name(shop, docker):  # noqa: F811
    stops(shop, 'containers: other-web-1 , shop/worker')
    since = time.time()
    assert restored(shop).status == DONE
    assert sorted(events(docker, since)) == ['start other-web-1', 'start worker', 'stop other-web-1', 'stop worker']


def test_kept_stopped(shop, docker):  # noqa: F811
    result = restored(shop, '--keep-stopped')
    assert result.status == DONE and 'docker start shop-app-1' in result.text, result
    assert docker.states() == {'shop-db-1': 'running', 'shop-app-1': 'exited', 'shop-worker-1': 'exited', 'other-web-1': 'running'}
    shop('check')
    assert docker.state('shop-app-1') == 'exited'


def test_words_that_are_wrong(shop, docker):  # noqa: F811
    starts = docker.starts()
    for text, said in (('compose:', 'names no project'), ('compose:shop but db', "may come 'except'"),
                       ('compose:shop except', 'a name is empty'), ('compose:shop except db app', 'a comma is missing'),
                       ('shop', "neither with 'compose:'"), ('containers:', 'a name is empty'), ('containers: a,,b', 'a name is empty'),
                       ('compose:shop exceptdb', "may come 'except'")):
        stops(shop, text)
        result = restored(shop)
        assert result.status == BAD_CONFIG and said in result.text and 'such as: compose:shop' in result.text, f'{text}: {result}'
        assert docker.starts() == starts, text


def test_names_that_nothing_has(shop, docker):  # noqa: F811
    starts = docker.starts()
    for text, said in (('compose:shp', 'there are: '), ('compose:shop except postgres', 'it has: '), ('containers: nobody', 'nobody')):
        stops(shop, text)
        result = restored(shop)
        assert result.status == FAILED and said in result.text, f'{text}: {result}'
        assert docker.starts() == starts, text


def test_a_restore_that_fails_starts_them_again(shop, docker):  # noqa: F811
    states = docker.states()
    for pack in shop.objects('packs'):
        shop.repository.joinpath(pack).unlink()
    since = time.time()
    result = restored(shop)
    assert result.status != DONE, result
    assert docker.states() == states
    assert events(docker, since) in ([], ['stop worker', 'stop app', 'start app', 'start worker'])


def test_killed_it_is_put_back_by_the_watchdog(shop, docker):  # noqa: F811
    states, limit = docker.states(), soon(docker, '--time=2', 'shop-app-1', 'shop-worker-1')
    process = subprocess.Popen(shop.command('restore', 'job', '--in-place', '--yes'), env=CLEAN, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: docker.state('shop-app-1') == 'exited', 'the application stops')
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_until(lambda: docker.states() == states, 'all run again', limit)


def test_killed_with_its_watchdog_the_next_start_puts_it_back(shop, docker):  # noqa: F811
    states = docker.states()
    process = subprocess.Popen(shop.command('restore', 'job', '--in-place', '--yes'), env=CLEAN, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: docker.state('shop-app-1') == 'exited', 'the application stops')
    kill_with_watchdog(process)
    shop('check')
    assert docker.states() == states
