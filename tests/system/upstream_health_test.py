#!/usr/bin/env python3
"""Targets that stop answering and come back, seen by probes of a node with several workers."""
import threading

from harness import Load, SystemTest, api, document, documents, gateway, route, team


class UpstreamHealth(SystemTest):
    def test_a_target_that_fails_its_probes_gets_no_requests_until_it_passes_them(self):
        self.start(nodes=('n1',), zones=('az-a',), workers=2)
        good = self.backend('good')
        shaky = Shaky()
        self.addCleanup(shaky.close)
        self.apply(documents(
            team('platform'), gateway(),
            document('Upstream', 'two', {
                'targets': [{'url': f'http://127.0.0.1:{good}'}, {'url': f'http://127.0.0.1:{shaky.port}'}],
                'retries': {'attempts': 1, 'when': ['503'], 'backoff': '1ms', 'budget': '100%'},
                'health': {'active': {'path': '/healthz', 'interval': '100ms', 'timeout': '1s', 'unhealthyAfter': 2, 'healthyAfter': 2}}}),
            api('all', ['two.localhost']), route('all', 'all', 'two')))
        text = self.gwctl.ok('explain-request', 'GET', 'http://two.localhost/')
        self.assertIn('probed with GET /healthz', text)
        with Load(self.targets(), lambda client, n: ('/', {'Host': 'two.localhost'})) as load:
            self.eventually('both targets serve', lambda: self.metric('gw_upstream_healthy_targets', upstream='platform/two') == 2)
            self.eventually('requests at the shaky one', lambda: shaky.requests > 20)
            shaky.well = False
            self.eventually('it is left out', lambda: self.metric('gw_upstream_healthy_targets', upstream='platform/two') == 1)
            self.eventually('on all workers', lambda: self.quiet(shaky, load))
            shaky.well = True
            before = shaky.requests
            self.eventually('it is back', lambda: shaky.requests > before + 20)
            self.assertEqual(self.metric('gw_upstream_healthy_targets', upstream='platform/two'), 2)
        self.assertEqual(load.failures, [])

    def quiet(self, shaky, load):
        """Whether a hundred requests pass without one at the target."""
        seen = shaky.requests
        load.wait_more(100)
        return shaky.requests == seen


class Shaky:
    """A backend that answers 503 to everything while it is not well."""

    def __init__(self):
        from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
        shaky = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_GET(self):
                if self.path != '/healthz':
                    shaky.requests += 1
                self.send_response(200 if shaky.well else 503)
                self.send_header('content-length', '0')
                self.end_headers()

            def log_message(self, *_):
                pass

        self.well, self.requests = True, 0
        self.server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


if __name__ == '__main__':
    import unittest
    unittest.main()
