"""Distance between measurement and prediction, in standard errors."""
import dataclasses
import math

import numpy as np

import result
import style


def draw(data, folder):
    """One figure, or none if nothing has a prediction. Returns the files."""
    predicted = [one for one in result.observables(data) if np.isfinite(one.z.values).any() and not is_left_out(one, data)]
    finite = [one for one in (with_exact_law(one, data) for one in predicted) if one is not None]
    limit = [one for one in predicted if one.against_limit]
    panels = ([draw_histogram, draw_finite] if finite else []) + ([draw_limit] if limit else [])
    if not panels:
        return []
    figure, axes = style.grid(1, len(panels), width=4.2, height=3.4)
    for panel, axis in zip(panels, axes[0]):
        panel(axis, limit if panel is draw_limit else finite)
    if finite:
        draw_verdict(axes[0, 0], data, finite)
    return [style.finish(figure, data, "Residuals in standard errors", folder / "residuals.png")]


def is_left_out(one, data):
    """Entries that their kernel shows already; third and fourth cumulants, whose errors are known too poorly for z."""
    return one.name.endswith("_cumulant") or one.name.endswith("_first") and one.name[:-len("_first")] in data


def with_exact_law(one, data):
    """The observable where its prediction is a law that must hold; None if that is nowhere. A mean is held against its
    limit, which for some entries is the exact mean at every width; conjectures are shown beside and held against
    nothing."""
    if f"{one.name}_mean_is_exact" not in data:
        return None if one.against_limit else one
    exact = data[f"{one.name}_mean_is_exact"].transpose(*one.mean.dims) > 0
    return dataclasses.replace(one, z=one.z.where(exact)) if exact.any() else None


def reliable_z(one):
    """z where it is defined and where the plain moment can be estimated at all."""
    z = np.where(one.reliable.values > 0, one.z.values, np.nan)
    return z[np.isfinite(z)]


def draw_histogram(axes, observables):
    """All z against finite-width laws, with the standard normal density."""
    z = np.concatenate([reliable_z(one) for one in observables])
    if z.size == 0:
        axes.set_axis_off()
        return
    edge = max(4.5, min(12.0, math.ceil(np.abs(z).max() * 2) / 2))
    bins = np.linspace(-edge, edge, int(4 * edge) + 1) if z.size > 40 else np.linspace(-edge, edge, int(2 * edge) + 1)
    axes.hist(z, bins, density=True, color=style.colour(5), edgecolor="white", linewidth=0.6)
    t = np.linspace(-edge, edge, 400)
    axes.plot(t, np.exp(-t * t / 2) / math.sqrt(2 * math.pi), color="black", label="N(0, 1)")
    axes.set_ylim(0, axes.get_ylim()[1] * 1.45)
    axes.legend(loc="upper right")
    axes.set_xlabel("z = (measured − predicted) / s.e.")
    axes.set_ylabel("density")
    axes.set_title("Against finite-width laws")


def draw_verdict(axes, data, observables):
    """What the residuals say together. Entries of one cell share networks: the joint tests of the result know that."""
    z = np.concatenate([reliable_z(one) for one in observables])
    if z.size == 0:
        return
    text = f"{z.size} residuals\nmean z² = {np.mean(z * z):.2f} (1 expected)\nmax |z| = {np.abs(z).max():.2f}"
    p = joint_p(data)
    if p.size:
        text += f"\njoint tests: {p.size}, smallest p = {p.min():.2g}\n(about {1 / p.size:.1g} expected)"
    axes.text(0.02, 0.98, text, transform=axes.transAxes, va="top", fontsize=7.5)


def joint_p(data):
    """p-values of the joint tests of the cells, by max |z|."""
    found = [data[name].sel(verdict="max_abs_z_p").values.ravel() for name in data.data_vars if "_joint_" in name]
    found = np.concatenate(found) if found else np.array([])
    return found[np.isfinite(found)]


def draw_finite(axes, observables):
    scatter(axes, observables)
    axes.axhspan(-2, 2, color="#DDDDDD", alpha=0.6, zorder=0, linewidth=0)
    reach = max(4.5, 1.1 * max(abs(limit) for limit in axes.get_ylim()))
    axes.set_ylim(-reach, reach * 1.3)
    axes.set_ylabel("z = (measured − predicted) / s.e.")
    axes.set_title("The same against the width (grey: ±2)")


def draw_limit(axes, observables):
    scatter(axes, observables)
    axes.set_yscale("symlog", linthresh=4, linscale=1.5)
    axes.axhspan(-2, 2, color="#DDDDDD", alpha=0.6, zorder=0, linewidth=0)
    reach = 2 * max(4.5, max(abs(limit) for limit in axes.get_ylim()))
    axes.set_ylim(-reach, reach * 2)
    ticks = [2.0, 4.0] + [10.0 ** k for k in range(1, 9) if 10.0 ** k < reach]
    axes.set_yticks([-t for t in reversed(ticks)] + [0.0] + ticks, [f"−{t:g}" for t in reversed(ticks)] + ["0"] +
                    [f"{t:g}" for t in ticks])
    axes.set_ylabel("z = (mean − limit) / s.e.")
    axes.set_title("Against the infinite-width limit:\nbeyond grey (±2), the finite width shows")


def scatter(axes, observables):
    """z against the width, one colour an observable, set a little apart; many entries are thinned to their spread."""
    shift = np.linspace(-0.06, 0.06, max(len(observables), 2))
    for k, one in enumerate(observables):
        if "width" not in one.mean.dims:
            continue
        z = np.where(one.reliable.values > 0, one.z.values, np.nan)
        z = np.moveaxis(z, one.mean.dims.index("width"), 0).reshape(one.mean.sizes["width"], -1)
        width = one.mean["width"].values.astype(float)
        x = np.repeat(width * 2 ** (4 * shift[k]), z.shape[1])
        many = z.shape[1] > 60
        axes.plot(x, z.ravel(), style.marker(k), color=style.colour(k), markersize=2.0 if many else 3.5,
                  alpha=0.25 if many else 0.8, markeredgewidth=0)
        axes.plot([], [], style.marker(k), color=style.colour(k), markersize=4, label=readable(one.name))
    axes.set_xscale("log", base=2 if width_span(observables) < 1000 else 10)
    axes.set_xlabel("width n (units)")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper right", ncols=2, columnspacing=0.8, handletextpad=0.1)


def width_span(observables):
    widths = np.concatenate([one.mean["width"].values.astype(float) for one in observables if "width" in one.mean.dims]
                            or [np.array([1.0])])
    return widths.max() / widths.min()


def readable(name):
    return name.replace("ntk", "NTK").replace("nngp", "NNGP").replace("_", " ")
