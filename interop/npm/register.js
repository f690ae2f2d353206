// SPDX-License-Identifier: Apache-2.0

'use strict';

// Dynamic registration with the unmodified npm package
// alibabacloud-iot-device-sdk: the deviceSecret of the configuration is the
// product's.

const iot = require('alibabacloud-iot-device-sdk');
const { config, tell, obey } = require('./lines');

obey({
  register: (o) => iot.register({
    productKey: config.productKey,
    deviceName: config.deviceName,
    productSecret: config.deviceSecret,
    registerURL: config.url,
  }, (res) => tell('answer', { do: o.do, body: res })),
});
tell('online');
