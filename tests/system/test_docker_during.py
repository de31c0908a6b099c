"""What becomes of containers while their volumes are read: paused or stopped, and afterwards exactly as they were."""
import signal
import subprocess
import threading
import time

import pytest

from support.cli import CLEAN, FAILED, INCOMPLETE
from support.docker import docker, running_docker  # noqa: F401
from support.docker_project import PASSWORD, TOKEN, Project, counted_files
from support.docker_proxy import DockerProxy, error
from support.wait import wait_until
from support.watchdog import kill_with_watchdog

from test_docker_volume import fill, shop  # noqa: F401


def records(world):
    """What is noted of halted containers."""
    return [p for p in (world.base / 'state').rglob('*') if p.is_file() and len(p.name) == 64]


class Watcher:
    """Which states containers were in, looked at all the time by the daemon's own word."""

    def __init__(self, docker):  # noqa: F811
        self.events = docker.busy('events', '--format', '{{.Actor.ID}} {{.Actor.Attributes.name}} {{.Action}}')
        self.docker = docker

    def __enter__(self):
        self.process = self.events.__enter__()
        self.lines = []
        self.thread = threading.Thread(target=self.read)
        self.thread.start()
        # The stream of events has begun when one of ours is in it.
        name = f'mark{time.monotonic_ns()}'
        while not any(name in line for line in list(self.lines)):
            self.docker('volume', 'create', name)
            self.docker('volume', 'rm', name)
            time.sleep(0.05)
        return self

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.decode().strip())

    def __exit__(self, *_):
        self.events.__exit__(*_)
        self.thread.join()

    def of(self, *actions):
        """'NAME ACTION' in order."""
        wait = len(self.lines)
        time.sleep(0.3)
        assert wait <= len(self.lines)
        return [f'{line.split()[1]} {line.split()[-1]}' for line in self.lines if line.split()[-1] in actions]


# ---- exactly as it was ----

def every_state(docker):  # noqa: F811
    """One container in each state, all of which may write to 'vol'."""
    docker.volume('vol')
    mount = ('-v', 'vol:/v')
    docker.run('running', 'tiny', *mount)
    docker.run('paused', 'tiny', *mount)
    docker('pause', 'paused')
    docker.run('exited', 'tiny', *mount)
    docker('stop', 'exited')
    docker.create('created', 'tiny', *mount)
    docker.run('removed', 'tiny', *mount, '--rm')
    docker.run('policy', 'tiny', *mount, '--restart=always')
    docker.run('reader', 'tiny', '-v', 'vol:/v:ro')
    docker.run('stranger', 'tiny', '-v', 'other:/v')
    docker.run('goes-on', 'tiny', *mount, '--label=cofre.during=run')


@pytest.mark.parametrize('during', ['pause', 'stop'])
def test_everything_is_as_it_was(shop, docker, during):  # noqa: F811
    every_state(docker)
    before = docker.starts()
    world = shop(volumes='vol', during=during)
    with Watcher(docker) as watcher:
        world.ok('run', 'job')
        deeds = watcher.of('pause', 'stop')
    after = docker.starts()
    assert {name: state for name, (state, _) in after.items()} == {name: state for name, (state, _) in before.items()}
    touched = {name for name in before if before[name] != after[name]}
    assert touched == ({'running', 'policy'} if during == 'stop' else set())
    assert set(deeds) == ({'running stop', 'policy stop', 'removed pause'} if during == 'stop'
                          else {f'{name} pause' for name in ('running', 'policy', 'removed')})
    assert not records(world)


def test_the_label_has_the_last_word(shop, docker):  # noqa: F811
    docker.volume('vol')
    for word in ('run', 'pause', 'stop', 'nonsense'):
        docker.run(f'says-{word}', 'tiny', '-v', 'vol:/v', f'--label=cofre.during={word}')
    with Watcher(docker) as watcher:
        result = shop(volumes='vol').ok('run', 'job')
        deeds = watcher.of('pause', 'stop', 'start', 'unpause')
    assert sorted(deeds) == ['says-pause pause', 'says-pause unpause', 'says-stop start', 'says-stop stop']
    assert "'says-nonsense'" in result.text
    assert set(docker.states().values()) == {'running'}


def test_one_that_mounts_a_directory_in_a_volume(shop, docker):  # noqa: F811
    """As a directory of the machine, past the name of the volume."""
    (docker.volume('vol') / 'inner').mkdir()
    docker.volume('vol2')
    docker.run('inside', 'tiny', '-v', f'{docker.files("vol")}/inner:/v')
    docker.run('reads', 'tiny', '-v', f'{docker.files("vol")}:/v:ro')
    docker.run('neighbour', 'tiny', '-v', f'{docker.files("vol2")}:/v')
    with Watcher(docker) as watcher:
        shop(volumes='vol', during='pause').ok('run', 'job')
        deeds = watcher.of('pause')
    assert deeds == ['inside pause']


