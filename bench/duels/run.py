"""The duels: widelab against its peers, side by side on the same inputs and weights.

Each side is a process that has warmed up and compiled; in every round each side has one turn, every second round in
reverse order. Prints as it goes and writes a JSON file, from which bench/table.py makes the tables. A peer that cannot
be installed or does not run is named with the reason; the others stand.
"""
import argparse
import datetime
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time

from environments import CannotInstall, interpreter
from sides import Side, SideFailed

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PAUSE_SECONDS = 0.05  # threads that wait actively for work after a turn have gone to sleep by then

# Peer -> (script, environment).
PEERS = {
    "neural-tangents": ("ntk_neural_tangents.py", "neural-tangents"),
    "neural-tangents-default": ("ntk_neural_tangents_default.py", "neural-tangents"),
    "jax": ("ntk_jax.py", "jax"),
    "torch": ("ntk_torch.py", "torch"),
    "torchtangents": (None, "torchtangents"),
    "torch-func": ("train_torch_func.py", "torch"),
    "torch-bmm": ("train_torch_bmm.py", "torch"),
    "jax-scan": ("train_jax.py", "jax"),
    "scipy": ("ridge_scipy.py", "scipy"),
    "sklearn": ("ridge_sklearn.py", "scipy"),
    "torch-gram": ("ridge_torch.py", "torch"),
    "gradients": ("gradient_gram_torch_func.py", "torch"),
    "gradients-by-hand": ("gradient_gram_torch.py", "torch"),
    "pyhessian": ("lanczos_pyhessian.py", "curvature"),
    "hessian-eigenthings": ("lanczos_eigenthings.py", "curvature"),
    "curvlinops": ("lanczos_curvlinops.py", "curvature"),
}
NTK = {"L": 3, "d": 64, "activation": "relu", "sigma_w": 2 ** 0.5, "dtype": "float32", "members": 1,
        "weights": "given"}
TRAIN = {"d": 16, "H": 2, "k": 1, "B": 32, "N": 1024, "checked_steps": 20, "turn_seconds": 2.3}
TRAIN_PEERS = ["torch-func", "torch-bmm", "jax-scan"]


def ntk(name, goals, peers, **size):
    return {**NTK, "op": "ntk", "name": name, "goals": goals, "peers": peers, **size}


def train(name, widths, members, goals, steps, **size):
    groups = [{"n": n, "members": members} for n in widths]
    return {**TRAIN, "op": "train", "name": name, "groups": groups, "goals": dict(zip(TRAIN_PEERS, goals)),
            "peers": TRAIN_PEERS, "steps": steps, **size}


def ridge(name, relative_ridge, goals, **size):
    return {"op": "ridge_path", "name": name, "n": 4000, "d": 100, "step": 160, "count": 50, "checked": [13, 25, 50],
            "relative_ridge": relative_ridge, "goals": goals, "peers": ["scipy", "sklearn", "torch-gram"], **size}


def gradient_gram(name, goals, **size):
    return {"op": "gradient_gram", "name": name, "N": 2000, "d": 784, "n": 512, "H": 2, "k": 10, "goals": goals,
            "peers": ["gradients", "gradients-by-hand"], **size}


def lanczos(name, **size):
    return {"op": "lanczos", "name": name, "N": 2000, "d": 784, "n": 256, "H": 2, "k": 10, "count": 5,
            "tolerance": 1e-3, "goals": {}, "peers": ["pyhessian", "hessian-eigenthings", "curvlinops"], **size}


