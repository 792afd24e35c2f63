#!/usr/bin/env bash
# setup.sh [clientv3|stepca …]: builds programs from their Go modules into target/pki-tools, at fixed versions.
#
#   clientv3   clientv3.go with etcd's own Go client, of the etcd that conformance/etcd/versions names
#   stepca     smallstep's step-ca and step
#
# Half a minute and two to four minutes the first time; a second call costs milliseconds: each part has a stamp.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=../etcd/versions
source "$here/../etcd/versions"
target=${TARGET:-$root/target}
mkdir -p "$target/pki-tools"
out=$(cd "$target/pki-tools" && pwd)
STEP_VERSION=v0.21.0
STEP_CA_VERSION=v0.30.2
export GOTOOLCHAIN=local CGO_ENABLED=0 GOWORK=off

say() { printf 'certificates: %s\n' "$*" >&2; }
fresh() { [ "$(cat "$out/.stamp-$1" 2>/dev/null)" = "$(cat "${@:2}" "$here/setup.sh" | sha256sum)" ]; }
stamp() { cat "${@:2}" "$here/setup.sh" | sha256sum > "$out/.stamp-$1"; }

build_clientv3() {
    local of=("$here/clientv3.go" "$here/../etcd/versions")
    fresh clientv3 "${of[@]}" && [ -x "$out/clientv3" ] && return
    say "building a program with etcd's Go client $ETCD_VERSION (half a minute)"
    "$root/tools/require" go
    local build=$out/clientv3-build
    rm -rf "$build" && mkdir -p "$build"
    cp "$here/clientv3.go" "$build/main.go"
    cd "$build"
    printf 'module clientv3\n\ngo %s.0\n' "$GO_VERSION_MIN" > go.mod
    export GOFLAGS="-mod=mod -buildvcs=false"
    go get "go.etcd.io/etcd/client/v3@$ETCD_VERSION" 2>go-get.log || { cat go-get.log >&2; exit 1; }
    go build -trimpath -o "$out/clientv3" .
    cd "$out" && rm -rf "$build"
    stamp clientv3 "${of[@]}"
}

build_stepca() {
    fresh stepca && [ -x "$out/step" ] && [ -x "$out/step-ca" ] && return
    say "building step-ca and step (two to four minutes)"
    "$root/tools/require" go
    cd "$out"
    GOBIN=$out go install "github.com/smallstep/cli/cmd/step@$STEP_VERSION" 2>step.log || { tail -n 5 step.log >&2; exit 1; }
    GOBIN=$out go install "github.com/smallstep/certificates/cmd/step-ca@$STEP_CA_VERSION" 2>step-ca.log || { tail -n 5 step-ca.log >&2; exit 1; }
    rm -f step.log step-ca.log
    stamp stepca
}

for part in "${@:-clientv3}"; do
    case "$part" in
        clientv3 | stepca) "build_$part" ;;
        *) say "does not know '$part'"; exit 1 ;;
    esac
done
