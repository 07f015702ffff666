/** schemas/asyncapi.yaml: an AsyncAPI 3.0 document of every topic, for whoever consumes them. Made from the topic list; the schemas are referenced. */
import { stringify } from 'yaml';
import { TOPICS, type TopicSpec } from './topics.js';

/** What the topic list does not say of itself: for people, and for the two ends of a topic. */
interface About {
  /** Name of the message. */
  message: string;
  title: string;
  doc: string;
  key: string;
  /** Roles, or `consumers`: anybody outside. */
  writers: readonly string[];
  readers: readonly string[];
  cloudEvents?: boolean;
}

const raw = (vendor: string, key: string, writers: readonly string[] = ['ingest']): About => ({
  message: 'RawEvent',
  title: vendor,
  doc: `${vendor}: what the vendor sent, untouched and before anything is read of it. Record timestamps are the broker’s append time.`,
  key: `${key}; the SHA-256 of a body that it cannot be read from, and of a key longer than 16 KiB.`,
  writers,
  readers: ['sessions', 'events'],
});

const CALL = '`provider:app:call`';
const CHANNEL = '`provider:app:channel`';

const ABOUT: Record<keyof typeof TOPICS, About> = {
  rawTuicallkit: raw('TUICallKit callbacks', CALL),
  rawTiw: raw('Whiteboard (TIW) recording callbacks', '`provider:app:task`'),
  rawCallRecord: raw('Polled call records', CALL, ['poll']),
  rawUserEvent: raw('Polled media events of users', CALL, ['poll']),
  rawAliyunRtc: raw('Aliyun RTC events, pushed and polled', CHANNEL, ['ingest', 'poll']),
  rawLate: {
    message: 'RawEvent',
    title: 'Late inputs and repairs',
    doc: 'Internal: inputs of calls that have left the worker’s state, on their way to what ClickHouse has of them. Each stands on a raw topic already.',
    key: CALL,
    writers: ['sessions'],
    readers: ['sessions'],
  },
  callEvents: {
    message: 'CallEvent',
    title: 'Canonical events',
    doc: 'One canonical event for each element of a delivery, every delivery: a repetition has the same event_id.',
    key: `As on the raw topic: ${CALL}, the task of a recording, the channel of a channel event.`,
    writers: ['events'],
    readers: ['sink', 'consumers'],
    cloudEvents: true,
  },
  calls: {
    message: 'Call',
    title: 'Calls',
    doc: 'One record per revision of a call, or of a session of a channel: its measures, and the distinct inputs they were derived from. `revision` starts at 1 and grows by one; (call, revision) never has two contents. Read it with isolation level read_committed; the newest revision of a key counts. All revisions of a call are in one partition, which the writer chooses: no partitioner finds it from the key.',
    key: CALL,
    writers: ['sessions'],
    readers: ['sink', 'alerts', 'consumers'],
    cloudEvents: true,
  },
  recordings: {
    message: 'Recording',
    title: 'Whiteboard recordings',
    doc: 'One record per revision of a recording, as on callstream.calls. Read it with isolation level read_committed.',
    key: '`provider:app:task`',
    writers: ['sessions'],
    readers: ['sink', 'consumers'],
    cloudEvents: true,
  },
  deadLetters: {
    message: 'DeadLetter',
    title: 'Dead letters',
    doc: 'What could not be processed, with the original bytes and the place they came from.',
    key: 'The origin: `topic:partition:offset`, and `:index` where the element of a delivery is meant.',
    writers: ['events', 'sessions', 'sink', 'alerts'],
    readers: ['sink', 'consumers'],
  },
  tasks: {
    message: 'PollTask',
    title: 'Tasks of the poller',
    doc: 'Internal: what to fetch from a vendor about which call, and when.',
    key: CALL,
    writers: ['sessions', 'poll'],
    readers: ['poll'],
  },
  pollCursors: {
    message: 'PollCursor',
    title: 'Cursors of the poller',
    doc: 'Internal: how far each sweep of a vendor’s API has come. The newest record of a key counts.',
    key: 'Source, app, sweep and scope.',
    writers: ['poll'],
    readers: ['poll'],
  },
  alerts: {
    message: 'Alert',
    title: 'Alerts',
    doc: 'One record when an alert fires, and one when it resolves. Read it with isolation level read_committed.',
    key: '`rule:app`',
    writers: ['alerts'],
    readers: ['alerts', 'sink', 'consumers'],
    cloudEvents: true,
  },
  alertSilences: {
    message: 'AlertSilence',
    title: 'Silences of alerts',
    doc: 'Internal: until when webhooks do not tell of the alerts of a rule. Written by `callstream alerts silence`. The newest record of a key counts.',
    key: '`rule:app`, the app empty for every app.',
    writers: [],
    readers: ['alerts'],
  },
};

const AVRO = 'application/vnd.apache.avro;version=1.9.0';
const BINDING = '0.5.0';

