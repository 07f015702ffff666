import kafkajs from 'kafkajs';

/** kafkajs is CommonJS, and Node does not see the names it exports: this is where its values come from. */
export const { AssignerProtocol, ConfigResourceTypes, Kafka, logLevel, PartitionAssigners } = kafkajs;
