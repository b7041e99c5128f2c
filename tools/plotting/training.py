"""Losses, errors and displacement along training (experiment train)."""
import result
import style

SHOWN = ("train_loss", "test_loss", "train_error", "test_error", "ntk_change", "ntk_least_eigenvalue")
MAX_LINES = 7


def draw(data, folder):
    """One figure of the single-number observables over steps; none for other experiments."""
    if data.attrs.get("experiment") != "train":
        return []
    found = [result.observable(data, name) for name in SHOWN if name in data]
    if not found:
        return []
    columns = min(2, len(found))
    rows = -(-len(found) // columns)
    figure, axes = style.grid(rows, columns, width=4.4, height=2.8, sharex=True)
    for k, one in enumerate(found):
        panel(axes[k // columns, k % columns], data, one)
    for k in range(len(found), rows * columns):
        axes[k // columns, k % columns].set_axis_off()
    return [style.finish(figure, data, "Along training: means over networks ± 1 s.e.", folder / "training.png")]


def panel(axes, data, one):
    axes.set_xscale("symlog", linthresh=1)
    x = data["step"].values.astype(float)
    for k, where in enumerate(result.combinations(one.mean, ("step",))[:MAX_LINES]):
        at = one.at(**where)
        label = ", ".join(result.describe(*item) for item in where.items())
        axes.errorbar(x, at.mean.values, at.se.values, color=style.colour(k), marker=style.marker(k), linewidth=1,
                      label=label or None)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best", fontsize=7)
    axes.set_ylabel(one.name.replace("_", " "))
    axes.set_xlabel("step t")
