#!/usr/bin/python3
"""A gRPC service for demonstrations, and a client for it.

  grpc_sessions.py serve --port PORT
  grpc_sessions.py call --target HOST:PORT --ca FILE --key KEY [--session ID] [--watch N]

Service conference.v1.Sessions: Get (unary) and Watch (the server streams), with requests and answers of one text, field 1 of their
messages. Needs Debian's python3-grpcio, so it runs on Debian's own Python.
"""
import argparse
import sys
from concurrent import futures

import grpc

SERVICE = 'conference.v1.Sessions'
MOST_EVENTS = 100


def pack(text):
    data = text.encode()[:120]  # a length of one byte
    return bytes([0x0a, len(data)]) + data


def unpack(message):
    return message[2:2 + message[1]].decode(errors='replace') if len(message) >= 2 and message[0] == 0x0a else ''


def serve(options):
    def get(session, context):
        app = dict(context.invocation_metadata()).get('x-gw-app', 'nobody')
        return f'session {session}, told to app {app}'

    def watch(what, _context):
        for n in range(1, min(int(what or 1), MOST_EVENTS) + 1):
            yield f'event {n}'
    codec = {'request_deserializer': unpack, 'response_serializer': pack}
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {
        'Get': grpc.unary_unary_rpc_method_handler(get, **codec),
        'Watch': grpc.unary_stream_rpc_method_handler(watch, **codec)}),))
    # The gRPC health protocol: status SERVING for whatever is asked.
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler('grpc.health.v1.Health', {
        'Check': grpc.unary_unary_rpc_method_handler(lambda _request, _context: b'\x08\x01')}),))
    server.add_insecure_port(f'127.0.0.1:{options.port}')
    server.start()
    server.wait_for_termination()


def call(options):
    with open(options.ca, 'rb') as ca:
        credentials = grpc.ssl_channel_credentials(ca.read())
    codec = {'request_serializer': pack, 'response_deserializer': unpack}
    more = [] if options.address is None else [('grpc.ssl_target_name_override', options.target.split(':')[0]),
                                               ('grpc.default_authority', options.target.split(':')[0])]
    with grpc.secure_channel(options.address or options.target, credentials, more) as channel:
        about = {'metadata': [('x-api-key', options.key)] if options.key else [], 'timeout': 20}
        try:
            if options.watch:
                for event in channel.unary_stream(f'/{SERVICE}/Watch', **codec)(str(options.watch), **about):
                    print(event)
            else:
                print(channel.unary_unary(f'/{SERVICE}/Get', **codec)(options.session, **about))
        except grpc.RpcError as error:
            print(f'{error.code().name}: {error.details()}', file=sys.stderr)
            return 1
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True)
    one = commands.add_parser('serve')
    one.add_argument('--port', type=int, required=True)
    other = commands.add_parser('call')
    other.add_argument('--target', required=True)
    other.add_argument('--address', help='where to connect to, in place of the target')
    other.add_argument('--ca', required=True)
    other.add_argument('--key')
    other.add_argument('--session', default='7')
    other.add_argument('--watch', type=int, default=0)
    options = parser.parse_args()
    return serve(options) if options.command == 'serve' else call(options)


if __name__ == '__main__':
    sys.exit(main())
