"""What is sent, and what must come of it.

request(name, rule, bytes, status, ...)
  status        the answer's; a tuple: any of them
  close         the gateway must end the connection (default for 4xx whose bytes cannot be trusted: see `broken`)
  seen          the upstream must get exactly that many requests of the case (default 1 for 2xx, else 0)
  upstream_has  a line that the request upstream must have; upstream_not: bytes that it must not have
answer(name, rule, bytes, status, ...)
  bytes         what the upstream answers with; it closes afterwards if `ends`
  reused        whether the upstream's connection may be used again
  client_not    bytes that the client must not get
"""
REQUESTS, ANSWERS = [], []
HOST = b'Host: conform.test\r\n'


def request(name, rule, raw, status, close=False, seen=None, upstream_has=None, upstream_not=None):
    statuses = status if isinstance(status, tuple) else (status,)
    REQUESTS.append({'name': name, 'rule': rule, 'raw': raw, 'statuses': statuses, 'close': close,
                     'seen': seen if seen is not None else int(statuses[0] < 300), 'has': upstream_has, 'not': upstream_not})


def broken(name, rule, raw, status=400):
    """The message has no sure end, or two readers could differ over it: refused, closed, nothing goes on."""
    request(name, rule, raw, status, close=True)


def answer(name, rule, raw, status, ends=True, reused=None, client_not=None, method=b'GET'):
    ANSWERS.append({'name': name, 'rule': rule, 'raw': raw, 'status': status, 'ends': ends, 'reused': reused, 'not': client_not,
                    'method': method})


def get(*fields, target=b'/', version=b'HTTP/1.1'):
    return b'GET ' + target + b' ' + version + b'\r\n' + HOST + b''.join(f + b'\r\n' for f in fields) + b'\r\n'


def post(*fields, body=b''):
    return b'POST / HTTP/1.1\r\n' + HOST + b''.join(f + b'\r\n' for f in fields) + b'\r\n' + body


# --- How long a message is: RFC 9112 §6 ----------------------------------------------------------------------------------
CHUNKED = b'Transfer-Encoding: chunked'
HIDDEN = b'GET /hidden HTTP/1.1\r\n' + HOST + b'\r\n'
broken('length and chunks together', '§6.3', post(b'Content-Length: 5', CHUNKED, body=b'0\r\n\r\n' + HIDDEN))
broken('chunks and length the other way round', '§6.3', post(CHUNKED, b'Content-Length: 40', body=b'0\r\n\r\n' + HIDDEN))
broken('two lengths that differ', '§6.3', post(b'Content-Length: 4', b'Content-Length: 9', body=b'abcd' + HIDDEN))
broken('a list of lengths that differ', '§6.3', post(b'Content-Length: 4, 9', body=b'abcd'))
for word in (b'+4', b'-1', b'0x4', b'4a', b'4 4', b'', b'99999999999999999999', b'4.0'):
    broken('length ' + word.decode(), 'RFC 9110 §8.6', post(b'Content-Length: ' + word, body=b'abcd'))
for word in (b'gzip, chunked', b'chunked, chunked', b'identity', b'chunked;q=1', b'"chunked"', b'xchunked', b'chunked, gzip', b'\x0bchunked'):
    broken(f'transfer coding {word!r}', '§6.1', post(b'Transfer-Encoding: ' + word, body=b'0\r\n\r\n'), (400, 501))
broken('chunked twice in two fields', '§6.1', post(CHUNKED, CHUNKED, body=b'0\r\n\r\n'))
broken('space before the colon', '§5.1', post(b'Transfer-Encoding : chunked', body=b'0\r\n\r\n' + HIDDEN))
broken('folded coding', '§5.2', post(b'Transfer-Encoding:\r\n chunked', body=b'0\r\n\r\n'))
broken('coding in HTTP/1.0', '§6.1', b'POST / HTTP/1.0\r\n' + HOST + CHUNKED + b'\r\n\r\n0\r\n\r\n')
for size in (b'0x3', b'+3', b'-3', b'3 ', b' 3', b'3_0', b'', b'g', b'fffffffffffffffff', b'3\n'):
    broken(f'chunk size {size!r}', '§7.1', post(CHUNKED, body=size + b'\r\nabc\r\n0\r\n\r\n'))
