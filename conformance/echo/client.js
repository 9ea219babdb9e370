// Calls each method of Echo once with grpc-js; prints what came, as JSON.
const path = require("path");
const [modules, address] = process.argv.slice(2);
const from = (name) => require(path.join(modules, name));
const grpc = from("@grpc/grpc-js");
const loaded = from("@grpc/proto-loader").loadSync(path.join(__dirname, "echo.proto"), { keepCase: true });
const { Echo } = grpc.loadPackageDefinition(loaded).wharf.demo.v1;
const client = new Echo(address, grpc.credentials.createInsecure());

const collect = (stream) =>
  new Promise((resolve, reject) => {
    const messages = [];
    stream.on("data", (reply) => messages.push(reply.message));
    stream.on("end", () => resolve(messages));
    stream.on("error", reject);
  });

const unary = (request, options = {}) =>
  new Promise((resolve) =>
    client.Unary(request, options, (error, reply) => resolve(error ? { code: error.code } : reply.message)));

async function main() {
  const found = {};
  found.unary = await unary({ message: "one" });
  found.deadline = await unary({ message: "late", delay_ms: 5000 }, { deadline: Date.now() + 300 });
  found.server_stream = await collect(client.ServerStream({ message: "many", repeat: 3 }));
  found.client_stream = await new Promise((resolve, reject) => {
    const call = client.ClientStream((error, reply) => (error ? reject(error) : resolve(reply.message)));
    for (const message of ["a", "b", "c"]) call.write({ message });
    call.end();
  });
  const bidi = client.Bidi();
  const replies = collect(bidi);
  for (const message of ["x", "y"]) bidi.write({ message });
  bidi.end();
  found.bidi = await replies;
  client.close();
  console.log(JSON.stringify(found));
}

main().catch((error) => { console.error(error); process.exit(1); });
