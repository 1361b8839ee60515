#!/usr/bin/env python3
"""What slowhttptest's three attacks do to other clients.

  slow_attacks.py [--rounds 5] [--seconds 7] [--connections 2000] [--rate 2000]

One node with one worker (core 0) and its default limits; attack, other clients and upstream on core 1. Other clients come from another address
at a fixed rate; a request's time counts from its arrival. In turn: no attack, slow heads (-H), slow bodies (-B), slow reading of 1 MiB answers
(-X); and each of them against NGINX on core 0, since attack, clients and upstream share a core: p99 against that is what the node itself
makes of it. Printed per attack: connections that the node held for it (how many it asked for is --connections; 1,000 is the default
limit per client's address), p50 and p99 of the others, medians. Needs
deploy/setup.sh --bench; programs from $GW_BUILD_DIR; promise: p99 within 2 x.
"""
import argparse
import time

from shared import GATEWAY_CORE, OTHER_CORE, Bench, api, document, documents, free_port, median, ms, quiet_gateway, route, team

ATTACKS = {
    'none': None,
    'slow heads': ('-H', '/', '-i', '2', '-x', '24'),
    'slow bodies': ('-B', '/post', '-i', '2', '-x', '24', '-s', '65536'),
    'slow reading': ('-X', '/1m', '-w', '10', '-y', '20', '-n', '2', '-z', '32', '-k', '1'),
}


def held(test):
    return sum(v for k, v in test.metrics().items() if k.startswith('gw_connections{'))


def measure(bench, attack, o, port):
    running = None
    if attack is not None:
        kind, path, *more = attack
        running = bench.start(OTHER_CORE, 'slowhttptest', kind, '-c', str(o.connections), '-r', str(o.connections), '-l', '60', '-p', '5', *more,
                              '-u', f'http://127.0.0.1:{port}{path}')
        time.sleep(1)  # until its connections stand
    load = bench.start_load(bench.port, o.rate, o.seconds - 1, 32, warm_up=1)
    time.sleep(o.seconds / 2)
    connections = held(bench.test) - 32
    result = bench.finish_load(load)
    if running is not None:
        bench.end(running)
    bench.test.eventually('connections of the attack are gone', lambda: held(bench.test) <= 40)
    assert result['ok']['count'] > 0, result
    lost = result['sent'] - result['ok']['count']
    return max(connections, 0), ms(result['ok']['p50']), ms(result['ok']['p99']), lost


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('--rounds', type=int, default=5)
    a.add_argument('--seconds', type=float, default=7)
    a.add_argument('--connections', type=int, default=2000)
    a.add_argument('--rate', type=float, default=2000)
    o = a.parse_args()
    with Bench() as bench:
        www = bench.folder / 'www'
        www.mkdir()
        www.chmod(0o755)
        (www / '1m').write_bytes(b'x' * (1 << 20))
        # What is posted is read to its end before it is answered.
        port = bench.upstream(f'location = /1m {{ root {www}; }} location = /post {{ client_max_body_size 1m; proxy_pass http://u/; }}',
                              before='upstream u {{ server 127.0.0.1:{port}; }}')
        nginx = free_port()
        bench.nginx(GATEWAY_CORE, 'bystander', f'listen 127.0.0.1:{nginx} backlog=4096; location / {{ client_max_body_size 1m; proxy_pass http://v; }}',
                    f'upstream v {{ server 127.0.0.1:{port}; }}')
        bench.node(documents(team('platform'), quiet_gateway(), document('Upstream', 'up', {'targets': [{'url': f'http://127.0.0.1:{port}'}]}),
                             api('bench', ['*']), route('all', 'bench', 'up')))
        rows = {name: [] for name in ATTACKS}
        beside = {name: [] for name in ATTACKS}
        for _ in range(o.rounds):
            for name, attack in ATTACKS.items():
                rows[name].append(measure(bench, attack, o, bench.port))
                beside[name].append(measure(bench, attack, o, nginx) if attack else rows[name][-1])
        print(f'other clients: {o.rate:.0f} requests/s; {o.connections} connections of the attack are tried; medians of {o.rounds} rounds; beside: the same attack against NGINX')
        for name, values in rows.items():
            connections, p50, p99, lost = map(median, zip(*values))
            quiet = median([v[2] / n[2] for v, n in zip(values, rows['none'])])
            ratio = median([v[2] / b[2] for v, b in zip(values, beside[name])])
            print(f'  {name:13} held {connections:5.0f}   p50 {p50:6.2f} ms   p99 {p99:6.2f} ms   {quiet:5.2f} x without, {ratio:5.2f} x beside   not answered 2xx: {lost:.0f}')


if __name__ == '__main__':
    main()
