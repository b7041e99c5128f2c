"""Ridge duel, SciPy point by point: for every N the smaller of the primal and the dual, dsyrk and cho_factor."""
import worker  # sets the environment first
import ridge_peer

import numpy as np
import scipy
from scipy.linalg import blas, cho_factor, cho_solve


def features(x, w):
    return np.maximum(x @ w.T / np.sqrt(x.shape[1]), 0.0)


def gram(z, transposed):
    """Z^T Z or Z Z^T with the ridge, one triangle. Fortran sees Z's transpose without a copy."""
    out = blas.dsyrk(1.0, z.T, trans=not transposed, lower=1)
    out[np.diag_indices_from(out)] += ridge_peer.RIDGE
    return out


def solve(matrix, right):
    return cho_solve(cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False), right, check_finite=False)


def curve():
    x, x_test, y, w = ridge_peer.arrays()
    z, z_test = features(x, w), features(x_test, w)
    out = []
    for size in ridge_peer.SIZES:
        part = np.ascontiguousarray(z[:, :size])
        if size <= len(y):
            a = solve(gram(part, True), part.T @ y)
        else:
            a = part.T @ solve(gram(part, False), y)
        out.append(z_test[:, :size] @ a)
    return out


def main():
    a = np.random.default_rng(1).standard_normal((ridge_peer.EDGE, ridge_peer.EDGE))
    ridge_peer.serve("SciPy, point by point", scipy.__version__, {"cho_factor": curve}, lambda: a @ a)


if __name__ == "__main__":
    main()
