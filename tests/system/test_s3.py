"""The sink s3 on a real gateway (Ceph), and where it gets its credentials from."""
import json
import os
import random
import ssl
import subprocess
import threading
import time
import uuid

import pytest

from support import bad_s3
from support.bad_s3 import BadS3
from support.ceph import ACCESS, SECRET
from support.cli import CLEAN, DONE, FAILURES, World, execute
from support.latency import LatencyProxy
from support.metadata import Metadata
from support.oracle import assert_same_tree, tree_state
from support.s3 import BucketStore, Client
from support.tree import plain_tree


@pytest.fixture
def bucket(ceph, tmp_path) -> BucketStore:
    return BucketStore(Client(ceph.endpoint, ACCESS, SECRET), f'bucket-{uuid.uuid4().hex[:12]}', tmp_path)


@pytest.fixture
def host(binary, tmp_path):
    """A machine of its own, with the key of the first."""
    def make(name: str, bucket: BucketStore, **options) -> World:
        base = tmp_path / name
        base.mkdir(mode=0o700)
        world = World(base, binary, bucket)
        world.key = tmp_path / 'shared.key'
        world.section('engine', state_dir=base / 'state', cache_dir=base / 'cache', host=name)
        world.source('tree', plain_tree(base / 'tree', seed=len(name) + ord(name[0]), files=20))
        world.sink(**options)
        world.job()
        return world
    return make


def random_file(path, size: int) -> None:
    path.write_bytes(random.Random(str(path)).randbytes(size))


# ---- several machines ----------------------------------------------------------------------------------------------------

def rounds(hosts: list[World], count: int) -> None:
    """Both write at the same time; in every round one of them is killed at some moment."""
    rng = random.Random(6)
    states: dict[tuple[str, str], dict] = {}
    for number in range(count):
        for world in hosts:
            random_file(world.base / 'tree' / f'round{number}', 6_000_000)
        running = [subprocess.Popen(world.command('run', 'job'), env=CLEAN, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE) for world in hosts]
        victim = rng.randrange(2)
        time.sleep(rng.uniform(0.02, 0.8))
        running[victim].kill()
        outputs = [process.communicate(timeout=120) for process in running]
        assert running[1 - victim].returncode == DONE, outputs[1 - victim]
        for world in hosts:
            # What the killed one had committed counts too.
            for snapshot in world.snapshots():
                states.setdefault((world.base.name, snapshot), tree_state(world.base / 'tree'))
    for world in hosts:
        for snapshot in world.snapshots():
            into = world.base / f'into-{snapshot}'
            world.ok('restore', f'job@{snapshot}', '--into', into)
            assert_same_tree(states[world.base.name, snapshot], into / 'tree')
        world.ok('verify', 'job')


@pytest.mark.parametrize('count', [2, pytest.param(10, marks=pytest.mark.long)])
def test_two_hosts_at_once(bucket, host, count):
    first, second = host('one', bucket), host('two', bucket)
    first.ok('init', 'disk')
    rounds([first, second], count)


@pytest.mark.long
def test_two_hosts_far_away(ceph, tmp_path, host):
    proxy = LatencyProxy(ceph.port, 0.05)
    near = BucketStore(Client(ceph.endpoint, ACCESS, SECRET), f'bucket-{uuid.uuid4().hex[:12]}', tmp_path)
    first, second = host('one', near, endpoint=proxy.endpoint), host('two', near, endpoint=proxy.endpoint)
    first.ok('init', 'disk')
    rounds([first, second], 10)
    proxy.stop()


@pytest.mark.parametrize('trust', ['no', 'yes'])
def test_what_another_host_has_stored(bucket, host, trust):
    first, second = host('one', bucket, trust_hosts=trust), host('two', bucket, trust_hosts=trust)
    content = random.Random(1).randbytes(8_000_000)
    for world in (first, second):
        (world.base / 'tree' / 'same').write_bytes(content)
    first.ok('init', 'disk')
    first.ok('run', 'job')
    before = sum(found.stat().st_size for found in bucket.objects('packs'))
    second.ok('run', 'job')
    added = sum(found.stat().st_size for found in bucket.objects('packs')) - before
    assert added < 1_000_000 if trust == 'yes' else added > len(content)
    assert_same_tree(second.base / 'tree', second.restored() / 'tree')


