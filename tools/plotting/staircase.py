"""Learning curves on the sphere: risk against size with the stairs B(d, l), and the learned coefficient of each degree."""
import matplotlib.lines
import numpy as np

import result
import style

SIZES = {"examples": "training examples n", "features": "random features N",
         "parameters": "fitted parameters N d"}
# Title, axis of sizes, and a colour that no degree has.
KINDS = {"kernel": ("kernel ridge regression", "training examples n", 0),
         "random-features": ("random features", "random features N", 6),
         "tangent": ("tangent features", "parameters N d of tangent features", 5)}


def draw(data, folder):
    """A figure for each cell of a run of `staircase`, or one with all kinds where they are swept. Returns the files."""
    learned = result.observable(data, "learned")
    if learned is None or "degree" not in learned.mean.dims:
        return []
    size = curve_axis(learned.mean)
    if size is None:
        return []
    kinds = "kind" in learned.mean.dims
    selections = result.combinations(learned.mean, (size, "degree") + (("kind",) if kinds else ()))
    files = []
    for number, where in enumerate(selections):
        suffix = f"_{number + 1}" if len(selections) > 1 else ""
        if kinds:
            files.append(draw_kinds(data, size, where, folder / f"staircase_kinds{suffix}.png"))
        else:
            files.append(draw_one(data, size, where, folder / f"staircase{suffix}.png"))
    return files


def curve_axis(array):
    """The longest axis that a curve can run along, or None: sizes of the curve, or examples that were swept."""
    present = [name for name in SIZES if array.sizes.get(name, 1) > 1]
    return max(present, key=lambda name: array.sizes[name], default=None)


def draw_one(data, size, where, path):
    figure, axes = style.grid(1, 2, width=4.6, height=3.5)
    named = {name: result.observable(data, name).at(**where) for name in ("test", "excess", "excess_median", "learned")}
    dashed = conjectured(data, where)
    draw_risk(axes[0, 0], named, size, dashed)
    axes[0, 1].legend(handles=draw_degrees(axes[0, 1], named["learned"], size, dashed), loc="center left")
    axes[0, 1].set_title("degree by degree; lines: λ_l / (λ_l + ν)")
    for one in axes[0]:
        finish_axes(one, SIZES[size], stairs_of(data, where))
    return style.finish(figure, data, "Learning curve, degree by degree" + described(where), path)


def draw_kinds(data, size, where, path):
    """The excess risk of every kind over its own parameters, then each kind degree by degree."""
    kinds = result.values(data, "kind")
    figure, grid = style.grid(2, -(-(len(kinds) + 1) // 2), width=4.4, height=3.1)
    axes, highest = grid.ravel(), 0
    for k, kind in enumerate(kinds):
        here = {**where, "kind": kind}
        excess, dashed = result.observable(data, "excess").at(**here), conjectured(data, here)
        title, label, colour = KINDS[kind]
        x, paint = excess.mean[size].values, style.colour(colour)
        axes[0].errorbar(x, excess.mean, excess.se, linestyle="none", marker=style.marker(k), color=paint, label=title)
        axes[0].plot(x, excess.theory, color=paint, linestyle=line(dashed), zorder=1)
        highest = np.nanmax(np.append(excess.theory.values, highest))
        key = draw_degrees(axes[k + 1], result.observable(data, "learned").at(**here), size, dashed)
        axes[k + 1].set_title(title + (" (dashed: conjecture p = N d)" if dashed else ""))
        finish_axes(axes[k + 1], SIZES[size] if size == "examples" else label, stairs_of(data, here))
    axes[0].set_ylim(0, 1.15 * highest)
    axes[0].set_ylabel("excess risk E (f − f*)²")
    axes[0].set_title("what is left of the target; lines: equivalent at finite d")
    axes[0].legend(loc="lower left")
    stairs = stairs_of(data, {**where, "kind": kinds[0]})
    finish_axes(axes[0], SIZES[size] if size == "examples" else "n, N or N d", stairs)
    for one in axes[len(kinds) + 1:]:
        one.set_visible(False)
    return style.finish(figure, data, "Stairs of regressions, degree by degree" + described(where), path, key)


def described(where):
    swept = [result.describe(dim, value) for dim, value in where.items() if dim != "cell"]
    return f" ({', '.join(swept)})" if swept else ""


def stairs_of(data, where):
    """B(d, l) of the cell; the same along a curve over swept examples."""
    stairs = data["multiplicity"]
    stairs = stairs.sel({dim: value for dim, value in where.items() if dim in stairs.dims})
    return stairs.isel({dim: 0 for dim in stairs.dims if dim != "degree"})


def conjectured(data, where):
    """Whether this curve's prediction is a conjecture, as it is of tangent features."""
    if "kind" in where:
        return where["kind"] == "tangent"
    return data["learned"].attrs["prediction"].startswith("conjecture")


def line(dashed):
    return "--" if dashed else "-"


def draw_risk(axes, named, size, dashed):
    """Test risk with its prediction, and the median, which heavy tails do not move."""
    test, median = named["test"], named["excess_median"]
    x = test.mean[size].values
    noise = np.nan_to_num(np.nanmedian(test.mean.values - named["excess"].mean.values))
    axes.errorbar(x, test.mean, test.se, linestyle="none", marker="o", color=style.colour(0), label="mean ± 1 s.e.")
    axes.errorbar(x, median.mean + noise, median.se, linestyle="none", marker="D", markerfacecolor="white",
                  markersize=4, color=style.colour(4), label="median (± 68 %)")
    axes.plot(x, test.theory, color="black", linewidth=1.1, linestyle=line(dashed), zorder=1,
              label="equivalent at finite d" + (", conjectured" if dashed else ""))
    shown = np.concatenate([test.theory.values, (median.mean + noise).values])
    shown = shown[np.isfinite(shown)]
    axes.set_ylim(0, 1.25 * shown.max())  # the mean of a heavy tail may lie beyond
    axes.set_ylabel("test risk E (y − f)²")
    axes.set_title("risk of a fresh labelled input")
    axes.legend(loc="lower left")


def draw_degrees(axes, learned, size, dashed):
    """Learned coefficients with their predictions. Returns the handles of a key."""
    x = learned.mean[size].values
    handles = []
    for k, degree in enumerate(learned.mean["degree"].values):
        one = learned.at(degree=degree)
        if degree == 0 or not np.isfinite(one.mean.values).any():
            continue
        axes.errorbar(x, one.mean, one.se, linestyle="none", marker=style.marker(k), color=style.colour(k))
        axes.plot(x, one.theory, color=style.colour(k), linestyle=line(dashed), zorder=1)
        handles.append(matplotlib.lines.Line2D([], [], color=style.colour(k), marker=style.marker(k),
                                               label=f"l = {degree:g}"))
    axes.set_ylim(-0.08, 1.24)  # with room for the names of the stairs
    axes.set_ylabel("learned coefficient E[f f_l] / F_l")
    return handles


def finish_axes(axes, label, stairs):
    """The logarithmic axis, and vertical lines where as many points as harmonics of one degree have come."""
    axes.set_xscale("log")
    style.log_axis(axes.xaxis)
    axes.set_xlabel(label)
    low, high = axes.get_xlim()
    for degree, count in zip(stairs["degree"].values, stairs.values):
        if degree >= 1 and low < count < high:
            axes.axvline(count, color=style.GUIDE, linestyle=":", linewidth=1, zorder=0)
            axes.text(count, axes.get_ylim()[1], f"B(d,{degree:g})", rotation=90, fontsize=7, color=style.GUIDE,
                      ha="right", va="top")
