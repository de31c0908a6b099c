"""cofre discover, and what check says of volumes that nobody saves: over a real daemon."""
import re

import pytest

from support.docker import docker, running_docker  # noqa: F401
from support.docker_project import PASSWORD, TOKEN, Project

from test_docker_volume import shop  # noqa: F401


def discovered(world, docker):  # noqa: F811
    """What is offered: name to the options of its section; and all that was said."""
    result = world.ok('discover', env={'PATH': '/usr/bin:/bin', 'DOCKER_HOST': docker.address})
    sections = {}
    for name, body in re.findall(r'^\[source ([^\]]+)\]\n((?:[^\[\n].*\n)*)', result.out, re.M):
        pairs = (line.split('=', 1) for line in body.splitlines() if '=' in line and not line.startswith((';', '#')))
        sections[name] = {key.strip(): value.strip() for key, value in pairs}
    return sections, result


@pytest.fixture
def busy(docker, tmp_path):  # noqa: F811
    """A project whose containers need not run, a volume of its own, waste."""
    project = Project(docker, tmp_path)
    docker.network('shop_default')
    for name in ('data', 'uploads', 'dbdata'):
        docker.volume(project.volume(name), '--label=com.docker.compose.project=shop')
    labels = [word for word in project.labels('db')]
    docker.create('shop-db-1', 'tiny', '-v', 'shop_dbdata:/var/lib/postgresql/data', '-e', 'PGDATA=/var/lib/postgresql/data/pgdata',
                  '-e', 'POSTGRES_USER=keeper', '-e', f'POSTGRES_PASSWORD={PASSWORD}', *labels)
    docker.create('shop-app-1', 'tiny', '-v', 'shop_data:/data', '-v', 'shop_uploads:/uploads', '-e', f'TOKEN={TOKEN}',
                  '-e', f'POSTGRES_PASSWORD={PASSWORD}', *project.labels('app'))
    docker.create('lonely-cache', 'tiny', '-v', 'sessions:/data', '-e', 'REDIS_VERSION=7.2')
    docker.volume('wiki')
    docker.volume('f' * 64)
    docker.volume('wiki_before_1', '--label=cofre.before=wiki')
    (docker.files('wiki') / 'page').write_bytes(b'x' * 12345)
    return project


def test_what_is_offered(world, docker, busy):  # noqa: F811
    sections, result = discovered(world, docker)
    by = {tuple(sorted(options.items())) for options in sections.values()}
    assert by == {
        tuple(sorted({'plugin': 'postgres', 'container': 'shop/db', 'user': 'keeper', 'databases': '*'}.items())),
        tuple(sorted({'plugin': 'redis', 'container': 'lonely-cache'}.items())),
        tuple(sorted({'plugin': 'docker-volume', 'project': 'shop', 'exclude': 'shop_dbdata'}.items())),
        tuple(sorted({'plugin': 'docker-volume', 'volumes': 'wiki'}.items())),
    }, result
    assert PASSWORD not in result.text and TOKEN not in result.text
    assert '12.3 KB' in result.text, result


def test_what_is_covered_is_not_offered_again(world, docker, busy):  # noqa: F811
    world.section('source volumes', plugin='docker-volume', docker=docker.address, volumes='wi*, shop_data, shop_up*')
    world.sink()
    world.job(sources='volumes')
    sections, result = discovered(world, docker)
    assert sorted(options['plugin'] for options in sections.values()) == ['postgres', 'redis'], result
    world.section('source database', plugin='postgres', container='shop/db', databases='*')
    sections, result = discovered(world, docker)
    assert sorted(options['plugin'] for options in sections.values()) == ['redis'], result


def test_check_names_what_no_job_saves(shop, docker, busy):  # noqa: F811
    world = shop(project='shop', exclude='shop_d*')
    text = world('check', 'shop').text
    assert "volume 'shop_data' of the same project is saved by no job" in text, text
    assert "volume 'shop_dbdata' of the same project is saved by no job" in text, text
    world.section('source more', plugin='docker-volume', docker=docker.address, volumes='shop_dat?')
    assert "'shop_data' of the same" in world('check', 'shop').text  # in no job
    world.job(sources='shop, more')
    text = world('check', 'shop').text
    assert "'shop_data' of the same" not in text and "'shop_dbdata' of the same" in text, text


HOSTILE = 'evil\n[source evil]\nplugin = directory'


def test_hostile_labels(world, docker):  # noqa: F811
    docker.volume('vol', f'--label=com.docker.compose.project={HOSTILE}')
    docker.create('con', 'tiny', '-v', 'vol:/v', f'--label=com.docker.compose.project={HOSTILE}', '--label=com.docker.compose.service=../..',
                  '-e', 'PGDATA=/pg', '-e', f'POSTGRES_USER={HOSTILE}')
    sections, result = discovered(world, docker)
    assert {tuple(sorted(options.items())) for options in sections.values()} == {
        tuple(sorted({'plugin': 'postgres', 'container': 'con', 'databases': '*'}.items())),
        tuple(sorted({'plugin': 'docker-volume', 'volumes': 'vol'}.items()))}, result
