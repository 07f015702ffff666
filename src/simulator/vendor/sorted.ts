/** Index of the first item whose key is not below `key`, in a list that is ascending by it. */
export function lowerBound<T>(list: readonly T[], keyOf: (item: T) => number, key: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keyOf(list[middle]!) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Puts an item behind all that are not greater; keys are whole numbers. What comes in order costs nothing. */
export function insert<T>(list: T[], keyOf: (item: T) => number, item: T): void {
  const key = keyOf(item);
  if (list.length === 0 || keyOf(list.at(-1)!) <= key) list.push(item);
  else list.splice(lowerBound(list, keyOf, key + 1), 0, item);
}
