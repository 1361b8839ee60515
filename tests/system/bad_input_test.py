#!/usr/bin/env python3
"""Bad input: each is refused with its exit code, its place and its cure, nothing is half done, and what runs goes on."""
import os
import shutil
import socket
import subprocess
import sys

import harness
from harness import ROOT, SystemTest, api, document, documents, fetch, gateway, route, team, upstream

sys.path.insert(0, str(ROOT / 'tests' / 'support'))
from fault_proxy import FaultProxy  # noqa: E402

HOST = 'bad.localhost'
HEAD = 'apiVersion: gw/v1\nkind: {}\nmetadata: {{name: {}, owner: platform}}\nspec: '


def yaml(kind, name, spec):
    return HEAD.format(kind, name) + spec + '\n'


class Files(SystemTest):
    """What a file can be wrong with. One cluster for all: each case proves that it left nothing."""

    def setUp(self):
        super().setUp()
        self.start(nodes=('n1',), zones=('az-a',))
        self.port = self.backend()
        self.apply(documents(team('platform'), team('red'), gateway(), upstream('echo', self.port), api('web', [HOST]), route('all', 'web', 'echo'),
                             upstream('red-echo', self.port, owner='red'),
                             api('red-api', ['red.localhost'], owner='red'), route('all', 'red-api', 'red-echo', owner='red')))
        self.load = harness.Load(self.targets(), lambda client, n: ('/', {'Host': HOST}), clients=1, pause_s=0.02).start()
        self.addCleanup(self.load.stop)

    def tearDown(self):
        self.load.wait_more(10)
        self.assertEqual(self.load.counts()[1], 0, self.load.failures)

    def check(self, cases):
        for name, (text, code, *words) in cases.items():
            with self.subTest(name):
                self.refused(text, code, *words)

    def test_yaml_that_says_too_much_or_the_same_twice(self):
        bomb = 'a: &a [x, x, x, x, x, x, x, x, x, x]\n' + ''.join(f'{c}: &{c} [*{b}, *{b}, *{b}, *{b}, *{b}, *{b}, *{b}, *{b}, *{b}, *{b}]\n' for b, c in zip('abcdefgh', 'bcdefghi'))
        self.check({
            'unknown field': (yaml('Route', 'x', '{api: web, match: {path: {prefix: /x}}, tiemouts: {request: 3s}, to: {upstream: echo}}'), 8, '<stdin>:4:', 'GW1004', 'timeouts'),
            'unknown kind': ('apiVersion: gw/v1\nkind: Rout\nmetadata: {name: x}\nspec: {}\n', 8, 'Route'),
            'wrong type': (yaml('Route', 'x', '{api: web, match: {path: /x}, to: {upstream: echo}}'), 8, 'spec.match.path'),
            'wrong unit': (yaml('Upstream', 'x', '{targets: [{url: "http://127.0.0.1:1"}], timeouts: {connect: 5}}'), 8, 'spec.timeouts.connect'),
            'out of range': (yaml('Gateway', 'x', '{nodes: {labels: {}}, listeners: [{name: a, address: "127.0.0.1", port: 70000, protocol: http}]}'), 8, 'spec.listeners[0].port', '65535'),
            'duplicate key': (yaml('Upstream', 'x', '{targets: [{url: "http://127.0.0.1:1"}], targets: []}'), 8, 'targets'),
            'duplicate object': (documents(upstream('x', 1), upstream('x', 2)), 8, 'Upstream platform/x'),
            'alias bomb': (bomb, 8),
            'cycle': ('apiVersion: gw/v1\nkind: Upstream\nmetadata: &m {name: x, labels: *m}\nspec: {}\n', 8),
            'deep nesting': (yaml('Upstream', 'x', '[' * 3000 + ']' * 3000), 8),
            'not YAML': ('kind: [', 8, '<stdin>:'),
            'no objects': ('# nothing\n', 2),
            'field of a later version': (yaml('Gateway', 'x', '{nodes: {labels: {}}, listeners: [{name: a, address: "::", port: 1, protocol: http, http3: true}]}'), 8, 'not supported by this version'),
            'a boolean for a name': (yaml('Route', 'x', '{api: web, match: {path: {prefix: /x}, methods: yes}, to: {upstream: echo}}'), 8, 'methods'),
        })

    def test_references_claims_and_routes(self):
        self.check({
            'dangling reference': (route('x', 'web', 'ehco', prefix='/x'), 8, 'Route platform/x', 'spec.to.upstream', 'echo'),
            'unshared reference': (route('x', 'web', 'red/red-echo', prefix='/x'), 8, 'red/red-echo', 'shareWith'),
            "another team's claim": (documents(api('x', ['red.localhost']), route('x', 'x', 'echo')), 8, 'red/red-api'),
            'unreachable route': (route('x', 'web', 'echo', prefix='/', priority=-1), 8, 'Route platform/x', 'Route platform/all'.split()[1]),
            'a route outside its Api': (documents(api('y', ['y.localhost'], base='/y'), route('x', 'y', 'echo', prefix='/z')), 8, '/y'),
            'a route on the body': (yaml('Route', 'x', '{api: web, match: {path: {prefix: /x}, body: {a: b}}, to: {upstream: echo}}'), 8, 'payload'),
            'two targets': (yaml('Route', 'x', '{api: web, match: {path: {prefix: /x}}, to: {upstream: echo, respond: {status: 200}}}'), 8, 'spec.to'),
            'a bad pattern': (yaml('Route', 'x', '{api: web, match: {path: {regex: "(["}}, to: {upstream: echo}}'), 8, 'regex'),
            'no Team': (document('Upstream', 'x', {'targets': [{'url': 'http://127.0.0.1:1'}]}, owner='nobody'), 8, 'nobody'),
            'CR LF in a header value': (yaml('Policy', 'x', '{type: headers, config: {response: {set: {x-a: "b\\r\\nset-cookie: c"}}}}'), 8, 'spec.config'),
            'a header name with _': (yaml('Policy', 'x', '{type: headers, config: {response: {remove: [x_a]}}}'), 8, 'x_a'),
            'fail open without reason': (yaml('Plan', 'x', '{rate: {requests: 1, per: 1s}, onFailure: open}'), 8, 'reason'),
        })

    def test_many_findings_are_all_told(self):
        broken = documents(*(route(f'r{i}', 'web', f'there-is-no-such-upstream-{i}', f'/r{i}') for i in range(150)))
        self.refused(broken, 8, *(f'Route platform/r{i}:' for i in range(150)))

    def test_an_overlap_is_a_warning_of_the_plan(self):
        text = documents(route('x1', 'web', 'echo', prefix='/same'), route('x2', 'web', 'echo', prefix='/same', match={'path': {'prefix': '/same'}, 'headers': {'a': {'exact': 'b'}}}),
                         route('x3', 'web', 'echo', prefix='/same', match={'path': {'prefix': '/same'}, 'headers': {'c': {'exact': 'd'}}}))
        done = self.gwctl.run('plan', '-f', '-', stdin=text)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('warning', done.stderr)
        self.assertIn('x2', done.stderr)
        self.assertIn('x3', done.stderr)

    def test_upstreams_that_must_not_be(self):
        admin = self.cluster.ready('n1')['admin']
        control = self.cluster.record['address'].rsplit(':', 1)[1]
        cases = {url: (document('Upstream', 'x', {'targets': [{'url': url}]}), 8, 'spec.targets[0].url')
                 for url in ('http://169.254.169.254/latest', 'http://169.254.169.254:80', 'http://[fe80::1]:80', f'http://127.0.0.1:{admin}', f'http://localhost:{admin}',
                             f'http://[::ffff:127.0.0.1]:{admin}', f'http://0.0.0.0:{admin}', f'http://2130706433:{admin}', f'http://127.0.0.1:{control}',
                             'file:///etc/passwd', 'http://user:secret@127.0.0.1:1', 'http://127.0.0.1:99999', 'http://a b:1', 'gopher://127.0.0.1:70')}
        self.check(cases)

    def test_retries_that_contradict_themselves(self):
        head = '{targets: [{url: "http://127.0.0.1:1"}], retries: '
        self.check({
            'a timeout of no length': (yaml('Upstream', 'x', head + '{attempts: 1, when: [timeout]}}'), 8, 'spec.retries.when', 'GW1432', 'perTry'),
            'a second try of none': (yaml('Upstream', 'x', head + '{attempts: 0, hedgeAfter: 10ms}}'), 8, 'spec.retries.hedgeAfter', 'GW1432', 'attempts'),
        })

    def test_files_that_are_too_large_or_not_there(self):
        large = self.folder / 'large.yaml'
        with open(large, 'w') as file:
            file.write(upstream('x', 1))
            for _ in range(100):
                file.write('\n# ' + 'x' * (1 << 20))
        done = self.gwctl.run('apply', '-f', large)
        self.assertEqual(done.returncode, 8, done.stderr)
        self.assertIn('large.yaml', done.stderr)
        many = self.folder / 'many.yaml'
        with open(many, 'w') as file:
            file.write(f'{HEAD.format("Policy", "x")}{{type: ipList, config: {{deny: [' + ','.join(f'10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}' for i in range(200_000)) + ']}}\n')
        self.assertEqual(self.gwctl.run('apply', '-f', many).returncode, 8)
        self.assertEqual(self.gwctl.run('apply', '-f', self.folder / 'absent.yaml').returncode, 2)
        (self.folder / 'empty').mkdir()
        self.assertEqual(self.gwctl.run('apply', '-f', self.folder / 'empty').returncode, 2)
        self.assertEqual(self.gwctl.run('apply', '-f', '/dev/null').returncode, 2)

    def test_a_pattern_that_backtracks_elsewhere_runs_in_linear_time(self):
        self.apply(route('regex', 'web', 'echo', match={'path': {'regex': '^/(a+)+$'}}))
        self.assertEqual(self.get('/' + 'a' * 5000 + '!', HOST).status, 200)

    def test_tokens(self):
        token = self.folder / 'a.token'

        def status():
            token.chmod(0o600)
            return self.cluster.gwctl(token).run('status')
        token.write_text('gwt_wrong')
        self.assertEqual(status().returncode, 3)
        self.assertIn('token', status().stderr)
        token.write_text(self.gwctl.ok('token', 'create', '--name', 'short', '--role', 'viewer', '--ttl', '1s', '-q'))

        def expired():
            done = status()
            return done if done.returncode != 0 else None
        done = self.eventually('the token expires', expired)
        self.assertEqual(done.returncode, 3)
        self.assertIn('expired', done.stderr)
        made = self.gwctl.json('token', 'create', '--name', 'gone', '--role', 'viewer')
        token.write_text(made['token'])
        self.assertEqual(status().returncode, 0)
        self.gwctl.ok('token', 'revoke', made['info']['id'], '-y')
        self.assertEqual(status().returncode, 3)
        self.assertIn('revoked', status().stderr)
        # Secrets are never given back.
        for listing in (self.gwctl.ok('token', 'list', '-o', 'json'), self.gwctl.ok('key', 'list', '-o', 'json'), self.gwctl.ok('export')):
            self.assertNotIn(made['token'], listing)

    def test_a_node_with_a_wrong_join_token_is_told_so(self):
        saved = (self.cluster.state / 'join.token').read_text()
        (self.cluster.state / 'join.token').write_text('gwt_wrong')
        self.cluster.start_node('n2', 'az-b', 1)
        self.eventually('it says so', lambda: 'token' in self.cluster.log('n2').read_text())
        self.assertNotIn('n2', self.cluster.node_infos())
        (self.cluster.state / 'join.token').write_text(saved)
        self.cluster.stop('n2')


