#!/usr/bin/env python3
"""Minutes of load, changes, faults and deaths: what grows, and which requests fail.

  soak.py [--minutes 10]

A control plane, two nodes, four backends as processes, two of them behind fault proxies; clients that keep their connections
and clients that do not, with keys and plans, small bodies and bodies of 1 MiB. Meanwhile: a change every second or so; a proxy
resets, stalls, delays; a backend is killed and comes back; in the first half the control plane is killed (SIGKILL) now and then,
and a node hands over to a new process twice. Prints memory, descriptors and threads of each process, minute by minute, and a verdict:

  memory       of the last process of each name, by a least-squares line after WARM_UP_S: no more than FLAT a minute
  descriptors  and threads: back to what they were, once the load has ended
  failures     each belongs to a fault that was active at its upstream (faults.py says which may do what), and no answer is wrong
  changes      each is served by both nodes once applied; usage lies between answered and sent

Exit code 1 if one of them does not hold. Runs shorter than four minutes do not judge memory. Programs from $GW_BUILD_DIR.
"""
import argparse
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
sys.path[:0] = [str(ROOT / 'tests' / 'system'), str(ROOT / 'tests' / 'support'), str(HERE)]
import harness  # noqa: E402
from clients import HOST, Client  # noqa: E402
from fault_proxy import Fault, FaultProxy  # noqa: E402
from faults import Faults  # noqa: E402
from harness import API_KEY, api, app, document, documents, fetch, gateway, plan, route, team  # noqa: E402
from processes import Processes  # noqa: E402

WARM_UP_S, SAMPLE_S = 120, 5
PROBES = {'active': {'path': '/healthz', 'interval': '250ms', 'timeout': '2s', 'unhealthyAfter': 2, 'healthyAfter': 2}}
SETTINGS = {'health': PROBES, 'timeouts': {'connect': '1s', 'firstByte': '10s', 'idle': '5s'},
            'retries': {'attempts': 2, 'when': ['connectFailure', 'reset', 'timeout'], 'perTry': '5s', 'budget': '100%'}}


class Backend:
    """A process that can be killed and comes back on its port."""

    def __init__(self, name):
        self.name, self.port = name, 0
        self.start()

    def start(self):
        self.child = subprocess.Popen([sys.executable, '-B', str(HERE / 'sized_backend.py'), self.name, str(self.port)], stdout=subprocess.PIPE, text=True)
        self.port = int(self.child.stdout.readline())

    def kill(self):
        self.child.kill()
        self.child.wait()
        self.child.stdout.close()


