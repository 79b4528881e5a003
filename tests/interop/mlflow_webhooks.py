# SPDX-License-Identifier: Apache-2.0
"""The unmodified MLflow client and its webhooks against a running server: made, changed, tried and
removed by the client's own methods; what a receiver hears of models, versions, tags, aliases and
prompts, its signature checked. Used by mlflow_client.py."""

import base64
import hashlib
import hmac
import http.server
import json
import threading
import time

from mlflow import MlflowClient

SECRET = "test-secret-key"


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps what it hears; answers 500 as often as `failures` says, then 200."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.heard, self.failures = [], 0
        self.url = "http://127.0.0.1:%d" % self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def take(self, count=1):
        """The next `count` payloads, in any order of arrival."""
        until = time.time() + 20
        while len(self.heard) < count and time.time() < until:
            time.sleep(0.01)
        found, self.heard = self.heard[:], []
        return found


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        signed = b"%s.%s.%s" % (self.headers["X-MLflow-Delivery-Id"].encode(),
                                self.headers["X-MLflow-Timestamp"].encode(), body)
        expected = "v1," + base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
        good = hmac.compare_digest(expected, self.headers.get("X-MLflow-Signature", ""))
        refused = self.server.failures > 0
        self.server.failures -= refused
        if not refused:
            self.server.heard.append((good, self.headers["X-MLflow-Delivery-Id"], json.loads(body)))
        self.send_response(500 if refused else 200)
        self.end_headers()
        self.wfile.write(b"received")

    def log_message(self, *_):
        pass


def check_life(check, expect_error, receiver):
    from mlflow.entities.webhook import WebhookEvent, WebhookStatus

    client = MlflowClient()
    events = [WebhookEvent("model_version", "created"), WebhookEvent("registered_model", "created")]
    made = client.create_webhook("hook", receiver.url, events, description="d", secret=SECRET)
    check("create_webhook", (made.name, made.url, made.events, made.description, made.status, made.secret) ==
          ("hook", receiver.url, events, "d", WebhookStatus.ACTIVE, None), made)
    check("get_webhook", client.get_webhook(made.webhook_id).events == events)
    expect_error("get_webhook of none", "Webhook with ID nonexistent not found", lambda: client.get_webhook("nonexistent"))
    others = [client.create_webhook("hook%d" % i, receiver.url, events) for i in range(4)]
    page = client.list_webhooks(max_results=2)
    more = client.list_webhooks(max_results=2, page_token=page.token)
    check("list_webhooks in pages", len(page) == len(more) == 2 and more.token and
          not {one.webhook_id for one in page} & {one.webhook_id for one in more}, (page, more))
    changed = client.update_webhook(others[0].webhook_id, name="other", url=receiver.url + "/x", events=events[:1],
                                    description="new", secret="s", status=WebhookStatus.DISABLED)
    check("update_webhook", (changed.name, changed.url, changed.events, changed.description, changed.status) ==
          ("other", receiver.url + "/x", events[:1], "new", WebhookStatus.DISABLED) and
          changed.last_updated_timestamp > others[0].last_updated_timestamp, changed)
    for url, text in (("   ", "Webhook URL cannot be empty or just whitespace"), ("ftp://example.com", "Invalid webhook URL scheme"),
                      ("http://[invalid", "Invalid webhook URL")):
        expect_error("a URL %r" % url, text, lambda: client.update_webhook(made.webhook_id, url=url))
    result = client.test_webhook(made.webhook_id)
    good, _, told = receiver.take()[0]
    check("test_webhook", result.success and result.response_status == 200 and result.response_body == "received" and
          good and told["data"]["source"] == "models:/123", (result, told))
    result = client.test_webhook(made.webhook_id, WebhookEvent("prompt_alias", "deleted"))
    check("test_webhook of an event", receiver.take()[0][2]["data"] == {"name": "example_prompt", "alias": "example_alias"})
    for one in others + [made]:
        client.delete_webhook(one.webhook_id)
    expect_error("delete_webhook twice", "not found", lambda: client.delete_webhook(made.webhook_id))
    check("delete_webhook", len(client.list_webhooks()) == 0)


def check_events(check, receiver):
    from mlflow.entities.webhook import VALID_ENTITY_ACTIONS, WebhookEvent

    client = MlflowClient()
    every = [WebhookEvent(entity, action) for entity, actions in VALID_ENTITY_ACTIONS.items() for action in actions
             if entity != "budget_policy"]
    client.create_webhook("all", receiver.url, every, secret=SECRET)

    def told(name, event, data):
        heard = receiver.take()
        good = len(heard) == 1 and heard[0][0] and heard[0][2]["data"] == data and \
            "%s.%s" % (heard[0][2]["entity"], heard[0][2]["action"]) == event
        check("webhook of " + name, good, heard)

    client.create_registered_model("hooked", tags={"k": "v"}, description="d")
    told("a model", "registered_model.created", {"name": "hooked", "tags": {"k": "v"}, "description": "d"})
    receiver.failures = 1
    client.create_model_version("hooked", "s3://bucket/path", tags={"k": "v"}, description="d")
    told("a version, tried again", "model_version.created",
         {"name": "hooked", "version": "1", "source": "s3://bucket/path", "run_id": None, "tags": {"k": "v"},
          "description": "d"})
    client.set_model_version_tag("hooked", "1", "k", "w")
    told("a tag", "model_version_tag.set", {"name": "hooked", "version": "1", "key": "k", "value": "w"})
    client.delete_model_version_tag("hooked", "1", "k")
    told("a tag removed", "model_version_tag.deleted", {"name": "hooked", "version": "1", "key": "k"})
    client.set_registered_model_alias("hooked", "best", "1")
    told("an alias", "model_version_alias.created", {"name": "hooked", "alias": "best", "version": "1"})
    client.delete_registered_model_alias("hooked", "best")
    told("an alias removed", "model_version_alias.deleted", {"name": "hooked", "alias": "best"})
    client.create_prompt("asked", description="d", tags={"k": "v"})
    told("a prompt", "prompt.created", {"name": "asked", "tags": {"k": "v"}, "description": "d"})
    client.create_prompt_version("asked", "Hi {{you}}", description="d", tags={"k": "v"})
    told("a prompt's version", "prompt_version.created",
         {"name": "asked", "version": "1", "template": "Hi {{you}}", "tags": {"k": "v"}, "description": "d"})
    client.set_prompt_alias("asked", "best", 1)
    told("a prompt's alias", "prompt_alias.created", {"name": "asked", "alias": "best", "version": "1"})


def run_checks(check, expect_error):
    receiver = Receiver()
    check_life(check, expect_error, receiver)
    check_events(check, receiver)
    for one in MlflowClient().list_webhooks():
        MlflowClient().delete_webhook(one.webhook_id)
    receiver.shutdown()
