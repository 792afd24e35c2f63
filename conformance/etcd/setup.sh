#!/usr/bin/env bash
# setup.sh: builds etcd's own test suites, tests/common and tests/e2e, from the Go module proxy into target/etcd-harness.
#
#   ref-bin/    the real etcd, etcdctl, etcdutl (from tools.sh) and the previous release as etcd-last-release
#   src/        etcd's tests module, made to stand alone
#   testbin/    the compiled suites
#
# Uses the harness that is already there when its stamp (the versions and this script) fits. From nothing it takes about five
# minutes on two cores and 2 GB of module cache. The suites run against any binary: see run.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=versions
source "$here/versions"
target=${TARGET:-$root/target}
out=${1:-$target/etcd-harness}
stamp="$(cat "$here/versions" "$here/setup.sh" | sha256sum | cut -d' ' -f1)"

complete() {
    [ "$(cat "$out/.stamp" 2>/dev/null)" = "$stamp" ] && [ -x "$out/testbin/common.test" ] && [ -x "$out/testbin/e2e.test" ] && [ -x "$out/ref-bin/etcd" ]
}
complete && exit 0
"$here/tools.sh"
tools=$(cd "$target/etcd-tools" && pwd)

export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS="-mod=mod -buildvcs=false" GOWORK=off
mkdir -p "$out"
out=$(cd "$out" && pwd)
exec 9>"$out/.lock"
flock 9
complete && exit 0
rm -rf "$out/.stamp" "$out/src" "$out/testbin" "$out/ref-bin" "$out/build"
mkdir -p "$out/testbin" "$out/ref-bin" "$out/build"

say() { printf 'etcd-harness: %s\n' "$*" >&2; }
module_dir() { (cd "$out/build" && go mod download -json "$1") | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p'; }

for name in etcd etcdctl etcdutl; do cp "$tools/$name" "$out/ref-bin/$name"; done

say "building the previous release $ETCD_PREVIOUS_VERSION"
cd "$out/build"
printf 'module previous\n\ngo %s.0\n' "$GO_VERSION_MIN" > go.mod
printf '//go:build tools\n\npackage tools\n\nimport _ "go.etcd.io/etcd/server/v3"\n' > tools.go
go get "go.etcd.io/etcd/server/v3@$ETCD_PREVIOUS_VERSION" 2>go-get.log || { cat go-get.log >&2; exit 1; }
go build -o "$out/ref-bin/etcd-last-release" go.etcd.io/etcd/server/v3

say "building etcd's tests $ETCD_VERSION"
cp -r "$(module_dir "go.etcd.io/etcd/tests/v3@$ETCD_VERSION")" "$out/src"
chmod -R u+w "$out/src"
# TestEtcdExampleConfig reads ../../etcd.conf.yml.sample, which lives in the root module.
cp "$(module_dir "go.etcd.io/etcd/v3@$ETCD_ROOT_MODULE_VERSION")/etcd.conf.yml.sample" "$out/"
chmod u+w "$out/etcd.conf.yml.sample"
cd "$out/src"
for module in api/v3 cache/v3 client/pkg/v3 client/v3 etcdctl/v3 etcdutl/v3 pkg/v3 server/v3; do
    go mod edit -dropreplace "go.etcd.io/etcd/$module"
done
# cache/v3 is not on the proxy; one integration test alone uses it, and the integration suite is not ours to run.
go mod edit -droprequire go.etcd.io/etcd/cache/v3
rm -f integration/cache_test.go
sed -i '/^toolchain/d' go.mod
go test -c -tags e2e -o "$out/testbin/common.test" ./common
go test -c -tags e2e -o "$out/testbin/e2e.test" ./e2e

rm -rf "$out/build"
echo "$stamp" > "$out/.stamp"
say "ready in $out"
