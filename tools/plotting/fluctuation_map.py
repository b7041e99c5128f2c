"""E[Theta^2] / E[Theta]^2 over depth and width, and its collapse on beta = L / n."""
import dataclasses

import matplotlib.colors
import matplotlib.lines
import numpy as np

import result
import style

SHOWN = ("ntk_ratio", "forward_ratio", "ntk_log_variance", "forward_log_variance")


def closed_form_excess(beta):
    """closed form - 1, the limit L, n -> infinity at fixed beta = L/n of E[Theta^2]/E[Theta]^2 - 1 for deep ReLU
    networks without biases: e^{5 beta} [1/3 + (6 beta - 1 + e^{-6 beta}) / (27 beta^2)] - 1 = (11/3) beta + ...;
    derived from the exact law at one width (host/theory/finite_width.hpp)."""
    small = beta < 1e-2  # the bracket loses digits there: its series, next term 2.4 beta^4
    b = np.where(small, 1.0, beta)
    bracket_excess = np.where(small, -4 / 3 * beta + 2 * beta ** 2 - 2.4 * beta ** 3,
                              (6 * b - 1 + np.exp(-6 * b)) / (27 * b * b) - 2 / 3)
    return np.expm1(5 * beta) * (1 + bracket_excess) + bracket_excess


def draw(data, folder):
    """One figure, if the result spans depth and width. Returns the files."""
    ratio = result.observable(data, "ntk_ratio")
    if ratio is None or not {"depth", "width"} <= set(ratio.mean.dims):
        return []
    if min(ratio.mean.sizes["depth"], ratio.mean.sizes["width"]) < 2:
        return []
    files = []
    selections = result.combinations(ratio.mean, ("depth", "width"))
    for number, where in enumerate(selections):
        suffix = f"_{number + 1}" if len(selections) > 1 else ""
        files.append(draw_one(data, where, folder / f"fluctuation_map{suffix}.png"))
    return files


def draw_one(data, where, path):
    named = {name: result.observable(data, name) for name in SHOWN}
    named = {name: one.at(**where) for name, one in named.items() if one is not None}
    if "ntk_ratio_law" in data:  # the observable is held against its law only where it can be estimated
        law = data["ntk_ratio_law"].sel({dim: value for dim, value in where.items() if dim in data["ntk_ratio_law"].dims})
        named["ntk_ratio"] = dataclasses.replace(named["ntk_ratio"], theory=law.transpose(*named["ntk_ratio"].mean.dims))
    figure, axes = style.grid(1, 3, width=4.1, height=3.5)
    draw_map(figure, axes[0, 0], named["ntk_ratio"])
    draw_collapse(axes[0, 1], named)
    draw_logarithm(axes[0, 2], named)
    heading = "Fluctuations of the NTK of one input, over depth and width"
    if where:
        heading += " (" + ", ".join(result.describe(*item) for item in where.items()) + ")"
    return style.finish(figure, data, heading, path)


def unreliable(one):
    """Cells where this many networks cannot estimate a plain second moment, depth x width."""
    return one.reliable.transpose("depth", "width").values == 0


def beta_of(one):
    depth, width = one.mean["depth"].values.astype(float), one.mean["width"].values.astype(float)
    return depth[:, None] / width[None, :]


