import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import '../../src/stream/kafkajs.js';

const require = createRequire(import.meta.url);
interface ConsumerGroup {
  memberId: string | null;
  joinAndSync(): Promise<void>;
  leave(): Promise<void>;
}
const Group = require('kafkajs/src/consumer/consumerGroup.js') as new (options: object) => ConsumerGroup;
const Broker = require('kafkajs/src/broker/index.js') as new (options: object) => { lookupRequest: unknown };
const { KafkaJSConnectionError, KafkaJSMemberIdRequired, KafkaJSProtocolError } = require('kafkajs/src/errors.js') as Record<
  string,
  new (
    error: object | string,
    more?: object,
  ) => Error
>;

type Answer = (question: { memberId: string }) => unknown;
const torn: Answer = () => Promise.reject(new KafkaJSConnectionError!('read ECONNRESET'));
/** To a newcomer: the name to ask with again. */
const named =
  (memberId: string): Answer =>
  () =>
    Promise.reject(new KafkaJSMemberIdRequired!({ type: 'MEMBER_ID_REQUIRED', code: 79 }, { memberId }));
const unknown: Answer = () => Promise.reject(new KafkaJSProtocolError!({ type: 'UNKNOWN_MEMBER_ID', code: 25, retriable: false }));
const taken: Answer = ({ memberId }) => ({ generationId: 1, leaderId: 'another', memberId, members: [], groupProtocol: 'a' });
/** To a question how the tasks are given out; to a farewell. */
const done: Answer = () => ({ memberAssignment: Buffer.alloc(0) });

/** A consumer whose coordinator answers as told, one after the other; and by which names it has asked. */
function consumer(...answers: Answer[]): { begins(): ConsumerGroup; asked: string[] } {
  const asked: string[] = [];
  const send = async (question: { memberId: string }): Promise<unknown> => {
    asked.push(question.memberId);
    return (answers.shift() as Answer)(question);
  };
  const logger = { namespace: () => logger, debug: () => {}, info: () => {} };
  const coordinator = new Broker({ connectionPool: { connectionTimeout: 1, send }, logger });
  coordinator.lookupRequest = () => (question: unknown) => question;
  const cluster = { findGroupCoordinator: async () => coordinator, committedOffsets: () => ({}) };
  const retry = { retries: 2, initialRetryTime: 1, multiplier: 1, factor: 0, maxRetryTime: 1 };
  const begins = (): ConsumerGroup =>
    new Group({ cluster, groupId: 'g', topics: [], assigners: [], retry, logger, instrumentationEmitter: { emit: () => {} } });
  return { begins, asked };
}

describe('a consumer that begins anew', () => {
  it('joins as the member that it was, when the connection is torn while the group makes up its mind', async () => {
    const { begins, asked } = consumer(named('a'), torn, torn, taken, done);
    await expect(begins().joinAndSync()).rejects.toMatchObject({ name: 'KafkaJSConnectionError' });
    await expect(begins().joinAndSync()).rejects.toMatchObject({ name: 'KafkaJSConnectionError' });
    const group = begins();
    await group.joinAndSync();
    expect(group.memberId).toBe('a');
    expect(asked).toEqual(['', 'a', 'a', 'a', 'a']);
  });

  it('joins as the member that it was, when the connection is torn while it asks for its tasks', async () => {
    const { begins, asked } = consumer(named('a'), taken, torn, taken, done);
    await expect(begins().joinAndSync()).rejects.toMatchObject({ name: 'KafkaJSConnectionError' });
    await begins().joinAndSync();
    expect(asked).toEqual(['', 'a', 'a', 'a', 'a']);
  });

  it('joins as a new member, when the group has forgotten it', async () => {
    const { begins, asked } = consumer(named('a'), torn, unknown, named('b'), taken, done);
    await expect(begins().joinAndSync()).rejects.toMatchObject({ name: 'KafkaJSConnectionError' });
    const group = begins();
    await group.joinAndSync();
    expect(group.memberId).toBe('b');
    expect(asked).toEqual(['', 'a', 'a', '', 'b', 'b']);
  });

  it('joins as a new member, when it has left', async () => {
    const { begins, asked } = consumer(named('a'), taken, done, done, named('b'), taken, done);
    const group = begins();
    await group.joinAndSync();
    await group.leave();
    await begins().joinAndSync();
    expect(asked).toEqual(['', 'a', 'a', 'a', '', 'b', 'b']);
  });
});
