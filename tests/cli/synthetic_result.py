#!/usr/bin/python3
"""usage: synthetic_result.py ntk-limit|ntk-map OUT_FILE

Writes a result.nc as `widelab run` would, with numbers drawn from the known laws of deep ReLU networks, so that the
figures can be tested and looked at without a run.
"""
import sys

import numpy as np
import xarray as xr

CONVENTIONS = ("NTK parametrisation, f = z_{L+1}; Theta sums over all trained parameters with rate 1; n: width, "
               "L: hidden layers, d: input dimension; se: one standard error over networks")
FINITE_WIDTH = "exact law at finite width, where known"


def relu_ratio(depth, width):
    """E[Theta^2] / E[Theta]^2 of a deep ReLU network without biases, one output, all weights trained."""
    total = np.zeros(np.broadcast(depth, width).shape)
    for index in np.ndindex(total.shape):
        n, layers = np.broadcast_to(width, total.shape)[index], int(np.broadcast_to(depth, total.shape)[index])
        r = (1 - 1 / n) / (1 + 5 / n)
        lag = np.abs(np.subtract.outer(np.arange(layers + 1), np.arange(layers + 1)))
        total[index] = (1 + 5 / n) ** layers * (1 / 3 + 2 / 3 * np.mean(r ** lag))
    return total


def observable(data, name, dims, mean, se, theory, count, units, description, prediction):
    data[name] = (dims, mean, {"units": units, "description": description, "prediction": prediction})
    data[name + "_se"] = (dims, se)
    data[name + "_count"] = (dims, np.full(mean.shape, count))
    if theory is not None:
        data[name + "_theory"] = (dims, theory)
        data[name + "_theory_error"] = (dims, 1e-12 * np.abs(theory))
        data[name + "_z"] = (dims, (mean - theory) / se)


def ntk_limit(rng):
    widths, depths = np.array([64, 128, 256, 512, 1024, 2048, 4096]), np.array([1, 2, 3])
    activations, pairs, count = ["relu", "erf"], ["0,0", "0,1", "1,1"], 256
    shape = (len(widths), len(depths), len(activations), len(pairs))
    dims = ("width", "depth", "activation", "pair")
    n, layers = widths[:, None, None, None], depths[None, :, None, None]
    is_erf = np.array([0.0, 1.0])[None, None, :, None]
    diagonal = np.array([1.0, 0.0, 1.0])[None, None, None, :]
    data = xr.Dataset(coords={"width": widths, "depth": depths, "activation": activations, "pair": pairs})
    for kernel, scale in (("ntk", 2.0 * (layers + 1)), ("nngp", 2.0)):
        limit = np.broadcast_to(scale * np.array([1.0, 0.4, 1.0]) * (1 - 0.3 * is_erf), shape)
        variance = np.broadcast_to((relu_ratio(layers, n) - 1) * (1 - 0.4 * is_erf), shape) * limit ** 2
        bias = limit * 3.0 * layers / n * np.where(is_erf + (1 - diagonal) > 0, 1.0, 0.0)
        se = np.sqrt(variance / count)
        observable(data, kernel, dims, limit + bias + se * rng.standard_normal(shape), se, limit, count, "1",
                   f"mean {kernel.upper()} entry", "infinite-width limit")
        variance_se = variance * np.sqrt(2.0 / (count - 1))
        exact = np.where((is_erf == 0) & (diagonal == 1), variance, np.nan)
        observable(data, kernel + "_variance", dims, variance + variance_se * rng.standard_normal(shape), variance_se,
                   exact, count, "1", f"variance of an {kernel.upper()} entry", FINITE_WIDTH)
        data[kernel + "_mean_is_exact"] = (dims, np.isfinite(exact).astype(float))
        data[kernel + "_joint_mean"] = (dims[:3] + ("verdict",), rng.uniform(size=shape[:3] + (4,)))
        square = np.mean(variance / limit ** 2, axis=3)
        square_se = square * np.sqrt(2.0 / count)
        observable(data, kernel + "_square_deviation", dims[:3], square + square_se * rng.standard_normal(square.shape),
                   square_se, np.where(is_erf[..., 0] == 0, square, np.nan), count, "1",
                   f"squared relative distance of one network's {kernel.upper()}", FINITE_WIDTH)
        amplitude = square[-1] * widths[-1]
        fit = np.stack([amplitude] + [np.full_like(amplitude, number) for number in (1.0, 0.97, 1.03, 2.0)], axis=-1)
        data[kernel + "_square_deviation_fit"] = (dims[1:3] + ("fit_number",), fit)
    data = data.assign_coords(fit_number=["A", "p", "p_low", "p_high", "b"],
                              verdict=["max_abs_z", "max_abs_z_p", "chi2_per_dof", "chi2_p"])
    data.attrs.update(experiment="ntk-limit", title="ReLU and erf, L hidden layers of n units, no biases",
                      data="sphere, d = 16, N = 2")
    return data


def ntk_map(rng):
    widths, depths = np.array([10, 32, 100, 316, 10**3, 10**4, 10**5, 10**6, 10**7]), np.array([1, 2, 4, 8, 16, 32])
    count, dims = 20000, ("width", "depth")
    n, layers = widths[:, None].astype(float), depths[None, :].astype(float)
    ratio, forward = relu_ratio(layers, n), np.broadcast_to((1 + 5 / n) ** layers, (len(widths), len(depths)))
    beta = layers / n
    data = xr.Dataset(coords={"width": widths, "depth": depths})
    heavy = np.where(beta >= 0.5, 1 / (1 + 3 * beta), 1.0)  # plain Monte Carlo misses the tail
    for name, law in (("ntk_ratio", ratio), ("forward_ratio", forward)):
        se = (law - 1) * np.sqrt(2.0 / count) * (1 + 4 * beta)
        known = np.where(beta < 0.5, law, np.nan)
        observable(data, name, dims, 1 + (law - 1) * heavy + se * rng.standard_normal(law.shape), se, known, count, "1",
                   "E[X^2] / E[X]^2 over networks", FINITE_WIDTH)
    data["ratio_is_reliable"] = (dims, (beta < 0.5).astype(float))
    data["ntk_ratio_law"] = (dims, ratio)
    se = np.log(forward) * np.sqrt(2.0 / count)
    observable(data, "forward_log_variance", dims, np.log(forward) + se * rng.standard_normal(se.shape), se,
               np.log(forward), count, "1", "variance of log G over networks", FINITE_WIDTH)
    log_variance = np.log(ratio) * (1 - 0.15 * np.tanh(beta))
    se = log_variance * np.sqrt(2.0 / count)
    observable(data, "ntk_log_variance", dims, log_variance + se * rng.standard_normal(se.shape), se, None, count, "1",
               "variance of log Theta over networks", "")
    log_mean = np.log(2 * (layers + 1)) - log_variance / 2
    se = np.sqrt(log_variance / count)
    observable(data, "ntk_log_mean", dims, log_mean + se * rng.standard_normal(se.shape), se, None, count, "1",
               "mean of log Theta over networks", "")
    data.attrs.update(experiment="ntk-map", title="ReLU, L hidden layers of n units, no biases, drawn exactly in law",
                      data="one input")
    return data


def main(arguments):
    makers = {"ntk-limit": ntk_limit, "ntk-map": ntk_map}
    if len(arguments) != 2 or arguments[0] not in makers:
        print(__doc__.strip())
        return 2
    data = makers[arguments[0]](np.random.default_rng(7))
    data.attrs.update(conventions=CONVENTIONS, format_version=1)
    data.to_netcdf(arguments[1])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
