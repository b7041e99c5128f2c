"""Quantities over the width with fitted and predicted exponents (kernel-drift, coord-check), and the best learning
rate at every width."""
import numpy as np

import dynamics
import result
import style

MAX_COLUMNS = 4
SUFFIX = "_predicted_exponent"
LABELS = {"kernel_change": "|Θ$_t$ − Θ$_0$| / |Θ$_0$|", "movement_input": "rms movement of input weights",
          "movement_hidden": "rms movement of hidden weights", "movement_readout": "rms movement of readout weights",
          "largest_movement": "largest movement of a weight", "df": "mean |f$_t$ − f$_0$|"}


def draw(data, folder):
    """One figure of all quantities that have a predicted exponent (several if there are many panels)."""
    names = [name[:-len(SUFFIX)] for name in map(str, data.data_vars) if name.endswith(SUFFIX)]
    files = []
    if names and "width" in data.dims and data.sizes["width"] > 1:
        one = result.observable(data, names[0])
        colour = next((dim for dim in ("depth", "learning_rate") if dim in one.mean.dims), None)
        columns = result.combinations(one.mean, ("width", "step", colour))
        for start in range(0, len(columns), MAX_COLUMNS):
            suffix = f"_{start // MAX_COLUMNS + 1}" if len(columns) > MAX_COLUMNS else ""
            files.append(exponents(data, names, columns[start:start + MAX_COLUMNS], colour,
                                   folder / f"scaling{suffix}.png"))
    if "best_log2_rate" in data:
        files.append(best_rate(data, folder / "best_rate.png"))
    return files


def exponents(data, names, columns, colour, path):
    figure, axes = style.grid(len(names), len(columns), width=3.4, height=2.3, sharex=True, sharey="row")
    steps = data["step"].values
    for i, name in enumerate(names):
        one = result.observable(data, name)
        for j, column in enumerate(columns):
            # Colours are the steps, or, at the last step, the values of one more dimension.
            for k, value in enumerate(result.values(one.mean, colour) if colour else steps[steps > 0]):
                where = {**column, "step": steps[-1], colour: value} if colour else {**column, "step": value}
                curve(axes[i, j], data, one.at(**where), where, k,
                      result.describe(colour, value) if colour else f"t = {value:g}")
            if axes[i, j].get_legend_handles_labels()[0]:
                axes[i, j].legend(loc="best", fontsize=7, handletextpad=0.2)
            if i == 0 and column:
                axes[i, j].set_title(", ".join(result.describe(*item) for item in column.items()))
            if i == len(names) - 1:
                axes[i, j].set_xlabel("width n (units)")
        axes[i, 0].set_ylabel(LABELS.get(name, f"mean |z$_t$ − z$_0$|, layer {name[3:]}"))
    heading = "Movement over the width: fitted exponent (predicted exponent in brackets)"
    return style.finish(figure, data, heading, path)


def curve(axes, data, one, where, k, label):
    fit = result.fit_of(data, one.name, where)
    predicted = data[one.name + SUFFIX]
    predicted = predicted.sel({d: v for d, v in where.items() if d in predicted.dims}).values.ravel()
    predicted = predicted[np.isfinite(predicted)]
    note = f", {-fit['p']:+.2f}" if fit else ""
    if predicted.size:
        note += f" [{predicted[0]:+.1f}]"
    dynamics.width_curve(axes, one, k, label + note, fit)


def best_rate(data, path):
    """log2 of the best learning rate over the width, a panel for each combination of the other dimensions."""
    best, error = data["best_log2_rate"], data["best_log2_rate_error"]
    columns = result.combinations(best, ("width",))
    figure, axes = style.grid(1, len(columns), width=3.0, height=3.0, sharey=True)
    for j, column in enumerate(columns):
        axis = axes[0, j]
        axis.set_xscale("log", base=2)
        axis.errorbar(best["width"].values.astype(float), best.sel(column).values, error.sel(column).values,
                      color=style.colour(0), marker="o", linestyle="none")
        power, power_error = (data[name].sel(column).item() for name in ("best_rate_power", "best_rate_power_error"))
        note = f"best rate ∝ n^({power:+.2f} ± {power_error:.2f})" if np.isfinite(power) else "at an edge of the sweep"
        title = ", ".join(result.describe(*item) for item in column.items())
        axis.set_title("\n".join(filter(None, (title, note))))
        axis.set_xlabel("width n (units)")
    axes[0, 0].set_ylabel("log$_2$ of the learning rate\nwith the least loss")
    return style.finish(figure, data, "Transfer of the best learning rate over the width", path)
