// SPDX-License-Identifier: Apache-2.0

'use strict';

// A gateway with sub-devices on the unmodified npm package
// alibabacloud-iot-device-sdk.

const iot = require('alibabacloud-iot-device-sdk');
const { config, tell, obey } = require('./lines');

const gateway = iot.gateway({
  productKey: config.productKey,
  deviceName: config.deviceName,
  deviceSecret: config.deviceSecret,
  brokerUrl: config.url,
});
const subs = {};

gateway.on('connect', () => tell('online'));
gateway.on('error', (err) => tell('error', { text: String(err) }));
gateway.on('close', () => tell('offline'));
gateway.on('message', (topic, payload) => {
  if (topic.startsWith('/ext/error/')) tell('refused', { topic, body: JSON.parse(payload.toString()) });
});

const answer = (order) => (res) => tell('answer', { do: order.do, body: res });

obey({
  register: (o) => gateway.regiestSubDevice(o.subs, answer(o)),
  addTopo: (o) => gateway.addTopo(o.subs, answer(o)),
  getTopo: (o) => gateway.getTopo(answer(o)),
  removeTopo: (o) => gateway.removeTopo(o.subs, answer(o)),
  login: (o) => {
    const sub = gateway.login(o.sub, answer(o));
    subs[o.sub.deviceName] = sub;
    sub.on('connect', () => tell('subOnline', { name: o.sub.deviceName }));
    sub.onProps((req) => {
      tell('set', { name: o.sub.deviceName, body: req });
      sub.postProps(req.params, () => {});
      sub.publish(`/sys/${o.sub.productKey}/${o.sub.deviceName}/thing/service/property/set_reply`, JSON.stringify({ id: req.id, code: 200, data: {} }));
    });
  },
  logout: (o) => gateway.logout(o.sub, answer(o)),
  post: (o) => subs[o.name].postProps(o.params, answer(o)),
  event: (o) => subs[o.name].postEvent('alarm', o.params, answer(o)),
  end: () => gateway.end(false, () => tell('ended')),
});
