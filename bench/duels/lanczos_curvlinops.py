"""Lanczos duel, curvlinops: its Hessian as a SciPy operator, and ARPACK."""
import lanczos_peer

from importlib.metadata import version

import numpy as np
import torch
from curvlinops import HessianLinearOperator
from scipy.sparse.linalg import eigsh

JOB = lanczos_peer.JOB
MODEL = lanczos_peer.model()
OPERATOR = HessianLinearOperator(MODEL, torch.nn.CrossEntropyLoss(), list(MODEL.parameters()),
                                 [(lanczos_peer.X, lanczos_peer.LABELS)], check_deterministic=False)
START = np.random.default_rng(0).standard_normal(OPERATOR.shape[0]).astype(np.float32)


def solve(setting):
    values, vectors = eigsh(OPERATOR.to_scipy(dtype=np.float32), k=JOB["count"], which="LA", tol=setting["tol"],
                            ncv=int(setting["basis"]), v0=START)
    return [(float(value), torch.from_numpy(vector.copy())) for value, vector in zip(values, vectors.T)]


lanczos_peer.serve("curvlinops and SciPy's eigsh", version("curvlinops-for-pytorch"), solve,
                   [{"tol": tol, "basis": basis} for tol in (1e-1, 1e-2, 1e-3, 1e-4) for basis in (20, 40)])
