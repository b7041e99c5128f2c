"""Networks that find the hidden directions of a target, or stall: overlap, risk and escapes over training, regressions
on fixed features as horizontal lines, and the distance from the linearised networks against the richness."""
import numpy as np

import result
import style

PANELS = (("overlap", "largest |cosine|\nwith the hidden direction"), ("risk", "test error /\ntarget variance"),
          ("escaped", "share of networks\nthat escaped"))
REGRESSIONS = (("random-features", "random features", ":"), ("tangent", "tangent features", "-."))
FIXED = ("learner", "step", "direction")


def draw(data, folder):
    if str(data.attrs.get("experiment", "")) != "lazy-gap":
        return []
    files = []
    trained = [name for name in learners(data) if name in ("network", "linearised")]
    if trained and "richness" in data.dims and "linearised" in trained:
        files += [distance(data, where, folder / f"lazy_gap_distance{suffix}.png")
                  for where, suffix in pages(data, FIXED + ("richness",))]
    elif trained:
        line = next((dim for dim in ("link", "dimension", "width") if data["risk"].sizes.get(dim, 1) > 1), None)
        if line == "link" or line is None:
            files.append(overview(data, folder / "lazy_gap.png"))
        else:
            files += [along(data, where, line, folder / f"lazy_gap{suffix}.png")
                      for where, suffix in pages(data, FIXED + (line,))]
        if "dimension" in data.dims:
            files += [growth(data, where, folder / f"lazy_gap_growth{suffix}.png")
                      for where, suffix in pages(data, FIXED + ("dimension",))]
    return files


def learners(data):
    return [str(name) for name in data["learner"].values] if "learner" in data.dims else ["network"]


def pages(data, skipped):
    """Selections over all other swept quantities, with a suffix for the file of each."""
    selections = result.combinations(data["risk"], skipped)
    return [(where, f"_{number + 1}" if len(selections) > 1 else "") for number, where in enumerate(selections)]


def learner(data, name):
    return {"learner": name} if "learner" in data.dims else {}


def overview(data, path):
    """A column of panels for each target; a line for each way of training."""
    links = result.values(data, "link") if "link" in data["risk"].dims else [None]
    figure, axes = style.grid(len(PANELS), len(links), width=2.7, height=2.1, sharex=True, sharey="row")
    key = {}
    for column, link in enumerate(links):
        target = {"link": link} if link is not None else {}
        ways = result.combinations(data["risk"], FIXED + ("link",))
        for row, (name, label) in enumerate(PANELS):
            axis = axes[row, column]
            for k, way in enumerate(ways):
                networks(axis, data, name, {**target, **way}, k, words(way), key)
            if name == "risk":
                regressions(axis, data, target, key)
            one_pass(axis, data, key)
            frame(axis, data, name, label if column == 0 else "", row == len(PANELS) - 1, key)
        axes[0, column].set_title(f"{link_words(link)}{exponent(data, target)}")
    return style.finish(figure, data, "Networks, and what their features reach as they start", path, list(key.values()))


def along(data, where, dim, path):
    """The same with a line for each value of one swept quantity."""
    figure, axes = style.grid(1, len(PANELS), width=3.2, height=2.7)
    key = {}
    for axis, (name, label) in zip(axes[0], PANELS):
        for k, value in enumerate(result.values(data, dim)):
            networks(axis, data, name, {**where, dim: value}, k, result.describe(dim, value), key)
        frame(axis, data, name, label, True, key)
    return style.finish(figure, data, "Networks along training" + described(where), path, list(key.values()))


def networks(axis, data, name, where, k, label, key):
    """Mean over networks with a band of two standard errors; the linearised networks dashed."""
    steps = np.maximum(data["step"].values.astype(float), 0.5)
    for who, line in (("network", "-"), ("linearised", "--")):
        if who not in learners(data) or (who == "linearised" and name == "escaped"):
            continue
        one = result.observable(data, name).at(**where, **learner(data, who))
        if "direction" in one.mean.dims:
            one = one.each(lambda array: array.mean("direction"))
        mean, se = one.mean.values, one.se.values
        if not np.isfinite(mean).any():
            continue
        text = ", ".join(filter(None, (label, "linearised" if who == "linearised" else "")))
        curve, = axis.plot(steps, mean, color=style.colour(k), linestyle=line, label=text or "networks")
        low, high = mean - 2 * se, mean + 2 * se
        if name != "risk":
            low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
        axis.fill_between(steps, low, high, color=style.colour(k), alpha=0.2, linewidth=0)
        key.setdefault(text, curve)


