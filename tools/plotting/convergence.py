"""How finite networks approach their infinite-width kernel: distance, bias and variance against the width."""
import dataclasses

import matplotlib.lines
import numpy as np

import result
import style

MAX_COLUMNS = 4
LIMIT_MARKER = dict(marker=7, linestyle="none", markersize=4, alpha=0.55, markeredgewidth=0.7)


def draw(data, folder):
    """One figure for each kernel of the result (several if there are many activations). Returns the files."""
    files = []
    for kernel in ("ntk", "nngp"):
        rows = quantities(data, kernel)
        if not rows:
            continue
        columns = panels(rows[0].array)
        for start in range(0, len(columns), MAX_COLUMNS):
            suffix = f"_{start // MAX_COLUMNS + 1}" if len(columns) > MAX_COLUMNS else ""
            path = folder / f"convergence_{kernel}{suffix}.png"
            files.append(draw_figure(data, kernel, rows, columns[start:start + MAX_COLUMNS], path))
    return files


class Quantity:
    """One row of panels: how to get (value, se, theory) against the width for a selection."""

    def __init__(self, label, array, lines):
        self.label, self.array, self.lines = label, array, lines


def quantities(data, kernel):
    """The rows that the result has numbers for."""
    rows = []
    deviation = result.observable(data, f"{kernel}_square_deviation")
    mean, variance = result.observable(data, kernel), result.observable(data, f"{kernel}_variance")
    name = kernel.upper()
    if usable(deviation):
        label = f"squared distance of one network's {name}\nto the limit, relative (Frobenius)"
        rows.append(Quantity(label, deviation.mean, lambda where: [("", deviation.at(**where), 1.0)]))
    if usable(mean) and mean.theory.notnull().any():
        rows.append(Quantity(f"|mean − limit| / |limit|\nof an {name} entry", mean.mean,
                             lambda where: [(label, bias_of(one), scale) for label, one, scale
                                            in entries(mean, mean, where)]))
    if usable(variance) and usable(mean):
        rows.append(Quantity(f"variance / limit²\nof an {name} entry over networks", variance.mean,
                             lambda where: [(label, one, scale ** 2) for label, one, scale
                                            in entries(variance, mean, where)]))
    return rows


def usable(observable):
    return observable is not None and "width" in observable.mean.dims and observable.mean.sizes["width"] > 1


def entries(observable, mean, where):
    """(label, observable of one entry, its limit) for a pair of equal and a pair of different inputs."""
    found = []
    for index, label in result.representative_pairs(observable.mean):
        one, reference = observable.at(**where), mean.at(**where)
        if index is not None:
            one, reference = one.entry(index), reference.entry(index)
        limit = np.abs(reference.theory).max().item()
        found.append((label, one, limit if limit > 0 else 1.0))
    return found


def bias_of(one):
    """|mean - limit| as an observable without prediction."""
    blank = one.mean * np.nan
    return dataclasses.replace(one, mean=np.abs(one.mean - one.theory), theory=blank, theory_error=blank, z=blank)


def panels(array):
    """Selections that get a panel each: all swept dimensions but width, pair, and depth, which is the colour."""
    return result.combinations(array, ("width", "pair", "depth"))


def draw_figure(data, kernel, rows, columns, path):
    width = 3.4 if len(columns) > 1 else 5.5
    figure, axes = style.grid(len(rows), len(columns), width=width, sharex=True, sharey="row")
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            draw_panel(axes[i, j], data, row, column)
            if j == 0:
                axes[i, j].set_ylabel(row.label)
            if i == 0 and column:
                axes[i, j].set_title(", ".join(result.describe(*item) for item in column.items()))
            if i == len(rows) - 1:
                axes[i, j].set_xlabel("width n (units)")
        span_of_data(axes[i])
        for axis in axes[i]:
            draw_guide(axis)
    return style.finish(figure, data, f"Convergence of the {kernel.upper()} to its infinite-width limit", path,
                        key_of(rows, any(f"{row.array.name}_fit" in data for row in rows)))


