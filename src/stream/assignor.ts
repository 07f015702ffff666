import type { PartitionAssigner } from 'kafkajs';
import { AssignerProtocol } from './kafkajs.js';

const NAME = 'callstream-co-partitioned';
const VERSION = 1;

/**
 * Distributes tasks: task p stays with the member that owns it as long as that member has no more than its fair share;
 * the rest goes to the members with the fewest, in order of member id. Deterministic.
 * A task claimed by two members (one of them was away) is given to the first by id that has room; fencing settles the rest.
 */
export function assignTasks(members: readonly { id: string; owned: readonly number[] }[], taskCount: number): Map<string, number[]> {
  const sorted = [...members].sort((a, b) => (a.id < b.id ? -1 : 1));
  const assigned = new Map<string, number[]>(sorted.map((m) => [m.id, []]));
  const free = new Set(Array.from({ length: taskCount }, (_, p) => p));
  const floor = Math.floor(taskCount / sorted.length);
  // As many members as there are tasks left over may hold one more than the others.
  let extras = taskCount % sorted.length;
  for (const { id, owned } of [...sorted].sort((a, b) => b.owned.length - a.owned.length)) {
    const mine = assigned.get(id) as number[];
    for (const p of owned) {
      if (!free.has(p)) continue;
      if (mine.length === floor) {
        if (extras === 0) break;
        extras -= 1;
      } else if (mine.length > floor) break;
      mine.push(p);
      free.delete(p);
    }
  }
  for (const p of free) {
    const fewest = [...assigned.values()].reduce((a, b) => (b.length < a.length ? b : a));
    fewest.push(p);
  }
  for (const tasks of assigned.values()) tasks.sort((a, b) => a - b);
  return assigned;
}

/**
 * A kafkajs assigner that gives partition p of all topics to one member and keeps tasks where they are when it can.
 * `owned` tells the tasks of this member at the time of a join; it travels as user data of the subscription.
 * Partitions that not all topics have are given to nobody: the worker has refused to start on such topics.
 */
export function coPartitionedAssigner(owned: () => Iterable<number>): PartitionAssigner {
  return ({ cluster }) => ({
    name: NAME,
    version: VERSION,
    async assign({ members, topics }) {
      // `findTopicPartitionMetadata` is what kafkajs's own assigner asks; its types leave it out.
      const known = cluster as unknown as { findTopicPartitionMetadata(topic: string): { partitionId: number }[] };
      const taskCount = Math.min(...topics.map((topic) => known.findTopicPartitionMetadata(topic).length));
      const claims = members.map(({ memberId, memberMetadata }) => ({ id: memberId, owned: ownedOf(memberMetadata) }));
      return [...assignTasks(claims, taskCount)].map(([memberId, tasks]) => ({
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({
          version: VERSION,
          assignment: Object.fromEntries(topics.map((topic) => [topic, tasks])),
          userData: Buffer.alloc(0),
        }),
      }));
    },
    protocol({ topics }) {
      const userData = Buffer.from(JSON.stringify([...owned()]));
      return { name: NAME, metadata: AssignerProtocol.MemberMetadata.encode({ version: VERSION, topics, userData }) };
    },
  });
}

function ownedOf(memberMetadata: Buffer): number[] {
  const userData = AssignerProtocol.MemberMetadata.decode(memberMetadata)?.userData;
  if (!userData || userData.length === 0) return [];
  const owned: unknown = JSON.parse(userData.toString());
  return Array.isArray(owned) ? owned.filter((p): p is number => Number.isInteger(p)) : [];
}