def test_dependencies_are_halted_last_and_put_back_first(shop, docker, tmp_path):  # noqa: F811
    project = Project(docker, tmp_path)
    docker.network('shop_default')
    for name in ('data', 'uploads', 'dbdata'):
        docker.volume(project.volume(name), '--label=com.docker.compose.project=shop')
    for service in ('db', 'app', 'worker', 'web'):
        project.start(service)
    world = shop(project='shop', during='stop')
    with Watcher(docker) as watcher:
        world.ok('run', 'job')
        deeds = watcher.of('stop', 'start')
    names = {service: project.container(service) for service in ('db', 'app', 'worker', 'web')}
    stops = [line.split()[0] for line in deeds if line.endswith(' stop')]
    starts = [line.split()[0] for line in deeds if line.endswith(' start')]
    assert stops == [names['worker'], names['app'], names['db']]
    assert starts == stops[::-1]


def test_one_that_waits_for_health_is_started_when_it_is_there(shop, docker):  # noqa: F811
    docker.volume('vol')
    compose = ('--label=com.docker.compose.project=shop',)
    docker.run('db', 'tiny', '-v', 'vol:/v', *compose, '--label=com.docker.compose.service=db', '--health-cmd=test -e /tmp/well',
               '--health-interval=0.3s', '--entrypoint=sh',
               command=('-c', 'rm -f /tmp/well; (sleep 1; touch /tmp/well)& trap "exit 0" TERM; while :; do sleep 0.1; done'))
    docker.run('app', 'tiny', '-v', 'vol:/v', *compose, '--label=com.docker.compose.service=app',
               '--label=com.docker.compose.depends_on=db:service_healthy:false')
    wait_until(lambda: docker.inspect('db')['State']['Health']['Status'] == 'healthy', 'db is healthy')
    world = shop(volumes='vol', during='stop')
    with Watcher(docker) as watcher:
        world.ok('run', 'job')
        deeds = watcher.of('start', 'healthy')
    assert deeds == ['db start', 'app start'] or deeds == ['db start', 'db healthy', 'app start'], deeds
    assert docker.inspect('db')['State']['Health']['Status'] == 'healthy'
    started = docker.inspect('app')['State']['StartedAt']
    well = [one for one in docker.inspect('db')['State']['Health']['Log'] if one['ExitCode'] == 0]
    assert well and started > docker.inspect('db')['State']['StartedAt']


def test_one_that_does_not_become_healthy_is_named(world, docker):  # noqa: F811
    docker.volume('vol')
    docker.run('db', 'tiny', '-v', 'vol:/v', '--health-cmd=test -e /v/well', '--health-interval=0.3s', '--health-retries=1')
    (docker.files('vol') / 'well').write_text('')
    wait_until(lambda: docker.inspect('db')['State']['Health']['Status'] == 'healthy', 'db is healthy')
    with DockerProxy(docker.socket) as proxy:
        def spoil(exchange):
            (docker.files('vol') / 'well').unlink()
            exchange.pass_on()

        proxy.fault('GET', '/volumes/vol', spoil, times=1)
        world.section('source shop', plugin='docker-volume', docker=proxy.address, volumes='vol', during='stop', health_wait='2s')
        world.sink()
        world.job(sources='shop')
        world.ok('init', 'disk')
        result = world('run', 'job')
    assert result.status != 0 and "container 'db' runs again, and is not healthy" in result.text, result
    assert docker.state('db') == 'running' and not records(world)


def test_one_that_restarts_over_and_over(shop, docker):  # noqa: F811
    """It is stopped even between two starts, and goes on as before."""
    docker.volume('vol')
    docker.run('loop', 'tiny', '-v', 'vol:/v', '--restart=always', '--entrypoint=sh', command=('-c', 'echo x >>/v/starts; exit 1'))
    docker.wait_for('loop', 'restarting')
    starts = docker.files('vol') / 'starts'
    world = shop(volumes='vol', during='stop')
    said = []
    # It may run for the moment in which it is to be paused, and then it can be.
    for during in ('stop', *['pause'] * 5):
        world = shop(volumes='vol', during=during)
        said.append("'loop' is stopped and not paused: it waits to be restarted" in world.ok('run', 'job').err)
        count = len(starts.read_text())
        wait_until(lambda count=count: len(starts.read_text()) > count + 2, 'it restarts again')
        if said[-1]:
            break
    assert said[-1] and not said[0], said
    assert not records(world)


