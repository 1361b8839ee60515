#!/usr/bin/env python3
"""What a zone costs that is lost with both its targets (packets vanish, nothing is refused), and how soon it is used again.

  zone_loss.py [--rounds 5]

One node, two zones of two targets in network namespaces (root only); about 100 requests a second, each of which comes whether
or not others are answered. A round takes down one zone's link, waits until all requests have ended, and takes it up again.
Probes every 250 ms, out after two that fail within 200 ms. Prints, for the SETTINGS below, the median and worst of: failed
requests, requests that hung and were answered by another try, time from the loss to the last request that went into the zone
(promise: 1 s) and to the last failure, time from link up to the first answer from there (promise: 5 s). Programs from
$GW_BUILD_DIR.
"""
import argparse
import http.client
import os
import signal
import socket
import statistics
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
sys.path.insert(0, str(ROOT / 'tests' / 'system'))
sys.path.insert(0, str(ROOT / 'tests' / 'support'))
import zone  # noqa: E402
from harness import api, document, documents, fetch, gateway, route, standalone, team  # noqa: E402

PORTS, PAUSE_S, HUNG_S = (8081, 8082), 0.01, 0.4
HEALTH = {'active': {'path': '/healthz', 'interval': '250ms', 'timeout': '200ms', 'unhealthyAfter': 2, 'healthyAfter': 2}}
AGAIN = {'attempts': 2, 'when': ['connectFailure', 'reset', 'timeout']}
SETTINGS = {
    'probes': {},
    'first-byte-2s': {'timeouts': {'connect': '1s', 'firstByte': '2s'}},
    'per-try-1s': {'retries': {**AGAIN, 'perTry': '1s'}},
}


def start_zones(test):
    zones = {}
    for name in ('stays', 'lost'):
        zones[name] = zone.Zone(name)
        test.addCleanup(zones[name].close)
        for port in PORTS:
            zones[name].start(sys.executable, '-B', ROOT / 'deploy' / 'demo' / 'backend.py', '--name', name, '--address', zones[name].address, '--port', port)
            wait_for_listener(zones[name].address, port)
    return zones


def wait_for_listener(address, port):
    while True:
        with socket.socket() as probe:
            if probe.connect_ex((address, port)) == 0:
                return
        time.sleep(0.01)


class Requests:
    """A new one every PAUSE_S, on a connection of its own, however long others take. Kept: when sent, when answered, status, zone."""

    def __init__(self, target, host):
        self.target, self.host = target, host
        self.ended, self.open, self.stopping = [], set(), threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.stopping.wait(PAUSE_S):
            thread = threading.Thread(target=self.one, daemon=True)
            self.open.add(thread)
            thread.start()

    def one(self):
        sent, status, backend = time.monotonic(), 0, None
        try:
            answer = fetch(*self.target, '/', headers={'Host': self.host}, timeout=60)
            status, backend = answer.status, answer.headers.get('x-backend')
        except (OSError, http.client.HTTPException):
            pass
        self.ended.append((sent, time.monotonic(), status, backend))
        self.open.discard(threading.current_thread())

    def wait_for_those_begun(self):
        for thread in list(self.open):
            thread.join()

    def first_from(self, name, since):
        while True:
            for sent, ended, status, backend in self.ended[-1000:]:
                if sent >= since and status == 200 and backend == name:
                    return ended - since
            time.sleep(0.01)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
        self.wait_for_those_begun()


def one_round(requests, az, healthy):
    requests.first_from('lost', time.monotonic())
    lost = time.monotonic()
    az.lose()
    while healthy() != len(PORTS):
        time.sleep(0.02)
    requests.wait_for_those_begun()
    since = [r for r in requests.ended if r[1] >= lost]
    failed = [r for r in since if r[2] != 200]
    hung = [r for r in since if r[1] - r[0] > HUNG_S]
    last_sent = max([r[0] for r in failed + hung], default=lost) - lost
    last_failed = max([r[1] for r in failed], default=lost) - lost
    again = sum(1 for r in hung if r[2] == 200)
    back = time.monotonic()
    az.come_back()
    first = requests.first_from('lost', back)
    while healthy() != 2 * len(PORTS):
        time.sleep(0.02)
    return len(failed), again, last_sent, last_failed, first


def measure(test, zones, name, rounds):
    host = f'{name}.localhost'
    targets = [{'url': f'http://{az.address}:{port}', 'zone': which} for which, az in zones.items() for port in PORTS]
    test.apply(documents(document('Upstream', name, {'targets': targets, 'health': HEALTH, **SETTINGS[name]}),
                         api(name, [host]), route(name, name, name)))
    with Requests(test.targets()[0], host) as requests:
        rows = [one_round(requests, zones['lost'], lambda: test.metric('gw_upstream_healthy_targets', upstream=f'platform/{name}')) for _ in range(rounds)]
    columns = ('failed requests', ''), ('answered by another try', ''), ('loss to last sent there', ' s'), ('loss to last failure', ' s'), ('link up to first answer', ' s')
    for (label, unit), values in zip(columns, zip(*rows)):
        print(f'{name:13} {label:24} median {statistics.median(values):.2f}{unit}, worst {max(values):.2f}{unit}', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=5)
    options = parser.parse_args()
    os.environ.setdefault('GW_BUILD_DIR', str(ROOT / 'build' / 'release'))
    if reason := zone.why_not():
        sys.exit(reason)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through what cleans up
    test = standalone()
    try:
        zones = start_zones(test)
        test.start(nodes=('n1',), zones=('az-a',), workers=2)
        test.apply(documents(team('platform'), gateway()))
        for name in SETTINGS:
            measure(test, zones, name, options.rounds)
    finally:
        test.doCleanups()


if __name__ == '__main__':
    main()
