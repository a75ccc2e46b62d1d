// node commands.js COMMAND PORT USER PASSWORD [DESTINATION]: one SOCKS5 command by the npm package socks. What came
// back from the far end is printed.
"use strict";
const dgram = require("dgram");
const net = require("net");
const { SocksClient } = require("socks");

const [command, port, userId, password, destination] = process.argv.slice(2);
const proxy = { host: "127.0.0.1", port: Number(port), type: 5, userId, password };
const anywhere = { host: "127.0.0.1", port: 0 };

function fail(error) {
  console.error(String(error));
  process.exit(1);
}

function done(text) {
  process.stdout.write(text, () => process.exit(0));
}

function collect(socket) {
  let text = "";
  socket.on("data", (data) => (text += data));
  socket.on("end", () => done(text));
  socket.on("error", fail);
  socket.resume();
}

// An HTTP request to DESTINATION, HOST:PORT.
async function connect() {
  const [host, at] = destination.split(":");
  const { socket } = await SocksClient.createConnection({
    proxy, command: "connect", destination: { host, port: Number(at) },
  });
  collect(socket);
  socket.write("GET /node HTTP/1.0\r\n\r\n");
}

// We are the peer as well: it connects to the port that the server opened, and talks first.
function bind() {
  const client = new SocksClient({ proxy, command: "bind", destination: anywhere });
  client.on("error", fail);
  client.on("bound", ({ remoteHost }) => {
    const peer = net.connect(remoteHost.port, remoteHost.host, () => peer.write("from the peer"));
    peer.on("data", (data) => peer.end(`the peer heard: ${data}`));
    peer.on("error", fail);
  });
  client.on("established", ({ socket }) => {
    socket.once("data", (data) => {
      if (String(data) !== "from the peer") fail(`unexpected: ${data}`);
      socket.write("from the client");
      collect(socket);
    });
    socket.resume();
  });
  client.connect();
}

// A datagram to an echo of our own, and its answer.
function associate() {
  const echo = dgram.createSocket("udp4");
  echo.on("message", (data, from) => echo.send(`echo: ${data}`, from.port, from.address));
  const ours = dgram.createSocket("udp4");
  ours.on("message", (frame) => {
    const { remoteHost, data } = SocksClient.parseUDPFrame(frame);
    if (remoteHost.port !== echo.address().port) fail(`unexpected: ${remoteHost.host}:${remoteHost.port}`);
    done(String(data));
  });
  echo.bind(0, "127.0.0.1", () => ours.bind(0, "127.0.0.1", () => {
    const client = new SocksClient({
      proxy, command: "associate", destination: { host: "127.0.0.1", port: ours.address().port },
    });
    client.on("error", fail);
    client.on("established", ({ remoteHost }) => {
      const frame = SocksClient.createUDPFrame({
        remoteHost: { host: "127.0.0.1", port: echo.address().port }, data: Buffer.from("hello"),
      });
      ours.send(frame, remoteHost.port, remoteHost.host);
    });
    client.connect();
  }));
}

setTimeout(() => fail("no answer within 20 seconds"), 20000).unref();
Promise.resolve({ connect, bind, associate }[command]()).catch(fail);
