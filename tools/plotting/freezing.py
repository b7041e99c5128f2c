"""Freezing of SGD in one basin: how many repeats are frozen, how similar basins are, and what explains flatness."""
import numpy as np

import result
import style


def draw(data, folder):
    """A figure for a run of `transient-freezing`. Returns the files."""
    if data.attrs.get("experiment") != "transient-freezing":
        return []
    figure, axes = style.grid(2, 3, width=3.5, height=2.8)
    cells = result.filled_combinations(data["freezing_time"], ())
    for one, name, words in ((axes[0, 0], "similarity", "similarity with the last basin"),
                             (axes[0, 1], "frozen_share", "share of repeats that are frozen"),
                             (axes[0, 2], "end_test_error", "share of test examples\nin a wrong class")):
        curves(one, result.observable(data, name), cells)
        one.set_ylabel(words)
    curves(axes[1, 0], result.observable(data, "flatness"), cells)
    axes[1, 0].set_ylabel("flatness $-\\log_{10}$ rise, at the end")
    shares = data["collapse"].values, data["collapse_se"].values
    scatter(axes[1, 1], data, cells, times(data, cells), "freezing time $\\eta t_f$ (mean ± 1 s.e.)", shares, 0)
    scatter(axes[1, 2], data, cells, noises(cells), "learning rate / batch size", shares, 1)
    return [style.finish(figure, data, "Transient freezing: full-batch descent takes over at many times",
                         folder / "freezing.png",
                         key=axes[0, 0].get_legend_handles_labels()[0])]


def look(where, cells):
    """Colour by the first swept quantity, marker by the last one."""
    dims = list(where)
    if not dims:
        return {"color": style.colour(0), "marker": style.marker(0)}
    place = [sorted({cell[dim] for cell in cells}).index(where[dim]) for dim in (dims[0], dims[-1])]
    return {"color": style.colour(place[0]), "marker": style.marker(place[1])}


def curves(axes, observable, cells):
    for where in cells:
        here = observable.at(**where)
        words = ", ".join(result.describe(dim, value) for dim, value in where.items()) or "mean ± 1 s.e."
        axes.errorbar(here.mean["branch"].values, here.mean.values, here.se.values, markersize=3,
                      label=words, linewidth=0.9, **look(where, cells))
    axes.set_xscale("log")
    style.log_axis(axes.xaxis)
    axes.set_xlabel("branch time over the whole time T")


def times(data, cells):
    observable = result.observable(data, "freezing_time")
    return [(observable.at(**where).mean.item(), observable.at(**where).se.item()) for where in cells]


def noises(cells):
    return [(float(where["learning_rate"]) / float(where["batch"])
             if {"learning_rate", "batch"} <= set(where) else np.nan, 0) for where in cells]


def scatter(axes, data, cells, positions, words, shares, explaining):
    """Flatness at the freezing time of every cell against what may explain it."""
    flatness = result.observable(data, "freezing_flatness")
    for where, (x, x_error) in zip(cells, positions):
        here = flatness.at(**where)
        axes.errorbar(x, here.mean.item(), here.se.item(), xerr=x_error, markersize=4, linestyle="none",
                      **look(where, cells))
    axes.set_xscale("log")
    style.log_axis(axes.xaxis)
    axes.set_xlabel(words)
    axes.set_ylabel("flatness at $t_f$")
    value, error = shares[0][0][explaining], shares[1][0][explaining]
    if np.isfinite(value):
        axes.text(0.04, 0.94, f"$R^2$ = {value:.2f} ± {error:.2f}", transform=axes.transAxes, va="top", fontsize=7)
