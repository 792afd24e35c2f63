"""What each verb of `strongroom access` prints, and what it refuses.

What this is: two lists. SAID is a story told by the administrator, verb by verb, each as text, as a table and as JSON; what has to be
printed stands beside it, whole. WRONG are words that mean nothing: each is refused with its exit code, a sentence that names what
is wrong and another that leads on, and afterwards the policy is what it was.
"""

import json
import re

# A command, its exit code, and what it prints: text whole; a table's cells, row by row; or JSON. AUTH stands for the policy's revision.
AUTH = "the revision"
POLICIES = [
    ("kubernetes", "kubernetes", "kube-apiserver-etcd-client", "/registry/ --prefix", "compact"),
    ("kubeadm", "kubeadm", "kube-etcd-healthcheck-client", None, "membership"),
    ("backup", "backup", "strongroom-backup", None, "hash, snapshot"),
    ("metrics", "metrics", "strongroom-metrics", None, None),
]
ME = "urn:strongroom:role:administrator"
KEYS = {"key": "YXBwLw==", "range_end": "YXBwMA=="}
SECRET = {"key": "YXBwL3NlY3JldC8=", "range_end": "YXBwL3NlY3JldDA="}

ALLOWS = 'role "app" allows to read the keys from "app/" to before "app0"'
RULES = [f'identity rule "{name}" ({what}) makes its holder this user' for name, what in (
    ("batch", 'organization = "batch"'), ("billing", 'uri = "spiffe://c/billing"'), ("staff", 'the claim "groups" = "staff" of "https://issuer.example"'),
    ("web", 'dns = "web.example.org"'))]

