interface Question {
  groupId: string;
  sessionTimeout: number;
  rebalanceTimeout: number;
  /** Empty: a new member. The coordinator gives it a name, and kafkajs's broker asks once more with that. */
  memberId: string;
  groupProtocols: unknown[];
}

/** What is known of a generation: one of kafkajs's ConsumerGroup's parts. */
interface Generation {
  generationId: number | null;
  leaderId: string | null;
  memberId: string | null;
  members: unknown;
  groupProtocol: string | null;
}

interface Coordinator {
  joinGroup(question: Question): Promise<Generation>;
  lookupRequest(...which: unknown[]): (question: Question) => unknown;
}

interface Cluster {
  findGroupCoordinator(question: { groupId: string }): Promise<Coordinator>;
}

/** What of kafkajs's ConsumerGroup is asked for here. */
interface ConsumerGroup extends Generation {
  cluster: Cluster;
  coordinator: Coordinator | null;
  groupId: string;
  sessionTimeout: number;
  rebalanceTimeout: number;
  topicsSubscribed: readonly string[];
  assigners: readonly { protocol(subscription: { topics: readonly string[] }): unknown }[];
  leave(): Promise<void>;
}

const JOIN = 'private:ConsumerGroup:join';

/** The same coordinator, which tells by what name it asks. */
function telling(coordinator: Coordinator, tell: (memberId: string) => void): Coordinator {
  const lookupRequest: Coordinator['lookupRequest'] = (...which) => {
    const request = coordinator.lookupRequest(...which);
    return (question) => {
      tell(question.memberId);
      return request(question);
    };
  };
  return Object.create(coordinator, { lookupRequest: { value: lookupRequest } }) as Coordinator;
}

/**
 * A consumer whose connection is torn while it joins its group begins anew. kafkajs lets it join as a new member then, for the answer, which names the member, has
 * not come or is thrown away; and the group waits for the member that it knows until its session is over, 10 s. Connections that were torn more often than that
 * kept a consumer out of its group for longer than a minute. Here it joins as the member that it was, until it has left, or the group has forgotten it.
 */
export function joinAsBefore(require: NodeJS.Require): void {
  const { prototype } = require('kafkajs/src/consumer/consumerGroup.js') as { prototype: ConsumerGroup & Record<symbol, unknown> };
  // kafkajs: a consumer has one cluster as long as it lives, and a new ConsumerGroup whenever it begins anew.
  const names = new WeakMap<Cluster, string>();
  const { leave } = prototype;
  const join = Object.getOwnPropertySymbols(prototype).find(({ description }) => description === JOIN) as symbol;

  prototype[join] = async function (this: ConsumerGroup): Promise<void> {
    const { cluster, groupId, sessionTimeout, rebalanceTimeout, topicsSubscribed: topics } = this;
    this.coordinator = await cluster.findGroupCoordinator({ groupId });
    const asked = telling(this.coordinator, (name) => {
      if (name !== '') names.set(cluster, name);
    });
    try {
      const { generationId, leaderId, memberId, members, groupProtocol } = await asked.joinGroup({
        groupId,
        sessionTimeout,
        rebalanceTimeout,
        memberId: this.memberId ?? names.get(cluster) ?? '',
        groupProtocols: this.assigners.map((assigner) => assigner.protocol({ topics })),
      });
      Object.assign(this, { generationId, leaderId, memberId, members, groupProtocol } satisfies Generation);
    } catch (error) {
      // kafkajs asks again after this, as nobody.
      if ((error as { type?: string }).type === 'UNKNOWN_MEMBER_ID') names.delete(cluster);
      throw error;
    }
  };

  prototype.leave = async function () {
    await leave.call(this);
    names.delete(this.cluster);
  };
}
