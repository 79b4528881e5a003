# SPDX-License-Identifier: Apache-2.0
"""A CA and a certificate for localhost, made by the command openssl. Standard library only."""

import os
import subprocess


def make(directory):
    """(CA, certificate, key): names of PEM files in the directory."""
    ca, certificate, key = (os.path.join(directory, name) for name in ("ca.pem", "own.pem", "own.key"))
    ca_key, request, names = (os.path.join(directory, name) for name in ("ca.key", "own.csr", "names"))
    with open(names, "w", encoding="utf-8") as out:
        out.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    # The larger key of the two usual kinds, for what travels is larger with it.
    for command in (["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=interop CA",
                     "-keyout", ca_key, "-out", ca],
                    ["req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", key,
                     "-out", request],
                    ["x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial",
                     "-days", "2", "-extfile", names, "-out", certificate]):
        subprocess.run(["openssl", *command], check=True, capture_output=True, timeout=60)
    return ca, certificate, key
