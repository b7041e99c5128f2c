"""Reads result.nc into observables: a mean with its standard error, its prediction and their distance."""
import dataclasses
import pathlib
import re

import numpy as np
import xarray as xr


class ResultError(Exception):
    """The result cannot be drawn; the message says what is missing and the way out."""


COMPANIONS = ("se", "count", "theory", "theory_error", "z", "reliable")


@dataclasses.dataclass
class Observable:
    """One observable and its companions; a companion that the result lacks is full of NaN (reliable: of 1)."""

    name: str
    mean: xr.DataArray
    se: xr.DataArray
    count: xr.DataArray
    theory: xr.DataArray
    theory_error: xr.DataArray
    z: xr.DataArray
    reliable: xr.DataArray

    @property
    def prediction(self):
        return str(self.mean.attrs.get("prediction", ""))

    @property
    def description(self):
        return str(self.mean.attrs.get("description", self.name))

    @property
    def against_limit(self):
        """Whether the prediction is the infinite-width limit, from which a finite network must differ."""
        return "limit" in self.prediction

    def at(self, **where):
        """The observable with some dimensions fixed; names that it lacks are ignored."""
        where = {dim: value for dim, value in where.items() if dim in self.mean.dims}
        return self.each(lambda array: array.sel(where))

    def entry(self, index):
        """One entry of the kernel, by its position along `pair`."""
        return self.each(lambda array: array.isel(pair=index))

    def each(self, change):
        return Observable(self.name, *(change(getattr(self, field)) for field in ("mean",) + COMPANIONS))


def load(run):
    """The dataset of a run folder, with one dimension for each swept quantity."""
    path = pathlib.Path(run) / "result.nc"
    if not path.is_file():
        raise ResultError(f"{path} does not exist: `widelab run` writes it, `widelab summarise {run}` rebuilds it")
    try:
        with xr.open_dataset(path) as data:
            data = data.load()
    except (OSError, ValueError) as error:
        raise ResultError(f"{path} cannot be read ({error}); `widelab summarise {run}` rebuilds it") from error
    return unstack_cells(data)


def unstack_cells(data):
    """Sweeps that are no full product are stored along `cell`, labelled "activation=relu,depth=3,width=64": the swept
    names become dimensions, with NaN where there is no cell."""
    if "cell" not in data.dims:
        return data
    cells = [dict(part.split("=", 1) for part in str(label).split(",") if "=" in part) for label in data["cell"].values]
    names = sorted(set().union(*cells))
    if not names or any(sorted(cell) != names for cell in cells):
        return data
    coordinates = {name: ("cell", numbers_if_possible([cell[name] for cell in cells])) for name in names}
    data = data.map(lambda array: array.astype(float) if array.dtype.kind in "iu" else array, keep_attrs=True)
    return data.drop_vars("cell").assign_coords(coordinates).set_index(cell=names).unstack("cell")


def numbers_if_possible(texts):
    try:
        return np.array([float(text) for text in texts])
    except ValueError:
        return np.array(texts)


def like(mean, stored, otherwise):
    """`stored` in the shape of `mean`, or a constant where there is none."""
    if stored is None:
        return xr.full_like(mean, otherwise, dtype=float)
    return stored.astype(float).broadcast_like(mean).transpose(*mean.dims)


def observable(data, name):
    """The observable `name`, or None."""
    if name not in data:
        return None
    mean = data[name]
    fields = {}
    for suffix in COMPANIONS[:-1]:
        fields[suffix] = like(mean, data.get(f"{name}_{suffix}"), np.nan)
    fields["reliable"] = like(mean, data.get("ratio_is_reliable") if name.endswith("_ratio") else None, 1.0)
    return Observable(name, mean.astype(float), **fields)


def fit_of(data, name, where):
    """Numbers of the fit A n^-p (1 + b/n) of an observable over width, by name; empty where there is none."""
    if f"{name}_fit" not in data:
        return {}
    fit = data[f"{name}_fit"]
    fit = fit.sel({dim: value for dim, value in where.items() if dim in fit.dims})
    if fit.dims != ("fit_number",) or not np.isfinite(fit.sel(fit_number="p").item()):
        return {}
    return {str(key): fit.sel(fit_number=key).item() for key in fit["fit_number"].values}


def observables(data):
    """All observables: variables with a standard error."""
    found = (observable(data, name) for name in data.data_vars if f"{name}_se" in data)
    return [one for one in found if one is not None]


def values(data, dim):
    return list(data[dim].values) if dim in data.coords else list(range(data.sizes[dim]))


def describe(dim, value):
    """A coordinate in words: depth 3 -> 'L = 3'."""
    if isinstance(value, (float, np.floating)):
        value = f"{value:g}"
    symbols = {"depth": "L", "width": "n", "outputs": "k"}
    if dim in symbols:
        return f"{symbols[dim]} = {value}"
    return str(value) if dim in ("activation", "law", "parametrization") else f"{dim} {value}"


def combinations(array, skipped):
    """Every selection over the dimensions of `array` not in `skipped`: a list of dicts dim -> value, at least one."""
    selections = [{}]
    for dim in array.dims:
        if dim not in skipped:
            selections = [{**one, dim: value} for one in selections for value in values(array, dim)]
    return selections


def filled_combinations(array, skipped):
    """The same, without those for which the array holds no number: sweeps that are no full product leave gaps."""
    return [where for where in combinations(array, skipped) if np.isfinite(array.sel(where)).any()]


def pair_members(array):
    """The two input numbers of each entry of `pair`, labelled "0,1"; None where the labels are others."""
    members = [re.findall(r"\d+", str(label)) for label in values(array, "pair")]
    if all(len(member) == 2 for member in members):
        return [(int(a), int(b)) for a, b in members]
    return None


def representative_pairs(array):
    """One pair of equal and one of different inputs: [(index, label)]."""
    if "pair" not in array.dims:
        return [(None, "")]
    members = pair_members(array)
    if members is None:
        return [(0, f"pair {values(array, 'pair')[0]}")]
    equal = [k for k, (a, b) in enumerate(members) if a == b]
    different = [k for k, (a, b) in enumerate(members) if a != b]
    return [(index[0], label) for index, label in ((equal, "x = x'"), (different, "x ≠ x'")) if index]
