// SPDX-License-Identifier: Apache-2.0

'use strict';

// A device on the unmodified npm package coap: it logs in without DTLS and posts
// once, encrypted (wire facts section 7.3).

const coap = require('coap');
const crypto = require('crypto');
const { config, tell } = require('./lines');

const url = new URL(config.url);

function request(pathname, options, payload) {
  return new Promise((resolve, reject) => {
    const req = coap.request({ hostname: url.hostname, port: Number(url.port), method: 'POST', pathname });
    req.setOption('Content-Format', 'application/json');
    for (const [id, value] of options) req.setOption(String(id), value);
    req.on('error', reject);
    req.on('response', (res) => resolve({ code: res.code, payload: res.payload }));
    req.end(payload);
  });
}

function cipher(make, key, text) {
  const c = make('aes-128-cbc', key, '543yhjy97ae7fyfg');
  return Buffer.concat([c.update(text), c.final()]);
}

async function run() {
  const login = { clientId: 'npm', deviceName: config.deviceName, productKey: config.productKey, seq: '2787' };
  const content = Object.keys(login).sort().map((k) => k + login[k]).join('');
  login.sign = crypto.createHmac('md5', config.deviceSecret).update(content).digest('hex');
  const granted = await request('/auth', [], JSON.stringify(login));
  tell('login', { text: granted.code });
  const { token, random, seqOffset } = JSON.parse(granted.payload);
  const sum = crypto.createHash('sha256').update(`${config.deviceSecret},${random}`).digest();
  const key = sum.subarray(8, 24);
  const path = `/topic/sys/${config.productKey}/${config.deviceName}/thing/event/property/post`;
  const body = JSON.stringify({ id: '1', version: '1.0', params: { Level: config.level }, method: 'thing.event.property.post' });
  const post = (seq) => request(path, [
    [61, Buffer.from(token)],
    [2089, cipher(crypto.createCipheriv, key, String(seq))],
  ], cipher(crypto.createCipheriv, key, body));
  const first = await post(seqOffset);
  tell('post', { text: first.code, payload: String(cipher(crypto.createDecipheriv, key, first.payload)) });
  tell('replay', { text: (await post(seqOffset)).code });
  process.exit(0);
}

run();
