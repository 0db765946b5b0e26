"""A file system that ignores the case of names, as some of macOS, Windows and Linux do: a directory, shown through FUSE.

    case_insensitive.py DIRECTORY MOUNTPOINT

Speaks the kernel's own protocol (linux/fuse.h), so that no library is needed. What it shows can be listed, read and
removed. It ends when it is unmounted.
"""

import ctypes, errno, os, struct, sys

LOOKUP, FORGET, GETATTR, UNLINK, RMDIR, OPEN, READ, STATFS = 1, 2, 3, 10, 11, 14, 15, 17
RELEASE, FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, INTERRUPT, DESTROY, BATCH_FORGET = 18, 25, 26, 27, 28, 29, 36, 38, 42

directory, point = sys.argv[1:]
device = os.open("/dev/fuse", os.O_RDWR)
libc = ctypes.CDLL(None, use_errno=True)
options = f"fd={device},rootmode=40000,user_id={os.geteuid()},group_id={os.getegid()}".encode()
if libc.mount(b"case-insensitive", os.fsencode(point), b"fuse", 6, options) != 0:
    sys.exit(f"cannot mount: {os.strerror(ctypes.get_errno())}")
paths = {1: os.fsencode(directory)}


def child(node, name):
    """The path of what is listed by this name, or else by one that differs in case alone."""
    names = os.listdir(paths[node])
    found = [it for it in names if it == name] or [it for it in names if it.lower() == name.lower()]
    if not found:
        raise FileNotFoundError(errno.ENOENT, "")
    return os.path.join(paths[node], found[0])


def attributes(path):
    status = os.lstat(path)
    times = [status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns]
    seconds, fractions = [it // 10**9 for it in times], [it % 10**9 for it in times]
    sizes = [status.st_ino, status.st_size, status.st_blocks]
    return struct.pack(
        "6Q10I", *sizes, *seconds, *fractions, status.st_mode, status.st_nlink, status.st_uid, status.st_gid, 0, 4096, 0
    )


def listing(node, offset, size):
    out = b""
    for number, name in list(enumerate(sorted(os.listdir(paths[node])), 1))[offset:]:
        entry = struct.pack("QQII", number, number, len(name), 0) + name
        entry += bytes(-len(entry) % 8)
        if len(out) + len(entry) > size:
            break
        out += entry
    return out


def answer(operation, node, body):
    name = body.split(b"\0")[0]
    if operation == INIT:
        return struct.pack("4I2H2I2H8I", 7, 31, 65536, 0, 8, 8, 65536, 1, 16, 0, *[0] * 8)
    if operation == LOOKUP:
        path = child(node, name)
        number = max(paths) + 1
        paths[number] = path
        return struct.pack("4Q2I", number, 0, 0, 0, 0, 0) + attributes(path)
    if operation == GETATTR:
        return struct.pack("Q2I", 0, 0, 0) + attributes(paths[node])
    if operation in (OPEN, OPENDIR):
        return struct.pack("Q2I", node, 0, 0)
    if operation in (READ, READDIR):
        _, offset, size = struct.unpack_from("QQI", body)
        if operation == READDIR:
            return listing(node, offset, size)
        with open(paths[node], "rb") as file:
            file.seek(offset)
            return file.read(size)
    if operation in (UNLINK, RMDIR):
        (os.unlink if operation == UNLINK else os.rmdir)(child(node, name))
        return b""
    if operation == STATFS:
        return bytes(80)
    if operation in (RELEASE, RELEASEDIR, FLUSH, DESTROY):
        return b""
    raise OSError(errno.ENOSYS, "")


while True:
    try:
        request = os.read(device, 1 << 18)
    except OSError as error:
        sys.exit(0 if error.errno == errno.ENODEV else str(error))
    _, operation, unique, node = struct.unpack_from("IIQQ", request)
    if operation in (FORGET, BATCH_FORGET, INTERRUPT):
        continue
    try:
        code, payload = 0, answer(operation, node, request[40:])
    except OSError as error:
        code, payload = -error.errno, b""
    os.write(device, struct.pack("IiQ", 16 + len(payload), code, unique) + payload)
