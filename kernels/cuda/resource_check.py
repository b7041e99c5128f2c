#!/usr/bin/env python3
"""Holds what the assembler says of each kernel against resource_budget.txt.

usage: resource_check.py BUDGET FOLDER...    FOLDER is searched for the *.resources that a build leaves

A budget line is `KERNEL  MAX_REGISTERS  MAX_STACK_BYTES`, KERNEL a prefix of the demangled name without namespaces; the
longest prefix that fits counts. Spills are never allowed. Kernels without a line and lines without a kernel are errors.
"""
import pathlib
import re
import subprocess
import sys


def read_budget(path):
    budget = {}
    for line in pathlib.Path(path).read_text().splitlines():
        line = line.split("#")[0].rstrip()
        if line:
            name, registers, stack = line.rsplit(None, 2)
            budget[name.strip()] = (int(registers), int(stack))
    return budget


def plain_name(mangled):
    name = subprocess.run(["c++filt", mangled], capture_output=True, text=True, check=True).stdout.strip()
    name = re.sub(r"\(anonymous namespace\)::|widelab::cuda::|widelab::|\(widelab::InitKind\)", "", name)
    return re.sub(r"^void ", "", name).split("(")[0]


def kernels(folders):
    for folder in folders:
        for path in sorted(pathlib.Path(folder).rglob("*.resources")):
            name = None
            spills = stack = 0
            for line in path.read_text().splitlines():
                if match := re.search(r"Compiling entry function '(\S+)' for '(\S+)'", line):
                    name = plain_name(match[1])
                elif match := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill \S+, (\d+) bytes spill", line):
                    stack, spills = int(match[1]), int(match[2]) + int(match[3])
                elif (match := re.search(r"Used (\d+) registers", line)) and name:
                    yield name, int(match[1]), stack, spills
                    name = None


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    budget = read_budget(sys.argv[1])
    used, errors, count = set(), [], 0
    for name, registers, stack, spills in kernels(sys.argv[2:]):
        count += 1
        line = max((key for key in budget if name.startswith(key)), key=len, default=None)
        if line is None:
            errors.append(f"{name}: no line in the budget ({registers} registers, {stack} bytes of stack)")
            continue
        used.add(line)
        if spills:
            errors.append(f"{name}: {spills} bytes of spills")
        if registers > budget[line][0]:
            errors.append(f"{name}: {registers} registers, budget {budget[line][0]}")
        if stack > budget[line][1]:
            errors.append(f"{name}: {stack} bytes of stack, budget {budget[line][1]}")
    errors += [f"{line}: a budget line without a kernel" for line in budget if line not in used]
    if count == 0:
        errors.append("no kernels found: build widelab_cuda first")
    print("\n".join(errors))
    print(f"{count} kernels, {len(errors)} over budget")
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
