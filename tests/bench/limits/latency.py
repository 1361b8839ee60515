#!/usr/bin/env python3
"""Latency at 80 % load beside NGINX.

  latency.py [--rounds 5] [--seconds 8] [--connections 64]

Proxies on core 0, one worker each; load and upstream on core 1. First each one's capacity (clients that ask again as soon as they are
answered), then to both, in turn, requests that arrive at 80 % of the smaller one, whatever becomes of those before. A request's time
counts from its arrival. Printed: p50 and p99 per subject (medians), the ratio of p99 (median of the rounds' ratios), and how much of its core
each had in use. Programs from $GW_BUILD_DIR; promise: p99 no longer than NGINX's.
"""
import argparse

from shared import GATEWAY_CORE, Bench, api, cpu_seconds, document, documents, free_port, median, ms, quiet_gateway, route, team


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('--rounds', type=int, default=5)
    a.add_argument('--seconds', type=float, default=8)
    a.add_argument('--connections', type=int, default=64)
    a.add_argument('--share', type=float, default=0.8)
    o = a.parse_args()
    with Bench() as bench:
        up, proxy = bench.upstream('keepalive_requests 1000000000;'), free_port()
        nginx = bench.nginx(GATEWAY_CORE, 'proxy', f'listen 127.0.0.1:{proxy} backlog=4096; location / {{ proxy_pass http://u; proxy_http_version 1.1;'
                            ' proxy_set_header Connection ""; proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; }',
                            before=f'upstream u {{ server 127.0.0.1:{up}; keepalive 256; keepalive_requests 1000000000; }}')
        bench.node(documents(team('platform'), quiet_gateway(), document('Upstream', 'up', {'targets': [{'url': f'http://127.0.0.1:{up}'}]}),
                             api('bench', ['bench.localhost']), route('all', 'bench', 'up')))
        subjects = {'nginx': (nginx.pid, proxy), 'gateway': (bench.pid, bench.port)}
        capacity = {name: [] for name in subjects}
        for _ in range(3):
            for name, (_, port) in subjects.items():
                capacity[name].append(bench.capacity(port, 3, o.connections))
        capacity = {name: median(values) for name, values in capacity.items()}
        rate = o.share * min(capacity.values())
        rows = {name: [] for name in subjects}
        for _ in range(o.rounds):
            for name, (pid, port) in subjects.items():
                before = cpu_seconds(pid)
                result = bench.load(port, rate, o.seconds, o.connections)
                assert result['ok']['count'] > 0.99 * result['sent'], result
                rows[name].append((ms(result['ok']['p50']), ms(result['ok']['p99']), (cpu_seconds(pid) - before) / (o.seconds + 1)))
        print(f'{rate:.0f} requests/s offered: {o.share:.0%} of the smaller capacity')
        for name, values in rows.items():
            p50, p99, cpu = map(median, zip(*values))
            print(f'  {name:8} capacity {capacity[name]:7.0f}/s   p50 {p50:6.2f} ms   p99 {p99:6.2f} ms   core {cpu:4.0%}')
        ratios = [g[1] / n[1] for g, n in zip(rows['gateway'], rows['nginx'])]
        print(f'  p99 gateway / nginx: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})')


if __name__ == '__main__':
    main()
