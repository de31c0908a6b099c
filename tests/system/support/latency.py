"""A TCP proxy that makes the way longer: every byte arrives some time later than it was sent."""
from __future__ import annotations

import asyncio
import threading

from .ports import free_port


class LatencyProxy:
    """From a port of its own to another port of this machine; a round trip takes `seconds` more."""

    def __init__(self, target: int, seconds: float) -> None:
        self.port, self.target, self.delay = free_port(), target, seconds / 2
        self.loop = asyncio.new_event_loop()
        started = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self.thread.start()
        assert started.wait(10)

    @property
    def endpoint(self) -> str:
        return f'http://127.0.0.1:{self.port}'

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(asyncio.start_server(self._serve, '127.0.0.1', self.port, limit=1 << 20))
        started.set()
        self.loop.run_forever()
        self.loop.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Reading goes on while what was read waits for its time."""
        queue: asyncio.Queue = asyncio.Queue(maxsize=64)

        async def write() -> None:
            while True:
                due, data = await queue.get()
                await asyncio.sleep(max(0.0, due - self.loop.time()))
                if not data:
                    break
                writer.write(data)
                await writer.drain()
            writer.close()

        task = asyncio.ensure_future(write())
        try:
            while data := await reader.read(1 << 18):
                await queue.put((self.loop.time() + self.delay, data))
        except ConnectionError:
            pass
        await queue.put((self.loop.time() + self.delay, b''))
        await asyncio.gather(task, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The connection itself takes a round trip.
        await asyncio.sleep(2 * self.delay)
        try:
            there, back = await asyncio.open_connection('127.0.0.1', self.target, limit=1 << 20)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._pump(reader, back), self._pump(there, writer), return_exceptions=True)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self.loop)
        self.thread.join(10)

    async def _end(self) -> None:
        """Whoever is still connected is left behind in good order."""
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        self.loop.stop()
