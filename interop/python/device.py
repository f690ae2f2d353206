# SPDX-License-Identifier: Apache-2.0
"""A device on paho-mqtt that knows nothing of this project: it computes its login
with hmac and writes its Alink messages itself. Orders come in as JSON lines, what
it sees goes out as JSON lines."""

import hashlib
import hmac
import json
import ssl
import sys
import urllib.parse

import paho.mqtt.client as mqtt

config = json.loads(sys.argv[1])
pk, dn = config["productKey"], config["deviceName"]
base = f"/sys/{pk}/{dn}"
url = urllib.parse.urlparse(config["url"])
waiting = {}  # orders by the id of their request
subscribing = []  # topics asked for, in order


def tell(event, **more):
    print(json.dumps({"event": event, **more}), flush=True)


def login():
    content = f"clientId{dn}deviceName{dn}productKey{pk}timestamp1700000000000"
    sign = hmac.new(config["deviceSecret"].encode(), content.encode(), hashlib.sha256).hexdigest()
    secure = 2 if url.scheme in ("tls", "wss") else 3
    return f"{dn}|securemode={secure},signmethod=hmacsha256,timestamp=1700000000000|", f"{dn}&{pk}", sign


def request(order, path, params, qos=1):
    ident = str(1000 + len(waiting))
    waiting[ident] = order["do"]
    method = path.replace("/", ".")
    text = json.dumps({"id": ident, "version": "1.0", "params": params, "method": method})
    client.publish(f"{base}/{path}", text, qos=qos)


def reply(topic, ident, data):
    client.publish(topic, json.dumps({"id": ident, "code": 200, "data": data}), qos=1)


def on_connect(c, userdata, flags, rc):
    if rc != 0:
        tell("refused", code=rc)
        return
    topics = ["thing/event/+/post_reply", "thing/service/#", "thing/deviceinfo/+", "rrpc/request/+"]
    c.subscribe([(f"{base}/{t}", 1) for t in topics] + [(f"/ext/ntp/{pk}/{dn}/response", 0)])
    tell("online", resumed=bool(flags["session present"]))


def on_disconnect(c, userdata, rc):
    tell("offline", code=rc)


def on_subscribe(c, userdata, mid, granted):
    if len(granted) == 1:  # not the list of the login
        tell("subscribed", topic=subscribing.pop(0), code=granted[0])


def on_publish(c, userdata, mid):
    tell("published")


def on_message(c, userdata, m):
    text = m.payload.decode()
    if m.topic.startswith(f"{base}/rrpc/request/"):
        rrpc(m.topic.replace("/request/", "/response/"), text)
    elif m.topic.startswith("/ext/rrpc/"):
        rrpc(m.topic, text)
    elif not m.topic.startswith(base):
        tell("message", topic=m.topic, payload=text)
    elif m.topic.endswith("_reply"):
        body = json.loads(text)
        tell("answer", do=waiting.get(body["id"], ""), body=body)
    else:
        invoke(m.topic + "_reply", json.loads(text))


def rrpc(topic, text):
    if text.startswith("{"):
        invoke(topic, json.loads(text))
        return
    tell("rrpc", topic=topic, payload=text)
    client.publish(topic, "echo " + text, qos=1)


def invoke(topic, body):
    name = body["method"].removeprefix("thing.service.")
    if name == "property.set":
        tell("set", body=body)
        reply(topic, body["id"], {})
        return
    tell("service", name=name, body=body)
    reply(topic, body["id"], {"sum": body["params"]["a"] + body["params"]["b"]})


def obey(order):
    do = order["do"]
    if do == "post":
        request(order, "thing/event/property/post", order["params"], qos=0)
    elif do == "event":
        request(order, f"thing/event/{order['name']}/post", {"value": order["params"]})
    elif do == "tag":
        request(order, "thing/deviceinfo/update", [{"attrKey": order["name"], "attrValue": order["value"]}])
    elif do == "untag":
        request(order, "thing/deviceinfo/delete", [{"attrKey": order["name"]}])
    elif do == "publish":
        client.publish(order["topic"], order["payload"], qos=1)
    elif do == "subscribe":
        subscribing.append(order["topic"])
        client.subscribe(order["topic"], order.get("qos", 1))
    elif do == "end":
        client.disconnect()


client_id, user, password = login()
client = mqtt.Client(
    client_id,
    clean_session=not config.get("keep", False),
    protocol=mqtt.MQTTv31 if config.get("level") == 3 else mqtt.MQTTv311,
    transport="websockets" if url.scheme in ("ws", "wss") else "tcp",
)
client.username_pw_set(user, password)
client.on_connect, client.on_disconnect = on_connect, on_disconnect
client.on_message, client.on_subscribe, client.on_publish = on_message, on_subscribe, on_publish
if url.scheme in ("ws", "wss"):
    client.ws_set_options(path=url.path)
if url.scheme in ("tls", "wss"):
    client.tls_set(ca_certs=config["ca"], tls_version=ssl.PROTOCOL_TLS_CLIENT)
client.connect(url.hostname, url.port, keepalive=config.get("keepAlive", 60))
client.loop_start()
for line in sys.stdin:
    obey(json.loads(line))
client.loop_stop()