SAID = [
    ("whoami", 0, f"User: root\nRecognized by: the administrator's certificate ({ME})\nRoles: root\nMay do: everything\n"),
    ("whoami -w table", 0, [["what", "value"], ["user", "root"], ["recognized by", f"the administrator's certificate ({ME})"], ["roles", "root"], ["may do", "everything"]]),
    ("whoami -w json", 0, {"user": "root", "recognizedBy": f"the administrator's certificate ({ME})", "roles": ["root"], "isAdministrator": True}),
    ("deny app readwrite app/secret/ --prefix", 0, "Role app: its holders may not read and write app/secret/ --prefix\n"),
    ("deny app read app/secret/ --prefix", 0, "Role app: nothing to change, app/secret/ --prefix was denied already\n"),
    ("deny app WRITE app/fixed -w table", 0, [["done", "policy revision"], ["Role app: its holders may not write app/fixed", AUTH]]),
    ("deny app read app/a app/c -w json", 0, {"authRevision": AUTH}),
    ("allow-again app app/a", 0, "Role app: nothing to change, no denial of exactly app/a: see strongroom access show app\n"),
    ("allow-again app app/a app/c", 0, "Role app: the denial of app/a app/c is gone\n"),
    ("allow-again app app/fixed -w table", 0, [["done", "policy revision"], ["Role app: the denial of app/fixed is gone", AUTH]]),
    ("allow-again app app/fixed -w json", 0, {"authRevision": AUTH}),
    ("grant-right app compact hash", 0, "Role app has the right: compact, hash\n"),
    ("grant-right app hash", 0, "Role app: nothing to change, it has the right: hash\n"),
    ("grant-right app snapshot -w table", 0, [["done", "policy revision"], ["Role app has the right: snapshot", AUTH]]),
    ("grant-right app move-leader -w json", 0, {"authRevision": AUTH}),
    ("revoke-right app move-leader hash", 0, "Role app has no more the right: move-leader, hash\n"),
    ("revoke-right app hash", 0, "Role app: nothing to change, it has not the right: hash\n"),
    ("revoke-right app snapshot -w table", 0, [["done", "policy revision"], ["Role app has no more the right: snapshot", AUTH]]),
    ("revoke-right app hash -w json", 0, {"authRevision": AUTH}),
    ("limit app --from 10.1.0.0/16 --from ::1 --until 2099-01-31T00:00:00Z", 0, "Role app has new limits: see strongroom access show app\n"),
    ("limit app --from 10.1.0.0/16", 0, "Role app: nothing to change, its limits are those already\n"),
    ("limit app --requests-per-second 500 --write-bytes 65536 -w table", 0,
     [["done", "policy revision"], ["Role app has new limits: see strongroom access show app", AUTH]]),
    ("show app", 0, "Role app\n  may          readwrite app/ --prefix\n  never        readwrite app/secret/ --prefix\n  rights       compact\n"
     "  only from    10.1.0.0/16, ::1/128\n  until        2099-01-31T00:00:00Z\n  requests/s   500\n  write bytes  65536\n  users        app\n"
     "Access control is on\n"),
    ("show app -w table", 0, [
        ["role", "what", "value"], ["app", "may", "readwrite app/ --prefix"], ["app", "never", "readwrite app/secret/ --prefix"], ["app", "rights", "compact"],
        ["app", "only from", "10.1.0.0/16, ::1/128"], ["app", "until", "2099-01-31T00:00:00Z"], ["app", "requests/s", "500"], ["app", "write bytes", "65536"],
        ["app", "users", "app"]]),
    ("show app -w json", 0, {"enabled": True, "authRevision": AUTH, "roles": [{
        "name": "app", "perm": [{"permType": 2, **KEYS}], "deny": [{"permType": 2, **SECRET}], "abilities": ["compact"],
        "sources": ["10.1.0.0/16", "::1/128"], "notAfter": 4073500800, "requestsPerSecond": 500, "writeBytesMax": 65536, "users": ["app"]}]}),
    ("limit app --clear from,until --clear requests-per-second --from 127.0.0.1 -w json", 0, {"authRevision": AUTH}),
    ("show app", 0, "Role app\n  may          readwrite app/ --prefix\n  never        readwrite app/secret/ --prefix\n  rights       compact\n"
     "  only from    127.0.0.1/32\n  write bytes  65536\n  users        app\nAccess control is on\n"),
    ("limit app --clear from,write-bytes", 0, "Role app has new limits: see strongroom access show app\n"),
    ("identity list", 0, ""),
    ("identity add billing --uri spiffe://c/billing --as app", 0, "Rule billing: a certificate with the URI spiffe://c/billing is the user app\n"),
    ("identity add web --dns web.example.org --as app -w table", 0,
     [["done", "policy revision"], ["Rule web: a certificate with the DNS name web.example.org is the user app", AUTH]]),
    ("identity add batch --organization batch --as app -w json", 0, {"authRevision": AUTH}),
    ("identity add staff --oidc-claim groups=staff --oidc-issuer https://issuer.example --as app", 0,
     'Rule staff: a token with the OIDC claim "groups=staff" of https://issuer.example is the user app\n'),
    ("identity list", 0, "Rule batch: organization batch is the user app\nRule billing: URI spiffe://c/billing is the user app\n"
     'Rule staff: OIDC claim "groups=staff" of https://issuer.example is the user app\nRule web: DNS name web.example.org is the user app\n'),
    ("identity list -w table", 0, [
        ["rule", "what is looked at", "value", "issuer", "user"], ["batch", "organization", "batch", "", "app"], ["billing", "URI", "spiffe://c/billing", "", "app"],
        ["staff", "OIDC claim", '"groups=staff"', "https://issuer.example", "app"], ["web", "DNS name", "web.example.org", "", "app"]]),
    ("identity list -w json", 0, {"authRevision": AUTH, "identities": [
        {"name": "batch", "organization": "batch", "user": "app"}, {"name": "billing", "uri": "spiffe://c/billing", "user": "app"},
        {"name": "staff", "oidcClaim": "groups=staff", "oidcIssuer": "https://issuer.example", "user": "app"}, {"name": "web", "dns": "web.example.org", "user": "app"}]}),
    ("explain app get app/x", 0, f"allowed\n  {ALLOWS}\n  the permission: role app, readwrite app/ --prefix\n" + "".join(f"  {rule}\n" for rule in RULES)),
    ("explain app get app/x -w json", 0, {"allowed": True, "reasons": [ALLOWS, *RULES], "role": "app", "permission": {"permType": 2, **KEYS}}),
    ("explain uri=spiffe://c/billing hash", 1, 'denied\n  as the user app\n  no role of "app" has the right "hash"\n' + "".join(f"  {rule}\n" for rule in RULES)),
    ("explain organization=batch compact -w table", 0, [["what", "value"], ["answer", "allowed"], ["as the user", "app"],
                                                        ["reason", 'role "app" has the right "compact"'], *(["reason", rule] for rule in RULES)]),
    ("explain oidc-claim=groups=staff get app/x --oidc-issuer https://issuer.example -w json", 0,
     {"allowed": True, "reasons": [ALLOWS, *RULES], "role": "app", "permission": {"permType": 2, **KEYS}, "user": "app"}),
    ("explain dns=absent.example get app/x -w json", 1, {"allowed": False, "reasons": ['no identity rule is about dns = "absent.example"']}),
    ("explain user=dns=web get app/x", 1, 'denied\n  there is no user "dns=web"\n'),
    ("identity remove batch", 0, "Rule batch is gone\n"),
    ("identity remove staff -w table", 0, [["done", "policy revision"], ["Rule staff is gone", AUTH]]),
    ("identity remove billing -w json", 0, {"authRevision": AUTH}),
    ("identity remove web", 0, "Rule web is gone\n"),
    ("explain app get app/x", 0, 'allowed\n  role "app" allows to read the keys from "app/" to before "app0"\n  the permission: role app, readwrite app/ --prefix\n'),
    ("explain app get app/x -w table", 0, [["what", "value"], ["answer", "allowed"], ["reason", 'role "app" allows to read the keys from "app/" to before "app0"'],
                                           ["the permission", "role app, readwrite app/ --prefix"]]),
    ("explain app put app/secret/x", 1, 'denied\n  role "app" denies to write the keys from "app/secret/" to before "app/secret0", whatever else is granted\n'
     "  the rule: role app, readwrite app/secret/ --prefix\n"),
    ("explain app put app/secret/x -w json", 1, {
        "allowed": False, "reasons": ['role "app" denies to write the keys from "app/secret/" to before "app/secret0", whatever else is granted'],
        "role": "app", "permission": {"permType": 2, **SECRET}}),
    ("explain app watch other", 1, 'denied\n  no permission of "app" allows to read the key "other"\n'),
    ("explain app compact -w json", 0, {"allowed": True, "reasons": ['role "app" has the right "compact"'], "role": "app"}),
    ("explain stranger get app/x", 1, 'denied\n  there is no user "stranger"\n'),
]

