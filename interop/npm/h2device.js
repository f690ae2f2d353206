// SPDX-License-Identifier: Apache-2.0
//
// A device over HTTP/2 without an SDK: node h2device.js URL PK DN SECRET. It
// subscribes, posts a property and prints a line for each message; one that says
// "again" it gives back the first time.
'use strict'
const crypto = require('node:crypto')
const http2 = require('node:http2')
const readline = require('node:readline')

const [url, pk, dn, secret] = process.argv.slice(2)
const sign = crypto.createHmac('sha256', secret).update(`clientIdnodedeviceName${dn}productKey${pk}`).digest('hex')
const client = http2.connect(url, { rejectUnauthorized: false })
client.on('error', (err) => { console.log('error ' + err.message); process.exit(1) })

const stream = client.request({
  ':method': 'POST',
  ':path': '/h2/connect',
  'x-auth-name': 'devicename',
  'x-auth-param-client-id': 'node',
  'x-auth-param-product-key': pk,
  'x-auth-param-device-name': dn,
  'x-auth-param-signmethod': 'hmacsha256',
  'x-auth-param-sign': sign,
})
const answer = (line) => stream.write(JSON.stringify(line) + '\n')
let channel

// post resolves to the status and the JSON of an answer.
function post(path, body) {
  return new Promise((resolve) => {
    const r = client.request({ ':method': 'POST', ':path': path, 'x-channel-id': channel })
    let status
    let text = ''
    r.on('response', (headers) => { status = headers[':status'] })
    r.on('data', (chunk) => { text += chunk })
    r.on('end', () => resolve([status, JSON.parse(text)]))
    r.end(body)
  })
}

stream.on('response', async (headers) => {
  console.log('status ' + headers[':status'])
  channel = headers['x-channel-id']
  const [, granted] = await post('/h2/subscribe', JSON.stringify({
    filters: [{ topic: `/${pk}/${dn}/user/get`, qos: 1 }, { topic: `/${pk}/another/user/get`, qos: 1 }],
  }))
  console.log('grants ' + granted.grants.join(' '))
  const [status, kept] = await post(`/h2/publish/sys/${pk}/${dn}/thing/event/property/post`, '{"id":"7","params":{"level":42}}')
  console.log('posted ' + status + ' ' + /^[0-9]{19}$/.test(kept.messageId))
  const [foreign] = await post(`/h2/publish/${pk}/another/user/update`, 'x')
  console.log('foreign ' + foreign)
})
stream.on('close', () => { client.close(); console.log('closed') })

readline.createInterface({ input: stream }).on('line', (text) => {
  const m = JSON.parse(text)
  if (m.end) console.log('end ' + m.end)
  if (!m.topic) return
  const payload = Buffer.from(m.payload, 'base64').toString()
  console.log(`message ${m.topic} ${m.again ? 'again' : 'first'} ${payload}`)
  if (!m.handle) return
  if (payload === 'again' && !m.again) answer({ again: [m.handle], delay: 10 })
  else answer({ done: [m.handle] })
})

process.stdin.on('end', () => stream.end())
process.stdin.resume()
