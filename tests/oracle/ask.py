"""What this interpreter's own importlib says: one JSON request in (a file named on the command line), one answer out.

Paths travel as hexadecimal bytes, for names need not be UTF-8. Runs on every CPython >= 3.8 and on PyPy >= 3.8.
"""

import _imp
import importlib
import importlib._bootstrap_external as external
import importlib.util
import json
import marshal
import os
import py_compile
import random
import sys

# A source larger than this is a sparse one, never to be read.
LARGE = 1 << 30


def path(hexadecimal):
    return os.fsdecode(bytes.fromhex(hexadecimal))


def hexadecimal(path):
    return os.fsencode(path).hex()


def compile_sources(request):
    """Compiles each source into the store; answers where Python itself says that the entry lives."""
    sys.pycache_prefix = path(request["store"])
    entries = []
    for source, optimization, mode in request["sources"]:
        source = path(source)
        entry = importlib.util.cache_from_source(source, optimization=optimization)
        py_compile.compile(
            source,
            cfile=entry,
            doraise=True,
            optimize=int(optimization or 0),
            invalidation_mode=py_compile.PycInvalidationMode[mode],
        )
        entries.append(hexadecimal(entry))
    magic = int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little")
    return {"entries": entries, "magic": magic}


class Recompiled(Exception):
    """Instead of compiling a source."""


LOADED = object()


class Judge(external.SourceFileLoader):
    """The loader of every import, `get_code` untouched: only what it calls is overheard, and compiling is cut off."""

    def __init__(self, source, entry):
        super().__init__("m", source)
        self.entry = entry
        self.reason = None

    def get_data(self, path):
        if path == self.path and os.stat(path).st_size > LARGE:
            assert self.reason is not None, "only timestamp entries may have a large source"
            raise Recompiled
        return super().get_data(path)

    def source_to_code(self, *_arguments, **_keywords):
        raise Recompiled

    def verdict(self, check_hash_based_pycs):
        # FileFinder takes regular files only (`_path_isfile`); `get_code` alone would take a directory's mtime.
        if not external._path_isfile(self.path):
            return "missing"
        self.reason = None
        _imp.check_hash_based_pycs = check_hash_based_pycs
        overhear(self)
        try:
            code = self.get_code("m")
        except Recompiled:
            assert self.reason is not None, "recompiled without a reason"
            return self.reason
        assert code is LOADED and self.reason is None
        return "fresh"


ORIGINAL = {
    name: getattr(external, name)
    for name in ("_classify_pyc", "_validate_timestamp_pyc", "_validate_hash_pyc")
}


def overhear(judge):
    """Lets `get_code` find the judge's entry, and notes which of its tests fails."""

    def classify(data, name, details):
        try:
            return ORIGINAL["_classify_pyc"](data, name, details)
        except EOFError:
            judge.reason = "truncated"
            raise
        except ImportError as error:
            judge.reason = {"bad magic": "magic", "invalid f": "flags"}[str(error)[:9]]
            raise

    def validate_timestamp(data, source_mtime, source_size, name, details):
        # Python raises the same for both; without a size only the mtime is compared.
        for reason, size in (("mtime", None), ("size", source_size)):
            try:
                ORIGINAL["_validate_timestamp_pyc"](data, source_mtime, size, name, details)
            except ImportError:
                judge.reason = reason
                raise

    def validate_hash(data, source_hash, name, details):
        try:
            ORIGINAL["_validate_hash_pyc"](data, source_hash, name, details)
        except ImportError:
            judge.reason = "hash"
            raise

    external._classify_pyc = classify
    external._validate_timestamp_pyc = validate_timestamp
    external._validate_hash_pyc = validate_hash
    external.cache_from_source = lambda *_arguments, **_keywords: judge.entry
    external._compile_bytecode = lambda *_arguments, **_keywords: LOADED


def judge_entries(request):
    """The verdict on each entry, by default and under `--check-hash-based-pycs always`."""
    verdicts = []
    for entry, source in request["entries"]:
        judge = Judge(path(source), path(entry))
        verdicts.append([judge.verdict("default"), judge.verdict("always")])
    return {"verdicts": verdicts}


def import_modules(request):
    """Really imports each module; answers what came of it and whether the entry was written anew."""
    sys.pycache_prefix = path(request["store"])
    outcomes = []
    for directory, module, entry in request["modules"]:
        entry = path(entry)
        before = identity(entry)
        sys.path.insert(0, path(directory))
        sys.dont_write_bytecode = False
        try:
            importlib.import_module(module)
            outcome = "ran"
        except ModuleNotFoundError:
            outcome = "missing"
        except Exception as error:  # a damaged body raises what it likes
            outcome = type(error).__name__
        finally:
            sys.dont_write_bytecode = True
            del sys.path[0]
        outcomes.append([outcome, identity(entry) != before])
    return {"outcomes": outcomes}


def identity(entry):
    status = os.stat(entry)
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def compile_library(request):
    """Compiles a sample of the standard library; answers each entry and the co_filename that marshal reads from it."""
    library = os.path.dirname(os.__file__)
    sources = []
    for directory, directories, names in os.walk(library):
        directories[:] = sorted(set(directories) - {"site-packages", "test", "tests", "__pycache__", "lib2to3"})
        sources += [os.path.join(directory, name) for name in sorted(names) if name.endswith(".py")]
    sources = [source for source in sources if os.path.isfile(source)]  # Debian links sitecustomize.py into /etc
    random.seed(request["seed"])
    sample = random.sample(sources, min(request["count"], len(sources)))
    sys.pycache_prefix = path(request["store"])
    found = []
    for number, source in enumerate(sample):
        entry = importlib.util.cache_from_source(source, optimization="")
        py_compile.compile(source, cfile=entry, doraise=True, optimize=0)
        with open(entry, "rb") as file:
            code = marshal.loads(file.read()[16:])
        found.append([hexadecimal(entry), hexadecimal(code.co_filename)])
    return {"found": found}


def main():
    with open(sys.argv[1], encoding="ascii") as file:
        request = json.load(file)
    commands = {
        "compile": compile_sources,
        "judge": judge_entries,
        "import": import_modules,
        "library": compile_library,
    }
    json.dump(commands[request["do"]](request), sys.stdout)


main()
