"""Chains of Langevin dynamics: moments over the step size beside their law, limits over the width, and what chains are
worth."""
import numpy as np

import result
import style

RATIOS = (("variance_ratio", "Var f / Gibbs law's"), ("loss_ratio", "E loss / Gibbs law's"),
          ("readout_virial", "virial of the readout"), ("mean_projection", "E f along Gibbs law's"))


def draw(data, folder):
    """Figures for a run of `langevin`. Returns the files."""
    if data.attrs.get("experiment") != "langevin":
        return []
    files = []
    if "learning_rate" in data.dims:
        files.append(over_steps(data, folder))
    if "width" in data.dims and data.sizes["width"] > 1 and "variance_ratio_at_zero_step" in data:
        files.append(over_widths(data, folder))
    files.append(chains(data, folder))
    return files


def mark(k):
    """Another marker once the colours begin again."""
    return style.marker(k + k // len(style.COLOURS))


def over_steps(data, folder):
    """Ratios to the Gibbs law against the learning rate; at 0 the extrapolation."""
    figure, axes = style.grid(2, 2, width=4.2, height=3.0)
    for panel, (name, words) in zip(axes.flat, RATIOS):
        ratio, limit = result.observable(data, name), result.observable(data, f"{name}_at_zero_step")
        rates = ratio.mean["learning_rate"].values
        for k, where in enumerate(result.filled_combinations(ratio.mean, ("learning_rate",))):
            here = ratio.at(**where)
            label = ", ".join(result.describe(dim, value) for dim, value in where.items()) or "mean ± 1 s.e."
            panel.errorbar(rates, here.mean, here.se, linestyle="none", marker=mark(k), color=style.colour(k),
                           label=label)
            if f"{name}_mean_is_exact" not in data:
                panel.plot(rates, here.theory, color=style.colour(k), linewidth=0.9, zorder=1)
            if limit is not None:
                end = limit.at(**where)
                panel.errorbar([0], [end.mean.item()], [end.se.item()], marker=mark(k), fillstyle="none",
                               color=style.colour(k))
        panel.axhline(1, color=style.GUIDE, linewidth=0.8)
        panel.set_xlabel("learning rate")
        panel.set_ylabel(words)
    axes[0, 0].legend(loc="best", fontsize=6)
    heading = "Langevin dynamics at finite steps; lines: exact law; open: extrapolated to 0; grey: the Gibbs law"
    return style.finish(figure, data, heading, folder / "langevin_steps.png")


def over_widths(data, folder):
    """|extrapolated ratio - 1| against the width, beside c / n + b / n^2 of the two smallest widths."""
    names = [pair for pair in RATIOS if f"{pair[0]}_width_shift" in data]
    figure, axes = style.grid(1, len(names), width=3.6, height=3.0)
    widths = data["width"].values
    for panel, (name, words) in zip(axes.flat, names):
        shift = result.observable(data, f"{name}_width_shift")
        for k, where in enumerate(result.filled_combinations(shift.mean, ("width",))):
            here = shift.at(**where)
            label = ", ".join(result.describe(dim, value) for dim, value in where.items()) or "mean ± 1 s.e."
            panel.errorbar(widths, np.abs(here.mean) / widths, here.se / widths, linestyle="none",
                           marker=mark(k), color=style.colour(k), label=label)
            first, second = here.mean.values[:2]
            x = 1 / widths
            line = (first + (second - first) * (x - x[0]) / (x[1] - x[0])) * x
            panel.plot(widths, np.abs(line), color=style.colour(k), linewidth=0.9, zorder=1)
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_xlabel("width n")
        panel.set_ylabel(f"|{words} - 1|")
        style.log_axis(panel.xaxis)
        style.log_axis(panel.yaxis)
    axes[0, 0].legend(loc="best", fontsize=6)
    heading = "Distance from the posterior of the infinitely wide network; lines: c/n + b/n² of the two smallest widths"
    return style.finish(figure, data, heading, folder / "langevin_widths.png")


def chains(data, folder):
    """Autocorrelation times, between chains and within them, and split-R-hat, over all quantities."""
    time, rhat = result.observable(data, "log_autocorrelation_time"), result.observable(data, "split_rhat")
    size = result.observable(data, "effective_sample_size")
    figure, axes = style.grid(1, 2, width=4.6, height=3.4)
    left, right = axes[0]
    places = np.arange(time.mean.sizes["quantity"])
    for k, where in enumerate(result.filled_combinations(time.mean, ("quantity",))[:7]):
        here, own, between = time.at(**where), size.at(**where), rhat.at(**where)
        words = ", ".join(result.describe(dim, value) for dim, value in where.items()) or "all chains"
        times = np.exp(here.mean)
        left.errorbar(places, times, times * here.se, linestyle="none", marker=mark(k), color=style.colour(k))
        left.plot(places, np.exp(here.theory), color=style.colour(k), linewidth=0.9, zorder=1)
        right.errorbar(places, between.mean, between.se, linestyle="none", marker=mark(k),
                       color=style.colour(k), label=words)
        left.plot(places, data["draws"].sel(where) / own.mean, linestyle="none", marker="_", color=style.colour(k))
    left.set_ylabel("integrated autocorrelation time, draws")
    left.set_yscale("log")
    style.log_axis(left.yaxis)
    right.set_ylabel("split-R-hat")
    right.axhline(1, color=style.GUIDE, linewidth=0.8)
    for panel in (left, right):
        panel.set_xticks(places, time.mean["quantity"].values, rotation=90, fontsize=6)
    right.legend(loc="best", fontsize=6)
    heading = "What chains are worth; lines: exact; bars: Geyer's estimate within chains"
    return style.finish(figure, data, heading, folder / "langevin_chains.png")
