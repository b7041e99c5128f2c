"""Makes the tables of bench/ from what the benchmarks wrote.

--raw DIR: ops.jsonl, normal.json (Google Benchmark) and duels.json of a run, as far as they are there; they are kept as
baselines/<device>/{ops.jsonl,duels.json}. Then, for every device, one Markdown file for each op, and, with --readme,
the summary between the markers of that file.
"""
import argparse
import json
import os
import re

BEGIN, END = "<!-- bench table: begin, written by tools/bench -->", "<!-- bench table: end -->"
DEVICE_ROWS = ("K1 (NTK, n=4096, N=512, E=64), K2 (NTK, n=1e5, N=1024), K4 (law-exact, n=1e6, N=1024), "
               "training S1-S4, M1-M3, W1-W4, X1")


# ---- numbers

def time_text(seconds):
    for unit, scale in (("s", 1), ("ms", 1e3), ("us", 1e6)):
        if seconds * scale >= 1 or unit == "us":
            return f"{seconds * scale:.3g} {unit}"


def spread_text(summary, form=time_text):
    return f"{form(summary['median'])} ({form(summary['min'])} .. {form(summary['max'])})" if summary else ""


def ratio_text(value):
    return f"{value:.3g}"


def goal_text(goal, summary):
    """A goal is met when the lower quartile meets it."""
    if not goal or not summary:
        return ""
    return f"{goal:g}: {'met' if summary['lower_quartile'] >= goal else 'missed'}"


def ratio_cells(summary, goal):
    """Median and range, lower quartile, goal."""
    if not summary:
        return ["", "", ""]
    return [spread_text(summary, ratio_text), ratio_text(summary["lower_quartile"]), goal_text(goal, summary)]


def error_text(row):
    return f"{row['error']:.1e}" if "error" in row else ""


def markdown(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]


# ---- files

def read_lines(path):
    if not os.path.exists(path):
        return []
    with open(path) as file:
        return [json.loads(line) for line in file if line.strip()]


def read_json(path):
    if not os.path.exists(path):
        return None
    with open(path) as file:
        return json.load(file)


def write_text(path, lines):
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")


def slug(device, threads):
    words = re.sub(r"\((r|tm)\)", "", device.lower())
    return re.sub(r"[^a-z0-9]+", "-", words).strip("-") + (f"-{threads}-threads" if threads else "")


def micro_rows(path, machine, date, quick):
    """Rows of Google Benchmark's file: rates of one thread. Its own header names the machine and is dropped."""
    record = read_json(path)
    return [{"op": "normal", "shape": f"one thread: {b['name']}", "date": date, "machine": machine, "quick": quick,
             "seconds": None, "floor_seconds": None, "floor_over_time": None, "note": "",
             "rates": {"M/s": b["items_per_second"] * 1e-6}} for b in (record or {}).get("benchmarks", [])]


def keep(raw, baselines):
    """Copies a run's results to the folder of its device; ops and duels that did not run keep what they have there."""
    rows, duels = read_lines(os.path.join(raw, "ops.jsonl")), read_json(os.path.join(raw, "duels.json"))
    if rows:
        first = rows[0]
        rows += micro_rows(os.path.join(raw, "normal.json"), first["machine"], first["date"], first["quick"])
        machine = first["machine"]
        folder = device_folder(baselines, machine["device"], machine["threads"] if machine["kind"] == "cpu" else 0)
        path, measured = os.path.join(folder, "ops.jsonl"), {row["op"] for row in rows}
        rows = [row for row in read_lines(path) if row["op"] not in measured] + rows
        write_text(path, [json.dumps(row) for row in rows])
    if duels:
        on_cpu = duels["device"] == duels["cpu"]
        folder = device_folder(baselines, duels["device"], duels["threads"] if on_cpu else 0)
        path = os.path.join(folder, "duels.json")
        fought = {duel_key(duel) for duel in duels["duels"]}
        earlier = [{"date": record["date"], **duel} for record in [read_json(path)] if record
                   for duel in record["duels"] if duel_key(duel) not in fought]
        write_text(path, [json.dumps({**duels, "duels": earlier + duels["duels"]}, indent=1)])


