"""Training on partly mislabelled data: alignment and strength of both gradients, separability, and what is learned."""
import numpy as np

import result
import style

PANELS = (("alignment", "$R_{cw}$: cosine of the gradients of\nright and wrong labels", False),
          ("relative_strength", "relative strength $n_w|g_w| / n_c|g_c|$", True),
          ("separability", "separability of losses (area under ROC)", False),
          ("test_error", "share of test examples in a wrong class", False),
          ("wrong_fitted", "share of wrong labels that are fitted", False),
          ("batch_alignment", "mean cosine of two batches' gradients", False))


def draw(data, folder):
    """A figure for a run of `mislabelled-phases`. Returns the files."""
    if data.attrs.get("experiment") != "mislabelled-phases":
        return []
    figure, axes = style.grid(2, 3, width=3.5, height=2.7)
    cells = result.filled_combinations(data["test_error"], ("epoch",))
    for one, (name, words, logarithmic) in zip(axes.flat, PANELS):
        for k, where in enumerate(cells):
            band(one, result.observable(data, name).at(**where), k, where)
        one.set_xlabel("epoch")
        one.set_ylabel(words)
        one.set_xscale("symlog", linthresh=1)
        one.set_xlim(left=0)
        if logarithmic:
            one.set_yscale("log")
            style.log_axis(one.yaxis)
    axes[0, 0].axhline(0, color=style.GUIDE, linewidth=0.8)
    boundaries(axes[0, 0], data, cells)
    axes[1, 0].legend(loc="best", fontsize=7)  # the alignment has no line without wrong labels
    heading = ("Phases of mislabelled data; bands: ± 1 s.d. over networks; vertical lines: least test error (dotted), "
               "first and last $R_{cw} > 0$ (dashed)")
    return [style.finish(figure, data, heading, folder / "phases.png")]


def band(axes, observable, k, where):
    """Mean with its standard error as bars, and the spread over networks as a band."""
    seen = np.isfinite(observable.mean.values)
    if not seen.any():
        return
    epochs = observable.mean["epoch"].values[seen]
    mean, error = observable.mean.values[seen], observable.se.values[seen]
    spread = error * np.sqrt(observable.count.values[seen])
    words = ", ".join(result.describe(dim, value) for dim, value in where.items()) or "mean ± 1 s.e."
    axes.errorbar(epochs, mean, error, marker=style.marker(k), markersize=3, color=style.colour(k), label=words,
                  linewidth=0.9)
    axes.fill_between(epochs, mean - spread, mean + spread, color=style.colour(k), alpha=0.15, linewidth=0)


def boundaries(axes, data, cells):
    found = result.observable(data, "phase_boundary")
    for k, where in enumerate(cells):
        for place, line in ((0, ":"), (1, "--"), (2, "--")):
            at = found.at(**where).mean.isel(boundary=place).item()
            if np.isfinite(at):
                axes.axvline(at, color=style.colour(k), linestyle=line, linewidth=0.8)
