"""Risk of trained networks against parameters an equation and against training time, split into bias and variances,
with the linearised model of the same networks."""
import numpy as np

import result
import style

RISKS = (("test_loss", "test loss"), ("test_error", "test error"), ("train_loss", "training loss"))
TERMS = (("bias2", "bias²"), ("variance_weights", "variance: initial weights"),
         ("variance_data", "variance: training set"), ("variance_rest", "variance: both, batch order"))
X = "parameters_per_equation"


def draw(data, folder):
    if X not in data or result.observable(data, "bias2") is None:
        return []
    others = [where for where in result.combinations(data[X], ("width", "examples", "linearised"))]
    files = []
    for number, where in enumerate(others):
        suffix = f"_{number + 1}" if len(others) > 1 else ""
        along = next((dim for dim in ("width", "examples") if data[X].sizes.get(dim, 1) > 1), None)
        if along:
            files.append(cut(data, where, along, folder / f"trained_risk{suffix}.png"))
        if data.sizes["step"] > 2:
            files.append(surface(data, where, along, folder / f"trained_time{suffix}.png"))
    return files


def models(data):
    """Networks, and where there are any their linearisations: [(selection, words, line style)]."""
    if "linearised" not in data.dims:
        return [({}, "", "-")]
    words = {"false": ("networks", "-"), "true": ("linearised", "--")}
    return [({"linearised": value}, *words[str(value).lower()]) for value in data["linearised"].values]


def cut(data, where, along, path):
    """Risks, and the split of the test loss of each model, at the last step against P / (N k)."""
    panels = len(RISKS) + len(models(data))
    figure, axes = style.grid(1, panels, width=3.0, height=2.9)
    for axis, (name, label) in zip(axes[0], RISKS):
        for k, (selection, words, line) in enumerate(models(data)):
            curve(axis, data, name, {**where, **selection}, along, k, words, line)
        frame(axis, label, "log" if name == "train_loss" else "linear")
    for axis, (selection, words, _) in zip(axes[0, len(RISKS):], models(data)):
        for k, (name, label) in enumerate(TERMS):
            curve(axis, data, name, {**where, **selection}, along, k, label, "-")
        frame(axis, f"parts of the test loss{', ' + words if words else ''}", "linear")
    heading = f"Trained networks after {data['step'].values[-1]:g} steps" + described(where)
    return style.finish(figure, data, heading, path)


def curve(axis, data, name, where, along, k, label, line):
    one = result.observable(data, name).at(**where, step=data["step"].values[-1])
    x = data[X].sel({dim: value for dim, value in where.items() if dim in data[X].dims}).values.ravel()
    order = np.argsort(x)
    mean, se = (np.atleast_1d(array.transpose(along).values)[order] for array in (one.mean, one.se))
    axis.errorbar(x[order], mean, se, color=style.colour(k), marker=style.marker(k), linestyle=line, label=label)


def frame(axis, label, scale):
    axis.set_xscale("log")
    axis.set_yscale(scale)
    axis.axvline(1.0, color=style.GUIDE, linestyle=":", linewidth=1)
    axis.set_xlabel("parameters / (examples × outputs)")
    axis.set_ylabel(label)
    if axis.get_legend_handles_labels()[1] and axis.get_legend_handles_labels()[1][0]:
        axis.legend(loc="best", fontsize=7)


def surface(data, where, along, path):
    """Test loss and test error against time, a line for each of at most seven widths (or numbers of examples)."""
    choices = result.values(data, along) if along else [None]
    choices = [choices[i] for i in sorted(set(np.linspace(0, len(choices) - 1, min(7, len(choices))).astype(int)))]
    columns = [(name, label, model) for name, label in RISKS[:2] for model in models(data)]
    figure, axes = style.grid(1, len(columns), width=3.0, height=2.9)
    steps = data["step"].values.astype(float)
    for axis, (name, label, (selection, words, _)) in zip(axes[0], columns):
        for k, value in enumerate(choices):
            one = result.observable(data, name).at(**where, **selection, **({along: value} if along else {}))
            axis.errorbar(np.maximum(steps, 0.5), one.mean.values, one.se.values, color=style.colour(k),
                          marker=style.marker(k), label=result.describe(along, value) if along else None)
        axis.set_xscale("log")
        axis.set_xlabel("step (first point: before training)")
        axis.set_ylabel(label)
        axis.set_title(words)
    if along:
        axes[0, 0].legend(loc="best", fontsize=7)
    return style.finish(figure, data, "Risk along training" + described(where), path)


def described(where):
    return "".join(f", {result.describe(*item)}" for item in where.items())
