// SPDX-License-Identifier: MIT
// Node.js as people use it: 'data' and 'end' of each socket.
//
// node receiver.js PORT STREAMS [print|latencies]: see ../README.md.
'use strict';

const fs = require('fs');
const net = require('net');

const MESSAGE_SIZE = 64;

const [port, streams] = process.argv.slice(2, 4).map(Number);
const wanted = process.argv[4];
const latencies = [];
const contents = [];
let left = streams;
let total = 0;

function write(data) {
  for (let done = 0; done < data.length;) {
    done += fs.writeSync(1, data, done);
  }
}

function tell() {
  if (wanted !== 'print') {
    write(Buffer.from(`${total}\n`));
  }
  contents.forEach(write);
  write(new Uint8Array(BigUint64Array.from(latencies).buffer));
}

function keep(socket) {
  const pieces = [];

  socket.on('data', (data) => pieces.push(data));
  socket.on('end', () => contents.push(Buffer.concat(pieces)));
}

function readMessages(socket) {
  let rest = Buffer.alloc(0);  // of a message whose end is still to come

  socket.on('data', (data) => {
    const now = process.hrtime.bigint();
    const all = rest.length > 0 ? Buffer.concat([rest, data]) : data;
    let at = 0;

    for (; at + MESSAGE_SIZE <= all.length; at += MESSAGE_SIZE) {
      const due = all.readBigUInt64LE(at);
      if (due) {
        latencies.push(now - due);
      }
    }
    rest = all.subarray(at);
  });
}

const server = net.createServer((socket) => {
  socket.on('data', (data) => {
    total += data.length;
  });
  if (wanted === 'print') {
    keep(socket);
  } else if (wanted === 'latencies') {
    readMessages(socket);
  }
  socket.on('error', (error) => {
    throw error;
  });
  socket.on('end', () => {
    left -= 1;
    if (left === 0) {
      server.close();
      tell();
    }
  });
});

server.listen({port, host: '127.0.0.1', backlog: 4096});
