/** A response begins with its length. */
const LENGTH_BYTES = 4;

interface Connection {
  isConnected(): boolean;
  connect(): Promise<boolean>;
  /** What has come of a response that is not whole yet, and how much of it has to be there. */
  chunks: Buffer[];
  bytesBuffered: number;
  bytesNeeded: number;
}

/**
 * kafkajs keeps what has come of a half response when its connection is torn, and puts the next connection's first bytes behind it: from then on every
 * length is read from the wrong place, and no request is answered any more. Here a connection begins with nothing. And it is opened once, however many
 * requests ask for it at the same time: kafkajs would let each open its own, of which all but the last would stay behind.
 */
export function beginAfresh(require: NodeJS.Require): void {
  const { prototype } = require('kafkajs/src/network/connection.js') as { prototype: Connection };
  const { connect } = prototype;
  const opening = new WeakMap<Connection, Promise<boolean>>();
  prototype.connect = function (this: Connection) {
    if (this.isConnected()) return connect.call(this);
    let attempt = opening.get(this);
    if (attempt === undefined) {
      this.chunks = [];
      this.bytesBuffered = 0;
      this.bytesNeeded = LENGTH_BYTES;
      attempt = connect.call(this).finally(() => opening.delete(this));
      opening.set(this, attempt);
    }
    return attempt;
  };
}
