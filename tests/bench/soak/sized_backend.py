#!/usr/bin/env python3
"""The soak's backend: as deploy/demo/backend.py, and …/bytes/N answers with N bytes. Prints its port; port 0 is any."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent.parent / 'deploy' / 'demo'))
import backend  # noqa: E402

PIECE = bytes(range(256)) * 64


class Sized(backend.Handler):
    def answer(self):
        kind, _, size = '/'.join(self.path.split('/')[-2:]).partition('/')
        if kind != 'bytes':
            return super().answer()
        self.read_body()
        self.send_response(200)
        self.send_header('content-length', size)
        self.end_headers()
        for sent in range(0, int(size), len(PIECE)):
            self.wfile.write(PIECE[:int(size) - sent])

    do_GET = answer


if __name__ == '__main__':
    server = backend.Server(int(sys.argv[2]), sys.argv[1])
    server.RequestHandlerClass = Sized
    print(server.server_port, flush=True)
    server.serve_forever()