def draw_panel(axes, data, row, column):
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    depths = result.values(row.array, "depth") if "depth" in row.array.dims else [None]
    for k, depth in enumerate(depths):
        where = dict(column) if depth is None else {**column, "depth": depth}
        for style_index, (_, one, scale) in enumerate(row.lines(where)):
            draw_points(axes, one, scale, k, style_index)
        label = "" if depth is None else result.describe("depth", depth)
        fit = result.fit_of(data, row.array.name, where)
        draw_fit(axes, row.array["width"].values.astype(float), fit, k)
        note = f"p = {fit['p']:.2f} [{fit['p_low']:.2f}, {fit['p_high']:.2f}]" if fit else ""
        if label or note:
            axes.plot([], [], style.marker(k), color=style.colour(k), label=", ".join(filter(None, (label, note))))
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower left", handletextpad=0.2, labelspacing=0.25)


def draw_points(axes, one, scale, k, style_index):
    """Points with error bars, the finite-width law as a line; within two standard errors of zero, an upper limit."""
    width = one.mean["width"].values.astype(float)
    value, se = one.mean.values / scale, one.se.values / scale
    shown = np.isfinite(value) & (value > 0) & np.isfinite(se)
    clear = shown & (value > 2 * se)
    x = width * (1.0 if style_index == 0 else 1.06)  # equal and different inputs side by side
    shape = dict(color=style.colour(k), marker=style.marker(k), linestyle="none", elinewidth=1.0)
    light = dict(shape, markerfacecolor="white") if style_index else shape
    axes.errorbar(x[clear], value[clear], se[clear], **light)
    vague = shown & ~clear
    if vague.any():
        upper = value[vague] + 2 * se[vague]
        axes.plot(x[vague], upper, markerfacecolor="none", color=style.colour(k), **LIMIT_MARKER)
    theory = one.theory.values / scale
    known = np.isfinite(theory) & (theory > 0)
    if known.sum() > 1:
        axes.plot(width[known], theory[known], color=style.colour(k), linestyle=("-", "--")[style_index], zorder=1.5)


def draw_fit(axes, width, fit, k):
    """A n^-p (1 + b/n) over the range of widths."""
    if fit and width.size > 1:
        n = np.geomspace(width.min(), width.max(), 100)
        axes.plot(n, fit["A"] * n ** -fit["p"] * (1 + fit["b"] / n), color=style.colour(k), linestyle=":", zorder=1.2)


def span_of_data(row_axes):
    """One decade grid for the row, with room below for the legend."""
    low, high = row_axes[0].get_ylim()
    row_axes[0].set_ylim(low / (high / low) ** 0.3, high * 1.4)
    for axes in row_axes:
        style.log_axis(axes.yaxis)


def draw_guide(axes):
    """The expected slope 1/n, above the points."""
    (low, high), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    x = np.array([low * (high / low) ** 0.45, low * (high / low) ** 0.95])
    y = top * (bottom / top) ** 0.06
    axes.plot(x, y * x[0] / x, color=style.GUIDE, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    axes.annotate("∝ n$^{−1}$", (x[0], y), textcoords="offset points", xytext=(-3, -3), ha="right", color=style.GUIDE)


def key_of(rows, fitted):
    """What the marks mean, once for the figure."""
    point = dict(color="#444444", linestyle="none", marker="o")
    line = matplotlib.lines.Line2D
    handles = [line([], [], label="mean ± 1 s.e., x = x'", **point),
               line([], [], label="x ≠ x'", markerfacecolor="white", **point),
               line([], [], color="#444444", label="finite-width law")]
    if fitted:
        handles.append(line([], [], color="#444444", linestyle=":", label=r"fit $A n^{-p}(1 + b/n)$, 95 % range of p"))
    if any("mean" in row.label for row in rows):
        handles.append(line([], [], color="#444444", markerfacecolor="none", label="not resolved: below this at 2 s.e.",
                            **LIMIT_MARKER))
    return handles
