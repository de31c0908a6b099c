"""A real S3 service on loopback: Ceph on one node, with its data in memory. Up in about a second."""
from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

from .ports import free_port

ACCESS, SECRET = 'AKCOFRE', 'secret+of/the=tests'

CONFIGURATION = """
[global]
fsid = {fsid}
mon initial members = a
# a change is decided at once, and does not wait for others until a second is over
paxos propose interval = 0.02
paxos min wait = 0.01
mon host = v1:127.0.0.1:{mon}
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
run dir = {base}/run
log file = {base}/log/$name.log
admin socket = {base}/run/$name.asok
pid file = {base}/run/$name.pid
mon data = {base}/mon
osd data = {base}/osd
osd class load list = *
osd class default list = *
osd objectstore = memstore
memstore device bytes = 6442450944
mon data avail warn = 1
mon data avail crit = 0
mon osd full ratio = 0.99
debug ms = 0/0
debug osd = 0/0
debug mon = 0/0
debug rgw = 0/0
[client.rgw.a]
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw dns name = localhost
"""


def wait_for_port(port: int, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(('127.0.0.1', port)) == 0:
                return
        assert time.monotonic() < until, f'nothing listens on port {port}'
        time.sleep(0.05)


class Ceph:
    def __init__(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix='cofre-ceph-', dir='/tmp'))
        self.port, self.mon = free_port(), free_port()
        self.environment = os.environ | {'CEPH_CONF': str(self.base / 'ceph.conf')}
        for name in ('mon', 'osd', 'run', 'log'):
            (self.base / name).mkdir()
        (self.base / 'ceph.conf').write_text(CONFIGURATION.format(fsid=uuid.uuid4(), base=self.base, port=self.port,
                                                                 mon=self.mon))
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    @property
    def endpoint(self) -> str:
        return f'http://127.0.0.1:{self.port}'

    def run(self, *command: object) -> str:
        words = [str(word) for word in command]
        done = subprocess.run(words, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode == 0, f'{words}\n{done.stdout}{done.stderr}'
        return done.stdout

    def start(self) -> None:
        fsid = next(line for line in (self.base / 'ceph.conf').read_text().splitlines() if 'fsid' in line).split()[-1]
        monmap = self.base / 'monmap'
        self.run('monmaptool', '--create', '--addv', 'a', f'[v1:127.0.0.1:{self.mon}]', '--fsid', fsid, monmap)
        # The monitor knows its one OSD from the beginning, so that nobody has to tell it: commands of `ceph` are refused now and
        # then ('wrong fsid', or EPERM), because they forget the fsid while they fetch the monitor's settings and may be quicker
        # than the monitor map. An OSD does so as well, unless it starts without those settings.
        osdmap = self.base / 'osdmap'
        self.run('osdmaptool', '--createsimple', '1', osdmap)
        self.run('ceph-mon', '--mkfs', '-i', 'a', '--monmap', monmap, '--osdmap', osdmap)
        self.run('ceph-mon', '-i', 'a')
        self.run('ceph-osd', '-i', '0', '--mkfs', '--osd-uuid', uuid.uuid4())
        self.run('ceph-osd', '-i', '0', '--no-mon-config')
        self.start_gateway()
        self.user('tests', ACCESS, SECRET)

    def user(self, name: str, access: str, secret: str) -> None:
        self.run('radosgw-admin', 'user', 'create', f'--uid={name}', f'--display-name={name}', f'--access-key={access}',
                 f'--secret-key={secret}')

    def start_gateway(self) -> None:
        self.run('radosgw', '-n', 'client.rgw.a')
        wait_for_port(self.port)

    def stop_gateway(self) -> None:
        self.end('client.rgw.a', signal.SIGKILL)

    def end(self, name: str, number: int) -> None:
        file = self.base / 'run' / f'{name}.pid'
        if not file.exists() or not file.read_text().strip():
            return
        pid = int(file.read_text())
        try:
            os.kill(pid, number)
            for _ in range(500):
                # It may stay as a zombie: whoever adopted it need not be an init.
                if Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] == 'Z':
                    break
                time.sleep(0.01)
        except (ProcessLookupError, FileNotFoundError):
            pass
        file.unlink(missing_ok=True)

    def stop(self) -> None:
        for name in ('client.rgw.a', 'osd.0', 'mon.a'):
            self.end(name, signal.SIGKILL)
        shutil.rmtree(self.base, ignore_errors=True)
