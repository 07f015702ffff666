/** Shorter than kafkajs tries a transaction's requests again: a coordinator that has moved is found within the same attempt. */
const LIFETIME_MS = 1_000;
const TRANSACTION = 1;

interface Question {
  groupId: string;
  coordinatorType: number;
}

interface Cluster {
  findGroupCoordinatorMetadata(question: Question): Promise<unknown>;
}

/**
 * kafkajs asks for the coordinator before each step of a transaction: four of its nine round trips. Clusters (kafkajs: the connections of one
 * producer) that have asked for a transaction's coordinator remember answers for a second; all others ask as before.
 */
export function rememberCoordinators(require: NodeJS.Require): void {
  const { prototype } = require('kafkajs/src/cluster/index.js') as { prototype: Cluster };
  const ask = prototype.findGroupCoordinatorMetadata;
  if (typeof ask !== 'function') return;
  const answers = new WeakMap<Cluster, Map<string, { until: number; answer: unknown }>>();
  prototype.findGroupCoordinatorMetadata = async function (this: Cluster, question) {
    let known = answers.get(this);
    if (known === undefined && question.coordinatorType === TRANSACTION) {
      known = new Map();
      answers.set(this, known);
    }
    if (known === undefined) return ask.call(this, question);
    const name = `${question.coordinatorType}:${question.groupId}`;
    const remembered = known.get(name);
    if (remembered !== undefined && performance.now() < remembered.until) return remembered.answer;
    const answer = await ask.call(this, question);
    known.set(name, { until: performance.now() + LIFETIME_MS, answer });
    return answer;
  };
}
