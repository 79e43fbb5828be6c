"""What the K and A weightings mean: second-order sections, whole signals at once.

The native filters take eight samples a step from tables that `tables` makes of the same sections;
`python -m kabina.native.reference.weighting` prints native/c/mixing/kb_weighting_tables.h.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Sections = tuple[tuple[tuple[float, float, float], tuple[float, float, float]], ...]

RATE: Final = 48_000
STEP: Final = 8

K_SECTIONS: Final[Sections] = (
    (
        (1.53512485958697, -2.69169618940638, 1.19839281085285),
        (1.0, -1.69065929318241, 0.73248077421585),
    ),
    ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
)
"""ITU-R BS.1770-4, tables 1 and 2: (numerator, denominator) at 48 kHz."""

A_POLES_HZ: Final = (20.598997, 20.598997, 107.65265, 737.86223, 12194.217, 12194.217)
"""IEC 61672-1, annex E; with four zeros at 0 Hz."""


def _a_sections() -> Sections:
    """By the bilinear transform, unity at 1 kHz."""
    # Without prewarping of the double pole at 12.2 kHz the response falls early: 0.5 dB at 8 kHz,
    # 2.7 at 12.5, 6.4 at 16, all within class 1 (+2.1/−3.1, +3/−6, +3.5/−17).
    analog = -2 * np.pi * np.array(A_POLES_HZ)
    poles = (2 * RATE + analog) / (2 * RATE - analog)
    pairs = ((poles[0], poles[1]), (poles[2], poles[3]), (poles[4], poles[5]))
    zeros = ((1.0, 1.0), (1.0, 1.0), (-1.0, -1.0))
    sections = []
    for (z0, z1), (p0, p1) in zip(zeros, pairs, strict=True):
        numerator = np.array([1.0, -z0 - z1, z0 * z1])
        denominator = np.array([1.0, -p0 - p1, p0 * p1])
        at = np.exp(-2j * np.pi * 1000 / RATE * np.arange(3))
        numerator /= abs(numerator @ at) / abs(denominator @ at)
        n0, n1, n2 = map(float, numerator)
        d0, d1, d2 = map(float, denominator)
        sections.append(((n0, n1, n2), (d0, d1, d2)))
    return tuple(sections)


A_SECTIONS: Final[Sections] = _a_sections()


def _response(sections: Sections, hz: NDArray[np.floating]) -> NDArray[np.complex128]:
    delays = np.exp(-2j * np.pi * np.asarray(hz)[:, None] / RATE * np.arange(3))
    gain = np.ones(len(delays), np.complex128)
    for numerator, denominator in sections:
        gain *= (delays @ np.array(numerator)) / (delays @ np.array(denominator))
    return gain


def response_db(sections: Sections, hz: NDArray[np.floating]) -> Floats:
    """The gain at each frequency."""
    result: Floats = 20 * np.log10(np.abs(_response(sections, hz)))
    return result


def weigh(samples: NDArray[np.floating], sections: Sections) -> Floats:
    """The filtered signal, after silence: as long as the input."""
    # Behind so much silence nothing of the response is left to come round: 0.9973^16384 = 6e-20.
    length = len(samples) + 16_384
    spectrum = np.fft.rfft(np.asarray(samples, np.float64), length)
    hz = np.arange(len(spectrum)) * RATE / length
    result: Floats = np.fft.irfft(spectrum * _response(sections, hz), length)[: len(samples)]
    return result


def _cascade(sections: Sections) -> tuple[Floats, Floats, Floats, float]:
    """One state space (a, b, c, d) of all sections."""
    a: Floats = np.zeros((0, 0))
    b: Floats = np.zeros((0, 1))
    c: Floats = np.zeros((1, 0))
    d = 1.0
    for (b0, b1, b2), (_, a1, a2) in sections:
        own_a = np.array([[-a1, 1.0], [-a2, 0.0]])
        own_b = np.array([[b1 - a1 * b0], [b2 - a2 * b0]])
        own_c, own_d = np.array([[1.0, 0.0]]), b0
        n = len(a)
        a = np.block([[a, np.zeros((n, 2))], [own_b @ c, own_a]])
        b = np.vstack([b, own_b * d])
        c = np.hstack([own_d * c, own_c])
        d = own_d * d
    return a, b, c, d


def _gramian(a: Floats, b: Floats) -> Floats:
    """p with p = a·p·aᵀ + b·bᵀ."""
    n = len(a)
    flat = np.linalg.solve(np.eye(n * n) - np.kron(a, a), (b @ b.T).ravel())
    result: Floats = np.reshape(flat, (n, n)).astype(np.float64)
    return result


def _balanced(a: Floats, b: Floats, c: Floats) -> tuple[Floats, Floats, Floats]:
    """The coordinates in which float32 loses least: each state as easy to reach as to see."""
    reach = np.linalg.cholesky(_gramian(a, b))
    u, s, _ = np.linalg.svd(reach.T @ _gramian(a.T, c.T) @ reach)
    to = reach @ u / np.sqrt(np.sqrt(s))
    back = np.linalg.inv(to)
    return back @ a @ to, back @ b, c @ to


def tables(sections: Sections) -> dict[str, Floats]:
    """What a step of eight samples adds up, each (8, 8) and padded with zeros.

    `direct` [input][output], `observe` [state][output], `enter` [input][state],
    `advance` [state before][state after].
    """
    a, b, c, d = _cascade(sections)
    a, b, c = _balanced(a, b, c)
    order = len(a)
    powers = [np.linalg.matrix_power(a, k) for k in range(STEP + 1)]
    direct, observe = np.zeros((STEP, STEP)), np.zeros((STEP, STEP))
    enter, advance = np.zeros((STEP, STEP)), np.zeros((STEP, STEP))
    for i in range(STEP):
        direct[i, i] = d
        for k in range(i + 1, STEP):
            direct[i, k] = (c @ powers[k - i - 1] @ b)[0, 0]
        observe[:order, i] = (c @ powers[i])[0]
        enter[i, :order] = (powers[STEP - 1 - i] @ b)[:, 0]
    advance[:order, :order] = powers[STEP].T
    return {"direct": direct, "observe": observe, "enter": enter, "advance": advance}


def _header() -> str:
    lines = [
        "/* Printed by `python -m kabina.native.reference.weighting`, where the formulas are. */",
        "#ifndef KB_WEIGHTING_TABLES_H",
        "#define KB_WEIGHTING_TABLES_H",
    ]
    for name, sections in (("K", K_SECTIONS), ("A", A_SECTIONS)):
        lines += ["", f"static const kb_weighting_table {name}_WEIGHTING = {{"]
        for field, table in tables(sections).items():
            lines.append(f"    .{field} = {{")
            for row in table.astype(np.float32):
                # gcc reads a float of 9 digits back to the same bits.
                numbers = ", ".join(f"{value:.8e}f" if value else "0.0f" for value in row)
                lines.append(f"        {{{numbers}}},")
            lines.append("    },")
        lines.append("};")
    return "\n".join([*lines, "", "#endif", ""])


if __name__ == "__main__":
    sys.stdout.write(_header())
