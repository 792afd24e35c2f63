"""Certificates to make mistakes with: made by openssl, of a stranger's authority or signed by a member's own client issuer.

What this is: `Issuer` signs certificates with any beginning, end, name and purpose. The files lie in a directory of the test.
`open_authority` is one of the time when a member's issuers kept their keys beside its data: a member takes it over at its first
start and seals the keys, and who made it signs on as its clients' issuer.
"""

import os
import shutil
import subprocess

CONFIG = """
[ca]
default_ca = it
[it]
dir = {directory}
database = {directory}/index.txt
serial = {directory}/serial
new_certs_dir = {directory}
default_md = sha256
policy = any
default_crl_days = 365
crlnumber = {directory}/crlnumber
crl_extensions = list
unique_subject = no
rand_serial = yes
[any]
commonName = optional
organizationName = optional
[list]
authorityKeyIdentifier = keyid:always
[leaf]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = {usage}
{names}
"""
ALWAYS = ("20200101000000Z", "20491231235959Z")
ENDED = ("20200101000000Z", "20200201000000Z")
TO_COME = ("20480101000000Z", "20491231235959Z")


def openssl(*arguments, cwd):
    done = subprocess.run(["openssl", *arguments], cwd=cwd, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stderr.decode(errors='replace')[-500:]}")


class Issuer:
    """Who signs: a certificate and key that are there, or a new root."""

    def __init__(self, directory, certificate=None, key=None):
        self.directory = os.path.abspath(directory)
        os.makedirs(self.directory, exist_ok=True)
        open(os.path.join(self.directory, "index.txt"), "a").close()
        self.certificate, self.key = certificate, key
        if certificate is None:
            self.certificate, self.key = os.path.join(self.directory, "ca.crt"), os.path.join(self.directory, "ca.key")
            openssl(
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "3650",
                "-subj",
                "/CN=a stranger's root",
                "-addext",
                "keyUsage=critical,keyCertSign,cRLSign",
                "-out",
                self.certificate,
                "-keyout",
                self.key,
                cwd=self.directory,
            )

    def leaf(self, name, common_name, usage="clientAuth", names=(), time=ALWAYS, chain=False, organization=None):
        """A certificate and its key: (paths). With `chain` the issuer's certificate follows in the file; None as name: it has none."""
        subject = "/O=nameless" if common_name is None else f"/CN={common_name}"
        if organization is not None:
            subject = f"/O={organization}{subject}"
        config, request = os.path.join(self.directory, f"{name}.cnf"), os.path.join(self.directory, f"{name}.csr")
        certificate, key = os.path.join(self.directory, f"{name}.crt"), os.path.join(self.directory, f"{name}.key")
        alternative = f"subjectAltName = {','.join(names)}" if names else ""
        with open(config, "w") as out:
            out.write(CONFIG.format(directory=self.directory, usage=usage, names=alternative))
        openssl(
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            subject,
            "-out",
            request,
            "-keyout",
            key,
            cwd=self.directory,
        )
        openssl(
            "ca",
            "-batch",
            "-notext",
            "-config",
            config,
            "-extensions",
            "leaf",
            "-cert",
            self.certificate,
            "-keyfile",
            self.key,
            "-in",
            request,
            "-out",
            certificate,
            "-startdate",
            time[0],
            "-enddate",
            time[1],
            cwd=self.directory,
        )
        os.chmod(key, 0o600)
        if chain:
            with open(certificate, "a") as out:
                out.write(open(self.certificate).read())
        return certificate, key

    def revocations(self, *names, number=1, due=None, path=None):
        """A revocation list with the certificates of these names and all revoked before, in DER, the only form that etcd takes: its path.

        With this number, and stale from `due` (YYYYMMDDHHMMSSZ) on; without it, in a year. Put in place at once, over what is there.
        """
        with open(os.path.join(self.directory, "crlnumber"), "w") as out:
            out.write(f"{number:02X}\n" if number > 15 else f"0{number:X}\n")
        config, path = os.path.join(self.directory, "crl.cnf"), path or os.path.join(self.directory, "revoked.crl")
        with open(config, "w") as out:
            out.write(CONFIG.format(directory=self.directory, usage="clientAuth", names=""))
        signer = ["ca", "-config", config, "-cert", self.certificate, "-keyfile", self.key]
        for name in names:
            openssl(*signer, "-revoke", os.path.join(self.directory, f"{name}.crt"), cwd=self.directory)
        dates = ["-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", due] if due else []
        openssl(*signer, "-gencrl", *dates, "-out", path + ".new", cwd=self.directory)
        openssl("crl", "-in", path + ".new", "-outform", "DER", "-out", path + ".new", cwd=self.directory)
        os.rename(path + ".new", path)
        return path


def open_authority(directory):
    """Root, clients' and peers' issuer with their keys in the clear, where a member that has not started yet looks for its own.

    Returns the clients' issuer, which signs with copies beside the directory: the member removes the keys there.
    """
    os.makedirs(directory, mode=0o700)
    kept = directory + "-kept"
    os.makedirs(kept, mode=0o700)
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *curve, "-days", "3650", "-subj", "/CN=an open root", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
            "-addext", "basicConstraints=critical,CA:TRUE,pathlen:1", "-out", "root.crt", "-keyout", "root.key", cwd=kept)
    with open(os.path.join(kept, "issuer.ext"), "w") as out:
        out.write("basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n"
                  "extendedKeyUsage=serverAuth,clientAuth\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
    for name in ("clients", "peers"):
        openssl("req", "-new", *curve, "-subj", f"/CN=an open issuer of {name}", "-out", f"{name}.csr", "-keyout", f"{name}.key", cwd=kept)
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "root.crt", "-CAkey", "root.key", "-CAcreateserial", "-days", "3000",
                "-extfile", "issuer.ext", "-out", f"{name}.crt", cwd=kept)
    for name in ("root", "clients", "peers"):
        for ending in ("crt", "key"):
            path = os.path.join(directory, f"{name}.{ending}")
            shutil.copy(os.path.join(kept, f"{name}.{ending}"), path)
            os.chmod(path, 0o600)
    return Issuer(kept, os.path.join(kept, "clients.crt"), os.path.join(kept, "clients.key"))
