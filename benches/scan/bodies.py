"""Two tasks of the bench of bodies.

build LIBRARY FILE  compiles this interpreter's library LIBRARY into the prefix in force, and copies all bodies to FILE:
                    four bytes of length, then the body.
loads FILE TIMES    loads every body in FILE so many times.
"""
import compileall
import gc
import marshal
import os
import sys

if sys.argv[1] == "build":
    # Some of the library's tests are no Python on purpose.
    compileall.compile_dir(sys.argv[2], quiet=2, workers=os.cpu_count())
    mirror = sys.pycache_prefix + sys.argv[2]
    with open(sys.argv[3], "wb") as out:
        for directory, _, names in os.walk(mirror):
            for name in names:
                with open(os.path.join(directory, name), "rb") as file:
                    body = file.read()[16:]
                out.write(len(body).to_bytes(4, "little") + body)
else:
    gc.disable()
    with open(sys.argv[2], "rb") as file:
        data = file.read()
    bodies, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at:at + 4], "little")
        bodies.append(data[at + 4:at + 4 + length])
        at += 4 + length
    for _ in range(int(sys.argv[3])):
        for body in bodies:
            marshal.loads(body)
