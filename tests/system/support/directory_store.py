"""Objects as files of this machine, for the tests: what is there, and how to damage it (see stores.py)."""
from __future__ import annotations

import os
import shutil
from pathlib import Path


class DirectoryStore:
    """Objects are files below a directory of this machine, under their keys: the sink `local`, and whatever leads there."""

    def __init__(self, root: Path, **options: object) -> None:
        self.root, self.extra = Path(root), options or {'plugin': 'local', 'path': root}

    def options(self) -> dict[str, object]:
        """Of a sink's section, less key and encryption."""
        return dict(self.extra)

    def object(self, key: str):
        return self.root / key

    def objects(self, kind: str = '') -> list:
        """All whose key begins with kind, in their order."""
        found = (Path(d) / f for d, _, files in os.walk(self.root) for f in files if not d.endswith('/.tmp'))
        return sorted(p for p in found if str(p.relative_to(self.root)).startswith(kind))

    def keep(self) -> None:
        """Remember the state, for reset."""
        shutil.copytree(self.root, self.kept)

    def reset(self) -> None:
        shutil.rmtree(self.root)
        shutil.copytree(self.kept, self.root)

    @property
    def kept(self) -> Path:
        return self.root.with_name(self.root.name + '.kept')

    def as_directory(self) -> Path:
        """The objects as files, for tools that can read nothing else."""
        return self.root