class Soak:
    def __init__(self, test, minutes):
        self.test, self.seconds = test, minutes * 60
        self.faults, self.wrong, self.changes, self.unreached = Faults(), [], 0, 0
        self.stopping, self.threads, self.handed_over = threading.Event(), [], []

    # --- before

    def set_up(self):
        test = self.test
        self.backends = {name: Backend(name) for name in ('direct-0', 'direct-1', 'proxied-0', 'proxied-1')}
        for backend in self.backends.values():
            test.addCleanup(lambda b=backend: b.kill())
        self.proxies = [FaultProxy(self.backends[f'proxied-{i}'].port) for i in range(2)]
        for proxy in self.proxies:
            test.addCleanup(proxy.close)
        test.start(nodes=('n1', 'n2'), zones=('az-a', 'az-b'), workers=2)
        test.apply(documents(
            team('platform'), gateway(), self.upstream('steady', 1), document('Upstream', 'shaky', {'targets': self.targets(p.port for p in self.proxies), **SETTINGS}),
            API_KEY, plan(), document('Plan', 'slow', {'title': 'slow', 'rate': {'requests': 20, 'per': '1s', 'burst': 20}, 'onFailure': 'open', 'reason': 'a test'}),
            document('Product', 'product', {'title': 'All', 'apis': ['soak'], 'plans': ['pro', 'slow']}),
            api('soak', [HOST], auth=['api-key']), route('steady', 'soak', 'steady', prefix='/steady'), route('shaky', 'soak', 'shaky', prefix='/shaky'),
            self.marker(0), app('fast'), app('slow', plan_name='slow')))
        self.keys = {name: test.gwctl.ok('key', 'create', '--app', f'platform/{name}', '-q').strip() for name in ('fast', 'slow')}
        self.nodes = test.targets()
        self.processes = Processes({'control': lambda: test.cluster.pid('control'), 'n1': self.node_pid, 'n2': lambda: test.cluster.pid('n2'),
                                    **{b.name: lambda b=b: b.child.pid for b in self.backends.values()}, 'clients': os.getpid})

    def targets(self, ports, weight=1):
        return [{'url': f'http://127.0.0.1:{port}', 'weight': weight} for port in ports]

    def upstream(self, name, weight):
        return document('Upstream', name, {'targets': self.targets((self.backends[f'direct-{i}'].port for i in range(2)), weight), **SETTINGS})

    def marker(self, n):
        return route('marker', 'soak', {'respond': {'status': 200, 'body': str(n)}}, prefix='/marker')

    def node_pid(self):
        return (self.test.cluster.ready('n1') or {}).get('pid')

    # --- what goes on meanwhile

    def run_thread(self, function):
        def body():
            try:
                function()
            except Exception as error:  # noqa: BLE001
                self.wrong.append(f'{function.__name__}: {type(error).__name__}: {error}')
        self.threads.append(threading.Thread(target=body, daemon=True))
        self.threads[-1].start()

    def change(self):
        """A new answer of one route each time, with another weight of an upstream's targets every fifth."""
        n = 0
        while not self.stopping.wait(random.uniform(0.5, 1.5)):
            n += 1
            began = time.monotonic()
            text = documents(self.marker(n), *([self.upstream('steady', 1 + n % 3)] if n % 5 == 0 else []))
            done = self.test.gwctl.run('apply', '-f', '-', stdin=text)
            if done.returncode != 0:
                self.unreached += 1
                if done.returncode not in (1, 6, 7) or not self.faults.active('control', began, time.monotonic()):
                    self.wrong.append(f'change {n}: exit code {done.returncode}: {done.stderr.strip()[-300:]}')
                continue
            self.changes += 1
            for address, port in self.nodes:
                answer = fetch(address, port, '/marker', headers={'Host': HOST, 'x-api-key': self.keys['fast']})
                if answer.body != str(n).encode():
                    self.wrong.append(f'change {n} is active, and {port} answers {answer.status} {answer.body[:100]}')

    def trouble(self):
        """One fault after the other, a pause after each; those of the proxies, of one proxy at a time."""
        began, n = time.monotonic(), 0
        while not self.stopping.is_set():
            part = (time.monotonic() - began) / self.seconds
            kinds = [self.reset, self.stall, self.delay, self.kill_backend]
            if part < 0.5 and n % 6 == 4:
                self.kill_control()
            elif len(self.handed_over) < 2 and part > (0.1, 0.3)[len(self.handed_over)]:
                self.hand_over()
            else:
                kinds[n % len(kinds)](n // len(kinds) % 2)
            n += 1
            self.stopping.wait(random.uniform(2, 4))

    def of_proxy(self, kind, which, fault):
        with self.faults.during(kind, 'shaky'):
            self.proxies[which].fault = fault
            self.stopping.wait(random.uniform(1, 3))
            self.proxies[which].fault = None

    def reset(self, which):
        self.of_proxy('reset', which, Fault(after=random.choice((0, 100, 60_000)), then='reset'))

    def stall(self, which):
        self.of_proxy('stall', which, Fault(after=random.choice((0, 100, 60_000)), then='stall'))

    def delay(self, which):
        self.of_proxy('delay', which, Fault(delay_s=0.02))

    def kill_backend(self, which):
        with self.faults.during('kill', 'steady'):
            backend = self.backends[f'direct-{which}']
            backend.kill()
            self.stopping.wait(random.uniform(1, 3))
            backend.start()

    def kill_control(self):
        with self.faults.during('control', 'control'):
            self.test.cluster.stop('control', kill=True)
            self.stopping.wait(random.uniform(0.5, 2))
            self.test.cluster.start_again('control')
            self.test.cluster.wait_connected()

    def hand_over(self):
        """SIGUSR2 to n1; its clients must not notice."""
        cluster, old = self.test.cluster, self.node_pid()
        with self.faults.during('hand-over', 'control'):
            os.kill(old, signal.SIGUSR2)
            self.test.eventually('the next process serves', lambda: self.node_pid() not in (None, old))
            self.handed_over.append(cluster.children.pop('n1', None))
            cluster.record['processes']['n1']['pid'] = self.node_pid()
            self.test.eventually('it is connected', lambda: cluster.node_infos()['n1']['connected'])

    # --- the whole

    def run(self):
        self.set_up()
        time.sleep(2)
        before = self.processes.sample()
        clients = [Client(i, self.nodes[i % 2], self.keys, self.stopping, keep=i < 6) for i in range(10)]
        for client in clients:
            client.start()
        self.run_thread(self.change)
        self.run_thread(self.trouble)
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            self.stopping.wait(SAMPLE_S)
            self.processes.sample()
            if self.handed_over and self.handed_over[0] is not None:
                self.handed_over[0].poll()  # ours is reaped; the others are children of the one before
        self.stopping.set()
        for thread in [*self.threads, *clients]:
            thread.join(180)
            if thread.is_alive():
                self.wrong.append(f'{thread.name} does not end')
        print(self.processes.table())
        return self.verdict(before, clients)

    def verdict(self, before, clients):
        outcomes = [outcome for client in clients for outcome in client.failures]
        explained, unexplained = self.faults.attribute(outcomes)
        good = sum(client.good for client in clients)
        print(f'{good} requests answered well ({sum(c.refused for c in clients)} of them refused as they should be), {len(outcomes)} failed; {self.changes} changes '
              f'active, {self.unreached} while there was no control plane; faults: {self.faults.counts()}')
        for (kind, what), count in sorted(explained.items()):
            print(f'  {kind:10} {what:45} {count}')
        for outcome in unexplained[:20]:
            print(f'  UNEXPLAINED {outcome}')
        for text in self.wrong[:20]:
            print(f'  WRONG {text}')
        wrong_answers = [text for client in clients for text in client.wrong]
        for text in wrong_answers[:20]:
            print(f'  WRONG ANSWER {text}')
        memory = self.processes.growth(WARM_UP_S) if self.seconds >= 240 else []
        for line in memory:
            print(f'  memory {line}')
        left = self.processes.settled(before, ('control', 'n1', 'n2'), harness.CAP_S)
        for line in left:
            print(f'  LEFT {line}')
        usage = self.check_usage(clients)
        ok = {'memory': all(line.flat for line in memory), 'descriptors and threads': not left, 'failures': not unexplained and not wrong_answers,
              'changes': not self.wrong and self.changes > 0, 'usage': not usage}
        for text in usage:
            print(f'  USAGE {text}')
        for what, holds in ok.items():
            print(f'{what:24} {"ok" if holds else "FAILED"}{" (not judged)" if what == "memory" and not memory else ""}')
        return 0 if all(ok.values()) else 1

    def check_usage(self, clients):
        """Metered: at least what was answered by an upstream, at most what was sent with that key."""
        self.test.eventually('usage acknowledged', lambda: all(n['usageUnacknowledged'] == 0 for n in self.test.cluster.node_infos().values()))
        metered = {row['app']: row['requests'] for row in self.test.usage('app')}
        bad = []
        for name in self.keys:
            answered, sent = (sum(getattr(c, which)[name] for c in clients) for which in ('answered', 'sent'))
            sent += 2 * (self.changes + len(self.wrong)) if name == 'fast' else 0
            print(f'usage of {name}: {answered} answered, {metered.get(f"platform/{name}", 0)} metered, {sent} sent')
            if not answered <= metered.get(f'platform/{name}', 0) <= sent:
                bad.append(f'{name} is outside')
        return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--minutes', type=float, default=10)
    options = parser.parse_args()
    os.environ.setdefault('GW_BUILD_DIR', str(ROOT / 'build' / 'release'))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through what cleans up
    test = harness.standalone()
    try:
        return Soak(test, options.minutes).run()
    finally:
        test.doCleanups()


if __name__ == '__main__':
    sys.exit(main())
