"""A store that keeps the frames of a body that is signed in pieces with the bytes, as some do: found out, and got over."""
import os

import pytest

from support import bad_s3
from support.cli import BAD_CONFIG, FAILURES
from support.oracle import assert_same_tree


@pytest.fixture
def server(bad_s3_server):
    bad_s3_server.store.frames = True
    return bad_s3_server


@pytest.fixture
def framed(world, server, tmp_path):
    """A job whose tree makes packs that are larger than what is signed whole anyway."""
    tree = tmp_path / 'tree'
    tree.mkdir()
    for i in range(3):
        (tree / f'file{i}').write_bytes(os.urandom(9 << 20))
    world.source('tree', tree)
    secret = tmp_path / 'secret'
    secret.write_text(bad_s3.SECRET)
    secret.chmod(0o600)
    world.options = {'plugin': 's3', 'bucket': 'b', 'endpoint': server.endpoint, 'access_key': bad_s3.ACCESS,
                     'secret_key': f'@file:{secret}', 'region': bad_s3.REGION, 'key': world.key}
    world.section('sink disk', **world.options)
    world.job()
    return world


def test_a_store_that_keeps_the_frames(framed, server, tmp_path):
    framed.ok('init', 'disk')
    result = framed.ok('run', 'job')
    assert 'signed whole' in result.err, result
    assert_same_tree(tmp_path / 'tree', framed.restored() / 'tree')
    framed.ok('verify', 'job', '--all')
    assert not any(b'chunk-signature' in content for key, content in server.store.objects.items() if '~' not in key)


@pytest.mark.parametrize('conditional', [True, False])
def test_what_was_spoilt_is_replaced_though_nothing_is(framed, server, tmp_path, conditional):
    server.store.conditional = conditional
    framed.ok('init', 'disk')
    framed.ok('run', 'job')
    framed.ok('verify', 'job', '--all')


def test_check_says_it(framed, server):
    framed.ok('init', 'disk')
    assert 'signs them whole' in framed.ok('check', 'disk').text
    server.store.frames = False
    assert 'signs them whole' not in framed.ok('check', 'disk').text


def test_check_really_gets(framed, server):
    """A lifecycle rule has moved what is there into an archive class: that it is there says little."""
    framed.ok('init', 'disk')
    framed.ok('check', 'disk')
    server.faults.append(bad_s3.Fault('get', bad_s3.error(403, 'InvalidObjectState'), times=100))
    result = framed('check', 'disk')
    assert result.status in FAILURES and 'archived' in result.text, result


@pytest.mark.parametrize('name', ['GLACIER', 'DEEP_ARCHIVE', 'glacier'])
@pytest.mark.parametrize('words', [('init', 'disk'), ('check', 'disk'), ('run', 'job')])
def test_a_class_that_cannot_be_read_at_once_is_refused(framed, name, words):
    framed.section('sink disk', **framed.options | {'storage_class': name})
    result = framed(*words)
    assert result.status in FAILURES and 'cannot be read at once' in result.text and 'GLACIER_IR' in result.text, result


def test_the_bucket_in_the_endpoint(framed, server):
    framed.section('sink disk', **framed.options | {'endpoint': server.endpoint + '/b/'})
    result = framed.fails(BAD_CONFIG, 'init', 'disk')
    assert 'ends with the name of the bucket' in result.text and 'without' in result.text, result