NO_GOALS = (None, None, None)
JOBS = {
    "cpu": [
        ntk("wide", {"neural-tangents": 1.3}, ["neural-tangents", "jax", "torch", "torchtangents"], N=256, n=2048),
        ntk("default", {"neural-tangents-default": 40},
            ["neural-tangents-default", "neural-tangents", "jax", "torch"], N=128, n=1024),
        train("S1", [32], 512, (5, 3, 2), 100),
        train("S2", [64], 128, (5, 3, 2), 100),
        train("S4", [64], 32, NO_GOALS, 64, d=784, H=1, k=10),
        train("X1", [16, 32, 64, 128], 32, (None, None, 2), 100),
        train("MNIST", [64], 100, NO_GOALS, 40, d=784, H=0, k=10, B=50),
        ridge("R1", 1e-8, {"scipy": 8, "torch-gram": 3}),
        ridge("R1 near-ridgeless", 1e-14, {"scipy": 4, "torch-gram": 1.2}),
        gradient_gram("G1", {"gradients": 60, "gradients-by-hand": 1.2}),
        lanczos("L1"),
    ],
    "cuda": [
        ntk("K1", {"jax": 2, "torch": 2}, ["jax", "torch"], N=512, n=4096, members=64),
        ntk("K2", {"jax": 3, "torch": 3}, ["jax", "torch"], N=1024, n=100000, L=2, weights="own"),
        train("S1", [32], 8192, (3.5, 3.5, 3.5), 200, N=4096),
        train("S2", [64], 1024, (4, 4, 4), 500, N=4096),
        train("S3", [64], 132, (100, 10, 10), 1000, N=4096),
        train("S4", [64], 256, (3, 3, 3), 200, d=784, H=1, k=10, N=4096),
        train("M1", [256], 64, (2.5, 2.5, 2.5), 200, B=64, N=4096),
        train("M2", [1024], 64, NO_GOALS, 100, B=128, N=4096),
        train("W1", [16384], 1, (2.2, 2.2, 2.2), 200, H=1),
        train("X1", [16, 32, 64, 128], 256, (None, None, 5), 200, N=4096),
        ridge("R1", 1e-8, {}, n=16000, step=640),
        gradient_gram("G1", {}, N=10000, n=1024),
    ],
}
QUICK = {"ntk": {"N": 24, "n": 96, "d": 16, "weights": "given"},
         "train": {"groups": [{"n": 12, "members": 3}, {"n": 20, "members": 2}], "N": 64, "B": 8, "steps": 20,
                   "turn_seconds": 0},
         "ridge_path": {"n": 60, "d": 10, "step": 10, "count": 12, "checked": [2, 6, 12]},
         "gradient_gram": {"N": 60, "n": 24},
         "lanczos": {"N": 60, "n": 24, "count": 3}}


NOT_SIZE = ("op", "name", "threads", "device", "folder", "checked_steps", "turn_seconds", "checked")


def spread(values):
    values = sorted(values)
    quartile = statistics.quantiles(values, n=4, method="inclusive")[0] if len(values) > 1 else values[0]
    return {"median": statistics.median(values), "min": values[0], "max": values[-1], "lower_quartile": quartile,
            "rounds": len(values)}


def ratio(numerator, denominator):
    """Of medians; range and lower quartile are those of the rounds' own ratios."""
    result = spread([a / b for a, b in zip(numerator, denominator)])
    result["median"] = statistics.median(numerator) / statistics.median(denominator)
    return result


