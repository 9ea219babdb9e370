// Sessions of the npm package ws; prints what came of one scenario, as JSON.
const path = require("path");
const [modules, scenario, url] = process.argv.slice(2);
const WebSocket = require(path.join(modules, "ws"));

const connect = (protocols = [], options = {}) =>
  new Promise((resolve, reject) => {
    const session = new WebSocket(url, protocols, { rejectUnauthorized: false, ...options });
    session.heard = [];
    session.on("message", (data, isBinary) => session.heard.push(isBinary ? data : data.toString()));
    session.ended = new Promise((end) =>
      session.on("close", (code, reason) => end({ code, reason: reason.toString() })));
    session.on("open", () => resolve(session));
    session.on("unexpected-response", (_, response) => resolve({ status: response.statusCode }));
    session.on("error", (error) => (session.readyState === WebSocket.CONNECTING ? reject(error) : undefined));
  });

const until = async (check) => { while (!check()) await new Promise((go) => setTimeout(go, 5)); };
const told = (message) => (Buffer.isBuffer(message) ? { binary: message.length } : message);

const scenarios = {
  async messages() {
    const session = await connect();
    const said = ["text", "späße ☕", "", Buffer.alloc(0), Buffer.from([0, 255]), "x".repeat(200000)];
    for (const message of said) session.send(message);
    await until(() => session.heard.length === said.length);
    session.close(1000, "bye");
    return { heard: session.heard.map(told), ended: await session.ended };
  },

  async fragments() {
    const session = await connect();
    for (const part of ["in ", "many ", "frag"]) session.send(part, { fin: false });
    session.ping("between");
    session.send("ments", { fin: true });
    await until(() => session.heard.length === 1);
    session.terminate();
    return session.heard.map(told);
  },

  async ping() {
    const session = await connect();
    const pong = new Promise((resolve) => session.on("pong", (data) => resolve(data.toString())));
    session.ping("anyone?");
    const answer = await pong;
    session.close();
    return { answer, ended: await session.ended };
  },

  async closes() {
    const ended = {};
    for (const code of [1000, 1001, 1003, 1008, 1011, 3000, 4999]) {
      const session = await connect();
      session.close(code, `code ${code}`);
      ended[code] = await session.ended;
    }
    return ended;
  },

  // Messages in pieces of 128 KiB: as large as may be, and one byte more.
  async large() {
    const found = {};
    for (const [name, more] of [["fits", 0], ["over", 1]]) {
      const session = await connect();
      const piece = Buffer.alloc(128 << 10, 7);
      for (let n = 0; n < 7; n++) session.send(piece, { fin: false });
      session.send(Buffer.alloc((128 << 10) + more, 7), { fin: true });
      if (!more) { await until(() => session.heard.length === 1); session.close(); }
      found[name] = { heard: session.heard.map(told), ended: await session.ended };
    }
    return found;
  },

  async subprotocol() {
    const session = await connect(["chat", "echo"]);
    const { protocol } = session;
    session.close();
    return { protocol, ended: await session.ended };
  },
};

scenarios[scenario]().then(
  (found) => console.log(JSON.stringify(found)),
  (error) => { console.error(error); process.exit(1); });
