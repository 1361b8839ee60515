#!/usr/bin/env python3
"""Many applies under load over two nodes: each is live on both, none costs a request, and the push sends deltas."""
import threading

import harness
from harness import SystemTest, api, documents, fetch, gateway, route, scaled, team, upstream

HOST = 'load.localhost'
FILLING = 300  # routes that never change, so that a whole is much larger than a delta


def marker(n):
    return route('marker', 'load', {'respond': {'status': 200, 'body': str(n)}}, prefix='/marker')


class ApplyUnderLoad(SystemTest):
    def setUp(self):
        super().setUp()
        self.start()
        port = self.backend()
        filling = [route(f'filling-{i}', 'load', 'echo', prefix=f'/filling/{i}') for i in range(FILLING)]
        self.apply(documents(team('platform'), gateway(), upstream('echo', port), api('load', [HOST]),
                             route('all', 'load', 'echo'), marker(0), *filling))
        self.load = harness.Load(self.targets(), lambda client, n: (f'/filling/{n % FILLING}', {'Host': HOST}), clients=4).start()
        self.addCleanup(self.load.stop)

    def check_load(self):
        self.load.wait_more(200)
        done, failed, _ = self.load.counts()
        self.assertEqual(failed, 0, self.load.failures)
        self.assertGreater(done, 0)

    def pushed(self):
        return {name: n for name, n in self.cluster.node_infos().items()}

    def test_each_apply_is_active_on_both_nodes_and_no_request_fails(self):
        self.load.wait_more(50)
        before = self.pushed()
        applies = scaled(200, least=5)
        last = self.gwctl.json('status')['latest']
        for i in range(1, applies + 1):
            answer = self.apply(marker(i))
            self.assertEqual(answer['version'], last + i)
            self.assertEqual({n['node'] for n in answer['rollout']['nodes']}, {'n1', 'n2'})
            for address, port in self.targets():
                self.assertEqual(fetch(address, port, '/marker', headers={'Host': HOST}).body, str(i).encode())
        self.check_load()
        after = self.pushed()
        for node in self.nodes:
            whole = before[node]['configBytesPushed']
            each = (after[node]['configBytesPushed'] - whole) / applies
            self.assertEqual(after[node]['offersWhole'], before[node]['offersWhole'], 'a delta sent the whole')
            self.assertGreaterEqual(after[node]['offersDelta'] - before[node]['offersDelta'], applies)
            self.assertLess(each, whole / 20, f'{node}: {each} bytes for a change of one route, {whole} for everything before')

    def test_applies_that_do_not_wait_end_active_or_superseded_in_order(self):
        seen = {node: [] for node in self.nodes}
        stop = threading.Event()
        watchers = harness.Parallel()

        def watch(node, target):
            while not stop.is_set():
                seen[node].append(int(fetch(*target, '/marker', headers={'Host': HOST}).body))
                stop.wait(0.005)
        for node, target in zip(self.nodes, self.targets()):
            watchers.run(watch, node, target)
        applies = scaled(200, least=5)
        first = self.gwctl.json('status')['latest'] + 1
        versions = [self.apply(marker(i), '--no-wait')['version'] for i in range(1, applies + 1)]
        self.assertEqual(versions, list(range(first, first + applies)))
        self.eventually('the last version is active', lambda: self.gwctl.json('status')['active'] == versions[-1])
        self.eventually('every node shows it', lambda: all(s and s[-1] == applies for s in seen.values()))
        stop.set()
        watchers.join()
        history = {v['version']: v for v in self.gwctl.json('rollout', 'history', '--limit', '1000')}
        phases = [history[v]['phase'] for v in versions]
        self.assertEqual(phases[-1], 'active')
        self.assertLessEqual(set(phases), {'active', 'superseded'}, 'a version is pending')
        active = {0, *(i + 1 for i, phase in enumerate(phases) if phase == 'active')}
        for node, values in seen.items():
            self.assertEqual(values, sorted(values), f'{node} went back')
            self.assertLessEqual(set(values), active, f'{node} served what was not active')
        self.check_load()


if __name__ == '__main__':
    harness.main()
