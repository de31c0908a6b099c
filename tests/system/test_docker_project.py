"""A compose project of five containers, saved while its application writes to two volumes and a database: what comes back is of
one moment, and every container is exactly as it was, whatever is killed."""
import json
import os
import re
import signal
import subprocess
import time

import pytest

from support.cli import CLEAN
from support.docker import docker, running_docker, soon  # noqa: F401
from support.docker_project import DEPENDS, PASSWORD, TOKEN, WRITERS, Count, Project, counted, counted_files
from support.docker_proxy import DockerProxy, after
from support.faults import sample
from support.wait import wait_until

POINTS, SHORT = 150, 4


@pytest.fixture(scope='module')
def project(running_docker, tmp_path_factory):  # noqa: F811
    """Its application writes all the time."""
    return Project(running_docker, tmp_path_factory.mktemp('project')).up()


def configure(world, project, during: str, database: bool = True, docker: str = '') -> None:  # noqa: F811
    docker = docker or project.docker.address
    world.section('source volumes', plugin='docker-volume', project=project.name, exclude='*_dbdata', docker=docker, during=during)
    if database:
        world.section('source db', plugin='postgres', container=f'{project.name}/db', docker=docker, user='postgres', database='postgres')
    world.sink()
    world.job(sources='volumes, db' if database else 'volumes')
    world.ok('init', 'disk')


def rows_of(project, dump: bytes) -> int:
    done = project.docker.run_in(project.container('db'), 'pg_restore', '-a', '-t', 'steps', '-f', '-', text=dump)
    assert done.returncode == 0, done.stderr
    text = re.search(rb'(?s)COPY public\.steps [^\n]*;\n(.*?)\\\.\n', done.stdout)[1].decode()
    return counted('\n'.join(sorted(text.split(), key=int)))


def saved(world, project) -> Count:
    """How far the application was in the last snapshot."""
    into = world.restored(name=f'restored-{time.monotonic_ns()}')
    data, uploads = (counted_files(into / 'volumes' / project.volume(name)) for name in ('data', 'uploads'))
    return Count(data, uploads, rows_of(project, (into / 'db' / 'postgres.dump').read_bytes()))


def actions(project, since: float) -> dict[str, list[str]]:
    """What the daemon did with each container of the project since then."""
    told = project.docker('events', '--since', f'{since:.6f}', '--until', f'{time.time():.6f}', '--filter', 'type=container',
                          '--format', '{{.Actor.Attributes.name}} {{.Action}}')
    found: dict[str, list[str]] = {}
    for name, action in (line.split()[:2] for line in told.splitlines()):
        if action in ('pause', 'unpause', 'stop', 'start', 'kill', 'restart'):
            found.setdefault(name, []).append(action)
    return found


# ---- run ----

@pytest.mark.parametrize('during, once', [('pause', ['pause', 'unpause']), ('stop', ['kill', 'stop', 'start'])])
def test_a_snapshot_is_of_one_moment(world, project, during, once):
    configure(world, project, during)
    before, since = project.docker.states(), time.time()
    world.ok('run', 'job')
    assert project.docker.states() == before
    # Whoever writes to what is saved, once, and nobody else.
    assert actions(project, since) == {project.container(service): once for service in WRITERS}
    count = saved(world, project)
    assert count.of_one_moment() and count.data > 3, count
    project.works()


def test_without_a_pause_it_would_not_be(world, project):
    """Else the test above proves nothing: the application goes on between the sources, and that is seen."""
    with DockerProxy(project.docker.socket) as proxy:
        configure(world, project, 'run', docker=proxy.address)
        world.job(sources='db, volumes')
        proxy.fault('POST', r'^/containers/[^/]+/exec', after(project.works))  # pg_dump, when its snapshot was taken
        world.ok('run', 'job')
        proxy.well()
        count = saved(world, project)
    assert not count.of_one_moment() and count.data > count.rows, count


def test_users_are_stopped_before_what_they_use_and_started_after(world, project):
    configure(world, project, 'stop', database=False)
    since = time.time()
    world.ok('run', 'job')
    told = project.docker('events', '--since', f'{since:.6f}', '--until', f'{time.time():.6f}', '--filter', 'event=stop', '--filter',
                          'event=start', '--format', '{{.Action}} {{index .Actor.Attributes "com.docker.compose.service"}}').splitlines()
    assert told == ['stop worker', 'stop app', 'start app', 'start worker']
    project.works()


@pytest.mark.parametrize('during', ['pause', pytest.param('stop', marks=pytest.mark.long)])
def test_each_stays_in_the_state_that_it_had(world, project, during):
    configure(world, project, during, database=False)
    worker, app = project.container('worker'), project.container('app')
    project.docker('pause', worker)
    project.docker('stop', app)
    try:
        before = project.docker.starts()
        world.ok('run', 'job')
        assert project.docker.starts() == before
    finally:
        project.docker('unpause', worker)
        project.docker('start', app)
    project.works()


# ---- restore ----

@pytest.mark.parametrize('during', ['pause', pytest.param('stop', marks=pytest.mark.long)])
def test_restored_it_works_on_from_one_moment(world, running_docker, tmp_path, during):  # noqa: F811
    """In place, while it writes; then the application finds the three of one moment, and counts on."""
    project = Project(running_docker, tmp_path, f'back{during}').up()
    configure(world, project, during)
    world.ok('run', 'job')
    count = saved(world, project)
    project.wait_for(count.data + 5)
    before = running_docker.states()
    app = project.container('app')
    running_docker('stop', app)
    world.ok('restore', 'job', '--in-place', '--yes', timeout=300)
    assert project.now() == count
    assert running_docker.states() == before | {app: 'exited'}
    running_docker('start', app)
    project.works()
    assert project.at_rest().of_one_moment()


