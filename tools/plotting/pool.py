"""Regression on real data: risk and training error against size, beside the equivalent fed with the pool's kernel."""
import numpy as np

import result
import style

SIZES = {"examples": "training examples n", "features": "random features N"}


def draw(data, folder):
    """A figure for a run of `pool-regression`. Returns the files."""
    if data.attrs.get("experiment") != "pool-regression":
        return []
    named = {name: result.observable(data, name) for name in ("test", "train", "test_error")}
    size = next(name for name in SIZES if name in named["test"].mean.dims)
    curves = result.combinations(named["test"].mean, (size,))
    panels = [("test", "test risk, mean over the pool of |f − y|²"), ("train", "training error, mean of |f − y|²"),
              ("test_error", "share of the pool in a wrong class")]
    panels = [(name, label) for name, label in panels if np.isfinite(named[name].mean).any()]
    figure, axes = style.grid(1, len(panels), width=3.7, height=3.3)
    for one, (name, label) in zip(axes[0], panels):
        for k, where in enumerate(curves):
            draw_curve(one, named[name].at(**where), size, k, where)
        one.set_xscale("log")
        one.set_yscale("log")
        style.log_axis(one.xaxis)
        style.log_axis(one.yaxis)
        one.set_xlabel(SIZES[size])
        one.set_ylabel(label)
    axes[0, 0].legend(loc="best")
    return [style.finish(figure, data, "Regression on real data; lines: deterministic equivalent", folder / "pool.png")]


def draw_curve(axes, curve, size, k, where):
    x = curve.mean[size].values
    words = ", ".join(result.describe(dim, value) for dim, value in where.items()) or "mean ± 1 s.e."
    axes.errorbar(x, curve.mean, curve.se, linestyle="none", marker=style.marker(k), color=style.colour(k), label=words)
    if np.isfinite(curve.theory).any():
        axes.plot(x, curve.theory, color=style.colour(k), zorder=1)
