#!/usr/bin/env bash
# setup.sh: builds kube-apiserver, kube-controller-manager, kube-scheduler and kubectl from their Go modules, and our load generator,
# into target/kubernetes/bin.
#
# Nothing comes from a git checkout or an image: a module of ours requires k8s.io/kubernetes and takes its 33 staging repositories at the
# version that belongs to it. The first time costs half an hour on two processors and some GB of Go's cache; a second call asks each
# program for its version, which is the stamp. A Go module has no version of its own to show, so it is given to the linker.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${TARGET:-$root/target}
KUBERNETES_VERSION=v1.37.2
STAGING_VERSION=v0.${KUBERNETES_VERSION#v1.}
PROGRAMS=(kube-apiserver kube-controller-manager kube-scheduler kubectl)

mkdir -p "$target/kubernetes/bin" "$target/kubernetes/build"
out=$(cd "$target/kubernetes" && pwd)
"$root/tools/require" go
export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOWORK=off
exec 9>"$out/.lock"
flock 9

say() { printf 'kubernetes: %s\n' "$*" >&2; }

version_of() {
    case "$1" in
        kubectl) "$out/bin/kubectl" version --client 2>/dev/null | sed -n 's/^Client Version: //p' ;;
        *) "$out/bin/$1" --version 2>/dev/null | cut -d' ' -f2 ;;
    esac
}

# One require and a replace for each staging repository are exactly the versions that Kubernetes pins; the imports stand for `go mod tidy`.
write_module() {
    local source
    source=$(go mod download -json "k8s.io/kubernetes@$KUBERNETES_VERSION" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
    {
        echo "module programs"
        sed -n 's/^go \(.*\)/go \1/p; s/^\(godebug .*\)/\1/p' "$source/go.mod"
        echo "require k8s.io/kubernetes $KUBERNETES_VERSION"
        echo "replace ("
        sed -n "s#^\s*\(k8s.io/[a-z-]*\) => ./staging/.*#\t\1 => \1 $STAGING_VERSION#p" "$source/go.mod"
        echo ")"
    } > go.mod
    {
        printf '//go:build tools\n\npackage tools\n\nimport (\n'
        printf '\t_ "k8s.io/kubernetes/cmd/%s"\n' "${PROGRAMS[@]}"
        echo ")"
    } > tools.go
}

linker_flags() {
    local minor package
    minor=$(cut -d. -f2 <<< "$KUBERNETES_VERSION")
    printf -- '-s -w'
    for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        printf -- ' -X %s.gitVersion=%s -X %s.gitMajor=1 -X %s.gitMinor=%s -X %s.gitTreeState=clean' \
            "$package" "$KUBERNETES_VERSION" "$package" "$package" "$minor" "$package"
    done
}

(cd "$here/load" && go build -trimpath -o "$out/bin/kubeload" .)
missing=()
for program in "${PROGRAMS[@]}"; do
    [ "$(version_of "$program")" = "$KUBERNETES_VERSION" ] || missing+=("$program")
done
[ ${#missing[@]} -gt 0 ] || exit 0

cd "$out/build"
write_module
for program in "${missing[@]}"; do
    say "building $program $KUBERNETES_VERSION (all four: about half an hour)"
    go build -mod=mod -trimpath -ldflags "$(linker_flags)" -o "$out/bin/$program" "k8s.io/kubernetes/cmd/$program" 2>build.log ||
        { tail -n 20 build.log >&2; exit 1; }
done
