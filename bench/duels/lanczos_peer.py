"""What the peers of the Lanczos duel share: the problem, and the accuracy that every side has to reach.

A job: the problem of gradient_peer.py, and `count`: the largest eigenvalues of the Hessian of the mean loss by all
weights, with their vectors, in fp32. Every side works until the true residual |H v - value v| of every pair, computed in
fp64 here, is below `tolerance` times the largest eigenvalue: a peer plays with the cheapest of its own settings that
reaches that, whatever its stopping rule says. Array beside those of the problem: values.npy (count, fp64).
"""
import gradient_peer

import sys

import numpy as np
import torch

JOB, DEVICE = gradient_peer.JOB, gradient_peer.DEVICE
X, Y = gradient_peer.tensor("x"), gradient_peer.tensor("y")
LABELS = Y.argmax(dim=1)


def model():
    layers = []
    for w in gradient_peer.weights():
        layer = torch.nn.Linear(w.shape[1], w.shape[0], bias=False, device=DEVICE)
        layer.weight.data = w.clone()
        layers += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def residual(pairs):
    """Of (value, flat vector) pairs: the largest true residual and the largest error of a value, whichever is larger,
    in units of the largest eigenvalue."""
    exact = model().double()
    parameters = list(exact.parameters())
    loss = torch.nn.functional.cross_entropy(exact(X.double()), LABELS)
    gradient = torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, parameters, create_graph=True)])
    values = gradient_peer.worker.load("values")
    worst = 0.0
    for (value, vector), right in zip(sorted(pairs, key=lambda pair: -pair[0]), values):
        v = vector.double() / vector.double().norm()
        image = torch.autograd.grad(gradient @ v, parameters, retain_graph=True)
        off = torch.cat([h.reshape(-1) for h in image]) - value * v
        worst = max(worst, off.norm().item() / values[0], abs(value - right) / values[0])
    return worst if len(pairs) == len(values) else float("inf")


def serve(peer, version, solve, settings):
    """solve(setting) gives (value, flat vector) pairs; settings: cheapest first."""
    for setting in settings:
        torch.manual_seed(0)
        reached = residual(solve(setting))
        print(f"{setting}: residual {reached:.3g}", file=sys.stderr)
        if reached <= JOB["tolerance"]:
            break
    else:
        raise SystemExit(f"no setting of {len(settings)} reaches the residual {JOB['tolerance']:g}; the last one, "
                         f"{settings[-1]}: {reached:.3g}")

    def turns(times):
        for _ in range(times):
            pairs = solve(setting)
        gradient_peer.wait()
        return pairs

    a = torch.randn((1024, 1024), device=DEVICE)

    def gemm():
        a @ a
        gradient_peer.wait()
    name = ", ".join(f"{key} {value:g}" for key, value in setting.items())
    gradient_peer.worker.serve(peer, version, {name: turns}, residual, gemm, 2.0 * 1024 ** 3)


def flat(tensors):
    return torch.cat([t.detach().reshape(-1) for t in tensors])


def numbers(array):
    return [float(value) for value in np.asarray(array)]
