/** Episodes of a teacher, for a policy to learn from before it is rewarded. @module */
import type { Document, Query } from "../data/mod.ts";
import {
  type EntityKind,
  questionWordings,
  type Relation,
  type World,
  type WorldQuestion,
  writeEntityDocument,
} from "../data/world/mod.ts";
import { DataError } from "../errors.ts";
import type { RandomStream } from "../tensor/random.ts";
import type { Lesson } from "./policy_text.ts";
import type { AgentProtocol } from "./protocol.ts";

/** Shows how a question can be answered. */
export interface Demonstrator {
  /**
   * Episodes for a question: one, or two that are equally good and part ways at a choice.
   *
   * @param question The question
   * @param cost Price of a retrieval, as shown to the policy
   * @param random Where the teacher's free choices come from
   */
  demonstrate(question: Query, cost: number, random: RandomStream): Lesson[];
}

/** Puts the tokens of an episode together. */
class Script {
  readonly tokens: number[];
  readonly actions: number[] = [];
  readonly mayRetrieve: number[] = [];
  readonly isTied: number[] = [];
  /** Whether another choice than the next is as good. */
  isUndecided = false;
  readonly #protocol: AgentProtocol;
  #left: number;

  constructor(protocol: AgentProtocol, question: string, cost: number) {
    this.#protocol = protocol;
    this.#left = protocol.budget;
    this.tokens = protocol.prompt(question, cost);
  }

  #choose(tokens: readonly number[], mayRetrieve: boolean): void {
    for (const token of tokens) {
      this.actions.push(this.tokens.length);
      this.mayRetrieve.push(Number(mayRetrieve));
      this.isTied.push(Number(this.isUndecided));
      this.isUndecided = false;
      this.tokens.push(token);
    }
  }

  get canRetrieve(): boolean {
    return this.#left > 0;
  }

  /** Whether a retrieval may fail and be repeated. */
  get canRetry(): boolean {
    return this.#left > 1;
  }

  write(text: string): void {
    this.#choose(this.#protocol.words(text), this.canRetrieve);
  }

  retrieve(document: Document): void {
    this.#choose([this.#protocol.ids.retrieve], true);
    this.tokens.push(...this.#protocol.document(document, --this.#left));
  }

  answer(text: string): Lesson {
    const { ids } = this.#protocol;
    this.#choose([ids.answer], this.canRetrieve);
    this.#choose([...this.#protocol.words(text), ids.end], false);
    const { tokens, actions, mayRetrieve, isTied } = this;
    return { tokens, actions, mayRetrieve, isTied };
  }
}

/** An entity of a lesson: one of the world, or one that was invented for the lesson. */
interface Subject {
  readonly name: string;
  readonly kind: EntityKind;
  /** Its index in the world; undefined where it was invented. */
  readonly entity?: number;
}

/** A value of a lesson. */
interface LessonValue {
  readonly value: string;
  readonly subject?: Subject;
}

/** What a lesson is about. */
interface Topic {
  readonly query: string;
  readonly cost: number;
  readonly asked: Subject;
  readonly path: readonly Relation[];
  /** Whether what is unknown is guessed, too. */
  readonly showsGuess: boolean;
}

/** An episode, and its first choice between two equally good moves: whether it looked something up. */
interface Shown {
  readonly text: Lesson;
  readonly chosen?: boolean;
}

/** Choices that teachers have in common. */
export interface DemonstratorOptions {
  /**
   * Share of the retrievals that bring a wrong document first, where the budget allows another one: the
   * teacher notices, and retrieves again. A policy that has seen this can tell a document that answers the
   * question from one that does not; without it any document is believed. Default 0.
   */
  readonly distractorShare?: number;
}

/** Price from which on the teacher also shows how to guess. */
const DEAR = 0.5;

/**
 * A teacher in a world, optimal where a retrieval costs nothing: it looks up what is not known by heart.
 * What is known it shows both ways, looked up and from memory, because then that makes no difference. So
 * a policy learns how to answer both ways, and not yet when to do which. Both ways are shown together:
 * that the teacher is undecided is learned much sooner from pairs than from the toss of a coin.
 *
 * Documents of its lessons are written anew with random values, and the answer is what stands there
 * (as in Longpre et al. 2021, "Entity-based knowledge conflicts"). Reading cannot be replaced by
 * remembering then, and what is only in documents stays unknown. In the place of the world's unknown
 * entities, lessons are about ones that are invented for them: of these there are too many to be
 * remembered, so that not to know something has to be recognised.
 *
 * Where a retrieval is dear, it shows both ways for what is unknown too in half of the lessons: looked up,
 * and guessed. What pays at which price is for the policy to find out, and it could not if it had never
 * seen a guess. A guess is shown less often than an answer from memory: a policy that begins without a
 * difference between known and unknown there gives up retrieving on both before it finds one.
 *
 * Some retrievals may bring a wrong document first, about another entity of the same kind; then it retrieves
 * again.
 *
 * Over two hops it writes the entity between the hops, from memory or from the document, before it goes
 * on: that is the query of the second retrieval.
 *
 * @param world The world
 * @param protocol How episodes are written
 * @param options How often a wrong document comes first
 */
