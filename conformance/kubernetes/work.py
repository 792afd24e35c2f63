"""What a cluster does all day, through kubectl: every kind of request that a kube-apiserver makes of its store, and what comes back.

What this is: namespaces, objects in number with watchers, paging, updates that lose a race, custom resources, an object that is too
large, leases, events, a secret, deployments that the controllers and the scheduler act on, and namespaces deleted again.

Never: compacts; needs a node or a kubelet.
"""

import base64
import json
import subprocess
import time

from plane import KUBECTL

OBJECTS = 300
MARKER = "a-secret-in-clear-5f1c0e"
CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: things, singular: thing, kind: Thing}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
"""
LEASE = """
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: l, namespace: w5}
spec: {holderIdentity: a, leaseDurationSeconds: 15}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: bound, namespace: w5}
spec: {tolerations: [{operator: Exists}], containers: [{name: none, image: fake/none}]}
---
apiVersion: v1
kind: Node
metadata: {name: node-1}
status: {allocatable: {cpu: "8", memory: 8Gi, pods: "110"}, capacity: {cpu: "8", memory: 8Gi, pods: "110"}}
"""


def same(got, wanted):
    return None if got == wanted else f"{got!r}, not {wanted!r}"


def until(condition, within=30):
    """(problem or None, seconds) until a condition gives no problem."""
    began, problem = time.monotonic(), "was not asked"
    while time.monotonic() - began < within:
        problem = condition()
        if problem is None:
            break
        time.sleep(0.3)
    return problem and f"not within {within} s: {problem}", time.monotonic() - began


def answers(plane, wanted, *words):
    """A condition: what kubectl has to print."""
    return lambda: same(plane.kubectl(*words)[1].strip(), wanted)


def holds_lease(plane, name):
    """A condition: a program holds the lease by which it leads."""
    def condition():
        code, text = plane.kubectl("-n", "kube-system", "get", "lease", name, "-o", "jsonpath={.spec.holderIdentity}")
        return None if code == 0 and text else text[-300:] or "nobody holds it"
    return condition


def all_of_it(checks, plane, store):
    for part in (health, namespaces, numbers, paging, changes, custom, leases, deployments, secret, ending):
        part(checks, plane, store)


def health(checks, plane, _store):
    for path in ("/readyz", "/livez"):
        status, text = plane.get(path + "?verbose")
        wanted = ["[+]etcd ok", "[+]etcd-readiness ok"] if path == "/readyz" else ["[+]etcd ok"]
        checks.all(path, "200, the store's checks among it", same(status, 200), *(f"no {w} in:\n{text}" for w in wanted if w not in text))
    for name in ("kube-controller-manager", "kube-scheduler"):
        problem, seconds = until(holds_lease(plane, name))
        checks.all(name, "holds its lease", problem, seconds=seconds)


def namespaces(checks, plane, _store):
    plane.does("apply", "-f", "-", stdin="\n---\n".join(f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: w{n}}}" for n in range(1, 6)))
    checks.all("namespaces", "five are made", same(plane.does("get", "ns", "-o", "name").count("/w"), 5))
    for what, name in (("its service account", "serviceaccount/default"), ("its authority", "configmap/kube-root-ca.crt")):
        problem, seconds = until(answers(plane, name, "-n", "w1", "get", name, "-o", "name"))
        checks.all("a new namespace", f"is given {what} by the controllers", problem, seconds=seconds)


def numbers(checks, plane, _store):
    """Objects in number, each event of each watcher counted."""
    cases = (("w1", "configmaps", "create,get,update,list-consistent,list-rv0,list-paged", 3), ("w2", "secrets", "create,list-consistent,deletecollection", 1))
    for namespace, kind, phases, watchers in cases:
        began = time.monotonic()
        said = plane.load("-n", str(OBJECTS), "-clients", "8", "-reps", "2", "-page", "50", "-watchers", str(watchers), "-ns", namespace, "-kind", kind, "-phases", phases)
        bad = [line for line in said.splitlines() if "LOST" in line or "ordered=false" in line or ("err=" in line and "err=0" not in line)]
        checks.all(f"{OBJECTS} {kind}, {watchers} watchers", f"{phases}: no error, no event lost, in order", *bad,
                   None if "ordered=true" in said else said[-1500:], seconds=time.monotonic() - began)


def paging(checks, plane, _store):
    listed = plane.does("-n", "w1", "get", "cm", "--chunk-size=50", "-o", "name")
    checks.all("kubectl in pages of 50", "sees all of them", same(listed.count("/obj-"), OBJECTS))
    path = "/api/v1/namespaces/w1/configmaps"
    raw = lambda query: json.loads(plane.get(f"{path}?{query}")[1])  # noqa: E731
    page = raw("limit=70")
    version, names = page["metadata"]["resourceVersion"], [item["metadata"]["name"] for item in page["items"]]
    left, problems = page["metadata"]["remainingItemCount"], []
    plane.does("-n", "w1", "delete", "cm", "obj-000250")
    while page["metadata"].get("continue"):
        page = raw("limit=70&continue=" + page["metadata"]["continue"])
        names += [item["metadata"]["name"] for item in page["items"]]
        problems.append(same(page["metadata"]["resourceVersion"], version))
    checks.all("pages after a deletion", "go on at their revision, the deleted object among them", *problems, same(len(names), 70 + left),
               None if "obj-000250" in names else "it is not there")
    exact = raw(f"resourceVersionMatch=Exact&limit=1&resourceVersion={version}")
    checks.all("a list at an old revision", "is of that revision", same(exact["metadata"].get("resourceVersion"), version))
    status, text = plane.get(f"/api/v1/events?limit=1&resourceVersionMatch=Exact&resourceVersion={int(version) + 10**8}")
    checks.all("a list at a revision to come", "is refused: Too large resource version", None if "Too large resource version" in text else f"{status} {text}")


def changes(checks, plane, _store):
    """kubectl's watch sees what its other commands do; who changes what has changed meanwhile is refused."""
    plane.does("-n", "w3", "create", "cm", "c", "--from-literal=a=first")
    watch = subprocess.Popen([KUBECTL, "--request-timeout=30s", "-n", "w3", "get", "cm", "c", "--watch", "--output-watch-events", "-o", "jsonpath={.type}={.object.data.a} "],
                             env=plane.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        seen = watch.stdout.read(len("ADDED=first "))
        before = plane.does("-n", "w3", "get", "cm", "c", "-o", "json")
        plane.does("-n", "w3", "patch", "cm", "c", "-p", '{"data":{"a":"second"}}')
        code, text = plane.kubectl("replace", "-f", "-", stdin=before)
        checks.all("an update of an older version", "is refused: Conflict", None if code and "Conflict" in text else text)
        plane.does("-n", "w3", "delete", "cm", "c")
        seen += watch.stdout.read(len("MODIFIED=second DELETED=second"))
    finally:
        watch.kill()
        watch.wait()
    checks.all("kubectl get --watch", "sees made, patched, deleted", same(seen, "ADDED=first MODIFIED=second DELETED=second"))


def custom(checks, plane, _store):
    plane.does("apply", "-f", "-", stdin=CRD)
    plane.does("wait", "--for=condition=Established", "crd/things.example.com", "--timeout=60s")
    problem, seconds = until(lambda: None if plane.get("/apis/example.com/v1/things")[0] == 200 else "it is not served")
    checks.all("a custom resource's kind", "is served", problem, seconds=seconds)
    things = "\n---\n".join(f"apiVersion: example.com/v1\nkind: Thing\nmetadata: {{name: t{n}, namespace: w4}}\nspec: {{n: {n}}}" for n in range(30))
    plane.does("apply", "-f", "-", stdin=things)
    checks.all("30 custom resources", "are listed", same(plane.does("-n", "w4", "get", "things", "-o", "name").count("thing"), 30))
    big = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "big", "namespace": "w4"}, "spec": {"p": "x" * 1_800_000}}
    _, text = plane.kubectl("create", "-f", "-", stdin=json.dumps(big))
    checks.all("an object of 1.8 MB", "is refused in the store's words", None if "etcdserver: request is too large" in text else text[-500:])


