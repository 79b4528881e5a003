# SPDX-License-Identifier: Apache-2.0
"""gRPC of the server beside the real client: grpcio calls the echo service of grpc_test --serve.

Prints one line a check, "ok ..." or "FAIL ...", as the other parts of the suite do.
GRPC_TEST names another build of the test program.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
import time

import grpc

import certificates

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
PROGRAM = os.environ.get("GRPC_TEST", os.path.join(ROOT, "build", "release", "grpc_test"))
# What tritonclient sets on its channel.
TRITON = [("grpc.max_send_message_length", 2**31 - 1), ("grpc.max_receive_message_length", 2**31 - 1),
          ("grpc.keepalive_time_ms", 2**31 - 1), ("grpc.keepalive_timeout_ms", 20000),
          ("grpc.http2.max_pings_without_data", 2)]
failed = 0
over = ""  # or "over TLS, "


def check(name, good, detail=""):
    global failed
    failed += not good
    print("%s grpc: %s%s%s" % ("ok" if good else "FAIL", over, name, "" if good else ": %r" % (detail,)))


def expect_error(name, call, code, details=None):
    try:
        got = call()
    except grpc.RpcError as error:
        good = error.code() == code and (details is None or error.details() == details)
        check(name, good, (error.code(), error.details()))
        return
    check(name, False, got)


def identity(message):
    return message


def unary(channel, method):
    return channel.unary_unary("/test.Echo/" + method, identity, identity)


def stream(channel, method):
    return channel.stream_stream("/test.Echo/" + method, identity, identity)


def check_unary(channel):
    check("unary", unary(channel, "Unary")(b"hello") == b"hello")
    check("unary, empty", unary(channel, "Unary")(b"") == b"")
    check("unary on a worker", unary(channel, "Pool")(b"abc", timeout=5) == b"abc")
    large = bytes(range(256)) * 4096 * 8
    check("8 MiB each way", unary(channel, "Unary")(large) == large)
    for compression in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        got = unary(channel, "Unary")(large[:300000], compression=compression)
        check("compressed by %s" % compression.name, got == large[:300000])
    got, call = unary(channel, "Metadata").with_call(b"m", metadata=(("x-ask", "carried"),))
    check("initial metadata", ("x-initial", "carried") in call.initial_metadata())
    check("trailing metadata", ("x-trailing", "carried") in call.trailing_metadata())


def check_errors(channel):
    expect_error("status and text", lambda: unary(channel, "Fail")(b"x"), grpc.StatusCode.NOT_FOUND,
                 "no model 'irís': 100%")
    expect_error("refused on its head", lambda: unary(channel, "Deny")(b"x"),
                 grpc.StatusCode.PERMISSION_DENIED, "not you")
    expect_error("unknown service", lambda: channel.unary_unary("/no.Such/Call", identity, identity)(b""),
                 grpc.StatusCode.UNIMPLEMENTED)
    expect_error("message cap", lambda: unary(channel, "Small")(b"x" * 1000000),
                 grpc.StatusCode.RESOURCE_EXHAUSTED)
    expect_error("deadline", lambda: unary(channel, "Watch")(b"", timeout=0.3),
                 grpc.StatusCode.DEADLINE_EXCEEDED)
    future = unary(channel, "Watch").future(b"")
    time.sleep(0.1)
    check("cancelled", future.cancel() and unary(channel, "Unary")(b"after") == b"after")


def check_streams(channel):
    for method in ("Chat", "PoolChat"):
        sent = [b"message %d" % i for i in range(50)]
        got = list(stream(channel, method)(iter(sent), timeout=10))
        check("streaming both ways, %s" % method, got == [m for m in sent for _ in range(2)])
    count = channel.stream_unary("/test.Echo/Count", identity, identity)
    check("client streaming", count(iter([b"x" * 50000] * 40)) == b"40 messages, 2000000 bytes")
    expand = channel.unary_stream("/test.Echo/Expand", identity, identity)
    got = list(expand(b"300"))
    check("server streaming", len(got) == 300 and all(len(m) == 10000 for m in got))
    slow = expand(b"300")
    first = next(slow)
    time.sleep(0.3)
    check("server streaming to a slow reader", len([first, *slow]) == 300)
    half = expand(b"100000")
    next(half)
    half.cancel()
    pending = stream(channel, "Until")(iter([b"go", b"stop", b"late"]))
    check("streaming, a reply", next(pending) == b"go")
    expect_error("streaming, ended by the server", lambda: next(pending), grpc.StatusCode.ABORTED,
                 "stopped")
    check("ping-pong", ping_pong(channel) == [b"0", b"0", b"1", b"1", b"2", b"2"])


def ping_pong(channel):
    """Each message is sent only when the answer to the former is there."""
    answered = threading.Semaphore(1)

    def ask():
        for i in range(3):
            answered.acquire()
            yield b"%d" % i

    got = []
    for message in stream(channel, "Chat")(ask(), timeout=10):
        got.append(message)
        if len(got) % 2 == 0:
            answered.release()
    return got


def check_parallel(channel):
    futures = [unary(channel, "Pool" if i % 2 else "Unary").future(b"%d" % i) for i in range(1000)]
    check("1,000 calls at once", all(f.result(10) == b"%d" % i for i, f in enumerate(futures)))


async def check_aio(target, trust):
    async with (grpc.aio.secure_channel(target, trust, options=TRITON) if trust
                else grpc.aio.insecure_channel(target, options=TRITON)) as channel:
        call = channel.unary_unary("/test.Echo/Pool", identity, identity)
        got = await asyncio.gather(*(call(b"%d" % i) for i in range(200)))
        check("aio", got == [b"%d" % i for i in range(200)])
        chat = channel.stream_stream("/test.Echo/PoolChat", identity, identity)()
        await chat.write(b"a")
        first = [await chat.read(), await chat.read()]
        await chat.write(b"b")
        await chat.done_writing()
        rest = []
        while (message := await chat.read()) is not grpc.aio.EOF:
            rest.append(message)
        check("aio streaming", first == [b"a", b"a"] and rest == [b"b", b"b"])


def check_all(files, trust):
    """Every check; over TLS with `files`, a certificate and its key, and credentials that trust it."""
    global over
    over = "over TLS, " if trust else ""
    server = subprocess.Popen([PROGRAM, "--serve", *files], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    target = "127.0.0.1:%d" % int(server.stdout.readline())
    with (grpc.secure_channel(target, trust, options=TRITON) if trust
          else grpc.insecure_channel(target, options=TRITON)) as channel:
        check_unary(channel)
        check_errors(channel)
        check_streams(channel)
        check_parallel(channel)
    asyncio.run(check_aio(target, trust))
    server.stdin.close()
    check("the server stops clean", server.wait(10) == 0, server.returncode)


def main():
    check_all([], None)
    with tempfile.TemporaryDirectory() as directory:
        ca, *files = certificates.make(directory)
        with open(ca, "rb") as pem:
            check_all(files, grpc.ssl_channel_credentials(pem.read()))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
