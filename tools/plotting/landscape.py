"""Effective landscapes: walkers in a valley beside the law of L_SGD; -log P beside the loss in a plane of a network."""
import numpy as np

import result
import style


def draw(data, folder):
    """A figure for a run of `effective-landscape`. Returns the files."""
    if data.attrs.get("experiment") != "effective-landscape":
        return []
    return [valley(data, folder) if data.attrs["landscape"] == "valley" else plane(data, folder)]


def words_of(where):
    return ", ".join(result.describe(dim, value) for dim, value in where.items()) or "mean ± 1 s.e."


def valley(data, folder):
    """Density along the valley, the mean curvature over the noise, and the way there."""
    density, curvature = result.observable(data, "density"), result.observable(data, "mean_curvature")
    drift, limit = result.observable(data, "curvature_at"), result.observable(data, "mean_curvature_at_zero_noise")
    figure, axes = style.grid(1, 3, width=4.0, height=3.4)
    left, middle, right = axes[0]
    smallest = "along" in density.mean.dims
    lines = result.filled_combinations(density.mean, ("x", "along"))
    for k, where in enumerate(lines):
        here = density.at(**where)
        if smallest:
            here = here.each(lambda array: array.isel(along=0))
        left.errorbar(here.mean["x"], here.mean, here.se, linestyle="none", marker=style.marker(k),
                      color=style.colour(k), label=words_of(where))
        left.plot(here.mean["x"], here.theory, color=style.colour(k), zorder=1)
        way = drift.at(**where)
        if smallest:
            way = way.each(lambda array: array.isel(along=0))
        right.errorbar(way.mean["time"][1:], way.mean[1:], way.se[1:], linestyle="none", marker=style.marker(k),
                       color=style.colour(k))
        if smallest:
            relative(middle, curvature.at(**where), limit.at(**where) if limit is not None else None, k)
    left.axhline(1 / (2 * np.pi), color=style.GUIDE, linewidth=0.8)
    left.set_xlabel("x along the valley")
    left.set_ylabel("density")
    left.legend(loc="best", fontsize=6)
    middle.axhline(0, color=style.GUIDE, linewidth=0.8)
    middle.set_xlabel("noise along the valley $c_x$, $D/c_x$ fixed")
    middle.set_ylabel("$\\langle\\lambda\\rangle$ over its law - 1")
    right.set_xscale("log")
    right.set_xlabel(f"time, {data['time'].attrs.get('units', '')}")
    right.set_ylabel("$\\langle\\lambda\\rangle$ from a uniform start on")
    heading = "Walkers in a valley of equal minima; lines: exp(-2 L_SGD / (eta c_x)); open: extrapolated; grey: uniform"
    return style.finish(figure, data, heading, folder / "landscape.png")


def relative(axes, curvature, limit, k):
    theory = curvature.theory
    axes.errorbar(curvature.mean["along"], curvature.mean / theory - 1, curvature.se / theory, linestyle="none",
                  marker=style.marker(k), color=style.colour(k))
    if limit is not None:
        one = limit.theory.item()
        axes.errorbar([0], [limit.mean.item() / one - 1], [limit.se.item() / one], marker=style.marker(k),
                      fillstyle="none", color=style.colour(k))


def plane(data, folder):
    """-log P, the loss over T_eff and their difference, in the plane and along its middle lines."""
    names = (("effective_potential", "$-\\log P$"), ("loss_on_plane", "$L / T_{eff}$"),
             ("noise_potential", "$L_{SGD} / T_{eff}$"))
    observables = [result.observable(data, name) for name, _ in names]
    where = result.filled_combinations(observables[0].mean, ("sharp", "flat"))[0]
    observables = [one.at(**where) for one in observables]
    figure, axes = style.grid(2, 3, width=3.6, height=3.0)
    values = np.concatenate([one.mean.values.ravel() for one in observables])
    low, high = np.nanpercentile(values, (1, 99))
    for panel, one, (_, words) in zip(axes[0], observables, names):
        image = panel.pcolormesh(one.mean["flat"], one.mean["sharp"], one.mean, vmin=low, vmax=high, cmap="viridis")
        panel.set_title(words)
        panel.set_xlabel("flat direction, standard deviations")
        panel.set_ylabel("sharp direction")
        panel.grid(False)
        figure.colorbar(image, ax=panel)
    for panel, dim, other in ((axes[1, 0], "sharp", "flat"), (axes[1, 1], "flat", "sharp")):
        for k, (one, (_, words)) in enumerate(zip(observables, names)):
            line = one.each(lambda array: array.isel({other: array.sizes[other] // 2}))
            panel.errorbar(line.mean[dim], line.mean, line.se, marker=style.marker(k), color=style.colour(k),
                           linewidth=0.8, label=words)
        panel.set_xlabel(f"{dim} direction, the other near 0")
        panel.set_ylabel("potential, $T_{eff}$")
    axes[1, 0].legend(loc="best", fontsize=7)
    heat = result.observable(data, "temperature").at(**where)
    axes[1, 2].errorbar([0, 1], heat.mean, heat.se, linestyle="none", marker="o", color=style.colour(0),
                        label="replicas")
    axes[1, 2].plot([0, 1], heat.theory, linestyle="none", marker="_", markersize=14, color=style.colour(1),
                    label="linear theory")
    axes[1, 2].set_xticks([0, 1], ["sharp", "flat"])
    axes[1, 2].set_xlim(-0.5, 1.5)
    axes[1, 2].set_yscale("log")
    axes[1, 2].set_ylabel("temperature $h_i v_i$")
    axes[1, 2].legend(loc="best", fontsize=7)
    heading = "Effective potential of SGD in a plane through trained networks"
    return style.finish(figure, data, heading, folder / "landscape.png")
