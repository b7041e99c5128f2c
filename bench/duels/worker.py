"""The side of a peer in a duel: reads the job, answers the driver's requests.

NTK duel: a job is a JSON file: N inputs of dimension d, n units in each of L hidden layers, activation "relu", sigma_w,
dtype "float32", members (networks a round), threads, device ("cpu" or "cuda"), weights ("given": the arrays of `folder`;
"own": each side draws its own, where they are too large to be handed over), folder.
Arrays in `folder`: x.npy (N x d), w0.npy .. wL.npy (fan_out x fan_in, entries N(0, 1)), ntk.npy (N x N, fp64).
The network: h_0 = x, z_l = sigma_w / sqrt(fan_in) W_l h_(l-1), h_l = relu(z_l), one linear output; no biases.
The kernel: sum over all weights of df(x_i)/dw df(x_j)/dw.

Training duel: see train_peer.py. Ridge duel: see ridge_peer.py.

Requests, one a line on standard input, and the answers, one JSON object a line on standard output:
  (start)  {"peer", "version", "variant", "error", "seconds", "variants"}: warmed up and compiled; NTK: error = ||out - ntk|| /
           ||ntk||; seconds: of one turn; variants: of one turn of each way to do it
  go [R]   {"seconds"}: mean of R turns (1), each until its results are there; NTK: the kernels of `members` networks
  gemm     {"seconds", "flops"}: of the library's own product
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


LONG_TURN_SECONDS = 10


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


def _timed(call, times=1):
    begin = time.perf_counter()
    out = call(times)
    return time.perf_counter() - begin, out


def _seconds(call, times=1):
    return _timed(call, times)[0]


def kernel_error(fetch):
    """error(kernel) of the NTK duel; `fetch` makes an array of what a candidate returns."""
    def error(kernel):
        if JOB["weights"] == "own":
            return None
        exact = load("ntk")
        out = np.asarray(fetch(kernel), dtype=np.float64).reshape(exact.shape)
        return float(np.linalg.norm(out - exact) / np.linalg.norm(exact))
    return error


def kernel_flops():
    return 2.0 * JOB["N"] * JOB["n"] ** 2


def serve(peer, version, candidates, error, gemm, flops):
    """candidates: {name: call(times)}, each takes `times` turns and returns the last result when all are there. The
    fastest one, after warming up, plays; error(result) may be None; gemm() makes one product of `flops` operations."""
    turns, results = {}, {}
    for name, call in candidates.items():
        turns[name], results[name] = _timed(call)
        if turns[name] < LONG_TURN_SECONDS:  # what a turn does for the first time weighs nothing in a long one
            turns[name], results[name] = min((_timed(call) for _ in range(2)), key=lambda pair: pair[0])
    fastest = min(turns, key=turns.get)
    call = candidates[fastest]
    ready = {"peer": peer, "version": version, "variant": fastest, "seconds": turns[fastest], "variants": turns}
    off = error(results.pop(fastest))
    results.clear()
    if off is not None:
        ready["error"] = off
    gemm()
    _answer(**ready)
    for line in sys.stdin:
        request = line.strip()
        if request == "quit":
            break
        if request.split()[:1] == ["go"]:
            turns = int((request.split() + ["1"])[1])
            _answer(seconds=_seconds(call, turns * JOB.get("members", 1)) / turns)
        elif request == "gemm":
            _answer(seconds=_seconds(lambda _: gemm()), flops=flops)
        else:
            _answer(unknown=request)
