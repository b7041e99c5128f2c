#!/usr/bin/python3
"""usage: layer_check.py [ROOT]

Holds the tree against ARCHITECTURE.md, section 2: who may include whom, where heavy and device headers stand, which
folders exist, how long a file may be. Prints one line per violation, file:line: rule; exit code 1 if there is any.
"""
import fnmatch
import os
import pathlib
import re
import sys

MAX_LINES = 500
SOURCE_FOLDERS = ("include", "kernels", "host", "tests", "bench")
TOP_FOLDERS = set(SOURCE_FOLDERS) | {"tools", ".ci"}
TOP_FILES = {"CMakeLists.txt", "CMakePresets.json", "README.md", "ARCHITECTURE.md", "LICENSE", "CONTRIBUTING.md",
             "CHANGELOG.md"}
CODE_SUFFIXES = {".hpp", ".cpp", ".cu", ".cuh", ".h", ".c", ".py", ".sh", ".cmake"}
INCLUDING_SUFFIXES = {".hpp", ".cpp", ".cu", ".cuh", ".h", ".c"}

PUBLIC = {"base", "math", "rng", "model", "plan", "ops"}
KERNELS = {"kernels/" + name for name in ("reference", "shared", "cpu", "cuda", "unavailable")}
HOST = {"host/" + name for name in ("runtime", "engine", "estimators", "theory", "data", "experiments", "io", "cli")}

# Layer -> the layers that it may include besides itself. The order is transitive (experiments stand on estimators,
# which stand on the engine, which stands on the runtime), but kernels are seen by the runtime alone.
ALLOWED = {
    "base": set(),
    "math": {"base"},
    "rng": {"base"},
    "model": {"base", "math", "rng"},
    "plan": {"base", "math", "rng", "model"},
    "ops": {"base", "math", "rng", "model", "plan"},
    "kernels/reference": PUBLIC,
    "kernels/shared": PUBLIC,
    "kernels/cpu": PUBLIC | {"kernels/shared"},
    "kernels/cuda": PUBLIC | {"kernels/shared"},
    "kernels/unavailable": PUBLIC | {"kernels/cuda"},  # the declarations that it stands in for
    "host/theory": {"base", "math", "rng", "model"},
    "host/data": {"base", "math", "rng", "model"},
    "host/io": {"base"},
    "host/runtime": PUBLIC | KERNELS,
    "host/engine": PUBLIC | {"host/runtime", "host/io"},
    "host/estimators": PUBLIC | {"host/engine", "host/runtime", "host/io"},
    "host/experiments": PUBLIC | HOST - {"host/cli"},
    "host/cli": PUBLIC | HOST,
    "bench": PUBLIC | HOST,
    "tests": PUBLIC | KERNELS | HOST | {"bench"},
}

DEVICE_HEADER = re.compile(r"(cuda|cublas|cusolver|cusparse|curand|cufft|cooperative_groups|device_launch|vector_types"
                           r"|mma\.h|nvtx|cub/|thrust/|nccl)")
DEVICE_PLACES = ("kernels/cuda/", "host/runtime/", "tests/")
# Name -> pattern of the headers that one .cpp alone may include, behind our own interface.
HEAVY_HEADERS = {
    "toml++": re.compile(r"toml\+\+|toml\.hpp"),
    "CLI11": re.compile(r"CLI/"),
    "NetCDF": re.compile(r"netcdf"),
    "Boost.Odeint": re.compile(r"boost/numeric/odeint"),
}
JSON_HEADER = re.compile(r"nlohmann/")
# Pattern of a header -> the only top folder that may include it.
HOME_OF_HEADER = ((re.compile(r"Random123/"), "tests"), (re.compile(r"gtest/|gmock/"), "tests"),
                  (re.compile(r"benchmark/benchmark"), "bench"))
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
LAUNCH = re.compile(r"<<<")


def layer_of(path):
    """The layer of a path relative to the root; '' for a file of ours that is in none, None for a foreign header."""
    parts = path.split("/")
    if parts[0] == "include":
        parts = parts[1:]
    if parts[0] == "widelab":
        return parts[1] if len(parts) > 2 and parts[1] in PUBLIC else ""
    if parts[0] in ("tests", "bench"):
        return parts[0]
    if parts[0] in ("kernels", "host"):
        layer = "/".join(parts[:2])
        return layer if layer in ALLOWED else ""
    return None


