"""A small disk whose power can be cut: an image file on a loop device, with ext4 or xfs on it.

    with Disk(directory, 'ext4') as disk:
        ... write below disk.path ...
        disk.cut()        # what was not made durable is gone
        disk.restart()    # the journal is replayed, the file system is there again

cut() is the file system's own shutdown request without a flush of the log: dirty pages and the open transaction are
thrown away, exactly what a power cut leaves to the journal. Needs root and loop devices.
"""
import fcntl
import os
import struct
import subprocess
import time
from pathlib import Path

# linux: FS_IOC_SHUTDOWN (ext4, xfs, f2fs) and its flag "do not flush the log".
SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2
PATIENCE = 120  # s

MAKE = {
    'ext4': (['mkfs.ext4', '-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0'], 128),
    'xfs': (['mkfs.xfs', '-q', '-f'], 320),
}


def run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


class Disk:
    def __init__(self, directory: Path, kind: str = 'ext4', megabytes: int = 0) -> None:
        command, least = MAKE[kind]
        self.image = Path(directory) / f'{kind}.img'
        self.path = Path(directory) / f'{kind}.mnt'
        self.path.mkdir(mode=0o700)
        with open(self.image, 'wb') as image:
            image.truncate(max(megabytes, least) << 20)
        run(*command, str(self.image))
        self.mounted = False

    def mount(self, options: str = 'loop') -> None:
        run('mount', '-o', options, str(self.image), str(self.path))
        self.mounted = True

    def unmount(self) -> None:
        if not self.mounted:
            return
        run('umount', str(self.path))
        self.mounted = False
        # A mount namespace that somebody made meanwhile holds it still; mounted again, it would be the same dead disk.
        until = time.monotonic() + PATIENCE
        while subprocess.run(['losetup', '-j', self.image], check=True, stdout=subprocess.PIPE).stdout:
            assert time.monotonic() < until, f'{self.image} is still in use after {PATIENCE} s'
            time.sleep(0.02)

    def cut(self) -> None:
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack('I', NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def restart(self) -> None:
        self.unmount()
        self.mount()

    def __enter__(self) -> 'Disk':
        self.mount()
        return self

    def __exit__(self, *_: object) -> None:
        self.unmount()
        self.image.unlink()
