"""The two neural-tangents peers: its empirical NTK with one implementation or the other."""
import sys
import types

import worker  # sets the environment first
import jax_peer

import jax
import jax.numpy as jnp

# The package imports its TensorFlow bridge; the duel does not use it and does without TensorFlow.
sys.modules["neural_tangents.experimental"] = types.ModuleType("neural_tangents.experimental")
import neural_tangents as nt  # noqa: E402
from neural_tangents import stax  # noqa: E402


def duel(peer, implementation):
    job = worker.JOB
    layers = []
    for _ in range(job["L"]):
        layers += [stax.Dense(job["n"], W_std=job["sigma_w"]), stax.Relu()]
    _, apply_fn, _ = stax.serial(*layers, stax.Dense(1, W_std=job["sigma_w"]))
    # stax keeps weights fan_in x fan_out, and an empty entry for each activation.
    params = []
    for w in jax_peer.device_weights():
        params += [(jnp.asarray(w.T), None), ()]
    params.pop()
    x = jax.device_put(worker.inputs())
    kernel = jax.jit(nt.empirical_ntk_fn(apply_fn, vmap_axes=0, implementation=implementation))
    call = jax_peer.repeated(lambda p: kernel(x, None, p), params)
    worker.serve(peer, f"{nt.__version__}, jax {jax.__version__}", {"vmap_axes=0, jit": call},
                 worker.kernel_error(jnp.asarray), jax_peer.make_gemm(), worker.kernel_flops())