broken('chunk longer than its size', '§7.1', post(CHUNKED, body=b'3\r\nabcdef\r\n0\r\n\r\n'))
broken('chunk lines ended by LF', '§7.1', post(CHUNKED, body=b'3\nabc\n0\n\n'))
broken('chunk extension with CR', '§7.1.1', post(CHUNKED, body=b'3;a=\rb\r\nabc\r\n0\r\n\r\n'))
request('chunks in order', '§7.1', post(CHUNKED, b'Connection: close', body=b'3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n'), 200)
request('two requests in a row', '§9.3.2', post(b'Content-Length: 3', body=b'abc') + get(b'Connection: close'), 200, seen=2)
request('the same length twice, refused or made one', '§6.3', post(b'Content-Length: 3', b'Content-Length: 3', b'Connection: close', body=b'abc'),
        (400,), close=True)

# --- Lines and fields: RFC 9112 §2, §3, §5 ---------------------------------------------------------------------------------
for line in (b'GET  / HTTP/1.1', b'GET / HTTP/1.1 ', b'GET\t/ HTTP/1.1', b' GET / HTTP/1.1', b'GET /', b'GET / HTTP/1.2x', b'GET / HTTP/2.0',
             b'GET / http/1.1', b'GET / ICE/1.0', b'GE T / HTTP/1.1', b'G\x00T / HTTP/1.1', b'GET /\x00 HTTP/1.1', b'GET /a b HTTP/1.1',
             b'GET /a#b HTTP/1.1', b'GET a HTTP/1.1', b'GET http:/// HTTP/1.1'):
    broken(f'request line {line!r}', '§3', line + b'\r\n' + HOST + b'\r\n', (400, 505))
for field in (b'a b: 1', b'a\x00: 1', b': 1', b'no colon', b'a: \x00', b'a: b\x0bc', b'a(b): 1', b'a_b: 1', b' folded: 1', b'a: 1\r\n folded'):
    broken(f'field {field!r}', '§5', get(field))
broken('head ended by LF', '§2.2', b'GET / HTTP/1.1\nHost: conform.test\n\n')
broken('CR alone within a value', '§2.2', get(b'a: b\rc: d'))
broken('no Host', '§3.2', b'GET / HTTP/1.1\r\n\r\n')
broken('two Hosts', '§3.2', get(b'Host: other.test'))
for host in (b'a b', b'a,b', b'user@conform.test', b'conform.test:99999', b'conform.test:x', b'[::1', b'conform.test/', b''):
    broken(f'Host {host!r}', '§3.2', b'GET / HTTP/1.1\r\nHost: ' + host + b'\r\n\r\n', (400, 404))
broken('too many fields', 'limit', get(*[b'f%d: 1' % i for i in range(150)]), 431)
broken('a field too long', 'limit', get(b'f: ' + b'x' * 40000), 431)
broken('a target too long', 'limit', get(target=b'/' + b'x' * 40000), (414, 431))

# --- Targets: RFC 9112 §3.2, RFC 3986 ---------------------------------------------------------------------------------------
for path in (b'/a/../b', b'/a/./b', b'/..', b'/%2e%2e/b', b'/a/%2E%2E/b', b'/a%2fb', b'/a%5cb', b'/a\\b', b'/a%00b', b'/%c0%ae', b'/%zz', b'/%'):
    request(f'path {path!r}', 'path rule', get(b'Connection: close', target=path), 400)
request('absolute form wins over Host', '§3.2.2',
        b'GET http://conform.test/abs HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n', 200, upstream_has=b'Host: conform.test', upstream_not=b'evil')
for method, status in ((b'TRACE', 405), (b'CONNECT', 405)):
    request(method.decode(), 'request rules', method + b' / HTTP/1.1\r\n' + HOST + b'Connection: close\r\n\r\n', (status, 400))
request('other host', 'claims', b'GET / HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n', 404)

# --- What must not go on: RFC 9110 §7.6 ----------------------------------------------------------------------------------------
for field in (b'Proxy: x', b'X-Real-IP: 1.2.3.4', b'Forwarded: for=1.2.3.4', b'X-Gw-App: admin', b'X-Forwarded-For: 1.2.3.4', b'Keep-Alive: timeout=9',
              b'Proxy-Connection: keep-alive', b'Upgrade: h2c', b'TE: gzip'):
    name, value = field.split(b': ')
    request(f'field {name.decode()} from a client', 'request rules', get(field, b'Connection: close'), 200, upstream_not=field)
request('fields that Connection names', '§7.6.1', get(b'X-Hop: 1', b'Connection: x-hop, close'), 200, upstream_not=b'X-Hop')
request('Connection cannot name Host away', '§7.6.1', get(b'Connection: host, close'), (200, 400))
broken('WebSocket where no route takes it', 'request rules', get(b'Upgrade: websocket', b'Connection: Upgrade', b'Sec-WebSocket-Version: 13',
                                                                  b'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='))

