"""Gradient-Gram duel, PyTorch's torch.func: every per-sample gradient is made (vmap of grad, in chunks that keep the
intermediate results small), then one product of the N x P matrix with itself."""
import gradient_peer

import torch
from torch.func import grad, vmap

X, Y, W = gradient_peer.tensor("x"), gradient_peer.tensor("y"), gradient_peer.weights()


def loss(weights, x, y):
    h = x
    for w in weights[:-1]:
        h = torch.relu(w @ h)
    return -(y * torch.log_softmax(weights[-1] @ h, dim=0)).sum()


def gram(chunk):
    gradients = torch.empty((len(X), sum(w.numel() for w in W)), device=X.device)
    each = vmap(grad(loss), in_dims=(None, 0, 0))
    for first in range(0, len(X), chunk):
        rows = each(W, X[first:first + chunk], Y[first:first + chunk])
        torch.cat([g.flatten(1) for g in rows], dim=1, out=gradients[first:first + chunk])
    return gradients @ gradients.T


CHUNKS = [chunk for chunk in (50, 250) if chunk <= max(50, len(X))]
gradient_peer.serve("PyTorch, torch.func per-sample gradients", {f"chunks of {c}": (lambda c=c: gram(c)) for c in CHUNKS})
