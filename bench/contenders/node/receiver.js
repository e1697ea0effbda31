// SPDX-License-Identifier: MIT
// Node.js as people use it: 'data' and 'end' of each socket.
//
// node receiver.js PORT STREAMS [print]: see ../README.md.
'use strict';

const fs = require('fs');
const net = require('net');

const [port, streams] = process.argv.slice(2, 4).map(Number);
const prints = process.argv.length > 4;
let left = streams;
let total = 0;

function print(data) {
  for (let done = 0; done < data.length;) {
    done += fs.writeSync(1, data, done);
  }
}

const server = net.createServer((socket) => {
  socket.on('data', (data) => {
    total += data.length;
    if (prints) {
      print(data);
    }
  });
  socket.on('error', (error) => {
    throw error;
  });
  socket.on('end', () => {
    left -= 1;
    if (left === 0) {
      server.close();
      if (!prints) {
        console.log(total);
      }
    }
  });
});

server.listen({port, host: '127.0.0.1', backlog: 4096});
