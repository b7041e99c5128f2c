"""Training duel, PyTorch by hand: batched products, backpropagation written out, the update as a rank-B product in
place; eager or compiled, whichever is faster here."""
import worker  # sets the environment first
import torch_train

import torch

torch.set_grad_enabled(False)


def step(weights, x, y, rate, multipliers):
    features = [x]
    for w, m in zip(weights[:-1], multipliers[:-1]):
        features.append(torch.relu_(torch.bmm(features[-1], w.mT).mul_(m)))
    f = torch.bmm(features[-1], weights[-1].mT).mul_(multipliers[-1])
    # Backpropagation is linear: the rate is folded into the readout's signal.
    delta = (f - y) * (rate / worker.JOB["B"])[:, None, None]
    for l in reversed(range(len(weights))):
        signal = torch.bmm(delta, weights[l]).mul_(multipliers[l]).mul_(features[l] > 0) if l else None
        weights[l].baddbmm_(delta.mT, features[l], alpha=-multipliers[l])
        delta = signal
    return weights


torch_train.serve("PyTorch, bmm by hand", step)
