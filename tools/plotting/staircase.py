"""Learning curves on the sphere: risk against size with the stairs B(d, l), and the learned coefficient of each degree."""
import matplotlib.lines
import numpy as np

import result
import style

SIZES = {"examples": "training examples n", "features": "random features N"}


def draw(data, folder):
    """A figure for each cell of a run of `staircase`. Returns the files."""
    learned = result.observable(data, "learned")
    if learned is None or "degree" not in learned.mean.dims:
        return []
    size = next((name for name in SIZES if name in learned.mean.dims), None)
    if size is None or learned.mean.sizes[size] < 2:
        return []
    selections = result.combinations(learned.mean, (size, "degree"))
    files = []
    for number, where in enumerate(selections):
        suffix = f"_{number + 1}" if len(selections) > 1 else ""
        files.append(draw_one(data, size, where, folder / f"staircase{suffix}.png"))
    return files


def draw_one(data, size, where, path):
    figure, axes = style.grid(1, 2, width=4.6, height=3.5)
    named = {name: result.observable(data, name).at(**where) for name in ("test", "excess", "excess_median", "learned")}
    stairs = data["multiplicity"].sel({dim: value for dim, value in where.items() if dim in data["multiplicity"].dims})
    draw_risk(axes[0, 0], size, named)
    draw_degrees(axes[0, 1], size, named["learned"])
    for one in axes[0]:
        draw_stairs(one, size, stairs)
    heading = "Learning curve, degree by degree"
    swept = [result.describe(dim, value) for dim, value in where.items() if dim != "cell"]
    if swept:
        heading += f" ({', '.join(swept)})"
    return style.finish(figure, data, heading, path)


def draw_risk(axes, size, named):
    """Test risk with its prediction, and the median, which heavy tails do not move."""
    test, median = named["test"], named["excess_median"]
    x = test.mean[size].values
    noise = np.nan_to_num(np.nanmedian(test.mean.values - named["excess"].mean.values))
    axes.errorbar(x, test.mean, test.se, linestyle="none", marker="o", color=style.colour(0), label="mean ± 1 s.e.")
    axes.errorbar(x, median.mean + noise, median.se, linestyle="none", marker="D", markerfacecolor="white",
                  markersize=4, color=style.colour(4), label="median (± 68 %)")
    axes.plot(x, test.theory, color="black", linewidth=1.1, zorder=1, label="equivalent at finite d")
    lines(axes, size)
    shown = np.concatenate([test.theory.values, (median.mean + noise).values])
    shown = shown[np.isfinite(shown)]
    axes.set_ylim(0, 1.25 * shown.max())  # the mean of a heavy tail may lie beyond
    axes.set_ylabel("test risk E (y − f)²")
    axes.set_title("risk of a fresh labelled input")
    axes.legend(loc="lower left")


def draw_degrees(axes, size, learned):
    x = learned.mean[size].values
    handles = []
    for k, degree in enumerate(learned.mean["degree"].values):
        one = learned.at(degree=degree)
        if degree == 0 or not np.isfinite(one.mean.values).any():
            continue
        axes.errorbar(x, one.mean, one.se, linestyle="none", marker=style.marker(k), color=style.colour(k))
        axes.plot(x, one.theory, color=style.colour(k), zorder=1)
        handles.append(matplotlib.lines.Line2D([], [], color=style.colour(k), marker=style.marker(k),
                                               label=f"l = {degree:g}"))
    lines(axes, size)
    axes.set_ylim(-0.08, 1.12)
    axes.set_ylabel("learned coefficient E[f f_l] / F_l")
    axes.set_title("degree by degree; lines: λ_l / (λ_l + ν)")
    axes.legend(handles=handles, loc="center left")


def lines(axes, size):
    axes.set_xscale("log")
    style.log_axis(axes.xaxis)
    axes.set_xlabel(SIZES[size])


def draw_stairs(axes, size, stairs):
    """Vertical lines where as many points as harmonics of one degree have come."""
    low, high = axes.get_xlim()
    for degree, count in zip(stairs["degree"].values, stairs.values):
        if degree >= 1 and low < count < high:
            axes.axvline(count, color=style.GUIDE, linestyle=":", linewidth=1, zorder=0)
            axes.text(count, axes.get_ylim()[1], f"B(d,{degree:g})", rotation=90, fontsize=7, color=style.GUIDE,
                      ha="right", va="top")
