"""A control plane: kube-apiserver, kube-controller-manager and kube-scheduler, unmodified, on one member, and kubectl.

What this is: `Plane` starts each of them with the flags that kubeadm gives it, waits until it says that it is ready, and ends them by
process id, the newest first. There is no node and no kubelet: what the programs keep in the store is all that is asked.

Never: shows the store any certificate but the apiserver's.
"""

import os
import ssl
import subprocess
import time
import urllib.error
import urllib.request

import member

BIN = os.path.join(member.TARGET, "kubernetes", "bin")
KUBECTL = os.path.join(BIN, "kubectl")
API_PORT, CONTROLLERS_PORT, SCHEDULER_PORT = 6443, 10257, 10259
SERVER = f"https://127.0.0.1:{API_PORT}"
# Which ports say when a program is ready, how, and after how many seconds it is given up.
READY = {
    "kube-apiserver": (f"{SERVER}/readyz", 90),
    "kube-controller-manager": (f"https://127.0.0.1:{CONTROLLERS_PORT}/healthz", 60),
    "kube-scheduler": (f"https://127.0.0.1:{SCHEDULER_PORT}/healthz", 60),
}


class Plane:
    """What runs, and how it is asked."""

    def __init__(self, directory, pki, endpoint, ca, pair):
        self.directory, self.pki = directory, pki
        self.store = [f"--etcd-servers={endpoint}", f"--etcd-cafile={ca}", f"--etcd-certfile={pair[0]}", f"--etcd-keyfile={pair[1]}"]
        self.processes = {}
        os.makedirs(directory, exist_ok=True)
        pki.cluster(SERVER)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("ETCD_", "STRONGROOM_", "KUBE"))}
        self.env.update(HOME=directory, KUBECONFIG=pki.path("admin.kubeconfig"))
        self.tls = ssl.create_default_context(cafile=pki.path("ca.crt"))
        self.tls.load_cert_chain(*pki.pair("admin"))
        # Controllers and scheduler answer with certificates that they made for themselves.
        self.any = ssl.create_default_context()
        self.any.check_hostname, self.any.verify_mode = False, ssl.CERT_NONE

    def flags(self, program):
        pki = self.pki.path
        if program == "kube-apiserver":
            # The endpoint reconciler takes no loopback address as its own; nothing is sent to this one.
            return ["--advertise-address=192.0.2.1", "--bind-address=127.0.0.1", f"--secure-port={API_PORT}", *self.store,
                    f"--tls-cert-file={pki('apiserver.crt')}", f"--tls-private-key-file={pki('apiserver.key')}", f"--client-ca-file={pki('ca.crt')}",
                    "--service-account-issuer=https://kubernetes.default.svc.cluster.local", f"--service-account-key-file={pki('sa.pub')}",
                    f"--service-account-signing-key-file={pki('sa.key')}", f"--kubelet-client-certificate={pki('apiserver-kubelet-client.crt')}",
                    f"--kubelet-client-key={pki('apiserver-kubelet-client.key')}", f"--requestheader-client-ca-file={pki('front-proxy-ca.crt')}",
                    "--requestheader-allowed-names=front-proxy-client", "--requestheader-username-headers=X-Remote-User",
                    "--requestheader-group-headers=X-Remote-Group", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
                    f"--proxy-client-cert-file={pki('front-proxy-client.crt')}", f"--proxy-client-key-file={pki('front-proxy-client.key')}",
                    "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--enable-bootstrap-token-auth=true",
                    "--service-cluster-ip-range=10.96.0.0/12", "--allow-privileged=true"]
        user, port = {"kube-controller-manager": ("controller-manager", CONTROLLERS_PORT), "kube-scheduler": ("scheduler", SCHEDULER_PORT)}[program]
        kubeconfig = pki(f"{user}.kubeconfig")
        both = [f"--kubeconfig={kubeconfig}", f"--authentication-kubeconfig={kubeconfig}", f"--authorization-kubeconfig={kubeconfig}",
                "--bind-address=127.0.0.1", f"--secure-port={port}", f"--cert-dir={self.directory}/{user}", "--leader-elect=true"]
        if user == "scheduler":
            return both
        return [*both, f"--client-ca-file={pki('ca.crt')}", f"--root-ca-file={pki('ca.crt')}", f"--cluster-signing-cert-file={pki('ca.crt')}",
                f"--cluster-signing-key-file={pki('ca.key')}", f"--service-account-private-key-file={pki('sa.key')}",
                "--use-service-account-credentials=true", "--cluster-cidr=10.244.0.0/16", "--allocate-node-cidrs=true",
                "--controllers=*,bootstrapsigner,tokencleaner"]

    def start(self, program, *more):
        """Starts one and waits until it is ready: the seconds it took."""
        url, within = READY[program]
        began = time.monotonic()
        with open(self.log_path(program), "ab") as log:
            self.processes[program] = subprocess.Popen([os.path.join(BIN, program), *self.flags(program), *more],
                                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env)
        while time.monotonic() - began < within:
            if self.processes[program].poll() is not None:
                break
            if self.ask(url, self.tls if program == "kube-apiserver" else self.any)[0] == 200:
                return time.monotonic() - began
            time.sleep(0.1)
        raise RuntimeError(f"{program} was not ready within {within} s, code {self.processes[program].poll()}; the end of its log:\n{self.log(program)[-1500:]}")

    def log_path(self, program):
        return os.path.join(self.directory, f"{program}.log")

    def log(self, program):
        return open(self.log_path(program), errors="replace").read()

    def ask(self, url, tls=None, within=5):
        """A GET: (HTTP status or 0, text)."""
        try:
            with urllib.request.urlopen(url, timeout=within, context=tls or self.tls) as answer:
                return answer.status, answer.read().decode(errors="replace")
        except urllib.error.HTTPError as told:
            return told.code, told.read().decode(errors="replace")
        except OSError as error:
            return 0, str(error)

    def get(self, path, within=5):
        """The same, of the apiserver, as the cluster's administrator."""
        return self.ask(SERVER + path, within=within)

    def kubectl(self, *words, stdin=None, within=60):
        """One command: (exit code, output of both kinds)."""
        try:
            done = subprocess.run([KUBECTL, *words], env=self.env, input=stdin, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=within)
        except subprocess.TimeoutExpired:
            return None, f"kubectl {' '.join(words)}: no end after {within} s"
        return done.returncode, done.stdout

    def does(self, *words, **named):
        """One command that has to succeed: its output."""
        code, text = self.kubectl(*words, **named)
        if code != 0:
            raise RuntimeError(f"kubectl {' '.join(words)}: {text[-500:]}")
        return text.strip()

    def load(self, *words, within=120):
        """Our load generator: its output, what it complains of included."""
        certificate, key = self.pki.pair("admin")
        done = subprocess.run([os.path.join(BIN, "kubeload"), "-server", SERVER, "-ca", self.pki.path("ca.crt"), "-cert", certificate, "-key", key, *words],
                              env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=within)
        return done.stdout if done.returncode == 0 else f"{done.stdout}\nended with {done.returncode}, err=1"

    def stop(self, *programs):
        """Ends these, or all."""
        for program in programs or reversed(list(self.processes)):
            process = self.processes.pop(program, None)
            if process is None:
                continue
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
