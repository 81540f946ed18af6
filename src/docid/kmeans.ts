/** K-means with optional limits on the size of a cluster. @module */
import { DataError } from "../errors.ts";
import type { HostTensor } from "../tensor/host_tensor.ts";
import { type RandomKey, type RandomStream, randomStream } from "../tensor/random.ts";
import { matmulNT } from "./_matmul.ts";

/** Choices of {@linkcode kMeans}. */
export interface KMeansOptions {
  /** Clusters wanted, C. */
  clusters: number;
  /** Stream of all random choices. */
  random: RandomKey;
  /** Rounds of Lloyd's algorithm at most. Default 20. */
  maxRounds?: number;
  /** Independent starts; the best one counts. Default 1. */
  restarts?: number;
  /** Most points of a cluster. Default: no limit. */
  capacity?: number;
  /** Centres are fitted on at most this many points per cluster, drawn at random. Default 256. */
  samplePerCluster?: number;
}

/** What {@linkcode kMeans} found. */
export interface Clustering {
  /** Clusters found; fewer than asked where there are fewer distinct points. None is empty. */
  readonly clusters: number;
  /** [N] cluster of each point, numbered from 0 in the order of their first points. */
  readonly assignment: Int32Array;
  /** Sum of squared distances of points to their centres. */
  readonly inertia: number;
}

/**
 * K-means: k-means++ start (Arthur & Vassilvitskii 2007), then rounds of Lloyd's algorithm until no
 * point moves.
 *
 * Departures: centres are fitted on a random sample where there are very many points; an empty
 * cluster takes the point farthest from its centre; with `capacity`, points take turns by how much
 * they would lose by their second choice, and each gets the nearest centre that still has room.
 *
 * Deterministic: the same points and key give the same clusters. Ties go to the lower cluster.
 *
 * @param points [N, W]
 * @param options Clusters, random stream, limits
 * @throws {DataError} If `capacity` × `clusters` is less than N
 * @example Two pairs
 * ```ts
 * import { kMeans } from "./kmeans.ts";
 * import { hostTensor } from "../tensor/host_tensor.ts";
 * import { assertEquals } from "@std/assert";
 * const points = hostTensor("float32", Float32Array.of(0, 9, 0.1, 9.1), [4, 1]);
 * const random = { seed: 1, stream: "example", step: 0 };
 * assertEquals([...kMeans(points, { clusters: 2, random }).assignment], [0, 1, 0, 1]);
 * ```
 */
export function kMeans(points: HostTensor<"float32">, options: KMeansOptions): Clustering {
  const [N, W] = points.shape;
  const { clusters, capacity = Infinity, restarts = 1 } = options;
  if (capacity * clusters < N) {
    throw new DataError(
      `Cannot cluster ${N} points: ${clusters} clusters of at most ${capacity} hold fewer`,
    );
  }
  const stream = randomStream(options.random);
  const norms = squaredNorms(points.data, N, W);
  let best: { assignment: Int32Array; inertia: number } | undefined;
  for (let start = 0; start < restarts; start++) {
    const sample = drawSample(N, clusters * (options.samplePerCluster ?? 256), stream);
    const fitted = sample ? takeRows(points.data, sample, W) : points.data;
    const centres = fit(fitted, W, { ...options, stream });
    const found = capacity < N
      ? assignLimited(points.data, norms, centres, { W, capacity })
      : assign(points.data, norms, centres, W);
    if (!best || found.inertia < best.inertia) best = found;
  }
  return { ...renumber(best!.assignment), inertia: best!.inertia };
}

/** `wanted` indices out of N in rising order, or nothing if that is all of them. */
function drawSample(N: number, wanted: number, stream: RandomStream): Int32Array | undefined {
  if (wanted >= N) return undefined;
  const order = Int32Array.from({ length: N }, (_, i) => i);
  for (let i = 0; i < wanted; i++) {
    const j = i + stream.int(N - i);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order.slice(0, wanted).sort();
}

/** Rows `index` of `data` [_, W] as a new array. */
export function takeRows(data: Float32Array, index: Int32Array, W: number): Float32Array {
  const out = new Float32Array(index.length * W);
  index.forEach((row, i) => out.set(data.subarray(row * W, (row + 1) * W), i * W));
  return out;
}

function squaredNorms(data: Float32Array, n: number, W: number): Float32Array {
  const norms = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    let sum = 0;
    for (let j = i * W; j < (i + 1) * W; j++) sum += data[j] * data[j];
    norms[i] = sum;
  }
  return norms;
}

/** Centres [clusters, W], flat. */
function fit(
  data: Float32Array,
  W: number,
  options: KMeansOptions & { stream: RandomStream },
): Float32Array {
  const n = data.length / W;
  const norms = squaredNorms(data, n, W);
  let centres = plusPlus(data, norms, W, options);
  let before: Int32Array | undefined;
  for (let round = 0; round < (options.maxRounds ?? 20); round++) {
    const { assignment, distance } = assign(data, norms, centres, W);
    if (before?.every((cluster, i) => cluster === assignment[i])) break;
    centres = means(data, W, assignment, distance, centres.length / W);
    before = assignment;
  }
  return centres;
}

