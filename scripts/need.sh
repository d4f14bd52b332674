#!/usr/bin/env bash
# Sees to it that what a step needs is on the machine: `need.sh build`, `need.sh test` or
# `need.sh bench`.
# Installs what Debian's packages have when it may (root or sudo); otherwise prints the one
# command to type and stops before anything is half-built.
set -euo pipefail

step=${1:?usage: need.sh build|test|bench}
packages=()
missing=()

# need COMMAND PACKAGE: the package is wanted unless the command is there.
need() { command -v "$1" >/dev/null 2>&1 || packages+=("$2"); }

# at_least HAVE WANT: whether dotted version HAVE is WANT or newer.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# room GIB: so much is free on the disk, for a first build. When a disk is full, linkers end with
# signals that say nothing of it.
room() {
    [ ! -e target ] || return 0
    local free
    free=$(df --output=avail -BM . 2>/dev/null | tail -n 1 | tr -dc 0-9) || return 0
    if [ "$free" -lt $(($1 * 1024)) ]; then
        echo "need: this disk has $free MiB free, a first build needs $1 GiB; make room and try again" >&2
        exit 1
    fi
}

case "$step" in
build) room 3 ;;
test) room 6 ;;
esac

need cc gcc
need make make
need git git
[ -e /usr/include/stdlib.h ] || packages+=(libc6-dev)
# The resolver of certificates and package registries.
[ -e /etc/ssl/certs/ca-certificates.crt ] || packages+=(ca-certificates)

if [ "$step" = test ]; then
    need chromium chromium
    need firefox-esr firefox-esr
    need timeout coreutils
    need turnutils_uclient coturn
    need openssl openssl
fi

if [ "$step" = bench ]; then
    need janus janus
    need ip iproute2
    need taskset util-linux
fi

if [ ${#packages[@]} -gt 0 ]; then
    install="apt-get install -y --no-install-recommends ${packages[*]}"
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "need: missing: ${packages[*]} (names of Debian's packages); install them and try again" >&2
        exit 1
    elif [ "$(id -u)" = 0 ]; then
        sudo=
    elif sudo -n true 2>/dev/null; then
        sudo="sudo"
    else
        echo "need: missing packages; type: sudo $install" >&2
        exit 1
    fi
    echo "need: installing ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    $sudo apt-get update -q >/dev/null
    $sudo $install
    for service in janus coturn; do
        if [[ " ${packages[*]} " = *" $service "* ]] && [ -d /run/systemd/system ]; then
            # Only their programs are wanted; nobody asked for a service.
            $sudo systemctl disable -q --now "$service"
        fi
    done
fi

rust=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
if ! command -v cargo >/dev/null 2>&1; then
    missing+=("Rust $rust: install rustup (Debian 13: apt-get install rustup; else https://rustup.rs), then: rustup toolchain install $rust")
elif ! have=$(cargo --version 2>/dev/null | cut -d' ' -f2) || ! at_least "${have:-0}" "$rust"; then
    missing+=("Rust $rust or later (found ${have:-none that works}): rustup toolchain install $rust")
fi

node=20.19
if ! have=$(node --version 2>/dev/null) || ! at_least "${have#v}" "$node" || ! command -v npm >/dev/null 2>&1; then
    missing+=("Node.js $node or later with npm (found ${have:-none}): Debian 13 has it (apt-get install nodejs npm); else https://nodejs.org")
fi

if [ ${#missing[@]} -gt 0 ]; then
    printf 'need: missing: %s\n' "${missing[@]}" >&2
    exit 1
fi
