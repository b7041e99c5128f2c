"""Colours, frame and footer that all figures share."""
import textwrap

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402

# Okabe and Ito (2008): told apart with every common colour blindness; markers differ as well.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GUIDE = "#777777"

plt.rcParams.update({
    "figure.dpi": 100, "savefig.dpi": 200, "font.size": 9, "axes.titlesize": 9, "axes.labelsize": 9,
    "legend.fontsize": 8, "legend.frameon": False, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.color": "#E6E6E6", "grid.linewidth": 0.6, "lines.linewidth": 1.3, "lines.markersize": 4.5,
    "errorbar.capsize": 0, "axes.axisbelow": True, "xtick.minor.visible": False,
})


def colour(index):
    return COLOURS[index % len(COLOURS)]


def marker(index):
    """A second round of colours has other markers."""
    return MARKERS[(index + index // len(COLOURS)) % len(MARKERS)]


def grid(rows, columns, width=3.4, height=2.7, **options):
    """A figure of panels, sizes in inches for one panel, with room for heading and footer."""
    figure, axes = plt.subplots(rows, columns, figsize=(width * columns + 0.4, height * rows + 1.1), squeeze=False,
                                layout="constrained", **options)
    return figure, axes


def networks_of(data):
    """'256 networks a cell', or a range, from the counts of the result; what is counted says its attribute `counted`."""
    counts = [data[name].values.ravel() for name in data.data_vars if name.endswith("_count")]
    counts = np.concatenate(counts) if counts else np.array([])
    counts = counts[np.isfinite(counts) & (counts > 0)]
    if counts.size == 0:
        return ""
    low, high = int(counts.min()), int(counts.max())
    counted = data.attrs.get("counted", "networks")
    return f"{low} {counted} a cell" if low == high else f"{low} to {high} {counted} a cell"


def finish(figure, data, heading, path, key=()):
    """Heading (what is drawn; network, data law, number of networks), key and conventions below, and the file."""
    width, height = figure.get_size_inches()
    words = (data.attrs.get("title", ""), data.attrs.get("data", ""), networks_of(data))
    subject = "; ".join(filter(None, map(str, words)))
    figure.suptitle(f"{heading}\n{textwrap.fill(subject, int(width * 12.5))}", fontsize=10, linespacing=1.4)
    conventions = textwrap.fill(str(data.attrs.get("conventions", "")), int(width * 18.5))
    footer = 0.13 * len(conventions.splitlines()) + 0.08  # inches
    figure.text(0.01, 0.04 / height, conventions, fontsize=7, color="#444444", va="bottom", linespacing=1.3)
    if key:
        longest = 0.065 * max(len(str(handle.get_label())) for handle in key) + 0.6  # inches
        columns = max(1, min(len(key), int(width / longest)))
        figure.legend(handles=key, loc="lower center", bbox_to_anchor=(0.5, footer / height), ncols=columns)
        footer += 0.17 * -(-len(key) // columns) + 0.12
    figure.get_layout_engine().set(rect=(0, footer / height, 1, 1 - footer / height))
    figure.savefig(path)
    plt.close(figure)
    return path


def log_axis(axis):
    """Labels at the decades; over less than two decades, at 1, 2 and 5 as well. Call it when the limits are final."""
    low, high = axis.get_view_interval()
    if high / low >= 100:
        axis.set_major_locator(matplotlib.ticker.LogLocator(numticks=12))
    else:
        axis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5), numticks=12))
        axis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(matplotlib.ticker.NullFormatter())