# ---- the gateway goes away -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize('seconds', [4, pytest.param(20, marks=pytest.mark.long)])
def test_gateway_restart(ceph, bucket, host, seconds):
    world = host('one', bucket, bandwidth='24MiB')
    for number in range(4):
        random_file(world.base / 'tree' / f'large{number}', 16_000_000)
    world.ok('init', 'disk')
    process = subprocess.Popen(world.command('run', 'job'), env=CLEAN, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    time.sleep(1.2)
    assert process.poll() is None, 'it ended before the gateway did'
    ceph.stop_gateway()
    time.sleep(seconds)
    ceph.start_gateway()
    out, err = process.communicate(timeout=180)
    assert process.returncode == DONE and 'trying again' in err, out + err
    assert_same_tree(world.base / 'tree', world.restored() / 'tree')


def test_it_gives_up_in_the_time_that_was_set(bucket, host):
    world = host('one', bucket)
    world.ok('init', 'disk')
    world.sink(endpoint='http://127.0.0.1:9', retry_for='2s')
    result = world.fails(FAILURES, 'run', 'job')
    assert 'is the store running' in result.text, result


def test_a_stopped_run_does_not_wait(bucket, host):
    world = host('one', bucket)
    world.ok('init', 'disk')
    world.sink(endpoint='http://127.0.0.1:9')
    result = execute(['timeout', '-s', 'INT', '2', *world.command('run', 'job')], timeout=30)
    assert result.status in (124, 130), result


# ---- far away ------------------------------------------------------------------------------------------------------------

def test_manifests_of_a_far_store_are_read_side_by_side(ceph, bucket, host):
    world = host('one', bucket)
    world.ok('init', 'disk')
    for _ in range(16):
        world.ok('run', 'job')
    at_once = []
    for options in ({}, {'parallel': 1}):
        proxy = LatencyProxy(ceph.port, 0.25)
        world.sink(endpoint=proxy.endpoint, **options)
        assert len(world.snapshots()) == 16
        proxy.stop()
        at_once.append(proxy.most_asking)
    assert at_once[0] > 2 and at_once[1] == 1, at_once


@pytest.mark.parametrize('parallel', [2, pytest.param(16, marks=pytest.mark.long)])
def test_a_restore_reads_ahead(ceph, bucket, host, parallel):
    """What is wanted is under way before it is wanted: a far store is read in less time than one request after another takes."""
    world = host('one', bucket, parallel=parallel)
    (world.base / 'tree' / 'large').write_bytes(random.Random(parallel).randbytes(64_000_000))
    world.ok('init', 'disk')
    world.ok('run', 'job')
    seconds = 0.25
    proxy = LatencyProxy(ceph.port, seconds)

    def restored(connections: int) -> float:
        world.sink(endpoint=proxy.endpoint, parallel=connections)
        before = time.monotonic()
        assert_same_tree(world.base / 'tree', world.restored(name=f'restored{connections}') / 'tree')
        return time.monotonic() - before
    alone, together = restored(1), restored(parallel)
    proxy.stop()
    # One connection takes 16 ranges of 4 MiB in turn; two take them 8 MiB at a time, one of them while the other is used.
    assert together < alone - 5 * seconds, f'{together:.2f} s, {alone:.2f} s with one connection'


# ---- rights --------------------------------------------------------------------------------------------------------------

def test_credentials_that_only_add(ceph, bucket, host):
    world = host('one', bucket)
    world.ok('init', 'disk')
    ceph.user('adder', 'AKADD', 'add-secret') if 'adder' not in ceph.run('radosgw-admin', 'user', 'list') else None
    resources = [f'arn:aws:s3:::{bucket.bucket}', f'arn:aws:s3:::{bucket.bucket}/*']
    policy = {'Version': '2012-10-17', 'Statement': [{
        'Effect': 'Allow', 'Principal': {'AWS': ['arn:aws:iam:::user/adder']}, 'Resource': resources,
        'Action': ['s3:ListBucket', 's3:GetObject', 's3:PutObject', 's3:AbortMultipartUpload']}]}
    bucket.client.request('PUT', f'/{bucket.bucket}', {'policy': ''}, json.dumps(policy).encode())
    secret = world.base / 'adder'
    secret.write_text('add-secret')
    secret.chmod(0o600)
    world.sink(access_key='AKADD', secret_key=f'@file:{secret}')
    checked = world.ok('check').text
    assert 'may put' in checked and 'may not remove' in checked, checked
    world.ok('run', 'job')
    random_file(world.base / 'tree' / 'more', 3_000_000)
    world.ok('run', 'job')
    assert_same_tree(world.base / 'tree', world.restored() / 'tree')


@pytest.mark.parametrize('options, words', [
    ({'secret_key': 'nonsense'}, ['secret_key']), ({'access_key': 'NOBODY'}, ['access_key']),
    ({'bucket': 'there-is-none'}, ['cofre init']), ({'endpoint': 'ftp://x'}, ['https://HOST']),
    ({'endpoint': 'https://127.0.0.1:{port}', 'retry_for': '1s'}, ['https', 'http']), ({'bucket': 'no/name'}, ['bucket']),
], ids=lambda value: next(iter(value)) if isinstance(value, dict) else '')
def test_what_is_wrong_is_named(ceph, bucket, host, options, words):
    world = host('one', bucket)
    world.ok('init', 'disk')
    options = {name: value.format(port=ceph.port) for name, value in options.items()}
    if 'secret_key' in options:
        (world.base / 'wrong').write_text(options['secret_key'])
        (world.base / 'wrong').chmod(0o600)
        options['secret_key'] = f'@file:{world.base / "wrong"}'
    world.sink(**options)
    result = world.fails(FAILURES, 'run', 'job')
    assert all(word in result.text for word in words), result


def test_a_certificate_that_nobody_knows(bucket, host, tmp_path):
    world = host('one', bucket)
    certificate, key = tmp_path / 'cert.pem', tmp_path / 'cert.key'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', certificate, '-days',
                    '2', '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'], check=True,
                   capture_output=True)
    server = BadS3()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    secret = world.base / 'bad'
    secret.write_text(bad_s3.SECRET)
    secret.chmod(0o600)
    options = {'endpoint': server.endpoint.replace('http:', 'https:'), 'access_key': bad_s3.ACCESS,
               'secret_key': f'@file:{secret}', 'region': bad_s3.REGION}
    world.sink(**options)
    result = world.fails(FAILURES, 'init', 'disk')
    assert 'ca_file' in result.text, result
    world.sink(ca_file=certificate, **options)
    world.ok('init', 'disk')
    world.ok('run', 'job')
    assert_same_tree(world.base / 'tree', world.restored() / 'tree')
    server.stop()


