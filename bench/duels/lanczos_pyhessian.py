"""Lanczos duel, PyHessian: deflated power iteration on the graph of one gradient."""
import lanczos_peer

from importlib.metadata import version

import torch
from pyhessian import hessian

JOB = lanczos_peer.JOB
MODEL = lanczos_peer.model()


def solve(setting):
    MODEL.zero_grad(set_to_none=True)
    operator = hessian(MODEL, torch.nn.CrossEntropyLoss(), data=(lanczos_peer.X, lanczos_peer.LABELS),
                       cuda=lanczos_peer.DEVICE.type == "cuda")
    values, vectors = operator.eigenvalues(maxIter=setting["iterations"], tol=setting["tol"], top_n=JOB["count"])
    return [(value, lanczos_peer.flat(vector)) for value, vector in zip(values, vectors)]


lanczos_peer.serve("PyHessian", version("pyhessian"), solve,
                   [{"iterations": 3000, "tol": 10.0 ** -power} for power in (3, 4, 5, 6, 7, 8)])
