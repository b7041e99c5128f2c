"""What the peers of the training duel share: the ensemble, as arrays, and how a side is held against fp64.

A job: groups of networks of one width each, {n, members}; H matrices n x n between H + 1 hidden layers, d inputs, k
outputs, ReLU, z_l = sqrt(2 / fan_in) W_l h_(l-1), no biases; loss (1 / 2B) sum |f - y|^2 over a batch of B of the N
examples; plain SGD, each member with its own rate; a turn is `steps` steps from the initial weights.
Arrays in `folder`: x.npy (N x d), y.npy (N x k) and, for each group g, p<g>.npy (members x P: layer by layer weights,
fan_out x fan_in, then fan_out unused zeros), rate<g>.npy (members), order<g>.npy (steps x members x B: rows of x),
final<g>.npy (P): parameters of the group's first member after `checked_steps` steps in fp64.
"""
import worker

import numpy as np


def fans(group):
    """(fan_out, fan_in) of each layer."""
    job = worker.JOB
    sizes = [job["d"]] + [group["n"]] * (job["H"] + 1) + [job["k"]]
    return list(zip(sizes[1:], sizes[:-1]))


def multipliers(group):
    return [(2.0 / fan_in) ** 0.5 for _, fan_in in fans(group)]


class Group:
    """weights: one array a layer, members x fan_out x fan_in; rate: members; order: steps x members x B."""

    def __init__(self, number, group):
        name = str(number)
        flat = worker.load("p" + name).astype(np.float32)
        self.layout, at = [], 0
        for fan_out, fan_in in fans(group):
            self.layout.append((at, fan_out, fan_in))
            at += fan_out * fan_in + fan_out
        self.weights = [flat[:, at:at + o * i].reshape(-1, o, i).copy() for at, o, i in self.layout]
        self.multipliers = multipliers(group)
        self.rate = worker.load("rate" + name).astype(np.float32)
        self.order = worker.load("order" + name).astype(np.int64)
        self._start, self._final = flat[0].astype(np.float64), worker.load("final" + name).ravel()

    def distance(self, weights):
        """(|theta - theta_fp64|^2, |theta_fp64 - theta_0|^2) of the first member; weights: one array a layer."""
        off = moved = 0.0
        for (at, o, i), w in zip(self.layout, weights):
            exact = self._final[at:at + o * i].reshape(o, i)
            off += float(((np.asarray(w, dtype=np.float64) - exact) ** 2).sum())
            moved += float(((exact - self._start[at:at + o * i].reshape(o, i)) ** 2).sum())
        return off, moved


def groups():
    return [Group(number, group) for number, group in enumerate(worker.JOB["groups"])]


def data():
    return worker.load("x").astype(np.float32), worker.load("y").astype(np.float32)


def error(all_groups, first_members):
    """||theta - theta_fp64|| / ||theta_fp64 - theta_0|| over the first members of all groups."""
    parts = [group.distance(weights) for group, weights in zip(all_groups, first_members)]
    return (sum(p[0] for p in parts) / sum(p[1] for p in parts)) ** 0.5
