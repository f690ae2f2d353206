// SPDX-License-Identifier: Apache-2.0
//
// Consumes a group over HTTP/2: node consume.js URL KEY GROUP. Prints a line for
// each message and says that it is done. With the number of a message as fourth
// argument it gives that one back once.
'use strict'
const http2 = require('node:http2')
const readline = require('node:readline')

const [url, key, group, again] = process.argv.slice(2)
const client = http2.connect(url)
client.on('error', (err) => { console.log('error ' + err.message); process.exit(1) })

const stream = client.request({
  ':method': 'POST',
  ':path': `/api/v1/groups/${group}/stream?prefetch=10`,
  authorization: 'Bearer ' + key,
  'content-type': 'application/x-ndjson',
})
const answer = (line) => stream.write(JSON.stringify(line) + '\n')

stream.on('response', (headers) => console.log('status ' + headers[':status']))
stream.on('close', () => { client.close(); console.log('closed') })

readline.createInterface({ input: stream }).on('line', (text) => {
  const m = JSON.parse(text)
  if (!m.handle) return
  const payload = Buffer.from(m.payload || '', 'base64').toString()
  console.log(`message ${m.deviceName} ${m.topic} ${payload} try ${m.tries}`)
  if (payload === again && m.tries === 1) answer({ again: [m.handle], delay: 10 })
  else answer({ done: [m.handle] })
})

process.stdin.on('end', () => stream.end())
process.stdin.resume()
