"""What the training peers on PyTorch share: the ensemble on the device, turns, the library's own product."""
import worker
import train_peer

import sys

import torch

torch.set_num_threads(worker.JOB["threads"])
torch.set_float32_matmul_precision("highest")
DEVICE = torch.device(worker.JOB["device"])
EDGE = 1024


def _wait():
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


class Ensemble:
    """Turns of `step(weights, x, y, rate, multipliers)`, which trains all members of a group by one step and returns
    their weights (new ones, or those that it changed)."""

    def __init__(self):
        self.groups = train_peer.groups()
        x, y = train_peer.data()
        self.x, self.y = torch.from_numpy(x).to(DEVICE), torch.from_numpy(y).to(DEVICE)
        self.start = [[torch.from_numpy(w).to(DEVICE) for w in g.weights] for g in self.groups]
        self.rate = [torch.from_numpy(g.rate).to(DEVICE) for g in self.groups]
        self.order = [torch.from_numpy(g.order).to(DEVICE) for g in self.groups]

    def train(self, step, steps):
        finals = []
        for g, group in enumerate(self.groups):
            weights = [w.clone() for w in self.start[g]]
            for t in range(steps):
                rows = self.order[g][t]
                weights = step(weights, self.x[rows], self.y[rows], self.rate[g], group.multipliers)
            finals.append(weights)
        _wait()
        return finals

    def candidates(self, step):
        def turns(function):
            def call(times):
                for _ in range(times):
                    out = self.train(function, worker.JOB["steps"])
                return out
            return call
        calls = {"eager": (step, turns(step))}
        try:
            compiled = torch.compile(step, dynamic=False)
            self.train(compiled, 1)
            calls["torch.compile"] = (compiled, turns(compiled))
        except Exception as error:  # the compiler needs a C++ compiler and Python's headers; eager does without
            print(f"torch.compile does not work here: {error}", file=sys.stderr)
        return calls

    def error(self, step):
        finals = self.train(step, worker.JOB["checked_steps"])
        return train_peer.error(self.groups, [[w[0].cpu().numpy() for w in weights] for weights in finals])


def serve(peer, step):
    ensemble = Ensemble()
    a, b = torch.randn(EDGE, EDGE, device=DEVICE), torch.randn(EDGE, EDGE, device=DEVICE)

    def gemm():
        a @ b
        _wait()
    calls = ensemble.candidates(step)
    worker.serve(peer, torch.__version__, {name: call for name, (_, call) in calls.items()},
                 lambda _: max(ensemble.error(function) for function, _ in calls.values()), gemm, 2.0 * EDGE ** 3)
