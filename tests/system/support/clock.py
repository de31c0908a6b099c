"""Another clock for a command. It goes without the program of libfaketime, which leaves a semaphore behind when it is killed, and fails
when another process gets the same number."""
import time
from datetime import datetime
from pathlib import Path

[LIBRARY] = Path('/usr/lib').glob('*/faketime/libfaketime.so.1')
HOUR, DAY = 3600, 86400


def ahead(seconds: float) -> tuple[str, ...]:
    """The beginning of a command whose clock is so far ahead, or behind."""
    return 'env', f'LD_PRELOAD={LIBRARY}', f'FAKETIME={seconds:+.3f}s'


def at(when: float | str) -> tuple[str, ...]:
    """One that begins at that time: of the epoch, or as text in UTC."""
    return ahead((datetime.fromisoformat(f'{when}+00:00').timestamp() if isinstance(when, str) else when) - time.time())
