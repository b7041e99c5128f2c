"""Risk of feature regressions over N/n, n/N, n/d or time, with every term of the variance (double-descent)."""
import matplotlib.lines
import numpy as np

import result
import style

ROWS = (("test", "test error"), ("train", "training error"), ("norm", "|a|²"))
TERMS = {"bias2": "bias²", "features": "features", "data": "data", "features_data": "features × data",
         "data_noise": "data × noise", "features_data_noise": "features × data × noise"}
MAX_PANELS = 4


def draw(data, folder):
    """Errors and norm, ensembles, and the terms of the variance; none for other experiments."""
    if data.attrs.get("experiment") != "double-descent":
        return []
    cuts = find_cuts(data)
    files = [errors(data, cuts, folder / "double_descent.png"), terms(data, cuts, folder / "variance_terms.png"),
             ensembles(data, cuts, folder / "ensembles.png")]
    return files + finite_dimension(data, folder / "finite_dimension.png")


class Cut:
    """One curve: what lies along it, and where in the arrays it is."""

    def __init__(self, dim, select, isel, x, label, title):
        self.dim, self.select, self.isel, self.x, self.label, self.title = dim, select, isel, x, label, title

    def line(self, array):
        array = array.sel({d: v for d, v in self.select.items() if d in array.dims}).isel(
            {d: v for d, v in self.isel.items() if d in array.dims})
        return array


def find_cuts(data):
    """Curves over time where there are times, over N where several are, else over the first swept number."""
    test = data["test"]
    times = data["time"].isel({d: 0 for d in data["time"].dims if d != "filter"}).values
    flow, ridge = np.flatnonzero(np.isfinite(times)), np.flatnonzero(~np.isfinite(times))
    skipped = {"filter"}
    size = "size_ratio" if "size_ratio" in test.dims else "features"
    swept = [d for d in test.dims if d not in ("filter", size) and np.issubdtype(data[d].dtype, np.number)
             and data.sizes[d] > 1]
    along = size if data.sizes.get(size, 1) > 1 else next(iter(swept), None)
    cuts = []
    if flow.size > 1:
        for where in result.combinations(test, skipped):
            cuts.append(Cut("filter", where, {"filter": flow}, times[flow], "time t", words(where)))
    if along and (ridge.size or flow.size == 1):
        filters = ridge if flow.size > 1 else range(data.sizes["filter"])
        for where in result.combinations(test, skipped | {along}):
            for f in filters:
                cut = Cut(along, where, {"filter": f}, None, "", words({**where, "filter": data["filter"].values[f]}))
                cut.x, cut.label = axis_of(data, cut)
                cuts.append(cut)
    cuts = [cut for cut in cuts if np.isfinite(cut.line(test)).any()]  # zipped sweeps leave most of their product empty
    return cuts[:MAX_PANELS] or [Cut("filter", where, {}, np.arange(data.sizes["filter"]), "filter", words(where))
                                 for where in result.combinations(test, skipped)][:MAX_PANELS]


def axis_of(data, cut):
    columns, examples, dimension = (cut.line(data[name]).values for name in
                                    ("columns", "examples_of_cell", "dimension_of_cell"))
    if np.ptp(columns) > 0:
        return columns / examples, "features over examples N/n"
    if np.ptp(examples) > 0:
        return examples / columns, "examples over features n/N"
    return cut.line(data["test"])[cut.dim].values.astype(float), cut.dim


def words(where):
    where = {d: v for d, v in where.items() if (d, str(v)) != ("cell", "single")}
    return ", ".join(result.describe(*item) if item[0] != "filter" else str(item[1]) for item in where.items())


def curve(axes, cut, one, k, label=None, log=True):
    """Measured points with error bars, the theory as a line of the same colour."""
    mean, se, theory = (cut.line(part).values for part in (one.mean, one.se, one.theory))
    if log and not (mean > 0).any():
        return
    axes.errorbar(cut.x, mean, se, color=style.colour(k), marker=style.marker(k), linestyle="none", label=label)
    axes.plot(cut.x, theory, color=style.colour(k))


def x_axis(axes, cut):
    positive = cut.x[cut.x > 0]
    if positive.size and positive.max() / positive.min() > 5:
        axes.set_xscale("log")
    if cut.dim != "filter" and "/" in cut.label:
        axes.axvline(1, color=style.GUIDE, linewidth=0.8, linestyle=":")


def errors(data, cuts, path):
    figure, axes = style.grid(len(ROWS), len(cuts), width=3.2 if len(cuts) > 1 else 5.0, height=2.1, sharex="col")
    for i, (name, label) in enumerate(ROWS):
        one = result.observable(data, name)
        for j, cut in enumerate(cuts):
            panel = axes[i, j]
            panel.set_yscale("log")
            curve(panel, cut, one, 0)
            if name == "test":
                extras(panel, data, cut)
                panel.set_title(cut.title)
            x_axis(panel, cut)
            if i == len(ROWS) - 1:
                panel.set_xlabel(cut.label)
        axes[i, 0].set_ylabel(label)
    key = [matplotlib.lines.Line2D([], [], color=style.colour(0), marker=style.marker(0),
                                   label="mean ± 1 s.e., theory"),
           matplotlib.lines.Line2D([], [], color=style.GUIDE, linestyle="--", label="limit n, N, d → ∞"),
           matplotlib.lines.Line2D([], [], color=style.colour(1), marker="_", linestyle="none", label="median")]
    return style.finish(figure, data, "Test error, training error and norm", path, key)


