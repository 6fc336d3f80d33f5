# SPDX-License-Identifier: BSD-2-Clause
"""Certificates of every kind, made with the openssl command."""

import os
import ssl
import subprocess


class Certificates:
    """
    ca signs all but self_signed and foreign_ca. Each name stands for NAME.crt and NAME.key:

    server      localhost, 127.0.0.1, ::1       expired     the same names, in the past
    other       other.test                      wild        *.wild.test
    wrong_name  somebody-else.test              client      a client's, signed by ca
    self_signed localhost, 127.0.0.1            foreign_ca, foreign_client  of another authority
    """

    LOCAL = "DNS:localhost,IP:127.0.0.1,IP:::1"

    def __init__(self, folder):
        self.folder = str(folder)
        self._authority("ca")
        self._authority("foreign_ca")
        self._signed("server", self.LOCAL)
        self._signed("expired", self.LOCAL, days=-1)
        self._signed("other", "DNS:other.test")
        self._signed("wild", "DNS:*.wild.test")
        self._signed("wrong_name", "DNS:somebody-else.test")
        self._signed("client", "DNS:client.test")
        self._signed("foreign_client", "DNS:client.test", ca="foreign_ca")
        self._self_signed("self_signed", self.LOCAL)

    def crt(self, name):
        return os.path.join(self.folder, name + ".crt")

    def key(self, name):
        return os.path.join(self.folder, name + ".key")

    def server_context(self, name="server"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.crt(name), self.key(name))
        return context

    def client_context(self, certificate=None, verify=True):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if verify:
            context.load_verify_locations(self.crt("ca"))
        else:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if certificate:
            context.load_cert_chain(self.crt(certificate), self.key(certificate))
        return context

    def section(self, name="server"):
        """The two keys of a [tls] section."""
        return f"certificate = {self.crt(name)}\nprivate_key = {self.key(name)}\n"

    def _openssl(self, *args):
        subprocess.run(
            ["openssl", *args], cwd=self.folder, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def _new_key(self, name):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key"]

    def _authority(self, name):
        self._openssl("req", "-x509", *self._new_key(name), "-out", f"{name}.crt", "-subj", f"/CN={name}",
                      "-days", "2")

    def _self_signed(self, name, names):
        self._openssl("req", "-x509", *self._new_key(name), "-out", f"{name}.crt", "-subj", f"/CN={name}",
                      "-addext", f"subjectAltName={names}", "-days", "2")

    def _signed(self, name, names, days=2, ca="ca"):
        self._openssl("req", *self._new_key(name), "-out", f"{name}.csr", "-subj", f"/CN={name}",
                      "-addext", f"subjectAltName={names}")
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.crt", "-CAkey", f"{ca}.key",
                      "-CAcreateserial", "-copy_extensions", "copy", "-days", str(days), "-out", f"{name}.crt")
