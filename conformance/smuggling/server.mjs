// A server of Node.js that writes a line for each request it has read: its method and target, or why it is none.
// node server.mjs PORT
import { createServer } from "node:http";

const tell = (line) => process.stdout.write(JSON.stringify(line) + "\n");

const server = createServer((request, response) => {
  tell({ method: request.method, target: request.url });
  request.on("error", () => {});
  request.resume().on("end", () => {
    const body = `${request.method} ${request.url}`;
    response.writeHead(200, { "content-length": Buffer.byteLength(body) }).end(body);
  });
});
server.keepAliveTimeout = 60_000;
server.on("clientError", (error, socket) => {
  // A body that is broken off is one that was begun; its request has its line.
  if (error.code !== "ECONNRESET" && error.code !== "HPE_INVALID_EOF_STATE") tell({ garbage: error.code });
  socket.destroy();
});
server.listen(Number(process.argv[2]), "127.0.0.1");