def extras(panel, data, cut):
    """The proportional limit and medians, both of the excess risk, raised by the noise to the test error."""
    noise = float(np.nanmean(cut.line(data["test"]).values - cut.line(data["excess"]).values))
    limit, median = (cut.line(data[name]).values for name in ("limit_excess", "excess_median"))
    if np.isfinite(limit).any():
        panel.plot(cut.x, limit + noise, color=style.GUIDE, linestyle="--", linewidth=1)
    panel.plot(cut.x, median + noise, color=style.colour(1), marker="_", linestyle="none")


def terms(data, cuts, path):
    """The six terms: their theory stacked, measured sums on top of it; without a theory the measured terms stacked."""
    figure, axes = style.grid(2, len(cuts), width=3.4 if len(cuts) > 1 else 5.0, height=2.4, sharex="col")
    one = result.observable(data, "variance_term")
    for j, cut in enumerate(cuts):
        stacked, lines = axes[0, j], axes[1, j]
        lower = np.zeros(len(cut.x))
        for k, term in enumerate(data["term"].values):
            at = one.at(term=term)
            mean, theory = cut.line(at.mean).values, cut.line(at.theory).values
            area = np.where(np.isfinite(theory), theory, mean)
            stacked.fill_between(cut.x, lower, lower + area, color=style.colour(k), alpha=0.6, linewidth=0,
                                 label=TERMS.get(str(term), str(term)))
            lower = lower + area
            curve(lines, cut, at, k, log=False)
        excess = result.observable(data, "excess")
        stacked.errorbar(cut.x, cut.line(excess.mean).values, cut.line(excess.se).values, color="black", marker=".",
                         linestyle="none")
        stacked.set_ylim(0, 1.15 * np.nanmax(cut.line(excess.mean).values))
        lines.set_yscale("symlog", linthresh=0.01)
        stacked.set_title(cut.title)
        lines.set_xlabel(cut.label)
        x_axis(stacked, cut)
        x_axis(lines, cut)
    axes[0, 0].set_ylabel("excess risk, stacked")
    axes[1, 0].set_ylabel("terms")
    handles, _ = axes[0, 0].get_legend_handles_labels()
    return style.finish(figure, data, "Terms of the variance: theory stacked, measured sum (dots); each term", path,
                        handles)


def ensembles(data, cuts, path):
    figure, axes = style.grid(1, len(cuts), width=3.4 if len(cuts) > 1 else 5.0, height=2.8)
    one = result.observable(data, "ensemble_excess")
    for j, cut in enumerate(cuts):
        panel = axes[0, j]
        panel.set_yscale("log")
        curve(panel, cut, result.observable(data, "excess"), 0, "K = 1")
        for k, networks in enumerate(data["networks"].values, start=1):
            curve(panel, cut, one.at(networks=networks), k, "K = ∞" if str(networks) == "inf" else f"K = {networks}")
        x_axis(panel, cut)
        panel.set_title(cut.title)
        panel.set_xlabel(cut.label)
    axes[0, 0].set_ylabel("excess risk of the mean of K models")
    if axes[0, 0].get_legend_handles_labels()[0]:
        axes[0, 0].legend(loc="best")
    return style.finish(figure, data, "Ensembles on the same data", path)


def finite_dimension(data, path):
    """How far the resolvent's trace lies from its equivalent, over the dimension: a line for each N/n (tangent: N d/n)."""
    one = result.observable(data, "resolvent")
    if "size_ratio" not in one.mean.dims or one.mean.sizes.get("dimension", 1) < 3 or not np.isfinite(one.theory).any():
        return []
    along = {"dimension", "size_ratio", "filter"}
    others = [dim for dim in one.mean.dims if dim not in along]  # zipped with the dimension: one value is not NaN
    mean, se, theory = (part.max(others) for part in (one.mean, one.se, one.theory))
    filters = [f for f in mean["filter"].values if np.isfinite(theory.sel(filter=f)).any()]
    figure, axes = style.grid(1, len(filters), width=4.2, height=3.2, sharey=True)
    d = mean["dimension"].values
    for panel, chosen in zip(axes[0], filters):
        for k, ratio in enumerate(mean["size_ratio"].values):
            at = {"filter": chosen, "size_ratio": ratio}
            scale = theory.sel(at).values
            panel.errorbar(d, mean.sel(at).values / scale - 1, se.sel(at).values / scale, color=style.colour(k),
                           marker=style.marker(k), label=f"columns / n = {ratio:g}")
        panel.plot(d, 1.3 / d, color=style.GUIDE, linestyle="--", label="1.3 / d, a guide")
        panel.axhline(0, color="black", linewidth=0.8)
        panel.set_xscale("log")
        panel.set_xticks(d, [f"{value:g}" for value in d])
        panel.set_xlabel("dimension d")
        panel.set_title(str(chosen))
    axes[0, 0].set_ylabel("(λ/n) tr (ZZᵀ + λ)⁻¹: measured / theory − 1")
    axes[0, -1].legend()
    return [style.finish(figure, data, "Distance from the equivalent over the dimension", path)]
