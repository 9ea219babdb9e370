// A room of the npm package ws: what one member says, all hear.
const path = require("path");
const [modules, port] = process.argv.slice(2);
const { WebSocketServer, WebSocket } = require(path.join(modules, "ws"));

const room = new WebSocketServer({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
room.on("connection", (member) =>
  member.on("message", (data, isBinary) => {
    for (const other of room.clients)
      if (other.readyState === WebSocket.OPEN) other.send(data, { binary: isBinary });
  }));
