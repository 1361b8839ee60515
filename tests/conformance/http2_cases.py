"""What an HTTP/2 client sends, and what must come of it (RFC 9113). The first two frames of each are the preface and SETTINGS.

message(name, rule, frames, status, seen=1 if status < 300 else 0, has=None, not_=None)
  a request: its answer, how many requests the upstream gets, and lines that they must have or not have
malformed(name, rule, frames)
  the stream is reset, or answered with 400; nothing goes upstream; the connection goes on
fatal(name, rule, frames)
  the connection ends with GOAWAY
"""
PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END, ACK, HEAD_END, PADDED = 1, 1, 4, 8
CASES = []


def frame(kind, flags=0, stream=0, payload=b''):
    return len(payload).to_bytes(3, 'big') + bytes([kind, flags]) + stream.to_bytes(4, 'big') + payload


def literal(name, value):
    def text(t):
        if len(t) < 127:
            return bytes([len(t)]) + t
        out, rest = b'\x7f', len(t) - 127
        while rest >= 128:
            out, rest = out + bytes([rest % 128 + 128]), rest // 128
        return out + bytes([rest]) + t
    return b'\0' + text(name) + text(value)


def block(*fields, **pseudo):
    """Pseudo fields of a good GET, changed by `pseudo` (None: left out), then `fields`."""
    names = {'method': b'GET', 'scheme': b'http', 'authority': b'conform.test', 'path': b'/', **pseudo}
    return b''.join(literal(b':' + n.encode(), v) for n, v in names.items() if v is not None) + b''.join(literal(n, v) for n, v in fields)


def get(*fields, stream=1, **pseudo):
    return frame(HEADERS, END | HEAD_END, stream, block(*fields, **pseudo))


def post(*fields, stream=1, body=(), **pseudo):
    """`body`: DATA payloads; the last ends the stream."""
    pseudo.setdefault('method', b'POST')
    pieces = [frame(DATA, END * (i + 1 == len(body)), stream, piece) for i, piece in enumerate(body)]
    return frame(HEADERS, HEAD_END, stream, block(*fields, **pseudo)) + b''.join(pieces)


def message(name, rule, frames, status, seen=None, has=None, not_=None):
    CASES.append({'name': name, 'rule': rule, 'frames': frames, 'want': {status}, 'ends': False, 'has': has, 'not': not_,
                  'seen': int(status < 300) if seen is None else seen})


def malformed(name, rule, frames, seen=0):
    CASES.append({'name': name, 'rule': rule, 'frames': frames, 'want': {'rst', 400}, 'ends': False, 'seen': seen, 'has': None, 'not': b'hidden'})


def fatal(name, rule, frames):
    CASES.append({'name': name, 'rule': rule, 'frames': frames, 'want': {'goaway'}, 'ends': True, 'seen': None, 'has': None, 'not': b'hidden'})


# --- One request in one meaning: §8.1 to §8.3 ---------------------------------------------------------------------------------
message('a GET', '§8.3.1', get(), 200, has=b'GET / HTTP/1.1')
message('a body without a length', '§8.1', post(body=[b'abc', b'']), 200, has=b'Transfer-Encoding: chunked')
message('a body with its length', '§8.1.1', post((b'content-length', b'3'), body=[b'a', b'bc']), 200, has=b'Content-Length: 3')
message('an empty body with its length', '§8.1.1', post((b'content-length', b'0'), body=[b'']), 200, has=b'Content-Length: 0')
message('crumbs of a cookie', '§8.2.3', get((b'cookie', b'a=1'), (b'cookie', b'b=2')), 200, has=b'cookie: a=1; b=2')
message('Host that is :authority', '§8.3.1', get((b'host', b'conform.test')), 200)
message('te: trailers', '§8.2.2', get((b'te', b'trailers')), 200)
message('OPTIONS *', '§8.3.1', get(method=b'OPTIONS', path=b'*'), 404)
message('a method beside the usual ones', '§8.3.1', get(method=b'PROPFIND'), 200, has=b'PROPFIND / HTTP/1.1')
message('trailers of a request', '§8.1', post() + frame(DATA, 0, 1, b'abc') + frame(HEADERS, END | HEAD_END, 1, literal(b'x-after', b'1')), 200, not_=b'x-after')
message('CONNECT', '§8.5', frame(HEADERS, HEAD_END, 1, literal(b':method', b'CONNECT') + literal(b':authority', b'127.0.0.1:22')), 405)
message('underscore in a name', 'as for HTTP/1', get((b'x_y', b'1')), 400)
for name in (b'connection', b'keep-alive', b'proxy-connection', b'transfer-encoding', b'upgrade'):
    malformed(f'{name.decode()} in a request', '§8.2.2', get((name, b'chunked')))
