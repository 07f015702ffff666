/** What of kafkajs's ConsumerGroup is asked for here. */
interface ConsumerGroup {
  /** When the last heartbeat was answered, epoch milliseconds. */
  lastRequest: number;
  heartbeat(options: { interval: number }): Promise<void>;
}

/**
 * kafkajs sends a heartbeat when the wall clock says that the interval has passed: with a clock that was set back it would send none until time has caught up,
 * and the group would give this member's partitions away.
 */
export function keepHeartbeats(require: NodeJS.Require): void {
  const { prototype } = require('kafkajs/src/consumer/consumerGroup.js') as { prototype: ConsumerGroup };
  const { heartbeat } = prototype;
  prototype.heartbeat = function (options) {
    if (this.lastRequest > Date.now()) this.lastRequest = 0;
    return heartbeat.call(this, options);
  };
}
