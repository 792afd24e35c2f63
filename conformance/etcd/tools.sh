#!/usr/bin/env bash
# tools.sh: builds the real etcd and its tools from their Go modules: target/etcd-tools/{etcd,etcdctl,etcdutl,benchmark}.
#
# This is what `make test` and `make bench` need of Go; etcd's own test suites need setup.sh as well. Nothing comes from a
# git checkout: the module proxy has every byte and the checksum database vouches for it. A second call costs milliseconds:
# the stamp holds the versions and this script's own hash, and anything else rebuilds. No toolchain is ever downloaded.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=versions
source "$here/versions"
target=${TARGET:-$root/target}
out=$target/etcd-tools
stamp="$(cat "$here/versions" "$here/tools.sh" | sha256sum | cut -d' ' -f1)"

complete() {
    [ "$(cat "$out/.stamp" 2>/dev/null)" = "$stamp" ] && [ -x "$out/etcd" ] && [ -x "$out/etcdctl" ] && [ -x "$out/etcdutl" ] && [ -x "$out/benchmark" ]
}
complete && exit 0

next="install Go $GO_VERSION_MIN or newer from https://go.dev/dl (unpack into /usr/local, add /usr/local/go/bin to PATH)"
export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS="-mod=mod -buildvcs=false" GOWORK=off
command -v go >/dev/null || { printf 'tools.sh: Go is not installed; the real etcd is built with it\n  next: %s\n' "$next" >&2; exit 1; }
have=$(go version | cut -d' ' -f3); have=${have#go}
[ "$(printf '%s\n%s\n' "$have" "$GO_VERSION_MIN" | sort -V | head -n 1)" = "$GO_VERSION_MIN" ] ||
    { printf 'tools.sh: Go %s is too old; etcd %s needs %s\n  next: %s\n' "$have" "$ETCD_VERSION" "$GO_VERSION_MIN" "$next" >&2; exit 1; }

mkdir -p "$out"
out=$(cd "$out" && pwd)
exec 9>"$out/.lock"
flock 9
complete && exit 0
rm -f "$out/.stamp"

say() { printf 'etcd-tools: %s\n' "$*" >&2; }
module_dir() { go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p'; }

say "building etcd, etcdctl and etcdutl $ETCD_VERSION (about two minutes when nothing is cached)"
build=$out/build
rm -rf "$build" && mkdir -p "$build"
cd "$build"
printf 'module reference\n\ngo %s.0\n' "$GO_VERSION_MIN" > go.mod
cat > tools.go <<'GO'
//go:build tools

package tools

import (
	_ "go.etcd.io/etcd/etcdctl/v3"
	_ "go.etcd.io/etcd/etcdutl/v3"
	_ "go.etcd.io/etcd/server/v3"
)
GO
go get "go.etcd.io/etcd/server/v3@$ETCD_VERSION" "go.etcd.io/etcd/etcdctl/v3@$ETCD_VERSION" "go.etcd.io/etcd/etcdutl/v3@$ETCD_VERSION" 2>go-get.log ||
    { cat go-get.log >&2; exit 1; }
go build -o "$out/etcd" go.etcd.io/etcd/server/v3
go build -o "$out/etcdctl" go.etcd.io/etcd/etcdctl/v3
go build -o "$out/etcdutl" go.etcd.io/etcd/etcdutl/v3

say "building etcd's benchmark tool from the root module $ETCD_ROOT_MODULE_VERSION"
source_dir=$(module_dir "go.etcd.io/etcd/v3@$ETCD_ROOT_MODULE_VERSION")
rm -rf "$build/root" && mkdir "$build/root"
cp -r "$source_dir/tools" "$source_dir/go.mod" "$source_dir/go.sum" "$build/root/"
chmod -R u+w "$build/root"
cd "$build/root"
# The module points at its neighbours in a git checkout; the same versions are on the proxy.
sed -n 's|^\t*\(replace \)*\(go.etcd.io/[^ ]*\)\( v[^ ]*\)* => \./.*|\2|p' go.mod | while read -r module; do go mod edit -dropreplace "$module"; done
sed -i '/^toolchain/d' go.mod
go build -o "$out/benchmark" ./tools/benchmark

cd "$out" && rm -rf "$build"
echo "$stamp" > "$out/.stamp"
say "ready in $out"
