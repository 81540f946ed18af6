/** Jinja templates that come to an end. */
import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";

/** A model's template takes a few hundred steps a message. */
const MAX_STEPS = 1_000_000;
/** UTF-16 code units of the longest text on the way. */
const MAX_TEXT = 2 ** 24;
/** Items of the longest range, as in Jinja's sandbox. */
const MAX_RANGE = 100_000;
/** Items of a list or object, those of the ones inside it included, however often they stand there. */
const MAX_ITEMS = 1_000_000;
const MAX_TEMPLATE = 2 ** 20;

type Evaluate = Interpreter["evaluate"];
type Value = ReturnType<Evaluate>;
type Node = NonNullable<Parameters<Evaluate>[0]>;
type Loop = Node & { iterable: Node & { lhs?: Node } };

/** Counts steps, and looks at the size of what each gives. */
class BoundedInterpreter extends Interpreter {
  #steps = 0;
  readonly #looped = new WeakSet<Node>();
  readonly #weights = new WeakMap<Value, { entries: number; weight: number }>();

  override evaluate(node: Node | undefined, scope: Environment): Value {
    this.#count(1);
    if (node?.type === "For") {
      // `for x in list if …` keeps its list in `lhs`.
      const { iterable } = node as Loop;
      this.#looped.add(iterable.type === "SelectExpression" ? iterable.lhs ?? iterable : iterable);
    }
    const result = super.evaluate(node, scope);
    const { value } = result;
    if (typeof value === "string" && value.length > MAX_TEXT) {
      throw new Error(`it makes a text of more than ${MAX_TEXT} characters`);
    }
    if (typeof value === "object" && value !== null) this.#weigh(result, 0);
    // Rounds of a loop without a body are not evaluated, but they take time.
    if (node !== undefined && this.#looped.has(node)) {
      this.#count(Array.isArray(value) ? value.length : value instanceof Map ? value.size : 0);
    }
    return result;
  }

  #count(steps: number): void {
    this.#steps += steps;
    if (this.#steps > MAX_STEPS) throw new Error(`it takes more than ${MAX_STEPS} steps`);
  }

  /**
   * How much a filter would have to write out. A list that holds another twice counts it twice: forty
   * such lists in each other are small in memory and endless on paper.
   */
  #weigh(container: Value, sum: number): number {
    const { value } = container;
    const isMap = value instanceof Map;
    if (!isMap && !Array.isArray(value)) return 1;
    const entries = isMap ? value.size : value.length;
    const known = this.#weights.get(container);
    if (known?.entries === entries) return known.weight;
    let weight = 1;
    for (const item of value.values() as Iterable<Value>) {
      weight += this.#weigh(item, sum + weight);
      if (sum + weight > MAX_ITEMS) {
        throw new Error(`it makes a list or object of more than ${MAX_ITEMS} items`);
      }
    }
    // A namespace changes while its number of entries stays the same.
    if (container.type !== "NamespaceValue") this.#weights.set(container, { entries, weight });
    return weight;
  }
}

function range(start: number, stop?: number, step = 1): number[] {
  if (stop === undefined || stop === null) [start, stop] = [0, start];
  const length = Math.ceil((stop - start) / step);
  if (!Number.isFinite(length) || length > MAX_RANGE) {
    throw new Error(`it asks for a range of more than ${MAX_RANGE} items`);
  }
  return Array.from({ length: Math.max(length, 0) }, (_, i) => start + i * step);
}

/**
 * Fills in a template.
 *
 * `{% generation %}`, which marks what a model wrote, is read as nothing.
 *
 * @param template Its text
 * @param variables What it may name; functions take plain values
 * @throws {Error} Of whatever kind, if the template is broken, throws one or goes on and on
 */
export function renderBounded(template: string, variables: Record<string, unknown>): string {
  if (template.length > MAX_TEMPLATE) {
    throw new Error(`it has more than ${MAX_TEMPLATE} characters`);
  }
  const program = parse(
    tokenize(template, { lstrip_blocks: true, trim_blocks: true }),
  );
  const environment = new Environment();
  const globals = { true: true, false: false, none: null, True: true, False: false, None: null };
  for (const [name, value] of Object.entries({ ...globals, range, ...variables })) {
    environment.set(name, value);
  }
  return String(new BoundedInterpreter(environment).run(program).value);
}
