"""Ridge duel, scikit-learn point by point: KernelRidge on the features' Gram matrix, and Ridge(solver="cholesky"), which
takes the primal or the dual by size; the faster one plays."""
import worker  # sets the environment first
import ridge_peer
import ridge_scipy

import numpy as np
import sklearn
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge


def curve(fit):
    x, x_test, y, w = ridge_peer.arrays()
    z, z_test = ridge_scipy.features(x, w), ridge_scipy.features(x_test, w)
    return [fit(np.ascontiguousarray(z[:, :size]), y, np.ascontiguousarray(z_test[:, :size]))
            for size in ridge_peer.SIZES]


def kernel_ridge(z, y, z_test):
    return KernelRidge(alpha=ridge_peer.RIDGE, kernel="linear").fit(z, y).predict(z_test)


def ridge(z, y, z_test):
    return Ridge(alpha=ridge_peer.RIDGE, fit_intercept=False, solver="cholesky").fit(z, y).predict(z_test)


a = np.random.default_rng(1).standard_normal((ridge_peer.EDGE, ridge_peer.EDGE))
ridge_peer.serve("scikit-learn", sklearn.__version__,
                 {"KernelRidge": lambda: curve(kernel_ridge), "Ridge(solver='cholesky')": lambda: curve(ridge)},
                 lambda: a @ a)
