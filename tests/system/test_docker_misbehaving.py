"""A Docker daemon that misbehaves, one fault at a time. Each ends in time, with a named error and the status that belongs to it;
what is said to be saved is saved; every container is as it was, and nothing of cofre's stays in the daemon."""
import io
import os
import tarfile

import pytest

from support.cli import DONE, FAILED, INCOMPLETE, WRONG_KEY
from support.docker import docker, running_docker  # noqa: F401
from support.docker_proxy import (ALWAYS, DockerProxy, altered, chunk_error, cut, cut_head, done_but, drip, endless, endless_head, error,
                                  garbage, gone, hang_up, late, said, silence, stuck, twisted)
from support.oracle import compare_trees, tree_state
from support.tree import plain_tree

HANGS = '6s'     # a call to the plugin may take, where the daemon is silent; that of a stop must fit in it
LIMIT = 120      # s for a command
SECRET = 'environment-secret-3f9b'

VERSION, VOLUMES, VOLUME = r'^/(_ping|version|info)', r'^/volumes(\?|$)', r'^/volumes/'
LIST, INSPECT = r'^/containers/json', r'^/containers/[^/]+/json'
STOP, START, PAUSE, UNPAUSE = (rf'^/containers/[^/]+/{verb}(\?|$)' for verb in ('stop', 'start', 'pause', 'unpause'))
MAKE = r'^/volumes/create'
ARCHIVE, CREATE, IMAGE, REMOVE = r'^/containers/[^/]+/archive', r'^/containers/create', r'^/images/create', r'^/(containers|images)/[^/?]+(\?|$)'
WEB_PAGE = said('<html><body>Welcome to nginx</body></html>', Content_Type='text/html')


# ---- changes of answers ----

def each(change):
    """A change of every element of a list, also of that in a list of volumes; of one that is no list, of that."""
    def act(answer):
        for one in answer if isinstance(answer, list) else answer['Volumes'] if 'Volumes' in answer else [answer]:
            change(one)
    return altered(act)


def with_(*path, value):
    """A member set to something, by its path."""
    def act(answer):
        for name in path[:-1]:
            answer = answer[name]
        answer[path[-1]] = value
    return act


def without(name):
    return lambda one: one.pop(name, None) and None


def volumes(change):
    return altered(lambda answer: {**answer, 'Volumes': change(answer['Volumes'])})


def named(name, change):
    """Of the one volume, or container, of that name."""
    def act(one):
        if one.get('Name', '').lstrip('/') == name:
            change(one)
    return act


