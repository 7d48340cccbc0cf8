#!/usr/bin/env bash
# Write requirements.lock anew: every wheel of requirements.txt and what those need, with the hashes of its files on
# PyPI, for all platforms and Python >= 3.11. Needs uv: pip install uv.
#
# torch and its CUDA libraries are pinned by version alone: its builds (PyPI's, the CPU build of PyTorch's index, a
# machine's own) are different files of one version, and setup takes the one that PIP_EXTRA_INDEX_URL offers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v uv >/dev/null || {
  echo "encmac: error: uv is not installed; pip install uv" >&2
  exit 2
}
scratch=$(mktemp)
trap 'rm -f "$scratch"' EXIT
uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
  --constraints <(echo "backports-strenum<1.3") requirements.txt >"$scratch" # 1.3 is for Python before 3.11 only
{
  echo "# Written by tools/lock.sh; do not edit. What setup installs with --require-hashes."
  awk '/^[a-z]/ { kept = !/^(torch|triton|nvidia-|cuda-)/ } kept' "$scratch"
} >requirements.lock.new
mv requirements.lock.new requirements.lock
