/*
 * Prints one line for each call on callstream.calls that is final: app, call, revision, outcome, talk time in milliseconds.
 *   npm install kafkajs @kafkajs/confluent-schema-registry
 *   KAFKA_BROKERS=127.0.0.1:9092 SCHEMA_REGISTRY_URL=http://127.0.0.1:8081/apis/ccompat/v7 GROUP=my-calls node calls.js
 */
import { SchemaRegistry } from '@kafkajs/confluent-schema-registry';
import { Kafka, logLevel } from 'kafkajs';

/** The fields that are used here; the registry has the whole schema. Times are epoch milliseconds. */
interface Call {
  app_id: string;
  call_id: string;
  revision: number;
  final: boolean;
  outcome: string;
  talk_ms: number;
}

const {
  KAFKA_BROKERS = '127.0.0.1:9092',
  SCHEMA_REGISTRY_URL = 'http://127.0.0.1:8081/apis/ccompat/v7',
  GROUP = 'calls-example',
} = process.env;

const registry = new SchemaRegistry({ host: SCHEMA_REGISTRY_URL });
const kafka = new Kafka({ clientId: GROUP, brokers: KAFKA_BROKERS.split(','), logLevel: logLevel.ERROR });
// kafkajs reads what is committed, and nothing else, unless it is told otherwise.
const consumer = kafka.consumer({ groupId: GROUP, readUncommitted: false });

process.once('SIGTERM', () => void consumer.disconnect());
await consumer.connect();
await consumer.subscribe({ topics: ['callstream.calls'], fromBeginning: true });
await consumer.run({
  eachMessage: async ({ message }) => {
    if (message.value === null) return;
    const call = (await registry.decode(message.value)) as Call;
    if (call.final) console.log([call.app_id, call.call_id, call.revision, call.outcome, call.talk_ms].join('\t'));
  },
});
