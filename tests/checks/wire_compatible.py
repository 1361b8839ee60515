#!/usr/bin/env python3
"""No field that was ever sent or stored is renumbered, retyped, relabelled or removed, and no number is used again.

  wire_compatible.py wire.txt gw.desc PROTOC [--accept]

wire.txt is the committed list of every field and enum value: `message.field number type label`. A new line is fine and is
added with --accept; a line that is gone or changed is an error: reserve the number, keep the line.
"""
import subprocess, sys

def decode(path, protoc):
    """The descriptor set as nested (name, children or scalar) lists, from protoc's text form."""
    text = subprocess.run([protoc, '--decode=google.protobuf.FileDescriptorSet', 'google/protobuf/descriptor.proto', '-I', '/usr/include'],
                          stdin=open(path, 'rb'), capture_output=True, check=True).stdout.decode()
    stack = [[]]
    for line in text.splitlines():
        line = line.strip()
        if line.endswith('{'):
            children = []
            stack[-1].append((line[:-1].strip(), children))
            stack.append(children)
        elif line == '}':
            stack.pop()
        elif ':' in line:
            name, value = line.split(':', 1)
            stack[-1].append((name.strip(), value.strip().strip('"')))
    return stack[0]

def get(node, name, default=''):
    return next((v for k, v in node if k == name), default)

def walk(message, scope, out):
    name = f'{scope}.{get(message, "name")}'
    for kind, child in message:
        if kind == 'field':
            out.append(f'{name}.{get(child, "name")} {get(child, "number")} {get(child, "type_name") or get(child, "type")} {get(child, "label")}')
        elif kind == 'nested_type': walk(child, name, out)
        elif kind == 'enum_type': enum(child, name, out)

def enum(node, scope, out):
    for kind, child in node:
        if kind == 'value': out.append(f'{scope}.{get(node, "name")}.{get(child, "name")} {get(child, "number", "0")} value -')

def main():
    committed_path, descriptors, protoc = sys.argv[1:4]
    now = []
    for kind, file in decode(descriptors, protoc):
        if kind != 'file' or get(file, 'package') != 'gw.v1': continue
        for k, child in file:
            if k == 'message_type': walk(child, 'gw.v1', now)
            elif k == 'enum_type': enum(child, 'gw.v1', now)
    now.sort()
    if not now: sys.exit('no messages in ' + descriptors)
    if '--accept' in sys.argv:
        open(committed_path, 'w').write('\n'.join(now) + '\n')
        return
    committed = open(committed_path).read().split('\n')[:-1]
    gone = sorted(set(committed) - set(now)); new = sorted(set(now) - set(committed))
    for line in gone: print('gone or changed:', line)
    for line in new: print('not committed yet (add with --accept):', line)
    sys.exit(1 if gone or new else 0)

main()
