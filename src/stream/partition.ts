/** murmur2 with Kafka's seed, as a signed 32-bit number. Algorithm: Austin Appleby's MurmurHash2, as Kafka's protocol documentation names it for keys. */
export function murmur2(data: Uint8Array): number {
  const m = 0x5bd1e995;
  const length = data.length;
  let h = 0x9747b28c ^ length;
  const words = length & ~3;
  for (let i = 0; i < words; i += 4) {
    let k = (data[i] as number) | ((data[i + 1] as number) << 8) | ((data[i + 2] as number) << 16) | ((data[i + 3] as number) << 24);
    k = Math.imul(k, m);
    k ^= k >>> 24;
    k = Math.imul(k, m);
    h = Math.imul(h, m) ^ k;
  }
  const rest = length & 3;
  if (rest === 3) h ^= (data[words + 2] as number) << 16;
  if (rest >= 2) h ^= (data[words + 1] as number) << 8;
  if (rest >= 1) h = Math.imul(h ^ (data[words] as number), m);
  h ^= h >>> 13;
  h = Math.imul(h, m);
  return h ^ (h >>> 15);
}

/** Partition of a key, as the default partitioner of the Java client chooses it. */
export function partitionOf(key: string | Buffer, count: number): number {
  return (murmur2(typeof key === 'string' ? Buffer.from(key) : key) & 0x7fffffff) % count;
}