@pytest.mark.long
def test_services_are_stopped_around_a_restore(world, running_docker, tmp_path):  # noqa: F811
    """One command, while the application writes; kept stopped for a look, its three are exactly what was saved."""
    project = Project(running_docker, tmp_path, 'whole').up()
    configure(world, project, 'pause')
    world.job(sources='volumes, db', restore_stop=f'compose:{project.name} except db')
    world.ok('run', 'job')
    count, before = saved(world, project), running_docker.states()
    project.wait_for(count.data + 5)
    world.ok('restore', 'job', '--in-place', '--yes', '--keep-stopped', timeout=300)
    assert project.now() == count
    assert running_docker.states() == before | {project.container(service): 'exited' for service in DEPENDS if service != 'db'}
    for service in ('cache', 'app', 'worker', 'web'):
        running_docker('start', project.container(service))
    project.works()
    world.ok('restore', 'job', '--in-place', '--yes', timeout=300)
    assert running_docker.states() == before
    project.works()
    assert project.at_rest().of_one_moment()


# ---- kills ----

class Sweep:
    def __init__(self, world, project, faults) -> None:
        self.world, self.project, self.faults, self.docker = world, project, faults, project.docker
        configure(world, project, 'stop', database=False)
        self.states, self.everything = self.docker.states(), self.docker.everything()
        self.soon = soon(self.docker, *(project.container(service) for service in WRITERS))

    def killed(self, number: int):
        return self.world('run', 'job', prefix=self.faults.killat(number, watchdog=True), timeout=300)

    def points(self, wanted: int) -> list[int]:
        result = self.killed(0)
        assert result.status == 0, result
        return sample(self.faults.count(), wanted)

    def point(self, number: int) -> None:
        starts = self.docker.starts()
        result = self.killed(number)
        assert result.status in (0, 137), result
        killed = time.monotonic()
        wait_until(lambda: self.docker.states() == self.states, f'point {number}: {self.docker.states()}', 60)
        seconds = time.monotonic() - killed
        touched = {name for name, start in self.docker.starts().items() if start != starts[name]}
        assert touched <= {self.project.container(service) for service in WRITERS}
        assert self.docker.everything() == self.everything
        assert seconds < self.soon, f'{seconds:.1f} s'
        wait_until(lambda: not list((self.world.base / 'state' / 'holds').glob('*')), f'point {number}: a hold is left')

    def all(self, wanted: int) -> None:
        """All points, also after one went wrong."""
        points, failures = self.points(wanted), []
        for number in points:
            try:
                self.point(number)
            except AssertionError as error:
                failures.append(f'point {number}: {error}')
                for service in DEPENDS:
                    self.docker('start', self.project.container(service))
        print(f'{len(points)} points, {len(failures)} failed; each within {self.soon:.1f} s')
        assert not failures, f'{len(failures)} of {len(points)} points failed\n' + '\n'.join(failures[:5])
        self.project.works()
        result = self.world.ok('run', 'job')
        assert 'undo' not in result.err, result


@pytest.mark.parametrize('wanted', [SHORT, pytest.param(POINTS, marks=pytest.mark.long)])
def test_killed_anywhere_the_watchdog_puts_all_back(world, project, faults, wanted):
    Sweep(world, project, faults).all(wanted)


def test_killed_with_its_watchdog_the_next_start_puts_all_back(world, project, faults):
    configure(world, project, 'stop', database=False)
    states = project.docker.states()
    process = subprocess.Popen(world.command('run', 'job'), env=CLEAN, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, start_new_session=True)
    wait_until(lambda: project.docker.state(project.container('app')) == 'exited', 'the application stops')
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as file:
                ours = os.fsencode(world.conf) in file.read()
            if ours or os.getsid(int(pid)) == process.pid:
                os.kill(int(pid), signal.SIGKILL)
        except OSError:
            continue
    process.wait()
    assert project.docker.states() != states, 'nobody was there to start them'
    world('check')
    assert project.docker.states() == states
    project.works()


# ---- secrets ----

def everything_written(*places) -> bytes:
    return b''.join(path.read_bytes() for place in places for path in sorted(place.rglob('*')) if path.is_file() and not path.is_symlink())


def test_secrets_of_the_environment_are_nowhere_in_clear(world, project, tmp_path):
    """Not in a log, an answer in JSON, a file of the state, the cache or the repository; and they are in the snapshot all the same."""
    log = tmp_path / 'run.log'
    world.section('engine', state_dir=tmp_path / 'state', cache_dir=tmp_path / 'cache', host='testhost', log=f'file:{log}')
    configure(world, project, 'pause')
    texts = [world.ok(*words).text for words in (
        ('-v', 'run', 'job'), ('--json', '-v', 'run', 'job'), ('--json', '-v', 'check'), ('-v', 'check'), ('--json', 'show', 'job'),
        ('-v', 'show', 'job'), ('--json', 'list'), ('--json', 'ls', 'job'), ('-v', 'verify', 'job'))]
    written = everything_written(tmp_path / 'state', tmp_path / 'cache', world.repository) + log.read_bytes()
    for secret in (PASSWORD, TOKEN):
        for text in texts:
            assert secret not in text
        assert secret.encode() not in written
    into = world.restored()
    described = (into / 'volumes' / '.docker' / 'containers' / f'{project.container("app")}.json').read_text()
    assert f'TOKEN={TOKEN}' in json.loads(described)['Config']['Env']
    compose = into / 'volumes' / '.docker' / 'projects' / project.name / 'compose.yaml'
    assert compose.read_bytes() == project.file.read_bytes()
