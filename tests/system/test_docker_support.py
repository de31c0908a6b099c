"""The daemon and the proxy that the other tests use: that they do what they say."""
import subprocess
from pathlib import Path

from support.docker import DOCKER, ENVIRONMENT, Dockerd, alive, docker, running_docker  # noqa: F401
from support.docker_proxy import DockerProxy, altered, cut, error, gone


def through(proxy, *words, **options):
    return subprocess.run([DOCKER, '-H', proxy.address, *words], env=ENVIRONMENT, capture_output=True, timeout=60, check=False, **options)


def test_nothing_is_left_of_a_daemon():
    with Dockerd() as daemon:
        daemon.run('one', 'tiny', '-v', 'vol:/v', command=('sh', '-c', 'echo x >/v/x; exec sleep 1000'))
        daemon.run('two', 'tiny')
        daemon('pause', 'two')
        pids = [daemon.inspect(name)['State']['Pid'] for name in ('one', 'two')]
        assert daemon.states() == {'one': 'running', 'two': 'paused'}
        assert (daemon.files('vol') / 'x').read_text() == 'x\n'
        daemon.process.kill()  # it cannot clean up
        daemon.process.wait()
    assert not daemon.base.exists() and str(daemon.base) not in Path('/proc/mounts').read_text()
    assert not [pid for pid in pids if alive(str(pid))]


def test_the_proxy_passes_everything_on(docker):  # noqa: F811
    with DockerProxy(docker.socket) as proxy:
        assert through(proxy, 'run', '--network=none', '--name', 'cc', '-d', docker.image('tiny')).returncode == 0
        done = through(proxy, 'exec', '-i', 'cc', 'sh', '-c', 'cat; echo e >&2; exit 7', input=b'x' * 3_000_000)
        assert (done.returncode, len(done.stdout), done.stderr) == (7, 3_000_000, b'e\n')
        tar = through(proxy, 'cp', 'cc:/etc', '-').stdout
        assert through(proxy, 'cp', '-', 'cc:/tmp', input=tar).returncode == 0
        assert docker('exec', 'cc', 'cat', '/tmp/etc/passwd') == docker('exec', 'cc', 'cat', '/etc/passwd')
        assert proxy.requests('PUT', '^/containers/cc/archive') and proxy.requests('POST', '^/exec/.*/start')


def test_the_proxy_does_what_it_is_told(docker):  # noqa: F811
    docker.run('cc', 'tiny')
    with DockerProxy(docker.socket, tcp=True) as proxy:
        proxy.fault('GET', '^/containers/cc/json', error(500, 'as told'), times=1)
        assert b'as told' in through(proxy, 'inspect', 'cc').stderr
        proxy.fault('GET', '^/containers/cc/json', altered(lambda one: {**one, 'Name': 'other'}), times=1)
        assert b'"other"' in through(proxy, 'inspect', 'cc').stdout
        proxy.fault('GET', '/archive', cut(1000), times=1)
        assert b'unexpected EOF' in through(proxy, 'cp', 'cc:/bin', '-').stderr
        assert proxy.told == 3 and through(proxy, 'inspect', 'cc').returncode == 0
        proxy.fault('GET', '', gone())
        assert through(proxy, 'inspect', 'cc').returncode == 1
        assert through(proxy, 'inspect', 'cc').returncode == 1 and proxy.told == 4
        proxy.well()
        proxy.come()
        assert through(proxy, 'inspect', 'cc').returncode == 0


def test_certificates_are_asked_for():
    with Dockerd(tls=True) as daemon:
        address = ['-H', f'tcp://127.0.0.1:{daemon.port}']
        files = [f'--tls{name}={daemon.certificates}/{file}.pem' for name, file in (('cacert', 'ca'), ('cert', 'cert'), ('key', 'key'))]
        for words, status in (([], 1), (['--tls', files[0]], 1), (['--tlsverify', *files], 0)):
            done = subprocess.run([DOCKER, *address, *words, 'ps'], env=ENVIRONMENT, capture_output=True, timeout=60, check=False)
            assert done.returncode == status, done.stderr
