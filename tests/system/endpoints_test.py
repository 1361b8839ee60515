#!/usr/bin/env python3
"""Targets added at run time over two nodes with traffic: no version, no failed request, kept without a control plane, gone with
their time, their removal and their Upstream."""
import harness
from harness import SystemTest, api, document, documents, gateway, route, team

HOST = 'u.localhost'


class EndpointsTest(SystemTest):
    def setUp(self):
        super().setUp()
        self.start()
        self.ports = [self.backend(name) for name in ('one', 'two', 'three')]
        self.addresses = [f'127.0.0.1:{p}' for p in self.ports]
        self.configure({'discovery': {'endpoints': {'max': 3}}})

    def configure(self, spec, *more):
        return self.apply(documents(team('platform'), team('shop'), gateway(), document('Upstream', 'u', spec, shareWith=['all']),
                                    api('all', [HOST]), route('all', 'all', 'u'), *more), '--until', 'persisted')

    def target(self, verb, *args, gwctl=None):
        return (gwctl or self.gwctl).json('upstream', 'target', verb, 'platform/u', *args)

    def fails(self, code, *args, gwctl=None):
        done = (gwctl or self.gwctl).run('upstream', 'target', *args)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stderr

    def editor(self, name):
        path = self.folder / f'{name}.token'
        path.write_text(self.gwctl.ok('token', 'create', '--name', name, '--role', 'editor', '--team', name, '-q'))
        path.chmod(0o600)
        return self.cluster.gwctl(path)

    def statuses(self):
        return [self.get('/', HOST, node=n).status for n in range(2)]

    def serving(self, node):
        return {self.get('/', HOST, node=node).headers.get('x-backend') for _ in range(6)}

    def serves(self, *names):
        """That each node sends requests to these and to no other, from now on."""
        for node in range(2):
            seen = set()

            def all_seen():
                now = self.serving(node)
                self.assertLessEqual(now, set(names))
                seen.update(now)
                return seen == set(names)
            self.eventually(f'requests at {names}', all_seen)

    def test_targets_come_and_go_on_every_node_without_a_version_or_a_failed_request(self):
        before = self.gwctl.json('status')
        self.assertEqual(self.statuses(), [503, 503])
        done = self.target('add', self.addresses[0])
        self.assertEqual([n['state'] for n in done['rollout']['nodes']], ['active', 'active'])
        self.assertEqual((done['added'], done['changed'], done['removed']), (1, 0, 0))
        self.serves('one')
        with harness.Load(self.targets(), lambda c, n: ('/', {'Host': HOST}), clients=4) as load:
            self.target('add', self.addresses[1], '--weight', '3')
            self.serves('one', 'two')
            self.assertEqual(self.target('set', *self.addresses[1:])['removed'], 1)
            self.serves('two', 'three')
            self.target('remove', self.addresses[1])
            self.serves('three')
            # Drained like any other target.
            self.target('add', self.addresses[0])
            self.gwctl.ok('upstream', 'drain', 'platform/u', '--target', self.addresses[0])
            self.serves('three')
            self.gwctl.ok('upstream', 'undrain', 'platform/u', '--target', self.addresses[0])
            self.serves('one', 'three')
            # An apply that says nothing of them leaves them as they are; static ones are added.
            self.configure({'targets': [{'url': f'http://{self.addresses[1]}'}], 'discovery': {'endpoints': {}}})
            self.serves('one', 'two', 'three')
        self.assertEqual(load.failures, [])
        after = self.gwctl.json('status')
        self.assertEqual(after['latest'], before['latest'] + 1, 'the one apply')
        self.assertEqual(after['endpoints'], 2)
        self.assertIn('endpoints 2', self.gwctl.ok('status'))

        def sources():
            nodes = self.gwctl.json('describe', 'upstream', 'platform/u').get('targets', [])
            return [{t['address']: t['source'] for t in n['targets']} for n in nodes]
        expected = {self.addresses[0]: 'endpoint', self.addresses[1]: 'static', self.addresses[2]: 'endpoint'}
        self.eventually('the nodes tell', lambda: sources() == [expected, expected])
        listed = self.gwctl.json('upstream', 'target', 'list', 'platform/u')['endpoints']
        self.assertEqual(sorted(e['address'] for e in listed), sorted([self.addresses[0], self.addresses[2]]))
        self.assertIn('endpoints', self.gwctl.ok('explain-request', 'GET', f'http://{HOST}/'))

    def test_they_are_kept_by_control_plane_and_node_each_without_the_other(self):
        self.target('set', *self.addresses[:2])
        self.cluster.stop('control', kill=True)
        for node in self.nodes:
            self.eventually('it serves on', lambda: self.statuses() == [200, 200])
            self.cluster.stop(node)  # SIGTERM: it writes what it has
            self.cluster.start_again(node)
        self.serves('one', 'two')
        self.cluster.start_again('control')
        self.cluster.wait_connected(self.nodes)
        self.assertEqual([e['address'] for e in self.gwctl.json('upstream', 'target', 'list')['endpoints']], sorted(self.addresses[:2]))
        self.target('remove', self.addresses[0])
        self.serves('two')

    def test_they_end_by_themselves_and_go_with_their_upstream(self):
        self.target('add', self.addresses[0])
        self.target('add', self.addresses[1], '--expires', '2s')
        self.eventually('its time is over', lambda: [self.serving(n) for n in range(2)] == [{'one'}] * 2)
        self.assertEqual([e['address'] for e in self.target('list')['endpoints']], [self.addresses[0]])
        # Deleted and made again it is another Upstream.
        self.gwctl.ok('delete', 'route', 'platform/all', '-y')
        self.gwctl.ok('delete', 'upstream', 'platform/u', '-y')
        self.assertEqual(self.gwctl.json('upstream', 'target', 'list')['endpoints'], [])
        self.assertEqual(self.gwctl.json('status')['endpoints'], 0)
        self.configure({'discovery': {'endpoints': {}}})
        self.assertEqual(self.statuses(), [503, 503])
        self.target('add', self.addresses[2])
        self.serves('three')

    def test_who_may_and_what_is_refused(self):
        shop = self.editor('shop')
        self.fails(3, 'add', 'platform/u', self.addresses[0], gwctl=shop)
        self.apply(document('Upstream', 'own', {'discovery': {'endpoints': {}}}, owner='shop'))
        self.assertEqual(shop.json('upstream', 'target', 'add', 'own', self.addresses[0])['added'], 1)
        self.assertEqual(shop.json('upstream', 'target', 'list', 'own')['endpoints'][0]['by'], 'shop@shop')
        for address, words in (('169.254.169.254:80', 'link-local'), ('100.100.100.200:80', 'metadata'), ('0.0.0.0:80', 'every address'),
                               (f"127.0.0.1:{self.cluster.ready('n1')['admin']}", 'own admin port'), ('10.0.0.1', 'no port'),
                               ('127.1:80', 'unusual form'), ('10.0.0.1:80/x', 'path'), ('a b:80', 'not a host')):
            self.assertIn(words, self.fails(8, 'add', 'platform/u', address))
        self.assertIn('takes at most 3', self.fails(8, 'set', 'platform/u', *[f'10.0.0.{n}:80' for n in range(4)]))
        self.assertIn('named twice', self.fails(8, 'set', 'platform/u', '10.0.0.1:80', '10.0.0.1:80'))
        self.assertIn('has no endpoint', self.fails(4, 'remove', 'platform/u', '10.0.0.1:80'))
        self.fails(4, 'add', 'platform/none', '10.0.0.1:80')
        self.configure({'targets': [{'url': 'http://10.0.0.1:80'}]})
        self.assertIn('takes no endpoints', self.fails(8, 'add', 'platform/u', '10.0.0.1:80'))
        self.assertEqual(self.target('list')['endpoints'], [])


if __name__ == '__main__':
    import unittest
    unittest.main()
