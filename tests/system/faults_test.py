#!/usr/bin/env python3
"""What networks and dying servers do, done by a proxy in front of the upstream: who is hurt, what is said, and what is left."""
import collections
import http.client
import os
import re
import socket
import sys
from pathlib import Path

from harness import ROOT, Load, SystemTest, api, backend, document, documents, gateway, main, route, team

sys.path.insert(0, str(ROOT / 'tests' / 'support'))
from fault_proxy import Fault, FaultProxy  # noqa: E402

HOST = 'faults.localhost'
LARGE = 300_000


class Faults(SystemTest):
    def begin(self, proxies=1, direct=0, workers=2, **upstream):
        """One node; targets behind `proxies`, and `direct` ones without."""
        self.start(nodes=('n1',), zones=('az-a',), workers=workers)
        self.proxies = [FaultProxy(self.sized_backend(f'proxied-{i}')) for i in range(proxies)]
        for proxy in self.proxies:
            self.addCleanup(proxy.close)
        ports = [p.port for p in self.proxies] + [self.backend(f'direct-{i}') for i in range(direct)]
        self.apply(documents(
            team('platform'), gateway(),
            document('Upstream', 'shaky', {'targets': [{'url': f'http://127.0.0.1:{p}'} for p in ports], **upstream}),
            api('all', [HOST]), route('all', 'all', 'shaky')))
        return self.proxies[0]

    def sized_backend(self, name):
        port = self.backend(name)
        self.backends[-1].RequestHandlerClass = Sized
        return port

    def ask(self, path='/', method='GET', body=None):
        """Status, reason of a problem document, and whether the answer is whole. Status 0: the connection ended without an answer."""
        address, port = self.targets()[0]
        connection = http.client.HTTPConnection(address, port, timeout=60)
        try:
            connection.request(method, path, body=body, headers={'Host': HOST})
            response = connection.getresponse()
            text = response.read()
        except http.client.IncompleteRead:
            return response.status, '', False
        except (ConnectionError, http.client.HTTPException) as error:
            if 'response' in locals():
                return response.status, '', False
            return 0, type(error).__name__, False
        finally:
            connection.close()
        found = re.search(rb'"reason": ?"([A-Z_]+)"', text)
        return response.status, found[1].decode() if found else '', True

    def settles(self):
        """The node has nothing in work, and no connection of a client's."""
        self.eventually('nothing is in work', lambda: self.metric('gw_http_active_requests') == 0)

    def well(self):
        self.proxies[0].fault = None
        self.eventually('it answers again', lambda: self.ask()[0] == 200)

    def test_an_upstream_that_dies_within_its_answer_is_never_taken_for_whole(self):
        proxy = self.begin()
        self.assertEqual(self.ask()[0], 200)
        for name, fault, path, expected in (
                ('reset within the head', Fault(after=10, then='reset'), '/', (502, 'UPSTREAM_RESET', True)),
                ('FIN within the head', Fault(after=10, then='close'), '/', (502, 'UPSTREAM_RESET', True)),
                ('garbage in place of an answer', Fault(after=0, then='garbage'), '/', (502, 'UPSTREAM_INVALID', True)),
                ('reset within the body', Fault(after=100_000, then='reset'), f'/bytes/{LARGE}', (200, '', False)),
                ('FIN within the body', Fault(after=100_000, then='close'), f'/bytes/{LARGE}', (200, '', False)),
                ('reset within chunks', Fault(after=100_000, then='reset'), f'/chunks/{LARGE}', (200, '', False)),
                ('FIN within chunks', Fault(after=100_000, then='close'), f'/chunks/{LARGE}', (200, '', False)),
                ('garbage within chunks', Fault(after=100_000, then='garbage'), f'/chunks/{LARGE}', (200, '', False))):
            with self.subTest(name):
                proxy.fault = fault
                self.assertEqual(self.ask(path), expected)
                self.settles()
        self.well()

    def test_an_upstream_that_says_nothing_is_given_up_by_its_timeouts(self):
        proxy = self.begin(timeouts={'firstByte': '300ms', 'idle': '300ms'})
        for name, fault, path, method, body, expected in (
                ('nothing comes', Fault(after=0, then='stall'), '/', 'GET', None, (504, 'UPSTREAM_TIMEOUT', True)),
                ('half a head', Fault(after=10, then='stall'), '/', 'GET', None, (504, 'UPSTREAM_TIMEOUT', True)),
                ('half a body', Fault(after=100_000, then='stall'), f'/bytes/{LARGE}', 'GET', None, (200, '', False)),
                ('half of the chunks', Fault(after=100_000, then='stall'), f'/chunks/{LARGE}', 'GET', None, (200, '', False)),
                ('a body that is not taken', Fault(take=1), '/', 'POST', b'x' * 9_000_000, (504, 'UPSTREAM_TIMEOUT', True))):
            with self.subTest(name):
                proxy.fault = fault
                self.assertEqual(self.ask(path, method, body), expected)
                self.settles()
        self.well()

    def test_slow_networks_lose_nothing(self):
        proxy = self.begin()
        proxy.fault = Fault(delay_s=0.05)
        self.assertEqual(self.ask(f'/bytes/{LARGE}'), (200, '', True))
        proxy.fault = Fault(bytes_per_s=1_000_000)
        self.assertEqual(self.ask(f'/bytes/{LARGE}'), (200, '', True))
        self.assertEqual(self.ask(f'/chunks/{LARGE}'), (200, '', True))

    def test_kept_connections_that_died_between_requests_cost_no_request(self):
        proxy = self.begin()
        with Load(self.targets(), lambda client, n: ('/', {'Host': HOST}), clients=4) as load:
            for _ in range(10):
                load.wait_more(20)
                self.eventually('a moment without a request', lambda: self.reset_idle(proxy))
        self.assertEqual(load.failures, [])

    def reset_idle(self, proxy):
        with proxy.lock:
            idle = [c for c in proxy.live if not c.asked and not c.client._closed]
        for connection in idle[:1]:
            if not connection.asked and connection.answering:
                connection.end('close')
                return True
        return False

    def test_a_target_that_dies_costs_at_most_what_was_in_work_there(self):
        proxy = self.begin(direct=1, retries={'attempts': 2, 'when': ['connectFailure']},
                           health={'passive': {'consecutive5xx': 3, 'ejectFor': '100ms', 'maxEjectFor': '100ms'}})
        with Load(self.targets(), lambda client, n: ('/', {'Host': HOST}), clients=8) as load:
            for _ in range(5):
                accepted = proxy.accepted
                self.eventually('the target has requests', lambda: proxy.accepted > accepted or proxy.in_work() > 0)
                load.wait_more(50)
                failed = load.counts()[1]
                proxy.die()
                load.wait_more(200)
                self.assertLessEqual(load.counts()[1] - failed, 8, load.failures)  # a client has one request in work
                proxy.revive()
        self.settles()

    def test_without_any_target_that_is_well_requests_are_refused_at_once_and_served_when_one_is_back(self):
        proxy = self.begin(proxies=2, health={'active': {'path': '/healthz', 'interval': '100ms', 'timeout': '1s', 'unhealthyAfter': 1, 'healthyAfter': 1}})
        self.assertEqual(self.ask()[0], 200)
        self.eventually('both are well', lambda: self.metric('gw_upstream_healthy_targets', upstream='platform/shaky') == 2)
        for p in self.proxies:
            p.die()
        self.eventually('none is well', lambda: self.metric('gw_upstream_healthy_targets', upstream='platform/shaky') == 0)
        status, reason, whole = self.ask()
        self.assertEqual((status, reason, whole), (503, 'NO_HEALTHY_ENDPOINT', True))
        self.eventually('describe shows both', lambda: self.gwctl.ok('describe', 'upstream', 'shaky').count('fails its probes') == 2)
        proxy.revive()
        self.eventually('one is back', lambda: self.ask()[0] == 200)

    def test_clients_that_leave_at_any_step_leave_nothing_behind(self):
        proxy = self.begin()
        self.assertEqual(self.ask()[0], 200)
        proxy.fault = Fault(bytes_per_s=200_000)
        pid = self.cluster.ready('n1').get('pid') or self.cluster.children['n1'].pid
        before = collections.Counter(kind for kind in self.descriptors(pid))
        head = f'HTTP/1.1\r\nHost: {HOST}\r\n'.encode()
        for step, parts in (
                ('connected', []), ('half a request line', [b'GET / HT']), ('half a head', [b'GET / ' + head]),
                ('half a body', [b'POST / ' + head + b'Content-Length: 500000\r\n\r\n' + b'x' * 200_000]),
                ('half a chunk', [b'POST / ' + head + b'Transfer-Encoding: chunked\r\n\r\n1000\r\nxxxx']),
                ('before the answer', [b'GET / ' + head + b'\r\n']),
                ('within the answer', [f'GET /bytes/{LARGE} '.encode() + head + b'\r\n', 1000]),
                ('within chunks', [f'GET /chunks/{LARGE} '.encode() + head + b'\r\n', 1000])):
            for hard in (False, True):
                with self.subTest(step, reset=hard):
                    with socket.create_connection(self.targets()[0], timeout=20) as client:
                        for part in parts:
                            if isinstance(part, int):
                                self.assertTrue(client.recv(part))
                            else:
                                client.sendall(part)
                        if hard:
                            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
                    self.settles()
        self.well()
        self.eventually('descriptors are back', lambda: self.settled_descriptors(pid, before))

    def descriptors(self, pid):
        for entry in Path(f'/proc/{pid}/fd').iterdir():
            try:
                yield re.sub(r'[:\[].*', '', os.readlink(entry))
            except OSError:
                pass

    def settled_descriptors(self, pid, before):
        now = collections.Counter(self.descriptors(pid))
        return now['socket'] <= before['socket'] + 4 and now['anon_inode'] <= before['anon_inode']


class Sized(backend.Handler):
    """/bytes/N and /chunks/N answer with N bytes, of known length or in chunks."""

    def answer(self):
        kind, size = (self.path.split('/') + ['', ''])[1:3]
        if kind not in ('bytes', 'chunks'):
            return super().answer()
        self.read_body()
        left = int(size)
        self.send_response(200)
        self.send_header(*(('content-length', size) if kind == 'bytes' else ('transfer-encoding', 'chunked')))
        self.end_headers()
        while left:
            piece = b'x' * min(left, 10_000)
            left -= len(piece)
            self.wfile.write(piece if kind == 'bytes' else b'%x\r\n%s\r\n' % (len(piece), piece))
        if kind == 'chunks':
            self.wfile.write(b'0\r\n\r\n')

    do_GET = answer


if __name__ == '__main__':
    main()
