#!/usr/bin/env bash
# Tests, benchmark and smoke run on one device of this machine, then a Markdown table of what came out, for
# docs/backends.md:
#
#   tests/gpu/run.sh [DEVICE [ARGUMENTS OF extracot bench]]
#
# DEVICE is a name as --device takes it (vulkan, vulkan:1, wgpu:cpu, cuda, ...), vulkan without it. PROFILE
# names the cargo profile: dev, or gpu-check, which builds faster. Once the programs are built, what fails is in
# the table, and in the exit code.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

device="${1:-vulkan}"
bench_arguments=("${@:2}")
feature="${device%%:*}"
profile="${PROFILE:-dev}"
export CARGO_TERM_COLOR=never
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/tmp}"

stop() { printf '%s\n' "$*" >&2; exit 1; }

# What a build of minutes would find out only at its end.
case "$feature" in
  vulkan | wgpu) library=libvulkan.so.1 ;;
  cuda) library=libcuda.so.1 ;;
  *) stop "device $device: tests/gpu/run.sh is for vulkan, wgpu and cuda" ;;
esac
if command -v ldconfig >/dev/null && ! ldconfig -p | grep "$library" >/dev/null; then
  stop "device $device: there is no $library here; install the driver (see docs/backends.md)"
fi

options=(--locked --profile "$profile" -p experiments -p extracot-tests --features "$feature")
folder="$profile"
[ "$profile" != dev ] || folder=debug
binaries="${CARGO_TARGET_DIR:-target}/$folder"
# As .cargo/config.toml does for cargo run: blocks are kept, not given back at every tensor.
export MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=4294967296
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
failed=0
rows=""
# A row of the table, and the exit code.
record() {
  rows+="| $1 | $2 |"$'\n'
  [ "$2" != failed ] || failed=1
}
count() { grep '^test result:' "$work/tests" | grep -o "[0-9]* $1" | awk '{n += $1} END {print n + 0}'; }

# Nothing can be told of a device without the programs.
cargo build "${options[@]}" --bins
outcome=ok
"$binaries/extracot" doctor --device "$device" | tee "$work/doctor" || outcome=failed
record doctor "$outcome"
adapter="$(sed -n "s/^ok *device *$device: \(.*\), computes$/\1/p" "$work/doctor")"

outcome=ok
EXTRACOT_TEST_DEVICE="$device" cargo test "${options[@]}" \
  --test device --test device_training \
  --test parity_decoder --test parity_longformer --test parity_roberta \
  --no-fail-fast -- --nocapture 2>&1 | tee "$work/tests" || outcome=failed
record tests "$outcome"
record "passed and failed tests" "$(count passed), $(count failed)"

outcome=ok
"$binaries/extracot" bench --parts decoder --device "$device" "${bench_arguments[@]}" \
  | tee "$work/bench" || outcome=failed
record "bench ${bench_arguments[*]}" "$outcome"

started=$SECONDS
outcome=failed
"$binaries/chrpo_ablation" --preset smoke --quiet --device "$device" --out "$work/smoke" &&
  outcome="$((SECONDS - started)) s"
record "smoke preset" "$outcome"
# The same job on the CPU, for its traces.
outcome=failed
"$binaries/chrpo_ablation" --preset smoke --quiet --out "$work/flex" && outcome=ok
record "smoke preset on the CPU" "$outcome"
outcome=no
cmp -s "$work/"{smoke,flex}/stages/traces/traces.jsonl && outcome=yes
record "traces those of the CPU" "$outcome"

driver() {
  case "$device" in
    *:cpu) dpkg-query -W -f '${Package} ${Version}' mesa-vulkan-drivers 2>/dev/null && return ;;
    *) nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null && return ;;
  esac
  vulkaninfo --summary 2>/dev/null | sed -n 's/.*driverInfo *= //p' | head -1
}

printf '\n| what | found |\n|---|---|\n'
row() { printf '| %s | %s |\n' "$1" "$2"; }
row "date, commit" "$(date -u +%F), $(git rev-parse --short HEAD 2>/dev/null || echo none)"
row "device, adapter" "\`$device\`, ${adapter:-unknown}"
row "driver" "$(driver || echo unknown)"
row "build" "profile $profile, $(rustc --version | cut -d ' ' -f 2), $(uname -sm), $(nproc) cores"
printf '%s' "$rows"
sed -n 's/.*"bench":"\([a-z_0-9]*\)".*"median_rate":\([0-9]*\).*/| \1 | \2 tokens\/s |/p' "$work/bench"
exit "$failed"