def device_folder(baselines, device, threads):
    folder = os.path.join(baselines, slug(device, threads))
    os.makedirs(folder, exist_ok=True)
    return folder


# ---- tables

def op_table(rows):
    header = ["shape", "time, median (range)", "floor", "floor/time (range)", "lower quartile", "goal", "error",
              "rates", "note"]
    body = []
    for row in rows:
        rates = ", ".join(f"{value:.3g} {name}" for name, value in row.get("rates", {}).items())
        floor = time_text(row["floor_seconds"]["median"]) if row["floor_seconds"] else ""
        body.append([row["shape"], spread_text(row["seconds"]), floor,
                     *ratio_cells(row["floor_over_time"], row.get("goal")), error_text(row), rates, row["note"]])
    return markdown(header, body)


def size_text(size):
    if "groups" in size:
        widths, members = ([str(group[key]) for group in size["groups"]] for key in ("n", "members"))
        return (f"n={'/'.join(widths)} H={size['H']} d={size['d']} k={size['k']} B={size['B']} E={'+'.join(members)}"
                f" {size['steps']} steps")
    if "relative_ridge" in size:
        sizes = f"N={size['step']}..{size['step'] * size['count']} ({size['count']} sizes)"
        return f"n={size['n']} d={size['d']} {sizes} relative ridge {size['relative_ridge']:.0e}"
    if "H" in size:
        found = f" {size['count']} values, residual {size['tolerance']:.0e}" if "tolerance" in size else ""
        return f"N={size['N']} n={size['n']} H={size['H']} d={size['d']} k={size['k']}{found}"
    members = f" E={size['members']}" if size["members"] > 1 else ""
    return f"N={size['N']} n={size['n']} L={size['L']} d={size['d']}{members}"


def duel_op(duel):
    return duel.get("op", "ntk")


def duel_key(duel):
    return duel_op(duel), duel["name"]


def duel_date(duels, duel):
    return duel.get("date", duels["date"])


def duel_table(duel):
    own, floor = duel["widelab"], duel.get("floor")
    header = ["side", "version", "how", "time, median (range)", "time / widelab's (range)", "lower quartile", "goal",
              "error", "own GEMM, GF/s"]
    body = [["widelab", own["version"], own["variant"], spread_text(own["seconds"]), "1", "", "", error_text(own),
             f"{floor['gemm_rate'] * 1e-9:.3g}" if floor else ""]]
    for peer in duel["peers"]:
        others = [f"{name}: {time_text(seconds)}" for name, seconds in peer.get("variants", {}).items()
                  if name != peer["variant"]]
        how = peer["variant"] + (f" ({', '.join(others)})" if others else "")
        body.append([peer["peer"], peer["version"], how, spread_text(peer["seconds"]),
                     *ratio_cells(peer["ratio"], peer["goal"]), error_text(peer), f"{peer['gemm_rate'] * 1e-9:.3g}"])
    lines = ["", f"### {duel['name']}: {size_text(duel['size'])}", "", *markdown(header, body), ""]
    rate = f"widelab: {own['flops'] / own['seconds']['median'] * 1e-9:.3g} GF/s"
    if floor:
        ratio = duel["floor_over_time"]
        what = "its matrix products alone" if duel_op(duel) == "ntk" else "its operations at the rate of large products"
        rate += (f"; floor ({what}, in the same rounds) {time_text(floor['median'])}, floor/time "
                 f"{spread_text(ratio, ratio_text)}, lower quartile {ratio_text(ratio['lower_quartile'])}")
    lines.append(rate + ".")
    lines += [f"\nNot in the duel: {absent['peer']}: {absent['reason']}." for absent in duel["absent"]]
    return lines


