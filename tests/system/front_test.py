#!/usr/bin/env python3
"""The client's side of nodes as they are run: loops over several nodes, path rules, PROXY protocol, connection limits, overload."""
import http.server
import json
import socket
import threading

import harness
from harness import SystemTest, api, document, documents, route, team, upstream

HOST = 'front.localhost'


def gateway(limits=None, **listener):
    return document('Gateway', 'edge', {
        'nodes': {'labels': {}}, 'limits': limits or {},
        'listeners': [{'name': 'http', 'address': '127.0.0.1', 'port': 0, 'protocol': 'http'},
                      {'name': 'more', 'address': '127.0.0.1', 'port': 0, 'protocol': 'http', **listener}]}, shareWith=['all'])


class Held:
    """An upstream whose answers wait until they are let go."""

    def __init__(self):
        held = self
        self.go = threading.Event()
        self.waiting = threading.Semaphore(0)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_GET(self):
                held.waiting.release()
                held.go.wait(harness.CAP_S)
                self.send_response(200)
                self.send_header('Content-Length', '0')
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.go.set()
        self.server.shutdown()
        self.server.server_close()


def exchange(address, *pieces):
    """All that comes back for raw bytes until the peer closes."""
    with socket.create_connection(address, harness.CAP_S) as s:
        for piece in pieces:
            s.sendall(piece)
        out = b''
        while data := s.recv(65536):
            out += data
    return out


ASK = f'GET /x HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n'.encode()


class Front(SystemTest):
    def world(self, target, *extra):
        return documents(team('platform'), target, api('all', [HOST]), route('all', 'all', 'up'), *extra)

    def test_a_request_that_comes_back_by_another_node_is_a_loop(self):
        self.start()
        self.apply(self.world(upstream('up', self.backend()), gateway()))
        self.assertEqual(self.get('/x', HOST, 0).status, 200)
        there = self.cluster.wait_listening(self.nodes[1], 'http')
        self.apply(upstream('up', there[1]))
        answer = self.get('/x', HOST, 0)
        self.assertEqual(answer.status, 508)
        self.assertEqual(json.loads(answer.body)['reason'], 'LOOP')

    def test_a_listener_has_its_own_path_rule_and_proxy_protocol(self):
        self.start(nodes=('n1',))
        self.apply(self.world(upstream('up', self.backend()), gateway(pathRule='normalize', proxyProtocol=True)))
        plain, more = (self.cluster.wait_listening('n1', name) for name in ('http', 'more'))
        dotted = ASK.replace(b'/x', b'/y/%2e%2e//x')
        self.assertIn(b' 400 ', exchange(plain, dotted).split(b'\r\n')[0])
        self.assertIn(b' 200 ', exchange(more, b'PROXY TCP4 192.0.2.7 192.0.2.8 40000 80\r\n', dotted).split(b'\r\n')[0])
        self.assertEqual(exchange(more, ASK), b'')
        self.assertEqual(self.metric('gw_proxy_header_refused_total'), 1)

    def test_an_overloaded_node_refuses_early_and_its_admin_listener_answers(self):
        held = Held()
        self.addCleanup(held.close)
        self.start(nodes=('n1',), more={'n1': ('--max-requests', '3')})
        self.apply(self.world(upstream('up', held.server.server_port), gateway()))
        address = self.cluster.wait_listening('n1', 'http')
        answers = []
        clients = [threading.Thread(target=lambda: answers.append(exchange(address, ASK))) for _ in range(3)]
        for client in clients:
            client.start()
        for _ in clients:
            held.waiting.acquire(timeout=harness.CAP_S)
        refused = self.get('/x', HOST)
        self.assertEqual(refused.status, 503)
        self.assertEqual(json.loads(refused.body)['reason'], 'OVERLOAD')
        self.assertEqual(refused.headers.get('retry-after'), '1')
        self.assertEqual(self.metric('gw_overload_stage'), 2)
        self.assertEqual(self.metric('gw_overload_refused_total'), 1)
        self.eventually('status tells', lambda: 'overloaded: n1 (refuses requests)' in self.gwctl.ok('status'))
        held.go.set()
        for client in clients:
            client.join(harness.CAP_S)
        self.assertEqual([a.split(b' ')[1] for a in answers], [b'200'] * 3)
        self.assertEqual(self.get('/x', HOST).status, 200)
        self.assertEqual(self.metric('gw_overload_stage'), 0)


if __name__ == '__main__':
    harness.main()
