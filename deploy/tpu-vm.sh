#!/usr/bin/env bash
# One training run on Cloud TPU VMs: the same command on every host of one slice, or of several (Multislice).
#
#   export ZONE=us-east5-a TYPE=v5litepod-64 RUNTIME=v2-alpha-tpuv5-lite SLICES=2
#   deploy/tpu-vm.sh create NAME [--spot ...]     ask for the slices (a queued resource); more options go to gcloud
#   deploy/tpu-vm.sh state NAME                   whether they are there
#   deploy/tpu-vm.sh install NAME ADDRESS         Palmetto into ~/palmetto everywhere; a wheel's file:// or https://
#   deploy/tpu-vm.sh train NAME palm_8b --corpus /shared/corpus --out /shared/runs/palm_8b
#   deploy/tpu-vm.sh delete NAME                  give the slices back
#
# Every host must see the same folders (/shared: an NFS server) and have Python 3.11 or later (PYTHON names it). JAX
# learns from the metadata of the machines who the others are, also those of the other slices of the queued resource.
# Slices that were made one by one need on each of their hosts what Multislice would tell them: see deploy/README.md.
#
# Where the machines are taken away (Spot, maintenance) the run saves on SIGTERM; `train` again goes on from there.
# NOT RUN: no TPU was at hand. The options are those of gcloud's reference; checked is what gcloud is called with.
set -euo pipefail

if [ $# -lt 2 ]; then
  sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
action="$1" name="$2"
shift 2
: "${ZONE:?set ZONE to the zone of the TPUs}"
slices="${SLICES:-1}"
tpus=(gcloud compute tpus)

# Run one command on every host of every slice.
everywhere() {
  if [ "$slices" -gt 1 ]; then
    "${tpus[@]}" queued-resources ssh "$name" --zone="$ZONE" --node=all --worker=all --command="$1"
  else
    "${tpus[@]}" tpu-vm ssh "$name" --zone="$ZONE" --worker=all --command="$1"
  fi
}

case "$action" in
create)
  : "${TYPE:?set TYPE to the accelerator, such as v5litepod-64}" "${RUNTIME:?set RUNTIME to the software version}"
  nodes=(--node-id="$name")
  if [ "$slices" -gt 1 ]; then
    nodes=(--node-count="$slices" --node-prefix="$name")
  fi
  "${tpus[@]}" queued-resources create "$name" --zone="$ZONE" --accelerator-type="$TYPE" \
    --runtime-version="$RUNTIME" "${nodes[@]}" "$@"
  ;;
state)
  "${tpus[@]}" queued-resources describe "$name" --zone="$ZONE" --format="value(state.state)"
  ;;
install)
  package="$(printf '%q' "palmetto[tpu] @ $1")"
  everywhere "${PYTHON:-python3} -m venv palmetto && palmetto/bin/pip install --quiet $package"
  ;;
train)
  everywhere "palmetto/bin/palmetto train$(printf ' %q' "$@")"
  ;;
delete)
  "${tpus[@]}" queued-resources delete "$name" --zone="$ZONE" --force
  ;;
*)
  echo "tpu-vm.sh: no such action: $action" >&2
  exit 2
  ;;
esac
