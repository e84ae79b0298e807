"""The back end's side in Python: keeps every event once, then acknowledges it.

    python consumer.py HOST PORT FILE

Each line of FILE is an event with its device. Needs: pip install paho-mqtt
"""

import json
import os
import sys
import zlib

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

upto = {}  # (device, epoch, stream) -> everything up to this number is in the file


def events(topic, payload, content_type):
    """Those of a message; a batch holds one a line."""
    if topic[3] == "evt":
        return [json.loads(payload) | {"kind": topic[4]}]
    text = zlib.decompress(payload) if content_type == "application/x-ndjson+zlib" else payload
    return [json.loads(line) for line in text.splitlines()]


def keep(file, device, event):
    """Whether it is in the file now; False behind a hole: it comes again."""
    key = (device, event["epoch"], event["stream"])
    first = event["body"]["from"] if event["kind"] == "gap" else event["seq"]
    if event["seq"] <= upto.get(key, 0):
        return True
    if first > upto.get(key, 0) + 1:
        return False
    file.write(json.dumps({"device": device, **event}, ensure_ascii=False) + "\n")
    upto[key] = event["seq"]
    return True


def on_message(client, file, message):
    topic = message.topic.split("/")
    device = topic[2]
    if topic[3] == "state":
        state = json.loads(message.payload or b"{}")
        for stream, stood in state.get("streams", {}).items():
            key = (device, state["epoch"], stream)
            upto[key] = max(upto.get(key, 0), stood["first_unacked"] - 1)
        return
    content_type = getattr(message.properties, "ContentType", None)
    kept = set()
    for event in events(topic, message.payload, content_type):
        if keep(file, device, event):
            kept.add((event["epoch"], event["stream"]))
    file.flush()
    os.fsync(file.fileno())  # kept means kept: also after a power cut
    for epoch, stream in kept:
        ack = {"epoch": epoch, "seq": upto[device, epoch, stream]}
        client.publish(f"edge/v1/{device}/ack/{stream}", json.dumps(ack), qos=1)


def main(host, port, path):
    if os.path.exists(path):
        with open(path, encoding="utf-8") as old:
            for line in old:
                event = json.loads(line)
                upto[event["device"], event["epoch"], event["stream"]] = event["seq"]
    file = open(path, "a", encoding="utf-8")
    client = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2, "consumer-py", userdata=file, protocol=mqtt.MQTTv5
    )
    client.on_connect = lambda c, *_: c.subscribe(
        [(f"edge/v1/+/{t}", mqtt.SubscribeOptions(qos=1)) for t in ("state", "evt/+", "batch/+")]
    )
    client.on_message = on_message
    session = Properties(PacketTypes.CONNECT)
    session.SessionExpiryInterval = 7 * 86400
    client.connect(host, int(port), clean_start=False, properties=session)
    client.loop_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
