"""check --offline: what can never work is refused before anything is reached, and no secret is looked up."""
import pytest

from support.cli import BAD_CONFIG
from support.tree import plain_tree


@pytest.fixture
def made(world, tmp_path):
    return world.simple(plain_tree(tmp_path / 'tree', files=2))


CANNOT_WORK = {
    'a directory as target of rsync': ('plugin = rsync\ntarget = /mnt/x', 'plugin = local'),
    'a daemon in the old form': ('plugin = rsync\ntarget = nas.lan::mod/path', 'rsync://'),
    'an address of ssh': ('plugin = rsync\ntarget = ssh://backup@127.0.0.1:2222/srv', 'ssh_port'),
    'a password for ssh': ('plugin = rsync\ntarget = nas.lan:/srv\npassword = @env:NOT_SET_ANYWHERE', 'identity_file'),
    'a key that is not there': ('plugin = rsync\ntarget = nas.lan:/srv\nidentity_file = /nowhere/key', '/nowhere/key'),
    'a store without scheme': ('plugin = s3\nbucket = gym\nendpoint = nohost', 'https://HOST'),
    'a bucket with a slash': ('plugin = s3\nbucket = a/b\nendpoint = https://s3.example.org', "'a/b'"),
    'the bucket twice': ('plugin = s3\nbucket = bars\nendpoint = https://s3.example.org/bars', 'without'),
    'a bucket that is no part of a name': ('plugin = s3\nbucket = My_Backups', 'path_style'),
}


@pytest.mark.parametrize('name', CANNOT_WORK)
def test_a_sink_that_can_never_work(made, name):
    section, word = CANNOT_WORK[name]
    made.write('zz.conf', f'[sink far]\n{section}\nencryption = none\n')
    result = made.fails(BAD_CONFIG, 'check', '--offline', 'far')
    assert word in result.err and 'fine' not in result.out, result


def test_a_source_that_can_never_work(made, tmp_path):
    made.source('odd', tmp_path, exclude='./cache')
    assert './cache' in made.fails(BAD_CONFIG, 'check', '--offline').err
    made.section('source odd', plugin='postgres', host='127.0.0.1', database='a', databases='b, c')
    assert 'exclude each other' in made.fails(BAD_CONFIG, 'check', '--offline').err


def test_what_can_work_is_fine_without_being_reached(made, tmp_path):
    """Addresses where nobody listens, a host that does not exist, a place that is not there."""
    made.section('source db', plugin='postgres', host='no-such-host.invalid', database='gym')
    made.section('source cache', plugin='redis', host='127.0.0.1', port=1)
    made.section('sink nas', plugin='rsync', target='backup@no-such-host.invalid:/srv', encryption='none')
    made.section('sink far', plugin='s3', bucket='gym', endpoint='http://127.0.0.1:1', encryption='none')
    made.section('sink usb', plugin='local', path=tmp_path / 'not' / 'mounted', encryption='none')
    assert made.ok('check', '--offline').out.count('plugin and options are fine') == 7


def test_secrets_are_not_looked_up(made, tmp_path):
    """Neither the file nor the variable is there, and the command leaves a trace."""
    trace = tmp_path / 'trace'
    made.section('source a', plugin='postgres', host='127.0.0.1', password=f'@cmd:touch {trace}; echo x')
    made.section('source b', plugin='redis', host='127.0.0.1', port=1, password='@env:NOT_SET_ANYWHERE')
    made.section('sink far', plugin='s3', bucket='gym', endpoint='http://127.0.0.1:1', encryption='none',
                 access_key='AK', secret_key='@file:/nowhere/secret')
    made.section('sink away', plugin='local', path=tmp_path / 'away', format='archive', passphrase=f'@cmd:touch {trace}; echo x')
    made.ok('check', '--offline')
    assert not trace.exists()
    made.section('source a', plugin='postgres', host='127.0.0.1', password='@fiel:/x')
    assert '@file:PATH' in made.fails(BAD_CONFIG, 'check', '--offline').err


def test_each_thing_is_looked_at_once(made, tmp_path):
    """A job, its source and its sink of one name, and a second job with the same sink."""
    made.source('gym', tmp_path / 'tree')
    made.sink('gym', tmp_path / 'second')
    made.job('gym', 'gym', 'gym, disk')
    made.job('gym2', 'gym', 'gym, disk')
    for words in (('gym',), ('gym', 'gym2', 'disk'), ()):
        lines = made.ok('check', '--offline', *words).out.splitlines()
        assert len(lines) == len(set(lines)), lines
