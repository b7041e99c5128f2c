"""NTK duel, PyTorch by hand: the layerwise Gram algorithm in fp32, eager or compiled, whichever is faster here."""
import worker  # sets the environment first

import sys

import torch

torch.set_num_threads(worker.JOB["threads"])
torch.set_grad_enabled(False)
torch.set_float32_matmul_precision("highest")
DEVICE = torch.device(worker.JOB["device"])


def kernel(weights, x, m):
    features, slopes = [x], []
    for scale, w in zip(m[:-1], weights[:-1]):
        z = (features[-1] @ w.T) * scale
        slopes.append((z > 0).to(z.dtype))
        features.append(z * slopes[-1])
    theta = (features[-1] @ features[-1].T) * m[-1] ** 2
    signal = weights[-1] * m[-1]
    for l in reversed(range(len(slopes))):
        signal = signal * slopes[l]
        theta += (features[l] @ features[l].T) * (signal @ signal.T) * m[l] ** 2
        if l:
            signal = (signal @ weights[l]) * m[l]
    return theta


def device_weights():
    given = worker.weights()
    if given is not None:
        return [torch.from_numpy(w).to(DEVICE) for w in given]
    fan_outs = [worker.JOB["n"]] * worker.JOB["L"] + [1]
    return [torch.randn(shape, device=DEVICE) for shape in zip(fan_outs, worker.fan_ins())]


def wait():
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def repeated(function, *arguments):
    def call(times):
        for _ in range(times):
            out = function(*arguments)
        wait()
        return out
    return call


def candidates():
    arguments = device_weights(), torch.from_numpy(worker.inputs()).to(DEVICE), worker.multipliers()
    calls = {"eager": repeated(kernel, *arguments)}
    compiled = repeated(torch.compile(kernel), *arguments)
    try:
        compiled(1)
        calls["torch.compile"] = compiled
    except Exception as error:  # the compiler needs a C++ compiler and Python's headers; eager does without
        print(f"torch.compile does not work here: {error}", file=sys.stderr)
    return calls


def make_gemm():
    a = torch.randn((worker.JOB["N"], worker.JOB["n"]), device=DEVICE)
    b = torch.randn((worker.JOB["n"], worker.JOB["n"]), device=DEVICE)

    def gemm():
        a @ b
        wait()
    return gemm


worker.serve("PyTorch, structured by hand", torch.__version__, candidates(),
             worker.kernel_error(lambda out: out.cpu().numpy()), make_gemm(), worker.kernel_flops())
