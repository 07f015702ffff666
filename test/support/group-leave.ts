import { once } from 'node:events';
import { connect } from 'node:net';
import { Kafka, logLevel } from '../../src/stream/kafkajs.js';

const LEAVE_GROUP = { key: 13, version: 3 };

/**
 * Tells the group that all its members have left, as their session timeout would after ten seconds. Only for a group whose processes are dead.
 * @param broker `host:port` of the only one
 */
export async function expelMembers(broker: string, groupIds: readonly string[]): Promise<void> {
  if (groupIds.length === 0) return;
  const admin = new Kafka({ brokers: [broker], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    const { groups } = await admin.describeGroups([...groupIds]);
    for (const { groupId, members } of groups) {
      if (members.length > 0)
        await leave(
          broker,
          groupId,
          members.map(({ memberId }) => memberId),
        );
    }
  } finally {
    await admin.disconnect();
  }
}

/** kafkajs has this request for a member of its own only. */
async function leave(broker: string, groupId: string, memberIds: readonly string[]): Promise<void> {
  const [host, port] = broker.split(':');
  const body = Buffer.concat([
    int16(LEAVE_GROUP.key),
    int16(LEAVE_GROUP.version),
    int32(1),
    string('test'),
    string(groupId),
    int32(memberIds.length),
    ...memberIds.flatMap((id) => [string(id), int16(-1)]),
  ]);
  const socket = connect({ host, port: Number(port) });
  try {
    socket.write(Buffer.concat([int32(body.length), body]));
    const [answer] = (await once(socket, 'data')) as [Buffer];
    // Size, correlation id, throttle time.
    const error = answer.readInt16BE(12);
    if (error !== 0) throw new Error(`members of ${groupId} could not leave: error ${error}`);
  } finally {
    socket.destroy();
  }
}

function int16(n: number): Buffer {
  const b = Buffer.alloc(2);
  b.writeInt16BE(n);
  return b;
}

function int32(n: number): Buffer {
  const b = Buffer.alloc(4);
  b.writeInt32BE(n);
  return b;
}

const string = (text: string): Buffer => Buffer.concat([int16(Buffer.byteLength(text)), Buffer.from(text)]);
