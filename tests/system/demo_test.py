#!/usr/bin/env python3
"""The demonstration tells the truth from its beginning to its end."""
import os
import re
import subprocess
import unittest

import harness


class Demo(unittest.TestCase):
    def test_the_demonstration_ends_by_itself_and_nothing_in_it_fails(self):
        with harness.tempfile.TemporaryDirectory(prefix='northgate-demo-') as folder:
            command = [str(harness.ROOT / 'deploy' / 'demo.sh'), '--once', '--no-build', '--state', folder]
            done = subprocess.run(command, text=True, capture_output=True, timeout=600, stdin=subprocess.DEVNULL, env=os.environ)
            self.assertEqual(done.returncode, 0, f'{done.stdout[-6000:]}\n{done.stderr}')
            out = done.stdout
            self.assertEqual(set(re.findall(r'(\d+) failed', out)), {'0'})
            for part in ('weights 100/0', 'weights  80/20', 'weights   0/100', 'node n1 (az-a) refused', 'Gateway platform/edge',
                         'cannot reach the control plane', 'the control plane is back', 'curl -i http://api.conference.localhost',
                         'gwctl init --upstream', 'HTTP/2, certificate verified', 'session 7, told to app platform/acme-mobile', 'UNAUTHENTICATED', 'curl -i --http2 --cacert', folder):
                self.assertIn(part, out)
            running = subprocess.run(['pgrep', '-f', folder], capture_output=True, text=True).stdout.split()
            self.assertEqual(running, [], 'processes are left')
            # Again over the state that was kept.
            again = subprocess.run(command, text=True, capture_output=True, timeout=600, stdin=subprocess.DEVNULL, env=os.environ)
            self.assertEqual(again.returncode, 0, f'{again.stdout[-6000:]}\n{again.stderr}')


if __name__ == '__main__':
    harness.main()
