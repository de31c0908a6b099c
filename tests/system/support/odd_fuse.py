#!/usr/bin/python3
"""A directory shown through FUSE, with the faults that shares of the real world have.

odd_fuse.py ROOT MOUNTPOINT FAULT...   stays in the foreground; FAULT is one of

list-twice      each name is listed twice                 list-fails        listing a directory fails (EIO)
listxattr-fails names of attributes cannot be read (EIO)  getxattr-fails    values cannot be read (EIO)
new-inodes      other inode numbers at each mount         small-attributes  values above 100 bytes are refused (ENOSPC)
no-mode no-owner no-attributes no-links                   what the names say is refused (EPERM; attributes: ENOTSUP)
"""
import errno
import os
import random
import sys

import fusepy

STAT = ('st_mode', 'st_nlink', 'st_uid', 'st_gid', 'st_size', 'st_ino', 'st_blocks')


class Mirror(fusepy.Operations):
    use_ns = True

    def __init__(self, root: str, faults: set[str]) -> None:
        self.root, self.faults = root, faults
        self.shift = random.getrandbits(20) << 32 if 'new-inodes' in faults else 0

    def __call__(self, operation, path, *arguments):
        if not hasattr(self, operation):
            raise fusepy.FuseOSError(errno.ENOSYS)
        try:
            return getattr(self, operation)(self.root + path, *arguments)
        except OSError as error:
            raise fusepy.FuseOSError(error.errno) from None

    def refuse(self, fault: str, number: int = errno.EPERM) -> None:
        if fault in self.faults:
            raise OSError(number, fault)

    def init(self, _):
        pass

    def destroy(self, _):
        pass

    def access(self, *_):
        pass

    def getattr(self, path, _=None):
        st = os.lstat(path)
        shown = {name: getattr(st, name) for name in STAT}
        times = {'st_mtime': st.st_mtime_ns, 'st_ctime': st.st_ctime_ns, 'st_atime': st.st_atime_ns}
        return shown | times | {'st_ino': st.st_ino + self.shift}

    def readdir(self, path, _):
        self.refuse('list-fails', errno.EIO)
        times = 2 if 'list-twice' in self.faults else 1
        return ['.', '..'] + [name for name in os.listdir(path) for _ in range(times)]

    def readlink(self, path):
        return os.readlink(path)

    def listxattr(self, path):
        self.refuse('no-attributes', errno.ENOTSUP)
        self.refuse('listxattr-fails', errno.EIO)
        return os.listxattr(path, follow_symlinks=False)

    def getxattr(self, path, name, _=0):
        self.refuse('no-attributes', errno.ENOTSUP)
        self.refuse('getxattr-fails', errno.EIO)
        return os.getxattr(path, name, follow_symlinks=False)

    def setxattr(self, path, name, value, _options, _=0):
        self.refuse('no-attributes', errno.ENOTSUP)
        if len(value) > 100:
            self.refuse('small-attributes', errno.ENOSPC)
        os.setxattr(path, name, value, follow_symlinks=False)

    def removexattr(self, path, name):
        self.refuse('no-attributes', errno.ENOTSUP)
        os.removexattr(path, name, follow_symlinks=False)

    def open(self, path, flags):
        return os.open(path, flags & ~os.O_DIRECT)

    def create(self, path, mode, _=None):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def read(self, _path, size, offset, handle):
        return os.pread(handle, size, offset)

    def write(self, _path, data, offset, handle):
        return os.pwrite(handle, data, offset)

    def truncate(self, path, length, _=None):
        os.truncate(path, length)

    def flush(self, *_):
        pass

    def release(self, _path, handle):
        os.close(handle)

    def fsync(self, _path, _data, handle):
        os.fsync(handle)

    def mkdir(self, path, mode):
        os.mkdir(path, mode)

    def rmdir(self, path):
        os.rmdir(path)

    def unlink(self, path):
        os.unlink(path)

    def rename(self, old, new):
        os.rename(old, self.root + new)

    def link(self, new, old):
        self.refuse('no-links')
        os.link(self.root + old, new)

    def symlink(self, new, target):
        self.refuse('no-links')
        os.symlink(target, new)

    def mknod(self, path, mode, device):
        os.mknod(path, mode, device)

    def chmod(self, path, mode):
        self.refuse('no-mode')
        os.chmod(path, mode)

    def chown(self, path, user, group):
        self.refuse('no-owner')
        os.lchown(path, user, group)

    def utimens(self, path, times):
        os.utime(path, ns=times, follow_symlinks=False)

    def statfs(self, path):
        st = os.statvfs(path)
        return {name: getattr(st, name) for name in dir(st) if name.startswith('f_') and name != 'f_fsid'}


fusepy.FUSE(Mirror(sys.argv[1], set(sys.argv[3:])), sys.argv[2], foreground=True, nothreads=True, allow_other=True,
            use_ino=True, attr_timeout=0, entry_timeout=0)
