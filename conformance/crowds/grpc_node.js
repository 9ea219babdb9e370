// Holds channels of grpc-js open for a while, each with a call every second.
const path = require("path");
const [modules, address, count, seconds] = process.argv.slice(2);
const grpc = require(path.join(modules, "@grpc/grpc-js"));

const same = (bytes) => bytes;
const Echo = grpc.makeGenericClientConstructor({
  unary: {
    path: "/wharf.demo.v1.Echo/Unary", requestStream: false, responseStream: false,
    requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same,
  },
}, "Echo");
const until = Date.now() + seconds * 1000;

async function hold() {
  const client = new Echo(address, grpc.credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
  let calls = 0;
  while (Date.now() < until) {
    await new Promise((resolve, reject) =>
      client.unary(Buffer.from("\x0a\x02hi"), { deadline: Date.now() + 10000 },
        (error, reply) => (error ? reject(error) : resolve(reply))));
    calls++;
    await new Promise((go) => setTimeout(go, 1000));
  }
  client.close();
  return calls;
}

Promise.all(Array.from({ length: Number(count) }, hold)).then(
  (calls) => console.log(calls.reduce((a, b) => a + b)),
  (error) => { console.error(error); process.exit(1); });
