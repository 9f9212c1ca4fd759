#!/usr/bin/env python3
"""A shop's receiver of webhooks, with Python's standard library: prints each event once that SECRET has signed.

    SECRET=whsec_... python docs/examples/shop.py 9000

docs/integrate.md uses it, docs/webhooks.md describes the signature.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

KEY = base64.b64decode(os.environ["SECRET"].removeprefix("whsec_"))
known, orders = set(), {}


def is_genuine(headers, body):
    name, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    signed = f"{name}.{timestamp}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
    is_recent = abs(time.time() - int(timestamp)) <= 300
    return is_recent and any(hmac.compare_digest(one, expected) for one in headers["webhook-signature"].split())


class Hooks(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            genuine = is_genuine(self.headers, body)
        except (TypeError, ValueError, AttributeError):  # a header is missing, or malformed
            genuine = False
        self.send_response(204 if genuine else 401)
        self.end_headers()
        if not genuine:
            print("not signed by this secret", flush=True)
            return
        event = json.loads(body)
        seen = " (known already)" if event["id"] in known else ""
        known.add(event["id"])
        if event["object"]["type"] == "plan":  # it has the number that the shop gave it
            orders[event["plan"]] = event["data"]["external_id"]
        print(f"verified: {event['type']} of {orders.get(event['plan'], 'another order')}{seen}", flush=True)

    def log_message(self, *args):
        """Nothing: the events are enough."""


server = HTTPServer(("127.0.0.1", int(sys.argv[1])), Hooks)
print("listening", flush=True)
server.serve_forever()