# A command, its exit code, what has to be named, and what has to lead on.
WRONG = [
    ("", 128, "requires a subcommand", "subcommands: show, deny"),
    ("shwo", 128, "unrecognized subcommand 'shwo'", "similar subcommand exists: 'show'"),
    ("show absent", 1, "role name not found", "next: +see strongroom role list"),
    ("show app more", 128, "unexpected argument 'more'", "Usage: strongroom access show"),
    ("show -w tabel", 4, "unsupported output format", "next: +choose one of simple, json, table"),
    ("deny app read", 128, "required arguments were not provided", "KEY"),
    ("deny app raed x", 128, "invalid value 'raed'", "possible values: read, write, readwrite"),
    ("deny absent read x", 1, "role name not found", "next: .*strongroom role add"),
    ("deny root read x", 1, "the role root may do everything", "next: .*strongroom role add"),
    ("deny app read b a", 1, "invalid auth management", "next: .*a range ends behind its key"),
    ("deny app read a b --prefix", 128, "unexpected endkey argument", "--prefix"),
    ("deny app read a --prefix --from-key", 128, "mutually exclusive", "--from-key and --prefix"),
    ("allow-again absent x", 0, "", "see strongroom access show absent"),
    ("allow-again app", 128, "required arguments were not provided", "KEY"),
    ("grant-right app", 128, "required arguments were not provided", "RIGHT"),
    ("grant-right app everything", 128, "invalid value 'everything'", "possible values: alarm, compact"),
    ("grant-right absent hash", 1, "role name not found", "next: .*strongroom role add"),
    ("revoke-right app snapshots", 128, "invalid value 'snapshots'", "similar value exists: 'snapshot'"),
    ("limit app", 128, "no limit is given", "next: +add --from"),
    ("limit app --from 10.0.0.0/33", 128, "invalid value '10.0.0.0/33'", "write a network as 10.1.0.0/16"),
    ("limit app --from here", 128, "invalid value 'here'", "write a network as 10.1.0.0/16"),
    ("limit app --until soon", 128, "invalid value 'soon'", r"write a time as .* \+90d"),
    ("limit app --until 2027-02-30T00:00:00Z", 128, "invalid value '2027-02-30T00:00:00Z'", "write a time as"),
    ("limit app --requests-per-second 0", 128, "invalid value '0'", "from 1 on; --clear"),
    ("limit app --write-bytes 1MiB", 128, "invalid value '1MiB'", "from 1 on; --clear"),
    ("limit app --clear all", 128, "invalid value 'all'", "possible values: from, until"),
    ("limit absent --write-bytes 5", 1, "role name not found", "next: .*strongroom role add"),
    ("identity add x --dns a --uri b --as app", 128, "cannot be used with", "Usage: strongroom access identity add"),
    ("identity add x --as app", 128, "required arguments were not provided", "--uri <URI>"),
    ("identity add x --dns a", 128, "required arguments were not provided", "--as <USER>"),
    ("identity add x --dns= --as app", 128, "a rule has a name", "next: +none of them is empty"),
    ("identity add x --oidc-claim groups --as app", 128, "invalid value 'groups'", "as groups=admins"),
    ("identity add x --oidc-claim groups=staff --as app", 1, "no --oidc-issuer", "name the rule's issuer"),
    ("identity add x --dns a --oidc-issuer https://i --as app", 128, "--oidc-issuer is about --oidc-claim", "next: +leave it out"),
    ("identity remove absent", 1, "no identity rule of this name", "next: +see strongroom access identity list"),
    ("explain app", 128, "required arguments were not provided", "OPERATION"),
    ("explain app fly x", 128, "invalid value 'fly'", "possible values: get, watch"),
    ("explain app get", 128, "get needs a key", "next: +name the key"),
    ("explain app compact x", 128, "compact is about no key", "next: +leave out the key"),
    ("explain app compact --prefix", 128, "compact is about no key", "next: +leave out the key"),
    ("explain uri= get x", 128, "invalid value 'uri='", "write what uri is"),
    ("explain oidc-claim=groups get x", 128, "invalid value 'oidc-claim=groups'", "as groups=admins"),
    ("explain oidc-claim=groups=staff get x", 1, "no --oidc-issuer", "name the rule's issuer"),
    ("explain app get x --oidc-issuer https://i", 128, "--oidc-issuer is about an oidc-claim", "next: +strongroom access explain oidc-claim"),
    ("explain app get x --from 10.1.2", 128, "invalid value '10.1.2'", "write an address"),
    ("whoami app", 128, "unexpected argument 'app'", "Usage: strongroom access whoami"),
    ("apply kubernets", 128, "invalid value 'kubernets'", "similar value exists: 'kubernetes'"),
    ("apply admin", 128, "name who gets it", "next: +strongroom access apply admin --for"),
    ("apply backup --for=", 128, "empty user name", "next: +leave --for out"),
    ("apply backup --prefix /k8s", 128, "--prefix is for the policy kubernetes", "next: +leave it out"),
    ("apply backup -w fields", 4, "fields not supported", "next: .*-w simple or json"),
]


