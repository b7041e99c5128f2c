"""What the peers that run on JAX share: arrays on the device, waiting, the library's own product."""
import worker

import jax
import jax.numpy as jnp

# A100 and H100 take TF32 by default; every side of the duel computes in fp32.
jax.config.update("jax_default_matmul_precision", "highest")


def device_weights():
    """W_0 .. W_L, fan_out x fan_in."""
    given = worker.weights()
    if given is not None:
        return [jax.device_put(w) for w in given]
    fan_outs = [worker.JOB["n"]] * worker.JOB["L"] + [1]
    keys = jax.random.split(jax.random.PRNGKey(0), len(fan_outs))
    return [jax.random.normal(key, shape, dtype=jnp.float32)
            for key, shape in zip(keys, zip(fan_outs, worker.fan_ins()))]


def repeated(kernel, *arguments):
    """call(times) for worker.serve: all kernels are dispatched, then waited for."""
    def call(times):
        return [jax.block_until_ready(k) for k in [kernel(*arguments) for _ in range(times)]][-1]
    return call


def make_gemm():
    keys = jax.random.split(jax.random.PRNGKey(1))
    a = jax.random.normal(keys[0], (worker.JOB["N"], worker.JOB["n"]), jnp.float32)
    b = jax.random.normal(keys[1], (worker.JOB["n"], worker.JOB["n"]), jnp.float32)
    product = jax.jit(jnp.dot)
    return lambda: jax.block_until_ready(product(a, b))