class Stores(SystemTest):
    """What can be wrong with the store."""

    def setUp(self):
        super().setUp()
        self.control = self.cluster.state / 'control'

    def program(self, *args):
        return subprocess.run([self.cluster.programs['gw-controlplane'], *map(str, args)], capture_output=True, text=True, timeout=60)

    def base(self):
        return documents(team('platform'), gateway(), upstream('echo', self.backend()), api('web', [HOST]), route('all', 'web', 'echo'))

    def marker(self, n):
        return route('marker', 'web', {'respond': {'status': 200, 'body': str(n)}}, prefix='/marker')

    def test_a_port_in_use_is_named(self):
        self.cluster.init()
        with socket.create_server(('127.0.0.1', 0)) as taken:
            port = taken.getsockname()[1]
            done = self.program('run', '--state', self.control, '--listen', f'127.0.0.1:{port}')
            self.assertEqual(done.returncode, 5, done.stderr)
            self.assertIn(str(port), done.stderr)
            self.start(nodes=())
            self.cluster.join_token_file()
            node = subprocess.run([self.cluster.programs['gw-dataplane'], '--name', 'x', '--state', str(self.folder / 'x'), '--admin', f'127.0.0.1:{port}'],
                                  capture_output=True, text=True, timeout=60)
            self.assertNotEqual(node.returncode, 0)
            self.assertIn(str(port), node.stderr)

    def test_an_address_that_is_none_is_not_listened_on(self):
        self.cluster.init()
        for address in ('localhost:0', '127.0.0.1', '127.0.0.1:99999', 'nonsense'):
            done = self.program('run', '--state', self.control, '--listen', address)
            self.assertEqual(done.returncode, 2, f'{address}: {done.stderr}')

    def test_a_store_in_use_and_a_store_that_is_not_there(self):
        self.start(nodes=())
        done = self.program('run', '--state', self.control, '--listen', '127.0.0.1:0')
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertIn(str(self.cluster.pid('control')), done.stderr)
        self.assertEqual(self.program('init', '--state', self.control).returncode, 5)
        self.assertEqual(self.program('run', '--state', self.folder / 'nowhere', '--listen', '127.0.0.1:0').returncode, 4)
        self.assertEqual(self.gwctl.run('status').returncode, 0, 'the first one goes on')

    def database(self):
        return next(p for p in sorted(self.control.iterdir()) if p.read_bytes()[:6] == b'SQLite')

    def test_a_damaged_store_is_refused_and_nodes_serve_on(self):
        self.start(nodes=('n1',), zones=('az-a',))
        self.apply(self.base())
        self.cluster.stop('control')
        path = self.database()
        data = bytearray(path.read_bytes())
        for at in range(4096, len(data), 512):
            data[at:at + 64] = b'\xff' * 64
        path.write_bytes(data)
        for leftover in self.control.glob(path.name + '-*'):
            leftover.unlink()
        done = self.program('run', '--state', self.control, '--listen', '127.0.0.1:0')
        self.assertEqual(done.returncode, 8, done.stderr)
        self.assertIn(str(path.name), done.stderr)
        self.assertEqual(self.get('/', HOST).status, 200)
        # The same for something that is no database at all.
        path.write_bytes(b'not a database' * 1000)
        self.assertEqual(self.program('run', '--state', self.control, '--listen', '127.0.0.1:0').returncode, 8)

    def test_a_restored_backup_begins_a_lineage_and_nodes_follow_it(self):
        self.start()
        self.apply(self.base())
        self.apply(self.marker(1))
        self.cluster.stop('control')
        backup = self.folder / 'backup'
        shutil.copytree(self.control, backup)
        self.cluster.start_again('control')
        self.cluster.wait_connected()
        before = self.gwctl.json('version')['lineage']
        plan = self.folder / 'plan.json'
        for n in (2, 3):
            self.apply(self.marker(n))
        self.gwctl.ok('plan', '-f', '-', '--out', plan, stdin=self.marker(4))
        self.cluster.stop('control')
        database = self.database().name
        for leftover in self.control.glob(database + '*'):
            leftover.unlink()
        for file in backup.glob(database + '*'):
            shutil.copy(file, self.control)
        self.cluster.start_again('control')
        self.cluster.wait_connected()
        self.assertNotEqual(self.gwctl.json('version')['lineage'], before)
        # What the nodes hold is newer by number and older by truth: they take what the store says.
        for node in range(2):
            self.eventually('nodes follow the restored store', lambda: self.get('/marker', HOST, node).body == b'1')
        answer = self.apply(self.marker(5))
        for node in range(2):
            self.assertEqual(self.get('/marker', HOST, node).body, b'5')
        self.assertGreater(answer['version'], 2)
        done = self.gwctl.run('apply', '--plan', plan)
        self.assertEqual(done.returncode, 5, done.stderr)

    def test_a_full_disk_loses_nothing_and_is_said(self):
        disk = self.folder / 'disk'
        disk.mkdir()
        mounted = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=3m,mode=700', 'tmpfs', str(disk)], capture_output=True, text=True)
        if mounted.returncode != 0:
            self.skipTest(f'no small file system can be mounted here: {mounted.stderr.strip()}')
        self.addCleanup(subprocess.run, ['umount', '-l', str(disk)])
        self.cluster.state.mkdir(parents=True)
        (self.cluster.state / 'control').symlink_to(disk)
        self.start(nodes=('n1',), zones=('az-a',))
        self.apply(self.base())
        filler, acknowledged, done = disk / 'filler', 0, None
        with open(filler, 'wb') as file:  # all but a little
            free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
            file.write(b'x' * max(0, free - (256 << 10)))
        for n in range(1, 500):
            done = self.gwctl.run('apply', '-f', '-', stdin=documents(self.marker(n), document('Policy', f'fill-{n}', {
                'type': 'headers', 'config': {'response': {'set': {f'x-{i}': 'y' * 500 for i in range(40)}}}})))
            if done.returncode != 0:
                break
            acknowledged = n
        self.assertNotEqual(done.returncode, 0, 'the disk never got full')
        self.assertIn(done.returncode, (6, 8), done.stderr)
        self.assertRegex(done.stderr, 'full|space')
        self.assertEqual(self.get('/marker', HOST).body.decode() if acknowledged else '0', str(acknowledged))
        self.assertEqual(self.gwctl.run('status').returncode, 0)
        # With room again it goes on, and a restart finds what was acknowledged.
        filler.unlink()
        self.cluster.stop('control')
        self.cluster.start_again('control')
        self.cluster.wait_connected(['n1'])
        found = self.gwctl.json('get', 'route/platform/marker')
        self.assertEqual(found['spec']['to']['respond']['body'], str(acknowledged))
        self.apply(self.marker(1000))
        self.assertEqual(self.get('/marker', HOST).body, b'1000')


