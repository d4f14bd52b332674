#!/usr/bin/env bash
# Runs the bench in a network namespace of its own, where nothing else is and where there is an
# interface besides loopback (Janus offers no address of loopback). Where that is not allowed,
# without: then Janus is left out if it cannot be reached.
set -euo pipefail

bench=$1
shift
inside='
    ip link set lo up
    for kind in dummy ifb "veth peer name bench1"; do
        if ip link add bench0 type $kind 2>/dev/null; then break; fi
    done
    ip address add 10.99.99.1/24 dev bench0
    ip link set bench0 up
    if ip link show bench1 >/dev/null 2>&1; then ip link set bench1 up; fi
    TERTULIA_BENCH_ADDRESS=10.99.99.1 exec "$@"'
own=()
[ "$(id -u)" = 0 ] || own=(--user --map-root-user)
if unshare "${own[@]}" --net true 2>/dev/null && command -v ip >/dev/null; then
    exec unshare "${own[@]}" --net sh -euc "$inside" bench "$bench" "$@"
fi
echo "bench: no network namespace of its own is allowed here" >&2
exec "$bench" "$@"
