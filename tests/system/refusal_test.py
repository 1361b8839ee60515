#!/usr/bin/env python3
"""A version that one node cannot take activates nowhere, and the apply says which node and which object."""
import socket

import harness
from harness import SystemTest, api, documents, gateway, route, team, upstream

HOST = 'refusal.localhost'


class Refusal(SystemTest):
    def base(self, port):
        return documents(team('platform'), gateway(), upstream('echo', port), api('web', [HOST]), route('all', 'web', 'echo'))

    def test_a_taken_port_on_one_node_stops_the_version_everywhere(self):
        self.start(listeners={'n2': ['extra=127.0.0.1:0']})
        self.apply(self.base(self.backend()))
        before = self.gwctl.json('status')
        with socket.create_server(('127.0.0.1', 0)) as occupied:
            port = occupied.getsockname()[1]
            change = documents(gateway(('http', 0), ('extra', port)),
                               route('new', 'web', {'respond': {'status': 200, 'body': 'new'}}, prefix='/new'))
            answer = self.apply(change, expect=1)
            nodes = {n['node']: n for n in answer['rollout']['nodes']}
            self.assertEqual(answer['rollout']['phase'], 'refused')
            self.assertEqual(nodes['n1']['state'], 'refused')
            found = nodes['n1']['diagnostics'][0]
            self.assertEqual((found['kind'], found['object']), ('Gateway', 'platform/edge'))
            self.assertTrue(found['path'].startswith('spec.listeners[1]'), found)
            self.assertIn(str(port), found['message'])
            self.assertNotEqual(nodes['n2']['state'], 'active')
            done = self.gwctl.run('rollout', 'status', answer['version'])
            self.assertEqual(done.returncode, 1)
            for word in ('n1', 'Gateway platform/edge', str(port)):
                self.assertIn(word, done.stdout)
        after = self.gwctl.json('status')
        self.assertEqual(after['active'], before['active'])
        self.assertEqual(after['latestPhase'], 'refused')
        for node in (0, 1):
            self.assertEqual(self.get('/new', HOST, node).headers.get('x-backend'), 'echo', 'the refused version serves')
        self.assertFalse([b for b in self.cluster.ready('n2')['listeners'] if b['name'] == 'extra'])
        # Undone, things go on.
        self.gwctl.ok('rollout', 'undo', answer['version'])
        self.apply(route('later', 'web', {'respond': {'status': 200, 'body': 'later'}}, prefix='/later'))
        for node in (0, 1):
            self.assertEqual(self.get('/later', HOST, node).body, b'later')

    def test_a_node_that_lacks_a_capability_makes_the_apply_that_needs_it_exit_8(self):
        self.start(more={'n2': ['--without-capability', 'RouteEntry.redirect']})
        self.apply(self.base(self.backend()))
        change = route('away', 'web', {'redirect': {'status': 301, 'path': '/there'}}, prefix='/away')
        self.refused(change, 8, 'n2', 'RouteEntry.redirect', 'Route platform/away')
        self.assertEqual(self.gwctl.run('get', 'route/platform/away').returncode, 4, 'something was stored')
        self.apply(route('plain', 'web', {'respond': {'status': 200, 'body': 'plain'}}, prefix='/plain'))
        # Without that node it goes through.
        self.cluster.stop('n2')
        self.eventually('n2 is gone', lambda: not self.cluster.node_infos()['n2']['connected'])
        self.nodes = ['n1']
        self.apply(change, '--quorum', '1')
        self.assertEqual(self.get('/away/x', HOST).status, 301)

    def test_without_any_node_an_apply_is_stored_and_says_so(self):
        self.start(nodes=())
        done = self.gwctl.run('apply', '-f', '-', stdin=self.base(self.backend()))
        self.assertEqual(done.returncode, 1)
        self.assertIn('no node is connected', done.stdout + done.stderr)
        self.cluster.join_token_file()
        self.cluster.start_node('n1', 'az-a', 1)
        self.nodes = ['n1']
        self.eventually('the stored version becomes active', lambda: self.gwctl.json('status')['active'] == 1)
        self.assertEqual(self.get('/', HOST).status, 200)

    def test_a_lost_node_is_named_and_the_quorum_decides(self):
        self.start()
        self.apply(self.base(self.backend()))
        self.cluster.stop('n2', kill=True)
        self.nodes = ['n1']
        # Its lease runs on for a while: the apply waits for its end, and no longer.
        change = route('one', 'web', {'respond': {'status': 200, 'body': 'one'}}, prefix='/one')
        done = self.gwctl.run('apply', '-f', '-', '--quorum', '1', stdin=change)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.eventually('the lease of n2 ends', lambda: not self.cluster.node_infos()['n2']['connected'])
        # A lost node is named and not waited for; that it is missing is exit 7, unless the quorum says that it may be.
        two = route('two', 'web', {'respond': {'status': 200, 'body': 'two'}}, prefix='/two')
        done = self.gwctl.run('apply', '-f', '-', stdin=two)
        self.assertEqual(done.returncode, 7, done.stdout + done.stderr)
        self.assertIn('node n2 (az-b) lost', done.stdout)
        self.assertEqual(self.get('/two', HOST).body, b'two')
        self.cluster.start_again('n2')
        self.cluster.wait_connected(['n2'])
        self.nodes = ['n1', 'n2']
        latest = self.gwctl.json('status')['latest']
        self.eventually('n2 has caught up', lambda: self.cluster.node_infos()['n2']['configVersion'] == latest)
        self.assertEqual(self.get('/two', HOST, node=1).body, b'two')


if __name__ == '__main__':
    harness.main()
