import { createRequire } from 'node:module';
import { replaceEncoder } from './kafkajs-produce.js';

/**
 * The one place where kafkajs is loaded: it is CommonJS, and its record encoder is replaced before anything of it can hold on to the old one.
 * Types may be imported from 'kafkajs' anywhere in this folder.
 */
const require = createRequire(import.meta.url);
replaceEncoder(require);

export const { AssignerProtocol, ConfigResourceTypes, Kafka, logLevel, PartitionAssigners } =
  require('kafkajs') as typeof import('kafkajs');
