#!/usr/bin/env python3
"""Who may do what, and whose requests a change can reach."""
import json

import harness
from harness import SystemTest, api, document, documents, gateway, route, team, upstream


class NodeLabels(SystemTest):
    def test_a_node_runs_the_gateways_that_its_labels_choose_and_no_other(self):
        self.start(more={'n1': ('--label', 'tier=edge'), 'n2': ('--label', 'tier=inner', '--label', 'site=a')})

        def config(edge):
            return documents(team('platform'), gateway(('http', 0), labels=edge), gateway(('inner', 0), name='inner', labels={'tier': 'inner'}),
                             gateway(('common', 0), name='common'),
                             upstream('up', self.port), api('all', ['*']), route('all', 'all', 'up'))
        self.port = self.backend()

        def listeners():
            return {name: sorted(one['name'] for one in node.get('listeners', [])) for name, node in self.cluster.node_infos().items()}
        self.apply(config({'tier': 'edge'}))
        self.eventually('each node its own', lambda: listeners() == {'n1': ['common', 'http'], 'n2': ['common', 'inner']})
        self.apply(config({'site': 'a'}))  # all labels that are asked for, of those that a node has
        self.eventually('both on one', lambda: listeners() == {'n1': ['common'], 'n2': ['common', 'http', 'inner']})
        self.apply(config({}))
        self.eventually('one on both', lambda: listeners() == {'n1': ['common', 'http'], 'n2': ['common', 'http', 'inner']})
        self.assertEqual(self.get('/', 'x', node=1, listener='inner').status, 200)


class Isolation(SystemTest):
    def setUp(self):
        super().setUp()
        self.start(nodes=('n1',), zones=('az-a',))
        port = self.backend()
        self.apply(documents(team('platform'), team('red'), team('blue'), gateway(), upstream('echo', port),
                             upstream('red-echo', port, owner='red'),
                             api('red-api', ['red.localhost'], owner='red'), route('all', 'red-api', 'red-echo', owner='red'),
                             api('shared', ['shared.localhost'], base='/', owner='red', grants=[{'team': 'blue', 'basePath': '/blue'}]),
                             route('shared', 'shared', 'red-echo', owner='red'),
                             document('Consumer', 'c', {'title': 'c'}), document('App', 'a', {'consumer': 'c'})))

    def token(self, role, team_name=''):
        path = self.folder / f'{role}{team_name}.token'
        flags = ['--team', team_name] if team_name else []
        path.write_text(self.gwctl.ok('token', 'create', '--name', f'{role} {team_name}', '--role', role, *flags, '-q'))
        path.chmod(0o600)
        return self.cluster.gwctl(path)

    def verdicts(self):
        out = {}
        for url in ('http://red.localhost/', 'http://red.localhost/a/b', 'http://shared.localhost/', 'http://shared.localhost/green/x'):
            answer = self.gwctl.json('explain-request', 'GET', url)
            out[url] = (answer.get('route'), answer.get('upstream'), answer.get('status'))
        return out

    def test_a_viewer_looks_and_writes_nothing(self):
        viewer = self.token('viewer')
        self.assertEqual(viewer.run('status').returncode, 0)
        for args in (('apply', '-f', '-'), ('key', 'create', '--app', 'platform/a'), ('token', 'create', '--name', 'x', '--role', 'admin'),
                     ('node', 'join-token'), ('delete', 'route', 'red/all'), ('rollout', 'undo', '1')):
            done = viewer.run(*args, stdin=documents(team('green')))
            self.assertEqual(done.returncode, 3, f'{args}: {done.stderr}')

    def test_an_editor_writes_what_its_team_owns(self):
        red, blue = self.token('editor', 'red'), self.token('editor', 'blue')
        self.assertEqual(red.run('apply', '-f', '-', stdin=route('more', 'red-api', 'red-echo', prefix='/more', owner='red')).returncode, 0)
        for text in (route('all', 'red-api', 'red-echo', prefix='/stolen', owner='red'), documents(team('green'))):
            done = blue.run('apply', '-f', '-', stdin=text)
            self.assertIn(done.returncode, (3, 5), done.stderr)
        self.assertIn(blue.run('delete', 'route', 'red/all').returncode, (3, 5))
        self.assertEqual(blue.run('token', 'create', '--name', 'x', '--role', 'editor', '--team', 'red').returncode, 3)

    def test_nothing_that_one_team_applies_changes_anothers_verdicts(self):
        before = self.verdicts()
        blue = self.token('editor', 'blue')
        # Refused: another team's host, a wildcard's exact host, a path below a claim without a grant.
        for hosts, base in ((['red.localhost'], '/'), (['red.localhost'], '/a'), (['shared.localhost'], '/green')):
            done = blue.run('apply', '-f', '-', stdin=documents(
                api('thief', hosts, base=base, owner='blue'), route('thief', 'thief', {'respond': {'status': 200}}, prefix=base, owner='blue')))
            self.assertEqual(done.returncode, 8, done.stderr)
            self.assertIn('red', done.stderr)
        # Granted: its own path, and nothing else.
        done = blue.run('apply', '-f', '-', stdin=documents(
            api('guest', ['shared.localhost'], base='/blue', owner='blue'),
            route('guest', 'guest', {'respond': {'status': 200, 'body': 'blue'}}, prefix='/blue', owner='blue')))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.verdicts(), before)
        self.assertEqual(self.get('/blue/x', 'shared.localhost').body, b'blue')
        self.assertEqual(self.get('/green/x', 'shared.localhost').headers['x-backend'], 'echo')
        # Another team's Upstream that is not shared.
        done = blue.run('apply', '-f', '-', stdin=route('borrow', 'guest', 'red/red-echo', prefix='/blue/borrow', owner='blue'))
        self.assertEqual(done.returncode, 8, done.stderr)
        self.assertIn('shareWith', done.stderr)

    def test_a_node_token_opens_nothing_else(self):
        token = next((self.cluster.state / 'nodes' / 'n1').glob('*token*'), None)
        self.assertIsNotNone(token, 'a node keeps its token in its state directory')
        node = self.cluster.gwctl(self.folder / 'node.token')
        text = token.read_text()
        try:
            text = json.loads(text).get('token', text)
        except ValueError:
            pass
        (self.folder / 'node.token').write_text(text)
        self.assertEqual(node.run('status').returncode, 3)
        self.assertEqual(self.cluster.gwctl(self.cluster.state / 'join.token').run('status').returncode, 3)


if __name__ == '__main__':
    harness.main()
