import { connect } from 'node:net';
import { LOOPBACK } from '../config/defaults.js';

const METADATA = 3;
const METADATA_VERSION = 1;
const CLIENT_ID = 'callstream';
const ANSWER_TIMEOUT_MS = 2_000;

/**
 * Asks a broker for the cluster's metadata, and resolves to the number of brokers that are alive: 0 until the broker has joined its own cluster.
 * One request, by hand, because the question comes many times a second while the broker starts. Format: Kafka protocol guide, Metadata v1.
 */
export function aliveBrokers(port: number): Promise<number> {
  const body = Buffer.alloc(4 + 2 + 2 + 4 + 2 + CLIENT_ID.length + 4);
  let at = body.writeInt32BE(body.length - 4, 0);
  at = body.writeInt16BE(METADATA, at);
  at = body.writeInt16BE(METADATA_VERSION, at);
  at = body.writeInt32BE(1, at); // correlation id
  at = body.writeInt16BE(CLIENT_ID.length, at);
  at += body.write(CLIENT_ID, at, 'latin1');
  body.writeInt32BE(0, at); // no topic

  return new Promise((resolve, reject) => {
    const socket = connect({ host: LOOPBACK, port });
    let answer = Buffer.alloc(0);
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => socket.destroy(new Error('no answer')));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('connection closed')));
    socket.on('data', (chunk) => {
      answer = Buffer.concat([answer, chunk]);
      if (answer.length < 12) return; // size, correlation id, number of brokers
      resolve(answer.readInt32BE(8));
      socket.destroy();
    });
    socket.write(body);
  });
}
