#!/usr/bin/env python3
"""Twenty repositories of twenty teams apply in parallel: nobody waits for or undoes anybody else."""
import json

import harness
from harness import SystemTest, api, documents, gateway, route, scaled, team, upstream

TEAMS = 20


def objects(name, n):
    return documents(api(f'{name}-api', [f'{name}.localhost'], owner=name),
                     route('answer', f'{name}-api', {'respond': {'status': 200, 'body': f'{name} {n}'}}, owner=name),
                     *(route(f'r{i}', f'{name}-api', {'respond': {'status': 200, 'body': str(n)}}, prefix=f'/r{i}', owner=name)
                       for i in range(n % 3)))


class Teams(SystemTest):
    def setUp(self):
        super().setUp()
        self.start()
        self.teams = [f'team-{i:02}' for i in range(TEAMS)]
        self.apply(documents(team('platform'), gateway(), upstream('echo', self.backend()), *(team(t) for t in self.teams)))
        self.tokens = {}
        for name in self.teams:
            path = self.folder / f'{name}.token'
            path.write_text(self.gwctl.ok('token', 'create', '--name', f'ci-{name}', '--role', 'editor', '--team', name, '-q'))
            path.chmod(0o600)
            self.tokens[name] = path

    def as_team(self, name):
        return self.cluster.gwctl(self.tokens[name])

    def objects_of(self, name):
        """As stored, without what tells how far they have come."""
        found = self.gwctl.json('get', 'all', '--owner', name)
        for item in found:
            item['status'].pop('conditions', None)
        return json.dumps([f for f in found if f['metadata'].get('owner') == name], sort_keys=True)

    def apply_rounds(self, name, rounds):
        for n in range(1, rounds + 1):
            done = self.as_team(name).run('apply', '-f', '-', '--set', f'{name}-repo', '--prune', '-o', 'json', '--timeout', '300s',
                                          stdin=objects(name, n))
            self.assertEqual(done.returncode, 0, f'{name} round {n}: {done.stdout}{done.stderr}')

    def test_sets_of_many_teams_apply_in_parallel_and_undo_touches_its_own_objects_only(self):
        rounds = scaled(10, least=2)
        parallel = harness.Parallel()
        for name in self.teams:
            parallel.run(self.apply_rounds, name, rounds)
        parallel.join(cap_s=800)
        for name in self.teams:
            for node in range(2):
                self.assertEqual(self.get('/', f'{name}.localhost', node).body.decode(), f'{name} {rounds}')

        history = self.gwctl.json('rollout', 'history', '--limit', '1000')
        for name in self.teams[::5]:
            last = next(v['version'] for v in history if v.get('set') == f'{name}-repo')
            others = {t: self.objects_of(t) for t in self.teams if t != name}
            undone = json.loads(self.as_team(name).ok('rollout', 'undo', last, '-o', 'json'))
            self.assertTrue(undone['changes'])
            self.assertEqual({c['name'].split('/')[0] for c in undone['changes']}, {name})
            self.assertEqual(others, {t: self.objects_of(t) for t in self.teams if t != name})
            self.assertEqual(self.get('/', f'{name}.localhost').body.decode(), f'{name} {rounds - 1}')
            # Held, so that a pipeline does not put the fault back; the others are not.
            held = self.as_team(name).run('apply', '-f', '-', '--set', f'{name}-repo', stdin=objects(name, rounds))
            self.assertEqual(held.returncode, 5, held.stderr)
            self.assertIn('rollout release', held.stderr)
            other = self.teams[(self.teams.index(name) + 1) % TEAMS]
            self.assertEqual(self.as_team(other).run('apply', '-f', '-', '--set', f'{other}-repo', stdin=objects(other, rounds)).returncode, 0)
            self.as_team(name).ok('rollout', 'release', f'{name}-repo')
            self.as_team(name).ok('apply', '-f', '-', '--set', f'{name}-repo', stdin=objects(name, rounds))
            self.assertEqual(self.get('/', f'{name}.localhost').body.decode(), f'{name} {rounds}')

    def test_an_undo_of_what_was_changed_since_is_refused_and_names_it(self):
        name = self.teams[0]
        self.apply_rounds(name, 2)
        history = [v['version'] for v in self.gwctl.json('rollout', 'history') if v.get('set') == f'{name}-repo']
        done = self.as_team(name).run('rollout', 'undo', history[1])
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertIn(f'Route {name}/answer', done.stderr)

    def test_a_plan_that_was_overtaken_is_a_conflict_and_another_teams_change_is_none(self):
        mine, other = self.teams[:2]
        self.apply_rounds(mine, 1)
        self.apply_rounds(other, 1)
        kept = self.folder / 'plan.json'
        self.as_team(mine).ok('plan', '-f', '-', '--out', kept, '--set', f'{mine}-repo', stdin=objects(mine, 3))
        self.apply_rounds(other, 2)
        self.as_team(mine).ok('apply', '--plan', kept)
        self.as_team(mine).ok('plan', '-f', '-', '--out', kept, '--set', f'{mine}-repo', stdin=objects(mine, 4))
        self.apply_rounds(mine, 2)
        done = self.as_team(mine).run('apply', '--plan', kept)
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertIn('meanwhile', done.stderr)


if __name__ == '__main__':
    harness.main()
