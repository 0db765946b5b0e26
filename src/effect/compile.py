"""Compiles sources into a store; runs nothing of them.

The argument is the store's path in hexadecimal digits. The first answer is the interpreter's cache tag. Questions on
standard input, each: the optimization as one byte (0, 1 or 2), the invalidation mode as one byte (T, C or U), then the
source's path as four bytes of length (little-endian) and that many bytes. The answer to each is empty, or says why it
could not be done. Answers have the form of paths.
"""
import os
import py_compile
import stat
import sys

if sys.version_info < (3, 8):
    sys.exit("it would ignore the prefix and write beside the sources")
sys.pycache_prefix = os.fsdecode(bytes.fromhex(sys.argv[1]))
# Such a source is none: an archive may bring a file with holes of any size.
LARGEST_SOURCE = 256 << 20
MODES = {
    b"T": py_compile.PycInvalidationMode.TIMESTAMP,
    b"C": py_compile.PycInvalidationMode.CHECKED_HASH,
    b"U": py_compile.PycInvalidationMode.UNCHECKED_HASH,
}


def answer(text):
    data = text.encode("utf-8", "backslashreplace")[:4000]
    data = len(data).to_bytes(4, "little") + data
    while data:
        data = data[os.write(1, data):]


def reason(error):
    if isinstance(error, SyntaxError):
        line = "" if error.lineno is None else " (line %d)" % error.lineno
        return "%s: %s%s" % (type(error).__name__, error.msg, line)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else "%s: %s" % (error.strerror, error.filename)
    return ("%s: %s" % (type(error).__name__, error)).rstrip(": ")


def compile_one(optimization, mode, path):
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            return "no regular file"
        if status.st_size > LARGEST_SOURCE:
            return "larger than %d MiB" % (LARGEST_SOURCE >> 20)
        py_compile.compile(path, doraise=True, optimize=optimization, invalidation_mode=MODES[mode])
    except py_compile.PyCompileError as error:
        return reason(error.exc_value)
    except Exception as error:
        return reason(error)
    return ""


def main():
    questions = sys.stdin.buffer
    answer(sys.implementation.cache_tag or "")
    while True:
        optimization = questions.read(1)
        if not optimization:
            return
        mode = questions.read(1)
        path = questions.read(int.from_bytes(questions.read(4), "little"))
        answer(compile_one(optimization[0], mode, os.fsdecode(path)))


main()
