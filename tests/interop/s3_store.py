#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Blobs on S3 against moto_server, which checks signatures by botocore, seen from outside by boto3: a
model registered, deployed and served again with an empty cache, artifacts of 100 MB up and down,
kill -9 in the middle of an upload, and every object the bytes that its name says."""

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import program

try:
    import boto3
    import botocore.auth
    import botocore.awsrequest
    import botocore.config
    import botocore.credentials
    import moto.server  # noqa: F401
except ImportError as error:
    print("s3_store: skipped, %s" % error)
    sys.exit(0)

CASE = os.path.join(program.ROOT, "tests", "golden", "xgboost", "base_score_binary")
FEATURES = 6
BUCKET, PREFIX = "ingot-interop", "some/prefix"
RUN = "0/0123456789abcdef0123456789abcdef/artifacts"
os.environ.update(AWS_ACCESS_KEY_ID="nobody", AWS_SECRET_ACCESS_KEY="nothing", AWS_DEFAULT_REGION="us-east-1")
UNCHECKED = 3  # requests that moto takes before it checks who asks: those of make_user
for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "http_proxy", "HTTP_PROXY"):
    os.environ.pop(name, None)
failed = 0


def check(name, good, detail=""):
    global failed
    failed += not good
    print("%s s3: %s%s" % ("ok" if good else "FAIL", name, "" if good else ": %r" % (detail,)))


def start_moto(log):
    """The process, and its URL."""
    with open(log, "w", encoding="utf-8") as lines:
        moto_server = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
                                       stdout=lines, stderr=lines,
                                       env=dict(os.environ, INITIAL_NO_AUTH_ACTION_COUNT=str(UNCHECKED)))
    for _ in range(300):
        with open(log, encoding="utf-8") as lines:
            found = re.search(r"http://127\.0\.0\.1:\d+", lines.read())
        if found:
            return moto_server, found.group(0)
        time.sleep(0.1)
    moto_server.kill()
    raise SystemExit("FAIL s3: moto_server does not start")


def make_user(endpoint):
    """Whose keys the environment then has."""
    iam = boto3.Session().client("iam", endpoint_url=endpoint)
    iam.create_user(UserName="ingot")
    key = iam.create_access_key(UserName="ingot")["AccessKey"]
    rule = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    iam.put_user_policy(UserName="ingot", PolicyName="all",
                        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [rule]}))
    os.environ.update(AWS_ACCESS_KEY_ID=key["AccessKeyId"], AWS_SECRET_ACCESS_KEY=key["SecretAccessKey"])


def check_wrong_keys(directory, blobs):
    command = [program.INGOT, "server", "--data", os.path.join(directory, "other"), "--listen", "127.0.0.1:0",
               "--set", "blobs=" + blobs]
    for name, word in (("AWS_SECRET_ACCESS_KEY", "SignatureDoesNotMatch"), ("AWS_ACCESS_KEY_ID", "InvalidAccessKeyId")):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60,
                              env=dict(os.environ, **{name: "wrong"}))
        check("another %s is refused" % name, done.returncode != 0 and word in done.stderr, done.stderr)


def call(url, method, path, body=None, timeout=180):
    request = urllib.request.Request(url + path, data=body, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


class Ingot:
    def __init__(self, directory, endpoint):
        self.data = os.path.join(directory, "data")
        self.log = os.path.join(directory, "log")
        self.blobs = "s3://%s/%s?endpoint=%s&path_style=true" % (BUCKET, PREFIX, endpoint)
        self.start()

    def start(self):
        self.process, place = program.serve(self.data, self.log, ["--set", "blobs=" + self.blobs])
        self.url = "http://" + place
        os.environ["INGOT_SERVER"] = self.url

    def end(self, number):
        self.process.send_signal(number)
        self.process.wait(60)

    def drop_cache(self):
        shutil.rmtree(os.path.join(self.data, "blobs", "cache"))


class Bucket:
    def __init__(self, endpoint):
        self.client = boto3.Session().client("s3", endpoint_url=endpoint,
                                   config=botocore.config.Config(s3={"addressing_style": "path"}))
        self.client.create_bucket(Bucket=BUCKET)

    def keys(self):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def uploads(self):
        return self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])

    def check(self, when):
        """Every object lies under the name that its bytes have."""
        wrong = []
        for key in self.keys():
            digest = hashlib.sha256(self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()).hexdigest()
            if key != "%s/%s/%s" % (PREFIX, digest[:2], digest):
                wrong.append(key)
        check("objects hash to their names, %s" % when, not wrong, wrong)


def check_model(ingot, bucket):
    model = os.path.join(CASE, "model.json")
    program.run("model", "register", "m", model)
    program.run("deploy", "m", "--model", "models:/m/1")
    graph = os.path.join(os.path.dirname(ingot.data), "graph.yaml")
    with open(graph, "w", encoding="utf-8") as file:
        file.write("root: {model: m}\nresources: {isolation: process, replicas: {min: 1, max: 1}}\n")
    program.run("deploy", "apart", "--graph", graph)
    with open(model, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    check("the model's file is an object", "%s/%s/%s" % (PREFIX, digest[:2], digest) in bucket.keys(), bucket.keys())
    return predict(ingot)


def predict(ingot):
    answers = []
    for name in ("m", "apart"):
        status, body = call(ingot.url, "POST", "/v1/models/%s:predict" % name,
                            json.dumps({"instances": [[0.5] * FEATURES]}).encode())
        answers.append((status, body))
    return answers


def check_artifacts(ingot, bucket, megabytes):
    path = "/api/2.0/mlflow-artifacts/artifacts/%s/" % RUN
    random.seed(5)
    for name, size in (("empty", 0), ("small", 1000), ("border", 16 << 20), ("over", (16 << 20) + 1),
                       ("large", megabytes << 20)):
        content = random.randbytes(size)
        begin = time.time()
        status, body = call(ingot.url, "PUT", path + name, content)
        up = time.time() - begin
        check("artifact %s up" % name, status == 200, body[:300])
        ingot.end(signal.SIGTERM)
        ingot.drop_cache()
        ingot.start()
        begin = time.time()
        status, body = call(ingot.url, "GET", path + name)
        down = time.time() - begin
        check("artifact %s down, past the cache" % name, status == 200 and body == content, (status, len(body)))
        begin = time.time()
        status, body = call(ingot.url, "GET", path + name)
        again = time.time() - begin
        check("artifact %s down, from the cache" % name, status == 200 and body == content, (status, len(body)))
        if size > 50 << 20:
            print("%d MB: up %.2f s, down %.2f s, again %.2f s" % (size >> 20, up, down, again))
    check("no upload is left unfinished", bucket.uploads() == [], bucket.uploads())


def sign_again(url):
    """The URL with botocore's signature of the same request at the same time."""
    plain = re.sub("&X-Amz-Signature=.*", "", url)
    key = botocore.credentials.Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    auth = botocore.auth.S3SigV4QueryAuth(key, "s3", "us-east-1", 900)
    request = botocore.awsrequest.AWSRequest("GET", plain)
    request.context["timestamp"] = re.search("X-Amz-Date=([^&]*)", url).group(1)
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    return plain + "&X-Amz-Signature=" + signature


