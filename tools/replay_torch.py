#!/usr/bin/env python3
"""usage: replay_torch.py FOLDER...

Trains members again with PyTorch, in double: each folder holds member.json, inputs.npy, targets.npy, order.npy
(steps x batch), start.npy and final.npy (parameters, layer by layer, weights then biases) as widelab exports them.
Writes replay.npy and prints how far it is from final.npy. Gradient descent, heavy ball and Nesterov with coupled weight
decay; plain networks with relu, tanh, erf or identity; squared, cross-entropy and logistic losses.
"""
import json
import pathlib
import sys

import numpy as np
import torch
from torch.nn import functional

LOSSES = {
    "half-squared": lambda f, y: 0.5 * (f - y).square().sum(),
    "squared": lambda f, y: (f - y).square().sum(),
    "cross-entropy": lambda f, y: -(y * functional.log_softmax(f, 1)).sum(),
    "logistic": lambda f, y: functional.softplus(-y * f).sum(),
}
ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "erf": torch.erf, "identity": lambda z: z}


def replay(folder):
    member = json.loads((folder / "member.json").read_text())
    inputs, targets, order, theta = (torch.from_numpy(np.load(folder / f"{name}.npy"))
                                     for name in ("inputs", "targets", "order", "start"))
    sizes = [inputs.shape[1], *member["widths"], targets.shape[1]]
    shapes = [s for fan_in, fan_out in zip(sizes, sizes[1:]) for s in ((fan_out, fan_in), (fan_out,))]
    parts = theta.double().split([int(np.prod(s)) for s in shapes])
    parameters = [part.reshape(s).clone().requires_grad_() for part, s in zip(parts, shapes)]
    relative = [layer[key] for layer in member["layers"] for key in ("weight_rate", "bias_rate")]
    groups = [{"params": [p], "relative": r} for p, r in zip(parameters, relative) if r > 0]
    optimiser = torch.optim.SGD(groups, lr=0.0, momentum=member["momentum"], nesterov=member["nesterov"],
                                weight_decay=member["weight_decay"])
    activation, loss = ACTIVATIONS[member["activation"]], LOSSES[member["loss"]]
    for rows, rate in zip(order, member["learning_rates"]):
        h = inputs[rows]
        for number, layer in enumerate(member["layers"]):
            weight, bias = parameters[2 * number:2 * number + 2]
            z = layer["weight_multiplier"] * h @ weight.T + layer["bias_multiplier"] * bias
            h = activation(z)
        for group in optimiser.param_groups:
            group["lr"] = rate * group["relative"]
        optimiser.zero_grad()
        (member["factor"] * loss(z, targets[rows])).backward()
        optimiser.step()
    return torch.cat([p.detach().flatten() for p in parameters]).numpy()


def main(arguments):
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 2
    for folder in map(pathlib.Path, arguments):
        final = replay(folder)
        np.save(folder / "replay.npy", final)
        distance = np.abs(final - np.load(folder / "final.npy")).max()
        print(f"{folder}: largest difference from final.npy {distance:.3g}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
