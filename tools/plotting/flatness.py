"""Variances of weights against flatness of the loss: window PCA, replicas, and linear dynamics; their exponents."""
import numpy as np

import result
import style

KINDS = (("variance", "flatness", "window PCA", "psi_window"), ("replicas", "mode_flatness", "replicas", "psi_replica"),
         ("null_variance", "null_flatness", "linear null, C ~ H", "psi_null"),
         ("linearised_variance", "linearised_flatness", "linearised SGD", "psi_linearised"))
PANELS = 4
EXPONENT_TIME = 0.5  # epochs: of psi_replica


def draw(data, folder):
    """Figures for a run of `variance-flatness`. Returns the files."""
    if data.attrs.get("experiment") != "variance-flatness":
        return []
    cells = result.filled_combinations(data["psi_window"], ())
    shown = [cells[k] for k in np.unique(np.linspace(0, len(cells) - 1, PANELS).astype(int))] if cells else []
    figure, axes = style.grid(2, max(3, len(shown)), width=3.3, height=2.9)
    for panel in axes.flat:
        panel.set_visible(False)
    for column, where in enumerate(shown):
        scatter(axes[0, column], data, where)
    exponents(axes[1, 0], data, shown)
    times(axes[1, 1], data, shown)
    ratios(axes[1, 2], data, shown)
    heading = "Variance against flatness: window PCA, replicas that differ in their batches alone, and linear dynamics"
    files = [style.finish(figure, data, heading, folder / "flatness.png")]
    if len(cells) > len(shown):
        figure, axes = style.grid(1, 1, width=1.2 + 0.55 * len(cells), height=4.2)
        exponents(axes[0, 0], data, cells)
        files.append(style.finish(figure, data, heading, folder / "flatness_exponents.png"))
    return files


def words_for(where):
    return ", ".join(result.describe(dim, value) for dim, value in where.items()) or "all"


def symbols_for(where):
    """The same, short enough to stand below a tick; lines."""
    text = words_for(where).replace(", ", "\n")
    for long, short in (("learning_rate ", "$\\eta$ = "), ("batch ", "B = "), ("order ", "")):
        text = text.replace(long, short)
    return text


def points(data, where, variance, flatness):
    """Flatness and variance, without component 0, the drift."""
    if variance == "replicas":
        shown = result.observable(data, "replica_variance").at(**where)
        shown = shown.each(lambda array: array.sel(time=EXPONENT_TIME))
    else:
        shown = result.observable(data, variance).at(**where).each(lambda array: array.isel(component=slice(1, None)))
    width = result.observable(data, flatness).at(**where).mean
    return (width if variance == "replicas" else width.isel(component=slice(1, None))), shown.mean


def loglog(panel):
    panel.set_xscale("log")
    panel.set_yscale("log")
    style.log_axis(panel.xaxis)
    style.log_axis(panel.yaxis)


def points_of(k, filled):
    """Points without a line; measured ones are filled, those of linear dynamics open."""
    return dict(linestyle="none", marker=style.marker(k), color=style.colour(k),
                markerfacecolor=style.colour(k) if filled else "none")


def scatter(panel, data, where):
    panel.set_visible(True)
    panel.set_title(words_for(where))
    for k, (variance, flatness, label, exponent) in enumerate(KINDS):
        x, y = points(data, where, variance, flatness)
        psi = result.observable(data, exponent).at(**where)
        panel.plot(x, y, markersize=3, markeredgewidth=0.6, **points_of(k, k < 2),
                   label=f"{label}: $\\psi$ = {psi.mean.item():.2f} ± {psi.se.item():.2f}")
    panel.set_xlabel("e-fold width $F$ of the training loss")
    panel.set_ylabel("variance $\\sigma^2$ of the weights along it")
    panel.legend(loc="lower left", fontsize=6)
    loglog(panel)


def exponents(panel, data, cells):
    panel.set_visible(True)
    place = np.arange(len(cells))
    for k, (_, _, label, exponent) in enumerate(KINDS):
        psi = [result.observable(data, exponent).at(**where) for where in cells]
        panel.errorbar(place + 0.08 * (k - 1.5), [one.mean.item() for one in psi], [one.se.item() for one in psi],
                       label=label, **points_of(k, k < 2))
    panel.set_xticks(place, [symbols_for(where) for where in cells], fontsize=7)
    panel.set_xlim(-0.5, len(cells) - 0.5)
    panel.set_ylim(bottom=0)
    panel.set_ylabel("$\\psi$ in $\\sigma^2 \\sim F^{-\\psi}$")
    panel.legend(loc="center right", fontsize=6)  # between replicas and the others


def times(panel, data, cells):
    panel.set_visible(True)
    for k, where in enumerate(cells):
        for name, flatness, filled in (("correlation_time", "flatness", True), ("null_time", "null_flatness", False)):
            x, y = points(data, where, name, flatness)
            panel.plot(x, y, markersize=3, markeredgewidth=0.6, **points_of(k, filled),
                       label=words_for(where) + ("" if filled else ", linear null"))
    panel.set_xlabel("e-fold width $F$")
    panel.set_ylabel("correlation time of the component, steps")
    panel.legend(loc="best", fontsize=6)
    loglog(panel)


def ratios(panel, data, cells):
    panel.set_visible(True)
    for k, where in enumerate(cells):
        ratio = result.observable(data, "replica_median_ratio").at(**where)
        panel.errorbar(ratio.mean["time"], ratio.mean, ratio.se, marker=style.marker(k), color=style.colour(k),
                       linewidth=0.8, label=words_for(where))
    panel.axhline(1, color=style.GUIDE, linewidth=0.8)
    panel.set_yscale("log")
    style.log_axis(panel.yaxis)
    panel.set_xlabel("epochs after the checkpoint")
    panel.set_ylabel("replicas' variance over linear theory, median")
    panel.legend(loc="best", fontsize=6)