def check_urls(ingot):
    """An artifact's URL, which S3 answers itself; and parts that S3 holds until they are one artifact."""
    content = random.Random(9).randbytes(3 << 20)
    places = ["/api/2.0/mlflow-artifacts/%s/%s/" % (kind, RUN) for kind in ("artifacts", "presigned")]
    call(ingot.url, "PUT", places[0] + "by%20url.html", content)
    status, body = call(ingot.url, "GET", places[1] + "by%20url.html")
    told = json.loads(body)
    check("an URL of S3", status == 200 and told["file_size"] == len(content) and ingot.url not in told["url"], body)
    check("as botocore signs it", told["url"] == sign_again(told["url"]), (told["url"], sign_again(told["url"])))
    asked = urllib.parse.parse_qs(urllib.parse.urlsplit(told["url"]).query)
    check("as a file of no kind", asked["response-content-type"] == ["application/octet-stream"] and
          asked["response-content-disposition"] == ["attachment; filename*=UTF-8''by%20url.html"], asked)
    mpu = "/api/2.0/mlflow-artifacts/mpu/"
    headers = {"Content-Type": "application/json"}

    def post(path, value):
        request = urllib.request.Request(ingot.url + mpu + path + "/" + RUN, json.dumps(value).encode(), headers)
        with urllib.request.urlopen(request) as reply:
            return json.loads(reply.read())
    begun, tags = post("create", {"path": "whole", "num_parts": 2}), []
    for part in reversed(begun["credentials"]):
        piece = content[:1 << 20] if part["part_number"] == 1 else content[1 << 20:]
        request = urllib.request.Request(part["url"], piece, method="PUT")
        with urllib.request.urlopen(request) as reply:
            tags.insert(0, {"part_number": part["part_number"], "etag": reply.headers["ETag"]})
    ingot.end(signal.SIGKILL)
    ingot.drop_cache()
    ingot.start()
    post("complete", {"path": "whole", "upload_id": begun["upload_id"], "parts": tags})
    status, body = call(ingot.url, "GET", places[0] + "whole")
    check("parts put together behind kill -9", status == 200 and body == content, (status, len(body)))


