# shellcheck shell=bash
# Sourced by the scripts of this folder: where the tree is, what the machine has, how a preset is built.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
# Debian's xarray, netCDF4 and matplotlib are seen by this python alone.
export SYSTEM_PYTHON=/usr/bin/python3

say() { printf '\n== %s\n' "$*"; }
warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
  warn "$@"
  exit 1
}

# help_of FILE: the comment block at the top of a script, without its comment signs.
help_of() { awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$1"; }

have() { command -v "$1" >/dev/null 2>&1; }

# The toolkit's own folder is not on every PATH.
find_nvcc() {
  if have nvcc; then return 0; fi
  if [[ -x /usr/local/cuda/bin/nvcc ]]; then
    PATH=/usr/local/cuda/bin:$PATH
    export PATH
    return 0
  fi
  return 1
}

# A driver without a device prints nothing or an error; only a line "GPU 0: ..." counts.
gpu_visible() { have nvidia-smi && nvidia-smi -L 2>/dev/null | grep -q '^GPU [0-9]'; }

# Compilers of template-heavy files take up to 1.5 GB each: no more of them than cores or memory allow.
build_jobs() {
  if [[ -n ${WIDELAB_JOBS:-} ]]; then
    echo "$WIDELAB_JOBS"
    return
  fi
  local cores memory
  cores=$(nproc)
  memory=$(awk '/^MemTotal/ { print int($2 / 1572864) }' /proc/meminfo)
  ((memory >= 1)) || memory=1
  echo $((cores < memory ? cores : memory))
}

# build_dir PRESET: the folder that CMakePresets.json gives a preset.
build_dir() { if [[ $1 == release ]]; then echo "$root/build"; else echo "$root/build-$1"; fi; }

# configure_preset PRESET [-DKEY=VALUE...]
configure_preset() {
  local preset=$1
  shift
  (cd "$root" && cmake --preset "$preset" "$@" --log-level=WARNING)
}

# build_targets PRESET [TARGET...]: all targets when none is named.
build_targets() {
  local preset=$1
  shift
  local options=()
  (($#)) && options=(--target "$@")
  cmake --build "$(build_dir "$preset")" -j "$(build_jobs)" "${options[@]}"
}

minutes() { printf '%d min %02d s' $(($1 / 60)) $(($1 % 60)); }