def leases(checks, plane, store):
    plane.does("apply", "-f", "-", stdin=LEASE)
    for holder in "bcd":
        plane.does("-n", "w5", "patch", "lease", "l", "--type=merge", "-p", json.dumps({"spec": {"holderIdentity": holder}}))
    checks.all("a lease of Kubernetes", "changes hands", same(plane.does("-n", "w5", "get", "lease", "l", "-o", "jsonpath={.spec.holderIdentity}"), "d"))
    held = [line for line in store.administrate("lease", "list").splitlines()[1:] if line.strip()]
    checks.all("leases of the store", "are granted to the apiserver", None if held else "there are none")


def deployments(checks, plane, _store):
    """No node is there at first: controllers make pods, the scheduler finds no place and says so in an event; then it does."""
    plane.does("-n", "w3", "create", "deployment", "d", "--image=fake/none", "--replicas=10")
    pods = lambda: plane.kubectl("-n", "w3", "get", "pods", "-o", "name")[1].count("pod/")  # noqa: E731
    problem, seconds = until(lambda: same(pods(), 10))
    checks.all("a deployment of 10", "becomes 10 pods by the controllers", problem, seconds=seconds)
    events = lambda: plane.kubectl("-n", "w3", "get", "events", "--field-selector=reason=FailedScheduling", "-o", "name")[1]  # noqa: E731
    problem, seconds = until(lambda: None if "event/" in events() else "no event")
    checks.all("pods without a node", "have an event of the scheduler", problem, seconds=seconds)
    for replicas in (3, 0):
        plane.does("-n", "w3", "scale", "deployment", "d", f"--replicas={replicas}")
        problem, seconds = until(lambda replicas=replicas: same(pods(), replicas))
        checks.all(f"scaled down to {replicas}", f"{replicas} pods", problem, seconds=seconds)
    plane.does("apply", "-f", "-", stdin=POD)
    problem, seconds = until(answers(plane, "node-1", "-n", "w5", "get", "pod", "bound", "-o", "jsonpath={.spec.nodeName}"))
    checks.all("a pod and a node", "are brought together by the scheduler", problem, seconds=seconds)
    plane.does("-n", "w5", "delete", "pod", "bound", "--force", "--grace-period=0")
    plane.does("delete", "node", "node-1")


def secret(checks, plane, store):
    plane.does("-n", "w5", "create", "secret", "generic", "s", f"--from-literal=password={MARKER}")
    checks.all("a secret", "reads back", reads_secret(plane))
    value = store.value("/registry/secrets/w5/s")
    checks.all("its value in the store", "holds it in clear, as an apiserver without encryption of its own writes it", None if MARKER.encode() in value else value[:200])


def reads_secret(plane):
    code, text = plane.kubectl("-n", "w5", "get", "secret", "s", "-o", "jsonpath={.data.password}")
    return same(base64.b64decode(text).decode(errors="replace"), MARKER) if code == 0 else text[-300:]


def ending(checks, plane, store):
    began = time.monotonic()
    code, text = plane.kubectl("delete", "ns", "w1", "w2", "w3", "w4", "--timeout=90s", within=100)
    left = [key for n in range(1, 5) for key in store.administrate("get", f"/registry/configmaps/w{n}/", "--prefix", "--keys-only").split()]
    checks.all("four namespaces deleted", "with all that was in them", None if code == 0 else text[-500:], f"left: {left[:5]}" if left else None, seconds=time.monotonic() - began)
