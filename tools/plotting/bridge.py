"""Replicas of a checkpoint: variance along Hessian directions against the phase within an epoch, beside linear theory."""
import numpy as np

import result
import style

DIRECTIONS = 4  # lines a panel


def draw(data, folder):
    """A figure for a run of `epoch-bridge`. Returns the files."""
    if data.attrs.get("experiment") != "epoch-bridge":
        return []
    variance, trace = result.observable(data, "variance"), result.observable(data, "trace")
    cells = result.filled_combinations(variance.mean, ("time", "direction"))
    figure, axes = style.grid(2, len(cells), width=3.6, height=3.0)
    shown = np.unique(np.linspace(0, variance.mean.sizes["direction"] - 1, DIRECTIONS).astype(int))
    for column, where in enumerate(cells):
        words = ", ".join(result.describe(dim, value) for dim, value in where.items()) or "all"
        one, below = axes[0, column], axes[1, column]
        one.set_title(words)
        here, additive = variance.at(**where), data["additive_variance"].sel(where)
        for k, direction in enumerate(shown):
            lines(one, here.each(lambda array: array.isel(direction=direction)), additive.isel(direction=direction), k,
                  f"direction {direction}")
        total = trace.at(**where)
        below.errorbar(total.mean["time"], total.mean, total.se, marker="o", color=style.colour(0), linewidth=0.8)
        one.set_ylabel("variance along a Hessian direction")
        below.set_ylabel("trace of the covariance over replicas")
        below.set_ylim(bottom=0)
        for panel in (one, below):
            panel.set_xlabel("epochs after the checkpoint")
        if np.nanmax(here.mean.values) > 0:
            one.set_yscale("log")
            style.log_axis(one.yaxis)
    axes[0, 0].legend(loc="best", fontsize=6)
    heading = "Noise across replicas; lines: linear theory (dotted: the checkpoint's noise everywhere)"
    return [style.finish(figure, data, heading, folder / "bridge.png")]


def lines(axes, observable, additive, k, words):
    times = observable.mean["time"]
    seen = observable.mean.values > 0
    axes.errorbar(times[seen], observable.mean[seen], observable.se[seen], linestyle="none", marker=style.marker(k),
                  color=style.colour(k), label=words)
    for values, line in ((observable.theory, "-"), (additive, ":")):
        positive = np.where(values.values > 0, values.values, np.nan)
        axes.plot(times, positive, color=style.colour(k), linestyle=line, linewidth=1.0, zorder=1)