def test_never_the_one_that_cofre_runs_in(shop, docker):  # noqa: F811
    """Which has its id for a host name."""
    docker.volume('vol')
    own = docker.run('own', 'tiny', '-v', 'vol:/v')
    docker.run('other', 'tiny', '-v', 'vol:/v')
    world = shop(volumes='vol', during='pause')
    with Watcher(docker) as watcher:
        result = world.ok('run', 'job', prefix=('unshare', '--uts', 'sh', '-c', f'hostname {own[:12]}; exec "$@"', 'sh'))
        deeds = watcher.of('pause')
    assert deeds == ['other pause'] and "'own' is the one that cofre runs in" in result.text, result


# ---- what others do meanwhile ----

@pytest.mark.parametrize('during', ['pause', 'stop'])
def test_somebody_starts_a_container_meanwhile(world, docker, during):  # noqa: F811
    for name in ('vol', 'wol'):
        fill(docker, name)
    docker.run('con', 'tiny', '-v', 'vol:/v')
    docker.run('don', 'tiny', '-v', 'wol:/v')
    with DockerProxy(docker.socket) as proxy:
        def start(exchange):
            docker('unpause' if during == 'pause' else 'start', 'con')
            exchange.pass_on()

        proxy.fault('GET', '/volumes/vol', start, times=1)
        world.section('source shop', plugin='docker-volume', docker=proxy.address, volumes='*', during=during)
        world.sink()
        world.job(sources='shop')
        world.ok('init', 'disk')
        result = world.fails(INCOMPLETE, 'run', 'job')
    assert "'vol': container 'con'" in result.text and "'wol': " not in result.text, result
    assert docker.states() == {'con': 'running', 'don': 'running'} and not records(world)


def test_somebody_removes_a_container_meanwhile(world, docker):  # noqa: F811
    fill(docker, 'vol')
    docker.run('con', 'tiny', '-v', 'vol:/v')
    docker.run('don', 'tiny', '-v', 'vol:/v')
    with DockerProxy(docker.socket) as proxy:
        def remove(exchange):
            docker('rm', '-f', 'con')
            exchange.pass_on()

        proxy.fault('GET', '/volumes/vol', remove, times=1)
        world.section('source shop', plugin='docker-volume', docker=proxy.address, volumes='*', during='stop')
        world.sink()
        world.job(sources='shop')
        world.ok('init', 'disk')
        result = world('run', 'job')
    assert "container 'con' was removed meanwhile" in result.text, result
    assert docker.states() == {'don': 'running'} and not records(world)


def test_one_that_cannot_be_stopped(world, docker):  # noqa: F811
    """The source fails as a whole, and all that was stopped runs again."""
    fill(docker, 'vol')
    for name in ('aa', 'bb', 'cc'):
        docker.run(name, 'tiny', '-v', 'vol:/v')
    with DockerProxy(docker.socket) as proxy:
        one = docker.inspect('aa')['Id']
        proxy.fault('POST', f'/{one}/stop', error(500, 'it will not'))
        world.section('source shop', plugin='docker-volume', docker=proxy.address, volumes='*', during='stop')
        world.sink()
        world.job(sources='shop')
        world.ok('init', 'disk')
        result = world.fails(FAILED, 'run', 'job')
    assert 'it will not' in result.text, result
    assert set(docker.states().values()) == {'running'} and not records(world)


def test_one_that_does_not_start_again(world, docker):  # noqa: F811
    """The others do. It is tried again by the next run."""
    fill(docker, 'vol')
    for name in ('aa', 'bb', 'cc'):
        docker.run(name, 'tiny', '-v', 'vol:/v')
    with DockerProxy(docker.socket) as proxy:
        proxy.fault('POST', f'/{docker.inspect("bb")["Id"]}/start', error(500, 'it will not'))
        world.section('source shop', plugin='docker-volume', docker=proxy.address, volumes='*', during='stop')
        world.sink()
        world.job(sources='shop')
        world.ok('init', 'disk')
        result = world('run', 'job')
        assert result.status != 0 and 'it will not' in result.text, result
        assert docker.states() == {'aa': 'running', 'bb': 'exited', 'cc': 'running'}
        proxy.well()
        world('run', 'job')
    assert set(docker.states().values()) == {'running'} and not records(world)


# ---- two at once ----

def test_two_sources_of_a_job(world, docker):  # noqa: F811
    for name in ('vol', 'wol'):
        fill(docker, name)
    docker.run('con', 'tiny', '-v', 'vol:/v', '-v', 'wol:/w')
    for name in ('vol', 'wol'):
        world.section(f'source {name}', plugin='docker-volume', docker=docker.address, volumes=name, during='stop')
    world.sink()
    world.job(sources='vol, wol')
    world.ok('init', 'disk')
    with Watcher(docker) as watcher:
        world.ok('run', 'job')
        deeds = watcher.of('stop', 'start')
    assert deeds == ['con stop', 'con start'] and not records(world)


# ---- killed ----

