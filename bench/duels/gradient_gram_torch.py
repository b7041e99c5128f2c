"""Gradient-Gram duel, PyTorch by hand: layerwise Grams of signals and features, eager or compiled, whichever is faster."""
import gradient_peer

import sys

import torch

torch.set_grad_enabled(False)
X, Y, W = gradient_peer.tensor("x"), gradient_peer.tensor("y"), gradient_peer.weights()


def gram(x, y, weights):
    features = [x]
    for w in weights[:-1]:
        features.append(torch.relu(features[-1] @ w.T))
    delta = torch.softmax(features[-1] @ weights[-1].T, dim=1) - y
    total = None
    for l in reversed(range(len(weights))):
        share = (features[l] @ features[l].T) * (delta @ delta.T)
        total = share if total is None else total.add_(share)
        if l:
            delta = (delta @ weights[l]) * (features[l] > 0)
    return total


def makers():
    calls = {"eager": lambda: gram(X, Y, W)}
    compiled = torch.compile(gram)
    try:
        compiled(X, Y, W)
        calls["torch.compile"] = lambda: compiled(X, Y, W)
    except Exception as error:  # the compiler needs a C++ compiler and Python's headers; eager does without
        print(f"torch.compile does not work here: {error}", file=sys.stderr)
    return calls


gradient_peer.serve("PyTorch, Gram by hand", makers())
