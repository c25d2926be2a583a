// Classifies two texts: node examples/node/classify.js [TARGET MODEL] (after `npm ci` in this folder).
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

const [target = '127.0.0.1:50051', model = 'news'] = process.argv.slice(2);
const protos = process.env.BERTLINE_PROTOS || path.join(__dirname, '..', '..', 'protos');

// the library brings google.protobuf; google.rpc.Status stands beside this file
const definition = protoLoader.loadSync('bertline/inference/v1/inference.proto', {
  includeDirs: [protos, path.join(__dirname, 'protos')],
  oneofs: true,
  longs: Number,
});
const { InferenceService } = grpc.loadPackageDefinition(definition).bertline.inference.v1;
const client = new InferenceService(target, grpc.credentials.createInsecure());

const texts = ['The new chip halves the power that phones need.', '央行宣布下调基准利率。'];
const request = { model: { name: model }, inputs: texts.map((text) => ({ text })), topK: 2 };

// what one text came to: its labels, or why it has none
const shown = ({ error, classification }) =>
  error ? error.message : classification.labels.map((each) => `${each.label} ${each.probability.toFixed(3)}`).join(', ');

client.Classify(request, { deadline: Date.now() + 5000 }, (error, reply) => {
  if (error) {
    console.error(`${grpc.status[error.code]}: ${error.details}`);
    process.exitCode = 1;
  } else {
    reply.results.forEach((result, i) => console.log(`${texts[i]}  ->  ${shown(result)}`));
    console.log(`answered by ${reply.model.name} version ${reply.model.version} (${reply.model.variant})`);
  }
  client.close();
});
