"""A worker that takes what medispatcher signed: WEBHOOK_SECRETS="whsec_..." python3 receive.py

Needs flask (pip install flask, or Debian's python3-flask). `pip install standardwebhooks` has the same check as
verified(), for one secret: Webhook(secret).verify(body, headers).
"""
import base64
import hashlib
import hmac
import os
import re
import sys
import time

from flask import Flask, request
from werkzeug.serving import make_server

# While a secret is changed there are two, with a space between them.
SECRETS = os.environ.get("WEBHOOK_SECRETS", "").split()
# Without this check a secret that is cut off would be a key that anybody can guess.
if not SECRETS or not all(re.fullmatch(r"whsec_[A-Za-z0-9+/]{32,86}={0,2}", secret) for secret in SECRETS):
    sys.exit("WEBHOOK_SECRETS must hold the secret of the subscription: whsec_ and 24 to 64 bytes in base64")
KEYS = [base64.b64decode(secret.removeprefix("whsec_") + "==") for secret in SECRETS]  # it may come without the =
TOLERANCE = 300  # seconds
MAX_BODY = 4 << 20

app = Flask(__name__)


def verified(headers, body):
    id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not id or not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > TOLERANCE:
        return False
    signed = f"{id}.{timestamp}.".encode() + body
    good = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in KEYS]
    given = [s.removeprefix("v1,") for s in headers.get("webhook-signature", "").split() if s.startswith("v1,")]
    return any(hmac.compare_digest(a.encode(), b.encode()) for a in good for b in given)


@app.post("/")
def receive():
    body = request.stream.read(MAX_BODY + 1)  # the bytes as they came: the signature is that of them
    if len(body) > MAX_BODY:
        return "the body is too large", 413
    if not verified(request.headers, body):
        return "the signature is wrong", 401
    # webhook-id is the same for every attempt: remember it where a repetition would do harm.
    print(request.headers.get("medis-topic"), body.decode(errors="replace"), flush=True)
    return "", 204  # any 2xx: the message is done


if __name__ == "__main__":
    # In production run the app under gunicorn or the like.
    server = make_server("127.0.0.1", int(os.environ.get("PORT", "8080")), app, threaded=True)
    print(f"listening on http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()
