#!/usr/bin/env python3
"""How long a target that dies goes on costing requests, and how long one that is back waits for its first.

  rotation.py [--rounds 5]

One node, two backends as processes, eight clients. A round kills one backend (SIGKILL, under load), waits until a while passes without a failure,
starts it again and waits for its first answer. Prints, per way of finding out (probes every 250 ms; requests that fail), the
median and worst of: failed requests, time from the kill to the last failure, time from the start to the first answer. Programs from
$GW_BUILD_DIR; promise: out within 1 s, back within 5 s.
"""
import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
sys.path.insert(0, str(ROOT / 'tests' / 'system'))
from harness import Load, api, document, documents, gateway, route, standalone, team  # noqa: E402

WAYS = {
    'probes': {'active': {'path': '/healthz', 'interval': '250ms', 'timeout': '200ms', 'unhealthyAfter': 2, 'healthyAfter': 2}},
    'requests': {'passive': {'consecutive5xx': 3, 'ejectFor': '2s', 'maxEjectFor': '4s'}},
}


def start_backend(name, port):
    child = subprocess.Popen([sys.executable, str(ROOT / 'deploy' / 'demo' / 'backend.py'), '--name', name, '--port', str(port)],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(('127.0.0.1', port)) == 0:
                return child
        time.sleep(0.01)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def measure(test, way, rounds):
    ports = {'stays': free_port(), 'dies': free_port()}
    children = {name: start_backend(name, port) for name, port in ports.items()}
    host = f'{way}.localhost'
    test.apply(documents(document('Upstream', way, {'targets': [{'url': f'http://127.0.0.1:{p}'} for p in ports.values()], 'health': WAYS[way]}),
                         api(way, [host]), route(way, way, way)))
    failed, seen = [], {}

    def judge(answer):
        now = time.monotonic()
        if answer.status != 200:
            failed.append(now)
        seen[answer.headers.get('x-backend')] = now
        return None

    rows = []
    try:
        with Load(test.targets(), lambda client, n: ('/', {'Host': host}), judge, clients=8, pause_s=0.005) as load:
            for _ in range(rounds):
                mark = time.monotonic()
                while seen.get('dies', 0) < mark:
                    load.wait_more(10)
                failed.clear()
                killed = time.monotonic()
                children['dies'].send_signal(signal.SIGKILL)
                children['dies'].wait()
                while time.monotonic() - max([killed, *failed]) < 1.5:
                    load.wait_more(10)
                out = (failed[-1] - killed) if failed else 0.0
                count = len(failed)
                children['dies'] = start_backend('dies', ports['dies'])
                back = time.monotonic()
                while seen.get('dies', 0) < back:
                    load.wait_more(5)
                rows.append((count, out, seen['dies'] - back))
    finally:
        for child in children.values():
            child.kill()
            child.wait()
    for label, unit, values in (('failed requests', '', [r[0] for r in rows]), ('kill to last failure', ' s', [r[1] for r in rows]),
                                ('start to first answer', ' s', [r[2] for r in rows])):
        print(f'{way:9} {label:22} median {statistics.median(values):.2f}{unit}, worst {max(values):.2f}{unit}')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=5)
    options = parser.parse_args()
    os.environ.setdefault('GW_BUILD_DIR', str(ROOT / 'build' / 'release'))
    test = standalone()
    try:
        test.start(nodes=('n1',), zones=('az-a',), workers=2)
        test.apply(documents(team('platform'), gateway()))
        for way in WAYS:
            measure(test, way, options.rounds)
    finally:
        test.doCleanups()


if __name__ == '__main__':
    main()
