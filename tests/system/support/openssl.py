"""An authority of our own, and a certificate that it has signed."""
from __future__ import annotations

import subprocess
from pathlib import Path


def openssl(*words: object) -> None:
    subprocess.run(['openssl', *map(str, words)], check=True, capture_output=True)


def authority(place: Path, name: str) -> tuple[Path, Path, Path]:
    """The authority, the certificate of the host of this name or address, and its key: files in a new directory."""
    place.mkdir()
    new = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    ca, request, certificate, key = (place / name for name in ('ca.pem', 'request', 'certificate.pem', 'key.pem'))
    openssl('req', '-x509', *new, '-days', 2, '-subj', '/CN=authority', '-keyout', place / 'ca-key.pem', '-out', ca)
    openssl('req', *new, '-subj', '/CN=server', '-keyout', key, '-out', request)
    (place / 'names').write_text(f'subjectAltName={"IP" if name[0].isdigit() else "DNS"}:{name}\n')
    openssl('x509', '-req', '-in', request, '-CA', ca, '-CAkey', place / 'ca-key.pem', '-CAcreateserial', '-days', 2, '-extfile', place / 'names',
            '-out', certificate)
    return ca, certificate, key
