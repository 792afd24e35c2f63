#!/bin/bash
# Compares the HTTP answers of two servers, status line, headers and body:
#   compare.sh http://127.0.0.1:2379 http://127.0.0.1:12379
# The first should be a fresh etcd, the second a fresh strongroom called as `etcd`; both are written to.
# Ids, dates and the raft term differ between any two servers and are blotted out. Exit 1 when something else differs.
set -u
[ $# -eq 2 ] || { sed -n '2,5s/^# //p' "$0"; exit 2; }
foo=$(printf foo | base64) bar=$(printf bar | base64)

ask() { # url method path body
    echo "== $2 $3 $4"
    local out
    out=$(curl -s -m 2 -i -X "$2" "$1$3" ${4:+-d "$4"} | tr -d '\r' |
        sed -E 's/"(cluster_id|member_id|raft_term|leader|raftTerm|raftIndex|raftAppliedIndex|dbSize|dbSizeInUse|ID|name)":"[^"]*"/"\1":"*"/g
                s#"(peerURLs|clientURLs)":\[[^]]*\]#"\1":[*]#g')
    head -n 1 <<<"$out" | sed 's/ *$//'
    # headers come in any order and any case; length and date differ by nature
    sed '1d; /^$/,$d' <<<"$out" | sed -E 's/^([A-Za-z-]+):/\L\1:/' |
        grep -v -E '^(date|content-length|transfer-encoding|connection|trailer):' | sort
    sed '1,/^$/d' <<<"$out"
    echo
}

drive() {
    local u=$1 path
    for path in /health '/health?serializable=true' '/health?exclude=NOSPACE' /livez '/livez?verbose' /livez/foo \
        /readyz '/readyz?exclude=linearizable_read' '/readyz/non_learner?verbose' /version / /foo /v3/foo /v3/kv/range \
        /v3beta/kv/range /v3alpha/kv/range; do
        ask "$u" GET "$path" ''
    done
    for path in /health /livez /version /readyz/non_learner /debug/vars; do ask "$u" POST "$path" ''; done
    ask "$u" OPTIONS /v3/kv/range ''
    while read -r path body; do ask "$u" POST "/v3/$path" "$body"; done <<REQUESTS
kv/put {"key":"$foo","value":"$bar"}
kv/put {"key":"$foo","value":"$bar","prev_kv":true}
kv/put {"key":"$foo","value":"$bar","prevKv":true}
kv/put {"key":""}
kv/range {"key":"$foo"}
kv/range {"key":"AA==","range_end":"AA==","sort_order":"DESCEND","sort_target":1,"limit":"5"}
kv/range {"key":"AA==","range_end":"AA==","limit":5,"bogus":{"a":[1]}}
kv/range {"key":"AA"}
kv/range {"key":"_-8"}
kv/range {"key":"%%%"}
kv/range {"key":5}
kv/range {"key":"$foo","limit":"x"}
kv/range {"key":"$foo","limit":1.5}
kv/range {"key":"$foo","sort_order":"BOGUS"}
kv/range {"key":"$foo","revision":1000}
kv/range {"key":"$foo","key":"$foo"}
kv/range {"key":null,"limit":null}
kv/range {
kv/range {"a" 1}
kv/range {"a":1 2}
kv/range {'a':1}
kv/range trux
kv/range []
kv/range null
kv/range {}
kv/range {} {}
kv/range
kv/range/ {}
kv/bogus {}
kv/txn {"compare":[{"target":"VERSION","key":"$foo","version":"0"}],"success":[{"request_put":{"key":"$foo","value":"$bar"}}],"failure":[{"requestRange":{"key":"$foo"}}]}
kv/txn {"success":[{"request_put":{"key":"$foo"},"request_range":{"key":"$foo"}}]}
kv/deleterange {"key":"$foo","prev_kv":true}
kv/compaction {"revision":"2"}
kv/compaction {"revision":"1"}
kv/compaction {"revision":100000}
lease/grant {"TTL":100,"ID":"7587"}
lease/grant {"TTL":100,"ID":7587}
lease/grant {"TTL":90000000000}
lease/timetolive {"ID":7588}
kv/lease/timetolive {"ID":7588}
lease/leases {}
lease/keepalive {"ID":7587}
lease/revoke {"ID":7587}
lease/revoke {"ID":7587}
maintenance/alarm {"action":"GET"}
maintenance/status {}
maintenance/hashkv {}
maintenance/defragment {}
maintenance/downgrade {"action":0,"version":"9.9"}
maintenance/transfer-leadership {"targetID":"3"}
auth/status {}
cluster/member/list {}
watch {"create_request":{"key":"$foo","start_revision":"3"}}
watch {"create_request":{"key":"$foo","start_revision":"1"}}{"cancel_request":{}}
election/leader {"name":"$foo"}
REQUESTS
}

one=$(mktemp) two=$(mktemp)
trap 'rm -f "$one" "$two"' EXIT
drive "$1" >"$one"
drive "$2" >"$two"
diff -u --label "$1" --label "$2" "$one" "$two" && echo "no difference in $(grep -c '^==' "$one") answers"
