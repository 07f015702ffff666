import type { RecordMetadata } from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { createSendMessages, type SendCluster, type SendSequences } from '../../src/stream/kafkajs-send.js';
import { explicitPartition } from '../../src/stream/produce.js';

type Answer = 'ok' | Error;
/** One record batch that reached a broker. */
interface Produced {
  broker: number;
  topic: string;
  partition: number;
  firstSequence: number;
  values: string[];
}

const refusal = (type: string) => Object.assign(new Error(type), { name: 'KafkaJSProtocolError', type, retriable: true });
const deferred = <T>() => {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
};

/** Brokers as kafkajs shows them to its sender: leaders by `partition:topic`, and what each broker answers, in order. */
class FakeCluster {
  readonly produced: Produced[] = [];
  readonly added: string[] = [];
  readonly sequences = new Map<string, number>();
  readonly answers = new Map<number, (Answer | Promise<Answer>)[]>();
  /** Answers of the transaction's coordinator, in order. */
  additions: Answer[] = [];
  refreshed = 0;
  onRefresh: () => void = () => {};
  attempts = 0;

  constructor(readonly leaders: Record<string, number>) {}

  send(...records: [place: string, value: string][]): Promise<RecordMetadata[]> {
    const topics = [...new Set(records.map(([place]) => place.split(':')[1] as string))];
    const topicMessages = topics.map((topic) => ({
      topic,
      messages: records
        .filter(([place]) => place.endsWith(`:${topic}`))
        .map(([place, value]) => ({ value, partition: Number(place.split(':')[0]) })),
    }));
    const send = createSendMessages(
      {
        logger: { debug: () => {}, error: () => {} },
        cluster: this.#cluster(),
        partitioner: explicitPartition() as never,
        eosManager: this.#sequences(),
        retrier: async (attempt) => {
          for (;;) {
            let final: unknown;
            this.attempts += 1;
            try {
              const result = await attempt(
                (error) => {
                  final = error;
                },
                this.attempts,
                0,
              );
              if (final === undefined) return result;
            } catch (error) {
              if (this.attempts === 10) throw error;
            }
            if (final !== undefined) throw final;
          }
        },
      },
      (message) => Object.assign(new Error(message), { name: 'KafkaJSMetadataNotLoaded' }),
    );
    return send({ acks: -1, timeout: 1_000, topicMessages });
  }

  #cluster(): SendCluster {
    return {
      addMultipleTargetTopics: async () => {},
      refreshMetadataIfNecessary: async () => {},
      refreshMetadata: async () => {
        this.refreshed += 1;
        this.onRefresh();
      },
      findTopicPartitionMetadata: (topic) => Object.keys(this.leaders).filter((place) => place.endsWith(`:${topic}`)),
      findLeaderForPartitions: (topic, partitions) => {
        const led: Record<string, number[]> = {};
        for (const partition of partitions) {
          const leader = this.leaders[`${partition}:${topic}`];
          if (leader !== undefined) led[leader] = [...(led[leader] ?? []), partition];
        }
        return led;
      },
      findBroker: async ({ nodeId }) => this.#broker(Number(nodeId)),
      removeBroker: () => {},
      isConnected: () => true,
      connect: async () => {},
    };
  }

  #broker(nodeId: number): Awaited<ReturnType<SendCluster['findBroker']>> {
    return {
      nodeId,
      produce: async (request) => {
        const { topicData } = request as {
          topicData: { topic: string; partitions: { partition: number; firstSequence: number; messages: { value: string }[] }[] }[];
        };
        const all = topicData.flatMap(({ topic, partitions }) =>
          partitions.map(({ partition, firstSequence, messages }): Produced => {
            return { broker: nodeId, topic, partition, firstSequence, values: messages.map(({ value }) => value) };
          }),
        );
        const answer = (await this.answers.get(nodeId)?.shift()) ?? 'ok';
        this.produced.push(...all);
        if (answer !== 'ok') throw answer;
        return {
          topics: all.map(({ topic, partition }) => ({ topicName: topic, partitions: [{ partition, errorCode: 0, baseOffset: '7' }] })),
        };
      },
    };
  }

  #sequences(): SendSequences {
    const at = (topic: string, partition: number) => `${partition}:${topic}`;
    return {
      acquireBrokerLock: async () => {},
      releaseBrokerLock: () => {},
      isTransactional: () => this.additions.length > 0,
      addPartitionsToTransaction: async (data) => {
        const answer = this.additions.shift() ?? 'ok';
        if (answer !== 'ok') throw answer;
        this.added.push(...data.flatMap(({ topic, partitions }) => partitions.map(({ partition }) => at(topic, partition))));
      },
      getTransactionalId: () => 'id',
      getProducerId: () => 1,
      getProducerEpoch: () => 0,
      getSequence: (topic, partition) => this.sequences.get(at(topic, partition)) ?? 0,
      updateSequence: (topic, partition, increment) => {
        this.sequences.set(at(topic, partition), (this.sequences.get(at(topic, partition)) ?? 0) + increment);
      },
    };
  }

  get values(): string[] {
    return this.produced.flatMap(({ values }) => values).sort();
  }
}

