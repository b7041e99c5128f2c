"""What the peers of the gradient-Gram duel share: the problem, and how a result is held against fp64.

A job: N MNIST examples (d inputs between 0 and 1, k classes), a ReLU network of H hidden layers of n units without
biases: z_l = W_l h_(l-1), cross-entropy of the softmax of the last z. A turn gives the N x N matrix of <g_i, g_j>, g_i
the gradient of the loss of example i by all weights, in fp32.
Arrays in `folder`: x.npy (N x d), y.npy (N x k, one-hot), w0.npy .. wH.npy (fan_out x fan_in), gram.npy (N x N, fp64).
"""
import worker  # sets the environment first

import numpy as np
import torch

JOB = worker.JOB
torch.set_num_threads(JOB["threads"])
torch.set_float32_matmul_precision("highest")
DEVICE = torch.device(JOB["device"])


def tensor(name):
    return torch.from_numpy(worker.load(name).astype(np.float32)).to(DEVICE)


def weights():
    return [tensor(f"w{l}") for l in range(JOB["H"] + 1)]


def wait():
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def repeated(make):
    def call(times):
        for _ in range(times):
            out = make()
        wait()
        return out
    return call


def error(gram):
    exact = worker.load("gram")
    return float(np.linalg.norm(gram.cpu().numpy().astype(np.float64) - exact) / np.linalg.norm(exact))


def serve(peer, makers):
    """makers: {name: function that makes the Gram matrix}."""
    a = torch.randn((1024, 1024), device=DEVICE)

    def gemm():
        a @ a
        wait()
    worker.serve(peer, torch.__version__, {name: repeated(make) for name, make in makers.items()}, error, gemm,
                 2.0 * 1024 ** 3)
