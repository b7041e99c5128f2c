"""The NTK duels: widelab against its peers, side by side on the same inputs and weights.

Each side is a process that has warmed up and compiled; in every round each side has one turn, every second round in
reverse order. Prints as it goes and writes a JSON file, from which bench/table.py makes the tables. A peer that cannot
be installed or does not run is named with the reason; the others stand.
"""
import argparse
import datetime
import json
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
}
BASE = {"L": 3, "d": 64, "activation": "relu", "sigma_w": 2 ** 0.5, "dtype": "float32", "members": 1,
        "weights": "given"}
JOBS = {
    "cpu": [
        {"name": "wide", "N": 256, "n": 2048, "goals": {"neural-tangents": 1.3},
         "peers": ["neural-tangents", "jax", "torch", "torchtangents"]},
        {"name": "default", "N": 128, "n": 1024, "goals": {"neural-tangents-default": 40},
         "peers": ["neural-tangents-default", "neural-tangents", "jax", "torch"]},
    ],
    "cuda": [
        {"name": "K1", "N": 512, "n": 4096, "members": 64, "goals": {"jax": 2, "torch": 2}, "peers": ["jax", "torch"]},
        {"name": "K2", "N": 1024, "n": 100000, "L": 2, "weights": "own", "goals": {"jax": 3, "torch": 3},
         "peers": ["jax", "torch"]},
    ],
}
QUICK = {"N": 24, "n": 96, "d": 16}


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
            self.job.update(QUICK, weights="given")
        self.path = os.path.join(folder, "job.json")
        with open(self.path, "w") as file:
            json.dump(self.job, file)
        self.environment = fair_environment()
        self.sides, self.absent = {}, []

    def start(self):
        environment = dict(self.environment, OMP_NUM_THREADS=str(self.options.threads))
        if self.job["weights"] == "given":
            subprocess.run([self.options.widelab, "--write", self.path], check=True, env=environment)
        self.sides["widelab"] = Side([self.options.widelab, self.path], self.log("widelab"), environment)
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
                seconds[name].append(self.ask(name, "go")["seconds"])
                product = self.ask(name, "gemm")
                if "seconds" in product:
                    products[name].append(product)
        return seconds, products

    def ask(self, name, request):
        time.sleep(PAUSE_SECONDS)
        return self.sides[name].ask(request)

    def result(self):
        seconds, products = self.rounds()
        own = self.sides["widelab"].ready
        size = {key: self.job[key] for key in ("N", "n", "L", "d", "members", "weights")}
        result = {"name": self.job["name"], "size": size, "widelab": dict(own, seconds=spread(seconds["widelab"])),
                  "peers": [], "absent": self.absent}
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
        print("duel {name}: N={N} n={n} L={L}, {threads} threads".format(**duel.job), flush=True)
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
    parser.add_argument("--widelab", default=os.path.join(ROOT, "build", "bin", "bench_ntk_widelab"),
                        help="the built side of ours")
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


def main(arguments):
    options = parse(arguments)
    # All sides on the same cores; libraries that count cores see as many as the threads that they may use.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:options.threads])
    duels = [run_duel(options, {**BASE, **job}) for job in JOBS[options.device.split(":")[0]]]
    own = duels[0]["widelab"]
    record = {"date": datetime.date.today().isoformat(), "device": own["device"], "cpu": own["cpu"], "isa": own["isa"],
              "blas": own["blas"], "threads": options.threads, "quick": options.quick, "duels": duels}
    with open(options.out, "w") as file:
        json.dump(record, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1:])
