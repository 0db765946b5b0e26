"""Records what this interpreter does: python3 record.py DIRECTORY [MODULE].

Writes the entry of rich.py to DIRECTORY/rich.TAG.pyc, and prints lines of `tag magic what ... result`. Runs on CPython >= 3.7
(3.7 without rich.py, whose syntax it does not know) and PyPy.
"""

import importlib._bootstrap_external as external
import importlib.util
import os
import py_compile
import sys

MESSAGES = [b"", b"hello", b"x = 1\n", b"abcdefg", b"abcdefgh", b"abcdefghi", bytes(range(256))]
SOURCES = [
    "/a/b.py", "/a/b.c.py", "/a/.hidden.py", "/a/script", "/a/.hidden", "/a/x.hy", "/a/x.", "/a/b.py.py", "/a/..py",
    "/a//b.py", "/a/./b.py", "//a/b.py", "/a/__pycache__/b.py",
]
MODES = ["TIMESTAMP", "CHECKED_HASH", "UNCHECKED_HASH"]
MTIMES = [0, 1, 2**31, 2**32 - 1, 2**32 + 5, -1]


def say(*words):
    tag = sys.implementation.cache_tag
    magic = int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little")
    print(tag, magic, *words)


def compile_at(path, text, target, mode):
    with open(path, "wb") as file:
        file.write(text)
    os.utime(path, (1700000000, 1700000000))
    py_compile.compile(path, cfile=target, doraise=True, invalidation_mode=py_compile.PycInvalidationMode[mode])
    with open(target, "rb") as file:
        return file.read()


def main():
    directory = sys.argv[1]
    for message in MESSAGES:
        say("hash", message.hex() or "-", importlib.util.source_hash(message).hex())
    for mode in MODES:
        say("header", mode, compile_at("/tmp/m.py", b"x = 1\n", "/tmp/m.pyc", mode)[:16].hex())
    for mtime in MTIMES:
        header = external._code_to_timestamp_pyc(compile("", "m", "exec"), mtime, 2**32 + 6)[:16]
        say("timestamp", mtime, 2**32 + 6, bytes(header).hex())
    if sys.version_info >= (3, 8):
        sys.pycache_prefix = "/P"
        for source in SOURCES:
            for optimization in ["", "1", "typeguard460"] if source in SOURCES[:4] else [""]:
                entry = importlib.util.cache_from_source(source, optimization=optimization)
                say("path", source, optimization or "-", entry)
        with open(os.path.join(directory, "rich.py"), "rb") as file:
            text = file.read()
        target = os.path.join(directory, "rich.%s.pyc" % sys.implementation.cache_tag)
        compile_at("/tmp/rich.py", text, target, "TIMESTAMP")


main()
