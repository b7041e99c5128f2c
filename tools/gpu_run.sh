#!/usr/bin/env bash
# usage: run [--sanitize] [FILTER]
#
# Runs the GPU test executables beside this script (bin/test_gpu_*) on this machine's GPU; with FILTER, only those
# whose name contains it. A test that finds no device fails (WIDELAB_REQUIRE_GPU=1), and zero tests run is a failure.
#
#   --sanitize    under compute-sanitizer: memcheck, racecheck, initcheck and synccheck in turn, with small shapes
#                 (WIDELAB_GPU_SMALL=1)
#
# The last line is "N passed, M failed, K skipped".
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=${WIDELAB_GPU_BIN:-$here/bin}

sanitize=0
filter=
while (($#)); do
  case $1 in
    --sanitize) sanitize=1 ;;
    -h | --help)
      awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$0"
      exit 0
      ;;
    -*)
      echo "run: unknown option '$1'; run --help lists the options" >&2
      exit 2
      ;;
    *) filter=$1 ;;
  esac
  shift
done

# cuBLAS and its kin come from the machine's own toolkit, wherever that is.
cuda_libraries() {
  local folder
  for folder in /usr/local/cuda/lib64 /usr/local/cuda-*/lib64 /usr/lib/x86_64-linux-gnu; do
    [[ -e $folder ]] && printf '%s:' "$folder"
  done
  # Toolkits installed by pip or conda lie anywhere.
  find / \( -path /proc -o -path /sys \) -prune -o \( -name 'libcublas.so.1[0-9]' -o -name 'libcusolver.so.1[0-9]' \
    -o -name 'libcurand.so.1[0-9]' -o -name 'libcusparse.so.1[0-9]' -o -name 'libnvJitLink.so.1[0-9]' \) \
    -printf '%h\n' 2>/dev/null | sort -u | paste -sd: || true
}

find_sanitizer() {
  command -v compute-sanitizer && return
  local candidate
  for candidate in /usr/local/cuda/bin/compute-sanitizer /usr/local/cuda-*/bin/compute-sanitizer; do
    if [[ -x $candidate ]]; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

passed=0 failed=0 skipped=0

# count_of WORD: n of GoogleTest's closing line "[  WORD  ] n test(s)", 0 where it is missing.
count_of() { sed -nE "s/^\[ +$1 +\] ([0-9]+) tests?[.,].*/\1/p" "$log" | tail -1 | grep . || echo 0; }

# run_one EXECUTABLE [TOOL...]
run_one() {
  local executable=$1 code=0 cases
  shift
  "$@" "$executable" 2>&1 | tee "$log" || code=$?
  cases=$(count_of FAILED)
  # A crash, or an error that only the sanitizer saw, leaves no failed case: it counts as one.
  if ((code != 0 && cases == 0)); then cases=1; fi
  failed=$((failed + cases))
  passed=$((passed + $(count_of PASSED)))
  skipped=$((skipped + $(count_of SKIPPED)))
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
export WIDELAB_REQUIRE_GPU=1
[[ -d $here/lib ]] && LD_LIBRARY_PATH=$here/lib:${LD_LIBRARY_PATH:-}
LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}:$(cuda_libraries)
export LD_LIBRARY_PATH

shopt -s nullglob
executables=("$bin"/test_gpu_*"$filter"*)
if command -v nvidia-smi >/dev/null; then nvidia-smi -L || true; fi
for executable in "${executables[@]}"; do
  if ((sanitize)); then
    export WIDELAB_GPU_SMALL=1
    sanitizer=$(find_sanitizer) || {
      echo "run: no compute-sanitizer on this machine; it comes with the CUDA toolkit" >&2
      exit 1
    }
    for tool in memcheck racecheck initcheck synccheck; do
      printf '\n== %s under %s\n' "${executable##*/}" "$tool"
      run_one "$executable" "$sanitizer" --tool "$tool" --error-exitcode 86
    done
  else
    printf '\n== %s\n' "${executable##*/}"
    run_one "$executable"
  fi
done
if ((passed + failed == 0)); then
  echo "run: no test ran: $bin holds ${#executables[@]} test executables (filter: '${filter:-none}')" >&2
  failed=1
fi
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
