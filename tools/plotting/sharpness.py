"""Measures of flatness over batch sizes, as trained and after the rescaling that leaves the function unchanged."""
import numpy as np

import result
import style


def draw(data, folder):
    """A figure for a run of `sharpness-and-batch`. Returns the files."""
    if data.attrs.get("experiment") != "sharpness-and-batch":
        return []
    flatness, control = result.observable(data, "flatness"), result.observable(data, "rescaled_over_trained")
    swept = next((dim for dim in ("batch", "learning_rate") + flatness.mean.dims if dim in flatness.mean.dims
                  and dim != "measure"), None)
    measures = [str(name) for name in data["measure"].values]
    figure, axes = style.grid(2, 4, width=3.1, height=2.7)
    for panel, name in zip(axes.flat, measures):
        one, other = flatness.at(measure=name), control.at(measure=name)
        for k, where in enumerate(result.filled_combinations(one.mean, (swept,))):
            here, ratio = one.at(**where), other.at(**where)
            x = positions(here.mean, swept)
            words = ", ".join(result.describe(dim, value) for dim, value in where.items()) or "as trained"
            panel.errorbar(x, here.mean, here.se, marker=style.marker(k), color=style.colour(k), label=words,
                           linewidth=0.8)
            panel.plot(x, here.mean * ratio.mean, marker=style.marker(k), color=style.colour(k), linestyle=":",
                       markerfacecolor="none", linewidth=0.8, label="same functions, rescaled" if k == 0 else None)
        panel.set_ylabel(name)
        if (one.mean > 0).all():
            panel.set_yscale("log")
            style.log_axis(panel.yaxis)
    for panel, name, words in ((axes[1, 2], "test_error", "share of test examples in a wrong class"),
                               (axes[1, 3], "gap", "test loss − training loss")):
        observable = result.observable(data, name)
        for k, where in enumerate(result.filled_combinations(observable.mean, (swept,))):
            here = observable.at(**where)
            panel.errorbar(positions(here.mean, swept), here.mean, here.se, marker=style.marker(k),
                           color=style.colour(k), linewidth=0.8)
        panel.set_ylabel(words)
    for panel in axes.flat:
        panel.set_xlabel(swept or "")
        if swept in ("batch", "learning_rate"):
            panel.set_xscale("log")
            style.log_axis(panel.xaxis)
    axes[0, 0].legend(loc="best", fontsize=6)
    return [style.finish(figure, data, "Flatness and batch size; dotted: the same functions with other parameters",
                         folder / "sharpness.png")]


def positions(array, swept):
    if swept is None:
        return [0]
    values = array[swept].values
    return values if values.dtype.kind in "if" else np.arange(len(values))
