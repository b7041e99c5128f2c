"""The side of a peer in the NTK duel: reads the job, answers the driver's requests.

A job is a JSON file: N inputs of dimension d, n units in each of L hidden layers, activation "relu", sigma_w, dtype
"float32", members (networks a round), threads, device ("cpu" or "cuda"), weights ("given": the arrays of `folder`;
"own": each side draws its own, where they are too large to be handed over), folder.
Arrays in `folder`: x.npy (N x d), w0.npy .. wL.npy (fan_out x fan_in, entries N(0, 1)), ntk.npy (N x N, fp64).
The network: h_0 = x, z_l = sigma_w / sqrt(fan_in) W_l h_(l-1), h_l = relu(z_l), one linear output; no biases.
The kernel: sum over all weights of df(x_i)/dw df(x_j)/dw.

Requests, one a line on standard input, and the answers, one JSON object a line on standard output:
  (start)  {"peer", "version", "variant", "error"}: warmed up and compiled; error = ||out - ntk|| / ||ntk||
  go       {"seconds"}: of the kernels of `members` networks, until they are there
  gemm     {"seconds", "flops"}: of the library's own product (N x n) (n x n)
  quit
"""
import json
import os
import sys
import time

# Before any library with threads of its own is imported.
_job_path = sys.argv[1]
with open(_job_path) as _file:
    JOB = json.load(_file)
os.environ.pop("OPENBLAS_CORETYPE", None)
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = str(JOB["threads"])
if JOB["device"] == "cpu":
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"

import numpy as np  # noqa: E402

# What libraries print must not mix with the answers.
_answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def load(name):
    return np.load(os.path.join(JOB["folder"], name + ".npy"))


def inputs():
    return load("x").astype(np.float32)


def fan_ins():
    return [JOB["d"]] + [JOB["n"]] * JOB["L"]


def weights():
    """W_0 .. W_L, fan_out x fan_in; None where each side draws its own."""
    if JOB["weights"] == "own":
        return None
    return [load(f"w{l}").astype(np.float32) for l in range(JOB["L"] + 1)]


def multipliers():
    return [JOB["sigma_w"] / fan_in ** 0.5 for fan_in in fan_ins()]


def _answer(**fields):
    print(json.dumps(fields), file=_answers, flush=True)


def _seconds(call, times=1):
    begin = time.perf_counter()
    call(times)
    return time.perf_counter() - begin


def serve(peer, version, candidates, fetch, gemm):
    """candidates: {name: call(times)}, each makes `times` kernels and returns the last one when all are there. The
    fastest one, after warming up, plays; `fetch` makes an array of what it returns; gemm() makes one product."""
    fastest, best = None, float("inf")
    for name, call in candidates.items():
        call(1)
        seconds = min(_seconds(call) for _ in range(2))
        if seconds < best:
            fastest, best = name, seconds
    call = candidates[fastest]
    ready = {"peer": peer, "version": version, "variant": fastest}
    if JOB["weights"] != "own":
        exact = load("ntk")
        out = np.asarray(fetch(call(1)), dtype=np.float64).reshape(exact.shape)
        ready["error"] = float(np.linalg.norm(out - exact) / np.linalg.norm(exact))
    gemm()
    _answer(**ready)
    for line in sys.stdin:
        request = line.strip()
        if request == "quit":
            break
        if request == "go":
            _answer(seconds=_seconds(call, JOB["members"]))
        elif request == "gemm":
            _answer(seconds=_seconds(lambda _: gemm()), flops=2.0 * JOB["N"] * JOB["n"] ** 2)
        else:
            _answer(unknown=request)
