#!/usr/bin/env python3
"""Operators' stop switches over two nodes with traffic: disable, drain, block; they make no version, undo leaves them alone,
and a node that restarts without a control plane keeps them."""
import http.client
import json

import harness
from harness import SystemTest, api, documents, gateway, route, team, upstream

HOST, OTHER = 'shop.localhost', 'other.localhost'
BLOCKED = '127.0.0.9'


class Switches(SystemTest):
    def setUp(self):
        super().setUp()
        self.start()
        self.ports = [self.backend('one'), self.backend('two')]
        self.apply(documents(team('platform'), team('shop'), gateway(), upstream('both', *self.ports, shareWith=['all']),
                             api('shop-api', [HOST], owner='shop'), route('all', 'shop-api', 'platform/both', owner='shop'),
                             api('other-api', [OTHER]), route('other', 'other-api', 'both')))

    def editor(self, name):
        path = self.folder / f'{name}.token'
        path.write_text(self.gwctl.ok('token', 'create', '--name', name, '--role', 'editor', '--team', name, '-q'))
        path.chmod(0o600)
        return self.cluster.gwctl(path)

    def ask(self, node, host=HOST, source=None):
        """Status, problem document (or None) and answering backend of one request, from the client address `source`."""
        connection = http.client.HTTPConnection(*self.cluster.wait_listening(self.nodes[node]), timeout=15,
                                                source_address=(source, 0) if source else None)
        try:
            connection.request('GET', '/x', headers={'Host': host})
            answer = connection.getresponse()
            body = answer.read()
            problem = json.loads(body) if answer.getheader('content-type') == 'application/problem+json' else None
            return answer.status, problem, answer.getheader('x-backend')
        finally:
            connection.close()

    def statuses(self, **more):
        return [self.ask(n, **more)[0] for n in range(len(self.nodes))]

    def reported(self):
        """(node, target) -> drained, of those that had requests."""
        found = self.gwctl.json('describe', 'upstream', 'platform/both').get('targets', [])
        return {(n['node'], t['address']): t['drained'] for n in found for t in n['targets'] if t['requests'] > 0}

    def test_disable_answers_disabled_on_every_node_and_enable_serves_again_without_a_version(self):
        before = self.gwctl.json('status')
        with harness.Load(self.targets(), lambda c, n: ('/x', {'Host': OTHER}), clients=4) as load:
            load.wait_more(50)
            shop = self.editor('shop')
            done = shop.json('api', 'disable', 'shop-api', '--message', 'on fire', '--retry-after', '2m')
            self.assertEqual([n['state'] for n in done['rollout']['nodes']], ['active', 'active'])
            self.assertEqual(done['undo'], 'gwctl api enable shop/shop-api')
            for node in range(2):
                status, problem, _ = self.ask(node)
                self.assertEqual((status, problem['reason']), (503, 'DISABLED'))
                self.assertIn('on fire', problem['detail'])
            status = self.gwctl.json('status')
            self.assertEqual((status['latest'], status['active']), (before['latest'], before['active']), 'a switch makes no version')
            self.assertEqual([(s['kind'], s['name'], s['by'], s['message']) for s in status['switches']],
                             [('api', 'shop/shop-api', 'shop@shop', 'on fire')])
            self.assertIn('Api shop/shop-api disabled', self.gwctl.ok('status'))
            self.assertIn('on fire', self.gwctl.ok('describe', 'api', 'shop/shop-api'))
            self.gwctl.ok('explain-request', 'GET', f'http://{HOST}/x', '--expect', 'DISABLED')

            # An apply and its undo leave it as it is.
            version = self.apply(route('more', 'shop-api', 'platform/both', '/more', owner='shop'))['version']
            self.gwctl.ok('rollout', 'undo', version)
            self.assertEqual(self.statuses(), [503, 503])

            shop.ok('api', 'enable', 'shop/shop-api')
            self.assertEqual(self.statuses(), [200, 200])
            load.wait_more(50)
        self.assertEqual(load.counts()[1], 0, load.failures)
        self.assertEqual(self.gwctl.json('switches')['switches'], [])
        self.assertEqual([self.metric('gw_requests_disabled_total', n) for n in self.nodes], [2, 2])

    def test_a_drained_target_gets_no_new_request_and_no_request_is_lost(self):
        one, two = (f'127.0.0.1:{p}' for p in self.ports)
        with harness.Load(self.targets(), lambda c, n: ('/x', {'Host': HOST}), clients=4) as load:
            load.wait_more(100)
            self.assertEqual(set(load.take_backends()), {'one', 'two'})
            self.gwctl.ok('upstream', 'drain', 'platform/both', '--target', one)
            for node in range(2):
                self.assertEqual({self.ask(node)[2] for _ in range(10)}, {'two'})
            load.wait_more(4 * len(load.threads))  # what was in work has ended
            load.take_backends()
            load.wait_more(100)
            self.assertEqual(set(load.take_backends()), {'two'})
            self.assertIn(f'{one} since', self.gwctl.ok('describe', 'upstream', 'platform/both'))
            self.eventually('each node reports its targets', lambda: self.reported() == {
                (node, target): target == one for node in self.nodes for target in (one, two)})
            self.gwctl.ok('upstream', 'undrain', 'both', '--target', one)
            self.eventually('it gets requests again', lambda: load.take_backends().get('one', 0) > 0)
        self.assertEqual(load.counts()[1], 0, load.failures)
        last = self.gwctl.run('upstream', 'drain', 'both', '--target', one)
        self.assertNotIn('GW2022', last.stderr)
        last = self.gwctl.run('upstream', 'drain', 'both', '--target', two)
        self.assertIn('GW2022', last.stderr)
        self.assertEqual(self.ask(0)[1]['reason'], 'NO_HEALTHY_ENDPOINT')
        missing = self.gwctl.run('upstream', 'drain', 'both', '--target', '127.0.0.1:1')
        self.assertEqual(missing.returncode, 4)
        self.assertIn(one, missing.stderr)

    def test_a_blocked_client_is_refused_and_nobody_else_until_it_runs_out(self):
        self.gwctl.ok('block', 'ip', f'{BLOCKED}/32', '--message', 'flood')
        status, problem, _ = self.ask(0, source=BLOCKED)
        self.assertEqual((status, problem['reason']), (403, 'IP_DENIED'))
        self.assertIn('flood', problem['detail'])
        self.assertEqual(self.statuses(source=BLOCKED), [403, 403])
        self.assertEqual(self.statuses(source='127.0.0.10'), [200, 200])
        self.gwctl.ok('explain-request', 'GET', f'http://{HOST}/x', '--from', BLOCKED, '--expect', 'IP_DENIED')
        self.assertGreaterEqual(self.metric('gw_requests_blocked_total', self.nodes[1]), 1)
        self.assertGreaterEqual(self.metric('gw_switches_version', self.nodes[1]), 2)
        wider = self.gwctl.run('unblock', 'ip', '127.0.0.9/33')
        self.assertEqual(wider.returncode, 8)
        self.gwctl.ok('unblock', 'ip', BLOCKED)
        self.assertEqual(self.statuses(source=BLOCKED), [200, 200])
        self.gwctl.ok('block', 'ip', '127.0.0.8/31', '--for', '2s')
        # Nobody takes it back.
        self.eventually('it runs out', lambda: self.statuses(source=BLOCKED) == [200, 200])
        self.assertEqual(self.gwctl.json('switches')['switches'], [])
        missing = self.gwctl.run('unblock', 'ip', '127.0.0.8/31')
        self.assertEqual(missing.returncode, 4)

    def test_teams_stop_what_is_theirs_and_nobody_else_may(self):
        shop = self.editor('shop')
        for command in (('api', 'disable', 'platform/other-api'), ('upstream', 'drain', 'platform/both', '--target', f'127.0.0.1:{self.ports[0]}'),
                        ('block', 'ip', '192.0.2.1'), ('unblock', 'ip', '192.0.2.1')):
            self.assertEqual(shop.run(*command).returncode, 3, command)
        self.assertEqual(self.gwctl.run('api', 'disable', 'nothing').returncode, 4)
        self.assertEqual(self.gwctl.run('block', 'ip', '0.0.0.0/0').returncode, 8)
        self.assertEqual(self.gwctl.json('switches')['switches'], [])
        shop.ok('api', 'disable', 'shop-api', '-q')
        self.assertEqual(shop.json('api', 'disable', 'shop-api')['changed'], False)

    def test_a_node_that_restarts_without_the_control_plane_keeps_what_is_stopped(self):
        self.gwctl.ok('api', 'disable', 'shop-api')
        self.gwctl.ok('block', 'ip', BLOCKED)
        self.gwctl.ok('upstream', 'drain', 'both', '--target', f'127.0.0.1:{self.ports[0]}')
        self.cluster.stop('control', kill=True)
        self.cluster.stop('n1')
        self.cluster.start_again('n1')
        for node in range(2):
            self.assertEqual(self.ask(node)[1]['reason'], 'DISABLED')
            self.assertEqual(self.ask(node, OTHER, BLOCKED)[1]['reason'], 'IP_DENIED')
            self.assertEqual({self.ask(node, OTHER)[2] for _ in range(6)}, {'two'})
        self.cluster.start_again('control')
        self.cluster.wait_connected()
        self.assertEqual(len(self.gwctl.json('switches')['switches']), 3)
        done = self.gwctl.json('api', 'enable', 'shop-api')
        self.assertEqual([n['state'] for n in done['rollout']['nodes']], ['active', 'active'])
        self.assertEqual(self.statuses(), [200, 200])

    def test_a_node_that_joins_later_is_stopped_from_its_first_request_on(self):
        self.gwctl.ok('api', 'disable', 'shop-api')
        self.cluster.start_node('n3', 'az-a', 1)
        self.nodes.append('n3')
        self.cluster.wait_connected(['n3'])
        self.assertEqual(self.ask(2)[1]['reason'], 'DISABLED')

    def test_a_lost_node_is_named(self):
        self.cluster.stop('n2', kill=True)
        done = self.gwctl.run('api', 'disable', 'shop-api')
        self.assertEqual(done.returncode, 7, done.stdout + done.stderr)
        self.assertIn('node n2 (az-b)  lost', done.stdout)
        self.assertEqual(self.ask(0)[0], 503)
        self.cluster.start_again('n2')
        self.cluster.wait_connected(['n2'])
        self.eventually('it has caught up', lambda: self.ask(1)[0] == 503)


if __name__ == '__main__':
    harness.main()