describe('sending to several leaders', () => {
  it('sends each partition to its leader, in one request for each leader, and answers for all', async () => {
    const cluster = new FakeCluster({ '0:a': 1, '1:a': 2, '0:b': 1 });
    const answer = await cluster.send(['0:a', 'x'], ['1:a', 'y'], ['0:a', 'z'], ['0:b', 'w']);
    expect(cluster.produced).toEqual([
      { broker: 1, topic: 'a', partition: 0, firstSequence: 0, values: ['x', 'z'] },
      { broker: 1, topic: 'b', partition: 0, firstSequence: 0, values: ['w'] },
      { broker: 2, topic: 'a', partition: 1, firstSequence: 0, values: ['y'] },
    ]);
    expect(answer.map(({ topicName, partition, baseOffset }) => `${partition}:${topicName}@${baseOffset}`).sort()).toEqual([
      '0:a@7',
      '0:b@7',
      '1:a@7',
    ]);
    expect([...cluster.sequences]).toEqual([
      ['0:a', 2],
      ['0:b', 1],
      ['1:a', 1],
    ]);
  });

  it('sends a partition whose leader has moved to a broker that had answered (rule 5)', async () => {
    const cluster = new FakeCluster({ '0:a': 1, '1:a': 2 });
    cluster.answers.set(2, [refusal('NOT_LEADER_FOR_PARTITION')]);
    cluster.onRefresh = () => {
      cluster.leaders['1:a'] = 1;
    };
    const answer = await cluster.send(['0:a', 'x'], ['1:a', 'y']);
    expect(cluster.produced.map(({ broker, values }) => [broker, ...values])).toEqual([
      [1, 'x'],
      [2, 'y'],
      [1, 'y'],
    ]);
    expect(answer.map(({ partition }) => partition)).toEqual([0, 1]);
    // What was refused keeps its place in the sequence.
    expect(cluster.produced.map(({ firstSequence }) => firstSequence)).toEqual([0, 0, 0]);
  });

  it('waits for what is under way before it tries again, and sends nothing twice', async () => {
    const cluster = new FakeCluster({ '0:a': 1, '1:a': 2 });
    const slow = deferred<Answer>();
    cluster.answers.set(1, [slow.promise]);
    cluster.answers.set(2, [refusal('NOT_LEADER_FOR_PARTITION')]);
    const sent = cluster.send(['0:a', 'x'], ['1:a', 'y']);
    await new Promise((resolve) => setImmediate(resolve));
    expect(cluster.attempts).toBe(1);
    slow.resolve('ok');
    await sent;
    expect(cluster.values).toEqual(['x', 'y', 'y']);
    expect(cluster.produced.map(({ firstSequence }) => firstSequence)).toEqual([0, 0, 0]);
    expect(cluster.attempts).toBe(2);
  });

  it('sends nothing twice when the coordinator refuses one of two: it may still be at the last transaction', async () => {
    const cluster = new FakeCluster({ '0:a': 1, '1:a': 2 });
    cluster.additions = [refusal('CONCURRENT_TRANSACTIONS'), 'ok', 'ok'];
    await cluster.send(['0:a', 'x'], ['1:a', 'y']);
    expect(cluster.values).toEqual(['x', 'y']);
    expect(cluster.added).toEqual(['1:a', '0:a']);
  });

  it('does not pass over a partition that the metadata does not know yet', async () => {
    const cluster = new FakeCluster({ '0:a': 1 });
    cluster.onRefresh = () => {
      cluster.leaders['1:a'] = 1;
    };
    await cluster.send(['0:a', 'x'], ['1:a', 'y']);
    expect(cluster.values).toEqual(['x', 'y']);
    expect(cluster.refreshed).toBe(1);
  });

  it('gives up at once on what no attempt would mend', async () => {
    const cluster = new FakeCluster({ '0:a': 1 });
    const fenced = Object.assign(new Error('fenced'), { name: 'KafkaJSProtocolError', type: 'INVALID_PRODUCER_EPOCH', retriable: false });
    cluster.answers.set(1, [fenced]);
    await expect(cluster.send(['0:a', 'x'])).rejects.toBe(fenced);
    expect(cluster.attempts).toBe(1);
  });
});
