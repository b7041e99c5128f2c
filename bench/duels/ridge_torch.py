"""Ridge duel, PyTorch with Gram matrices kept by hand: for N <= n leading blocks of one Z^T Z, beyond it Z Z^T grown by
the new features; a Cholesky factor for every N."""
import worker  # sets the environment first
import ridge_peer

import torch

torch.set_grad_enabled(False)
torch.set_num_threads(worker.JOB["threads"])
DEVICE = torch.device(worker.JOB["device"])


def features(x, w):
    return (x @ w.T).div_(x.shape[1] ** 0.5).relu_()


def solve(gram, right):
    factor = torch.linalg.cholesky(gram)
    return torch.cholesky_solve(right, factor)


def curve():
    x, x_test, y, w = (torch.from_numpy(a).to(DEVICE) for a in ridge_peer.arrays())
    n, y = len(y), y[:, None]
    z, z_test = features(x, w), features(x_test, w)
    small = [size for size in ridge_peer.SIZES if size <= n]
    head = z[:, :small[-1]] if small else z[:, :0]
    primal, moment = head.T @ head, head.T @ y
    primal.diagonal().add_(ridge_peer.RIDGE)
    out = [z_test[:, :size] @ solve(primal[:size, :size], moment[:size]) for size in small]
    dual = head @ head.T
    dual.diagonal().add_(ridge_peer.RIDGE)
    last = head.shape[1]
    for size in ridge_peer.SIZES[len(small):]:
        new = z[:, last:size]
        dual.addmm_(new, new.T)
        last = size
        out.append(z_test[:, :size] @ (z[:, :size].T @ solve(dual, y)))
    return torch.cat(out, dim=1).T.cpu().numpy()


def gemm():
    A @ A
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


A = torch.randn(ridge_peer.EDGE, ridge_peer.EDGE, device=DEVICE, dtype=torch.float64)
ridge_peer.serve("PyTorch, Gram kept by hand", torch.__version__, {"cholesky": curve}, gemm)