def regressions(axis, data, where, key):
    """Risk of each regression (mean over the ways of training, which differ in its examples alone) and its theory."""
    for k, (name, label, line) in enumerate(REGRESSIONS):
        if name not in learners(data):
            continue
        one = result.observable(data, "regression_risk").at(**where, **learner(data, name))
        examples = data["regression_examples"].sel(learner=name)
        examples = examples.sel({dim: value for dim, value in where.items() if dim in examples.dims})
        risks, errors, theory, counts = (np.ravel(array.values) for array in (one.mean, one.se, one.theory, examples))
        for n in np.unique(counts[np.isfinite(risks)]):
            first = np.flatnonzero((counts == n) & np.isfinite(risks))[0]
            text = f"{label}, n = {n:g}"
            shade = style.GUIDE if k == 0 else style.colour(6)
            drawn = axis.axhline(risks[first], color=shade, linestyle=line, linewidth=1.0 + (n == counts.max()) * 0.6)
            key.setdefault(text, drawn)
            drawn.set_label(text)
            axis.errorbar([data["step"].values[-1]], [risks[first]], [2 * errors[first]], color=shade)
            if np.isfinite(theory[first]):
                mark, = axis.plot([data["step"].values[-1]], [theory[first]], marker="x", color=shade, linestyle="none")
                key.setdefault("theory", mark)
                mark.set_label("prediction for the regression")


def one_pass(axis, data, key):
    """The step at which a stream has given as many examples as reused sets have."""
    orders = [str(value) for value in data["order"].values] if "order" in data.dims else []
    if "online" not in orders or len(orders) < 2:
        return
    seen = data["examples_seen"]
    batch = seen.sel(order="online").values.ravel()[0] / data["step"].values[-1]
    sets = seen.sel(order=next(order for order in orders if order != "online")).values.ravel()[0]
    line = axis.axvline(sets / batch, color=style.GUIDE, linestyle="--", linewidth=1)
    line.set_label(f"one pass has used {sets:g} examples")
    key.setdefault("one pass", line)


def frame(axis, data, name, label, last, key):
    axis.set_xscale("log")
    if name == "risk":
        axis.set_ylim(0, 1.6)
    else:
        axis.set_ylim(0, 1.03)
    if name == "overlap":
        chance = data["chance_overlap"].values
        if np.isfinite(chance).any():
            line = axis.axhline(np.nanmean(chance), color=style.colour(4), linestyle=":", linewidth=1)
            line.set_label("|cosine| expected before training")
            key.setdefault("chance", line)
    axis.set_ylabel(label)
    if last:
        axis.set_xlabel("step (first point: before training)")