def check_kill(ingot, bucket):
    content = random.randbytes(100 << 20)
    digest = hashlib.sha256(content).hexdigest()
    before = len(bucket.keys())

    def send():
        try:
            call(ingot.url, "POST", "/api/v1/blobs", content)
        except OSError:
            pass

    sender = threading.Thread(target=send)
    sender.start()
    while sender.is_alive() and not bucket.uploads():
        time.sleep(0.01)
    ingot.end(signal.SIGKILL)
    sender.join()
    check("killed in an upload: nothing under its name", len(bucket.keys()) == before, bucket.keys())
    check("an upload in parts is left", len(bucket.uploads()) == 1, bucket.uploads())
    ingot.start()
    incoming = os.listdir(os.path.join(ingot.data, "blobs", "incoming"))
    check("nothing of it in the data directory", incoming == [], incoming)
    check("nor in the bucket, for moto says of all uploads that they began in 2010",
          bucket.uploads() == [], bucket.uploads())
    status, body = call(ingot.url, "POST", "/api/v1/blobs", content)
    check("the same again", status == 201 and json.loads(body)["digest"] == digest, body[:300])
    check("is there", len(bucket.keys()) == before + 1)


def check_offline(ingot):
    ingot.end(signal.SIGTERM)
    shutil.rmtree(os.path.join(ingot.data, "blobs"))
    try:
        program.run("predict", "--model", "models:/m/1", "--data", ingot.data, "--input", os.path.join(CASE, "input.csv"))
        check("predict without the server", True)
    except program.Refused as error:
        check("predict without the server", False, str(error))
    ingot.start()


def main():
    with tempfile.TemporaryDirectory() as directory:
        moto_server, endpoint = start_moto(os.path.join(directory, "moto"))
        ingot = None
        try:
            make_user(endpoint)
            bucket = Bucket(endpoint)
            ingot = Ingot(directory, endpoint)
            check_wrong_keys(directory, ingot.blobs)
            answers = check_model(ingot, bucket)
            check("predictions", all(status == 200 for status, _ in answers), answers)
            ingot.end(signal.SIGTERM)
            ingot.drop_cache()
            ingot.start()
            check("the same predictions with an empty cache", predict(ingot) == answers, predict(ingot))
            check_artifacts(ingot, bucket, 100)
            check_urls(ingot)
            bucket.check("after artifacts")
            check_kill(ingot, bucket)
            bucket.check("after the kill")
            check_offline(ingot)
            check("the same predictions at the end", predict(ingot) == answers, predict(ingot))
            with open(ingot.log, encoding="utf-8") as log:
                check("no secret in the log", os.environ["AWS_SECRET_ACCESS_KEY"] not in log.read())
        finally:
            if ingot:
                ingot.process.kill()
                ingot.process.wait()
            moto_server.kill()
            moto_server.wait()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
