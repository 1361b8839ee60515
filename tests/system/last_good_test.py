#!/usr/bin/env python3
"""Nodes that start without a control plane serve what is on their disk."""
import harness
from harness import API_KEY, SystemTest, api, app, document, documents, fetch, gateway, plan, route, team, upstream

HOST = 'good.localhost'


def marker(n):
    return route('marker', 'open', {'respond': {'status': 200, 'body': str(n)}}, prefix='/open')


class LastGood(SystemTest):
    def setUp(self):
        super().setUp()
        self.start(nodes=('n1',), zones=('az-a',))
        product = document('Product', 'product', {'title': 'All', 'apis': ['keyed'], 'plans': ['pro']})
        self.apply(documents(team('platform'), gateway(), upstream('echo', self.backend()), API_KEY, plan(), product,
                             api('keyed', [HOST], auth=['api-key']), route('all', 'keyed', 'echo'),
                             api('open', [HOST], base='/open'), marker(1), app('a')), '--until', 'persisted')
        self.key = self.gwctl.ok('key', 'create', '--app', 'platform/a', '-q').strip()
        self.eventually('the key works', lambda: self.get('/x', HOST, x_api_key=self.key).status == 200)

    def readyz(self):
        return fetch('127.0.0.1', self.cluster.ready('n1')['admin'], '/readyz').status

    def slots(self):
        """What last known good consists of: every regular file of the node's state but tokens, usage and the ready file."""
        folder = self.cluster.state / 'nodes' / 'n1'
        return sorted((f for f in folder.rglob('*') if f.is_file() and 'good' in str(f.relative_to(folder))), key=lambda f: f.stat().st_mtime_ns)

    def test_a_node_restarts_without_the_control_plane_with_routes_keys_and_revocations(self):
        revoked = self.gwctl.ok('key', 'create', '--app', 'platform/a', '-q').strip()
        self.assertEqual(self.get('/x', HOST, x_api_key=revoked).status, 200)
        self.gwctl.ok('key', 'revoke', revoked.split('_')[2], '-y', '-q')
        self.assertEqual(self.get('/x', HOST, x_api_key=revoked).status, 401)
        self.cluster.stop('n1')  # SIGTERM: it writes what it has
        self.cluster.stop('control', kill=True)
        self.cluster.start_again('n1')
        self.assertEqual(self.get('/open', HOST).body, b'1')
        self.assertEqual(self.get('/x', HOST, x_api_key=self.key).status, 200)
        self.assertEqual(self.get('/x', HOST, x_api_key=revoked).status, 401, 'a revoked key came back')
        self.assertEqual(self.get('/x', HOST).status, 401)
        self.assertEqual(self.readyz(), 200, 'losing the control plane makes no node unready')
        self.cluster.start_again('control')
        self.cluster.wait_connected(['n1'])
        self.apply(marker(2))
        self.assertEqual(self.get('/open', HOST).body, b'2')

    def test_a_node_killed_right_after_persisted_still_has_the_version(self):
        for n in range(2, 2 + harness.scaled(5)):
            self.apply(marker(n), '--until', 'persisted')
            self.cluster.stop('n1', kill=True)
            self.cluster.stop('control', kill=True)
            self.cluster.start_again('n1')
            self.assertEqual(self.get('/open', HOST).body.decode(), str(n))
            self.cluster.start_again('control')
            self.cluster.wait_connected(['n1'])

    def test_a_damaged_copy_is_passed_over_and_the_control_plane_mends_it(self):
        self.apply(marker(2), '--until', 'persisted')
        self.apply(marker(3), '--until', 'persisted')
        self.cluster.stop('n1')
        self.cluster.stop('control', kill=True)
        slots = self.slots()
        self.assertGreaterEqual(len(slots), 2, 'two slots')
        newest = slots[-1]
        data = bytearray(newest.read_bytes())
        data[len(data) // 2] ^= 0xff
        newest.write_bytes(data)
        self.cluster.start_again('n1')
        self.assertIn(self.get('/open', HOST).body, (b'1', b'2', b'3'))
        self.cluster.start_again('control')
        self.cluster.wait_connected(['n1'])
        self.eventually('the node has caught up', lambda: self.get('/open', HOST).body == b'3')

    def test_a_new_node_without_control_plane_says_that_it_is_not_ready(self):
        self.cluster.stop('control', kill=True)
        self.cluster.start_node('n9', 'az-b', 1)
        ready = self.cluster.ready('n9')
        self.assertEqual(ready['listeners'], [])
        self.assertEqual(fetch('127.0.0.1', ready['admin'], '/readyz').status, 503)
        self.assertEqual(fetch('127.0.0.1', ready['admin'], '/healthz').status, 200)
        self.cluster.start_again('control')
        self.eventually('it becomes ready by itself', lambda: fetch('127.0.0.1', self.cluster.ready('n9')['admin'], '/readyz').status == 200)

    def test_sigterm_lets_what_is_in_work_end(self):
        load = harness.Load(self.targets(), lambda c, n: ('/x', {'Host': HOST, 'x-api-key': self.key}), clients=4, tolerate_target_loss=True).start()
        self.addCleanup(load.stop)
        load.wait_more(100)
        self.assertTrue(self.cluster.stop('n1'), 'it did not end by itself')
        load.stop()
        self.assertEqual(load.counts()[1], 0, load.failures)
        self.assertEqual(self.cluster.children['n1'].returncode, 0)


if __name__ == '__main__':
    harness.main()
