"""Lanczos duel, hessian-eigenthings: its Lanczos with reorthogonalisation on its Hessian operator."""
import lanczos_peer

import torch
from hessian_eigenthings import HessianOperator, __version__, lanczos, supervised_loss

JOB = lanczos_peer.JOB
OPERATOR = HessianOperator(lanczos_peer.model(), [(lanczos_peer.X, lanczos_peer.LABELS)],
                           supervised_loss(torch.nn.functional.cross_entropy))


def solve(setting):
    found = lanczos(OPERATOR, k=JOB["count"], max_iter=setting["steps"], tol=JOB["tolerance"], reorthogonalize=True,
                    which="LA", seed=0)
    vectors = found.eigenvectors
    vectors = vectors if vectors.shape[0] == len(found.eigenvalues) else vectors.T
    return [(float(value), vector) for value, vector in zip(found.eigenvalues, vectors)]


lanczos_peer.serve("hessian-eigenthings", __version__, solve,
                   [{"steps": steps} for steps in (15, 20, 25, 30, 35, 40, 45, 50, 60, 80, 100, 150)])