/** Start centres drawn with probability proportional to the squared distance to those before. */
function plusPlus(
  data: Float32Array,
  norms: Float32Array,
  W: number,
  { clusters, stream }: { clusters: number; stream: RandomStream },
): Float32Array {
  const n = norms.length;
  const chosen = [stream.int(n)];
  const distance = new Float64Array(n).fill(Infinity);
  while (chosen.length < Math.min(clusters, n)) {
    const at = chosen[chosen.length - 1] * W;
    let total = 0;
    for (let i = 0; i < n; i++) {
      let d = 0;
      for (let j = 0, x = i * W; j < W; j++) {
        const gap = data[x + j] - data[at + j];
        d += gap * gap;
      }
      if (d < distance[i]) distance[i] = d;
      total += distance[i];
    }
    if (total === 0) break;
    let u = stream.uniform() * total;
    let next = -1;
    for (let i = 0; i < n; i++) {
      if (distance[i] === 0) continue;
      next = i;
      if ((u -= distance[i]) < 0) break;
    }
    chosen.push(next);
  }
  return takeRows(data, Int32Array.from(chosen), W);
}

/** Rows of points whose products with all centres are held at once. */
const ROWS = 512;

/** Visit the scores |c|² - 2x·c of every point: smallest where the centre is nearest. */
function scoreAll(
  data: Float32Array,
  centres: Float32Array,
  W: number,
  visit: (point: number, scores: Float64Array, from: number) => void,
): void {
  const n = data.length / W, k = centres.length / W;
  const centreNorms = squaredNorms(centres, k, W);
  const products = new Float64Array(Math.min(ROWS, n) * k);
  for (let start = 0; start < n; start += ROWS) {
    const rows = Math.min(ROWS, n - start);
    matmulNT(data, centres, products, { n: rows, m: k, k: W, from: start });
    for (let i = 0; i < rows; i++) {
      for (let c = 0; c < k; c++) products[i * k + c] = centreNorms[c] - 2 * products[i * k + c];
      visit(start + i, products, i * k);
    }
  }
}

interface Assigned {
  assignment: Int32Array;
  distance: Float32Array;
  inertia: number;
}

function assign(
  data: Float32Array,
  norms: Float32Array,
  centres: Float32Array,
  W: number,
): Assigned {
  const n = norms.length, k = centres.length / W;
  const assignment = new Int32Array(n), distance = new Float32Array(n);
  let inertia = 0;
  scoreAll(data, centres, W, (point, scores, from) => {
    let best = 0;
    for (let c = 1; c < k; c++) if (scores[from + c] < scores[from + best]) best = c;
    assignment[point] = best;
    distance[point] = Math.max(0, norms[point] + scores[from + best]);
    inertia += distance[point];
  });
  return { assignment, distance, inertia };
}

/** New centres; an empty cluster takes the farthest point that no other empty one took. */
function means(
  data: Float32Array,
  W: number,
  assignment: Int32Array,
  distance: Float32Array,
  k: number,
): Float32Array {
  const sums = new Float64Array(k * W), counts = new Int32Array(k);
  assignment.forEach((cluster, i) => {
    counts[cluster]++;
    for (let j = 0; j < W; j++) sums[cluster * W + j] += data[i * W + j];
  });
  const centres = new Float32Array(k * W);
  const empty: number[] = [];
  for (let c = 0; c < k; c++) {
    if (counts[c] === 0) empty.push(c);
    else for (let j = 0; j < W; j++) centres[c * W + j] = sums[c * W + j] / counts[c];
  }
  if (empty.length > 0) {
    const far = Int32Array.from(distance.keys()).sort((x, y) => distance[y] - distance[x] || x - y);
    empty.forEach((c, i) => centres.set(data.subarray(far[i] * W, (far[i] + 1) * W), c * W));
  }
  return centres;
}

/** Every point to a near centre that has room. */
function assignLimited(
  data: Float32Array,
  norms: Float32Array,
  centres: Float32Array,
  { W, capacity }: { W: number; capacity: number },
): { assignment: Int32Array; inertia: number } {
  const n = norms.length, k = centres.length / W;
  const all = new Float32Array(n * k), regret = new Float32Array(n);
  scoreAll(data, centres, W, (point, scores, from) => {
    let first = Infinity, second = Infinity;
    for (let c = 0; c < k; c++) {
      const score = all[point * k + c] = scores[from + c];
      if (score < first) [first, second] = [score, first];
      else if (score < second) second = score;
    }
    regret[point] = k > 1 ? second - first : 0;
  });
  const order = Int32Array.from({ length: n }, (_, i) => i)
    .sort((x, y) => regret[y] - regret[x] || x - y);
  const room = new Float64Array(k).fill(capacity);
  // Fewer distinct points than clusters leave too little room: the rest opens new clusters.
  const assignment = new Int32Array(n);
  let inertia = 0, extra = k, extraRoom = 0;
  for (const point of order) {
    let best = -1;
    for (let c = 0; c < k; c++) {
      if (room[c] > 0 && (best < 0 || all[point * k + c] < all[point * k + best])) best = c;
    }
    if (best >= 0) {
      room[best]--;
      inertia += Math.max(0, norms[point] + all[point * k + best]);
    } else {
      if (extraRoom === 0) extra++, extraRoom = capacity;
      extraRoom--;
      best = extra - 1;
    }
    assignment[point] = best;
  }
  return { assignment, inertia };
}

/** Dense cluster numbers in the order of their first points. */
function renumber(assignment: Int32Array): { clusters: number; assignment: Int32Array } {
  const names = new Map<number, number>();
  const renamed = assignment.map((cluster) => {
    if (!names.has(cluster)) names.set(cluster, names.size);
    return names.get(cluster)!;
  });
  return { clusters: names.size, assignment: renamed };
}