def part(checks, house):
    house.add_role("app", "readwrite app/ --prefix")
    house.add_user("app", "app")
    for words, code, wanted in SAID:
        said = house.ours("access", *words.split())
        checks.all(f"access {words}", f"exit code {code}, and what it prints", None if said.code == code else f"{said}", differs(said.out, wanted))
    policies(checks, house)
    by_others(checks, house)
    before = house.policy()
    for words, code, cause, hint in WRONG:
        said = house.ours("access", *words.split())
        text = said.out + said.err
        missing = [pattern for pattern in (cause, hint) if not re.search(pattern, text)]
        checks.all(f"access {words}", f"exit code {code}, naming /{cause}/ and /{hint}/", None if said.code == code and not missing else f"{said}")
    checks.all("after all wrong words", "the policy is what it was, its revision too", None if house.policy() == before else json.dumps(house.policy()))


def differs(out, wanted):
    """What differs between what was printed and what was to be, or None."""
    if isinstance(wanted, str):
        return None if out == wanted else f"printed:\n{out}"
    if isinstance(wanted, dict):
        try:
            got = json.loads(out)
        except ValueError as error:
            return f"no JSON ({error}):\n{out}"
        if wanted.get("authRevision") == AUTH and isinstance(got.get("authRevision"), int) and got["authRevision"] > 1:
            got["authRevision"] = AUTH
        return None if got == wanted and out.count("\n") == 1 else f"printed:\n{out}"
    rows = [[cell.strip() for cell in line.strip("│\n").split("│")] for line in out.splitlines() if line.startswith("│")]
    wanted = [[cell.upper() for cell in wanted[0]], *wanted[1:]]
    same = len(rows) == len(wanted) and all(
        len(row) == len(want) and all(is_cell(cell, good) for cell, good in zip(row, want)) for row, want in zip(rows, wanted))
    return None if same else f"printed:\n{out}"