def hostile_tar(*entries: tuple) -> bytes:
    """(name, content) is a file; (name, None, TYPE, link) something else."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=tarfile.PAX_FORMAT) as tar:
        for name, content, *more in entries:
            info = tarfile.TarInfo(name)
            info.mtime = 1_400_000_000
            if more:
                info.type, info.linkname = more[0], more[1] if len(more) > 1 else ''
            info.size = len(content or b'')
            tar.addfile(info, io.BytesIO(content or b''))
    return out.getvalue()


def tar_of(*entries: tuple):
    return twisted(lambda _: hostile_tar(*entries), Content_Type='application/x-tar')


# ---- the scene ----

@pytest.fixture(scope='module')
def scene(running_docker):  # noqa: F811
    """Three volumes; one is used by containers in several states, and two by nobody."""
    running_docker.clean()
    for name, seed in (('alpha', 1), ('beta', 2), ('gamma', 3)):
        plain_tree(running_docker.volume(name) / 'tree', seed, files=8)
        (running_docker.files(name) / 'big').write_bytes(os.urandom(1 << 20))
        for path in (running_docker.files(name), *running_docker.files(name).rglob('*')):
            os.utime(path, (1_500_000_000, 1_500_000_000))  # as a tar of the daemon has them: without parts of a second
    running_docker.run('writer', 'tiny', '-v', 'alpha:/alpha', '-e', f'PASSWORD={SECRET}', '--restart=unless-stopped')
    running_docker.run('sleeper', 'tiny', '-v', 'alpha:/alpha')
    running_docker('pause', 'sleeper')
    running_docker.run('reader', 'tiny', '-v', 'alpha:/alpha:ro')
    running_docker.create('never', 'tiny', '-v', 'alpha:/alpha')
    return running_docker


class Stage:
    def __init__(self, world, docker, tcp: bool) -> None:  # noqa: F811
        self.world, self.docker, self.proxy = world, docker, DockerProxy(docker.socket, tcp)
        self.states, self.everything = docker.states(), docker.everything()
        self.trees = {name: tree_state(docker.files(name)) for name in ('alpha', 'beta', 'gamma')}
        self.source()
        world.sink()
        world.job(sources='vol')
        world.ok('init', 'disk')

    def source(self, **options) -> None:
        self.world.section('source vol', plugin='docker-volume', volumes='alpha, beta, gamma', docker=self.proxy.address, during='stop',
                           stop_timeout='2s', **options)

    def fault(self, method: str, path: str, act, times: int = ALWAYS) -> None:
        if getattr(act, 'hangs', False):
            self.source(timeout=HANGS)
        self.proxy.fault(method, path, act, times)

    def well(self, result) -> None:
        """Said to have been met, and over."""
        assert self.proxy.told, f'{self.proxy.seen}\n{result}'
        self.proxy.well()
        if not self.proxy.listener:
            self.proxy.come()
        self.source()

    def again(self) -> None:
        """As it was, by the daemon's own client."""
        if self.docker.states() != self.states:
            for name, state in self.states.items():
                if state == 'running':
                    self.docker('start', name)

    def assert_as_before(self) -> None:
        try:
            assert self.docker.states() == self.states
            assert self.docker.everything() == self.everything
            for name, tree in self.trees.items():
                assert not compare_trees(tree, tree_state(self.docker.files(name))), name
        finally:
            self.again()

    def assert_true(self, result) -> None:
        """What was committed is what is there; where it is not, the volume is named and the run is not called complete."""
        listed = self.world.snapshots()
        assert len(listed) == (0 if result.status not in (DONE, INCOMPLETE) else 1), result
        if not listed:
            return
        into = self.world.base / 'restored' / 'vol'
        assert self.world('restore', 'job', '--into', into.parent).status in (DONE, INCOMPLETE)
        for name, tree in self.trees.items():
            differences = compare_trees(tree, tree_state(into / name)) if (into / name).exists() else ['not there']
            assert not differences or (result.status == INCOMPLETE and name in result.text), f'{name}: {differences[:5]}\n{result}'


@pytest.fixture
def stage(request, world, scene):
    stage = Stage(world, scene, tcp=getattr(request, 'param', False))
    yield stage
    stage.proxy.close()


def assert_told(result, statuses, words) -> None:
    assert result.status in (statuses if isinstance(statuses, set) else {statuses}), result
    for word in words if isinstance(words, tuple) else (words,):
        assert word in result.text, f'{word!r} is not said\n{result}'
    assert SECRET not in result.text
    assert 'broke its contract' not in result.text and 'signal' not in result.text, result


def some(table):
    """Every third of them; the others are `long`."""
    return [pytest.param(name, marks=pytest.mark.long if number % 3 else ()) for number, name in enumerate(table)]


# ---- check ----

