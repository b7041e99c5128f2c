"""NTK duel, JAX by hand: the layerwise Gram algorithm, compiled as one function, fp32 with full-precision products."""
import worker  # sets the environment first
import jax_peer

import jax
import jax.numpy as jnp


def make_kernel():
    m = worker.multipliers()

    @jax.jit
    def kernel(weights, x):
        features, slopes = [x], []
        for scale, w in zip(m[:-1], weights[:-1]):
            z = scale * (features[-1] @ w.T)
            slopes.append((z > 0).astype(x.dtype))
            features.append(z * slopes[-1])
        theta = m[-1] ** 2 * (features[-1] @ features[-1].T)
        signal = m[-1] * weights[-1]
        for l in reversed(range(len(slopes))):
            signal = signal * slopes[l]
            theta += m[l] ** 2 * (features[l] @ features[l].T) * (signal @ signal.T)
            if l:
                signal = m[l] * (signal @ weights[l])
        return theta

    return kernel


x = jax.device_put(worker.inputs())
worker.serve("JAX, structured by hand", jax.__version__,
             {"jit": jax_peer.repeated(make_kernel(), jax_peer.device_weights(), x)},
             worker.kernel_error(jnp.asarray), jax_peer.make_gemm(), worker.kernel_flops())
