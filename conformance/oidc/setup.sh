#!/usr/bin/env bash
# setup.sh: installs oidc-provider at the version of package-lock.json under target/oidc, with Node 18 or later from Debian if there is none.
#
# A second call costs milliseconds.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${TARGET:-$root/target}
mkdir -p "$target/oidc"
out=$(cd "$target/oidc" && pwd)
NODE_MIN=18
stamp="$(cat "$here/package.json" "$here/package-lock.json" "$here/setup.sh" | sha256sum)"

"$root/tools/packages" openssl python3-jwt python3-cryptography
command -v node >/dev/null || "$root/tools/packages" nodejs
have=$(node --version)
[ "$(printf '%s\n%s\n' "$NODE_MIN" "${have#v}" | sort -V | head -n 1)" = "$NODE_MIN" ] ||
    { printf 'oidc: Node %s is too old; the issuer needs %s\n  next: install Debian'\''s nodejs, or a newer one\n' "$have" "$NODE_MIN" >&2; exit 1; }

cp "$here/issuer.js" "$out/issuer.js"
[ "$(cat "$out/.stamp" 2>/dev/null)" = "$stamp" ] && exit 0
command -v npm >/dev/null || "$root/tools/packages" npm
printf 'oidc: installing oidc-provider\n' >&2
cp "$here/package.json" "$here/package-lock.json" "$out/"
cd "$out"
npm ci --no-audit --no-fund --ignore-scripts --loglevel=error >&2
echo "$stamp" > "$out/.stamp"