class Nowhere(SystemTest):
    def test_a_control_plane_that_is_not_there_is_exit_6(self):
        self.cluster.init()
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            self.cluster.record['address'] = f'127.0.0.1:{s.getsockname()[1]}'
        done = self.gwctl.run('apply', '-f', '-', stdin=team('platform'))
        self.assertEqual(done.returncode, 6, done.stderr)
        self.assertIn(f'gwctl: cannot reach the control plane at {self.cluster.record["address"]}: ', done.stderr)

    def test_one_connection_that_fails_is_tried_again_many_are_told(self):
        self.start(nodes=())
        proxy = FaultProxy(int(self.cluster.record['address'].rsplit(':', 1)[1]))
        self.addCleanup(proxy.close)
        self.cluster.record['address'] = f'127.0.0.1:{proxy.port}'
        proxy.drop = 1
        self.gwctl.ok('get', 'teams')
        self.assertEqual(proxy.drop, 0)
        proxy.drop = 1000
        self.assertEqual(self.gwctl.run('get', 'teams').returncode, 6)

    def test_a_listener_without_a_token_lets_nobody_in(self):
        self.start(nodes=())
        empty = self.folder / 'none.token'
        empty.write_text('x\n')
        self.assertEqual(self.cluster.gwctl(empty).run('get', 'all').returncode, 3)
        # Nor does it answer HTTP/1.
        with self.assertRaises((OSError, harness.sys.modules['http.client'].HTTPException)):
            address, port = self.cluster.record['address'].rsplit(':', 1)
            fetch(address, int(port), '/v1/routes')


if __name__ == '__main__':
    harness.main()