# ---- parts ---------------------------------------------------------------------------------------------------------------

def test_uploads_in_parts(ceph, bucket, binary):
    bucket.client.make_bucket(bucket.bucket)
    bucket.client.request('POST', f'/{bucket.bucket}/p/left/over', {'uploads': ''})
    bucket.client.request('POST', f'/{bucket.bucket}/elsewhere', {'uploads': ''})
    assert len(bucket.client.uploads(bucket.bucket)) == 2

    def sinkdo(*words):
        return execute([binary.parent / 'tests/sinkdo', binary.parent / 'plugins', 's3', 3000, f'bucket={bucket.bucket}',
                        'prefix=p', f'endpoint={ceph.endpoint}', f'access_key={ACCESS}', f'secret_key={SECRET}',
                        'part_size=5MiB', '--', *words])
    # Another host may be making them right now.
    assert sinkdo('sweep', 9_000_000_000_000_000_000).status == 0
    assert len(bucket.client.uploads(bucket.bucket)) == 2
    for size in (0, 1, 5 << 20, (5 << 20) + 1, 23_000_000):
        assert sinkdo('stream', 'a/stream', size).status == 0
        assert sinkdo('pieces', 'a/stream', size).status == 0
    assert sinkdo('put', 'a/known', 70 << 20).status == 0
    assert sinkdo('get', 'a/known', 70 << 20).status == 0
    assert len(bucket.client.uploads(bucket.bucket)) == 2


# ---- Object Lock ---------------------------------------------------------------------------------------------------------

def retained(bucket: BucketStore) -> dict[str, str]:
    found = {}
    for stored in bucket.objects():
        text = bucket.client.request('GET', f'/{bucket.bucket}/{stored.key}', {'retention': ''})[1].decode()
        found[stored.key] = text.partition('<RetainUntilDate>')[2].partition('<')[0]
    return found


def test_what_is_written_is_locked(ceph, bucket, host):
    world = host('one', bucket, lock='1h', lock_mode='governance')
    world.ok('init', 'disk')
    world.ok('run', 'job')
    first = retained(bucket)
    assert first and all(first.values()), first
    assert 'Object Lock' in world.ok('check').text


def test_what_is_used_again_stays_locked(ceph, bucket, host):
    world = host('one', bucket, lock='1h', lock_mode='governance')
    random_file(world.base / 'tree' / 'old', 3_000_000)
    world.ok('init', 'disk')
    world.ok('run', 'job')
    random_file(world.base / 'tree' / 'gone later', 20_000_000)
    world.ok('run', 'job')
    before = retained(bucket)
    (world.base / 'tree' / 'gone later').unlink()
    world.sink(**{'lock': '3h', 'lock_mode': 'governance'})
    world.ok('run', 'job')
    after = retained(bucket)
    longer = {key for key, until in before.items() if after[key] > until}
    needed = {key for key in before if key.startswith('packs')}
    assert 'config' in longer and longer & needed, (before, after)
    assert needed - longer, 'also what nobody needs any more was extended'
    world.ok('run', 'job')
    assert {key: until for key, until in retained(bucket).items() if key in after and key.startswith('packs') and key in longer} == {
        key: until for key, until in after.items() if key in longer and key.startswith('packs')}, 'extended again at once'


