"""Says of each body in a file what its code objects say: how many there are, the first line, the last line, the name.

The file: for each body its length as four bytes, little-endian, and the body.
"""
import dis
import marshal
import sys
import types


def codes(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes(constant)


def last_line(code):
    if hasattr(code, "co_lines"):
        lines = [line for _, _, line in code.co_lines() if line is not None]
    else:
        lines = [line for _, line in dis.findlinestarts(code)]
    return max(lines + [code.co_firstlineno])


with open(sys.argv[1], "rb") as file:
    bodies = file.read()
at = 0
while at < len(bodies):
    length = int.from_bytes(bodies[at:at + 4], "little")
    code = marshal.loads(bodies[at + 4:at + 4 + length])
    at += 4 + length
    found = list(codes(code))
    print(len(found), code.co_firstlineno, max(map(last_line, found)), code.co_name)
