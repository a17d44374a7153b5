"""The solution of normal equations: ``P x = h`` for a symmetric matrix P.

P is factored into ``U^T U`` with U upper triangular, row of tiles by row of tiles: what the rows
above contribute is a sum of products of rows. The matrix and all vectors are in the working memory
that `layout` describes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mfcli.aligned import LINE
from mfcli.storage import inlined
from mfcli.vectors import (
    fma,
    load,
    mul,
    pointer,
    sqrt,
    store,
    subtract_products,
    total,
    zeros,
)

_STRIP = 4  # rows of a tile that are computed at once; two vectors of eight lanes each
_PIVOT = np.float32(2.0**-18)  # of a diagonal element: smaller pivots are rounding errors


@inlined
def factor(scratch: Any, width: Any, columns: Any, shift: Any, roots: Any, solved: Any) -> None:
    """Replace P by U, where ``P = U^T U``, and h by zeros; keep ``U^-T h``.

    With D the squares of the diagonal of U, ``U = D^1/2 V``. The 16 x 16 tiles on the diagonal of V
    are kept by columns, because `solve` needs them so. Roots are those of ``D^-1``.

    If the noise is tiny, P can be singular up to rounding: its pivots are kept above zero.
    """
    base = pointer(scratch)
    like = zeros(LINE)
    for f in range(width):
        scratch[roots + f] = _PIVOT * scratch[f * width + f]  # until the root is known
    for i in range(0, width, LINE):
        # Subtract the products of the rows above.
        if i:
            for s in range(i, i + LINE, _STRIP):
                for j in range(i, width, LINE):
                    subtract_products(
                        base, s * width + j, width, base, s, 1, width,
                        base, j, width, i, _STRIP, like,
                    )  # fmt: skip
        # Eliminate without square roots: they would add to the time from one pivot to the next.
        for f in range(i, i + LINE):
            pivot = max(scratch[f * width + f], scratch[roots + f])
            inverse = np.float32(1.0) / pivot
            scratch[roots + f] = inverse
            for g in range(f + 1, i + LINE):  # subtract row f times V_fg
                share = scratch[f * width + g] * inverse
                scratch[columns + g * LINE + f - i] = share
                for j in range(i, width, LINE):
                    above = load(base, f * width + j, like)
                    place = g * width + j
                    store(base, place, fma(-share, above, load(base, place, like)))
            # y_f = h_f, and h loses y_f / D_f times row f
            y = scratch[shift + f]
            scratch[solved + f] = y
            share = -y * inverse
            for j in range(i, width, LINE):
                above = load(base, f * width + j, like)
                store(base, shift + j, fma(share, above, load(base, shift + j, like)))
        root = sqrt(load(base, roots + i, like))
        store(base, roots + i, root)
        store(base, solved + i, mul(root, load(base, solved + i, like)))
        for f in range(i, i + LINE):
            for j in range(i + LINE, width, LINE):
                place = f * width + j
                store(base, place, mul(scratch[roots + f], load(base, place, like)))


@inlined
def solve(
    row: Any, rows: Any, scratch: Any, width: Any, columns: Any, shift: Any, known: Any, roots: Any,
    solved: Any,
) -> None:  # fmt: skip
    """Set a row x to the solution of ``U x = U^-T h + e``, and keep ``U x`` in the place of h."""
    base, out = pointer(scratch), pointer(rows)
    like = zeros(LINE)
    for j in range(0, width, LINE):
        store(base, shift + j, load(base, solved + j, like))
    for n in range(width // LINE):
        i = width - LINE - n * LINE
        # x_f = (U x)_f / U_ff - sum_{g > f} V_fg x_g; first the g of the tiles to the right
        for f in range(i, i + LINE):
            sums = zeros(LINE)
            for j in range(i + LINE, width, LINE):
                sums = fma(load(base, f * width + j, like), load(base, solved + j, like), sums)
            scratch[known + f] = total(sums)
        left = fma(np.float32(-1.0), load(base, known + i, like), load(base, shift + i, like))
        left = mul(load(base, roots + i, like), left)
        store(base, solved + i, left)
        for g in range(LINE - 1, 0, -1):
            share = -scratch[solved + i + g]
            left = fma(share, load(base, columns + (i + g) * LINE, like), left)
            store(base, solved + i, left)
        store(out, row * width + i, left)