export function worldDemonstrator(
  world: World,
  protocol: AgentProtocol,
  { distractorShare = 0 }: DemonstratorOptions = {},
): Demonstrator {
  const { entities, facts, factsOf, relations } = world;
  /** Entities that lessons may be about. */
  const open = Map.groupBy(
    entities.keys().filter((e) => entities[e].part !== "heldOut"),
    (e) => entities[e].kind,
  );
  const subjectOf = (entity: number): Subject => ({ ...entities[entity], entity });
  const isKnown = ({ entity }: Subject): boolean =>
    entity !== undefined && entities[entity].part === "known";
  const invent = (kind: EntityKind, random: RandomStream): Subject => ({
    kind,
    name: world.inventName(kind, random),
  });
  /** Another one that nobody knows, in the place of one that the agent does not know. */
  const varied = (subject: Subject, random: RandomStream): Subject =>
    isKnown(subject) ? subject : invent(subject.kind, random);
  const drawValue = ({ value }: Relation, random: RandomStream): LessonValue => {
    if (typeof value !== "string") return { value: value[random.int(value.length)] };
    const candidates = open.get(value)!;
    const subject = varied(subjectOf(candidates[random.int(candidates.length)]), random);
    return { value: subject.name, subject };
  };
  /** What the agent knows by heart. */
  const recall = ({ entity }: Subject, relation: Relation): LessonValue => {
    const f = factsOf[entity!].find((f) => relations[facts[f].relation] === relation)!;
    const { value, valueEntity } = facts[f];
    return { value, subject: valueEntity === undefined ? undefined : subjectOf(valueEntity) };
  };
  /** One way to answer. The first of its choices between two equally good moves may be given. */
  const show = (lesson: Topic, random: RandomStream, first?: boolean): Shown => {
    const script = new Script(protocol, lesson.query, lesson.cost);
    let subject = lesson.asked, chosen: boolean | undefined;
    const looksUp = (): boolean => {
      script.isUndecided = true;
      const choice = chosen === undefined && first !== undefined ? first : random.int(2) === 0;
      chosen ??= choice;
      return choice;
    };
    let last: LessonValue | undefined;
    lesson.path.forEach((relation, hop) => {
      const knows = isKnown(subject);
      const isOpen = knows || lesson.showsGuess;
      // At such a price nothing is settled, whatever is shown.
      script.isUndecided = script.canRetrieve && lesson.cost >= DEAR;
      if (script.canRetrieve && (!isOpen || looksUp())) {
        const stated = new Map<Relation, LessonValue>();
        const about = (one: Subject): Document => ({
          docId: "",
          ...writeEntityDocument(one, random, (other) => {
            const drawn = drawValue(other, random);
            stated.set(other, drawn);
            return drawn.value;
          }),
        });
        if (distractorShare > 0 && script.canRetry && random.uniform() < distractorShare) {
          script.retrieve(
            about({ kind: subject.kind, name: world.inventName(subject.kind, random) }),
          );
        }
        script.retrieve(about(subject));
        last = stated.get(relation)!;
      } else last = knows ? recall(subject, relation) : drawValue(relation, random);
      if (hop + 1 === lesson.path.length) return;
      script.write(last.value);
      subject = last.subject!;
    });
    return { text: script.answer(last!.value), chosen };
  };
  return {
    demonstrate(question, cost, random): Lesson[] {
      const { chain } = question as WorldQuestion;
      if (!Array.isArray(chain)) {
        throw new DataError(
          `Cannot demonstrate the question ${question.queryId}: it is not one of the world's`,
        );
      }
      const path: Relation[] = chain.map((f: number) => relations[facts[f].relation]);
      const named = subjectOf(facts[chain[0]].entity), asked = varied(named, random);
      const wordings = questionWordings(asked.name, path);
      const query = asked === named ? question.query : wordings[random.int(wordings.length)];
      const showsGuess = cost >= DEAR && random.int(2) === 0;
      const lesson: Topic = { query, cost, asked, path, showsGuess };
      const { text, chosen } = show(lesson, random);
      return chosen === undefined ? [text] : [text, show(lesson, random, !chosen).text];
    },
  };
}

/** Choices of {@linkcode plainDemonstrator}. */
export interface PlainDemonstratorOptions extends DemonstratorOptions {
  /** Share of the questions that are answered without a document, 0 … 1. */
  readonly closedShare: number;
}

/**
 * A teacher for questions with right documents and answers: a share of the episodes answer from memory,
 * the others read a right document first. Questions without a right document are answered from memory.
 *
 * @param documents The documents
 * @param protocol How episodes are written
 * @param options How many episodes answer from memory
 */
export function plainDemonstrator(
  documents: readonly Document[],
  protocol: AgentProtocol,
  options: PlainDemonstratorOptions,
): Demonstrator {
  const byId = new Map(documents.map((document) => [document.docId, document]));
  return {
    demonstrate({ queryId, query, docIds, answers }, cost, random): Lesson[] {
      if (!answers.length) {
        throw new DataError(`Cannot demonstrate the question ${queryId}: it has no answer`);
      }
      const script = new Script(protocol, query, cost);
      const right = docIds.flatMap((docId) => byId.get(docId) ?? []);
      const isClosed = random.uniform() < options.closedShare;
      script.isUndecided = right.length > 0 && script.canRetrieve;
      if (right.length && !isClosed && script.canRetrieve) {
        const { distractorShare = 0 } = options;
        if (distractorShare > 0 && script.canRetry && random.uniform() < distractorShare) {
          const other = documents[random.int(documents.length)];
          if (!right.includes(other)) script.retrieve(other);
        }
        script.retrieve(right[random.int(right.length)]);
      }
      return [script.answer(answers[0])];
    },
  };
}
