"""Training duel, JAX: the steps in one lax.scan under jit with donated weights, unrolled 1, 4 or 16 times; vmap over
grad, or backpropagation written out; the fastest plays."""
import worker  # sets the environment first
import train_peer

import jax
import jax.numpy as jnp

jax.config.update("jax_default_matmul_precision", "highest")
EDGE = 1024


def automatic(weights, x, y, rate, multipliers):
    def loss(member, inputs, targets):
        h = inputs
        for w, m in zip(member[:-1], multipliers[:-1]):
            h = jax.nn.relu((h @ w.T) * m)
        f = (h @ member[-1].T) * multipliers[-1]
        return ((f - targets) ** 2).sum() / (2 * worker.JOB["B"])

    gradients = jax.vmap(jax.grad(loss))(weights, x, y)
    return [w - rate[:, None, None] * g for w, g in zip(weights, gradients)]


def by_hand(weights, x, y, rate, multipliers):
    features = [x]
    for w, m in zip(weights[:-1], multipliers[:-1]):
        features.append(jax.nn.relu(m * jnp.einsum("ebi,eoi->ebo", features[-1], w)))
    f = multipliers[-1] * jnp.einsum("ebi,eoi->ebo", features[-1], weights[-1])
    delta = (f - y) * (rate / worker.JOB["B"])[:, None, None]
    updated = list(weights)
    for l in reversed(range(len(weights))):
        updated[l] = weights[l] - multipliers[l] * jnp.einsum("ebo,ebi->eoi", delta, features[l])
        if l:
            delta = multipliers[l] * jnp.einsum("ebo,eoi->ebi", delta, weights[l]) * (features[l] > 0)
    return updated


class Ensemble:
    def __init__(self):
        self.groups = train_peer.groups()
        x, y = train_peer.data()
        self.x, self.y = jax.device_put(x), jax.device_put(y)
        self.rates = [jax.device_put(g.rate) for g in self.groups]
        self.orders = [jax.device_put(g.order.astype("int32")) for g in self.groups]

    def trained(self, step, unroll):
        """A function of (weights of all groups, steps) that trains them."""
        def train(weights, orders):
            out = []
            for g, group in enumerate(self.groups):
                def body(w, rows, g=g, group=group):
                    return step(w, self.x[rows], self.y[rows], self.rates[g], group.multipliers), None
                out.append(jax.lax.scan(body, weights[g], orders[g], unroll=unroll)[0])
            return out
        compiled = jax.jit(train, donate_argnums=0)

        def run(steps):
            weights = [[jax.device_put(w) for w in g.weights] for g in self.groups]
            return jax.block_until_ready(compiled(weights, [order[:steps] for order in self.orders]))
        return run

    def error(self, run):
        finals = run(worker.JOB["checked_steps"])
        return train_peer.error(self.groups, [[w[0] for w in weights] for weights in finals])


def main():
    ensemble = Ensemble()
    runs = {f"{how}, unroll {unroll}": ensemble.trained(step, unroll)
            for how, step in (("vmap of grad", automatic), ("by hand", by_hand)) for unroll in (1, 4, 16)}

    def turns(run):
        def call(times):
            for _ in range(times):
                out = run(worker.JOB["steps"])
            return out
        return call
    a = jax.random.normal(jax.random.PRNGKey(0), (EDGE, EDGE), jnp.float32)
    product = jax.jit(jnp.dot)
    worker.serve("JAX, vmap and scan", jax.__version__, {name: turns(run) for name, run in runs.items()},
                 lambda _: max(ensemble.error(run) for run in runs.values()),
                 lambda: jax.block_until_ready(product(a, a)), 2.0 * EDGE ** 3)


main()
