"""kubeadm's files: the certificates that a Kubernetes control plane lives by, made with openssl, and its kubeconfigs.

What this is: `Pki` is an /etc/kubernetes/pki in a directory of the test. `cluster` makes what the programs of Kubernetes show each other;
`etcd` makes etcd's own authority and its pairs, names and purposes as kubeadm writes them, for a member that stands in for etcd.

Never: makes a certificate for a `strongroom`, whose authority issues its own.
"""

import os
import subprocess

HOSTS = "DNS:localhost,DNS:node,IP:127.0.0.1"
SERVICE = "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,IP:10.96.0.1"
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
KUBECONFIG = """apiVersion: v1
kind: Config
clusters: [{{name: here, cluster: {{server: "{server}", certificate-authority: "{pki}/ca.crt"}}}}]
users: [{{name: {user}, user: {{client-certificate: "{pki}/{user}.crt", client-key: "{pki}/{user}.key"}}}}]
contexts: [{{name: here, context: {{cluster: here, user: {user}}}}}]
current-context: here
"""


def openssl(*words, cwd):
    done = subprocess.run(["openssl", *words], cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(words)}: {done.stderr[-500:]}")


class Pki:
    """One such directory; files are named below it without their ending, as `etcd/server`."""

    def __init__(self, directory):
        self.directory = os.path.abspath(directory)
        os.makedirs(os.path.join(self.directory, "etcd"), mode=0o700)

    def path(self, name):
        return os.path.join(self.directory, name)

    def pair(self, name):
        """(certificate, key)."""
        return self.path(name + ".crt"), self.path(name + ".key")

    def authority(self, name, common_name):
        openssl("req", "-x509", *CURVE, "-days", "3650", "-subj", f"/CN={common_name}", "-addext", "basicConstraints=critical,CA:TRUE",
                "-addext", "keyUsage=critical,keyCertSign,digitalSignature", "-keyout", f"{name}.key", "-out", f"{name}.crt", cwd=self.directory)

    def leaf(self, name, ca, subject, usage="clientAuth", names=None):
        with open(self.path("leaf.ext"), "w") as out:
            out.write(f"keyUsage=critical,digitalSignature\nextendedKeyUsage={usage}\n" + (f"subjectAltName={names}\n" if names else ""))
        openssl("req", *CURVE, "-subj", subject, "-keyout", f"{name}.key", "-out", "leaf.csr", cwd=self.directory)
        openssl("x509", "-req", "-in", "leaf.csr", "-CA", f"{ca}.crt", "-CAkey", f"{ca}.key", "-CAcreateserial", "-days", "365",
                "-extfile", "leaf.ext", "-out", f"{name}.crt", cwd=self.directory)
        os.chmod(self.path(name + ".key"), 0o600)
        return self.pair(name)

    def cluster(self, server):
        """What apiserver, controllers, scheduler and kubectl show each other, and a kubeconfig for each client of the server."""
        self.authority("ca", "kubernetes")
        self.authority("front-proxy-ca", "front-proxy-ca")
        self.leaf("apiserver", "ca", "/CN=kube-apiserver", "serverAuth", f"{HOSTS},{SERVICE}")
        self.leaf("apiserver-kubelet-client", "ca", "/O=kubeadm:cluster-admins/CN=kube-apiserver-kubelet-client")
        self.leaf("front-proxy-client", "front-proxy-ca", "/CN=front-proxy-client")
        users = {"admin": "/O=system:masters/CN=kubernetes-admin", "controller-manager": "/CN=system:kube-controller-manager", "scheduler": "/CN=system:kube-scheduler"}
        for user, subject in users.items():
            self.leaf(user, "ca", subject)
            with open(self.path(f"{user}.kubeconfig"), "w") as out:
                out.write(KUBECONFIG.format(server=server, pki=self.directory, user=user))
        openssl("genrsa", "-out", "sa.key", "2048", cwd=self.directory)
        openssl("rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub", cwd=self.directory)

    def etcd(self):
        """etcd's authority and pairs; `etcd/root` is an administrator's besides, which kubeadm does not make."""
        self.authority("etcd/ca", "etcd-ca")
        for name in ("server", "peer"):
            self.leaf(f"etcd/{name}", "etcd/ca", "/CN=node", "serverAuth,clientAuth", HOSTS)
        self.leaf("etcd/healthcheck-client", "etcd/ca", "/CN=kube-etcd-healthcheck-client")
        self.leaf("apiserver-etcd-client", "etcd/ca", "/CN=kube-apiserver-etcd-client")
        self.leaf("etcd/root", "etcd/ca", "/CN=root")
