"""The reference decoder against a repository that the codecs of core/store wrote (sample.c)."""
import os
import shutil
import stat
import subprocess
import sys

import pytest

SAMPLE, DECODER = os.environ["REPOSITORY_SAMPLE"], os.environ["DECODER"]
SNAPSHOT = "web1/nightly/20261120T020000Z-ab12cd"
TIME = 1700000000123456789
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="takes root")


def make(directory, *args):
    subprocess.run([SAMPLE, str(directory), *args], check=True)
    return directory


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return make(tmp_path_factory.mktemp("sample"))


def decode(sample, *args, key=True, status=0):
    command = [sys.executable, DECODER, sample / "repository", *(("--key", sample / "full.key") if key else ()), *args]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == status, done.stderr
    assert (status == 0) == ("error:" not in done.stderr)
    assert "Traceback" not in done.stderr
    return done


def test_list(sample):
    assert decode(sample, "list").stdout == f"{SNAPSHOT} incomplete 1 files,gymdb,cache\n"


def large():
    content = bytes(((i * 2654435761) & 0xFFFFFFFF) >> 24 for i in range(3 << 20))
    return content + content[7:8] + bytes(5 << 20) + content[1:4]


@root_only
@pytest.mark.parametrize("options", [[], ["--no-index"]])
def test_restore(sample, tmp_path, options):
    done = decode(sample, *options, "restore", SNAPSHOT, tmp_path)
    assert "missing: cache: connection refused" in done.stderr
    assert "unreadable" in done.stderr and "socket" in done.stderr
    files = os.fsencode(tmp_path / "files")
    first = {b"dir", b"dir.empty", b"fifo", b"large", b"link", b"null", b"\xff name\n%", b"\xff"}
    assert set(os.listdir(files)) == first
    assert len(os.listdir(files + b"/\xff")) == 9000
    assert open(files + b"/\xff name\n%", "rb").read() == b"world\n"
    assert open(files + b"/large", "rb").read() == large()
    assert os.stat(files + b"/large").st_blocks * 512 < 4 << 20
    assert os.readlink(files + b"/link") == b"../\xff nowhere"
    st = os.stat(files + b"/dir/file")
    assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode), st.st_mtime_ns) == (1234, 5678, 0o4751, TIME)
    assert st.st_ino == os.stat(files + b"/dir/hard").st_ino
    assert os.getxattr(files + b"/dir/file", "user.note") == b"v\0\xff"
    assert open(files + b"/dir/file", "rb").read() == b"hello\n"
    assert os.stat(files + b"/dir").st_mtime_ns == TIME and stat.S_IMODE(os.stat(files + b"/dir").st_mode) == 0o750
    assert os.stat(files).st_mtime_ns == TIME
    assert stat.S_ISFIFO(os.stat(files + b"/fifo").st_mode)
    assert os.stat(files + b"/null").st_rdev == os.makedev(1, 3)
    assert (tmp_path / "gymdb" / "gym.dump").read_bytes() == b"-- a dump"


def test_one_source(sample, tmp_path):
    decode(sample, "restore", SNAPSHOT, tmp_path, "--source", "gymdb")
    assert os.listdir(tmp_path) == ["gymdb"]
    decode(sample, "restore", SNAPSHOT, tmp_path, "--source", "nothing", status=1)


def test_no_encryption(tmp_path):
    (tmp_path / "plain").mkdir()
    plain = make(tmp_path / "plain", "none")
    decode(plain, "restore", SNAPSHOT, tmp_path / "out", "--source", "gymdb", key=False)
    assert (tmp_path / "out/gymdb/gym.dump").read_bytes() == b"-- a dump"


def test_wrong_key(sample, tmp_path):
    decode(sample, "list", key=False, status=1)
    (tmp_path / "other").mkdir()
    other = make(tmp_path / "other")
    shutil.rmtree(other / "repository")
    shutil.copytree(sample / "repository", other / "repository")
    decode(other, "list", status=1)


def objects(sample):
    return sorted(p.relative_to(sample) for p in (sample / "repository").rglob("*") if p.is_file())


def damaged(sample, tmp_path, change):
    """For each object a copy of the repository in which that object is changed."""
    for victim in objects(sample):
        copy = tmp_path / "copy"
        shutil.copytree(sample, copy)
        data = bytearray((copy / victim).read_bytes())
        (copy / victim).write_bytes(change(data))
        yield victim, copy
        shutil.rmtree(copy)


def flip(data):
    data[len(data) // 2] ^= 1
    return data


def cut(data):
    return data[:-1]


@pytest.mark.parametrize("change", [flip, cut, lambda data: data + b"\n", lambda data: b""])
def test_damage(sample, tmp_path, change):
    """Whatever object is damaged, and however: an error that is no traceback; never a wrong file. What an index object
    said is found in the packs."""
    assert len(objects(sample)) == 5
    for victim, copy in damaged(sample, tmp_path, change):
        is_index = "index" in victim.parts
        for options in ([],) if is_index else ([], ["--no-index"]):
            decode(copy, *options, "restore", SNAPSHOT, tmp_path / "out", status=0 if is_index else 1)
            shutil.rmtree(tmp_path / "out", ignore_errors=True)


def test_moved_manifest(sample, tmp_path):
    shutil.copytree(sample, tmp_path / "copy")
    snapshots = tmp_path / "copy/repository/snapshots"
    (snapshots / "web1").rename(snapshots / "web2")
    assert "another manifest" in decode(tmp_path / "copy", "list", status=1).stderr
