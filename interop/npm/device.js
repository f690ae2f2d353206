// SPDX-License-Identifier: Apache-2.0

'use strict';

// A device on the unmodified npm package alibabacloud-iot-device-sdk. It does what
// its documentation shows, with the callbacks the SDK calls.

const iot = require('alibabacloud-iot-device-sdk');
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

device.onProps((req) => {
  tell('set', { body: req });
  device.publish(`${base}/thing/service/property/set_reply`, JSON.stringify({ id: req.id, code: 200, data: {} }));
});

device.onService('add', (req, reply) => {
  tell('service', { name: 'add', body: req });
  reply({ id: req.id, code: 200, data: { sum: req.params.a + req.params.b } });
});

// As the documentation has it, without an id: the SDK makes up one.
device.onService('addNow', (req, reply) => {
  tell('service', { name: 'addNow', body: req });
  reply({ code: 200, data: { sum: req.params.a + req.params.b } }, 'sync');
});

device.on('message', (topic, payload) => {
  const text = payload.toString();
  if (topic.startsWith(rrpc)) {
    if (text.startsWith('{')) return; // a service call, which the SDK takes
    tell('rrpc', { topic, payload: text });
    device.publish(`${base}/rrpc/response/${topic.slice(rrpc.length)}`, `echo ${text}`);
    return;
  }
  if (!topic.startsWith('/sys/')) tell('message', { topic, payload: text });
});

device.onConfig((res) => {
  tell('config', { body: res });
  device.publish(`${base}/thing/config/push_reply`, JSON.stringify({ id: res.id, code: 200, data: {} }));
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
