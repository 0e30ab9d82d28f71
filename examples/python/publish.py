"""Publishes a message: python3 publish.py redis|http TOPIC BODY

Needs redis (pip install redis, or Debian's python3-redis).
"""
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
import zlib

import redis

REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")  # that of the dispatchers
RECOVER_REDIS_URL = os.environ.get("RECOVER_REDIS_URL", REDIS_URL)  # their MEDIS_RECOVER_REDIS_URL
PARTITIONS = int(os.environ.get("MEDIS_PARTITIONS", "1"))  # as the dispatchers have it
MEDIS_URL = os.environ.get("MEDIS_URL", "http://127.0.0.1:5601")  # of a dispatcher, for HTTP
MEDIS_TOKEN = os.environ.get("MEDIS_TOKEN", "")


def connect(url):
    # No retries: a write is not to be repeated behind our back.
    return redis.Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3, retry_on_timeout=False)


def publish(topic, body, id=None, key=""):
    """With an id a message can be written again: it is delivered once."""
    id = id or str(uuid.uuid4())
    fields = {"topic": topic, "body": body, "id": id}
    if key:
        fields["key"] = key
    partition = zlib.crc32((key or id).encode()) % PARTITIONS
    try:
        connect(REDIS_URL).xadd(f"medis:{{{partition}}}:incoming", fields)
    except redis.RedisError as error:
        # Redis does not take it, or did not say so. The dispatchers publish it from the recover list.
        print(f"parked: {error}", file=sys.stderr)
        fields["time"] = int(time.time() * 1000)
        connect(RECOVER_REDIS_URL).rpush("medis:recover:python", json.dumps(fields))
    return id


def publish_by_http(topic, body, id=None):
    id = id or str(uuid.uuid4())
    headers = {"Content-Type": "application/json", "Idempotency-Key": id}
    if MEDIS_TOKEN:
        headers["Authorization"] = "Bearer " + MEDIS_TOKEN
    request = urllib.request.Request(f"{MEDIS_URL}/api/v1/topics/{topic}/messages", body.encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=5):
            return id
    except urllib.error.HTTPError as error:  # an answer other than 2xx; its body says why
        raise RuntimeError(f"{error.code} {error.read().decode(errors='replace')}") from None


if __name__ == "__main__":
    by = {"redis": publish, "http": publish_by_http}
    if len(sys.argv) != 4 or sys.argv[1] not in by:
        print("usage: python3 publish.py redis|http TOPIC BODY", file=sys.stderr)
        sys.exit(2)
    print(by[sys.argv[1]](*sys.argv[2:]))
