"""Requests made by hand: gRPC frames and protobuf fields that no client library would send.

What this is: bytes in, status out. A request goes through curl (HTTP/2 without TLS, prior knowledge), which also reads the
trailers; so a status is what any client sees. Texts are compared after making spaces alike: Go's protobuf library varies them
on purpose.
"""

import re
import struct
import subprocess
import tempfile
import urllib.parse

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def varint(number):
    """A protobuf varint; negative numbers as 64 bits, as protobuf has them."""
    number &= (1 << 64) - 1
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    """One field: bytes or text with their length, or a number."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def frame(message, compressed=0, length=None):
    """A gRPC frame; its flag and length may lie."""
    return struct.pack(">BI", compressed, len(message) if length is None else length) + message


def grpc(*request, **more):
    """Sends a body to a method; returns (HTTP status, grpc-status, grpc-message), absent ones as None.

    A server that answers before it has read all may reset the stream at once, and curl then sometimes forgets the answer it
    has: asked again, it shows it.
    """
    for _ in range(8):
        answer = once(*request, **more)
        if isinstance(answer[0], int):
            break
    return answer


def once(endpoint, method, body, content_type="application/grpc", seconds=5):
    """One try; without an answer the first of the three says why."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        done = subprocess.run(
            [
                "curl",
                "--silent",
                "--http2-prior-knowledge",
                "--max-time",
                str(seconds),
                "--header",
                f"content-type: {content_type}",
                "--header",
                "te: trailers",
                "--header",
                "expect:",
                "--data-binary",
                f"@{file.name}",
                "--dump-header",
                "-",
                "--output",
                "/dev/null",
                f"{endpoint}/{method}",
            ],
            capture_output=True,
        )
    text = done.stdout.decode(errors="replace")

    def header(name):
        found = re.findall(rf"(?im)^{name}: *(.*?)\r?$", text)
        return found[-1] if found else None

    status = re.search(r"^HTTP/[0-9.]+ (\d+)", text)
    message = header("grpc-message")
    if message is not None:
        message = re.sub(r"\s+", " ", urllib.parse.unquote(message)).strip()
    if status is None:
        return f"no answer (curl {done.returncode})", None, None
    return int(status.group(1)), header("grpc-status"), message
