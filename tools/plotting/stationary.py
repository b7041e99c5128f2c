"""Chains of SGD on a solvable loss: variances, temperatures, correlations and the way there, beside the exact law."""
import numpy as np

import result
import style

FROZEN = dict(linestyle=":", linewidth=1.0)


def draw(data, folder):
    """A figure for a run of `sgd-stationary`. Returns the files."""
    if data.attrs.get("experiment") != "sgd-stationary":
        return []
    variance = result.observable(data, "mode_variance")
    cells = result.filled_combinations(variance.mean, ("mode",))
    figure, axes = style.grid(2, 2, width=4.2, height=3.2)
    for k, where in enumerate(cells):
        words = ", ".join(result.describe(dim, value) for dim, value in where.items()) or "mean ± 1 s.e."
        here = {name: fixed(data[name], where) for name in ("curvature", "frozen_variance", "small_step_temperature")}
        modes(axes[0, 0], variance.at(**where), here["curvature"], k, words)
        axes[0, 0].plot(here["curvature"], here["frozen_variance"], color=style.colour(k), **FROZEN)
        ratio(axes[0, 1], result.observable(data, "temperature").at(**where), here["small_step_temperature"],
              here["curvature"], k)
        relative(axes[1, 0], result.observable(data, "autocovariance").at(**where), k)
        along_steps(axes[1, 1], result.observable(data, "excess_loss_at").at(**where), k)
    label(axes)
    heading = "Stationary law of SGD; lines: exact closure; dotted: noise frozen at the minimum"
    handles, _ = axes[0, 0].get_legend_handles_labels()
    return [style.finish(figure, data, heading, folder / "stationary.png", key=handles), *tails(data, folder)]


def tails(data, folder):
    """Exponents of the tail over the learning rate, where they have a formula."""
    observable = result.observable(data, "tail_exponent")
    if "learning_rate" not in observable.mean.dims or not np.isfinite(observable.theory).any():
        return []
    figure, axes = style.grid(1, 1, width=5.2, height=3.6)
    one = axes[0, 0]
    for where in result.filled_combinations(observable.mean, ("learning_rate", "tail_share")):
        here = observable.at(**where)
        rates = here.mean["learning_rate"].values
        for k, share in enumerate(here.mean["tail_share"].values):
            part = here.at(tail_share=share)
            one.errorbar(rates * (1 + 0.008 * (k - 1)), part.mean, part.se, linestyle="none", marker=style.marker(k),
                         color=style.colour(k), label=f"Hill, largest {100 * share:g} %")
        one.plot(rates, here.theory.isel(tail_share=0), color=style.GUIDE, zorder=1, label="Kesten")
    one.axhline(2, color=style.GUIDE, linewidth=0.8, linestyle=":")
    one.set_yscale("log")
    style.log_axis(one.yaxis)
    one.set_xlabel("learning rate")
    one.set_ylabel("exponent of the tail; below 2 there is no variance")
    one.legend(loc="best", fontsize=7)
    return [style.finish(figure, data, "Tail of the stationary law", folder / "tails.png")]


def fixed(array, where):
    return array.sel({dim: value for dim, value in where.items() if dim in array.dims})


def modes(axes, observable, curvature, k, words):
    axes.errorbar(curvature, observable.mean, observable.se, linestyle="none", marker=style.marker(k),
                  color=style.colour(k), label=words)
    axes.plot(curvature, observable.theory, color=style.colour(k), zorder=1)


def ratio(axes, temperature, small_step, curvature, k):
    if not np.isfinite(small_step).any():
        return
    axes.errorbar(curvature, temperature.mean / small_step, temperature.se / small_step, linestyle="none",
                  marker=style.marker(k), color=style.colour(k))
    axes.plot(curvature, temperature.theory / small_step, color=style.colour(k), zorder=1)


def relative(axes, autocovariance, k):
    """Over the value at the first lag."""
    first = autocovariance.mean.isel(lag=0)
    axes.errorbar(autocovariance.mean["lag"], autocovariance.mean / first, autocovariance.se / first, linestyle="none",
                  marker=style.marker(k), color=style.colour(k))
    axes.plot(autocovariance.mean["lag"], autocovariance.theory / autocovariance.theory.isel(lag=0),
              color=style.colour(k), zorder=1)


def along_steps(axes, excess, k):
    steps = excess.mean["step"].values
    seen = steps > 0
    axes.errorbar(steps[seen], excess.mean[seen], excess.se[seen], linestyle="none", marker=style.marker(k),
                  color=style.colour(k))
    axes.plot(steps[seen], excess.theory[seen], color=style.colour(k), zorder=1)


def label(axes):
    words = {(0, 0): ("curvature $h_i$", "variance along a mode $E\\,e_i^2$"),
             (0, 1): ("curvature $h_i$", "$h_i\\,E\\,e_i^2$ over its limit for small steps"),
             (1, 0): ("lag, steps", "$E\\,e_t\\cdot e_{t+k}$, relative"),
             (1, 1): ("step", "excess loss, from the minimiser on")}
    for place, (x, y) in words.items():
        axes[place].set_xlabel(x)
        axes[place].set_ylabel(y)
    for place in ((0, 0), (0, 1), (1, 1)):
        axes[place].set_xscale("log")
        style.log_axis(axes[place].xaxis)
    for place in ((0, 0), (1, 1)):
        axes[place].set_yscale("log")
        style.log_axis(axes[place].yaxis)
    axes[0, 1].axhline(1, color=style.GUIDE, linewidth=0.8)
    axes[1, 0].axhline(0, color=style.GUIDE, linewidth=0.8)
