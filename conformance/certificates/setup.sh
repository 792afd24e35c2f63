#!/usr/bin/env bash
# setup.sh: builds smallstep's step-ca and step from their Go modules into target/pki-tools, at fixed versions.
#
# Two to four minutes the first time; a second call costs milliseconds: the stamp is this script's hash.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=${TARGET:-$here/../../target}
mkdir -p "$target/pki-tools"
out=$(cd "$target/pki-tools" && pwd)
STEP_VERSION=v0.21.0
STEP_CA_VERSION=v0.30.2
stamp="$(sha256sum < "$here/setup.sh")"
[ "$(cat "$out/.stamp" 2>/dev/null)" = "$stamp" ] && [ -x "$out/step" ] && [ -x "$out/step-ca" ] && exit 0
printf 'certificates: building step-ca and step (two to four minutes)\n' >&2
export GOTOOLCHAIN=local CGO_ENABLED=0 GOBIN=$out GOWORK=off
cd "$out"
go install "github.com/smallstep/cli/cmd/step@$STEP_VERSION" 2>step.log || { tail -n 5 step.log >&2; exit 1; }
go install "github.com/smallstep/certificates/cmd/step-ca@$STEP_CA_VERSION" 2>step-ca.log || { tail -n 5 step-ca.log >&2; exit 1; }
rm -f step.log step-ca.log
echo "$stamp" > "$out/.stamp"
