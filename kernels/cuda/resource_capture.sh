#!/bin/sh
# resource_capture.sh COMPILER ARGUMENTS...: runs the compiler, keeps what the assembler says of each kernel's resources
# in OBJECT.resources, and passes everything else it says on.
object=
previous=
for argument in "$@"; do
  [ "$previous" = "-o" ] && object=$argument
  previous=$argument
done
[ -n "$object" ] || exec "$@"
said=$(mktemp) || exit 1
trap 'rm -f "$said"' EXIT
"$@" 2>"$said"
status=$?
grep -E '^ptxas info|bytes stack frame' "$said" >"$object.resources"
grep -vE '^ptxas info|bytes stack frame' "$said" >&2
exit $status
