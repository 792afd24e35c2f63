#!/bin/sh
# Writes mistakes.txt: what a real etcd 3.7.3 answers to each command line of mistakes.cases.
# A line is variables and arguments in sh's syntax; "+" stands for a set of flags that would start a member.
# Usage: record.sh PATH-OF-ETCD > mistakes.txt
etcd=$1
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
cd "$work" || exit 1
base="--data-dir $work/data --listen-client-urls http://127.0.0.1:33791 --advertise-client-urls http://127.0.0.1:33791"
base="$base --listen-peer-urls http://127.0.0.1:33801 --initial-advertise-peer-urls http://127.0.0.1:33801"
base="$base --initial-cluster default=http://127.0.0.1:33801"
while IFS= read -r line; do
    case $line in
    ETCD_*) command=$(printf '%s' "$line" | sed 's#^\(\(ETCD_[A-Z_]*=\('"'[^']*'"'\|[^ ]*\) *\)*\)#\1 '"$etcd"' #') ;;
    "+ "*) command="$etcd $base ${line#+ }" ;;
    *) command="$etcd $line" ;;
    esac
    rm -rf "$work/data"
    eval "timeout 3 env $command" >"$work/out" 2>&1
    code=$?
    if [ $code = 2 ]; then
        text=$(head -1 "$work/out")
    else
        text=$(grep -E '"msg":"(failed to verify flags|discovery failed|listener failed|conflicting env)' "$work/out" | tail -1 |
            sed 's/.*"\(error\|environment-variable\)":"\(.*\)/\2/; s/","stacktrace.*//; s/"}$//; s/\\"/"/g')
    fi
    printf 'case %s\ncode %s\ntext %s\n\n' "$line" "$code" "$text"
done <"$here/mistakes.cases"
rm -rf "$work"
