"""Compiles sources as py_compile does, into the contents of entries; runs nothing of them, reads and writes no file.

The first answer is the interpreter's cache tag. Questions on standard input, each: the optimization as one byte (0, 1 or 2),
the invalidation mode as one byte (T, C or U), the source's mtime and size as an entry records them in four bytes each, then
its path and the source itself, each as four bytes of length and that many bytes. Numbers are little-endian. The answer to
each: P and the content of the entry, or E and why there is none. Answers have the form of paths.
"""
import importlib._bootstrap_external
import importlib.machinery
import os
import py_compile
import sys

if sys.version_info < (3, 8):
    sys.exit("it does not know the prefix")
MODES = {
    b"T": py_compile.PycInvalidationMode.TIMESTAMP,
    b"C": py_compile.PycInvalidationMode.CHECKED_HASH,
    b"U": py_compile.PycInvalidationMode.UNCHECKED_HASH,
}


class Files:
    """What py_compile reads and writes in place of files."""

    source = entry = b""
    stats = {}


class Loader(importlib.machinery.SourceFileLoader):
    def get_data(self, path):
        return Files.source

    def path_stats(self, path):
        return Files.stats


def write(path, data, mode):
    Files.entry = data


importlib.machinery.SourceFileLoader = Loader
importlib._bootstrap_external._write_atomic = write
importlib._bootstrap_external._calc_mode = lambda path: 0o666


def answer(data):
    data = memoryview(len(data).to_bytes(4, "little") + data)
    while data:
        data = data[os.write(1, data):]


def reason(error):
    if isinstance(error, SyntaxError):
        line = "" if error.lineno is None else " (line %d)" % error.lineno
        return "%s: %s%s" % (type(error).__name__, error.msg, line)
    return ("%s: %s" % (type(error).__name__, error)).rstrip(": ")


def compile_one(optimization, mode, path):
    try:
        py_compile.compile(path, "", doraise=True, optimize=optimization, invalidation_mode=MODES[mode])
        return b"P" + Files.entry
    except py_compile.PyCompileError as error:
        why = reason(error.exc_value)
    except Exception as error:
        why = reason(error)
    return b"E" + why.encode("utf-8", "backslashreplace")[:4000]


def main():
    questions = sys.stdin.buffer

    def number():
        return int.from_bytes(questions.read(4), "little")

    answer((sys.implementation.cache_tag or "").encode("utf-8", "backslashreplace"))
    while True:
        optimization = questions.read(1)
        if not optimization:
            return
        mode = questions.read(1)
        Files.stats = {"mtime": number(), "size": number()}
        path = os.fsdecode(questions.read(number()))
        Files.source = questions.read(number())
        answer(compile_one(optimization[0], mode, path))


main()
