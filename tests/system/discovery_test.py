#!/usr/bin/env python3
"""Targets found by name servers: they come and go under traffic, with weights and priorities; what holds while nobody answers."""
import sys
import threading
from http.server import ThreadingHTTPServer

from harness import ROOT, Load, SystemTest, api, backend, document, documents, gateway, route, team

sys.path.insert(0, str(ROOT / 'tests' / 'support'))
from dns_server import A, Cname, DnsServer, Srv  # noqa: E402

HOST = {'Host': 'u.localhost'}


class At(backend.Server):
    """A backend on an address of its own; named by it."""

    def __init__(self, address, port=0):
        self.name = address
        ThreadingHTTPServer.__init__(self, (address, port), backend.Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Discovery(SystemTest):
    def setUp(self):
        super().setUp()
        self.dns = DnsServer()
        self.addCleanup(self.dns.close)

    def at(self, address, port=0):
        server = At(address, port)
        self.backends.append(server)
        return server.server_port

    def same_port(self, *addresses):
        """Backends at each of the addresses, all on one port."""
        port = self.at(addresses[0])
        for address in addresses[1:]:
            self.at(address, port)
        return port

    def discovery(self, **more):
        return {'servers': [self.dns.address], 'minRefresh': '200ms', 'maxRefresh': '1s', **more}

    def serve(self, spec, workers=2):
        self.start(nodes=('n1',), zones=('az-a',), workers=workers)
        self.configure(spec)

    def configure(self, spec):
        self.apply(documents(team('platform'), gateway(), document('Upstream', 'u', spec), api('all', ['u.localhost']),
                             route('all', 'all', 'u')))

    def load(self, **more):
        return Load(self.targets(), lambda client, n: ('/', HOST), **more)

    def described(self):
        nodes = self.gwctl.json('describe', 'upstream', 'platform/u').get('targets', [])
        return nodes[0] if nodes else {'targets': []}

    def found(self, *kinds):
        return sorted(t['address'] for t in self.described()['targets'] if t['source'] in kinds)

    def backends_are(self, load, *names):
        def now():
            load.take_backends()
            load.wait_more(40)
            return set(load.take_backends()) == set(names)
        self.eventually(f'requests at {names} alone', now)

    def status(self, cap_s=15):
        return self.get('/', 'u.localhost').status

    def test_addresses_come_and_go_under_traffic_without_a_failed_request(self):
        port = self.same_port('127.0.0.1', '127.0.0.2', '127.0.0.3')
        self.dns.set('u.test', A('127.0.0.1', '127.0.0.2'))
        self.serve({'discovery': self.discovery(dns='u.test', port=port), 'health': {'active': {'path': '/healthz', 'interval': '200ms'}}})
        version = self.gwctl.json('status')['latest']
        with self.load() as load:
            self.backends_are(load, '127.0.0.1', '127.0.0.2')
            self.dns.set('u.test', A('127.0.0.1', '127.0.0.2', '127.0.0.3'))
            self.backends_are(load, '127.0.0.1', '127.0.0.2', '127.0.0.3')
            self.assertEqual(self.metric('gw_upstream_targets', upstream='platform/u'), 3)
            self.dns.set('u.test', A('127.0.0.3'))
            self.backends_are(load, '127.0.0.3')
            # By way of an alias, and back.
            self.dns.set('other.test', A('127.0.0.2'))
            self.dns.set('u.test', Cname('other.test'))
            self.backends_are(load, '127.0.0.2')
            self.dns.set('u.test', A('127.0.0.1', '127.0.0.3'))
            self.backends_are(load, '127.0.0.1', '127.0.0.3')
        self.assertEqual(load.failures, [])
        self.assertEqual(self.gwctl.json('status')['latest'], version)
        self.eventually('the node tells', lambda: self.found('dns') == [f'127.0.0.1:{port}', f'127.0.0.3:{port}'])
        text = self.gwctl.ok('describe', 'upstream', 'platform/u')
        for words in ('dns u.test', 'asked again in', '127.0.0.1, 127.0.0.3'):
            self.assertIn(words, text)
        self.assertIn(f'addresses of u.test:{port}', self.gwctl.ok('explain-request', 'GET', 'http://u.localhost/'))

    def test_srv_records_bring_port_weight_and_priority(self):
        ports = [self.at(f'127.0.0.{n}') for n in (1, 2, 3)]
        for n in (1, 2, 3):
            self.dns.set(f'h{n}.test', A(f'127.0.0.{n}'))
        main = ((5, 30, ports[0], 'h1.test'), (5, 10, ports[1], 'h2.test'))
        last = (700, 0, ports[2], 'h3.test')
        self.dns.set('_http._tcp.u.test', Srv(*main, last))
        self.serve({'discovery': self.discovery(srv='_http._tcp.u.test')}, workers=1)
        with self.load(clients=1) as load:
            self.backends_are(load, '127.0.0.1', '127.0.0.2')
            load.stop()
        with self.load(clients=1) as load:
            load.wait_more(80)
            load.stop()
            share = load.take_backends()
            self.assertAlmostEqual(share['127.0.0.1'] / share['127.0.0.2'], 3, delta=0.5)
            self.assertEqual(load.failures, [])
        with self.load() as load:
            self.dns.set('_http._tcp.u.test', Srv(last))
            self.backends_are(load, '127.0.0.3')
            self.dns.set('_http._tcp.u.test', Srv(*main))
            self.backends_are(load, '127.0.0.1', '127.0.0.2')
        self.assertEqual(load.failures, [])
        self.eventually('the node tells', lambda: self.found('srv') == [f'h1.test:{ports[0]}', f'h2.test:{ports[1]}'])

    def test_while_name_servers_fail_the_last_answer_serves_up_to_its_cap(self):
        port = self.same_port('127.0.0.1', '127.0.0.2')
        self.dns.set('u.test', A('127.0.0.1', '127.0.0.2'))
        self.serve({'discovery': self.discovery(dns='u.test', port=port, maxStale='1h')})
        with self.load() as load:
            self.backends_are(load, '127.0.0.1', '127.0.0.2')
            for how in ('servfail', 'garbage', 'silence', 'refused'):
                before = self.metric('gw_dns_lookups_total', result='failed')
                self.dns.fail('*', how)
                self.eventually(f'{how} is counted', lambda: self.metric('gw_dns_lookups_total', result='failed') > before)
                self.eventually('the answer is stale', lambda: self.metric('gw_dns_stale_names') == 1)
                self.backends_are(load, '127.0.0.1', '127.0.0.2')
            self.eventually('it is told', lambda: any('staleSince' in n and 'problem' in n for n in self.described().get('names', [])))
            self.assertIn('stale since', self.gwctl.ok('describe', 'upstream', 'platform/u'))
            self.dns.recover()
            self.eventually('fresh again', lambda: self.metric('gw_dns_stale_names') == 0)
        self.assertEqual(load.failures, [])
        # With a cap that passes, the targets go, and come back with the first answer.
        self.configure({'discovery': self.discovery(dns='u.test', port=port, maxStale='1s')})
        self.eventually('it serves', lambda: self.status() == 200)
        self.dns.fail('*', 'servfail')
        self.eventually('the cap has passed', lambda: self.status() != 200)
        self.eventually('it is told', lambda: self.metric('gw_dns_unresolved_names') == 1)
        self.dns.recover()
        self.eventually('it serves', lambda: self.status() == 200)

    def test_a_name_that_does_not_exist_loses_its_targets_only_after_a_while(self):
        port = self.at('127.0.0.1')
        self.dns.set('u.test', A('127.0.0.1'))
        self.serve({'discovery': self.discovery(dns='u.test', port=port, goneAfter='1d')})
        with self.load() as load:
            load.wait_more(10)
            before = self.metric('gw_dns_lookups_total', result='missing')
            self.dns.fail('u.test', 'nxdomain')
            self.eventually('it is missing', lambda: self.metric('gw_dns_lookups_total', result='missing') > before + 4)
            load.wait_more(40)
        self.assertEqual(load.failures, [])
        self.dns.recover()
        self.configure({'discovery': self.discovery(dns='u.test', port=port, goneAfter='500ms')})
        self.eventually('it serves', lambda: self.status() == 200)
        self.dns.fail('u.test', 'nxdomain')
        self.eventually('it is gone', lambda: self.status() != 200)
        self.dns.recover()
        self.eventually('it is back', lambda: self.status() == 200)

    def test_answers_on_refused_addresses_and_beyond_the_cap_are_left_out(self):
        port = self.same_port('127.0.0.1', '127.0.0.2', '127.0.0.3')
        self.dns.set('u.test', A('169.254.169.254', '0.0.0.0', '100.100.100.200', 'fe80::1', '::ffff:169.254.169.254', '64:ff9b::a9fe:a9fe',
                                 '127.0.0.1', '127.0.0.2', '127.0.0.3'))
        self.serve({'discovery': self.discovery(dns='u.test', port=port, maxTargets=2)})
        with self.load() as load:
            self.backends_are(load, '127.0.0.1', '127.0.0.2')
        self.assertEqual(load.failures, [])
        self.assertGreaterEqual(self.metric('gw_dns_left_out_total', reason='refused'), 6)
        self.assertGreaterEqual(self.metric('gw_dns_left_out_total', reason='excess'), 1)
        self.eventually('it is told', lambda: any(n.get('refused') and n.get('excess') for n in self.described().get('names', [])))
        # An answer that leads to the node's own admin port, and one on refused addresses alone.
        admin = self.cluster.ready('n1')['admin']
        self.configure({'discovery': self.discovery(dns='u.test', port=admin)})
        self.eventually('no target', lambda: self.status() in (502, 503))
        self.eventually('it is told', lambda: self.found('dns') == [])

    def test_a_name_in_targets_is_one_target_and_its_first_request_waits_for_the_answer(self):
        port = self.same_port('127.0.0.1', '127.0.0.2')
        self.dns.fail('*', 'silence')
        self.dns.set('ignored.test', A('127.0.0.1'))
        self.start(nodes=('n1',), zones=('az-a',), workers=1)
        self.configure({'targets': [{'url': f'http://u.test:{port}'}], 'timeouts': {'connect': '60s'}, 'discovery': self.discovery()})
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(self.get('/', 'u.localhost').status))
        waiting.start()
        self.eventually('it is asked for', lambda: self.dns.asked('u.test') > 0)
        self.dns.set('u.test', A('127.0.0.1', '127.0.0.2'))
        self.dns.recover()
        waiting.join(60)
        # Every question before the answer went unheard: the first try may have failed by then, a request may not hang.
        self.assertIn(answers, ([200], [502], [503]))
        self.eventually('it serves', lambda: self.status() == 200)
        seen = {self.get('/', 'u.localhost').headers['x-backend'] for _ in range(8)}
        self.assertLessEqual(seen, {'127.0.0.1', '127.0.0.2'})
        self.eventually('one target', lambda: self.found('static') == [f'u.test:{port}'])

    def test_localhost_and_truncated_answers(self):
        port = self.at('127.0.0.1')
        self.serve({'targets': [{'url': f'http://localhost:{port}'}]})
        self.eventually('localhost serves', lambda: self.status() == 200)
        self.dns.set('u.test', A('127.0.0.1'))
        self.dns.fail('u.test', 'truncated')
        self.configure({'discovery': self.discovery(dns='u.test', port=port)})
        self.eventually('it serves', lambda: self.status() == 200)
        self.assertGreater(self.dns.asked('u.test', tcp=True), 0)

    def test_what_contradicts_itself_is_refused(self):
        self.start(nodes=())
        self.apply(documents(team('platform')), expect=1)  # there is no node
        for discovery, words in (({'dns': 'a.test', 'srv': '_x._tcp.a.test', 'port': 80}, 'one of dns and srv'),
                                 ({'dns': 'a.test'}, 'required beside dns'),
                                 ({'srv': '_x._tcp.a.test', 'port': 80}, 'belongs to dns'),
                                 ({'dns': '10.0.0.1', 'port': 80}, 'is an address'),
                                 ({'dns': 'metadata.google.internal', 'port': 80}, 'metadata'),
                                 ({'srv': 'a.test', 'servers': ['ns.test']}, 'is not an IP address'),
                                 ({'srv': 'a.test', 'minRefresh': '2s', 'maxRefresh': '1s'}, 'less than minRefresh'),
                                 ({'servers': ['10.0.0.2']}, 'must name at least one target')):
            self.refused(document('Upstream', 'u', {'discovery': discovery}), 8, words)


if __name__ == '__main__':
    import unittest
    unittest.main()
