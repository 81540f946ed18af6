/** What can be true of the entities of an oracle world, and how people put it. @module */

/** Kinds of entities. Every entity has a document. */
export type EntityKind = "person" | "firm" | "town";

/** A relation: each entity of its kind has exactly one value for it. */
export interface Relation {
  /** Unique name. */
  readonly name: string;
  /** Whose it is. */
  readonly of: EntityKind;
  /** What its value is: an entity of a kind, or one of these words. */
  readonly value: EntityKind | readonly string[];
  /** Sentences of documents; `{e}` is the entity, `{v}` the value. */
  readonly sentences: readonly string[];
  /** Questions for the value; `{e}` is the entity or a phrase for it. */
  readonly questions: readonly string[];
  /** Phrases for the value inside a longer question. Only where the value is an entity. */
  readonly phrases: readonly string[];
}

const list = (words: string): string[] => words.trim().split(/\s+/);

const CRAFTS = list(`
  archery baking chess dancing embroidery fencing gardening juggling knitting pottery rowing sailing
  sketching skating swimming weaving whittling wrestling`);
const PRODUCTS = list(`
  anchors barrels bells bricks buttons candles carpets clocks gloves harps kettles ladders lanterns
  mirrors needles ropes saddles spectacles umbrellas violins`);
const EMBLEMS = list(`
  acorn anvil badger beehive compass crown dolphin falcon feather heron key lion oak otter raven ship
  star thistle wheel wolf`);
const DISHES = list(`
  barley-soup cherry-pie cod-stew dumplings egg-bread fig-cake goat-cheese honey-ham leek-tart
  mushroom-broth nut-loaf onion-buns pea-porridge plum-jam rye-pancakes smoked-eel trout-pastry
  walnut-rolls`);
const COLOURS = list(`
  amber azure crimson emerald golden indigo ivory lilac maroon olive orange pink purple scarlet silver
  teal turquoise white`);

/** Every relation, those of one kind together. */
export const RELATIONS: readonly Relation[] = [
  {
    name: "birthplace",
    of: "person",
    value: "town",
    sentences: ["{e} was born in {v}.", "The birthplace of {e} is {v}.", "{e} comes from {v}."],
    questions: [
      "Where was {e} born?",
      "In which town was {e} born?",
      "What is the birthplace of {e}?",
      "Which town does {e} come from?",
    ],
    phrases: ["the birthplace of {e}", "the town where {e} was born"],
  },
  {
    name: "employer",
    of: "person",
    value: "firm",
    sentences: ["{e} works for {v}.", "The employer of {e} is {v}.", "{e} is employed by {v}."],
    questions: [
      "Who does {e} work for?",
      "Which firm employs {e}?",
      "What is the employer of {e}?",
      "Where does {e} earn a living?",
    ],
    phrases: ["the employer of {e}", "the firm that employs {e}"],
  },
  {
    name: "mentor",
    of: "person",
    value: "person",
    sentences: ["{e} was taught by {v}.", "The mentor of {e} was {v}.", "{e} learned from {v}."],
    questions: [
      "Who taught {e}?",
      "Who was the mentor of {e}?",
      "From whom did {e} learn?",
      "Whose pupil was {e}?",
    ],
    phrases: ["the mentor of {e}", "the person who taught {e}"],
  },
  {
    name: "hobby",
    of: "person",
    value: CRAFTS,
    sentences: ["{e} loves {v}.", "The hobby of {e} is {v}.", "{e} spends evenings with {v}."],
    questions: [
      "What does {e} love?",
      "What is the hobby of {e}?",
      "How does {e} spend the evenings?",
      "Which hobby does {e} have?",
    ],
    phrases: [],
  },
  {
    name: "seat",
    of: "firm",
    value: "town",
    sentences: ["{e} has its seat in {v}.", "The home of {e} is {v}.", "{e} is based in {v}."],
    questions: [
      "Where is {e} based?",
      "In which town is {e} at home?",
      "What is the seat of {e}?",
      "Which town is home to {e}?",
    ],
    phrases: ["the seat of {e}", "the town where {e} is based"],
  },
  {
    name: "founder",
    of: "firm",
    value: "person",
    sentences: [
      "{e} was founded by {v}.",
      "The founder of {e} was {v}.",
      "The first master of {e} was {v}.",
    ],
    questions: [
      "Who founded {e}?",
      "Who was the founder of {e}?",
      "Who started {e}?",
      "To whom does {e} owe its beginning?",
    ],
    phrases: ["the founder of {e}", "the person who founded {e}"],
  },
  {
    name: "product",
    of: "firm",
    value: PRODUCTS,
    sentences: ["{e} makes {v}.", "The trade of {e} is {v}.", "{e} is known for its {v}."],
    questions: [
      "What does {e} make?",
      "What is {e} known for?",
      "Which goods does {e} make?",
      "What is the trade of {e}?",
    ],
    phrases: [],
  },
  {
    name: "emblem",
    of: "firm",
    value: EMBLEMS,
    sentences: [
      "The emblem of {e} is the {v}.",
      "{e} has a sign with the {v}.",
      "{e} shows the {v}.",
    ],
    questions: [
      "What is the emblem of {e}?",
      "What does the sign of {e} show?",
      "Which emblem does {e} have?",
      "What does {e} show on its sign?",
    ],
    phrases: [],
  },
  {
    name: "mayor",
    of: "town",
    value: "person",
    sentences: [
      "The mayor of {e} is {v}.",
      "{e} is governed by {v}.",
      "At the head of {e} stands {v}.",
    ],
    questions: [
      "Who is the mayor of {e}?",
      "Who governs {e}?",
      "Who leads {e}?",
      "Which mayor does {e} have?",
    ],
    phrases: ["the mayor of {e}", "the person who governs {e}"],
  },
  {
    name: "dish",
    of: "town",
    value: DISHES,
    sentences: ["People in {e} eat {v}.", "The dish of {e} is {v}.", "{e} is proud of its {v}."],
    questions: [
      "What do people in {e} eat?",
      "What is the dish of {e}?",
      "Which dish is {e} proud of?",
      "What is cooked in {e}?",
    ],
    phrases: [],
  },
  {
    name: "colour",
    of: "town",
    value: COLOURS,
    sentences: ["The flag of {e} is {v}.", "{e} has a {v} flag.", "The colour of {e} is {v}."],
    questions: [
      "Which colour is the flag of {e}?",
      "What is the colour of {e}?",
      "What colour does {e} have?",
      "Which colour stands for {e}?",
    ],
    phrases: [],
  },
];
