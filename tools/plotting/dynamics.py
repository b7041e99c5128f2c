"""Trained networks beside the infinite ensemble (mean and variance over steps) and beside their own linearisation."""
import matplotlib.lines
import numpy as np

import result
import style

MAX_POINTS = 4
PATHS = (("rms_path_limit_train", "infinite kernel, training examples"),
         ("rms_path_limit_test", "infinite kernel, test examples"),
         ("rms_path_own_train", "own kernel, training examples"),
         ("rms_path_own_test", "own kernel, test examples"))


def draw(data, folder):
    """Figures of ntk-dynamics; none for other results."""
    if data.attrs.get("experiment") != "ntk-dynamics":
        return []
    files = [ensemble(data, folder / "dynamics_ensemble.png")]
    if "width" in data.dims and data.sizes["width"] > 1:
        files.append(deviations(data, folder / "dynamics_deviations.png"))
    return files


def positions(labels):
    """Positions of a few entries, from the first and the last of the list: training and test examples."""
    count = len(labels)
    return sorted({round(k) for k in np.linspace(0, count - 1, min(count, MAX_POINTS))})


def equal_pairs(labels):
    """Positions and names of the entries (p, p)."""
    pairs = [(k, str(label).split(", ")) for k, label in enumerate(labels)]
    return [(k, names[0]) for k, names in pairs if names[0] == names[1]]


def steps_of(data):
    return data["step"].values.astype(float)


def ensemble(data, path):
    """Mean and variance of a few outputs over steps, narrowest and widest networks, with the prediction."""
    mean, covariance = result.observable(data, "output_mean"), result.observable(data, "output_covariance")
    columns = result.combinations(mean.mean, ("width", "step", "point"))
    widths = result.values(mean.mean, "width") if "width" in mean.mean.dims else [None]
    chosen = [widths[0]] if len(widths) == 1 else [min(widths), max(widths)]
    panels = [(column, width) for column in columns for width in chosen][:4]
    figure, axes = style.grid(2, len(panels), width=3.6, sharex=True, sharey="row")
    points = [(k, str(data["point"].values[k])) for k in positions(data["point"].values)]
    pairs = equal_pairs(data["pair"].values)
    pairs = [pairs[k] for k in positions(pairs)]
    for j, (column, width) in enumerate(panels):
        where = dict(column) if width is None else {**column, "width": width}
        curves(axes[0, j], data, mean.at(**where), "output_mean_flow", "point", points, where)
        curves(axes[1, j], data, covariance.at(**where), "output_covariance_flow", "pair", pairs, where)
        axes[1, j].set_yscale("log")
        top = np.nanmax(covariance.mean.values)
        axes[1, j].set_ylim(1e-6 * top, 3 * top)
        axes[1, j].set_xlabel("step t")
        axes[0, j].set_title(", ".join(result.describe(*item) for item in where.items()))
    axes[0, 0].set_ylabel("mean over networks of f$_t$(x)")
    axes[1, 0].set_ylabel("variance over networks of f$_t$(x)")
    axes[0, -1].legend(loc="best", handletextpad=0.3)
    line = matplotlib.lines.Line2D
    key = [line([], [], color="#444444", marker="o", linestyle="none", label="networks, ± 1 s.e."),
           line([], [], color="#444444", label="infinite ensemble + c/n, discrete steps"),
           line([], [], color="#444444", linestyle=":", label="infinite ensemble, gradient flow")]
    return style.finish(figure, data, "Trained networks against the infinite ensemble", path, key)


def curves(axes, data, one, flow, dim, entries, where):
    axes.set_xscale("symlog", linthresh=1)
    x = steps_of(data)
    for k, (index, label) in enumerate(entries):
        entry = one.each(lambda array, index=index: array.isel({dim: index}))
        axes.errorbar(x, entry.mean.values, entry.se.values, color=style.colour(k), marker=style.marker(k),
                      linestyle="none", label=label)
        axes.plot(x, entry.theory.values, color=style.colour(k))
        if flow in data:
            values = data[flow].sel({d: v for d, v in where.items() if d in data[flow].dims}).isel({dim: index})
            axes.plot(x, values.values, color=style.colour(k), linestyle=":")


def deviations(data, path):
    """rms of f_t - f_lin over the width at the last step, with fits and the expected slopes."""
    # Training examples are fitted in the end, and nothing is left of any deviation there.
    paths = [path for path in PATHS if path[0] in data and path[0].endswith("_test")] or PATHS
    found = [(result.observable(data, name), label) for name, label in paths if name in data]
    columns = result.combinations(found[0][0].mean, ("width", "step"))[:4]
    figure, axes = style.grid(1, len(columns), width=5.5 if len(columns) == 1 else 3.8, height=3.8, sharey=True)
    last = data["step"].values[-1]
    for j, column in enumerate(columns):
        for k, (one, label) in enumerate(found):
            at = one.at(step=last, **column)
            fit = result.fit_of(data, one.name, {"step": last, **column})
            note = f", p = {fit['p']:.2f} [{fit['p_low']:.2f}, {fit['p_high']:.2f}]" if fit else ""
            width_curve(axes[0, j], at, k, label + note, fit)
        axes[0, j].set_title(", ".join(result.describe(*item) for item in column.items()))
        axes[0, j].set_xlabel("width n (units)")
        style.log_axis(axes[0, j].yaxis)
        axes[0, j].legend(loc="lower left")
    axes[0, 0].set_ylabel(f"rms of f$_t$ − its linearisation at t = {last:g},\nunits of the rms of f$_0$ − y")
    line = matplotlib.lines.Line2D
    key = [line([], [], color="#444444", linestyle=":", label=r"fit $A n^{-p}(1 + b/n)$, 95 % range of p"),
           line([], [], color="none", label="expected: p = 1/2 (infinite kernel), 1 (own kernel)")]
    return style.finish(figure, data, "Networks against their own linearisation", path, key)


def width_curve(axes, one, k, label, fit):
    """Points over the width on two logarithmic axes, with the fit."""
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    width, value = one.mean["width"].values.astype(float), one.mean.values
    shown = np.isfinite(value) & (value > 0)
    if not shown.any():
        return
    axes.errorbar(width[shown], value[shown], one.se.values[shown], color=style.colour(k), marker=style.marker(k),
                  linestyle="none", label=label)
    if fit and width.size > 1:
        n = np.geomspace(width.min(), width.max(), 100)
        axes.plot(n, fit["A"] * n ** -fit["p"] * (1 + fit["b"] / n), color=style.colour(k), linestyle=":", zorder=1.2)
