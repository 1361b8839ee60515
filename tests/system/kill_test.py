#!/usr/bin/env python3
"""SIGKILL, again and again: what was acknowledged stays, versions never go back, nodes serve throughout, and usage is what
was metered."""
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import harness
from harness import API_KEY, SystemTest, api, app, document, documents, gateway, plan, route, scaled, team, upstream

HOST = 'kill.localhost'
APPS = 4


def marker(n):
    return route('marker', 'open', {'respond': {'status': 200, 'body': str(n)}}, prefix='/open/marker')


class Kill(SystemTest):
    def setUp(self):
        super().setUp()
        self.start()
        port = self.backend()
        product = document('Product', 'product', {'title': 'All', 'apis': ['keyed'], 'plans': ['pro']})
        self.apply(documents(team('platform'), gateway(), upstream('echo', port), API_KEY, plan(), product,
                             api('keyed', [HOST], auth=['api-key']), route('all', 'keyed', 'echo'),
                             api('open', [HOST], base='/open'), marker(0), *(app(f'app-{i}') for i in range(APPS))))
        gwctl = self.gwctl
        with ThreadPoolExecutor(2) as pool:
            keys = list(pool.map(lambda i: gwctl.ok('key', 'create', '--app', f'platform/app-{i}', '-q').strip(), range(APPS)))
        self.keys = keys
        self.versions, self.new_keys = [], []  # what was acknowledged: (version, value), keys
        self.stop_writers = threading.Event()
        self.unknown = 0  # writes whose answer was lost

    def make(self, client, n):
        return f'/work/{n % 100}', {'Host': HOST, 'x-api-key': self.keys[client % APPS]}

    def write_versions(self):
        value = 0
        while not self.stop_writers.is_set():
            value += 1
            done = self.gwctl.run('apply', '-f', '-', '--no-wait', '-o', 'json', stdin=marker(value))
            if done.returncode == 0:
                self.versions.append((harness.json.loads(done.stdout)['version'], value))
            else:
                self.assertIn(done.returncode, (1, 6, 7), done.stderr)  # 1: stored, no node is connected yet
                if done.returncode == 1:
                    self.versions.append((harness.json.loads(done.stdout)['version'], value))
                self.unknown += 1
                self.stop_writers.wait(0.02)

    def write_keys(self):
        while not self.stop_writers.is_set():
            done = self.gwctl.run('key', 'create', '--app', 'platform/app-0', '--no-wait', '-q')
            if done.returncode == 0:
                self.new_keys.append(done.stdout.strip())
            else:
                self.assertIn(done.returncode, (6, 7), done.stderr)
            self.stop_writers.wait(0.2)  # an App has a thousand keys at most

    def check_acknowledged(self):
        """Everything that was said to be stored is there, in order, and works."""
        numbers = [v for v, _ in self.versions]
        self.assertEqual(numbers, sorted(set(numbers)), 'versions went back')
        latest = self.gwctl.json('status')['latest']
        self.assertGreaterEqual(latest, numbers[-1])
        for number, value in random.Random(1).sample(self.versions, min(20, len(self.versions))):
            found = self.gwctl.json('get', 'route/platform/marker', '--at', str(number))
            self.assertEqual(found['spec']['to']['respond']['body'], str(value), f'version {number}')
        stored = {k['id'] for k in self.gwctl.json('key', 'list', '--app', 'platform/app-0')}
        for key in self.new_keys:
            self.assertIn(key.split('_')[2], stored, 'an acknowledged key is lost')
        if self.new_keys:
            self.assertEqual(self.get('/work/new', HOST, x_api_key=self.new_keys[-1]).status, 200)

    def kill_control(self, writers, load):
        kills = scaled(100, least=3)
        for n in range(kills):
            writes = len(self.versions) + len(self.new_keys)
            # In the middle of things: after something was acknowledged since the last kill, at no particular moment.
            self.eventually('a write is acknowledged', lambda: len(self.versions) + len(self.new_keys) > writes or writers.errors)
            if writers.errors:
                raise writers.errors[0]
            threading.Event().wait(random.random() * 0.05)
            self.cluster.stop('control', kill=True)
            load.wait_more(20)  # the nodes serve without it
            self.cluster.start_again('control')
            acknowledged = max((v for v, _ in self.versions), default=0)  # before the question: the writers go on meanwhile
            latest = self.gwctl.json('status')['latest']
            self.assertGreaterEqual(latest, acknowledged, f'kill {n}: an acknowledged version is lost')
        return kills

    def test_a_control_plane_that_is_killed_loses_nothing_that_it_acknowledged(self):
        load = harness.Load(self.targets(), self.make, clients=4, pause_s=0.01).start()
        self.addCleanup(load.stop)
        writers = harness.Parallel()
        for writer in (self.write_versions, self.write_keys):
            writers.run(writer)
        kills = self.kill_control(writers, load)
        self.stop_writers.set()
        writers.join()
        self.cluster.wait_connected()
        last = self.versions[-1][0]
        self.eventually('the last version is active', lambda: self.gwctl.json('status')['active'] >= last)
        load.wait_more(50)
        load.stop()
        done, failed, _ = load.counts()
        self.assertEqual(failed, 0, f'{kills} kills: {load.failures}')
        self.check_acknowledged()
        # Nothing was in flight at a node's kill: usage is exactly what was answered, and the one look at a new key.
        expected = {f'platform/app-{i}': load.per_client[i] for i in range(APPS)}
        expected['platform/app-0'] += 1 if self.new_keys else 0
        self.usage_becomes(expected)

    def test_nodes_that_are_killed_lose_only_what_was_in_flight(self):
        clients = 4
        load = harness.Load(self.targets(), self.make, clients=clients, pause_s=0.01, tolerate_target_loss=True)
        ports = [port for _, port in self.targets()]
        kills = scaled(20, least=2)
        # The same ports again, so that the clients find them.
        for node, port in zip(self.nodes, ports):
            self.cluster.record['processes'][node]['command'] += ['--listener', f'http=127.0.0.1:{port}']
        load.start()
        self.addCleanup(load.stop)
        for n in range(kills):
            node = self.nodes[n % 2]
            load.wait_more(40)
            self.cluster.stop(node, kill=True)
            load.wait_more(20)  # the other one serves
            self.apply(marker(1000 + n), '--no-wait')
            self.cluster.start_again(node)
            self.cluster.wait_listening(node)
            load.wait_more(20)
        self.cluster.wait_connected()
        load.wait_more(100)
        load.stop()
        done, failed, lost = load.counts()
        self.assertEqual(failed, 0, load.failures)
        latest = self.gwctl.json('status')['latest']
        self.eventually('every node has the latest version', lambda: all(
            n['connected'] and n['configVersion'] == latest for n in self.cluster.node_infos().values()))
        # Answered to the client, but not counted by a node that died in between: at most one a client and kill. Counted but
        # not answered: at most what the clients lost.
        slack = kills * clients
        def total():
            return sum(r['requests'] for r in self.usage('app'))
        self.eventually('usage has what was metered', lambda: total() >= done - slack)
        self.eventually('usage acknowledged', lambda: all(n['usageUnacknowledged'] == 0 for n in self.cluster.node_infos().values()))
        self.assertLessEqual(total(), done + lost)


if __name__ == '__main__':
    harness.main()
