#!/usr/bin/env python3
"""Plans over two nodes: a quota ends on both, a rate is shared, and usage is what was let through."""
import json

import harness
from harness import API_KEY, SystemTest, api, app, document, documents, gateway, plan, route, team, upstream

HOST = 'quota.localhost'
QUOTA = 300


class Quota(SystemTest):
    def setUp(self):
        super().setUp()
        self.start()
        product = document('Product', 'product', {'title': 'All', 'apis': ['keyed'], 'plans': ['pro', 'small', 'slow']})
        slow = document('Plan', 'slow', {'title': 'slow', 'rate': {'requests': 20, 'per': '24h', 'burst': 20}, 'onFailure': 'closed'})
        self.apply(documents(team('platform'), gateway(), upstream('echo', self.backend()), API_KEY, plan(), plan('small', quota=QUOTA), slow, product,
                             api('keyed', [HOST], auth=['api-key']), route('all', 'keyed', 'echo'),
                             route('free', 'keyed', 'echo', prefix='/free', metered=False),
                             app('quota-app', plan_name='small'), app('rate-app', plan_name='slow'), app('other')))
        self.key = {a: self.gwctl.ok('key', 'create', '--app', f'platform/{a}', '-q').strip() for a in ('quota-app', 'rate-app', 'other')}

    def ask(self, which, node, path='/x'):
        return self.get(path, HOST, node, x_api_key=self.key[which])

    def test_a_quota_that_is_used_up_is_refused_on_every_node_and_stays_so(self):
        admitted = 0
        # At twice the quota at the latest the control plane has heard of it from both nodes.
        for n in range(QUOTA * 20):
            answer = self.ask('quota-app', n % 2)
            if answer.status == 429:
                break
            self.assertEqual(answer.status, 200)
            admitted += 1
        self.assertEqual(answer.status, 429)
        problem = json.loads(answer.body)
        self.assertEqual(problem['reason'], 'QUOTA_EXHAUSTED')
        self.assertGreaterEqual(admitted, QUOTA, 'refused before the quota was used up')

        def refused_everywhere():
            answers = [self.ask('quota-app', node) for node in range(2)]
            nonlocal admitted
            admitted += sum(a.status == 200 for a in answers)
            return all(a.status == 429 for a in answers)
        self.eventually('both nodes refuse', refused_everywhere)
        self.assertEqual(self.ask('other', 0).status, 200, 'another subscription is refused')
        self.assertEqual(self.ask('quota-app', 0, '/free').status, 200, 'what is not metered needs no quota')
        # Refused requests are not usage.
        self.usage_becomes({'platform/quota-app': admitted, 'platform/other': 1})
        # Neither a restart of the control plane nor of a node gives it back.
        self.cluster.stop('control', kill=True)
        self.cluster.stop('n2')
        self.cluster.start_again('control')
        self.cluster.start_again('n2')
        self.cluster.wait_connected()
        self.eventually('both nodes refuse again', lambda: all(self.ask('quota-app', node).status == 429 for node in range(2)))
        # More quota ends it.
        self.apply(plan('small', quota=QUOTA * 1000))
        self.eventually('both nodes admit again', lambda: all(self.ask('quota-app', node).status == 200 for node in range(2)))

    def test_a_rate_is_shared_by_the_nodes(self):
        statuses = [self.ask('rate-app', n % 2).status for n in range(100)]
        self.assertEqual(set(statuses), {200, 429})
        # 20 in a day, of which each node has half; none comes back within a test.
        self.assertLessEqual(statuses.count(200), 21)
        self.assertGreaterEqual(statuses.count(200), 18)
        self.assertEqual(json.loads(self.ask('rate-app', 0).body)['reason'], 'RATE_LIMITED')


if __name__ == '__main__':
    harness.main()