# --- WebSockets on a route that takes them: RFC 6455 §4, RFC 9110 §7.8 ---------------------------------------------------------
VERSION, KEY = b'Sec-WebSocket-Version: 13', b'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
UPGRADE = (b'Upgrade: websocket', b'Connection: Upgrade')
broken('WebSocket of another version', '§4.4', get(*UPGRADE, b'Sec-WebSocket-Version: 1337', KEY, target=b'/ws') + HIDDEN, 426)
for name, fields in (('without a key', UPGRADE + (VERSION,)), ('with two keys', UPGRADE + (VERSION, KEY, KEY)),
                     ('with a key that is none', UPGRADE + (VERSION, b'Sec-WebSocket-Key: x')), ('without a version', UPGRADE + (KEY,)),
                     ('that Connection does not name', (b'Upgrade: websocket', VERSION, KEY)),
                     ('with a body', UPGRADE + (VERSION, KEY, b'Content-Length: %d' % len(HIDDEN))),
                     ('with chunks', UPGRADE + (VERSION, KEY, CHUNKED))):
    broken('WebSocket ' + name, '§4.2.1', get(*fields, target=b'/ws') + HIDDEN)
broken('WebSocket in HTTP/1.0', 'RFC 9110 §7.8', get(*UPGRADE, VERSION, KEY, target=b'/ws', version=b'HTTP/1.0') + HIDDEN)
broken('WebSocket of another page', '§10.2', get(*UPGRADE, VERSION, KEY, b'Origin: https://evil.test', target=b'/ws') + HIDDEN, 403)
request('WebSocket that the upstream does not agree to', '§4.1', get(b'Upgrade: websocket', b'Connection: upgrade, close', VERSION, KEY, target=b'/ws'), 200,
        upstream_has=b'Upgrade: websocket', upstream_not=KEY)

# --- Answers: RFC 9112 §6.3, §7 ----------------------------------------------------------------------------------------------------
OK = b'HTTP/1.1 200 OK\r\n'
answer('by length', '§6.3', OK + b'Content-Length: 2\r\n\r\nok', 200, ends=False, reused=True)
answer('in chunks', '§7.1', OK + CHUNKED + b'\r\n\r\n2\r\nok\r\n0\r\n\r\n', 200, ends=False, reused=True)
answer('until the end', '§6.3', OK + b'\r\nok', 200, reused=False)
answer('no content', '§6.3', b'HTTP/1.1 204 No Content\r\n\r\n', 204, ends=False, reused=True)
answer('an interim answer first', 'RFC 9110 §15.2', b'HTTP/1.1 103 Early Hints\r\n\r\n' + OK + b'Content-Length: 2\r\n\r\nok', 200, ends=False, reused=True)
answer('HEAD with a length and no body', '§6.3', OK + b'Content-Length: 2\r\n\r\n', 200, ends=False, reused=True, method=b'HEAD')
answer('a second answer behind the first', '§9.2', OK + b'Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nX-Stray: 1\r\nContent-Length: 0\r\n\r\n', 200,
       ends=False, reused=False, client_not=b'X-Stray')
answer('more body than its length', '§9.2', OK + b'Content-Length: 2\r\n\r\nok and more', 200, ends=False, reused=False, client_not=b'and more')
for name, raw in (('length and chunks', OK + b'Content-Length: 2\r\n' + CHUNKED + b'\r\n\r\n0\r\n\r\n'),
                  ('two lengths', OK + b'Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc'),
                  ('a negative length', OK + b'Content-Length: -2\r\n\r\n'),
                  ('folded field', OK + b'a: b\r\n c\r\nContent-Length: 0\r\n\r\n'),
                  ('space before the colon', OK + b'Content-Length : 0\r\n\r\n'),
                  ('a field without a name', OK + b': x\r\nContent-Length: 0\r\n\r\n'),
                  ('NUL in a value', OK + b'a: \x00\r\nContent-Length: 0\r\n\r\n'),
                  ('status of two digits', b'HTTP/1.1 20 OK\r\n\r\n'),
                  ('no HTTP', b'hello\r\n\r\n'),
                  ('HTTP/0.9', b'<html>hello</html>'),
                  ('another protocol', b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
                  ('nothing', b''),
                  ('half a head', b'HTTP/1.1 200 OK\r\nContent-Le'),
                  ('unknown coding', OK + b'Transfer-Encoding: gzip\r\n\r\nx')):
    answer(name, 'broken answers are 502', raw, 502, reused=False)
