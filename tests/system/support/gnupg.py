"""A keyring of its own, made by gpg itself, and what gpg says of files; nothing of cofre is used."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path


class Gnupg:
    """A home directory of gpg. Its path is short, since the agent's socket is in it."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix='cofre-gpg-', dir='/tmp'))
        self.home.chmod(0o700)

    def __call__(self, *words: object, data: bytes | None = None, check: bool = True) -> subprocess.CompletedProcess:
        return subprocess.run(self.command(*words), input=data if data is not None else b'', capture_output=True,
                              check=check, timeout=60)

    def command(self, *words: object) -> list[str]:
        return [str(w) for w in ('gpg', '--homedir', self.home, '--batch', '--no-tty', '--pinentry-mode', 'loopback',
                                 '--trust-model', 'always', *words)]

    def generate(self, name: str, expire: str = 'never', passphrase: str = '', when: str = '') -> str:
        """A key that signs, with a subkey that encrypts; its fingerprint."""
        # '!': the clock stands still, or the second call would begin before the key of the first was made.
        words = ['--passphrase', passphrase] + (['--faked-system-time', f'{when}!'] if when else [])
        self(*words, '--quick-generate-key', f'{name} <{name}@example.org>', 'ed25519', 'sign', expire)
        fingerprint = self.fingerprint(name)
        self(*words, '--quick-add-key', fingerprint, 'cv25519', 'encr', expire)
        return fingerprint

    def fingerprint(self, name: str) -> str:
        listing = self('--with-colons', '--fingerprint', name).stdout.decode()
        return re.search(r'^fpr:+([0-9A-F]{40}):', listing, re.M)[1]

    def revoke(self, fingerprint: str) -> None:
        certificate = (self.home / 'openpgp-revocs.d' / f'{fingerprint}.rev').read_text()
        self('--import', data=certificate.replace(':-----BEGIN', '-----BEGIN').encode())

    def give(self, other: 'Gnupg', *names: str, secret: bool = False) -> None:
        kind = '--export-secret-keys' if secret else '--export'
        other('--import', data=self(kind, *names).stdout)

    def decrypt(self, path: Path, passphrase: str | None = None) -> bytes:
        return self(*(['--passphrase', passphrase] if passphrase else []), '--decrypt', path).stdout

    def packets(self, path: Path, passphrase: str | None = None) -> str:
        words = ['--passphrase', passphrase] if passphrase else []
        done = self(*words, '--list-packets', '--verbose', '--show-session-key', path, check=False)
        return (done.stdout + done.stderr).decode(errors='replace')

    def close(self) -> None:
        stop_agent(self.home)
        shutil.rmtree(self.home, ignore_errors=True)


def stop_agent(home: Path) -> None:
    """Before a home goes, so that no agent is left behind."""
    if os.path.isdir(home):
        subprocess.run(['gpgconf', '--homedir', str(home), '--kill', 'gpg-agent'], capture_output=True, check=False, timeout=30)


def another_gpg(place: Path, script: str) -> tuple[str, ...]:
    """What runs cofre where another gpg is installed; the real one is $real."""
    real, false = place / 'real-gpg', place / 'false-gpg'
    if not real.exists():
        shutil.copy2('/usr/bin/gpg', real)
    false.write_text(f'#!/bin/sh\nreal={real}\ncase "$*" in *--version*) exec $real "$@";; esac\n{script}\n')
    false.chmod(0o755)
    return ('unshare', '-m', 'sh', '-c', f'mount --bind {false} /usr/bin/gpg && exec "$@"', 'sh')


def quick_gpg(place: Path) -> tuple[str, ...]:
    """What runs cofre where gpg stretches a passphrase a thousandth as much: as cofre has it, each use takes a third of a second.
    That it is asked for the most there is shown in test_archive.py."""
    return another_gpg(place, 'exec $real --s2k-count 65536 "$@"')