class Checker:
    def __init__(self, root):
        self.root = root
        self.violations = []
        self.heavy_users = {name: [] for name in HEAVY_HEADERS}

    def report(self, path, line, rule):
        self.violations.append((path, line, rule))

    def check_top(self):
        ignored = self.ignored_patterns()
        for entry in sorted(self.root.iterdir()):
            name = entry.name
            if entry.is_dir():
                if name not in TOP_FOLDERS and name != ".git" and not any(fnmatch.fnmatch(name, p) for p in ignored):
                    self.report(name, 1, f"the top level is fixed: {' '.join(sorted(TOP_FOLDERS))}")
            elif name not in TOP_FILES and not name.startswith("."):
                self.report(name, 1, f"files at the top level: {' '.join(sorted(TOP_FILES))} and dot files")

    def ignored_patterns(self):
        try:
            lines = (self.root / ".gitignore").read_text().split()
        except OSError:
            return []
        return [line.strip("/") for line in lines if line.endswith("/")]

    def check_file(self, path):
        text = (self.root / path).read_text(errors="replace")
        lines = text.splitlines()
        if len(lines) > MAX_LINES:
            self.report(path, MAX_LINES + 1, f"{len(lines)} lines; a file has at most {MAX_LINES}: split it")
        if pathlib.PurePath(path).suffix not in INCLUDING_SUFFIXES or not path.startswith(SOURCE_FOLDERS):
            return
        layer = layer_of(path)
        if layer == "":
            self.report(path, 1, "this folder is no layer of ARCHITECTURE.md, section 2")
            return
        for number, line in enumerate(lines, 1):
            match = INCLUDE.match(line)
            if match:
                self.check_include(path, number, layer, match.group(1) == '"', match.group(2))
            elif LAUNCH.search(line.split("//")[0]) and path.startswith("kernels/") and \
                    not path.startswith("kernels/cuda/support/"):
                self.report(path, number, "kernels are launched through the wrapper in kernels/cuda/support alone")

    def check_include(self, path, number, layer, quoted, header):
        target = layer_of(header)
        if target is not None:
            if target == "":
                self.report(path, number, f"{header} is in no layer")
            elif target != layer and target not in ALLOWED[layer]:
                allowed = " ".join(sorted(ALLOWED[layer])) or "nothing but itself"
                self.report(path, number, f"{layer} must not include {target} ({header}); it may include: {allowed}")
            return
        if quoted:
            if layer not in ("tests", "bench"):
                self.report(path, number, f'"{header}": write the path from the root, such as host/io/{header}')
            return
        self.check_foreign(path, number, layer, header)

    def check_foreign(self, path, number, layer, header):
        if DEVICE_HEADER.match(header) and not path.startswith(DEVICE_PLACES):
            self.report(path, number, f"<{header}> stands under kernels/cuda and host/runtime alone")
        for pattern, home in HOME_OF_HEADER:
            if pattern.match(header) and layer != home:
                self.report(path, number, f"<{header}> is for {home}/ alone")
        if layer == "tests":
            return
        is_source = path.endswith(".cpp")
        if JSON_HEADER.match(header) and not is_source:
            self.report(path, number, f"<{header}> is heavy: include it in a .cpp, behind our interface")
        for name, pattern in HEAVY_HEADERS.items():
            if pattern.match(header):
                if not is_source:
                    self.report(path, number, f"<{header}> is heavy: include it in one .cpp, behind our interface")
                elif path not in (user for user, _ in self.heavy_users[name]):
                    self.heavy_users[name].append((path, number))

    def check_heavy(self):
        for name, users in self.heavy_users.items():
            for path, number in users[1:]:
                self.report(path, number, f"{name} is included by {users[0][0]} already, and by one .cpp alone")

    def run(self):
        self.check_top()
        for folder in sorted(TOP_FOLDERS):
            for directory, subdirectories, files in os.walk(self.root / folder):
                subdirectories.sort()
                for name in sorted(files):
                    path = pathlib.Path(directory, name)
                    if path.suffix in CODE_SUFFIXES or path.name == "CMakeLists.txt":
                        self.check_file(path.relative_to(self.root).as_posix())
        self.check_heavy()
        return self.violations


def main(arguments):
    if len(arguments) > 1 or (arguments and arguments[0] in ("-h", "--help")):
        print(__doc__.strip())
        return 2
    root = pathlib.Path(arguments[0]) if arguments else pathlib.Path(__file__).resolve().parent.parent
    if not (root / "include").is_dir() and not (root / "host").is_dir():
        print(f"layer_check.py: {root} has neither include/ nor host/: not a widelab tree", file=sys.stderr)
        return 2
    violations = Checker(root).run()
    for path, line, rule in violations:
        print(f"{path}:{line}: {rule}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