def draw_map(figure, axes, one):
    """log10(ratio - 1) in colour; cells where only log-moments are reliable are crossed out."""
    excess = one.mean.transpose("depth", "width").values - 1
    shown = np.where(excess > 0, excess, np.nan)
    image = axes.pcolormesh(np.arange(shown.shape[1] + 1), np.arange(shown.shape[0] + 1), shown, cmap="viridis",
                            norm=matplotlib.colors.LogNorm(), edgecolors="white", linewidth=0.4)
    rows, columns = np.nonzero(unreliable(one))
    axes.plot(columns + 0.5, rows + 0.5, "x", color="white", markersize=5, markeredgewidth=1.2)
    widths, depths = one.mean["width"].values, one.mean["depth"].values
    step = max(1, len(widths) // 8)
    axes.set_xticks(np.arange(0, len(widths), step) + 0.5, [short(width) for width in widths[::step]])
    step = max(1, len(depths) // 10)
    axes.set_yticks(np.arange(0, len(depths), step) + 0.5, [f"{depth:g}" for depth in depths[::step]])
    axes.grid(False)
    axes.set_facecolor("#BBBBBB")  # no number, or none above 1
    axes.set_xlabel("width n (units)")
    axes.set_ylabel("depth L (hidden layers)")
    axes.set_title("measured E[Θ²]/E[Θ]² − 1\n(×: too heavy a tail, see log-moments)")
    figure.colorbar(image, ax=axes, shrink=0.9)


def short(number):
    """10, 316, 10^4: powers of ten as such from 1000 on."""
    exponent = np.log10(float(number))
    if number >= 1000 and abs(exponent - round(exponent)) < 1e-9:
        return f"$10^{{{round(exponent)}}}$"
    return f"{number:g}"


def draw_collapse(axes, named):
    """(ratio - 1) / beta against beta = L/n: measured points, exact law of each cell, and the closed form of the limit.
    Divided by beta, so that error bars and the approach of shallow networks to the collapse can be seen."""
    one = named["ntk_ratio"]
    depths = one.mean["depth"].values
    tops = []
    if "forward_ratio" in named:
        tops.append(draw_excess(axes, named["forward_ratio"], unreliable(named["forward_ratio"]), "s", style.GUIDE))
    bad = unreliable(one)
    for k, (depth, colour) in enumerate(zip(depths, depth_colours(depths))):
        tops.append(draw_excess(axes, one.at(depth=[depth]), bad[k:k + 1], style.marker(k), colour))
    beta = beta_of(one)
    b = np.geomspace(beta.min(), beta.max(), 300)
    axes.plot(b, closed_form_excess(b) / b, color=style.colour(1), zorder=1)
    if "forward_ratio" in named:
        axes.plot(b, np.expm1(5 * b) / b, color=style.colour(1), linestyle="--", zorder=1)
    loglog(axes, lambda low, high: (1.5, 4 * max(10.0, *tops)))
    axes.set_ylabel("(second moment / mean² − 1) / β")
    axes.set_title("collapse on β")
    axes.legend(handles=collapse_key("forward_ratio" in named), loc="upper left", fontsize=7.5, labelspacing=0.3)


def draw_excess(axes, one, bad, shape, colour):
    """Points of some cells; hollow where the tail is undersampled. Returns the largest solid one."""
    beta = beta_of(one)
    excess, se, theory = ((field.transpose("depth", "width").values - shift) / beta
                          for field, shift in ((one.mean, 1), (one.se, 0), (one.theory, 1)))
    good = np.isfinite(excess) & (excess > 0) & ~bad
    axes.errorbar(beta[good], excess[good], se[good], linestyle="none", marker=shape, color=colour, markersize=4,
                  elinewidth=0.9)
    heavy = np.isfinite(excess) & (excess > 0) & bad
    axes.plot(beta[heavy], excess[heavy], linestyle="none", marker=shape, markerfacecolor="white", color=colour,
              markersize=4)
    known = np.isfinite(theory) & (theory > 0)
    axes.plot(beta[known], theory[known], linestyle="none", marker="_", color="black", markersize=8)
    return excess[good].max(initial=0.0)


def depth_colours(depths):
    return matplotlib.colormaps["viridis"](np.linspace(0, 0.9, len(depths)))


def loglog(axes, limits):
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(*limits(*axes.get_ylim()))
    style.log_axis(axes.yaxis)
    style.log_axis(axes.xaxis)
    axes.set_xlabel("β = L / n")


def collapse_key(forward):
    line = matplotlib.lines.Line2D
    handles = [line([], [], color=depth_colours([1, 2, 3])[1], marker="o", linestyle="none",
                    label="Θ ± 1 s.e. (colour: depth)")]
    if forward:
        handles.append(line([], [], color=style.GUIDE, marker="s", linestyle="none", label="forward kernel G ± 1 s.e."))
    handles += [line([], [], color="#444444", marker="o", markerfacecolor="white", linestyle="none",
                     label="tail undersampled: biased low"),
                line([], [], color="black", marker="_", linestyle="none", markersize=8, label="exact at (L, n)"),
                line([], [], color=style.colour(1),
                     label=r"$e^{5\beta}[\frac{1}{3} + (6\beta - 1 + e^{-6\beta})/27\beta^2]$")]
    if forward:
        handles.append(line([], [], color=style.colour(1), linestyle="--", label=r"$e^{5\beta}$"))
    return handles


def draw_logarithm(axes, named):
    """Variances of logarithms, which can be estimated everywhere, against beta; Theta is coloured by depth."""
    if "ntk_log_variance" not in named:
        axes.set_axis_off()
        return
    one = named["ntk_log_variance"]
    depths = one.mean["depth"].values
    if "forward_log_variance" in named:
        draw_scaled(axes, named["forward_log_variance"], "s", style.GUIDE, "forward G")
    for k, (depth, colour) in enumerate(zip(depths, depth_colours(depths))):
        draw_scaled(axes, one.at(depth=[depth]), style.marker(k), colour, result.describe("depth", f"{depth:g}"))
    loglog(axes, lambda low, high: (low / 1.15, high * (high / low) ** 0.3))  # room for the key
    axes.set_ylabel("variance of the logarithm / β")
    axes.set_title("log-moments: reliable everywhere")
    axes.legend(loc="upper left", ncols=3, fontsize=7.5, labelspacing=0.3)


def draw_scaled(axes, one, shape, colour, label):
    """An observable divided by beta, and ticks at its exact law."""
    beta = beta_of(one)
    value, se, theory = (field.transpose("depth", "width").values / beta for field in (one.mean, one.se, one.theory))
    good = np.isfinite(value) & (value > 0)
    axes.errorbar(beta[good], value[good], se[good], linestyle="none", marker=shape, color=colour, markersize=4,
                  elinewidth=0.9, label=label)
    known = np.isfinite(theory) & (theory > 0)
    axes.plot(beta[known], theory[known], linestyle="none", marker="_", color="black", markersize=8)
