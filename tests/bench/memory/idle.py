#!/usr/bin/env python3
"""What an idle keep-alive connection costs a node in memory.

  idle.py [--connections 20000]

One node with one worker. Each connection sends one request and is then left open; the figure is how much the node's resident
memory has grown per connection, once all are idle. A first tenth is opened and closed before, so that what is made once is not
counted. No more connections than the system's hard limit of descriptors allows.
"""
import argparse
import os
import resource
import socket
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
sys.path.insert(0, str(ROOT / 'tests' / 'system'))
from harness import api, documents, gateway, route, standalone, team  # noqa: E402

REQUEST = b'GET /one HTTP/1.1\r\nHost: idle.localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n'


def resident_kib(pid):
    for line in Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('VmRSS:'):
            return int(line.split()[1])


def open_idle(target, count):
    kept = []
    for _ in range(count):
        s = socket.create_connection(target, timeout=20)
        s.sendall(REQUEST)
        assert s.recv(4096).startswith(b'HTTP/1.1 200')
        kept.append(s)
    return kept


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--connections', type=int, default=20_000)
    count = parser.parse_args().connections
    os.environ.setdefault('GW_BUILD_DIR', str(ROOT / 'build' / 'release'))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(count, hard - 500)
    test = standalone()
    try:
        test.start(nodes=('n1',), zones=('az-a',), workers=1, more={'n1': ['--max-connections', str(count + 1000)]})
        test.apply(documents(team('platform'), gateway(limits={'maxConnectionsPerClient': 1_000_000}),
                             api('idle', ['idle.localhost']),
                             route('idle', 'idle', {'respond': {'status': 200, 'contentType': 'text/plain', 'body': 'ok'}})))
        target = test.targets()[0]
        pid = test.cluster.children['n1'].pid
        for s in open_idle(target, count // 10):
            s.close()
        time.sleep(1)
        before = resident_kib(pid)
        kept = open_idle(target, count)
        time.sleep(1)
        after = resident_kib(pid)
        print(f'{count} idle connections: {(after - before) / count:.2f} KiB each (resident {before} → {after} KiB)')
        for s in kept:
            s.close()
    finally:
        test.doCleanups()


if __name__ == '__main__':
    main()
