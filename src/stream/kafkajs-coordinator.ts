/** Shorter than kafkajs tries a transaction's requests again: a coordinator that has moved is found within the same attempt. */
const LIFETIME_MS = 1_000;
const TRANSACTION = 1;

interface Question {
  groupId: string;
  coordinatorType: number;
}

interface AskedBroker {
  findGroupCoordinator(question: Question): Promise<unknown>;
}

interface Cluster {
  findGroupCoordinatorMetadata(question: Question): Promise<unknown>;
  /** Asks one broker after the other; what they reject with is dropped. Resolves with null when all have failed. */
  brokerPool: { withBroker(ask: (one: { broker: AskedBroker }) => Promise<unknown>): Promise<unknown> };
  retrier(ask: (bail: (error: unknown) => void) => Promise<unknown>): Promise<unknown>;
}

/**
 * As kafkajs asks. But where no broker gives an answer, it says no more than that, and that asking again is of no use: a consumer whose connection broke at this
 * moment ended for good. Here the last broker's reason goes through: a broken connection begins anew, and a missing right ends the consumer by its name.
 * @throws the last one's error
 */
async function askBrokers(this: Cluster, question: Question): Promise<unknown> {
  let reason: unknown;
  const answer = await this.brokerPool.withBroker(async ({ broker }) => {
    try {
      return await this.retrier(async (bail) => {
        try {
          return await broker.findGroupCoordinator(question);
        } catch (error) {
          if ((error as { type?: string }).type === 'GROUP_COORDINATOR_NOT_AVAILABLE') throw error;
          return bail(error);
        }
      });
    } catch (error) {
      reason = error;
      throw error;
    }
  });
  if (answer === null) throw reason;
  return answer;
}

/**
 * kafkajs asks for the coordinator before each step of a transaction: four of its nine round trips. Clusters (kafkajs: the connections of one
 * producer) that have asked for a transaction's coordinator remember answers for a second; all others ask each time. Whoever asks does it by {@link askBrokers}.
 */
export function rememberCoordinators(require: NodeJS.Require): void {
  const { prototype } = require('kafkajs/src/cluster/index.js') as { prototype: Cluster };
  const answers = new WeakMap<Cluster, Map<string, { until: number; answer: unknown }>>();
  prototype.findGroupCoordinatorMetadata = async function (this: Cluster, question) {
    let known = answers.get(this);
    if (known === undefined && question.coordinatorType === TRANSACTION) {
      known = new Map();
      answers.set(this, known);
    }
    if (known === undefined) return askBrokers.call(this, question);
    const name = `${question.coordinatorType}:${question.groupId}`;
    const remembered = known.get(name);
    if (remembered !== undefined && performance.now() < remembered.until) return remembered.answer;
    const answer = await askBrokers.call(this, question);
    known.set(name, { until: performance.now() + LIFETIME_MS, answer });
    return answer;
  };
}
