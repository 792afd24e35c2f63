#!/usr/bin/env bash
# setup.sh [rust|python|java|node …]: fetches and builds the client libraries `run` drives, all at fixed versions, under target/clients.
#
#   rust/etcd-client   the crate's source from crates.io with its own tests, compiled with the lock file it was published with
#   rust/use-etcd-client   the crate in our own program over mutual TLS, a project of its own with its own lock file
#   venv/              python etcd3 and etcd3gw, from requirements.txt
#   node/              Node's etcd3, from package-lock.json
#   java/              jetcd's jars (Maven resolves pom.xml) and UseJetcd compiled against them
#
# Each part has a stamp and costs nothing the second time. System packages are installed only when a program is missing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${TARGET:-$root/target}
mkdir -p "$target/clients"
out=$(cd "$target/clients" && pwd)
ETCD_CLIENT_VERSION=0.21.1

say() { printf 'clients: %s\n' "$*" >&2; }
fresh() { [ "$(cat "$out/.stamp-$1" 2>/dev/null)" = "$(cat "${@:2}" "$here/setup.sh" | sha256sum)" ]; }
stamp() { cat "${@:2}" "$here/setup.sh" | sha256sum > "$out/.stamp-$1"; }

build_rust() {
    local of=("$here/rust/Cargo.toml" "$here/rust/Cargo.lock" "$here/rust/src/main.rs")
    fresh rust "${of[@]}" && return
    say "building the etcd-client crate $ETCD_CLIENT_VERSION and its tests (a minute or two)"
    # The crate compiles etcd's .proto files, which import protobuf's own.
    "$root/tools/packages" protobuf-compiler libprotobuf-dev
    rm -rf "$out/rust/probe" "$out/rust/etcd-client"
    mkdir -p "$out/rust/probe/src"
    cd "$out/rust/probe"
    echo 'fn main() {}' > src/main.rs
    printf '[package]\nname = "probe"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\n[dependencies]\netcd-client = { version = "=%s", default-features = false }\n' \
        "$ETCD_CLIENT_VERSION" > Cargo.toml
    cargo fetch --quiet
    local source_dir
    source_dir=$(cargo metadata --format-version 1 --offline | python3 -c '
import json, os, sys
print(next(os.path.dirname(p["manifest_path"]) for p in json.load(sys.stdin)["packages"] if p["name"] == "etcd-client"))')
    cp -r "$source_dir" "$out/rust/etcd-client"
    chmod -R u+w "$out/rust/etcd-client"
    # Its own workspace: it lies below ours.
    printf '\n[workspace]\n' >> "$out/rust/etcd-client/Cargo.toml"
    cd "$out/rust/etcd-client"
    CARGO_TARGET_DIR=$out/rust/target cargo test --locked --no-run --test client --test namespace --message-format json 2>"$out/rust/build.log" |
        python3 -c '
import json, sys
for line in sys.stdin:
    told = json.loads(line)
    if told.get("executable") and told.get("profile", {}).get("test"):
        print(told["target"]["name"], told["executable"])' > "$out/rust/tests" || { tail -n 20 "$out/rust/build.log" >&2; exit 1; }
    CARGO_TARGET_DIR=$out/rust/target cargo build --locked --manifest-path "$here/rust/Cargo.toml" 2>"$out/rust/build.log" ||
        { tail -n 20 "$out/rust/build.log" >&2; exit 1; }
    cp "$out/rust/target/debug/use-etcd-client" "$out/rust/use-etcd-client"
    stamp rust "${of[@]}"
}

build_python() {
    fresh python "$here/python/requirements.txt" && return
    say "installing python etcd3 and etcd3gw"
    rm -rf "$out/venv"
    python3 -c 'import ensurepip, venv' 2>/dev/null || "$root/tools/packages" python3-venv
    python3 -m venv "$out/venv"
    "$out/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/python/requirements.txt"
    stamp python "$here/python/requirements.txt"
}

build_java() {
    fresh java "$here/java/pom.xml" "$here/java/UseJetcd.java" && return
    say "fetching jetcd and compiling its program"
    command -v javac >/dev/null || "$root/tools/packages" default-jdk-headless
    command -v mvn >/dev/null || "$root/tools/packages" maven
    rm -rf "$out/java"
    mkdir -p "$out/java/classes"
    mvn -q -B -f "$here/java/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$out/java/jars" -DincludeScope=runtime >"$out/java/mvn.log" 2>&1 ||
        { tail -n 20 "$out/java/mvn.log" >&2; exit 1; }
    javac -cp "$out/java/jars/*" -d "$out/java/classes" "$here/java/UseJetcd.java"
    stamp java "$here/java/pom.xml" "$here/java/UseJetcd.java"
}

build_node() {
    fresh node "$here/node/package-lock.json" && return
    say "installing Node's etcd3"
    command -v npm >/dev/null || "$root/tools/packages" nodejs npm
    rm -rf "$out/node"
    mkdir -p "$out/node"
    cp "$here/node/package.json" "$here/node/package-lock.json" "$out/node/"
    (cd "$out/node" && npm ci --silent --no-audit --no-fund --ignore-scripts)
    stamp node "$here/node/package-lock.json"
}

for part in "${@:-rust}"; do
    case "$part" in
        rust | python | java | node) "build_$part" ;;
        *) say "does not know '$part'"; exit 1 ;;
    esac
done
