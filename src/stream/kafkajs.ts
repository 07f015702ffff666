import { createRequire } from 'node:module';
import type { ISocketFactory } from 'kafkajs';
import { beginAfresh } from './kafkajs-connection.js';
import { rememberCoordinators } from './kafkajs-coordinator.js';
import { replaceDecoder } from './kafkajs-fetch.js';
import { keepHeartbeats } from './kafkajs-heartbeat.js';
import { joinAsBefore } from './kafkajs-join.js';
import { checkVersion } from './kafkajs-module.js';
import { replaceEncoder } from './kafkajs-produce.js';
import { replaceSending } from './kafkajs-send.js';

/**
 * The one place where kafkajs is loaded: it is CommonJS, and its record encoder, record decoder, sending, opening of connections,
 * coordinator lookup, joining and heartbeat are replaced before anything of it can hold on to the old ones.
 * Types may be imported from 'kafkajs' anywhere in this folder.
 */
const require = createRequire(import.meta.url);
checkVersion(require);
replaceEncoder(require);
replaceDecoder(require);
replaceSending(require);
beginAfresh(require);
rememberCoordinators(require);
keepHeartbeats(require);
joinAsBefore(require);

/** Opens a connection as kafkajs does. */
export const openSocket = (require('kafkajs/src/network/socketFactory.js') as () => ISocketFactory)();

export const { AssignerProtocol, ConfigResourceTypes, Kafka, logLevel, PartitionAssigners } =
  require('kafkajs') as typeof import('kafkajs');
