"""Compiles sources and compares them with the code objects of entries; runs nothing of either.

Questions on standard input, each: the optimization as one byte (0, 1 or 2), P or S as one byte, then the source's path (P)
or the source (S) and the entry's body, each as four bytes of length (little-endian) and that many bytes. The answer to each
is one byte, in the same form: S, the body is what the source compiles to; D, it is not; U, the source cannot be read; B, the
body cannot be loaded; M, the entries' magic (the first argument, in hexadecimal) is not this interpreter's.
"""
import marshal
import os
import stat
import sys
import types

from _frozen_importlib_external import MAGIC_NUMBER

NAMES = (
    "co_argcount co_posonlyargcount co_kwonlyargcount co_nlocals co_stacksize co_flags co_code co_names co_varnames "
    "co_freevars co_cellvars co_name co_qualname co_firstlineno co_linetable co_exceptiontable"
).split()
FIELDS = [name for name in NAMES if hasattr(types.CodeType, name)]
if "co_linetable" not in FIELDS:
    FIELDS.append("co_lnotab")


def key(value):
    """What two constants have in common exactly when they are the same, types and signs of zero included."""
    if isinstance(value, types.CodeType):
        fields = tuple(getattr(value, name) for name in FIELDS)
        return ("code", fields, tuple(key(item) for item in value.co_consts))
    if isinstance(value, tuple):
        return ("tuple", tuple(key(item) for item in value))
    if isinstance(value, frozenset):
        return ("frozenset", frozenset(key(item) for item in value))
    if isinstance(value, slice):
        return ("slice", key(value.start), key(value.stop), key(value.step))
    if isinstance(value, (float, complex)):
        return (type(value).__name__, repr(value))
    return (type(value).__name__, value)


def read_file(path):
    # A pipe would be waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("no regular file")
        return file.read()


def answer(optimization, kind, source, body):
    if MAGIC_NUMBER.hex() != sys.argv[1]:
        return b"M"
    try:
        old = marshal.loads(body)
        filename = old.co_filename
    except Exception:
        return b"B"
    if kind == b"P":
        try:
            source = read_file(source)
        except OSError:
            return b"U"
    try:
        new = compile(source, filename, "exec", dont_inherit=True, optimize=optimization)
    except (SyntaxError, ValueError):
        return b"D"
    return b"S" if key(old) == key(new) else b"D"


def main():
    questions = sys.stdin.buffer

    def read():
        return questions.read(int.from_bytes(questions.read(4), "little"))

    while True:
        optimization = questions.read(1)
        if not optimization:
            return
        kind = questions.read(1)
        source = read()
        os.write(1, b"\1\0\0\0" + answer(optimization[0], kind, source, read()))


main()
