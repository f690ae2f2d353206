// SPDX-License-Identifier: Apache-2.0

'use strict';

// The control protocol between the Go tests and a client: a JSON object a line,
// orders on standard input, what the client saw on standard output. The first
// argument says who the device is and where the platform.

const readline = require('readline');

const config = JSON.parse(process.argv[2]);

function tell(event, more) {
  process.stdout.write(JSON.stringify(Object.assign({ event }, more)) + '\n');
}

// obey runs the order's function in verbs. The end of the input ends the program.
function obey(verbs) {
  const lines = readline.createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const order = JSON.parse(line);
    verbs[order.do](order);
  });
  lines.on('close', () => process.exit(0));
}

process.on('uncaughtException', (err) => {
  tell('crash', { text: String(err && err.stack) });
  process.exit(1);
});

module.exports = { config, tell, obey };
