"""module doc é"""
import os.path as p

BIG = 123456789012345678901234567890
NEG = -2147483649
F = 3.141592653589793
C = 1.5-2j
S = "naïve ☃ 𝄞"
A = "ascii name"
B = b"\x00\xffbytes"
T = (1, None, True, ..., "two", 3.0)


def f(a, b=2, /, *args, k: int = 3, **kw):
    """f doc"""
    assert a, "assertion"
    g = lambda x: (lambda y: x + y + a)
    part = a[1:2]
    if b in {1, 2}:
        return part, a[::2]
    return g(1)(2)


class K(object):
    """K doc"""
    attr = -0.0

    def m(self):
        return super().m() if __debug__ else None


async def co():
    async for i in f(1):
        yield i
