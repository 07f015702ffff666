/** The primitives of every vendor's signature, and the one way to compare secrets. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

export const sha256 = (data: string | Buffer): Buffer => createHash('sha256').update(data).digest();

export const sha256Hex = (data: string | Buffer): string => sha256(data).toString('hex');

export const hmacSha256 = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** Whether two digests of one length are equal, in a time that says nothing about where they differ. Every comparison of secrets ends here. */
export const equalDigests = (a: Buffer, b: Buffer): boolean => timingSafeEqual(a, b);

/** As {@link equalDigests}, of two texts of any length. */
export const equalSecrets = (a: string, b: string): boolean => equalDigests(sha256(a), sha256(b));