malformed('te: gzip', '§8.2.2', get((b'te', b'gzip')))
for name in (b'X-Upper', b'x y', b'x:y', b'x\r\ny', b'x\0', b'x\x80', b'', b'x\x7f'):
    malformed(f'a name {name!r}', '§8.2.1', get((name, b'1')))
for value in (b'a\r\nHost: hidden', b'a\nb', b'a\0b', b' a', b'a ', b'\ta', b'a\t'):
    malformed(f'a value {value!r}', '§8.2.1', get((b'x-value', value)))
for missing in ('method', 'scheme', 'path', 'authority'):
    malformed(f'no :{missing}', '§8.3.1', get(**{missing: None}))
    malformed(f':{missing} twice', '§8.3', get((b':' + missing.encode(), b'/hidden')))
    malformed(f'empty :{missing}', '§8.3.1', get(**{missing: b''}))
malformed('a pseudo field of answers', '§8.3', get((b':status', b'200')))
malformed('a pseudo field behind others', '§8.3', frame(HEADERS, 5, 1, literal(b'x-first', b'1') + block()))
malformed('an unknown pseudo field', '§8.3', frame(HEADERS, 5, 1, literal(b':x', b'1') + block()))
malformed('a pseudo field in trailers', '§8.1', post() + frame(DATA, 0, 1, b'x') + frame(HEADERS, 5, 1, literal(b':path', b'/hidden')), seen=None)
for path in (b'a', b'http://conform.test/', b'/a b', b'/a HTTP/1.1\r\nHost: hidden\r\n\r\n', b'/\x7f', b'/\xc3', b'/#x', b'*', b'/a/../b', b'/%00'):
    malformed(f':path {path!r}', '§8.3.1', get(path=path))
for authority in (b'u@conform.test', b'conform.test/x', b'a b', b'conform.test:99999', b'conform.test\r\nx: hidden'):
    malformed(f':authority {authority!r}', '§8.3.1', get(authority=authority))
for scheme in (b'ftp', b'http ', b'ht tp'):
    malformed(f':scheme {scheme!r}', '§8.3.1', get(scheme=scheme))
for method in (b'G T', b'GET\r\n', b'GET /hidden HTTP/1.1\r\n', b'get', b'BREW'):  # the last two: as by HTTP/1
    malformed(f':method {method!r}', '§8.3.1', get(method=method))
malformed('Host that is not :authority', '§8.3.1', get((b'host', b'hidden.test')))
malformed('two Hosts', '§8.3.1', get((b'host', b'conform.test'), (b'host', b'conform.test')))
malformed(':protocol that nobody offered', 'RFC 8441 §4', get((b'x', b'y'), protocol=b'connect-udp', method=b'CONNECT'))
for length in (b'4', b'-1', b'+3', b'3, 3', b'', b'x', b'99999999999999999999'):
    malformed(f'length {length.decode()} of three bytes', '§8.1.1', post((b'content-length', length), body=[b'abc']), seen=None)
