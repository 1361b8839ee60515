// A gRPC client on @grpc/grpc-js for tests/system/grpc_test.py; arguments and output as those of client.cc. The library is looked
// for in the working directory.
const grpc = require(require.resolve('@grpc/grpc-js', { paths: [process.cwd()] }));

const DEADLINE_MS = 60000;
const [target, how, method, ...messages] = process.argv.slice(2);
const same = (bytes) => bytes;
const client = new grpc.Client(target, grpc.credentials.createInsecure());
const options = { deadline: Date.now() + DEADLINE_MS };

function done(code, details) {
  console.log(`status ${code} ${details}`);
  client.close();
  process.exitCode = code === 0 ? 0 : 1;
}

if (how === 'unary') {
  client.makeUnaryRequest(method, same, same, Buffer.from(messages[0]), new grpc.Metadata(), options, (error, answer) => {
    if (!error) console.log(answer.toString());
    done(error ? error.code : 0, error ? error.details : '');
  });
} else {
  // Each message is sent once the answer to the one before it has come.
  const call = client.makeBidiStreamRequest(method, same, same, new grpc.Metadata(), options);
  const next = () => (messages.length > 0 ? call.write(Buffer.from(messages.shift())) : call.end());
  call.on('data', (answer) => {
    console.log(answer.toString());
    next();
  });
  call.on('error', () => {});
  call.on('status', (status) => done(status.code, status.details));
  next();
}
