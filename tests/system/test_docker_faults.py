"""A daemon that misbehaves in one of its answers: the run ends with a word about it, the containers are as they were, and
nothing of cofre's is left."""
import pytest

from support.cli import DONE, FAILED, INCOMPLETE
from support.docker import docker, running_docker  # noqa: F401
from support.docker_proxy import (DockerProxy, chunk_error, cut, cut_head, error, garbage, hang_up, said, twisted)

from test_docker_during import records
from test_docker_volume import fill

# What a backup asks for, with its containers stopped meanwhile; 'own' is a volume that nobody mounts.
REQUESTS = {
    'version': ('GET', '^/version'),
    'volumes': ('GET', r'^/volumes(\?|$)'),
    'volume': ('GET', '^/volumes/vol'),
    'containers': ('GET', r'^/containers/json\?(?!.*filters)'),
    'container': ('GET', '^/containers/[0-9a-f]+/json'),
    'image': ('GET', '^/images/'),
    'archive': ('GET', '/archive'),
    'pause': ('POST', '/pause'),
    'stop': ('POST', '/stop'),
    'start': ('POST', '/start'),
    'import': ('POST', '^/images/create'),
    'create': ('POST', '^/containers/create'),
    'left': ('GET', '^/containers/json.*filters'),
    'remove': ('DELETE', '^/containers/'),
    'untag': ('DELETE', '^/images/'),
}
FAULTS = {
    'refused': error(500, 'told to fail'),
    'forbidden': error(403, 'told to forbid'),
    'not there': error(404, 'told that it is not there'),
    'conflict': error(409, 'told to conflict'),
    'hung up': hang_up,
    'half a head': cut_head,
    'garbage': garbage,
    'broken chunks': chunk_error,
    'cut': cut(20),
    'half': twisted(lambda body: body[:len(body) // 2]),
    'other JSON': said({'message': 'something else', 'Id': 17, 'Volumes': 'none', 'State': []}),
    'a list': said([None, 1, 'text', {}, {'Id': '../../etc'}]),
    'a number': said('17'),
    'nothing': said(b''),
}

# With these a daemon says that it has done something, and has not. Only what matters most is not believed: that containers run.
UNTRUE = {'POST': ('other JSON', 'a list', 'a number', 'nothing'),
          'DELETE': ('other JSON', 'a list', 'a number', 'nothing', 'not there')}


@pytest.mark.long  # a sample of them is in test_docker_misbehaving.py
@pytest.mark.parametrize('fault', FAULTS)
def test_a_daemon_that_misbehaves(world, docker, fault):  # noqa: F811
    fill(docker, 'vol')
    fill(docker, 'own')
    docker.run('one', 'tiny', '-v', 'vol:/v')
    docker.run('two', 'tiny', '-v', 'vol:/v', '--label=cofre.during=pause')
    there = docker.everything()
    told, wrong = [], []
    with DockerProxy(docker.socket, tcp=True) as proxy:
        world.section('source shop', plugin='docker-volume', docker=proxy.address, volumes='vol, own', during='stop')
        world.sink()
        world.job(sources='shop')
        world.ok('init', 'disk')
        wanted = [name for name, (method, _) in REQUESTS.items() if fault not in UNTRUE.get(method, ()) or name == 'start']
        for name in wanted:
            method, path = REQUESTS[name]
            proxy.fault(method, path, FAULTS[fault], times=1)
            result = world('run', 'job')
            told += [name] * proxy.told
            proxy.well()
            again = world('run', 'job')  # what was left is for the next start
            good = result.status in (DONE, INCOMPLETE, FAILED) and again.status == DONE and not records(world)
            good &= name not in ('import', 'create') or 'was removed' not in result.text  # the volume, that is
            if not good or set(docker.states().values()) != {'running'} or docker.everything() != there:
                wrong.append(f'{name}: {docker.states()} {docker.everything()}\n{result}{again}')
    assert not wrong, '\n\n'.join(wrong)
    assert told == wanted
