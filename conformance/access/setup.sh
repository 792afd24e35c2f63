#!/usr/bin/env bash
# setup.sh [python|patroni|coredns …]: fetches and builds the programs that `run` drives, all at fixed versions, under target/access.
#
#   python    the client libraries of conformance/clients, by its own setup.sh
#   patroni   Patroni and psycopg from requirements.txt in venv/; PostgreSQL as Debian has it
#   coredns   CoreDNS with its etcd plugin and little else, from its Go module; dig from Debian
#
# Each part has a stamp and costs nothing the second time. System packages are installed only when a program is missing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${TARGET:-$root/target}
mkdir -p "$target/access"
out=$(cd "$target/access" && pwd)
COREDNS_VERSION=v1.15.0

say() { printf 'access: %s\n' "$*" >&2; }
fresh() { [ "$(cat "$out/.stamp-$1" 2>/dev/null)" = "$(cat "${@:2}" "$here/setup.sh" | sha256sum)" ]; }
stamp() { cat "${@:2}" "$here/setup.sh" | sha256sum > "$out/.stamp-$1"; }

build_python() {
    "$root/tools/packages" openssl
    "$root/conformance/clients/setup.sh" python
}

# Debian makes and starts a server of its own at the installation, which nobody asked for.
install_postgresql() {
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && return
    say "installing PostgreSQL"
    local as_root=() quiet=/etc/postgresql-common/createcluster.d/only-the-programs.conf
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    "$root/tools/packages" postgresql-common
    "${as_root[@]}" mkdir -p "${quiet%/*}"
    echo 'create_main_cluster = false' | "${as_root[@]}" tee "$quiet" >/dev/null
    "$root/tools/packages" postgresql || { "${as_root[@]}" rm -f "$quiet"; exit 1; }
    "${as_root[@]}" rm -f "$quiet"
}

build_patroni() {
    "$root/tools/packages" openssl util-linux
    install_postgresql
    fresh patroni "$here/requirements.txt" && return
    say "installing Patroni"
    rm -rf "$out/venv"
    # Debian's own Python: any other may lie where the user postgres does not come.
    "$root/tools/packages" python3 python3-venv
    /usr/bin/python3 -m venv "$out/venv"
    "$out/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$here/requirements.txt"
    stamp patroni "$here/requirements.txt"
}

build_coredns() {
    "$root/tools/packages" openssl bind9-dnsutils
    fresh coredns "$here/coredns.go" && return
    say "building CoreDNS $COREDNS_VERSION with its etcd plugin (a minute or two)"
    "$root/tools/require" go
    export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS="-mod=mod -buildvcs=false" GOWORK=off
    local build=$out/coredns-build
    rm -rf "$build" && mkdir -p "$build"
    cp "$here/coredns.go" "$build/main.go"
    cd "$build"
    printf 'module coredns\n\ngo 1.26.0\n' > go.mod
    go get "github.com/coredns/coredns@$COREDNS_VERSION" 2>go-get.log || { cat go-get.log >&2; exit 1; }
    go build -trimpath -o "$out/coredns" .
    cd "$out" && rm -rf "$build"
    stamp coredns "$here/coredns.go"
}

for part in "${@:-python}"; do
    case "$part" in
        python | patroni | coredns) "build_$part" ;;
        *) say "does not know '$part'"; exit 1 ;;
    esac
done
