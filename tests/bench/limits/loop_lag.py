#!/usr/bin/env python3
"""Turns of a worker's loop longer than 1 ms, with very many routes and upstreams, and what made them.

  loop_lag.py [--routes 100000] [--upstreams 10000] [--rounds 3] [--rate 500]

One node with one worker, whose thread runs on core 0 and before all else there (SCHED_FIFO: as root), so that a turn is as long as what it
does; all else runs on core 1. Every route is asked once, so that each route
and each upstream has numbers to copy; then a light load goes on over all of them. Printed per event: how often it was done, the turns
meanwhile, and how many of them were longer than 1, 2.5, 5 and 10 ms, from gw_loop_lag_seconds. Reading that is a scrape: each row has one in
it. "nothing" has the node's reports to the control plane in it and shows what the machine itself adds.
Programs from $GW_BUILD_DIR; promise: none above 1 ms.
"""
import argparse
import time

from shared import Bench, api, document, documents, fetch, free_port, median, quiet_gateway, route, team  # noqa: F401

ROUTES_OF_API = 100
HOST = 'bench.localhost'
BOUNDS = ('0.001', '0.0025', '0.005', '0.01')
REPORTS_S = 12  # longer than the time between two reports


def path_of(i):
    return f'/api{i // ROUTES_OF_API}/service{i}'


def upstream_of(i, port, **more):
    return document('Upstream', f'up-{i}', {'targets': [{'url': f'http://127.0.0.1:{port}'}], **more})


def route_of(i, upstreams, **more):
    return route(f'route-{i}', f'api-{i // ROUTES_OF_API}', f'up-{i % upstreams}', path_of(i), **more)


def turns(test):
    """All turns, and those longer than each bound."""
    page = test.metrics()
    count = page['gw_loop_lag_seconds_count']
    return [count] + [count - page[f'gw_loop_lag_seconds_bucket{{le="{b}"}}'] for b in BOUNDS]


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('--routes', type=int, default=100_000)
    a.add_argument('--upstreams', type=int, default=10_000)
    a.add_argument('--rounds', type=int, default=3)
    a.add_argument('--rate', type=int, default=500)
    o = a.parse_args()
    with Bench() as bench:
        # NGINX ends idle connections soon: the node keeps one per upstream.
        port = bench.upstream('keepalive_timeout 2s;')
        bench.node(documents(team('platform'), quiet_gateway()), alone=True)
        test = bench.test
        began = time.monotonic()
        folder = bench.folder / 'config'
        folder.mkdir()
        (folder / 'base.yaml').write_text(documents(
            *(upstream_of(i, port) for i in range(o.upstreams)),
            *(api(f'api-{i}', [HOST], f'/api{i}') for i in range((o.routes + ROUTES_OF_API - 1) // ROUTES_OF_API))))
        for at in range(0, o.routes, 10_000):
            (folder / f'routes-{at}.yaml').write_text(documents(*(route_of(i, o.upstreams) for i in range(at, min(at + 10_000, o.routes)))))
        done = test.gwctl.run('apply', '-f', folder, '--timeout', '10m', timeout=1200)
        assert done.returncode == 0, f'{done.stdout}\n{done.stderr}'
        print(f'{o.routes} routes, {o.upstreams} upstreams: applied in {time.monotonic() - began:.0f} s')
        paths = tuple(path_of(i) for i in range(o.routes))
        warm = bench.load(bench.port, 4000, o.routes / 4000, 64, host=HOST, paths=paths, warm_up=0)
        assert warm['ok']['count'] > 0.95 * o.routes, warm
        admin = test.cluster.ready('n1')['admin']

        def one_route(n):
            test.apply(documents(route_of(5, o.upstreams, priority=n + 1)))

        def one_upstream(n):
            test.apply(documents(upstream_of(5, port, timeouts={'connect': f'{n + 1}s'})))

        def drain(n):
            test.gwctl.ok('upstream', 'drain' if n % 2 == 0 else 'undrain', 'platform/up-7', '--target', f'127.0.0.1:{port}')

        def scrape(_):
            assert fetch('127.0.0.1', admin, '/metrics', timeout=60).status == 200

        events = [('nothing', 1, lambda _: time.sleep(REPORTS_S)), ('scrape of /metrics', 5, scrape), ('change of one route', 5, one_route),
                  ('change of one upstream', 5, one_upstream), ('drain, undrain', 6, drain)]
        rows = {name: [] for name, _, _ in events}
        changes = 0
        for _ in range(o.rounds):
            for name, times, event in events:
                load = bench.start_load(bench.port, o.rate, 600, 32, host=HOST, paths=paths)
                time.sleep(1)
                before, began = turns(test), time.monotonic()
                for _ in range(times):
                    event(changes)
                    changes += 1
                after = turns(test)
                rows[name].append([y - x for x, y in zip(before, after)] + [time.monotonic() - began])
                bench.end(load)
        print(f'{"event":24} {"times":>5} {"seconds":>8} {"turns":>8} {"> 1 ms":>8} {"> 2.5 ms":>9} {"> 5 ms":>7} {"> 10 ms":>8}   (sums of {o.rounds} rounds)')
        for name, times, _ in events:
            count, *longer, seconds = map(sum, zip(*rows[name]))
            print(f'{name:24} {times * o.rounds:5} {seconds:8.1f} {count:8.0f} ' + ' '.join(f'{n:{w}.0f}' for n, w in zip(longer, (8, 9, 7, 8))))


if __name__ == '__main__':
    main()