def fair_environment():
    """The BLAS chooses its kernels itself, and nothing else is inherited that changes how fast a side is."""
    unset = ("OPENBLAS_CORETYPE", "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "OMP_PROC_BIND", "GOMP_CPU_AFFINITY",
             "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "XLA_FLAGS", "JAX_PLATFORMS", "PYTHONPATH")
    return {key: value for key, value in os.environ.items() if key not in unset}


class Duel:
    def __init__(self, options, job, folder):
        self.options, self.folder = options, folder
        self.goals, self.peers = job["goals"], job["peers"]
        self.job = {key: value for key, value in job.items() if key not in ("goals", "peers")}
        self.job.update(threads=options.threads, device=options.device.split(":")[0], folder=folder)
        if options.quick:
            self.job.update(QUICK[job["op"]])
        self.path = os.path.join(folder, "job.json")
        with open(self.path, "w") as file:
            json.dump(self.job, file)
        self.environment = fair_environment()
        self.sides, self.absent = {}, []

    def start(self):
        environment = dict(self.environment, OMP_NUM_THREADS=str(self.options.threads))
        ours = os.path.join(self.options.bin, f"bench_{self.job['op']}_widelab")
        if self.job.get("weights") != "own":
            subprocess.run([ours, "--write", self.path], check=True, env=environment)
        self.sides["widelab"] = Side([ours, self.path], self.log("widelab"), environment)
        for name in self.peers:
            if self.options.peer and name not in self.options.peer:
                continue
            try:
                self.sides[name] = self.start_peer(name)
            except (CannotInstall, SideFailed) as error:
                print(f"  {name}: {error}", flush=True)
                self.absent.append({"peer": name, "reason": str(error)})

    def start_peer(self, name):
        script, environment = PEERS[name]
        python = self.options.python.get(environment) or interpreter(
            os.path.join(HERE, f"requirements-{environment}.txt"), self.options.venvs)
        if script is None:
            raise CannotInstall("installs by now, but no script of ours runs it")
        return Side([python, os.path.join(HERE, script), self.path], self.log(name), self.environment)

    def log(self, name):
        return os.path.join(self.folder, name + ".log")

    def rounds(self):
        seconds = {name: [] for name in self.sides}
        products = {name: [] for name in self.sides}
        for number in range(self.options.rounds):
            names = list(self.sides)
            for name in names if number % 2 == 0 else reversed(names):
                seconds[name].append(self.ask(name, f"go {self.turns(name)}")["seconds"])
                product = self.ask(name, "gemm")
                if "seconds" in product:
                    products[name].append(product)
        return seconds, products

    def turns(self, name):
        """As many as last `turn_seconds`."""
        return max(1, math.ceil(self.job.get("turn_seconds", 0) / self.sides[name].ready["seconds"]))

    def ask(self, name, request):
        time.sleep(PAUSE_SECONDS)
        return self.sides[name].ask(request)

    def result(self):
        seconds, products = self.rounds()
        own = self.sides["widelab"].ready
        size = {key: value for key, value in self.job.items() if key not in NOT_SIZE}
        result = {"date": datetime.date.today().isoformat(), "op": self.job["op"], "name": self.job["name"],
                  "size": size, "widelab": dict(own, seconds=spread(seconds["widelab"])), "peers": [],
                  "absent": self.absent}
        if products["widelab"]:
            floor = [p["seconds"] for p in products["widelab"]]
            result["floor"] = dict(spread(floor), gemm_rate=products["widelab"][0]["flops"] / statistics.median(floor))
            result["floor_over_time"] = ratio(floor, seconds["widelab"])
        for name, side in self.sides.items():
            if name == "widelab":
                continue
            rate = products[name][0]["flops"] / statistics.median(p["seconds"] for p in products[name])
            result["peers"].append(dict(side.ready, id=name, seconds=spread(seconds[name]), gemm_rate=rate,
                                        ratio=ratio(seconds[name], seconds["widelab"]), goal=self.goals.get(name)))
        return result

    def close(self):
        for side in self.sides.values():
            side.close()


def run_duel(options, job):
    with tempfile.TemporaryDirectory(prefix="duel-", dir=options.work) as folder:
        duel = Duel(options, job, folder)
        print("duel {op} {name}, {threads} threads".format(**duel.job), flush=True)
        try:
            duel.start()
            result = duel.result()
        finally:
            duel.close()
    for peer in result["peers"]:
        ours, theirs = result["widelab"]["seconds"]["median"], peer["seconds"]["median"]
        print(f"  {peer['peer']}: {theirs:.4g} s, widelab {ours:.4g} s, ratio {peer['ratio']['median']:.3g}"
              f" [{peer['ratio']['min']:.3g} .. {peer['ratio']['max']:.3g}]", flush=True)
    return result


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "bin"), help="folder of the built sides of ours")
    parser.add_argument("--only", help="only duels whose op and name contain this, for example 'train S'")
    parser.add_argument("--venvs", default=os.path.join(ROOT, "build-peers"), help="folder of the peers' environments")
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument("--work", help="folder for inputs and weights (default: the system's)")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--device", default="cpu", help="cpu or cuda[:I]")
    parser.add_argument("--peer", action="append", choices=PEERS, help="only this peer (may be repeated)")
    parser.add_argument("--python", action="append", default=[], metavar="ENVIRONMENT=PATH",
                        help="take this interpreter, which has the peer already, instead of installing it")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that everything runs, measures nothing")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.threads < 1:
        parser.error("--rounds and --threads must be at least 1")
    if options.device.split(":")[0] not in JOBS:
        parser.error(f"--device is {options.device!r}; allowed: cpu, cuda, cuda:INDEX")
    options.python = dict(pair.split("=", 1) for pair in options.python)
    return options


def write(options, duels):
    own = duels[0]["widelab"]
    record = {"date": datetime.date.today().isoformat(), "device": own["device"], "cpu": own["cpu"], "isa": own["isa"],
              "blas": own["blas"], "threads": options.threads, "quick": options.quick, "duels": duels}
    with open(options.out, "w") as file:
        json.dump(record, file, indent=1)
        file.write("\n")


def main(arguments):
    options = parse(arguments)
    # All sides on the same cores; libraries that count cores see as many as the threads that they may use.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:options.threads])
    jobs = [job for job in JOBS[options.device.split(":")[0]] if (options.only or "") in f"{job['op']} {job['name']}"]
    if not jobs:
        raise SystemExit(f"--only {options.only!r} leaves no duel")
    duels = []
    for job in jobs:
        duels.append(run_duel(options, job))
        write(options, duels)  # after each, so that no finished one is lost


if __name__ == "__main__":
    main(sys.argv[1:])
