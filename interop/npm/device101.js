// SPDX-License-Identifier: Apache-2.0

'use strict';

// A device on the unmodified npm package aliyun-iot-device-sdk. The SDK knows
// neither property set nor RRPC, so that its user subscribes to them, and it never
// answers a service by itself.

const iot = require('aliyun-iot-device-sdk');
const { config, tell, obey } = require('./lines');

const base = `/sys/${config.productKey}/${config.deviceName}`;
const rrpc = `${base}/rrpc/request/`;
const device = iot.device({
  productKey: config.productKey,
  deviceName: config.deviceName,
  deviceSecret: config.deviceSecret,
  brokerUrl: config.url,
});

device.on('connect', () => tell('online'));
device.on('error', (args) => {
  const err = Array.isArray(args) ? args[0] : args;
  tell('error', { code: err.code, text: String(err) });
});
device.on('close', () => tell('offline'));

device.subscribe(`${base}/thing/service/property/set`);
device.subscribe(`${rrpc}+`, { qos: 1 });

device.onService('add', (req) => {
  tell('service', { name: 'add', body: req });
  const sum = req.params.a + req.params.b;
  device.publish(`${base}/thing/service/add_reply`, JSON.stringify({ id: req.id, code: 200, data: { sum } }));
});

device.onService('set', (req) => { // thing.service.property.set: the SDK looks at the last word
  tell('set', { body: req });
  device.publish(`${base}/thing/service/property/set_reply`, JSON.stringify({ id: req.id, code: 200, data: {} }));
});

let call = ''; // topic of the synchronous call at hand
device.onService('addNow', (req) => {
  tell('service', { name: 'addNow', body: req });
  const sum = req.params.a + req.params.b;
  device.publish(call.replace('/request/', '/response/'), JSON.stringify({ id: req.id, code: 200, data: { sum } }));
});

device.on('message', (topic, payload) => {
  const text = payload.toString();
  if (topic.startsWith(rrpc)) {
    call = topic;
    if (text.startsWith('{')) return;
    tell('rrpc', { topic, payload: text });
    device.publish(topic.replace('/request/', '/response/'), `echo ${text}`);
    return;
  }
  if (topic === `${base}/thing/config/push`) { // the SDK has no callback for it
    const res = JSON.parse(text);
    tell('config', { body: res });
    device.publish(`${base}/thing/config/push_reply`, JSON.stringify({ id: res.id, code: 200, data: {} }));
    return;
  }
  if (!topic.startsWith('/sys/')) tell('message', { topic, payload: text });
});

device.onShadow((res) => tell('shadow', { body: res }));

const answer = (order) => (res) => tell('answer', { do: order.do, body: res });

// The SDKs number updates of the shadow by the clock, in milliseconds: of two within
// one, or within that of the platform's own, the second is refused.
const later = (f) => setTimeout(f, 5);

obey({
  post: (o) => device.postProps(o.params, answer(o)),
  event: (o) => device.postEvent(o.name, o.params, answer(o)),
  tag: (o) => device.postTags([{ attrKey: o.name, attrValue: o.value }], answer(o)),
  untag: (o) => device.deleteTags([o.name], answer(o)),
  publish: (o) => device.publish(o.topic, o.payload, { qos: 1 }, (err) => tell('published', { topic: o.topic, text: err ? String(err) : '' })),
  subscribe: (o) => device.subscribe(o.topic, { qos: 1 }, (err, granted) => tell('subscribed', { topic: o.topic, code: err ? 128 : granted[0].qos })),
  reportShadow: (o) => later(() => device.postShadow(o.params)),
  readShadow: () => device.getShadow(),
  deleteShadow: (o) => later(() => device.deleteShadow(o.params)),
  config: (o) => device.getConfig(answer(o)),
  end: () => device.end(false, () => tell('ended')),
});
