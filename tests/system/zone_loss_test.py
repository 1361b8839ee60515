#!/usr/bin/env python3
"""A zone is lost, with all targets in it, and comes back. Two network namespaces are the zones; one's link goes down under
load, so that packets vanish: nothing is reset or refused. Skipped where there may be no network namespaces.
"""
import re
import signal
import socket
import sys

from harness import CAP_S, ROOT, Load, SystemTest, api, document, documents, gateway, main, route, team

sys.path.insert(0, str(ROOT / 'tests' / 'support'))
import zone  # noqa: E402

HOST = 'zones.localhost'
CLIENTS = 4           # of each node
PORTS = (8081, 8082)  # two targets in each zone
# The timeout is generous, so that a busy machine takes no good target out: a lost one is out 2.5 s later.
PROBES = {'active': {'path': '/healthz', 'interval': '250ms', 'timeout': '1s', 'unhealthyAfter': 2, 'healthyAfter': 2}}


class ZoneLoss(SystemTest):
    def setUp(self):
        if reason := zone.why_not():
            self.skipTest(reason)
        super().setUp()
        self.zones = {}
        for name in ('az-a', 'az-b'):
            az = self.zones[name] = zone.Zone(name)
            self.addCleanup(az.close)
            for port in PORTS:
                az.start(sys.executable, '-B', ROOT / 'deploy' / 'demo' / 'backend.py', '--name', name,
                         '--address', az.address, '--port', port)
                self.eventually(f'the backend {az.address}:{port} listens', lambda: self.reached(az.address, port))
        self.start(nodes=('n1', 'n2'), zones=('az-a', 'az-b'), workers=2)

    def reached(self, address, port):
        try:
            socket.create_connection((address, port), timeout=CAP_S).close()
            return True
        except ConnectionRefusedError:
            return False

    def configure(self, **spec):
        """Starts the load of each node."""
        targets = [{'url': f'http://{az.address}:{port}', 'zone': name} for name, az in self.zones.items() for port in PORTS]
        self.apply(documents(team('platform'), gateway(), document('Upstream', 'both', {'targets': targets, 'health': PROBES, **spec}),
                             api('all', [HOST]), route('all', 'all', 'both')))
        self.loads = [Load([target], lambda client, n: ('/', {'Host': HOST}), self.judge, CLIENTS, timeout=CAP_S) for target in self.targets()]
        for load in self.loads:
            self.addCleanup(load.stop)
            load.start()

    def judge(self, answer):
        if answer.status == 200:
            return None
        reason = re.search(r'"reason": ?"([A-Z_]+)"', answer.body.decode(errors='replace'))
        return f'status {answer.status} {reason[1] if reason else answer.body}'

    def failed(self):
        """Of each node's load; a connection that ended is none that a lost zone explains."""
        self.assertEqual([load.counts()[2] for load in self.loads], [0, 0])
        return [load.counts()[1] for load in self.loads]

    def served_by(self, load, *zones):
        """Waits until a hundred answers in a row come from these zones, and from each of them."""
        def only():
            load.take_backends()
            load.wait_more(100)
            return set(load.take_backends()) == set(zones)
        self.eventually(f'served by {" and ".join(zones)}', only)

    def all_clients_go_on(self):
        for load in self.loads:
            before = dict(load.per_client)
            self.eventually('every client has an answer', lambda: all(load.per_client[i] > before.get(i, 0) for i in range(CLIENTS)))

    def states(self, name):
        """What `describe` says of the zone's targets: one for each node and target."""
        text = self.gwctl.ok('describe', 'upstream', 'platform/both')
        return re.findall(rf'^n\d +{re.escape(self.zones[name].address)}:\d+ +\S+ +(\S.*?)  ', text, re.M)

    def lose(self, name):
        self.zones[name].lose()
        with self.assertRaises(TimeoutError):  # neither refused nor reset nor unreachable: nothing comes
            socket.create_connection((self.zones[name].address, PORTS[0]), timeout=0.1)
        self.eventually('its targets are out on both nodes', lambda: self.states(name) == ['fails its probes'] * 4)

    def come_back(self, name):
        self.zones[name].come_back()
        self.eventually('its targets are in on both nodes', lambda: self.states(name) == ['in rotation'] * 4)

    def test_a_zone_that_is_lost_costs_no_more_than_the_requests_in_work_there(self):
        # Longer than it takes until the targets are out: who has waited for so long does not meet a lost target again.
        self.configure(timeouts={'firstByte': '10s'})
        for name, other in (('az-a', 'az-b'), ('az-b', 'az-a')):
            for load in self.loads:
                self.served_by(load, 'az-a', 'az-b')
            before = self.failed()
            self.lose(name)
            for load in self.loads:
                self.served_by(load, other)
            self.all_clients_go_on()
            # A client has one request in work, so that each can lose one. That some did shows that packets vanished.
            lost = [now - then for now, then in zip(self.failed(), before)]
            self.assertLessEqual(max(lost), CLIENTS, [load.failures for load in self.loads])
            self.assertGreater(sum(lost), 0)
            before = self.failed()
            self.come_back(name)
            for load in self.loads:
                self.served_by(load, 'az-a', 'az-b')
            self.assertEqual(self.failed(), before, [load.failures for load in self.loads])
        failures = {failure.partition(': ')[2] for load in self.loads for failure in load.failures}
        self.assertLessEqual(failures, {'status 504 UPSTREAM_TIMEOUT'})

    def test_a_node_that_prefers_a_lost_zone_loses_no_request_that_may_be_tried_again(self):
        # perTry is longer than it takes until the targets are out: the second try does not meet a lost one again.
        self.configure(balance={'zoneAware': True},
                       retries={'attempts': 2, 'when': ['connectFailure', 'reset', 'timeout'], 'perTry': '5s'})
        near, far = self.loads
        self.served_by(near, 'az-a')
        self.served_by(far, 'az-b')
        far.take_backends()
        self.lose('az-a')
        self.served_by(near, 'az-b')
        self.all_clients_go_on()
        self.assertEqual(self.failed(), [0, 0], [load.failures for load in self.loads])
        self.assertGreater(self.metric('gw_retries_total', upstream='platform/both', reason='timeout'), 0)
        self.come_back('az-a')
        self.served_by(near, 'az-a')
        self.served_by(far, 'az-b')
        self.assertEqual(self.failed(), [0, 0], [load.failures for load in self.loads])


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an error like others: zones are removed
    main()