def head(op, machine, dates):
    core = f", core {machine['blas_core']}" if machine.get("blas_core") else ""
    return [f"# {op} on {machine['device']}", "",
            f"Measured {', '.join(sorted(dates))}; {machine['threads']} threads; CPU {machine['cpu']}, "
            f"{machine['isa']}; {machine['blas']}{core}. OPENBLAS_CORETYPE unset on all sides.",
            "Written by `tools/bench`; what the columns mean: [bench/README.md](../../README.md).", ""]


def write_device(folder):
    """The Markdown files of one device. Returns its rows and duels."""
    rows, duels = read_lines(os.path.join(folder, "ops.jsonl")), read_json(os.path.join(folder, "duels.json"))
    duels_of = {}
    for duel in duels["duels"] if duels else []:
        duels_of.setdefault(duel_op(duel), []).append(duel)
    for op in sorted({row["op"] for row in rows} | set(duels_of)):
        mine, fought = [row for row in rows if row["op"] == op], duels_of.get(op, [])
        machine = mine[0]["machine"] if mine else duels
        dates = {row["date"] for row in mine} | {duel_date(duels, duel) for duel in fought}
        lines = head(op, machine, dates)
        if mine:
            lines += (["## Against the machine's GEMM rate", ""] if fought else []) + op_table(mine)
        if fought:
            lines += ["", "## Against peers"]
            for duel in fought:
                lines += duel_table(duel)
        write_text(os.path.join(folder, op + ".md"), lines)
    return rows, duels


def op_summary(name, rows):
    return [[name, row["date"], f"{row['op']}, {row['shape']}", time_text(row["seconds"]["median"]),
             "floor" if row["floor_over_time"] else "", *ratio_cells(row["floor_over_time"], row.get("goal")),
             error_text(row)]
            for row in rows if row["seconds"]]


def duel_summary(name, date, duel):
    what = f"{duel_op(duel)} {duel['name']}, {size_text(duel['size'])}"
    time = time_text(duel["widelab"]["seconds"]["median"])
    body = [[name, date, what, time, f"{peer['peer']} ({peer['version']})", *ratio_cells(peer["ratio"], peer["goal"]),
             error_text(peer)] for peer in duel["peers"]]
    return body + [[name, date, what, "", absent["peer"], absent["reason"], "", "", ""] for absent in duel["absent"]]


def summary(devices):
    """The README's table: every measurement, with its goal if it has one."""
    body, with_gpu = [], False
    for name, (rows, duels) in sorted(devices.items()):
        with_gpu = with_gpu or any(row["machine"]["kind"] == "cuda" for row in rows)
        body += op_summary(name, rows)
        if duels:
            with_gpu = with_gpu or duels["device"] != duels["cpu"]
            for duel in duels["duels"]:
                body += duel_summary(name, duel_date(duels, duel), duel)
    lines = markdown(["device", "date", "what", "widelab", "against", "ratio, median (range)", "lower quartile", "goal",
                      "error"], body)
    if not with_gpu:
        lines += ["", f"Device rows {DEVICE_ROWS}: not measured: no GPU."]
    return lines


def rewrite_block(path, lines):
    with open(path) as file:
        text = file.read()
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{path} has no lines '{BEGIN}' and '{END}'")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    with open(path, "w") as file:
        file.write(before + "\n".join([BEGIN, *lines, END]) + after)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raw", help="folder of a run's results")
    parser.add_argument("--baselines", required=True, help="folder of results by device")
    parser.add_argument("--readme", help="file with the summary between markers")
    options = parser.parse_args()
    if options.raw:
        keep(options.raw, options.baselines)
    devices = {}
    for name in sorted(os.listdir(options.baselines)):
        folder = os.path.join(options.baselines, name)
        if os.path.isdir(folder):
            devices[name] = write_device(folder)
    if options.readme:
        rewrite_block(options.readme, summary(devices))


if __name__ == "__main__":
    main()
