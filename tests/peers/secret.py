"""Secrets that are valid in form and worth nothing, made when needed: none stands in the repository."""

import base64
import hashlib
import hmac
import json

PASSWORD = "correct-horse-" + "battery-staple"


def jwt():
    part = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    head = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = part(json.dumps({"sub": "1234567890", "name": "Peers Test", "iat": 1516239022}).encode())
    signature = hmac.new(PASSWORD.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{part(signature)}"


def planted():
    """What must not be found in anything that Tachograph writes."""
    return [PASSWORD.encode(), jwt().encode()]