# method, path, what happens, the statuses that may come out, what must be said
CHECK = {
    'nobody there': ('GET', '', hang_up, FAILED, 'docker'),
    'garbage': ('GET', '', garbage, FAILED, 'docker'),
    'silence': ('GET', '', silence, FAILED, 'docker'),
    'a web server': ('GET', '', WEB_PAGE, FAILED, 'docker'),
    'an endless head': ('GET', '', endless_head, FAILED, 'docker'),
    'the head is cut': ('GET', VERSION, cut_head, FAILED, 'docker'),
    'bad chunks': ('GET', VERSION, chunk_error, FAILED, 'docker'),
    'nothing at all': ('GET', VERSION, said(''), FAILED, 'docker'),
    'half of an answer': ('GET', '^/version', twisted(lambda body: body[:len(body) // 2]), FAILED, 'docker'),
    'a list where an object belongs': ('GET', '^/version', said([1, 2]), FAILED, 'docker'),
    'a number for a version': ('GET', '^/version', altered(with_('ApiVersion', value=7)), FAILED, 'docker'),
    'too old': ('GET', '^/version', altered(with_('ApiVersion', value='1.12')), FAILED, '1.12'),
    'too new': ('GET', '', error(400, 'client version 1.41 is too old. Minimum supported API version is 9.44'), FAILED, '9.44'),
    'a redirection': ('GET', '', said('', 302, Location='http://127.0.0.1:1/'), FAILED, '302'),
    '401': ('GET', '', error(401, 'authorization denied by plugin'), {FAILED, WRONG_KEY}, 'authorization denied by plugin'),
    '403': ('GET', '', error(403, 'Forbidden by the socket proxy'), FAILED, 'Forbidden by the socket proxy'),
    '500': ('GET', '', error(500, 'database is locked'), FAILED, 'database is locked'),
    '503 for ever': ('GET', '', error(503, 'starting'), FAILED, 'starting'),
    'volumes 500': ('GET', VOLUMES, error(500, 'no volumes today'), FAILED, 'no volumes today'),
    'containers 403': ('GET', LIST, error(403, 'not for you'), FAILED, 'not for you'),
    'an error without words': ('GET', VOLUMES, said('', 500), FAILED, '500'),
    'an error with escape sequences': ('GET', VOLUMES, error(500, '\x1b[2J\nfake line'), FAILED, 'fake line'),
    'slow, and well': ('GET', VERSION, drip(0.001, 200), DONE, 'Engine'),
}


@pytest.mark.parametrize('name', some(CHECK))
def test_check(stage, name):
    method, path, act, statuses, words = CHECK[name]
    stage.fault(method, path, act)
    result = stage.world('-v', 'check', timeout=LIMIT)
    assert stage.proxy.told, stage.proxy.seen
    assert_told(result, statuses, words)
    assert '\x1b' not in result.text
    stage.assert_as_before()


# ---- run, from files ----

RUN = {
    # lists
    'volumes are no list': ('GET', VOLUMES, volumes(lambda _: 'none'), FAILED, 'volumes'),
    'volumes are numbers': ('GET', VOLUMES, volumes(lambda _: [1, 2, 3]), FAILED, 'volumes'),
    'there are no volumes': ('GET', VOLUMES, volumes(lambda _: None), FAILED, 'has no volumes'),
    'a volume is not listed': ('GET', VOLUMES, volumes(lambda v: [one for one in v if one['Name'] != 'beta']), {FAILED, INCOMPLETE}, 'beta'),
    'a volume is listed twice': ('GET', VOLUMES, volumes(lambda v: [*v, *v]), {DONE, FAILED}, ''),
    'a volume without a name': ('GET', VOLUMES, each(without('Name')), FAILED, 'volume'),
    'a name that leads out': ('GET', VOLUMES, volumes(lambda v: [*v, v[0] | {'Name': '../../etc'}]), FAILED, '../../etc'),
    'a name that is the parent': ('GET', VOLUMES, volumes(lambda v: [*v, v[0] | {'Name': '..'}]), FAILED, '..'),
    'a name with a line in it': ('GET', VOLUMES, volumes(lambda v: [*v, v[0] | {'Name': 'a\nb'}]), {DONE, FAILED}, ''),
    'a name that is too long': ('GET', VOLUMES, volumes(lambda v: [*v, v[0] | {'Name': 'x' * 5000}]), FAILED, 'xxx'),
    'a number for a driver': ('GET', VOLUMES, each(with_('Driver', value=3)), {FAILED, INCOMPLETE}, ''),
    'labels are a list': ('GET', f'{VOLUMES}|{VOLUME}', each(with_('Labels', value=['a'])), {DONE, FAILED, INCOMPLETE}, ''),
    'volumes without end': ('GET', VOLUMES, endless(b'{"Volumes":[', b'{"Name":"x","Driver":"local"},'), FAILED, ''),
    'volumes nested without end': ('GET', VOLUMES, endless(b'', b'['), FAILED, ''),
    'volumes cut': ('GET', VOLUMES, cut(40), FAILED, 'volumes'),
    'volumes stuck': ('GET', VOLUMES, stuck(40), FAILED, ''),
    'the place is elsewhere': ('GET', f'{VOLUMES}|{VOLUME}', each(named('beta', with_('Mountpoint', value='/etc'))), {DONE, FAILED}, ''),
    'the place is a link up': ('GET', f'{VOLUMES}|{VOLUME}', each(named('beta', with_('Mountpoint', value='../../beta'))), {DONE, FAILED}, ''),
    'containers are no list': ('GET', LIST, said({'a': 1}), FAILED, 'container'),
    'containers garbage': ('GET', LIST, garbage, FAILED, 'container'),
    'a container is listed twice': ('GET', LIST, altered(lambda c: [*c, *c]), DONE, ''),
    'a container without an id': ('GET', LIST, each(without('Id')), FAILED, 'container'),
    'an id that leads elsewhere': ('GET', LIST, each(with_('Id', value='../volumes/alpha')), FAILED, ''),
    'a container is gone when looked at': ('GET', LIST, altered(lambda c: [*c, *(one | {'Id': 'f' * 64} for one in c[:1])]), DONE, ''),
    'a container cannot be looked at': ('GET', INSPECT, error(500, 'layer not known'), FAILED, 'layer not known'),
    'a container has no state': ('GET', INSPECT, altered(without('State')), FAILED, 'container'),
    'a container is in an odd state': ('GET', INSPECT, altered(with_('State', value={'Status': 'flying'})), FAILED, 'State.Status'),
    'mounts are a number': ('GET', INSPECT, altered(with_('Mounts', value=4)), FAILED, 'container'),
    'a container whose name leads out': ('GET', INSPECT, altered(with_('Name', value='/../../x')), DONE, 'odd name'),
    'a config that is null': ('GET', INSPECT, altered(with_('Config', value=None)), {DONE, FAILED}, ''),
    # stop and start
    'stop 500': ('POST', STOP, error(500, 'cannot stop: tried to kill container'), FAILED, 'cannot stop: tried to kill container'),
    'stop says yes and does nothing': ('POST', STOP, said('', 204), FAILED, 'writer'),
    'stop says it was stopped': ('POST', STOP, said('', 304), FAILED, 'writer'),
    'stop is silent': ('POST', STOP, silence, FAILED, 'freeze took longer'),
    'stop, and the answer is lost': ('POST', STOP, done_but(hang_up), {DONE, FAILED}, ''),
    'stop, and an error all the same': ('POST', STOP, done_but(error(500, 'odd')), {DONE, FAILED}, ''),
    'the daemon goes as it stops': ('POST', STOP, gone(), FAILED, 'docker'),
    'start is refused once': ('POST', START, error(500, 'no such device'), {DONE, FAILED, INCOMPLETE}, 'no such device'),
    'start, and the answer is lost': ('POST', START, done_but(hang_up), {DONE, FAILED, INCOMPLETE}, ''),
    'all is slow': ('GET', '', late(0.15), DONE, ''),
}
ONCE = {'start is refused once'}


@pytest.mark.parametrize('name', some(RUN))
def test_run(stage, name):
    method, path, act, statuses, words = RUN[name]
    stage.fault(method, path, act, times=1 if name in ONCE else ALWAYS)
    result = stage.world('run', 'job', timeout=LIMIT)
    stage.well(result)
    assert_told(result, statuses, words)
    stage.assert_true(result)
    # What could not be put back meanwhile is put back by the next start.
    if stage.docker.states() != stage.states:
        stage.world('run', 'job', timeout=LIMIT)
    stage.assert_as_before()


# ---- run, through the API ----

# What is saved is one volume, of which the daemon says this tar.
TAR = {
    'an absolute name': tar_of(('alpha/', None, tarfile.DIRTYPE), ('/etc/passwd', b'x')),
    'a name that leads out': tar_of(('alpha/', None, tarfile.DIRTYPE), ('alpha/../../../etc/passwd', b'x')),
    'a name beside': tar_of(('alpha/', None, tarfile.DIRTYPE), ('beta/file', b'x')),
    'a file twice': tar_of(('alpha/', None, tarfile.DIRTYPE), ('alpha/one', b'1'), ('alpha/one', b'2')),
    'names out of order': tar_of(('alpha/', None, tarfile.DIRTYPE), ('alpha/two', b'1'), ('alpha/one', b'2')),
    'a file in a file': tar_of(('alpha/', None, tarfile.DIRTYPE), ('alpha/one', b'1'), ('alpha/one/two', b'2')),
    'a file behind a symlink': tar_of(('alpha/', None, tarfile.DIRTYPE), ('alpha/a', None, tarfile.SYMTYPE, '/etc'), ('alpha/a/passwd', b'x')),
    'a hard link to outside': tar_of(('alpha/', None, tarfile.DIRTYPE), ('alpha/a', None, tarfile.LNKTYPE, '../../etc/passwd')),
    'a hard link to nothing': tar_of(('alpha/', None, tarfile.DIRTYPE), ('alpha/a', None, tarfile.LNKTYPE, 'alpha/b')),
    'no directory at all': tar_of(('alpha', b'a file')),
    'an empty tar': tar_of(),
    'no tar': twisted(lambda _: b'this is no tar' * 1000, Content_Type='application/x-tar'),
    'half a tar': twisted(lambda body: body[:len(body) // 2], Content_Type='application/x-tar'),
    'a flipped bit in a head': twisted(lambda body: body[:2] + bytes([body[2] ^ 1]) + body[3:], Content_Type='application/x-tar'),
}
REMOTE = {f'tar: {name}': ('GET', ARCHIVE, act, {FAILED, INCOMPLETE}, 'alpha') for name, act in TAR.items()} | {
    'nothing is wrong': ('GET', '', late(0), DONE, ''),
    'the stream is cut': ('GET', ARCHIVE, cut(300_000), {FAILED, INCOMPLETE}, 'alpha'),
    'the stream is cut in its head': ('GET', ARCHIVE, cut_head, {FAILED, INCOMPLETE}, 'alpha'),
    'the stream is stuck': ('GET', ARCHIVE, stuck(300_000), {FAILED, INCOMPLETE}, ''),
    'the stream has bad chunks': ('GET', ARCHIVE, chunk_error, {FAILED, INCOMPLETE}, 'alpha'),
    'the stream is 404': ('GET', ARCHIVE, error(404, 'Could not find the file'), {FAILED, INCOMPLETE}, 'Could not find the file'),
    'the stream is 500': ('GET', ARCHIVE, error(500, 'mount failed'), {FAILED, INCOMPLETE}, 'mount failed'),
    'the daemon goes': ('GET', ARCHIVE, gone(200_000), {FAILED, INCOMPLETE}, 'docker'),
    'no container can be made': ('POST', CREATE, error(500, 'no space left on device'), {FAILED, INCOMPLETE}, 'no space left on device'),
    'a container without an id is made': ('POST', CREATE, said({}, 201), {FAILED, INCOMPLETE}, ''),
    'a container is made, and the answer is lost': ('POST', CREATE, done_but(hang_up), {DONE, FAILED, INCOMPLETE}, ''),
    'no image can be made': ('POST', IMAGE, error(403, 'images are not for you'), {FAILED, INCOMPLETE}, 'images are not for you'),
    'what was made cannot be removed': ('DELETE', REMOVE, error(500, 'busy'), {DONE, INCOMPLETE}, 'busy'),
}


@pytest.mark.parametrize('stage', [True], indirect=True)
@pytest.mark.parametrize('name', some(REMOTE))
def test_run_through_the_api(stage, name):
    method, path, act, statuses, words = REMOTE[name]
    stage.fault(method, path, act)
    result = stage.world('run', 'job', timeout=LIMIT)
    stage.well(result)
    assert_told(result, statuses, words)
    assert not {'passwd', 'root:x:'} & set(result.out.split())
    if 'tar: ' not in name:
        stage.assert_true(result)
    if stage.docker.states() != stage.states or stage.docker.everything() != stage.everything:
        stage.world('run', 'job', timeout=LIMIT)
    stage.assert_as_before()


# ---- restore ----

RESTORE = {
    'nothing is wrong': ('GET', '', late(0), DONE, ''),
    'nobody there': ('GET', '', hang_up, FAILED, 'docker'),
    'a volume 500': ('GET', VOLUME, error(500, 'not this one'), {FAILED, INCOMPLETE}, 'not this one'),
    'a container cannot be looked at': ('GET', INSPECT, error(500, 'layer not known'), FAILED, 'layer not known'),
    'the containers are cut': ('GET', LIST, cut(100), FAILED, 'containers'),
    'stop 500': ('POST', STOP, error(500, 'cannot stop it'), FAILED, 'cannot stop it'),
    'stop says yes and does nothing': ('POST', STOP, said('', 204), FAILED, 'writer'),
    'stop is silent': ('POST', STOP, silence, FAILED, ''),
    'the daemon goes as it stops': ('POST', STOP, gone(), FAILED, ''),
    'no volume can be made': ('POST', MAKE, error(500, 'no space left on device'), FAILED, 'no space left on device'),
    'a volume is made, and the answer is lost': ('POST', MAKE, done_but(hang_up), {DONE, FAILED}, ''),
    'another volume is made': ('POST', MAKE, altered(with_('Name', value='other')), {DONE, FAILED}, ''),
    'the volume that is made is elsewhere': ('POST', MAKE, altered(with_('Mountpoint', value='/etc')), FAILED, ''),
    'a volume that is made is no volume': ('POST', MAKE, said([1]), FAILED, ''),
    'the place of a volume is elsewhere': ('GET', f'{VOLUMES}|{VOLUME}', each(named('beta', with_('Mountpoint', value='/etc'))), {FAILED, INCOMPLETE}, 'beta'),
    'start is refused once': ('POST', START, error(500, 'no such device'), {DONE, FAILED, INCOMPLETE}, 'no such device'),
    'start, and the answer is lost': ('POST', START, done_but(hang_up), {DONE, FAILED, INCOMPLETE}, ''),
}


@pytest.mark.parametrize('name', some(RESTORE))
def test_restore_in_place(stage, name):
    """Each volume is afterwards as it was before, or as it was saved; what it replaced is kept, and nothing else is new."""
    method, path, act, statuses, words = RESTORE[name]
    stage.world.ok('run', 'job')
    stage.docker('unpause', 'sleeper')  # else a restore is refused, and there is nothing to go wrong
    stage.states = stage.docker.states()
    for volume in stage.trees:
        (stage.docker.files(volume) / 'new').write_text('not in the snapshot\n')
    changed = {volume: tree_state(stage.docker.files(volume)) for volume in stage.trees}
    etc = sorted(os.listdir('/etc'))
    try:
        stage.fault(method, path, act, times=1 if name in ONCE else ALWAYS)
        result = stage.world('restore', 'job', '--in-place', '--yes', '--set', 'exact=yes', timeout=LIMIT)
        stage.well(result)
        assert_told(result, statuses, words)
        stage.world('check', timeout=LIMIT)  # what is left to be undone is undone by the next start
        assert stage.docker.states() == stage.states and sorted(os.listdir('/etc')) == etc
        assert_each_is_whole(stage, changed, result)
    finally:
        put_back(stage)


def assert_each_is_whole(stage, changed, result) -> None:
    names = stage.everything['volumes']
    kept = [name for name in stage.docker.everything()['volumes'] if name not in names]
    for volume, tree in stage.trees.items():
        found = tree_state(stage.docker.files(volume))
        restored = not compare_trees(tree, found)
        assert restored or not compare_trees(changed[volume], found), f'{volume} is neither old nor new\n{result}'
        assert restored or result.status != DONE, f'{volume} is not restored\n{result}'
        of_it = [name for name in kept if name.startswith(f'{volume}_before_')]
        assert len(of_it) == restored, f'{kept}\n{result}'
        for name in of_it:
            assert not compare_trees(changed[volume], tree_state(stage.docker.files(name))), name
    assert all('_before_' in name for name in kept), kept
    assert stage.docker.everything() | {'volumes': 0, 'volume directories': 0} == stage.everything | {'volumes': 0, 'volume directories': 0}


def put_back(stage) -> None:
    """For the next test, by other means."""
    stage.again()
    stage.docker('pause', 'sleeper')
    for name in set(stage.docker.everything()['volumes']) - set(stage.everything['volumes']):
        stage.docker('volume', 'rm', name)
    for volume in stage.trees:
        (stage.docker.files(volume) / 'new').unlink(missing_ok=True)
        os.utime(stage.docker.files(volume), (1_500_000_000, 1_500_000_000))
