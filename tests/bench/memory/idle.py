#!/usr/bin/env python3
"""What an idle keep-alive connection costs a node in memory.

  idle.py [--connections 20000] [--tls [--http2]]

One node with one worker. Each connection sends one request and is then left open; the figure is how much the node's resident
memory has grown per connection, once all are idle. A first tenth is opened and closed before, so that what is made once is not
counted. No more connections than the system's hard limit of descriptors allows.
"""
import argparse
import os
import resource
import socket
import ssl
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
sys.path.insert(0, str(ROOT / 'tests' / 'system'))
sys.path.insert(0, str(ROOT / 'tests' / 'support'))
from ca import make_ca  # noqa: E402
from harness import api, document, documents, gateway, route, standalone, team  # noqa: E402

HOST = 'idle.localhost'
REQUEST = b'GET /one HTTP/1.1\r\nHost: idle.localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n'


def resident_kib(pid):
    for line in Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('VmRSS:'):
            return int(line.split()[1])


# The preface, SETTINGS, and one request: GET, https, /, authority.
REQUEST_HTTP2 = (b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + b'\0\0\0\4\0\0\0\0\0' + b'\0\0%c\1\5\0\0\0\1' % (5 + len(HOST)) +
                 b'\x82\x87\x84\x41%c' % len(HOST) + HOST.encode())


def http2_answer(s):
    """Until the stream has ended, and the server's SETTINGS have their answer."""
    have = b''
    s.sendall(b'\0\0\0\4\1\0\0\0\0')
    while True:
        have += s.recv(4096)
        at = 0
        while len(have) >= at + 9:
            size, kind, flags = int.from_bytes(have[at:at + 3], 'big'), have[at + 3], have[at + 4]
            if kind in (0, 1) and flags & 1 and len(have) >= at + 9 + size:
                return
            at += 9 + size


def open_idle(target, count, context=None, http2=False):
    kept = []
    for _ in range(count):
        s = socket.create_connection(target, timeout=20)
        if context is not None:
            s = context.wrap_socket(s, server_hostname=HOST)
        if http2:
            s.sendall(REQUEST_HTTP2)
            http2_answer(s)
        else:
            s.sendall(REQUEST)
            assert s.recv(4096).startswith(b'HTTP/1.1 200')
        kept.append(s)
    return kept


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--connections', type=int, default=20_000)
    parser.add_argument('--tls', action='store_true')
    parser.add_argument('--http2', action='store_true')
    o = parser.parse_args()
    count = o.connections
    os.environ.setdefault('GW_BUILD_DIR', str(ROOT / 'build' / 'release'))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(count, hard - 500)
    test = standalone()
    try:
        test.start(nodes=('n1',), zones=('az-a',), workers=1, more={'n1': ['--max-connections', str(count + 1000)]})
        context, more, listener = None, [], {}
        if o.tls:
            ca = make_ca(test.folder / 'ca')
            context = ssl.create_default_context(cafile=str(ca.cert))
            context.set_alpn_protocols(['h2'] if o.http2 else ['http/1.1'])
            more = [document('Secret', 'idle', {'value': ca.issue([HOST]).pem.read_text()}),
                    document('Certificate', 'idle', {'hosts': [HOST], 'keyPairs': [{'secret': 'idle'}]})]
            listener = {'protocol': 'https', 'certificates': ['idle']}
        test.apply(documents(team('platform'), *more, gateway(listener=listener, limits={'maxConnectionsPerClient': 1_000_000, 'idleTimeout': '1h'}),
                             api('idle', [HOST]),
                             route('idle', 'idle', {'respond': {'status': 200, 'contentType': 'text/plain', 'body': 'ok'}})))
        target = test.targets()[0]
        pid = test.cluster.children['n1'].pid
        for s in open_idle(target, count // 10, context, o.http2):
            s.close()
        time.sleep(1)
        before = resident_kib(pid)
        kept = open_idle(target, count, context, o.http2)
        time.sleep(1)
        after = resident_kib(pid)
        print(f'{count} idle connections{" with TLS" if o.tls else ""}{", HTTP/2" if o.http2 else ""}: {(after - before) / count:.2f} KiB each (resident {before} → {after} KiB)')
        for s in kept:
            s.close()
    finally:
        test.doCleanups()


if __name__ == '__main__':
    main()
