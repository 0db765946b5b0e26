"""Answers for each body in a file whether marshal.loads gives a code object (c), something else (o), or raises (e).

The file: for each body its length as four bytes, little-endian, and the body. The second argument says which bodies
are to be skipped. One letter a body, at once: the interpreter may crash at the next one.
"""
import gc
import marshal
import os
import sys
import types

try:
    import resource
    # A length of 2**31 asks for 16 GB; that is to be an error and not the end of the machine.
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    # Seconds; a batch takes one or two. A body that holds the interpreter up counts as a crash.
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
except ImportError:
    pass

gc.disable()
with open(sys.argv[1], "rb") as file:
    bodies = file.read()
first = int(sys.argv[2])
at = index = 0
while at < len(bodies):
    length = int.from_bytes(bodies[at:at + 4], "little")
    body = bodies[at + 4:at + 4 + length]
    at += 4 + length
    index += 1
    if index <= first:
        continue
    try:
        value = marshal.loads(body)
        letter = b"c" if type(value) is types.CodeType else b"o"
        del value
    except BaseException:
        letter = b"e"
    os.write(1, letter)
