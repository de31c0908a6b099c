"""Ports for servers that the tests start."""
from __future__ import annotations

import random
import socket

# Below those that the kernel gives to clients (ip_local_port_range): while a server is down for a moment nobody else gets
# its port, not even the one that tries to reach it.
CHOICE = range(20000, 32000)


def free_port() -> int:
    while True:
        port = random.choice(CHOICE)
        with socket.socket() as probe:
            if probe.connect_ex(('127.0.0.1', port)) != 0:
                return port
