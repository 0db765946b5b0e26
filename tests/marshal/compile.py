"""Writes the marshalled code of modules of the standard library, small ones first: four bytes of length, then the body."""
import marshal
import os
import sys

library = os.path.dirname(os.__file__)
paths = []
for directory, directories, files in os.walk(library):
    directories[:] = sorted(name for name in directories if name not in ("site-packages", "test", "tests", "idlelib"))
    paths += [os.path.join(directory, name) for name in files if name.endswith(".py")]
paths = [path for path in paths if os.path.isfile(path)]  # Debian links sitecustomize.py into /etc
paths.sort(key=lambda path: (os.path.getsize(path), path))
step = max(1, len(paths) // int(sys.argv[2]))
with open(sys.argv[1], "wb") as out:
    for path in paths[::step]:
        with open(path, "rb") as file:
            source = file.read()
        try:
            code = compile(source, path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            continue
        body = marshal.dumps(code)
        out.write(len(body).to_bytes(4, "little") + body)
