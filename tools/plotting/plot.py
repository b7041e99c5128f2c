#!/usr/bin/python3
"""usage: plot.py RUN [--out FOLDER]

Draws the figures of a finished run from RUN/result.nc into RUN/figures (or FOLDER) and prints their names.
Which figures: convergence (kernels against the width), the fluctuation map (depth against width), risks of regressions
and of trained networks with their split into bias and variances, staircases of degrees, regression on real data,
networks that escape beside regressions on fixed features, the stationary law of SGD, noise within an epoch, phases of
mislabelled data, the gap along a layer's Hessian, flatness over batch sizes, freezing times, trained networks against
the infinite ensemble and their linearisation, movement over the width with its exponents, losses along training, and
residuals in standard errors, each where the result has what it shows. Exit code 3 if there is nothing to draw.
"""
import argparse
import pathlib
import sys

sys.dont_write_bytecode = True  # the installed scripts may lie where the user cannot write

try:
    import bridge
    import convergence
    import double_descent
    import duality
    import dynamics
    import flatness
    import fluctuation_map
    import freezing
    import landscape
    import langevin
    import lazy_gap
    import phases
    import pool
    import residuals
    import result
    import scaling
    import sharpness
    import staircase
    import stationary
    import trained_risk
    import training
except ImportError as error:
    sys.exit(f"plot: {error}; tools/setup installs python3-xarray, python3-netcdf4 and python3-matplotlib "
             "(figures are drawn by /usr/bin/python3)")

MODULES = (convergence, fluctuation_map, double_descent, staircase, pool, trained_risk, lazy_gap, stationary, langevin,
           bridge, landscape, phases, duality, sharpness, flatness, freezing, dynamics, scaling, training, residuals)


def main(arguments):
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args(arguments)
    folder = options.out or options.run / "figures"
    try:
        data = result.load(options.run)
        folder.mkdir(parents=True, exist_ok=True)
        files = [path for module in MODULES for path in module.draw(data, folder)]
    except result.ResultError as error:
        print(f"plot: {error}", file=sys.stderr)
        return 3
    except OSError as error:
        print(f"plot: cannot write to {folder}: {error.strerror}; --out names another folder", file=sys.stderr)
        return 4
    if not files:
        print(f"plot: {options.run}/result.nc holds no observable that these figures show", file=sys.stderr)
        return 3
    for path in files:
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
