"""The generalisation gap along a layer's Hessian: sharpness, size, correlation, and what adds up to the gap."""
import numpy as np

import result
import style

PANELS = (("sharpness", "$\\sigma_g$: spread of gradients over pairs"), ("size", "$\\sigma_w$: spread of changes over pairs"),
          ("correlation", "$c$: correlation of both"))


def draw(data, folder):
    """A figure for a run of `activity-weight-duality`. Returns the files."""
    if data.attrs.get("experiment") != "activity-weight-duality":
        return []
    figure, axes = style.grid(2, 2, width=4.0, height=3.0)
    cells = result.filled_combinations(data["contribution"], ("direction",))
    for k, where in enumerate(cells):
        words = ", ".join(result.describe(dim, value) for dim, value in where.items()) or "mean ± 1 s.e."
        curvature = result.observable(data, "curvature").at(**where).mean.values
        seen = curvature > 0
        for panel, (name, _) in zip(axes.flat, PANELS):
            one = result.observable(data, name).at(**where)
            panel.errorbar(curvature[seen], one.mean[seen], one.se[seen], linestyle="none", marker=style.marker(k),
                           markersize=2.5, elinewidth=0.6, color=style.colour(k), label=words)
        share = np.cumsum(result.observable(data, "contribution").at(**where).mean.values)
        gap = result.observable(data, "gap").at(**where)
        axes[1, 1].plot(np.arange(1, len(share) + 1), share, color=style.colour(k))
        axes[1, 1].errorbar([len(share)], [gap.mean.item()], [gap.se.item()], marker=style.marker(k),
                            color=style.colour(k), linestyle="none")
    for panel, (name, label) in zip(axes.flat, PANELS):
        panel.set_xscale("log")
        panel.set_xlabel("curvature $\\lambda_n$")
        panel.set_ylabel(label)
        style.log_axis(panel.xaxis)
        if name != "correlation":
            panel.set_yscale("log")
            style.log_axis(panel.yaxis)
    axes[1, 1].set_xscale("log")
    style.log_axis(axes[1, 1].xaxis)
    axes[1, 1].set_xlabel("directions, sharpest first")
    axes[1, 1].set_ylabel("sum of $c\\,\\sigma_g\\,\\sigma_w$; point: the whole gap")
    axes[0, 0].legend(loc="best", fontsize=7)
    return [style.finish(figure, data, "Activity-weight duality: the gap along a layer's Hessian",
                         folder / "duality.png")]