/** The document, as YAML. Written anew by `npm run generate`. */
export function asyncApiDocument(): string {
  const entries = Object.entries(TOPICS as Record<keyof typeof TOPICS, TopicSpec>) as [keyof typeof TOPICS, TopicSpec][];
  const document = {
    asyncapi: '3.0.0',
    info: {
      title: 'callstream topics',
      version: '1.0.0',
      license: { name: 'Apache-2.0' },
      description:
        'Real-time call analytics on Kafka. Values are Avro in Confluent’s wire format: a zero byte, the schema id as a big-endian 32-bit integer, then Avro binary. Subjects are `<topic>-value`, compatibility FULL_TRANSITIVE. Times are UTC, as epoch milliseconds.',
    },
    defaultContentType: 'application/avro',
    servers: {
      kafka: {
        host: '{broker}',
        protocol: 'kafka',
        description: 'The brokers of `kafka.brokers`, the schema registry of `registry.url`.',
        variables: { broker: { default: '127.0.0.1:9092', description: 'host:port of a broker' } },
        bindings: { kafka: { schemaRegistryVendor: 'confluent', bindingVersion: BINDING } },
      },
    },
    channels: Object.fromEntries(entries.map(([name, spec]) => [name, channelOf(name, spec, ABOUT[name])])),
    operations: Object.fromEntries(entries.flatMap(([name, spec]) => operationsOf(name, spec, ABOUT[name]))),
    components: { messages: Object.fromEntries(entries.map(([name, spec]) => [name, messageOf(spec, ABOUT[name])])) },
  };
  return `# Generated from src/codec/topics.ts and src/codec/asyncapi.ts by \`npm run generate\`. Do not edit.\n${stringify(document, { lineWidth: 0, aliasDuplicateObjects: false })}`;
}

function channelOf(name: string, spec: TopicSpec, { title, doc }: About): object {
  const { name: address, cleanup, retentionMs, minCompactionLagMs, appendTime, partitionFactor } = spec;
  const shares =
    partitionFactor === 1
      ? 'As many partitions as `kafka.partitions` says'
      : `${partitionFactor} times as many partitions as \`kafka.partitions\` says`;
  const lag = minCompactionLagMs === undefined ? '' : ` Compaction leaves ${minCompactionLagMs / 86_400_000} days alone.`;
  const time = appendTime ? ' Timestamps are LogAppendTime.' : '';
  return {
    address,
    title,
    description: `${doc}\n\n${shares}.${lag}${time}`,
    messages: { [ABOUT[name as keyof typeof TOPICS].message]: { $ref: `#/components/messages/${name}` } },
    bindings: {
      kafka: {
        topic: address,
        topicConfiguration: { 'cleanup.policy': cleanup.split(','), ...(retentionMs === null ? {} : { 'retention.ms': retentionMs }) },
        bindingVersion: BINDING,
      },
    },
  };
}

function operationsOf(name: string, { name: address }: TopicSpec, { message, writers, readers }: About): [string, object][] {
  const operation = (role: string, action: 'send' | 'receive'): [string, object] => [
    `${role}${action === 'send' ? 'Writes' : 'Reads'}${name.charAt(0).toUpperCase()}${name.slice(1)}`,
    {
      action,
      channel: { $ref: `#/channels/${name}` },
      summary:
        role === 'consumers'
          ? `For consumers outside: ${address}`
          : `The role ${role} ${action === 'send' ? 'writes' : 'reads'} ${address}`,
      messages: [{ $ref: `#/channels/${name}/messages/${message}` }],
    },
  ];
  return [...writers.map((role) => operation(role, 'send')), ...readers.map((role) => operation(role, 'receive'))];
}

function messageOf({ name: address, schema }: TopicSpec, { message, title, key, cloudEvents }: About): object {
  return {
    name: message,
    title,
    contentType: 'application/avro',
    payload: { schemaFormat: AVRO, schema: { $ref: `./avro/${schema}.avsc` } },
    ...(cloudEvents ? { headers: cloudEventsOf(address.replace('callstream.', '')) } : {}),
    bindings: {
      kafka: {
        key: { type: 'string', description: key },
        schemaIdLocation: 'payload',
        schemaIdPayloadEncoding: 'confluent',
        bindingVersion: BINDING,
      },
    },
  };
}

/** As {@link ./cloudevents.js} writes them. */
function cloudEventsOf(name: string): object {
  return {
    type: 'object',
    description: 'CloudEvents 1.0, binary content mode.',
    required: ['ce_specversion', 'ce_id', 'ce_type', 'ce_source', 'ce_time', 'content-type'],
    properties: {
      ce_specversion: { const: '1.0' },
      ce_id: { type: 'string', description: 'Deterministic: equal for a repetition of the same event.' },
      ce_type: { const: `callstream.${name}.v1` },
      ce_source: { type: 'string', description: '`//provider/app`' },
      ce_time: { type: 'string', format: 'date-time' },
      'content-type': { const: 'application/avro' },
    },
  };
}