def distance(data, where, path):
    """Distance from the linearised network at some steps against gamma0, with the slope of the lazy end."""
    figure, axes = style.grid(1, 3, width=3.4, height=3.0)
    gamma = np.array(result.values(data, "richness"), dtype=float)
    order = np.argsort(gamma)
    one = result.observable(data, "distance_to_linearised").at(**where, learner="linearised")
    steps = [step for step in data["step"].values if step > 0]
    chosen = [steps[i] for i in sorted(set(np.linspace(0, len(steps) - 1, 4).astype(int)))]
    for k, step in enumerate(chosen):
        here = one.at(step=step)
        mean, se = here.mean.values[order], here.se.values[order]
        axes[0, 0].errorbar(gamma[order], mean, se, color=style.colour(k), marker=style.marker(k),
                            label=f"step {step:g}")
    lazy = one.at(step=chosen[-1]).mean.values[order]
    slopes = result.observable(data, "distance_slope").at(**where, learner="linearised", step=chosen[-1])
    slope = slopes.theory.values[order][0]
    if np.isfinite(slope):
        axes[0, 0].plot(gamma[order], lazy[0] * (gamma[order] / gamma[order][0]) ** slope, color=style.GUIDE,
                        linestyle=":", label=f"predicted slope {slope:g} (lazy end)")
    axes[0, 0].set_ylim(0.5 * np.nanmin(one.mean.values[one.mean.values > 0]), None)
    axes[0, 0].set_yscale("log")
    axes[0, 0].set_ylabel("mean |f − f_lin|² / target variance")
    for name, label, k in (("network", "networks", 0), ("linearised", "linearised networks", 1)):
        risk = result.observable(data, "risk").at(**where, learner=name, step=chosen[-1])
        axes[0, 1].errorbar(gamma[order], risk.mean.values[order], risk.se.values[order], color=style.colour(k),
                            marker=style.marker(k), label=label)
    axes[0, 1].set_ylabel(f"test error / target variance, step {chosen[-1]:g}")
    middle = np.sqrt(gamma[order][1:] * gamma[order][:-1])
    axes[0, 2].errorbar(middle, slopes.mean.values[order][:-1], slopes.se.values[order][:-1], color=style.colour(3),
                        marker=style.marker(3), label=f"measured, step {chosen[-1]:g}")
    if np.isfinite(slope):
        axes[0, 2].axhline(slope, color=style.GUIDE, linestyle=":", label="prediction as γ₀ → 0")
    axes[0, 2].set_ylabel("d log distance / d log γ₀")
    for axis in axes[0]:
        axis.set_xscale("log")
        axis.set_xlabel("richness γ₀")
        axis.legend(loc="best", fontsize=7)
    return style.finish(figure, data, "How far a network is from its linearisation" + described(where), path)


def growth(data, where, path):
    """Quartiles of the escape step against the dimension, with the asymptotic order beside the median."""
    figure, axes = style.grid(1, 1, width=4.2, height=3.0)
    axis = axes[0, 0]
    dimension = np.array(result.values(data, "dimension"), dtype=float)
    one = result.observable(data, "escape_time").at(**where, **learner(data, "network"))
    for k, share in enumerate(data["quantile"].values):
        here = one.at(quantile=share)
        axis.errorbar(dimension, here.mean.values, here.se.values, color=style.colour(k), marker=style.marker(k),
                      label=f"{share:.0%} of the networks have escaped")
    median = one.at(quantile=0.5).mean.values
    known = np.flatnonzero(np.isfinite(median))
    k = data["information_exponent"].sel({dim: v for dim, v in {**where, **learner(data, "network")}.items()
                                          if dim in data["information_exponent"].dims}).values.ravel()[0]
    if known.size and np.isfinite(k):
        power = max(1.0, k - 1)
        axis.plot(dimension, median[known[0]] * (dimension / dimension[known[0]]) ** power, color=style.GUIDE,
                  linestyle=":", label=f"slope {power:g}: one-pass, small steps, d → ∞")
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("input dimension d")
    axis.set_ylabel("escape step")
    axis.legend(loc="best", fontsize=7)
    return style.finish(figure, data, "Escape times" + described(where), path)


def exponent(data, where):
    k = data["information_exponent"]
    k = k.sel({dim: value for dim, value in where.items() if dim in k.dims}).values.ravel()
    return f"\ninformation exponent {k[0]:g}" if k.size and np.isfinite(k[0]) else ""


def link_words(link):
    if link is None:
        return ""
    text = str(link)
    return f"degree {text[8:-1]}" if text.startswith("hermite(") else text.replace("hermite-series", "series ")


def words(way):
    names = {"online": "one pass", "iid": "reused examples", "epochs": "reused examples", "fixed": "reused examples"}
    return ", ".join(names.get(str(value), "") if dim == "order" else result.describe(dim.replace("_", " "), value)
                     for dim, value in way.items())


def described(where):
    return "".join(f", {result.describe(*item)}" for item in where.items())
