"""What the README says works on a Debian that has nothing: its commands are run there as they stand, in order."""
import os
import re
import subprocess
from pathlib import Path

import pytest

from support.bare import Bare
from support.oracle import assert_same_tree, tree_state
from support.tree import plain_tree

TOP = Path(__file__).resolve().parents[2]
README = (TOP / 'README.md').read_text()
PLACE = 'root/cofre'


def commands(section: str) -> str:
    """Every command of a section."""
    text = re.search(rf'^## {re.escape(section)}\n(.*?)(?=^## |\Z)', README, re.M | re.S)[1]
    blocks = re.findall(r'^```(?:sh|console)\n(.*?)^```$', text, re.M | re.S)
    assert blocks, section
    return ''.join(blocks)


@pytest.fixture(params=['bookworm', pytest.param('trixie', marks=pytest.mark.long)])
def bare(request, tmp_path):
    bare = Bare(tmp_path / 'root', request.param)
    bare.put_project(PLACE)
    yield bare
    bare.remove()


def test_install_and_follow(bare):
    bare(f'cd /{PLACE}\n' + commands('Install'))
    uploads = bare.root / 'srv/gym/uploads'
    uploads.parent.mkdir(parents=True)
    plain_tree(uploads)
    (uploads / 'index.html').write_text('<h1>gym</h1>\n')
    bare('mkdir -p /mnt/nas /mnt/disk && cd /root\n' + commands('Set up') + commands('Get it back'))
    assert_same_tree(tree_state(uploads), bare.root / 'srv/restored/uploads')
    assert_same_tree(tree_state(uploads), bare.root / 'srv/yesterday/uploads')


@pytest.mark.long
def test_quickstart(bare):
    assert '\nDone.\n' in bare(f'/{PLACE}/tests/quickstart /etc')


LOCKED = '''#!/bin/sh
echo "$@" >>{log}
[ $(wc -l <{log}) -gt {times} ] || {{ echo 'E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt)'; exit 100; }}
exit {status}
'''


@pytest.mark.parametrize('times, status', [(0, 0), (1, 0), (1, 100)])
def test_apt_waits_for_another(tmp_path, times, status):
    log = tmp_path / 'log'
    (tmp_path / 'apt-get').write_text(LOCKED.format(log=log, times=times, status=status))
    (tmp_path / 'apt-get').chmod(0o755)
    done = subprocess.run([TOP / 'tests/apt-get', 'update'], check=False, env=os.environ | {'PATH': f'{tmp_path}:{os.environ["PATH"]}'})
    assert done.returncode == status
    assert len(log.read_text().splitlines()) == times + 1 and 'update' in log.read_text()
