#!/usr/bin/env python3
"""Three times as many requests as can be served: what is still served, how fast the rest is refused, and the node's memory.

  overload.py [--rounds 3] [--seconds 10] [--cases upstream,core]

upstream: the upstream serves 50 requests at a time, 40 ms each (1,250/s), and lets others wait; the Upstream has the circuit breaker
that its operator would set: maxConnections 50, maxPending 50. Offered, whatever becomes of it: 1 x and 3 x that.
core: the node has a fifth of core 0 (four busy loops have the rest); what it serves of 1 x, and of 3 x what it was able to serve,
with the node's defaults and with the limits that help.
Goodput is answers 2xx within 1 s; those after that are told apart as late. Clients are as many as --connections at most: one who would
come while all of them wait is not sent. Promise: at 3 x at least 0.9 of the peak, memory below its cap. Programs from $GW_BUILD_DIR.
"""
import argparse
import asyncio
import collections
import sys

from shared import GATEWAY_CORE, OTHER_CORE, Bench, api, document, documents, free_port, median, ms, quiet_gateway, resident_mib, route, team
from shared import HERE

AT_A_TIME, EACH_MS = 50, 40
BUFFER_BYTES = 64 << 20  # the node's cap


class Upstream(asyncio.Protocol):
    """One connection of an upstream that serves AT_A_TIME requests at a time; the others wait in the order in which they came."""
    busy = 0
    waiting = collections.deque()
    ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n'

    def connection_made(self, transport):
        self.transport, self.text = transport, b''

    def data_received(self, data):
        self.text += data
        while b'\r\n\r\n' in self.text:
            self.text = self.text.partition(b'\r\n\r\n')[2]
            Upstream.waiting.append(self)
            Upstream.serve()

    @staticmethod
    def serve():
        while Upstream.busy < AT_A_TIME and Upstream.waiting:
            Upstream.busy += 1
            asyncio.get_running_loop().call_later(EACH_MS / 1000, Upstream.done, Upstream.waiting.popleft())

    @staticmethod
    def done(of):
        Upstream.busy -= 1
        if not of.transport.is_closing():
            of.transport.write(Upstream.ANSWER)
        Upstream.serve()


async def be_upstream(port):
    server = await asyncio.get_running_loop().create_server(Upstream, '127.0.0.1', port, backlog=1024)
    await server.serve_forever()


def good(result):
    return (result['ok']['count'] - result['late']) / result['seconds']


def row(name, results, peak):
    """Medians over the rounds."""
    def of(fn):
        return median([fn(r) for r in results])

    def p99(kind):
        times = [ms(r[kind]['p99']) for r in results if r[kind]['count'] > 0]
        return f'{median(times):8.1f}' if times else '       -'

    lost = of(lambda r: (r['failed'] + r['unanswered']) / r['seconds'])
    print(f'  {name:40} {of(lambda r: r["sent"] / r["seconds"]):8.0f} {of(good):8.0f} {of(good) / peak:7.2f} {of(lambda r: r["late"] / r["seconds"]):7.0f} '
          f'{of(lambda r: r["other"]["count"] / r["seconds"]):9.0f} {lost:7.0f} {p99("ok")} {p99("other")} {of(lambda r: r["mib"]):7.1f}')


def heading(text):
    print(f'{text}\n  {"offered":40} {"sent/s":>8} {"good/s":>8} {"of peak":>7} {"late/s":>7} {"refused/s":>9} {"lost/s":>7} {"ok p99":>8} {"ref. p99":>8} {"MiB":>7}   (ms)')


def measure(bench, *args, **more):
    result = bench.load(*args, patience=0, **more)
    result['mib'] = resident_mib(bench.pid)
    return result


def upstream_case(o):
    port = free_port()
    with Bench() as bench:
        bench.start(OTHER_CORE, sys.executable, str(HERE / 'overload.py'), '--upstream', str(port))
        limits = {'maxConnections': AT_A_TIME, 'maxPending': AT_A_TIME}
        bench.node(documents(team('platform'), quiet_gateway(limits={'maxConnectionsPerClient': 100_000}),
                             document('Upstream', 'up', {'targets': [{'url': f'http://127.0.0.1:{port}'}], 'circuitBreaker': limits}),
                             api('bench', ['bench.localhost']), route('all', 'bench', 'up')), '--max-buffer-bytes', str(BUFFER_BYTES))
        rate = AT_A_TIME * 1000 / EACH_MS
        rows = collections.defaultdict(list)
        for _ in range(o.rounds):
            for times in (1, 3):
                rows[times].append(measure(bench, bench.port, rate * times, o.seconds, 1000))
        heading(f'upstream: {AT_A_TIME} at a time, {EACH_MS} ms each')
        peak = median([good(r) for r in rows[1]])
        for times, results in rows.items():
            row(f'{times} x ({rate * times:.0f}/s)', results, peak)


# What the node is started with, and how many connections clients open at most.
CORE_WAYS = {
    'defaults, 64 connections': ([], 64),
    'defaults, 2,000 connections': ([], 2000),
    'max-loop-lag-ms 20, 2,000': (['--max-loop-lag-ms', '20'], 2000),
    'max-loop-lag-ms 1000, 2,000': (['--max-loop-lag-ms', '1000'], 2000),
}


def core_case(o):
    rows, peaks, rates = collections.defaultdict(list), {}, {}
    for name, (flags, connections) in CORE_WAYS.items():
        with Bench() as bench:
            port = bench.upstream()
            bench.node(documents(team('platform'), quiet_gateway(limits={'maxConnectionsPerClient': 100_000}),
                                 document('Upstream', 'up', {'targets': [{'url': f'http://127.0.0.1:{port}'}]}),
                                 api('bench', ['bench.localhost']), route('all', 'bench', 'up')), '--max-buffer-bytes', str(BUFFER_BYTES), *flags)
            for _ in range(4):
                bench.start(GATEWAY_CORE, sys.executable, '-c', 'while True: pass')
            capacity = median([bench.capacity(bench.port, 3, 64) for _ in range(3)])
            for _ in range(o.rounds):
                for times in (1, 3):
                    rows[name, times].append(measure(bench, bench.port, capacity * times, o.seconds, connections))
            peaks[name] = max(median([good(r) for r in rows[name, 1]]), capacity)
            rates[name] = capacity
    heading('core: a fifth of one core for the node; peak: the better of 1 x and 64 clients that ask again when answered')
    for (name, times), results in rows.items():
        row(f'{name}: {times} x ({rates[name] * times:.0f}/s)', results, peaks[name])


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('--rounds', type=int, default=3)
    a.add_argument('--seconds', type=float, default=10)
    a.add_argument('--cases', default='upstream,core')
    a.add_argument('--upstream', type=int, help=argparse.SUPPRESS)  # be the upstream, on this port
    o = a.parse_args()
    if o.upstream:
        asyncio.run(be_upstream(o.upstream))
        return
    cases = {'upstream': upstream_case, 'core': core_case}
    for case in o.cases.split(','):
        cases[case](o)


if __name__ == '__main__':
    main()
