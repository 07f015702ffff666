import type { PartitionAssigner } from 'kafkajs';
import { AssignerProtocol } from './kafkajs.js';

const NAME = 'callstream-sole-owner';
const VERSION = 1;

/** Who gets everything: the member that has it, else the first by id; so too where two claim it, one of which was away. */
export function chooseOwner(members: readonly { id: string; owns: boolean }[]): string | null {
  const sorted = [...members].sort((a, b) => (a.id < b.id ? -1 : 1));
  return (sorted.find(({ owns }) => owns) ?? sorted[0])?.id ?? null;
}

/**
 * A kafkajs assigner that gives every partition to one member, and leaves it there as long as that member lives; the others stand by.
 * `owns`: whether this member has it at the time of a join.
 */
export function soleOwnerAssigner(owns: () => boolean): PartitionAssigner {
  return ({ cluster }) => ({
    name: NAME,
    version: VERSION,
    async assign({ members, topics }) {
      // `findTopicPartitionMetadata` is what kafkajs's own assigner asks; its types leave it out.
      const known = cluster as unknown as { findTopicPartitionMetadata(topic: string): { partitionId: number }[] };
      const all = Object.fromEntries(topics.map((topic) => [topic, known.findTopicPartitionMetadata(topic).map((p) => p.partitionId)]));
      const nothing = Object.fromEntries(topics.map((topic) => [topic, []]));
      const owner = chooseOwner(members.map(({ memberId, memberMetadata }) => ({ id: memberId, owns: claims(memberMetadata) })));
      return members.map(({ memberId }) => ({
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({
          version: VERSION,
          assignment: memberId === owner ? all : nothing,
          userData: Buffer.alloc(0),
        }),
      }));
    },
    protocol({ topics }) {
      const userData = Buffer.from(owns() ? 'owner' : '');
      return { name: NAME, metadata: AssignerProtocol.MemberMetadata.encode({ version: VERSION, topics, userData }) };
    },
  });
}

const claims = (memberMetadata: Buffer): boolean =>
  AssignerProtocol.MemberMetadata.decode(memberMetadata)?.userData?.toString() === 'owner';
