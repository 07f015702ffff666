import { TOPICS } from '../../codec/topics.js';
import { SOURCES } from '../../sources/registry.js';
import { StreamWorker } from '../../stream/worker.js';
import type { WorkerConnection } from '../folding-worker.js';
import { AS_THEY_COME, type Users } from '../users.js';
import { type EventCodecs, EventsProcessor } from './processor.js';

/** The events worker: the stream runtime with {@link EventsProcessor}. */
export function createEventsWorker(options: WorkerConnection & { codecs: EventCodecs; users?: Users }): StreamWorker {
  const { codecs, users = AS_THEY_COME, ...connection } = options;
  return new StreamWorker({
    ...connection,
    name: 'events',
    inputs: SOURCES.map((s) => s.topic),
    outputTopic: TOPICS.callEvents.name,
    restores: false,
    createProcessor: ({ partition, failures }) => new EventsProcessor({ partition, codecs, failures, users }),
    onCommitted: ({ dead }) => {
      if (dead) options.metrics.callstream_dead_letters_total.inc({ worker: 'events' }, dead);
    },
  });
}