def is_cell(cell, wanted):
    return cell.isdigit() if wanted == AUTH else cell == wanted


def policies(checks, house):
    """Each ready policy: what it would do, what it does, that it does it once; in every form."""
    for name, role, user, keys, rights in POLICIES:
        changes = [f"role {role} is made"]
        changes += [f"role {role} may read and write {keys}", f"role {role} may read and write compact_rev_key"] if keys else []
        changes += [f"role {role} has the right: {rights}"] if rights else []
        changes += [f"user {user} is made, without a password", f"user {user} has the role {role}"]
        before = house.policy()
        dry = house.ours("access", "apply", name, "--dry-run")
        told = [line.strip() for line in dry.out.splitlines()]
        checks.all(f"access apply {name} --dry-run", "says each change, and makes none", None if dry.code == 0 else f"{dry}",
                   None if told[2:] == [f"would change: {change}" for change in changes] else dry.out,
                   None if house.policy() == before else "the policy changed")
        said = house.ours("access", "apply", name, "-w", "table")
        checks.all(f"access apply {name} -w table", "says each change as it is made", None if said.code == 0 else f"{said}",
                   differs(said.out, [["what", "value"], ["gives", dry.out.splitlines()[0].split(": ", 1)[1]], ["users", user], *(["changed", change] for change in changes)]))
        again = house.ours("access", "apply", name)
        checks.all(f"access apply {name}, once more", "finds all of it there", None if again.code == 0 and "nothing to change" in again.out else f"{again}")
        again = house.ours("access", "apply", name, "-w", "json")
        checks.all(f"access apply {name} -w json", "no changes", differs(again.out, {"policy": name, "role": role, "users": [user], "changes": []}))
        shown = house.policy()
        made = next((each for each in shown["roles"] if each["name"] == role), {})
        have = made.get("users"), ", ".join(made.get("abilities", [])) or None, len(made.get("perm", []))
        checks.all(f"access show, after {name}", "its user, its rights and its keys", None if have == ([user], rights, 2 if keys else 0) else json.dumps(made))
    said = house.ours("access", "apply", "admin", "--for", "boss", "--for", "boss")
    checks.all("access apply admin --for boss", "the user has the role root", None if said.code == 0 and "user boss has the role root" in said.out else f"{said}")


def by_others(checks, house):
    """What somebody learns who is no administrator: of itself, and nothing else."""
    house.issue("app", "app", "spiffe://c/app")
    said = house.ours("access", "whoami", "-w", "json", who="app")
    checks.all("access whoami by a certificate", "its name and what it was known by",
               differs(said.out, {"user": "app", "recognizedBy": 'a certificate of "app" (spiffe://c/app)', "roles": ["app"]}))
    house.does("user", "add", "pat:a long enough password")
    said = house.ours("access", "whoami", "--user", "pat:a long enough password", who="app")
    checks.all("access whoami by a password", "the user who logged in, and not the certificate's", differs(said.out, "User: pat\nRecognized by: a token\nRoles: none\nMay do: what the roles may\n"))
    for words in ("show", "deny app read x", "allow-again app x", "grant-right app hash", "revoke-right app compact", "limit app --write-bytes 5",
                  "identity add x --dns a --as app", "identity remove x", "identity list", "apply backup", "explain root get x",
                  "explain uri=spiffe://c/app get app/x"):
        said = house.ours("access", *words.split(), who="app")
        checks.all(f"access {words} by app", "permission denied, and whom the member takes it for",
                   None if said.code == 1 and said.is_denied and "the certificate reads app:" in said.err and said.out == "" else f"{said}")
    said = house.ours("access", "explain", "app", "get", "app/x", who="app")
    checks.all("access explain app by app", "everybody may ask about themselves", None if said.code == 0 and said.out.startswith("allowed") else f"{said}")