malformed('two lengths', '§8.1.1', post((b'content-length', b'3'), (b'content-length', b'3'), body=[b'abc']))
malformed('a length without a body', '§8.1.1', get((b'content-length', b'3')))
malformed('a request hidden in a body that is too long', '§8.1.1',
          post((b'content-length', b'0'), body=[b'GET /hidden HTTP/1.1\r\nHost: conform.test\r\n\r\n']), seen=None)

# --- Frames: §4 to §6 ---------------------------------------------------------------------------------------------------------
message('padding', '§6.1', frame(HEADERS, END | HEAD_END | PADDED, 1, b'\x02' + block() + b'\0\0'), 200)
message('a head in pieces', '§6.10', frame(HEADERS, END, 1, block()[:9]) + frame(CONTINUATION, 0, 1, block()[9:20]) + frame(CONTINUATION, HEAD_END, 1, block()[20:]), 200)
message('a frame of an unknown type', '§4.1', frame(0xbb, 0xff, 0, b'anything') + get(), 200)
message('PING and SETTINGS before', '§6.7', frame(PING, 0, 0, b'12345678') + frame(SETTINGS, 0, 0, b'\0\x03\0\0\0\x01') + get(), 200)
message('PRIORITY of a stream that is not there', '§6.3', frame(PRIORITY, 0, 9, b'\0\0\0\0\x10') + get(), 200)
malformed('an unsound increment of a stream\'s window', '§6.9.1', get(stream=1, path=b'/slow') + frame(WINDOW, 0, 1, b'\x7f\xff\xff\xff'), seen=None)
fatal('padding beyond the frame', '§6.1', frame(HEADERS, END | HEAD_END | PADDED, 1, b'\xff' + block()))
fatal('an even stream', '§5.1.1', get(stream=2))
fatal('DATA on a stream that is not there', '§5.1', frame(DATA, 0, 1, b'x'))
fatal('HEADERS on stream 0', '§6.2', get(stream=0))
fatal('PUSH_PROMISE from a client', '§8.4', frame(PUSH, HEAD_END, 1, b'\0\0\0\2' + block(path=b'/hidden')))
fatal('another frame within a head', '§6.10', frame(HEADERS, END, 1, block()) + frame(PING, 0, 0, b'12345678'))
fatal('CONTINUATION of another stream', '§6.10', frame(HEADERS, END, 1, block()) + frame(CONTINUATION, HEAD_END, 3, b''))
fatal('a frame that is too large', '§4.2', frame(HEADERS, HEAD_END, 1, block((b'x', b'y' * 17000))))
fatal('SETTINGS of no whole size', '§6.5', frame(SETTINGS, 0, 0, b'\0\x03\0'))
fatal('an ACK of SETTINGS with a payload', '§6.5', frame(SETTINGS, ACK, 0, b'\0\x03\0\0\0\x01'))
fatal('a window that is too large', '§6.5.2', frame(SETTINGS, 0, 0, b'\0\x04\x80\0\0\0'))
fatal('an impossible frame size', '§6.5.2', frame(SETTINGS, 0, 0, b'\0\x05\0\0\0\x01'))
fatal('PING of another size', '§6.7', frame(PING, 0, 0, b'1234'))
fatal('no increment of the window', '§6.9', frame(WINDOW, 0, 0, b'\0\0\0\0'))
fatal('the window beyond its limit', '§6.9.1', frame(WINDOW, 0, 0, b'\x7f\xff\xff\xff') * 2)
fatal('RST_STREAM of a stream that is not there', '§6.4', frame(RST, 0, 1, b'\0\0\0\x08'))
fatal('a head that cannot be unfolded', 'RFC 7541 §2.3.3', frame(HEADERS, END | HEAD_END, 1, b'\xff\xff\xff\xff\xff'))
fatal('a place of the table that is empty', 'RFC 7541 §2.3.3', frame(HEADERS, END | HEAD_END, 1, block() + b'\xbe'))
fatal('a table larger than allowed', 'RFC 7541 §4.2', frame(HEADERS, END | HEAD_END, 1, b'\x3f\xe1\xff\x03' + block()))
