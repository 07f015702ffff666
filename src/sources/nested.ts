/** Parts of parsed bodies that are no scalars. */
import { Digits, type JsonObject, valueAt } from './json.js';

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Digits);

/** An object inside another; empty when there is none. */
export function objectAt(from: JsonObject, name: string): JsonObject {
  const value = valueAt(from, name);
  return isObject(value) ? value : {};
}

/** A list inside an object: [] where it is absent or null, as vendors write an empty one; null when it is something else. */
export function listAt(from: JsonObject, name: string): readonly unknown[] | null {
  const value = valueAt(from, name);
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : null;
}
