"""What the peers of the ridge duel share: the problem, and how a side is held against an accurate solution.

A job: n examples of dimension d, numbers of features N = step, 2 step, .., count step; features relu(X w_j / sqrt(d));
ridge = relative_ridge n N_max / (2 pi), about that share of the largest eigenvalue of Z^T Z. A turn gives, for every N,
the predictions at the test inputs of min |y - Z_N a|^2 + ridge |a|^2, from inputs and weights alone, in fp64.
Arrays in `folder`: x.npy (n x d), x_test.npy (M x d), y.npy (n), w.npy (N_max x d), predictions.npy (checked x M:
accurate predictions at N = checked step).
"""
import worker

import math

import numpy as np

JOB = worker.JOB
SIZES = [JOB["step"] * (k + 1) for k in range(JOB["count"])]
RIDGE = JOB["relative_ridge"] * JOB["n"] * SIZES[-1] / (2 * math.pi)
EDGE = 1024


def arrays():
    return [worker.load(name) for name in ("x", "x_test", "y", "w")]


def error(curve):
    """curve: count x M. The largest relative error over the checked sizes."""
    exact, curve = worker.load("predictions"), np.asarray(curve)
    return max(float(np.linalg.norm(curve[place - 1] - row) / np.linalg.norm(row))
               for place, row in zip(JOB["checked"], exact))


def serve(peer, version, curves, gemm):
    """curves: {name: function that makes the curve}."""
    def turns(make):
        def call(times):
            for _ in range(times):
                out = make()
            return out
        return call
    worker.serve(peer, version, {name: turns(make) for name, make in curves.items()}, error, gemm, 2.0 * EDGE ** 3)