def test_lock_needs_a_bucket_that_can(ceph, bucket, host):
    bucket.client.make_bucket(bucket.bucket)
    world = host('one', bucket, lock='1h')
    assert 'Object Lock' in world.fails(FAILURES, 'init', 'disk').text


# ---- credentials ---------------------------------------------------------------------------------------------------------

@pytest.fixture
def store():
    server = BadS3()
    yield server
    server.stop()


@pytest.fixture
def listed(store, binary, tmp_path):
    """Lists with these variables and options; the number of requests that it took, or the failure."""
    def run(environment: dict, **options):
        options = {'bucket': 'b', 'endpoint': store.endpoint, 'region': bad_s3.REGION} | options
        environment = {'AWS_EC2_METADATA_DISABLED': 'true',
                       'AWS_SHARED_CREDENTIALS_FILE': str(tmp_path / 'none')} | environment
        return execute([binary.parent / 'tests/sinkdo', binary.parent / 'plugins', 's3', 1000,
                        *(f'{name}={value}' for name, value in options.items()), '--', 'list', ''],
                       env=CLEAN | environment)
    return run


GOOD = {'AWS_ACCESS_KEY_ID': bad_s3.ACCESS, 'AWS_SECRET_ACCESS_KEY': bad_s3.SECRET}
WRONG = {'AWS_ACCESS_KEY_ID': bad_s3.ACCESS, 'AWS_SECRET_ACCESS_KEY': 'wrong'}


def profile_file(tmp_path, mode=0o600):
    path = tmp_path / 'credentials'
    path.write_text(f'[default]\naws_access_key_id = {bad_s3.ACCESS}\naws_secret_access_key = wrong\n\n[backup]\n'
                    f'aws_access_key_id={bad_s3.ACCESS}\naws_secret_access_key={bad_s3.SECRET}\n')
    path.chmod(mode)
    return {'AWS_SHARED_CREDENTIALS_FILE': str(path)}


def test_credentials_of_section_and_environment(listed):
    assert listed(GOOD).status == 0
    assert listed(WRONG).status == 1
    assert listed(WRONG, access_key=bad_s3.ACCESS, secret_key=bad_s3.SECRET).status == 0
    assert 'secret_key is missing' in listed(GOOD, access_key=bad_s3.ACCESS).text
    assert 'no credentials' in listed({}).text


def test_credentials_of_a_profile(listed, tmp_path):
    file = profile_file(tmp_path)
    assert listed(file).status == 1
    assert listed(file, profile='backup').status == 0
    assert listed(file | {'AWS_PROFILE': 'backup'}).status == 0
    assert listed(file | WRONG, profile='backup').status == 0
    assert "no profile 'other'" in listed(file, profile='other').text
    assert 'chmod 0600' in listed(profile_file(tmp_path, 0o644), profile='backup').text


@pytest.mark.parametrize('kind', ['machine', 'container'])
def test_credentials_of_the_surroundings(listed, kind):
    server = Metadata(bad_s3.ACCESS, bad_s3.SECRET, 3600)
    variables = {'machine': {'AWS_EC2_METADATA_DISABLED': 'false', 'AWS_EC2_METADATA_SERVICE_ENDPOINT': server.endpoint},
                 'container': {'AWS_CONTAINER_CREDENTIALS_FULL_URI': f'{server.endpoint}/container',
                               'AWS_CONTAINER_AUTHORIZATION_TOKEN': 'of the container'}}[kind]
    assert listed(variables).status == 0, server.seen
    assert len(server.seen) == (3 if kind == 'machine' else 1)
    far = {'AWS_CONTAINER_CREDENTIALS_FULL_URI': 'http://192.0.2.1/container'}
    assert 'without https' in listed(far).text
    server.stop()


def test_credentials_are_fetched_again_before_they_expire(store, listed):
    """Of two pages, each needs fresh ones, since these are about to end."""
    server = Metadata(bad_s3.ACCESS, bad_s3.SECRET, 120)
    store.store.objects = {f'k{number}': b'' for number in range(4)}
    store.store.page = 2
    result = listed({'AWS_CONTAINER_CREDENTIALS_FULL_URI': f'{server.endpoint}/container',
                     'AWS_CONTAINER_AUTHORIZATION_TOKEN': 'of the container'})
    assert result.status == 0 and 'k3' in result.out, result
    assert len(server.seen) == 2
    server.stop()


def test_expired_credentials_are_fetched_again(store, listed):
    server = Metadata(bad_s3.ACCESS, bad_s3.SECRET, 3600)
    store.faults.append(bad_s3.Fault('list', bad_s3.error(400, 'ExpiredToken')))
    result = listed({'AWS_CONTAINER_CREDENTIALS_FULL_URI': f'{server.endpoint}/container',
                     'AWS_CONTAINER_AUTHORIZATION_TOKEN': 'of the container'})
    assert result.status == 0 and len(server.seen) == 2, result
    server.stop()
