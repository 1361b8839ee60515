"""Traffic for the demo and the system tests: a bounded number of keep-alive clients that count every answer and keep
every failure."""
import collections
import http.client
import threading
import time

KEPT_FAILURES = 50


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


def fetch(address, port, path, method='GET', headers=None, body=None, timeout=15):
    """One request on a connection of its own; raises OSError or HTTPException."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        return Answer(response.status, dict((k.lower(), v) for k, v in response.getheaders()), response.read())
    finally:
        connection.close()


class Load:
    """`clients` threads, each with one connection to one of `targets` [(address, port)], sending what `make(client, n)`
    gives: (path, headers). `judge(answer)` gives None, or what was wrong. `pause_s` between the requests of a client keeps
    two cores usable; it asserts nothing.

    With `tolerate_target_loss` a connection that fails counts in `lost` and is opened again (for tests that kill nodes).
    """

    def __init__(self, targets, make, judge=None, clients=4, pause_s=0.004, tolerate_target_loss=False, timeout=15):
        self.targets, self.make, self.pause_s, self.timeout = list(targets), make, pause_s, timeout
        self.judge = judge or (lambda answer: None if answer.status == 200 else f'status {answer.status}')
        self.tolerate = tolerate_target_loss
        self.lock = threading.Condition()
        self.done = self.failed = self.lost = 0
        self.failures = []
        self.statuses = collections.Counter()
        self.backends = collections.Counter()
        self.backend_of = {}     # client -> backend that answered last
        self.per_client = collections.Counter()  # good answers
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(i,), daemon=True, name=f'client {i}') for i in range(clients)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def stop(self, cap_s=30):
        self.stopping.set()
        for thread in self.threads:
            thread.join(cap_s)
            if thread.is_alive():
                raise RuntimeError(f'{thread.name} does not end')

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def wait_more(self, n, cap_s=60):
        """Until n more requests were answered well."""
        end = time.monotonic() + cap_s
        with self.lock:
            goal = self.done + n
            while self.done < goal:
                if not self.lock.wait(max(0.0, end - time.monotonic())) and time.monotonic() >= end:
                    raise RuntimeError(f'{goal - self.done} of {n} requests were not answered in {cap_s} s; '
                                       f'{self.failed} failed: {self.failures[:3]}')

    def counts(self):
        with self.lock:
            return self.done, self.failed, self.lost

    def take_backends(self):
        """Answers by backend since the last call."""
        with self.lock:
            taken, self.backends = self.backends, collections.Counter()
            return taken

    def _record(self, client, target, answer, problem, is_loss=False):
        with self.lock:
            if is_loss and self.tolerate:
                self.lost += 1
            elif problem:
                self.failed += 1
                if len(self.failures) < KEPT_FAILURES:
                    self.failures.append(f'client {client} to {target[0]}:{target[1]}: {problem}')
            else:
                self.done += 1
                self.per_client[client] += 1
            if answer is not None:
                self.statuses[answer.status] += 1
                if backend := answer.headers.get('x-backend'):
                    self.backends[backend] += 1
                    self.backend_of[client] = backend
            self.lock.notify_all()

    def _run(self, client):
        target = self.targets[client % len(self.targets)]
        connection, n = None, 0
        while not self.stopping.is_set():
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(*target, timeout=self.timeout)
                path, headers = self.make(client, n)
                connection.request('GET', path, headers=headers)
                response = connection.getresponse()
                answer = Answer(response.status, dict((k.lower(), v) for k, v in response.getheaders()), response.read())
                self._record(client, target, answer, self.judge(answer))
            except (OSError, http.client.HTTPException) as error:
                self._record(client, target, None, f'{type(error).__name__}: {error}', is_loss=True)
                connection.close()
                connection = None
                self.stopping.wait(0.02)
            n += 1
            if self.pause_s:
                self.stopping.wait(self.pause_s)
        if connection is not None:
            connection.close()
