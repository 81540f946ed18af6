/** The middle of measured numbers. @module */

/** The median; of an even count the larger of the two in the middle. */
export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1];
