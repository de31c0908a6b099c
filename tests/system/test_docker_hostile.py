"""Whoever may start containers chooses their labels, environment and the files in their volumes. None of it does harm: nothing is
read that is not the volume's or named, nothing is written outside of where a restore goes, and nothing is shown unescaped."""
import os

import pytest

from support.cli import DONE, INCOMPLETE
from support.docker import docker, running_docker  # noqa: F401
from support.oracle import assert_same_tree, tree_state
from support.tree import make_tree

ESCAPES = '\x1b[2J\x1b]0;owned\x07'
SECRET = 'hostile-secret-1b7f'


@pytest.fixture
def job(world, docker):  # noqa: F811
    docker.volume('vol')
    (docker.files('vol') / 'file').write_text('content\n')
    world.section('source vol', plugin='docker-volume', volumes='vol', docker=docker.address, during='pause')
    world.sink()
    world.job(sources='vol')
    world.ok('init', 'disk')
    return world


def compose(project: str, files: str, directory: str = '/') -> list[str]:
    return [f'--label=com.docker.compose.project={project}', f'--label=com.docker.compose.project.config_files={files}',
            f'--label=com.docker.compose.project.working_dir={directory}', '--label=com.docker.compose.service=web',
            '--label=com.docker.compose.depends_on=web:service_started:false,web:x,,:::,\x1b,' + 'a:' * 2000]


def restored_names(job) -> set[str]:
    into = job.restored()
    assert sorted(path.name for path in job.base.iterdir() if path.name in ('etc', 'evil', 'passwd')) == []
    return {str(path.relative_to(into)) for path in into.rglob('*')}


LABELS = {
    'a project that leads out': compose('../../../evil', '/etc/hostname'),
    'a project of dots': compose('..', '/etc/hostname'),
    'a project with escapes': compose(ESCAPES, '/etc/hostname'),
    'a project with a line in it': compose('a\nb', '/etc/hostname'),
    'a project that is long': compose('p' * 5000, '/etc/hostname'),
    'an empty project': compose('', '/etc/hostname'),
    'no file of that name': compose('p', '/no/such/compose.yaml'),
    'a relative file': compose('p', '../../../etc/passwd', '/tmp'),
    'a directory': compose('p', '/etc'),
    'a device': compose('p', '/dev/zero'),
    'many files': compose('p', ','.join(f'/no/file{i}' for i in range(500))),
    'two files of one name': compose('p', '/etc/hostname,/proc/sys/kernel/hostname'),
    'an odd during': ['--label=cofre.during=reboot'],
    'during with escapes': [f'--label=cofre.during={ESCAPES}'],
    'a dependency on itself': [*compose('p', ''), '--label=com.docker.compose.depends_on=web:service_healthy:true'],
}


@pytest.mark.parametrize('name', LABELS)
def test_labels(job, docker, name):  # noqa: F811
    docker.run('web', 'tiny', '-v', 'vol:/v', '-e', f'SECRET={SECRET}', '-e', f'ODD={ESCAPES}', *LABELS[name])
    before = docker.starts()
    texts = []
    for words in (('-v', 'run', 'job'), ('-v', 'check'), ('show', 'job'), ('ls', 'job')):
        result = job(*words)
        assert result.status in (DONE, INCOMPLETE) or words[0] == 'ls', result
        texts.append(result.text)
    assert docker.starts() == before
    for text in texts:
        assert '\x1b' not in text and '\x07' not in text and SECRET not in text
    names = restored_names(job)
    assert 'vol/vol/file' in names and not [one for one in names if one.endswith('passwd')], names


def test_compose_files_that_are_no_plain_files(job, docker, tmp_path):  # noqa: F811
    """Neither followed, nor waited for, nor read without end."""
    place = tmp_path / 'compose'
    place.mkdir()
    (place / 'link.yaml').symlink_to('/etc/passwd')
    os.mkfifo(place / 'pipe.yaml')
    with open(place / 'huge.yaml', 'wb') as file:
        file.truncate(1 << 40)
    (place / 'good.yaml').write_text('services: {}\n')
    files = ','.join(str(place / name) for name in ('link.yaml', 'pipe.yaml', 'huge.yaml', 'good.yaml'))
    docker.run('web', 'tiny', '-v', 'vol:/v', *compose('p', files, str(place)))
    result = job('run', 'job')
    assert result.status in (DONE, INCOMPLETE), result
    names = restored_names(job)
    assert 'vol/.docker/projects/p/good.yaml' in names and not [one for one in names if 'link.yaml' in one or 'pipe.yaml' in one]
    for name in ('link.yaml', 'huge.yaml'):
        assert name in result.text, result


def test_everything_a_volume_can_hold(job, docker):  # noqa: F811
    make_tree(docker.files('vol') / 'tree')
    outside = tree_state('/etc/cofre') if os.path.isdir('/etc/cofre') else None
    job.ok('run', 'job')
    into = job.base / 'into'
    job('restore', 'job', '--into', into, '--set', 'devices=yes', '--set', 'setuid=yes')
    assert_same_tree(docker.files('vol'), into / 'vol' / 'vol')
    assert outside == (tree_state('/etc/cofre') if os.path.isdir('/etc/cofre') else None)


def test_a_volume_whose_root_is_a_link(job, docker, tmp_path):  # noqa: F811
    """It is not followed here: the daemon says what a container would see, and that is saved; nothing is written through it."""
    root, elsewhere = docker.files('vol'), tmp_path / 'elsewhere'
    elsewhere.mkdir()
    (elsewhere / 'there').write_text('there')
    root.rename(root.with_name('moved'))
    root.symlink_to(elsewhere)
    try:
        docker.run('web', 'tiny', '-v', 'vol:/v')
        job.ok('run', 'job')
        assert (job.restored() / 'vol' / 'vol' / 'there').read_text() == docker.exec('web', 'cat', '/v/there') == 'there'
        (elsewhere / 'there').write_text('changed')
        result = job('restore', 'job', '--in-place', '--yes')
        assert result.status != DONE and "'vol'" in result.text, result
        assert (elsewhere / 'there').read_text() == 'changed' and docker.state('web') == 'running'
    finally:
        docker('rm', '-f', 'web')
        root.unlink()
        root.with_name('moved').rename(root)


def test_a_link_in_a_volume_leads_nowhere_when_it_is_restored(job, docker, tmp_path):  # noqa: F811
    """What stands in the place of a saved directory is replaced, and not followed."""
    outside = tmp_path / 'outside'
    outside.mkdir()
    (outside / 'mine').write_text('mine')
    (docker.files('vol') / 'd').mkdir()
    (docker.files('vol') / 'd' / 'mine').write_text('saved')
    job.ok('run', 'job')
    (docker.files('vol') / 'd' / 'mine').unlink()
    (docker.files('vol') / 'd').rmdir()
    (docker.files('vol') / 'd').symlink_to(outside)
    job.ok('restore', 'job', '--in-place', '--yes')
    assert (outside / 'mine').read_text() == 'mine'
    assert (docker.files('vol') / 'd' / 'mine').read_text() == 'saved' and not (docker.files('vol') / 'd').is_symlink()
