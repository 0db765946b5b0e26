"""Writes the marshalled code of modules of the standard library, each compiled by two paths: four bytes of length, then the body."""
import marshal
import os
import sys

library = os.path.dirname(os.__file__)
names = sorted(name for name in os.listdir(library)
               if name.endswith(".py") and os.path.isfile(os.path.join(library, name)))  # Debian links sitecustomize.py into /etc
with open(sys.argv[1], "wb") as out:
    for name in names[::max(1, len(names) // int(sys.argv[2]))]:
        with open(os.path.join(library, name), "rb") as file:
            source = file.read()
        for path in sys.argv[3:5]:
            body = marshal.dumps(compile(source, path, "exec", dont_inherit=True))
            out.write(len(body).to_bytes(4, "little") + body)