def held(world, docker, *states):  # noqa: F811
    """A run that is in the middle of reading, its containers halted."""
    process = subprocess.Popen(world.command('run', 'job'), env=CLEAN, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, start_new_session=True)
    return process


@pytest.mark.parametrize('during, state, watched', [('pause', 'paused', True), pytest.param('pause', 'paused', False, marks=pytest.mark.long),
                                                    pytest.param('stop', 'exited', True, marks=pytest.mark.long), ('stop', 'exited', False)])
def test_killed(world, docker, during, state, watched):  # noqa: F811
    """By its watchdog within seconds; without it, by the next start."""
    fill(docker, 'vol')
    docker.run('con', 'tiny', '-v', 'vol:/v')
    with DockerProxy(docker.socket) as proxy:
        reached = threading.Event()

        def stay(exchange):
            reached.set()
            exchange.wait_until_left()

        proxy.fault('GET', '/volumes/vol', stay, times=1)
        world.section('source shop', plugin='docker-volume', docker=proxy.address, volumes='*', during=during)
        world.sink()
        world.job(sources='shop')
        world.ok('init', 'disk')
        process = held(world, docker)
        assert reached.wait(60) and docker.state('con') == state
        if watched:
            process.kill()
            process.wait()
            docker.wait_for('con', 'running', 5)
        else:
            kill_with_watchdog(process)
            time.sleep(1)
            assert docker.state('con') == state
            world('list', 'job')
            world('run', 'job')
        docker.wait_for('con', 'running', 5)
        wait_until(lambda: not records(world), 'records', 5)


STUBBORN = ('-c', 'trap "sleep 2; exit 0" TERM; while :; do sleep 0.1; done')


@pytest.mark.parametrize('number', [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_ended_while_a_container_is_being_stopped(world, docker, number):  # noqa: F811
    """The daemon goes on with it: what runs when cofre looks is stopped a moment later."""
    fill(docker, 'vol')
    docker.run('slow', 'tiny', '-v', 'vol:/v', '--entrypoint=sh', command=STUBBORN)
    started = docker.starts()['slow']
    with DockerProxy(docker.socket) as proxy:
        world.section('source shop', plugin='docker-volume', docker=proxy.address, volumes='*', during='stop')
        world.sink()
        world.job(sources='shop')
        world.ok('init', 'disk')
        process = held(world, docker)
        wait_until(lambda: proxy.requests('POST', '/stop'), 'it is being stopped')
        time.sleep(0.5)
        process.send_signal(number)
        process.wait()
        wait_until(lambda: not records(world), 'what was halted is put back', 20)
        time.sleep(3)  # longer than the container takes to stop
    assert docker.state('slow') == 'running' and docker.starts()['slow'] != started


# ---- consistent ----

@pytest.mark.long
@pytest.mark.parametrize('during', ['pause', 'stop'])
def test_two_volumes_are_of_one_moment(shop, docker, tmp_path, during):  # noqa: F811
    project = Project(docker, tmp_path).up()
    world = shop(project='shop', exclude='shop_dbdata', during=during)
    for number in range(2):
        result = world.ok('run', 'job')
        restored = world.restored('job', f'restored{number}') / 'shop'
        data, uploads = (counted_files(restored / project.volume(name)) for name in ('data', 'uploads'))
        assert data >= uploads >= data - 1
        project.works()
    assert PASSWORD not in result.text and TOKEN not in result.text


def test_a_database_recovers_from_the_moment_of_a_pause(shop, docker):  # noqa: F811
    """What was confirmed before is there, and nothing of it is torn."""
    docker.postgres('db', 'pg15', volume='pgdata')
    docker.sql('db', 'CREATE TABLE steps (n int, filler text)')
    endless = 'DO $$ BEGIN FOR i IN 1..1000000 LOOP INSERT INTO steps VALUES (i, repeat(i::text, 50)); COMMIT; END LOOP; END $$'
    world = shop(volumes='pgdata', during='pause')
    with docker.busy('exec', 'db', 'psql', '-U', 'postgres', '-c', endless):
        wait_until(lambda: int(docker.sql('db', 'SELECT count(*) FROM steps')[0]) > 100, 'rows')
        before = int(docker.sql('db', 'SELECT count(*) FROM steps')[0])
        world.ok('run', 'job')
        after = int(docker.sql('db', 'SELECT count(*) FROM steps')[0])
    world.restored('job', 'restored', '--set', 'numeric_owner=yes')
    place = docker.volume('again')
    subprocess.run(['cp', '-a', f'{world.base}/restored/shop/pgdata/.', place], check=True)
    (place / 'postmaster.pid').unlink()
    docker.postgres('second', 'pg15', volume='again')
    found = [int(n) for n in docker.sql('second', 'SELECT n FROM steps ORDER BY n')]
    assert found == list(range(1, len(found) + 1)) and before <= len(found) <= after
